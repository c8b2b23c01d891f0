//! Time of a report about 2 000 episodes: 4 suites of 10 tasks of 50 initial states, one policy and three.
//! `cargo bench --bench html_report`

#[path = "../tests/common/card.rs"]
mod common;
#[path = "../tests/common/synthetic.rs"]
mod synthetic;

use bitvla_reports::html_report;
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;
use synthetic::{policy, report};

fn reports(c: &mut Criterion) {
    let mut group = c.benchmark_group("html report, 2000 episodes a policy");
    for (name, policies) in [
        ("one policy", vec![policy("ternary", 50, 11)]),
        (
            "three policies",
            vec![
                policy("full", 50, 13),
                policy("ternary", 50, 11),
                policy("int8", 50, 12),
            ],
        ),
    ] {
        let report = report(policies);
        group.bench_function(name, |b| {
            b.iter(|| html_report(&report).map(|page| page.len()))
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(3)).sample_size(10);
    targets = reports
}
criterion_main!(benches);
