//! Guarantee: a baseline is read as it was written; a run of the same bits holds whatever its size; flips, gaps and errors are
//! named; a broken baseline and runs that cannot be compared are refused; XML and workflow commands are well-formed whatever
//! the names are.

#[path = "common/card.rs"]
mod common;

use bitvla_reports::*;
use common::card;

/// Ten tasks of `states` states; the policy fails where `fails` says so.
fn run(suite: &str, states: usize, fails: &dyn Fn(usize, usize) -> bool) -> RunFolder {
    let mut manifest = card(3);
    manifest.protocol.suite = suite.into();
    let mut run = RunFolder::new(manifest);
    for (task, init) in (0..10).flat_map(|task| (0..states).map(move |init| (task, init))) {
        let success = !fails(task, init);
        run.episodes.push(EpisodeRecord {
            suite: suite.into(),
            task,
            instruction: "go".into(),
            init,
            seed: 7,
            policy: "ternary".into(),
            arithmetic: "none".into(),
            success,
            steps: 5,
            queries: 0,
            state_hash: format!("{:016x}", 7 * task + init + usize::from(success)),
            error: String::new(),
        });
        run.actions.push(EpisodeActions {
            task,
            init,
            state_hash: 0,
            actions: vec![[0.5; 7]; 5 + init],
        });
    }
    run
}

fn rule() -> GateRule {
    GateRule::default()
}

#[test]
fn a_baseline_is_read_as_it_was_written_and_equal_bits_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("baseline.json");
    let fails = |task: usize, init: usize| task == 2 && init == 1;
    let runs = [run("spatial", 2, &fails), run("goal", 2, &fails)];
    let baseline = Baseline::of("ternary", "first", &runs);
    baseline.write(&path).unwrap();
    assert_eq!(Baseline::read(&path).unwrap(), baseline);
    let recorded = baseline.suites["goal"].recorded_actions().unwrap();
    assert_eq!(
        recorded,
        [runs[1].actions[0].clone(), runs[1].actions[2].clone()]
    );

    let check = baseline.check(&runs, rule(), CostRule::default()).unwrap();
    assert_eq!(check.verdict, Verdict::Held);
    assert!(check.judgement.overall.identical && check.flips.is_empty());
    // The same outcomes with other bits are too few to tell.
    let mut other = runs.to_vec();
    other[0].episodes[0].state_hash = "00000000000000ff".into();
    let check = baseline.check(&other, rule(), CostRule::default()).unwrap();
    assert_eq!(check.verdict, Verdict::Underpowered);
    assert_eq!(check.verdict.exit_code(), 3);

    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, words) in [
        (
            "\"baseline_version\": 1",
            "\"baseline_version\": 2",
            "version 2",
        ),
        ("\"outcomes\": \"10\"", "\"outcomes\": \"1x\"", "task 2"),
        ("\"outcomes\": \"10\"", "\"outcomes\": \"101\"", "task 2"),
        ("\"episode\": \"", "\"episode\": \"z", "recorded episode 0"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let refused = Baseline::read(&path).unwrap_err().to_string();
        assert!(
            refused.contains(words) && refused.contains("baseline.json"),
            "{refused}"
        );
    }
}

#[test]
fn flips_gaps_and_errors_are_named() {
    let baseline = Baseline::of(
        "ternary",
        "first",
        &[run("spatial", 50, &|_, init| init == 0)],
    );
    let mut now = run("spatial", 50, &|task, init| {
        init == 49 || (task < 4 && init < 12)
    });
    now.episodes[30].error = "panic".into();
    now.episodes[30].success = false;
    now.episodes.truncate(490);
    let check = baseline
        .check(&[now.clone()], rule(), CostRule::default())
        .unwrap();
    assert_eq!(check.verdict, Verdict::Regressed);
    assert_eq!(check.errors["spatial"], 1);
    assert_eq!(check.missing["spatial"], 10);
    // Lost: 4 times 11 and 9 at the end; gained: the first state of 6 tasks.
    let lost = check.flips.iter().filter(|f| !f.gained).count();
    assert_eq!((lost, check.flips.len() - lost), (44 + 9, 6));
    let text = check.summary();
    for words in [
        "regressed",
        "53 episodes are lost and 6 gained",
        "1 harness error",
        "and 49 more",
    ] {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
    assert!(check.junit().contains("failures=\"1\""));
    assert!(
        check
            .annotations()
            .starts_with("::error title=spatial%2C success%3A regressed::")
    );
    assert!(check.markdown().starts_with("**regressed**"));

    now.manifest.protocol.horizon = 300;
    let refused = baseline
        .check(&[now.clone()], rule(), CostRule::default())
        .unwrap_err();
    assert!(refused.contains("horizon: 220 against 300"), "{refused}");
    now.manifest.protocol.suite = "goal".into();
    let refused = baseline
        .check(&[now], rule(), CostRule::default())
        .unwrap_err();
    assert!(refused.contains("no suite"), "{refused}");
}

/// Adds queries that take `scale` milliseconds of processor time, beside a reference of 2 ms.
fn with_latency(mut run: RunFolder, scale: f64, processor: &str) -> RunFolder {
    run.manifest.setups = vec![MeasurementSetup {
        processor: processor.into(),
        instruction_set: "avx2".into(),
        threads: 1,
        jobs: 2,
    }];
    run.manifest.memory.weights = vec![WeightMemory {
        class: "language linears".into(),
        encoding: "ternary 2-bit".into(),
        bytes: 1000,
        mapped: 0,
        resident: 1000,
    }];
    for row in &mut run.episodes {
        row.queries = 1;
        run.queries.push(QueryRecord {
            task: row.task,
            init: row.init,
            head_ms: 2.0 * scale,
            processor_ms: Some(scale * (1.0 + row.task as f64 / 100.0)),
            reference_ms: Some(2.0),
            ..QueryRecord::default()
        });
    }
    run
}

#[test]
fn latencies_are_read_to_the_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("baseline.json");
    // Numbers of 16 and 17 digits, of which a fast reader misses some by a bit.
    for i in 1..40 {
        let run = with_latency(
            run("spatial", 1, &|_, _| false),
            f64::from(i).sqrt() / 7.0,
            "a",
        );
        let baseline = Baseline::of("ternary", "first", &[run]);
        baseline.write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline, "{i}");
    }
}

