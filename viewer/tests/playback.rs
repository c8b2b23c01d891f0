//! Guarantees of the simulation side of the window: looking at an episode changes nothing in it, going back
//! and on again leads to the same end, the insets are what the policy gets, and a hand from outside is seen
//! as such.

use bitvla_eval::{AssetArgs, AssetResolver, CameraRig, EvalContext, PolicyKind, run_episode};
use bitvla_reports::QueryRecord;
use bitvla_viewer::playback::{
    CameraImageRenderer, Command, ControlSource, EpisodeRequest, Event, MarkerKind, Pacing,
    Termination, Trajectory, spawn_worker,
};
use bitvla_viewer::suite_cache::SuiteCache;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

const KEY: (usize, usize) = (3, 7);
const LONG: Duration = Duration::from_secs(120);

fn sources() -> AssetResolver {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    AssetResolver::new(&AssetArgs {
        assets: Some(assets),
        ..AssetArgs::default()
    })
    .expect("the assets of the repository")
}

fn policy(kind: PolicyKind) -> ControlSource {
    ControlSource::Policy {
        kind,
        checkpoint: None,
        threads: 1,
    }
}

/// An actor and what it has said.
struct Watched {
    commands: Sender<Command>,
    events: Receiver<Event>,
    trajectory: Trajectory,
    grabbed: Option<[f64; 3]>,
    failed: Option<String>,
}

impl Watched {
    fn new(source: ControlSource, pacing: Pacing) -> Watched {
        let request = EpisodeRequest {
            suite_cache: SuiteCache::new(sources()),
            suite: "spatial".into(),
            task: KEY.0,
            init: KEY.1,
            seed: 7,
            control_source: source,
            pacing,
        };
        let (commands, events) = spawn_worker(request, || {}).expect("a thread");
        Watched {
            commands,
            events,
            trajectory: Trajectory::default(),
            grabbed: None,
            failed: None,
        }
    }

    fn send(&self, command: Command) {
        self.commands.send(command).expect("the actor listens");
    }

    /// Listens until something holds of what was said.
    fn until(&mut self, mut enough: impl FnMut(&Watched) -> bool) {
        while !enough(self) {
            match self.events.recv_timeout(LONG).expect("the actor goes on") {
                Event::Step(step_state) => self.trajectory.push(step_state),
                Event::Query(query) => self.trajectory.push_query(query),
                Event::Ended(termination) => self.trajectory.set_termination(termination),
                Event::Rewound(step) => self.trajectory.truncate_after(step),
                Event::Grabbed(at) => self.grabbed = at,
                Event::Failed(why) => self.failed = Some(why),
                Event::Opened(_) | Event::ControlSourceChanged(_) => {}
            }
        }
    }

    fn play_out(&mut self) {
        self.until(|w| w.trajectory.termination().is_some() || w.failed.is_some());
        assert_eq!(self.failed, None);
    }

    fn end(&self) -> (usize, u64) {
        let last = self.trajectory.steps().last().expect("moments");
        (last.step, last.hash)
    }
}

/// Steps and final state of the same episode in `bitvla-eval`.
fn evaluated(kind: PolicyKind) -> (bool, Vec<[f64; 7]>, u64) {
    let opened = sources().open("spatial").expect("suite");
    let spec = bitvla_eval::PolicySpec::new(kind, None, opened.assets.dir());
    let mut driver = spec.load().expect("policy");
    let stage: EvalContext<'_> = opened.context(7);
    let outcome = run_episode(stage, KEY.0, KEY.1, &mut driver);
    assert_eq!(outcome.record.error, "");
    (
        outcome.record.success,
        outcome.actions.actions,
        outcome.actions.state_hash,
    )
}

#[test]
fn the_window_never_changes_a_result() {
    for kind in [PolicyKind::Ternary, PolicyKind::Expert] {
        let (success, actions, hash) = evaluated(kind);
        // As fast as it goes, in real time with the ghost that tries chunks out, and step by step.
        for pacing in [Pacing::Unlimited, Pacing::RealTime(20.0), Pacing::Steps(3)] {
            let mut watched = Watched::new(policy(kind), pacing);
            if pacing == Pacing::Steps(3) {
                watched.until(|w| w.trajectory.last() == 3);
                watched.send(Command::SetPacing(Pacing::Steps(1)));
                watched.until(|w| w.trajectory.last() == 4);
                watched.send(Command::SetPacing(Pacing::Unlimited));
            }
            watched.play_out();
            assert_eq!(watched.end(), (actions.len(), hash), "{kind:?} {pacing:?}");
            let ended = watched.trajectory.termination() == Some(&Termination::Success);
            assert_eq!(ended, success, "{kind:?} {pacing:?}");
            let done: Vec<_> = watched.trajectory.steps()[1..]
                .iter()
                .filter_map(|m| m.action)
                .collect();
            assert_eq!(done, actions);
            assert!(watched.trajectory.steps().iter().all(|m| !m.intervened));
        }
    }
}

