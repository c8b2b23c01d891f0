//! Guarantees of the clock that panels, keys and timeline share: what is compared begins in the same state and
//! the first step that differs is named; pausing, stepping and seeking show what happened and change nothing; going on
//! from a step of a recording is live and marked.

use bitvla_eval::{PolicyKind, PolicySpec, RunFolder, RunPlan, SourceArgs, Sources, protocol, run};
use bitvla_viewer::library::Library;
use bitvla_viewer::pane::{Choice, Mode, Run, Show};
use bitvla_viewer::theatre::Ending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn show(policy: PolicyKind, versus: Option<PolicyKind>, runs: Vec<Run>) -> Show {
    let args = SourceArgs {
        assets: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets")),
        ..SourceArgs::default()
    };
    let choice = Choice {
        suite: "spatial".into(),
        task: 3,
        init: 7,
        policy,
        versus,
    };
    let sources = Sources::new(&args).expect("the assets of the repository");
    Show::new(Library::new(sources), choice, runs, Arc::new(|| {}))
}

/// Lets the clock run in small strides until something holds.
fn until(show: &mut Show, what: &str, enough: impl Fn(&Show) -> bool) {
    let start = Instant::now();
    while !enough(show) {
        assert!(
            start.elapsed() < Duration::from_secs(100),
            "{what} did not happen"
        );
        for pane in &show.panes {
            assert_eq!(pane.failed, None);
        }
        show.advance(0.02);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn compared_policies_begin_alike_and_the_first_difference_is_named() {
    let mut show = show(PolicyKind::Ternary, Some(PolicyKind::Full), Vec::new());
    show.open();
    assert_eq!(show.mode, Mode::Compare);
    until(&mut show, "both ends", Show::over);
    let [a, b] = show.panes.as_slice() else {
        panic!("two panes");
    };
    let hash = |pane: &bitvla_viewer::pane::Pane, step: usize| pane.track.at(step).map(|m| m.hash);
    let bits = show.parting.bits.expect("two policies differ");
    assert!(bits > 0, "the initial state is the same");
    assert_eq!(hash(a, bits - 1), hash(b, bits - 1));
    assert_ne!(hash(a, bits), hash(b, bits));
    assert!(show.parting.places.is_none_or(|places| places >= bits));
}

#[test]
fn a_policy_beside_itself_never_differs() {
    let mut show = show(PolicyKind::Ternary, Some(PolicyKind::Ternary), Vec::new());
    show.open();
    until(&mut show, "both ends", Show::over);
    assert_eq!((show.parting.bits, show.parting.places), (None, None));
}

#[test]
fn pausing_stepping_and_seeking_change_nothing() {
    let mut watched = show(PolicyKind::Ternary, None, Vec::new());
    watched.speed = 20.0;
    watched.open();
    until(&mut watched, "ten steps", |s| s.last() >= 10);
    watched.pause();
    until(&mut watched, "a stand", |s| s.at == s.at.round());
    std::thread::sleep(Duration::from_millis(200));
    watched.advance(0.0);
    let stood = watched.last();
    watched.seek(4.0);
    watched.advance(1.0);
    assert_eq!(
        (watched.at, watched.last()),
        (4.0, stood),
        "a paused clock stands"
    );
    watched.step(1);
    watched.advance(0.0);
    assert_eq!(watched.at, 5.0);
    watched.seek(stood as f64);
    watched.step(1);
    until(&mut watched, "one new step", |s| s.at == stood as f64 + 1.0);
    watched.seek(0.0);
    watched.play();
    until(&mut watched, "the end", Show::over);
    assert!(!watched.touched());

    let mut plain = show(PolicyKind::Ternary, None, Vec::new());
    plain.speed = 20.0;
    plain.open();
    until(&mut plain, "the end", Show::over);
    let hashes = |show: &Show| -> Vec<u64> {
        show.panes[0]
            .track
            .moments()
            .iter()
            .map(|m| m.hash)
            .collect()
    };
    assert_eq!(hashes(&watched), hashes(&plain));
}

/// A run folder of one episode, made as `bitvla-eval` makes it.
fn recorded(dir: &Path) -> Run {
    let probe = show(PolicyKind::Ternary, None, Vec::new());
    let opened = probe.library.open("spatial").expect("suite");
    let policy = PolicySpec::new(PolicyKind::Ternary, None, opened.assets.dir());
    let card = protocol(&opened.assets, &opened.suite, &policy, 7, None).expect("a protocol");
    let plan = RunPlan {
        tasks: vec![3],
        episodes: 1,
        jobs: 1,
        backwards: false,
    };
    run(opened.stage(7), &policy, &plan, &card, dir, &mut |_| {}).expect("a run");
    Run {
        folder: RunFolder::open(dir).expect("a run folder"),
        dir: dir.to_owned(),
    }
}

#[test]
fn a_recording_is_shown_whole_and_can_be_taken_over() {
    let dir: PathBuf = std::env::temp_dir().join(format!("bitvla-show-{}", std::process::id()));
    let run = recorded(&dir);
    let row = run.folder.episodes[0].clone();
    let mut show = show(PolicyKind::Full, None, vec![run]);
    show.playing = false;
    show.open_recorded((3, 0));
    assert_eq!(show.mode, Mode::Recorded);
    until(&mut show, "the whole recording", Show::over);
    let pane = &show.panes[0];
    let last = pane.track.moments().last().expect("moments");
    assert_eq!(
        (last.step, format!("{:016x}", last.hash)),
        (row.steps, row.state_hash)
    );
    assert_eq!(pane.track.queries().len(), row.queries);
    assert_eq!(
        pane.track.ending(),
        Some(if row.success {
            &Ending::Success
        } else {
            &Ending::Horizon
        })
    );
    show.seek(30.0);
    assert!(!show.touched());
    show.speed = 20.0;
    show.resume_here();
    assert_eq!(show.mode, Mode::Live);
    until(&mut show, "a new end", |s| s.last() > 30 && s.over());
    assert_eq!(show.panes[0].who, "full");
    show.at = show.last() as f64;
    assert!(show.touched(), "another drove the second half");
    show.seek(20.0);
    assert!(!show.touched(), "the first half is as recorded");
    std::fs::remove_dir_all(&dir).expect("the folder goes");
}