#[test]
fn latency_and_memory_that_grew_are_a_regression() {
    let plain = || run("spatial", 2, &|_, _| false);
    let before = with_latency(plain(), 1.0, "a");
    let baseline = Baseline::of("ternary", "first", std::slice::from_ref(&before));
    let check = |run: RunFolder| baseline.check(&[run], rule(), CostRule::default()).unwrap();
    let verdicts = |check: &Check| -> Vec<Option<Verdict>> {
        check.costs.iter().map(|cost| cost.verdict).collect()
    };
    let (held, regressed) = (Some(Verdict::Held), Some(Verdict::Regressed));

    let same = check(before.clone());
    assert_eq!(same.verdict, Verdict::Held);
    assert_eq!(verdicts(&same), [held, None, held]);
    assert!(same.summary().contains("query, processor time"));

    let slow = check(with_latency(plain(), 1.3, "a"));
    assert_eq!(slow.verdict, Verdict::Regressed);
    assert_eq!(verdicts(&slow), [regressed, None, held]);
    assert!(slow.junit().contains("failures=\"1\""), "{}", slow.junit());
    let sentence = "query, processor time: 1.300 (1.300 to 1.300) times the baseline";
    assert!(
        slow.markdown()
            .starts_with("**regressed**: suite spatial: query")
    );
    assert!(
        slow.annotations().contains(sentence),
        "{}",
        slow.annotations()
    );

    // Another processor is reported and not judged.
    let elsewhere = check(with_latency(plain(), 1.3, "b"));
    assert_eq!(elsewhere.verdict, Verdict::Held);
    assert_eq!(verdicts(&elsewhere), [None, None, held]);
    assert!(elsewhere.summary().contains("latency is not judged"));

    let mut large = before.clone();
    large.manifest.memory.weights[0].bytes = 1011;
    let large = check(large);
    assert_eq!(
        (large.verdict, verdicts(&large)[2]),
        (Verdict::Regressed, regressed)
    );

    // A query of several threads has no processor time of its own: its wall time is judged.
    let several = |scale: f64| {
        let mut run = with_latency(plain(), scale, "a");
        run.manifest.setups[0].threads = 2;
        run.queries.iter_mut().for_each(|q| q.processor_ms = None);
        run
    };
    let baseline = Baseline::of("ternary", "first", &[several(1.0)]);
    let slow = baseline
        .check(&[several(1.3)], rule(), CostRule::default())
        .unwrap();
    assert_eq!(verdicts(&slow), [regressed, held]);
    assert_eq!(slow.costs[0].cost, Cost::WallTime);

    let none = baseline
        .check(&[plain()], rule(), CostRule::default())
        .unwrap();
    assert_eq!(
        none.not_checked,
        ["suite spatial: the run has no latency to compare"]
    );
}

#[test]
fn other_suites_are_said_and_names_are_escaped() {
    let odd = "a<b>&\"c:,\n%";
    let runs = [run(odd, 50, &|_, _| false), run("goal", 50, &|_, _| false)];
    let baseline = Baseline::of("ternary", "first", &runs);
    let check = baseline
        .check(&runs[..1], rule(), CostRule::default())
        .unwrap();
    assert_eq!(
        check.not_checked,
        ["suite goal of the baseline was not run"]
    );
    let xml = check.junit();
    assert!(
        xml.contains("name=\"a&lt;b&gt;&amp;&quot;c:,\u{fffd}%\""),
        "{xml}"
    );
    let commands = check.annotations();
    assert_eq!(commands.lines().count(), 1, "{commands}");
    assert!(
        commands.contains("a<b>&\"c%3A%2C%0A%25%2C success%3A held::"),
        "{commands}"
    );
}