#[test]
fn going_back_and_on_again_leads_to_the_same_end() {
    for kind in [PolicyKind::Ternary, PolicyKind::Expert] {
        let mut watched = Watched::new(policy(kind), Pacing::Unlimited);
        watched.play_out();
        let end = watched.end();
        // Between snapshots, in the middle of a chunk, and at the very start.
        for step in [53, 20, 0] {
            watched.send(Command::Rewind(step));
            watched.until(|w| w.trajectory.last() == step && w.trajectory.termination().is_none());
            watched.play_out();
            assert_eq!(watched.end(), end, "{kind:?} from step {step}");
            assert!(watched.trajectory.steps().iter().all(|m| !m.intervened));
        }
    }
}

#[test]
fn a_recording_ends_in_the_recorded_state() {
    let (_, actions, hash) = evaluated(PolicyKind::Ternary);
    let query = |number: usize| QueryRecord {
        task: KEY.0,
        init: KEY.1,
        query: number,
        render_ms: 1.0,
        preprocessing_ms: 1.0,
        vision_ms: 1.0,
        language_ms: 1.0,
        head_ms: 1.0,
    };
    let queries: Vec<QueryRecord> = (0..actions.len().div_ceil(8)).map(query).collect();
    let source = ControlSource::Recorded {
        name: "ternary".into(),
        actions: bitvla_reports::EpisodeActions {
            task: KEY.0,
            init: KEY.1,
            state_hash: hash,
            actions: actions.clone(),
        },
        queries: queries.clone(),
        chunk_length: 8,
        termination: Termination::Success,
    };
    let mut watched = Watched::new(source, Pacing::Unlimited);
    watched.play_out();
    assert_eq!(watched.end(), (actions.len(), hash));
    let query: Vec<usize> = watched
        .trajectory
        .queries()
        .iter()
        .map(|q| q.step)
        .collect();
    let every_eighth: Vec<usize> = (0..queries.len()).map(|q| q * 8).collect();
    assert_eq!(query, every_eighth);
    // The timeline has what a person looks for.
    let has = |wanted: &dyn Fn(MarkerKind) -> bool| {
        watched
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
    let mut rig = CameraRig::new(world.scene()).expect("eyes");
    let mut watched = Watched::new(policy(PolicyKind::Expert), Pacing::Steps(16));
    watched.until(|w| w.trajectory.last() == 16);
    let scene = Arc::new(world.scene().clone());
    let renderer = CameraImageRenderer::start().expect("a thread");
    for step in 1..=16 {
        let step_state = watched.trajectory.get(step).expect("a step").clone();
        world
            .step(&step_state.action.expect("an action"))
            .expect("a step");
        if step % 8 != 0 {
            continue;
        }
        renderer.request(1, &scene, &step_state);
        let picture = loop {
            if let Some(picture) = renderer.take() {
                break picture.expect("a picture");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let given = rig.render(&world).expect("a view").for_policy();
        assert_eq!(picture.step, step);
        assert_eq!(picture.images.agentview, given.agentview);
        assert_eq!(picture.images.wrist, given.wrist);
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
    let mut watched = Watched::new(policy(PolicyKind::Ternary), Pacing::Paused);
    watched.until(|w| !w.trajectory.is_empty());
    // Nothing is above the rim of the bowl.
    let origin = [at[0] + 0.05, at[1], at[2] + 0.5];
    watched.send(Command::Grab {
        origin,
        direction: [0.0, 0.0, -1.0],
    });
    watched.until(|w| w.grabbed.is_some());
    let held = watched.grabbed.expect("a hold");
    watched.send(Command::MoveGrab([held[0], held[1], held[2] + 0.1]));
    watched.send(Command::SetPacing(Pacing::Steps(20)));
    watched.until(|w| w.trajectory.last() == 20);
    watched.send(Command::Release);
    watched.until(|w| w.grabbed.is_none());
    let height = |step: usize| {
        let step_state = watched.trajectory.get(step).expect("a step");
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
    assert!(!watched.trajectory.get(0).expect("start").intervened);
    assert!(watched.trajectory.get(20).expect("end").intervened);
}

#[test]
fn keys_drive_the_arm_through_the_same_seven_numbers() {
    let mut watched = Watched::new(policy(PolicyKind::Ternary), Pacing::Paused);
    watched.until(|w| !w.trajectory.is_empty());
    let up = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    watched.send(Command::Teleoperate(Some(up)));
    watched.send(Command::SetPacing(Pacing::Steps(10)));
    watched.until(|w| w.trajectory.last() == 10);
    let z = |step: usize| watched.trajectory.get(step).expect("a step").eef[2];
    assert!(z(10) > z(0) + 0.05);
    assert_eq!(watched.trajectory.get(10).expect("end").action, Some(up));
    assert!(watched.trajectory.get(10).expect("end").intervened);
    // The arm goes back to the policy, which looks afresh.
    watched.send(Command::Teleoperate(None));
    watched.send(Command::SetPacing(Pacing::Steps(1)));
    watched.until(|w| w.trajectory.last() == 11);
    assert_eq!(watched.trajectory.queries().last().expect("asked").step, 10);
}

#[test]
fn what_cannot_be_played_is_said() {
    let source = ControlSource::Policy {
        kind: PolicyKind::Ternary,
        checkpoint: Some(PathBuf::from("no/such/folder")),
        threads: 1,
    };
    let mut watched = Watched::new(source, Pacing::Unlimited);
    watched.until(|w| w.failed.is_some());
    let why = watched.failed.expect("words");
    assert!(why.contains("no/such/folder"), "{why}");
}
