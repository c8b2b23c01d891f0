//! Guarantees of playback: observing an episode does not change it, rewinding and continuing ends in the same state, the
//! insets are pixel-identical to the policy's observation, and interventions are marked.

use bitvla_eval::{AssetArgs, AssetResolver, CameraRig, PolicyName, PolicyOptions, run_episode};
use bitvla_reports::QueryRecord;
use bitvla_viewer::playback::{
    CameraImageRenderer, Command, ControlSource, EpisodeRequest, Event, MarkerKind, Pacing,
    Recording, Termination, Trajectory, WorkerHandle,
};
use bitvla_viewer::suite_cache::SuiteCache;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const KEY: (usize, usize) = (3, 7);
const EVENT_TIMEOUT: Duration = Duration::from_secs(120);

/// A policy by its name.
fn named(name: &str) -> PolicyName {
    name.parse().expect("a policy")
}

fn sources() -> AssetResolver {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    AssetResolver::new(&AssetArgs {
        assets: Some(assets),
        ..AssetArgs::default()
    })
    .expect("the assets of the repository")
}

fn policy(name: PolicyName) -> ControlSource {
    ControlSource::Policy {
        name,
        options: PolicyOptions::default(),
    }
}

/// An episode worker and what its events have reported.
struct TestEpisode {
    worker: WorkerHandle,
    trajectory: Trajectory,
    grabbed: Option<[f64; 3]>,
    failed: Option<String>,
}

impl TestEpisode {
    fn new(source: ControlSource, pacing: Pacing) -> TestEpisode {
        let request = EpisodeRequest {
            suite_cache: SuiteCache::new(sources()),
            suite: "spatial".into(),
            task: KEY.0,
            init: KEY.1,
            seed: 7,
            perturbation: Vec::new(),
            control_source: source,
            pacing,
        };
        TestEpisode {
            worker: WorkerHandle::spawn(request, || {}).expect("a thread"),
            trajectory: Trajectory::default(),
            grabbed: None,
            failed: None,
        }
    }

    fn send(&self, command: Command) {
        self.worker.send(command);
    }

    /// Takes in events until a condition holds.
    fn until(&mut self, mut enough: impl FnMut(&TestEpisode) -> bool) {
        while !enough(self) {
            match self
                .worker
                .wait_event(EVENT_TIMEOUT)
                .expect("the worker runs")
            {
                Event::Step(step_state) => self.trajectory.push(step_state),
                Event::Query(query) => self.trajectory.push_query(query),
                Event::Ended(termination) => self.trajectory.set_termination(termination),
                Event::Rewound(step) => self.trajectory.truncate_after(step),
                Event::Grabbed(at) => self.grabbed = at,
                Event::Failed(reason) => self.failed = Some(reason),
                Event::Opened(_) | Event::ControlSourceChanged(_) => {}
            }
        }
    }

    fn run_to_end(&mut self) {
        self.until(|e| e.trajectory.termination().is_some() || e.failed.is_some());
        assert_eq!(self.failed, None);
    }

    fn end(&self) -> (usize, u64) {
        let last = self.trajectory.steps().last().expect("steps");
        (last.step, last.hash)
    }
}

/// Steps and final state of the same episode in `bitvla-eval`.
fn evaluated(name: PolicyName) -> (bool, Vec<[f64; 7]>, u64) {
    let opened = sources().open("spatial").expect("suite");
    let spec = bitvla_eval::PolicySpec::new(name, PolicyOptions::default(), opened.assets.dir());
    let factory = spec.for_suite(&opened.suite).factory().expect("policy");
    let mut agent = factory.make().expect("an agent");
    let outcome = run_episode(opened.context(7), KEY, &*factory, &mut *agent);
    assert_eq!(outcome.record.error, "");
    (
        outcome.record.success,
        outcome.actions.actions,
        outcome.actions.state_hash,
    )
}

