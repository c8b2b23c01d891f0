//! Runs with made-up numbers, as large as one likes.

#![allow(dead_code)] // every test uses a part of it

use super::common::card;
use bitvla_reports::*;
use std::collections::BTreeMap;

/// Names of the suites.
pub const SUITES: [&str; 4] = ["spatial", "object", "goal", "long"];

/// A run of ten tasks of `states` states that fails in every `nth` episode or so.
fn run(label: &str, suite: &str, states: usize, nth: usize) -> RunFolder {
    let mut manifest = card(3);
    manifest.protocol.suite = suite.into();
    manifest.protocol.policy = label.into();
    manifest.tasks = (0..10).collect();
    manifest.episodes = states;
    manifest.setups = vec![MeasurementSetup {
        processor: "a processor".into(),
        instruction_set: "avx512vnni".into(),
        threads: 1,
        jobs: 2,
    }];
    manifest.memory.weights = ["vision linears", "language linears", "action head"]
        .map(|class| WeightMemory {
            class: class.into(),
            encoding: "ternary 2-bit".into(),
            bytes: 200_000,
            mapped: 0,
            resident: 200_000,
        })
        .into();
    let mut run = RunFolder::new(manifest);
    for (task, init) in (0..10).flat_map(|task| (0..states).map(move |init| (task, init))) {
        // A fixed mixing of the numbers stands for chance.
        let mixed = (task * 7919 + init * 104_729 + label.len() * 1299) % 1009;
        let success = !mixed.is_multiple_of(nth);
        let steps = if success { 80 + mixed % 120 } else { 220 };
        let state_hash = (mixed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        run.episodes.push(EpisodeRecord {
            suite: suite.into(),
            task,
            instruction: format!("pick up the black bowl at place {task} and put it on the plate"),
            init,
            seed: 7,
            policy: label.into(),
            arithmetic: "native-packed".into(),
            success,
            steps,
            queries: 2,
            state_hash: format!("{state_hash:016x}"),
            error: String::new(),
        });
        run.actions.push(EpisodeActions {
            task,
            init,
            state_hash,
            actions: vec![[mixed as f64; 7]; steps],
        });
        for query in 0..2 {
            let ms = (mixed % 100) as f64 / 100.0;
            run.queries.push(QueryRecord {
                task,
                init,
                query,
                render_ms: 9.0 + ms,
                preprocessing_ms: 0.5,
                vision_ms: 0.8 + ms,
                language_ms: 1.5 + ms,
                head_ms: 0.1,
                ..QueryRecord::default()
            });
        }
    }
    run
}

/// A policy with a run of `states` states per task in every suite.
pub fn policy(label: &str, states: usize, nth: usize) -> ComparedPolicy {
    let runs = SUITES.map(|suite| (suite.to_owned(), run(label, suite, states, nth)));
    ComparedPolicy {
        label: label.into(),
        runs: BTreeMap::from(runs),
    }
}

/// A report about policies, with the commands that the program gives.
pub fn report(policies: Vec<ComparedPolicy>) -> Report {
    let comparison = Comparison::of_any(policies).expect("runs that belong together");
    let mut commands = Vec::new();
    for policy in comparison.policies() {
        for suite in policy.runs.keys() {
            commands.push(RunCommands {
                label: policy.label.clone(),
                suite: suite.clone(),
                evaluate: format!("bitvla-eval --suite {suite} --policy {}", policy.label),
                replay: format!("bitvla-eval replay runs/{suite}-{}", policy.label),
            });
        }
    }
    Report {
        comparison,
        verdicts: Vec::new(),
        commands,
        animations: Vec::new(),
        replay: None,
        robustness: None,
    }
}
