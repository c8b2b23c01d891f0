//! Guarantee: the statistics have the values of SciPy and statsmodels, which `tests/statistics_reference.py` wrote into
//! `data/statistics.json`; a bootstrap is within one step of its own resolution.

use bitvla_reports::*;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("data/statistics.json")).unwrap()
}

fn cases<'a>(all: &'a Value, name: &str) -> &'a Vec<Value> {
    all[name].as_array().unwrap()
}

fn number(case: &Value, field: &str) -> f64 {
    case[field]
        .as_f64()
        .unwrap_or_else(|| panic!("{field} of {case}"))
}

fn count(case: &Value, field: &str) -> usize {
    case[field].as_u64().unwrap() as usize
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

fn close(what: &Value, got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-12 + 1e-9 * want.abs(),
        "{what}: {got}, expected {want}"
    );
}

/// The verdict of these pairs; only the discordant ones matter here.
fn judged(case: &Value) -> GateResult {
    let counts = PairCounts {
        both: 100,
        only_first: count(case, "lost"),
        only_second: count(case, "gained"),
        neither: 0,
    };
    let identical = false;
    judge(&[GateInput { counts, identical }], GateRule::default()).overall
}

#[test]
fn intervals_and_quantiles() {
    let all = reference();
    for case in cases(&all, "wilson") {
        let interval = wilson(count(case, "successes"), count(case, "trials"));
        close(case, interval.low, number(case, "low"));
        close(case, interval.high, number(case, "high"));
    }
    for case in cases(&all, "quantile") {
        let got = quantile(&numbers(&case["values"]), number(case, "q")).unwrap();
        close(case, got, number(case, "value"));
    }
    for case in cases(&all, "bootstrap") {
        let tasks: Vec<Vec<f64>> = case["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        // A mean of 200 differences is a multiple of 1/200.
        let interval = cluster_bootstrap(&[tasks]).unwrap();
        assert!(
            (interval.low - number(case, "low")).abs() <= 0.0051,
            "{interval:?} {case}"
        );
        assert!(
            (interval.high - number(case, "high")).abs() <= 0.0051,
            "{interval:?} {case}"
        );
    }
}

#[test]
fn tests_and_adjustments() {
    let all = reference();
    for case in cases(&all, "mcnemar") {
        let p = mcnemar_exact(count(case, "lost"), count(case, "gained"));
        close(case, p, number(case, "two_sided"));
        close(case, judged(case).p_drop, number(case, "drop"));
    }
    for case in cases(&all, "holm") {
        for (got, want) in holm(&numbers(&case["p"]))
            .iter()
            .zip(numbers(&case["adjusted"]))
        {
            close(case, *got, want);
        }
    }
    for case in cases(&all, "e_drop") {
        close(case, judged(case).e_drop, number(case, "e"));
    }
}
