//! Guarantee: a comparison pairs the episodes of the initial states that both policies completed and leaves out the others,
//! finds the step in which two runs part, and refuses runs whose protocols differ in anything that success depends on besides
//! the policy. Its tables and plots are there for every policy. `BITVLA_KEEP_PLOTS=DIR` keeps the plots for inspection.

#[path = "common/card.rs"]
mod common;

use bitvla_reports::*;
use common::card;
use std::collections::BTreeMap;

/// Ten tasks of twenty states; the policy fails where `fails` says so, and acts with `step` as its first number.
fn policy(
    label: &str,
    suite: &str,
    action: f64,
    fails: &dyn Fn(usize, usize) -> bool,
) -> ComparedPolicy {
    let mut manifest = card(3);
    manifest.protocol.suite = suite.into();
    manifest.protocol.policy = label.into();
    manifest.protocol.weights_sha256 = BTreeMap::from([("w".to_owned(), label.to_owned())]);
    manifest.memory.weights.push(WeightMemory {
        class: "language linears".into(),
        encoding: "ternary 2-bit".into(),
        bytes: 1_000_000 + 700_000 * (label.len() as u64 % 5),
        mapped: 0,
        resident: 0,
    });
    let mut run = RunFolder::new(manifest);
    for (task, init) in (0..10).flat_map(|task| (0..20).map(move |init| (task, init))) {
        let success = !fails(task, init);
        run.episodes.push(EpisodeRecord {
            suite: suite.into(),
            task,
            instruction: format!("pick up object {task}"),
            init,
            seed: 7,
            policy: label.into(),
            arithmetic: "none".into(),
            success,
            steps: if success { 60 + 5 * task + init } else { 220 },
            queries: 1,
            state_hash: "0".into(),
            error: String::new(),
        });
        let mut actions = vec![[0.0; 7]; 8];
        actions[3][0] = action;
        run.actions.push(EpisodeActions {
            task,
            init,
            state_hash: 0,
            actions,
        });
        run.queries.push(QueryRecord {
            task,
            init,
            query: 0,
            render_ms: 4.0,
            preprocessing_ms: 0.5,
            vision_ms: 1.0 + label.len() as f64 / 8.0,
            language_ms: 2.0,
            head_ms: 0.3,
            ..QueryRecord::default()
        });
    }
    ComparedPolicy {
        label: label.into(),
        runs: BTreeMap::from([(suite.to_owned(), run)]),
    }
}

fn with_suite(mut policy: ComparedPolicy, other: ComparedPolicy) -> ComparedPolicy {
    policy.runs.extend(other.runs);
    policy
}

#[test]
fn episodes_are_paired_by_initial_state() {
    let full = policy("full", "spatial", 0.5, &|task, init| task == 0 && init < 4);
    let mut ternary = policy("ternary", "spatial", 0.25, &|_, init| init == 3);
    // An error of the harness is no outcome: its pair does not count.
    let run = ternary.runs.get_mut("spatial").unwrap();
    run.episodes[25].success = false;
    run.episodes[25].error = "panic".into();
    let comparison = Comparison::new(vec![full, ternary]).unwrap();
    let paired = comparison.paired(1, Some("spatial")).unwrap();
    assert_eq!(
        paired.counts,
        PairCounts {
            both: 199 - 3 - 9 - 1,
            only_first: 9,
            only_second: 3,
            neither: 1
        }
    );
    assert_eq!(paired.p, mcnemar_exact(9, 3));
    assert!(comparison.paired(0, None).is_none());
    let discordant = comparison.discordant();
    assert_eq!(discordant.len(), 12);
    assert!(discordant.iter().all(|d| d.parts_at == Some(3)));
    assert_eq!(discordant.iter().filter(|d| d.gained).count(), 3);
}

#[test]
fn p_values_are_adjusted_over_suites() {
    let full = |suite| policy("full", suite, 0.5, &|_, _| false);
    let ternary = |suite| policy("ternary", suite, 0.5, &|task, init| task == 1 && init < 6);
    let reference = with_suite(full("goal"), full("spatial"));
    let other = with_suite(ternary("goal"), ternary("spatial"));
    let comparison = Comparison::new(vec![reference, other]).unwrap();
    let paired = comparison.paired(1, Some("goal")).unwrap();
    assert!((paired.p - 2.0 / 64.0).abs() < 1e-12);
    assert!((paired.p_adjusted - 4.0 / 64.0).abs() < 1e-12);
    let all = comparison.paired(1, None).unwrap();
    assert_eq!(all.counts.pairs(), 400);
    assert_eq!(all.p, all.p_adjusted);
    // The same actions, and yet another outcome: nothing parts them.
    assert!(comparison.discordant().iter().all(|d| d.parts_at.is_none()));
    assert_eq!(comparison.letters(), ["a", "b"]);
}

