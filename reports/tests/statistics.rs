//! Guarantee: Wilson intervals equal the published figures to the printed digit, quantiles interpolate,
//! and harness errors are never counted as failures silently.

use bitvla_reports::{EpisodeRecord, median, quantile, success_table, summarise, wilson};

#[test]
fn wilson_intervals_equal_the_table() {
    let table = [
        (9, 10, 59.6, 98.2),
        (19, 20, 76.4, 99.1),
        (48, 50, 86.5, 98.9),
        (95, 100, 88.8, 97.8),
        (475, 500, 92.7, 96.6),
        (1900, 2000, 94.0, 95.9),
    ];
    for (k, n, low, high) in table {
        let interval = wilson(k, n);
        assert!((100.0 * interval.low - low).abs() <= 0.051, "{k}/{n}");
        assert!((100.0 * interval.high - high).abs() <= 0.051, "{k}/{n}");
    }
}

#[test]
fn wilson_stays_within_bounds_and_is_symmetric() {
    for n in 1..60 {
        for k in 0..=n {
            let (a, b) = (wilson(k, n), wilson(n - k, n));
            let rate = k as f64 / n as f64;
            assert!(0.0 <= a.low && a.low <= rate && rate <= a.high && a.high <= 1.0);
            assert!((a.low - (1.0 - b.high)).abs() < 1e-12);
        }
    }
    assert_eq!((wilson(0, 0).low, wilson(0, 0).high), (0.0, 1.0));
}

#[test]
fn quantiles_interpolate() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(quantile(&[0.0, 10.0], 0.95), Some(9.5));
    assert_eq!(median(&[]), None);
}

fn episode(task: usize, init: usize, success: bool, error: &str) -> EpisodeRecord {
    EpisodeRecord {
        suite: "spatial".into(),
        task,
        instruction: [
            "pick up the bowl on the stove and lift it",
            "pick up the bowl at rest and lift it",
        ][task % 2]
            .into(),
        init,
        seed: 7,
        policy: "ternary".into(),
        arithmetic: "native-packed".into(),
        success,
        steps: 100 + init,
        queries: 13,
        state_hash: "00ff".into(),
        error: error.into(),
    }
}

#[test]
fn harness_errors_are_reported_apart() {
    let episodes = [
        episode(0, 0, true, ""),
        episode(0, 1, false, ""),
        episode(0, 2, false, "action is not finite"),
        episode(1, 0, true, ""),
    ];
    let (tasks, all) = summarise(&episodes);
    assert_eq!((tasks[0].score.successes, tasks[0].score.completed), (1, 2));
    assert_eq!(tasks[0].score.errors, 1);
    assert_eq!(all.median_steps, Some(100.0));
    assert_eq!(tasks[0].short_name, "… on the stove …");
    assert!((all.strict_rate() - 0.5).abs() < 1e-12);
    let table = success_table(&tasks, &all);
    assert!(table.contains("1 harness error"), "{table}");
}