#[test]
fn the_window_never_changes_a_result() {
    for kind in [named("ternary"), named("expert")] {
        let (success, actions, hash) = evaluated(kind.clone());
        // Without waiting, in real time with the lookahead world, and step by step.
        for pacing in [Pacing::Unlimited, Pacing::RealTime(20.0), Pacing::Steps(3)] {
            let mut episode = TestEpisode::new(policy(kind.clone()), pacing);
            if pacing == Pacing::Steps(3) {
                episode.until(|e| e.trajectory.last() == 3);
                episode.send(Command::SetPacing(Pacing::Steps(1)));
                episode.until(|e| e.trajectory.last() == 4);
                episode.send(Command::SetPacing(Pacing::Unlimited));
            }
            episode.run_to_end();
            assert_eq!(episode.end(), (actions.len(), hash), "{kind:?} {pacing:?}");
            let ended = episode.trajectory.termination() == Some(&Termination::Success);
            assert_eq!(ended, success, "{kind:?} {pacing:?}");
            let done: Vec<_> = episode.trajectory.steps()[1..]
                .iter()
                .filter_map(|m| m.action)
                .collect();
            assert_eq!(done, actions);
            assert!(episode.trajectory.steps().iter().all(|m| !m.intervened));
        }
    }
}

#[test]
fn going_back_and_on_again_leads_to_the_same_end() {
    for kind in [named("ternary"), named("expert")] {
        let mut episode = TestEpisode::new(policy(kind.clone()), Pacing::Unlimited);
        episode.run_to_end();
        let end = episode.end();
        // Between snapshots, in the middle of a chunk, and at the very start.
        for step in [53, 20, 0] {
            episode.send(Command::Rewind(step));
            episode.until(|e| e.trajectory.last() == step && e.trajectory.termination().is_none());
            episode.run_to_end();
            assert_eq!(episode.end(), end, "{kind:?} from step {step}");
            assert!(episode.trajectory.steps().iter().all(|m| !m.intervened));
        }
    }
}

#[test]
fn a_recording_ends_in_the_recorded_state() {
    let (_, actions, hash) = evaluated(named("ternary"));
    let query = |number: usize| QueryRecord {
        task: KEY.0,
        init: KEY.1,
        query: number,
        render_ms: 1.0,
        preprocessing_ms: 1.0,
        vision_ms: 1.0,
        language_ms: 1.0,
        head_ms: 1.0,
        ..QueryRecord::default()
    };
    let queries: Vec<QueryRecord> = (0..actions.len().div_ceil(8)).map(query).collect();
    let source = ControlSource::Recorded(Recording {
        name: "ternary".into(),
        actions: bitvla_reports::EpisodeActions {
            task: KEY.0,
            init: KEY.1,
            state_hash: hash,
            actions: actions.clone(),
        },
        queries: queries.clone(),
        executed_steps: 8,
        termination: Termination::Success,
    });
    let mut episode = TestEpisode::new(source, Pacing::Unlimited);
    episode.run_to_end();
    assert_eq!(episode.end(), (actions.len(), hash));
    let query: Vec<usize> = episode
        .trajectory
        .queries()
        .iter()
        .map(|q| q.step)
        .collect();
    let every_eighth: Vec<usize> = (0..queries.len()).map(|q| q * 8).collect();
    assert_eq!(query, every_eighth);
    // The timeline has the markers.
    let has = |wanted: &dyn Fn(MarkerKind) -> bool| {
        episode
            .trajectory
            .markers()
            .iter()
            .any(|marker| wanted(marker.kind))
    };
    assert!(has(&|k| k == MarkerKind::Gripper(true)));
    assert!(has(&|k| matches!(k, MarkerKind::ContactBegin(_))));
    assert!(has(&|k| k == MarkerKind::Predicate(0, true)));
    assert!(has(&|k| k == MarkerKind::Success));
}

