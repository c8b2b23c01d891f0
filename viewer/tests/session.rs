//! Guarantees of the session: compared episodes start in the same state and their first difference is found; pausing,
//! stepping and seeking do not change an episode; continuing a recording is live and marked as an intervention.

use bitvla_eval::{
    AssetArgs, AssetResolver, PolicyName, PolicyOptions, PolicySpec, RunContext, RunPlan,
    open_run_folder, protocol, run, simulation_protocol,
};
use bitvla_viewer::playback::Termination;
use bitvla_viewer::session::{EpisodeSelection, LoadedRun, Session, SessionMode};
use bitvla_viewer::suite_cache::SuiteCache;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A policy by its name.
fn named(name: &str) -> PolicyName {
    name.parse().expect("a policy")
}

fn session(policy: PolicyName, versus: Option<PolicyName>, runs: Vec<LoadedRun>) -> Session {
    let args = AssetArgs {
        assets: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets")),
        ..AssetArgs::default()
    };
    let selection = EpisodeSelection {
        suite: "spatial".into(),
        task: 3,
        init: 7,
        policy,
        versus,
        perturbation: Vec::new(),
    };
    let sources = AssetResolver::new(&args).expect("the assets of the repository");
    Session::new(SuiteCache::new(sources), selection, runs, Arc::new(|| {}))
}

/// Advances the session in small strides until a condition holds.
fn until(session: &mut Session, what: &str, enough: impl Fn(&Session) -> bool) {
    let start = Instant::now();
    while !enough(session) {
        assert!(
            start.elapsed() < Duration::from_secs(100),
            "{what} did not happen"
        );
        for episode in &session.episodes {
            assert_eq!(episode.failed, None);
        }
        session.advance(0.02);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn compared_policies_begin_alike_and_the_first_difference_is_named() {
    let mut session = session(named("ternary"), Some(named("full")), Vec::new());
    session.open();
    assert_eq!(session.mode, SessionMode::Compare);
    until(&mut session, "both ends", Session::finished);
    let [a, b] = session.episodes.as_slice() else {
        panic!("two episodes");
    };
    let hash = |episode: &bitvla_viewer::session::EpisodePlayback, step: usize| {
        episode.trajectory.get(step).map(|m| m.hash)
    };
    let state = session.divergence.state.expect("two policies differ");
    assert!(state > 0, "the initial state is the same");
    assert_eq!(hash(a, state - 1), hash(b, state - 1));
    assert_ne!(hash(a, state), hash(b, state));
    assert!(session.divergence.pose.is_none_or(|pose| pose >= state));
}

#[test]
fn a_policy_beside_itself_never_differs() {
    let mut session = session(named("ternary"), Some(named("ternary")), Vec::new());
    session.open();
    until(&mut session, "both ends", Session::finished);
    assert_eq!(
        (session.divergence.state, session.divergence.pose),
        (None, None)
    );
}

#[test]
fn pausing_stepping_and_seeking_change_nothing() {
    let mut watched = session(named("ternary"), None, Vec::new());
    watched.speed = 20.0;
    watched.open();
    until(&mut watched, "ten steps", |s| s.last() >= 10);
    watched.pause();
    until(&mut watched, "a standstill", Session::is_settled);
    let stood = watched.last();
    watched.seek(4.0);
    watched.advance(1.0);
    assert_eq!(
        (watched.playhead, watched.last()),
        (4.0, stood),
        "a paused playhead does not move"
    );
    watched.step(1);
    watched.advance(0.0);
    assert_eq!(watched.playhead, 5.0);
    watched.seek(stood as f64);
    watched.step(1);
    until(&mut watched, "one new step", |s| {
        s.playhead == stood as f64 + 1.0
    });
    watched.seek(0.0);
    watched.play();
    until(&mut watched, "the end", Session::finished);
    assert!(!watched.intervened());

    let mut plain = session(named("ternary"), None, Vec::new());
    plain.speed = 20.0;
    plain.open();
    until(&mut plain, "the end", Session::finished);
    let hashes = |session: &Session| -> Vec<u64> {
        session.episodes[0]
            .trajectory
            .steps()
            .iter()
            .map(|m| m.hash)
            .collect()
    };
    assert_eq!(hashes(&watched), hashes(&plain));
}

/// A run folder of one episode, made as `bitvla-eval` makes it.
fn recorded(dir: &Path) -> LoadedRun {
    let probe = session(named("ternary"), None, Vec::new());
    let opened = probe.suite_cache.open("spatial").expect("suite");
    let spec = PolicySpec::new(
        named("ternary"),
        PolicyOptions::default(),
        opened.assets.dir(),
    );
    let factory = spec.for_suite(&opened.suite).factory().expect("a policy");
    let context = RunContext {
        loaded: Arc::clone(&opened),
        seed: 7,
        factory: factory.into(),
    };
    let simulation = simulation_protocol(context.episodes(), &[3]).expect("a world");
    let protocol =
        protocol(context.episodes(), &*context.factory, &simulation).expect("a protocol");
    let plan = RunPlan::new(vec![3], 1);
    run(&context, &plan, &protocol, dir, &mut |_| {}).expect("a run");
    LoadedRun {
        folder: open_run_folder(dir).expect("a run folder"),
        dir: dir.to_owned(),
    }
}

#[test]
fn a_recording_is_shown_whole_and_can_be_taken_over() {
    let dir: PathBuf = std::env::temp_dir().join(format!("bitvla-show-{}", std::process::id()));
    let run = recorded(&dir);
    let row = run.folder.episodes[0].clone();
    let mut session = session(named("full"), None, vec![run]);
    session.playing = false;
    session.open_recorded((3, 0));
    assert_eq!(session.mode, SessionMode::Recorded);
    until(&mut session, "the whole recording", Session::finished);
    let episode = &session.episodes[0];
    let last = episode.trajectory.steps().last().expect("steps");
    assert_eq!(
        (last.step, format!("{:016x}", last.hash)),
        (row.steps, row.state_hash)
    );
    assert_eq!(episode.trajectory.queries().len(), row.queries);
    assert_eq!(
        episode.trajectory.termination(),
        Some(if row.success {
            &Termination::Success
        } else {
            &Termination::Horizon
        })
    );
    session.seek(30.0);
    assert!(!session.intervened());
    session.speed = 20.0;
    session.continue_live();
    assert_eq!(session.mode, SessionMode::Live);
    until(&mut session, "a new end", |s| s.last() > 30 && s.finished());
    assert_eq!(session.episodes[0].name, "full");
    session.playhead = session.last() as f64;
    assert!(
        session.intervened(),
        "another policy acted in the second half"
    );
    session.seek(20.0);
    assert!(!session.intervened(), "the first half is as recorded");
    std::fs::remove_dir_all(&dir).expect("the folder is removed");
}
