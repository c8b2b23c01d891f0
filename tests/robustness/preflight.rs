//! Whatever makes every episode of a task fail ends the program with code 2 before the first episode and before a folder is
//! claimed; a run of which nothing was finished ends with code 1.

use super::support::{assets, checkpoint, edit, read, refused, run, run_with};
use bitvla_reports::{
    EpisodeHashes, read_actions, read_episodes, write_actions, write_episodes, write_hashes,
};
use std::fs;

#[test]
fn a_missing_model_is_found_before_the_first_episode() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (assets, out) = (assets(dir.path()), dir.path().join("run"));
    fs::remove_file(assets.join("objects/plate.toml")).expect("removed");
    refused(run_with(&assets, "expert", 2, &out), &["plate"]);
    let mut all = run_with(&assets, "expert", 2, &out);
    all.args(["--suite", "all"]);
    refused(all, &["plate"]);
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn states_that_are_not_finite_are_no_failure_of_the_policy() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (assets, out) = (assets(dir.path()), dir.path().join("run"));
    let path = assets.join("suites/spatial/init/00.json");
    let mut states: serde_json::Value = serde_json::from_str(&read(&path)).expect("JSON");
    for state in states.as_array_mut().expect("states") {
        for k in 3..7 {
            state["objects"]["plate_1"][k] = 0.0.into();
        }
    }
    fs::write(&path, states.to_string()).expect("written");
    for policy in ["expert", "zero"] {
        refused(run_with(&assets, policy, 2, &out), &["plate_1"]);
    }
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn a_texture_that_cannot_be_decoded_is_found_where_somebody_looks() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let assets = assets(dir.path());
    let picture = assets.join("arenas/table.png");
    fs::write(&picture, "version https://git-lfs.github.com/spec/v1\n").expect("written");
    let file = format!(
        "texture = {{ kind = \"file\", text = \"{}\"",
        picture.display()
    );
    let table = assets.join("arenas/table.toml");
    edit(
        &table,
        "texture = { kind = \"wood\", size = 512",
        &format!("{file}, size = 512"),
    );
    let checkpoint = checkpoint(dir.path());
    let out = dir.path().join("run");
    let mut looks = run_with(&assets, "ternary", 1, &out);
    looks.arg("--checkpoint").arg(&checkpoint);
    refused(looks, &["table.png", "Git LFS"]);
    let mut film = run_with(&assets, "expert", 1, &out);
    film.args(["--video", "1"]);
    refused(film, &["table.png", "Git LFS"]);
    assert!(!out.exists(), "nothing was begun");
    run_with(&assets, "expert", 1, &out).assert().success();
}

#[test]
fn a_goal_that_cannot_be_looked_up_is_found_before_the_first_episode() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (assets, out) = (assets(dir.path()), dir.path().join("run"));
    let bddl = assets.join("suites/spatial/00_between_plate_and_ramekin.bddl");
    let goal = "(:goal (And (On akita_black_bowl_1 plate_1)))";
    edit(&bddl, goal, "(:goal (And (Open plate_1)))");
    refused(run_with(&assets, "zero", 2, &out), &["bddl:48:15", "Open"]);
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn a_world_without_the_camera_of_the_policy_is_found_before_the_first_episode() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let assets = assets(dir.path());
    let table = assets.join("arenas/table.toml");
    let text = read(&table);
    let mut arena: toml::Table = text.parse().expect("TOML");
    arena.remove("camera");
    arena.remove("cameras");
    assert!(arena.len() < text.parse::<toml::Table>().expect("TOML").len());
    fs::write(&table, arena.to_string()).expect("written");
    let out = dir.path().join("run");
    let mut looks = run_with(&assets, "ternary", 1, &out);
    looks.arg("--checkpoint").arg(checkpoint(dir.path()));
    refused(looks, &["camera"]);
    assert!(!out.exists(), "nothing was begun");
}

/// A recording that ends before the goal holds: every episode of its replay is a harness error, and none is known before.
#[test]
fn a_run_of_harness_errors_alone_ends_with_code_1_and_says_so() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (recorded, out) = (dir.path().join("recorded"), dir.path().join("run"));
    run("expert", 2, &recorded).assert().success();
    let actions_path = recorded.join("actions.bin");
    let rows_path = recorded.join("episodes.csv");
    let mut actions = read_actions(&actions_path).expect("actions");
    let mut rows = read_episodes(&rows_path).expect("rows");
    for (episode, row) in actions.iter_mut().zip(&mut rows) {
        episode.actions.truncate(5);
        row.steps = 5;
    }
    let hashes: Vec<EpisodeHashes> = (actions.iter())
        .map(|episode| {
            let mut hashes = EpisodeHashes::new(episode.task, episode.init);
            (0..6).for_each(|_| hashes.push_state(episode.state_hash));
            hashes
        })
        .collect();
    write_hashes(&recorded.join("hashes.bin"), &hashes).expect("written");
    write_actions(&actions_path, &actions).expect("written");
    write_episodes(&rows_path, &rows).expect("written");

    let output = run(&format!("replay:{}", recorded.display()), 2, &out)
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("nothing was measured: all 2 episodes"),
        "{text}"
    );
    assert!(text.contains("ends after 5 actions"), "{text}");
    let table = read(&out.join("summary.txt"));
    assert!(table.contains("2 harness errors"), "{table}");
    let mut other = run(&format!("replay:{}", recorded.display()), 1, &out);
    other.args(["--tasks", "4"]);
    // clap takes the option once.
    other.assert().code(2);
}