#[test]
fn runs_that_differ_in_more_than_the_policy_are_refused() {
    let never = |_: usize, _: usize| false;
    let compare = |edit: &dyn Fn(&mut EvalProtocol)| {
        let mut other = policy("ternary", "spatial", 0.5, &never);
        edit(&mut other.runs.get_mut("spatial").unwrap().manifest.protocol);
        Comparison::new(vec![policy("full", "spatial", 0.5, &never), other])
    };
    type Edit = dyn Fn(&mut EvalProtocol);
    let edits: [(&str, &Edit); 10] = [
        ("world_version: 3 against 4", &|p| p.world_version = 4),
        ("horizon: 220 against 300", &|p| p.horizon = 300),
        ("settle_steps", &|p| p.settle_steps = 0),
        ("settle_action", &|p| p.settle_action[0] = 1.0),
        ("control_hz", &|p| p.control_hz = 10.0),
        ("robot_model", &|p| p.robot_model = "other".into()),
        ("simulation.solver", &|p| {
            p.simulation.insert("solver".into(), serde_json::json!(1));
        }),
        ("success_rule", &|p| p.success_rule = "other".into()),
        ("assets_sha256", &|p| p.assets_sha256 = "other".into()),
        ("libero_sha256.bddl", &|p| {
            p.libero_sha256.insert("bddl".into(), "other".into());
        }),
    ];
    for (words, edit) in edits {
        let refused = compare(edit).unwrap_err();
        assert!(
            refused.contains(words) && refused.contains("ternary"),
            "{refused}"
        );
    }
    let listed = compare(&|p| p.source_sha256 = "other".into()).unwrap();
    assert_eq!(listed.protocol_differences().len(), 1);
    assert!(listed.protocol_differences()[0].contains("source_sha256"));

    let alone = Comparison::new(vec![policy("full", "spatial", 0.5, &never)]).unwrap_err();
    assert!(alone.contains("two policies"), "{alone}");
    let elsewhere = vec![
        policy("full", "spatial", 0.5, &never),
        policy("ternary", "goal", 0.5, &never),
    ];
    assert!(Comparison::new(elsewhere).unwrap_err().contains("no suite"));
    let twice = vec![
        policy("full", "spatial", 0.5, &never),
        policy("full", "spatial", 0.5, &never),
    ];
    assert!(Comparison::new(twice).unwrap_err().contains("LABEL=DIR"));
}

#[test]
fn tables_and_plots_have_every_policy() {
    let mut policies = Vec::new();
    for (i, label) in ["full", "ternary", "int8", "int4", "nf4", "ptq-ternary"]
        .iter()
        .enumerate()
    {
        let fails = |task: usize, init: usize| (task * 7 + init * 3 + i) % 40 < 2 * i * i;
        let runs = ["goal", "long", "object", "spatial"]
            .map(|suite| policy(label, suite, i as f64, &fails));
        policies.push(runs.into_iter().reduce(with_suite).unwrap());
    }
    let comparison = Comparison::new(policies).unwrap();
    let summary = comparison.summary();
    for words in ["all suites", "ptq-ternary", "McNemar", "goal\n", "gained"] {
        assert!(summary.contains(words), "`{words}` is not in\n{summary}");
    }
    assert!(
        summary
            .lines()
            .all(|line| line.chars().count() <= TERMINAL_COLUMNS),
        "{summary}"
    );
    let kept = std::env::var_os("BITVLA_KEEP_PLOTS").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let dir = kept.unwrap_or_else(|| temporary.path().to_owned());
    let plots = write_comparison_plots(&dir, "four suites", &comparison).unwrap();
    assert_eq!(plots.len(), 6);
    assert!(plots.iter().all(|p| p.svg.is_file() && p.png.is_file()));
    comparison.write_csv(&dir).unwrap();
    let csv = std::fs::read_to_string(dir.join("comparison.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 * 6, "{csv}");
    print!("{summary}");
}