#[test]
fn the_insets_are_what_the_policy_gets() {
    let opened = sources().open("spatial").expect("suite");
    let mut world = opened
        .context(7)
        .settled_world(KEY.0, KEY.1)
        .expect("world");
    let mut rig = CameraRig::new(world.scene()).expect("cameras");
    let mut episode = TestEpisode::new(policy(named("expert")), Pacing::Steps(16));
    episode.until(|e| e.trajectory.last() == 16);
    let scene = Arc::new(world.scene().clone());
    let renderer = CameraImageRenderer::start().expect("a thread");
    for step in 1..=16 {
        let step_state = episode.trajectory.get(step).expect("a step").clone();
        world
            .step(&step_state.action.expect("an action"))
            .expect("a step");
        if step % 8 != 0 {
            continue;
        }
        renderer.request(1, &scene, &step_state);
        let rendered = loop {
            if let Some(rendered) = renderer.take() {
                break rendered.expect("images");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let given = rig
            .render(&world)
            .expect("a view")
            .for_policy(bitvla_policies::Flip::default());
        assert_eq!(rendered.step_state.step, step);
        assert_eq!(rendered.images.agentview, given.agentview);
        assert_eq!(rendered.images.wrist, given.wrist);
    }
}

#[test]
fn a_dragged_object_follows_and_the_episode_is_marked() {
    let opened = sources().open("spatial").expect("suite");
    let world = opened
        .context(7)
        .settled_world(KEY.0, KEY.1)
        .expect("world");
    let bowl = world.scene().instance("akita_black_bowl_2").expect("bowl");
    let at: [f64; 3] = world.instance_pose(bowl).translation.vector.into();
    let mut episode = TestEpisode::new(policy(named("ternary")), Pacing::Paused);
    episode.until(|e| !e.trajectory.is_empty());
    // Nothing is above the rim of the bowl.
    let origin = [at[0] + 0.05, at[1], at[2] + 0.5];
    episode.send(Command::Grab {
        origin,
        direction: [0.0, 0.0, -1.0],
    });
    episode.until(|e| e.grabbed.is_some());
    let held = episode.grabbed.expect("a hold");
    episode.send(Command::MoveGrab([held[0], held[1], held[2] + 0.1]));
    episode.send(Command::SetPacing(Pacing::Steps(20)));
    episode.until(|e| e.trajectory.last() == 20);
    episode.send(Command::Release);
    episode.until(|e| e.grabbed.is_none());
    let height = |step: usize| {
        let step_state = episode.trajectory.get(step).expect("a step");
        let table = world.scene().body_table();
        let row = table
            .iter()
            .position(|b| b.owner == bitvla_sim::Owner::Instance(bowl))
            .expect("row");
        step_state.visual.poses[row].translation.z
    };
    assert!(
        height(20) > height(0) + 0.05,
        "{} {}",
        height(0),
        height(20)
    );
    assert!(!episode.trajectory.get(0).expect("start").intervened);
    assert!(episode.trajectory.get(20).expect("end").intervened);
}

#[test]
fn keys_drive_the_arm_through_the_same_seven_numbers() {
    let mut episode = TestEpisode::new(policy(named("ternary")), Pacing::Paused);
    episode.until(|e| !e.trajectory.is_empty());
    let up = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    episode.send(Command::Teleoperate(Some(up)));
    episode.send(Command::SetPacing(Pacing::Steps(10)));
    episode.until(|e| e.trajectory.last() == 10);
    let z = |step: usize| episode.trajectory.get(step).expect("a step").eef[2];
    assert!(z(10) > z(0) + 0.05);
    assert_eq!(episode.trajectory.get(10).expect("end").action, Some(up));
    assert!(episode.trajectory.get(10).expect("end").intervened);
    // The policy resumes control with a new query.
    episode.send(Command::Teleoperate(None));
    episode.send(Command::SetPacing(Pacing::Steps(1)));
    episode.until(|e| e.trajectory.last() == 11);
    assert_eq!(
        episode.trajectory.queries().last().expect("a query").step,
        10
    );
}

#[test]
fn an_episode_that_cannot_be_played_reports_the_reason() {
    let source = ControlSource::Policy {
        name: named("ternary"),
        options: PolicyOptions {
            checkpoint: Some(PathBuf::from("no/such/folder")),
            ..PolicyOptions::default()
        },
    };
    let mut episode = TestEpisode::new(source, Pacing::Unlimited);
    episode.until(|e| e.failed.is_some());
    let reason = episode.failed.expect("a message");
    assert!(reason.contains("no/such/folder"), "{reason}");
}
