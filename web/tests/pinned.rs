//! Guarantee: an episode that is opened from files in memory and acts recorded actions ends in the recorded state, also after it has
//! returned to an instant that was kept; what is missing or malformed is named.

use bitvla_reports::{EpisodeActions, read_actions};
use bitvla_tasks::Assets;
use bitvla_web::{Episode, EpisodeSpec};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of the asset folder that a suite needs, in memory.
fn assets(suite: &str) -> Assets {
    let mut files = Vec::new();
    let suite = format!("suites/{suite}");
    let init = format!("{suite}/init");
    for folder in ["arenas", "fixtures", "objects", "robots", &suite, &init] {
        for entry in fs::read_dir(root().join("assets").join(folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.path().is_file() {
                let text = fs::read_to_string(entry.path()).expect("text");
                files.push((Path::new(folder).join(entry.file_name()), text));
            }
        }
    }
    Assets::in_memory(files)
}

fn spec(suite: &str, task: usize, row: usize) -> EpisodeSpec {
    EpisodeSpec {
        suite: suite.to_owned(),
        task,
        row,
        key: [0, task as u64, row as u64],
        perturbation: Vec::new(),
    }
}

fn first_of(suite: &str) -> EpisodeActions {
    let file = format!("tests/golden/world/{suite}.actions.bin");
    let episodes = read_actions(&root().join(file)).expect("recorded actions");
    episodes.into_iter().next().expect("an episode")
}

#[test]
fn recorded_actions_end_in_the_recorded_state() {
    for suite in ["spatial", "goal"] {
        let recorded = first_of(suite);
        let mut episode = Episode::open(&assets(suite), &spec(suite, recorded.task, recorded.init))
            .expect("an episode");
        let middle = recorded.actions.len() / 2;
        let mut kept = 0;
        let mut success = false;
        for (step, action) in recorded.actions.iter().enumerate() {
            if step == middle {
                kept = episode.keep();
            }
            success = episode.step(action).expect("a step");
        }
        assert!(success, "{suite}");
        assert_eq!(episode.state_hash(), recorded.state_hash, "{suite}");
        episode.return_to(kept).expect("kept");
        for action in &recorded.actions[middle..] {
            episode.step(action).expect("a step");
        }
        assert_eq!(episode.state_hash(), recorded.state_hash, "{suite}");
        let moment = episode.moment(4.0 / 3.0).expect("a moment");
        assert!(moment.contains("\"success\":true"), "{moment}");
        let [table, hand] = episode.policy_images((0, 64, true)).expect("images");
        assert_eq!((table.width, hand.width), (64, 64));
        assert_eq!(
            episode.free_image(80, 60).expect("an image").rgb.len(),
            80 * 60 * 3
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let all = assets("spatial");
    let refused = |spec: &EpisodeSpec, words: &str| {
        let error = Episode::open(&all, spec).err().expect("refused");
        assert!(error.contains(words), "{error}");
    };
    refused(&spec("goal", 0, 0), "goal");
    refused(&spec("spatial", 10, 0), "10 tasks, found task 10");
    refused(&spec("spatial", 0, 50), "50 initial states, found row 50");
    let mut jaw = spec("spatial", 0, 0);
    jaw.perturbation = vec!["camera:jaw=30".to_owned()];
    refused(&jaw, "jaw");
    let empty = Assets::in_memory([]);
    let error = Episode::open(&empty, &spec("spatial", 0, 0)).err();
    assert!(error.expect("refused").contains("spatial"));
}
