//! Guarantees: every axis with levels changes what it is about and nothing else; levels grow; what an episode gets is a function of its key
//! alone; objects stay clear of each other, and what is stacked moves with what it stands on.

use bitvla_perturbations::{EpisodeKey, Perturbation, PerturbationError};
use bitvla_sim::{SceneDesc, World};
use bitvla_tasks::{Assets, InitState, Suite, Task};

struct Fixture {
    assets: Assets,
    suite: Suite,
}

impl Fixture {
    fn new(suite: &str) -> Fixture {
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        let suite = Suite::load(&assets, suite).expect("a suite");
        Fixture { assets, suite }
    }

    fn start(
        &self,
        words: &[&str],
        key: EpisodeKey,
    ) -> Result<(Task, InitState), PerturbationError> {
        let task = &self.suite.tasks[key.task];
        let state = &task.init_states[key.init];
        Perturbation::parse(words)?.start(&self.assets, (task, state), key)
    }

    fn scene(&self, words: &[&str], key: EpisodeKey) -> SceneDesc {
        let (task, state) = self.start(words, key).expect("a start");
        let perturbation = Perturbation::parse(words).expect("parsed");
        perturbation
            .scene(&self.assets, (&task, &state), key)
            .expect("a scene")
    }
}

fn key(task: usize, init: usize) -> EpisodeKey {
    EpisodeKey {
        seed: 7,
        task,
        init,
    }
}

/// Largest horizontal shift of an object, m, and the mean.
fn shifts(from: &InitState, to: &InitState) -> (f64, f64) {
    let shifts: Vec<f64> = (from.objects.iter())
        .map(|(name, a)| {
            let b = &to.objects[name];
            assert_eq!(a[2..], b[2..], "{name}");
            (a[0] - b[0]).hypot(a[1] - b[1])
        })
        .collect();
    let largest = shifts.iter().copied().fold(0.0, f64::max);
    (largest, shifts.iter().sum::<f64>() / shifts.len() as f64)
}

#[test]
fn objects_are_moved_as_far_as_the_level_says() {
    for suite in ["spatial", "object", "long"] {
        let fixture = Fixture::new(suite);
        let mut means = Vec::new();
        for level in 1..=5u8 {
            let mut mean = 0.0;
            for task in 0..10 {
                let words = format!("layout:level={level}");
                let (_, state) = fixture.start(&[&words], key(task, 0)).expect("a start");
                let (_, again) = fixture.start(&[&words], key(task, 0)).expect("a start");
                assert_eq!(state, again);
                let (largest, mean_shift) =
                    shifts(&fixture.suite.tasks[task].init_states[0], &state);
                assert!(
                    largest <= 0.03 * f64::from(level) + 1e-12,
                    "{suite} {task} {level}: {largest}"
                );
                mean += mean_shift / 10.0;
            }
            means.push(mean);
        }
        assert!(
            means.windows(2).all(|pair| pair[1] > pair[0]),
            "{suite}: {means:?}"
        );
    }
}

#[test]
fn what_is_stacked_moves_with_what_it_stands_on() {
    let fixture = Fixture::new("spatial");
    let task = fixture
        .suite
        .tasks
        .iter()
        .position(|t| t.instruction.contains("on the ramekin"))
        .expect("a task");
    for init in 0..5 {
        let (_, state) = fixture
            .start(&["layout:level=4"], key(task, init))
            .expect("a start");
        let before = &fixture.suite.tasks[task].init_states[init];
        let shift = |name: &str| {
            let (a, b) = (before.objects[name], state.objects[name]);
            [b[0] - a[0], b[1] - a[1]]
        };
        let (bowl, ramekin) = (
            shift("akita_black_bowl_1"),
            shift("glazed_rim_porcelain_ramekin_1"),
        );
        assert!(
            bowl.iter().zip(ramekin).all(|(a, b)| (a - b).abs() < 1e-12),
            "{bowl:?} {ramekin:?}"
        );
    }
}

