#!/usr/bin/env python3
"""Reference values of the statistics, from SciPy and statsmodels: reports/tests/data/statistics.json.

    python3 tests/statistics_reference.py [--check]        needs scipy and statsmodels

Wilson intervals (scipy.stats.binomtest), McNemar's exact test two-sided and one-sided (binomtest at 1/2), Holm's adjustment
(statsmodels.stats.multitest), quantiles (numpy, linear), e-values against "no drop" (numerical integration), and the intervals of a
bootstrap by task (numpy, 200 000 resamples; a tolerance belongs to them). With --check it compares instead of writing.
"""
import json
import math
import pathlib
import sys

import numpy as np
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests

FILE = pathlib.Path(__file__).resolve().parent.parent / "reports" / "tests" / "data" / "statistics.json"


def wilson(k, n):
    interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    return dict(successes=k, trials=n, low=interval.low, high=interval.high)


def mcnemar(lost, gained):
    test = lambda side: stats.binomtest(lost, lost + gained, 0.5, alternative=side).pvalue if lost + gained else 1.0
    return dict(lost=lost, gained=gained, two_sided=min(1.0, 2 * min(test("less"), test("greater"))), drop=test("greater"))


def e_value(lost, gained):
    density = lambda p: 2 * (2 * p) ** lost * (2 * (1 - p)) ** gained
    return dict(lost=lost, gained=gained, e=integrate.quad(density, 0.5, 1, epsabs=0, epsrel=1e-12, limit=500)[0])


def bootstrap(tasks):
    random = np.random.default_rng(1)
    sums, sizes = np.array([sum(t) for t in tasks]), np.array([len(t) for t in tasks])
    drawn = random.integers(0, len(tasks), (200_000, len(tasks)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    return dict(tasks=tasks, low=float(np.quantile(means, 0.025)), high=float(np.quantile(means, 0.975)))


def reference():
    p = [[0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.9], [0.04], [1e-9, 1.0, 0.5, 0.02, 0.011]]
    values = [[3.0, 1.0, 2.0, 10.0, 7.5], [5.0], [0.1, 0.4, 0.35, 0.2]]
    tasks = [[-1.0] * k + [0.0] * (20 - k - 1) + [1.0] for k in (0, 1, 1, 2, 3, 8, 0, 1, 5, 2)]
    return dict(
        wilson=[wilson(k, n) for n in (1, 10, 50, 500, 2000) for k in sorted({0, 1, n // 3, n - 1, n})],
        mcnemar=[mcnemar(*c) for c in [(0, 0), (1, 0), (5, 5), (2, 8), (30, 5), (12, 40), (100, 60), (0, 500)]],
        holm=[dict(p=v, adjusted=multipletests(v, method="holm")[1].tolist()) for v in p],
        quantile=[dict(values=v, q=q, value=float(np.quantile(v, q))) for v in values for q in (0.0, 0.05, 0.5, 0.95, 1.0)],
        e_drop=[e_value(*c) for c in [(0, 0), (1, 0), (0, 4), (5, 5), (12, 3), (28, 2), (40, 40)]],
        bootstrap=[bootstrap(tasks)],
    )


def main():
    found = reference()
    if "--check" in sys.argv[1:]:
        flat = lambda v: [x for w in (v.values() if isinstance(v, dict) else v) for x in flat(w)] if isinstance(v, (dict, list)) else [float(v)]
        known = flat(json.loads(FILE.read_text()))
        assert len(known) == len(flat(found)) and all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(known, flat(found)))
        print("the file has the values of SciPy and statsmodels")
        return
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