#[test]
fn extra_objects_lie_clear_and_settle() {
    for (suite, task) in [("spatial", 0), ("object", 3), ("goal", 5), ("long", 2)] {
        let fixture = Fixture::new(suite);
        let (perturbed, state) = fixture
            .start(&["layout:distractors=5"], key(task, 1))
            .expect("a start");
        let before = &fixture.suite.tasks[task].init_states[1];
        assert_eq!(state.objects.len(), before.objects.len() + 5);
        let mut world = World::new(&perturbed.scene(&fixture.assets, &state).expect("a scene"))
            .expect("a world");
        for _ in 0..40 {
            world
                .step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])
                .expect("a step");
        }
        for (name, pose) in state
            .objects
            .iter()
            .filter(|(name, _)| name.starts_with("extra_"))
        {
            let at = world.scene().instance(name).expect("an instance");
            let now = world.instance_pose(at).translation.vector;
            let moved = (now.x - pose[0]).hypot(now.y - pose[1]);
            assert!(
                moved < 0.01 && (now.z - pose[2]).abs() < 0.01,
                "{suite} {name}: {moved} {}",
                now.z - pose[2]
            );
        }
        let goal = perturbed.compile_goal(&world).expect("a goal");
        assert!(!goal.holds(&world));
    }
}

#[test]
fn an_axis_changes_what_it_is_about_and_nothing_else() {
    let fixture = Fixture::new("goal");
    let plain = fixture.scene(&[], key(2, 3));
    for (words, changes) in [
        ("camera:level=2", "cameras"),
        ("light:level=2", "light"),
        ("light:draw=100", "light"),
        ("background:level=2", "materials"),
        ("background:draw=5,surfaces=table", "materials"),
        ("physics:mass=2,friction=0.5", "objects"),
        ("noise:level=2", "nothing"),
        ("language:level=3", "nothing"),
        ("object:paint=[1, 0, 0]", "objects"),
        ("object:scale=0.5", "objects"),
        ("layout:occluder=true", "objects"),
        ("background:environment=1", "materials"),
        ("light:strengths=[0.02, 0.16, 0.01]", "light"),
        ("camera:pos=[0.48, 0.24, 1.62]", "cameras"),
        ("event:kind=light", "nothing"),
    ] {
        let changed = fixture.scene(&[words], key(2, 3));
        let found = [
            ("cameras", plain.arena.cameras != changed.arena.cameras),
            (
                "light",
                (&plain.arena.lights, plain.arena.headlight)
                    != (&changed.arena.lights, changed.arena.headlight),
            ),
            (
                "materials",
                plain.arena.model.materials != changed.arena.model.materials,
            ),
            ("objects", plain.instances != changed.instances),
            (
                "bodies",
                plain.arena.model.bodies != changed.arena.model.bodies,
            ),
        ];
        let found: Vec<&str> = found
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name)
            .collect();
        let wanted: Vec<&str> = Some(changes)
            .filter(|c| *c != "nothing")
            .into_iter()
            .collect();
        assert_eq!(found, wanted, "{words}");
    }
    // The hand camera stays where it is.
    let moved = fixture.scene(&["camera:yaw=30"], key(2, 3));
    assert_eq!(plain.arena.cameras[1], moved.arena.cameras[1]);
    // Words and posture are those of the episode, not of the scene.
    let words = |words: &str| {
        let perturbation = Perturbation::parse(&[words]).expect("parsed");
        let task = &fixture.suite.tasks[2];
        let words = perturbation.instruction(&fixture.suite, task, key(2, 3));
        words.map(std::borrow::Cow::into_owned)
    };
    assert_eq!(
        words("language:task=4").expect("words"),
        fixture.suite.tasks[4].instruction
    );
    assert_eq!(
        words("camera:yaw=3").expect("words"),
        fixture.suite.tasks[2].instruction
    );
    let refused = words("language:task=10")
        .expect_err("no task 10")
        .to_string();
    assert!(refused.contains("expected less than 10"), "{refused}");
    let (_, state) = fixture
        .start(&["robot:variant=120"], key(2, 3))
        .expect("a start");
    let own = &fixture.suite.tasks[2].init_states[3];
    let offset: f64 = (own.robot_qpos.iter())
        .zip(state.robot_qpos)
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    assert!((offset.sqrt() - 0.2).abs() < 1e-9);
    assert_eq!(own.objects, state.objects);
}
