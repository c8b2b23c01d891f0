//! Guarantees: until its event an episode is bit for bit the one without it, whatever is to happen; then it happens, once, and a restored snapshot repeats it; the hand
//! that comes near the target sets it off; every case of LIBERO-PRO fits the tasks of the suites, or says why not.

use bitvla_perturbations::{EpisodeKey, EventKind, PRO_CASES, Perturbation};
use bitvla_sim::render::Renderer;
use bitvla_sim::{SceneDesc, World};
use bitvla_tasks::suite::BUILTIN_SUITES;
use bitvla_tasks::{Assets, SETTLE_ACTION, Suite};

const KEY: EpisodeKey = EpisodeKey {
    seed: 7,
    task: 0,
    init: 0,
};
const SETTLE_STEPS: usize = 3;
/// Control step in which the events of these tests happen.
const LATEST: usize = 4;

fn assets() -> Assets {
    Assets::open(&Assets::default_dir()).expect("assets")
}

fn world(assets: &Assets, suite: &Suite, words: &[&str], key: EpisodeKey) -> World {
    let task = &suite.tasks[key.task];
    let perturbation = Perturbation::parse(words).expect("parsed");
    perturbation
        .world(
            assets,
            (task, &task.init_states[key.init]),
            key,
            SETTLE_STEPS,
        )
        .expect("a world")
}

fn image(world: &World) -> Vec<u8> {
    let mut renderer = Renderer::new(world.scene()).expect("a renderer");
    let image = renderer.render(&world.visual_state(), "agentview", 64, 64);
    image.expect("an image").rgb
}

fn position(world: &World, name: &str) -> [f64; 3] {
    let at = world.scene().instance(name).expect("an instance");
    world.instance_pose(at).translation.vector.into()
}

/// An action that moves the arm.
const MOVE: [f64; 7] = [0.5, 0.2, -0.3, 0.0, 0.1, 0.0, -1.0];

#[test]
fn nothing_differs_before_the_event() {
    let assets = assets();
    let suite = Suite::load(&assets, "spatial").expect("a suite");
    for kind in EventKind::ALL {
        let words = format!("event:kind={},draw=1,latest={LATEST}", kind.name());
        let mut plain = world(&assets, &suite, &[], KEY);
        let mut changed = world(&assets, &suite, &[&words], KEY);
        for step in 0..SETTLE_STEPS + LATEST - 1 {
            let action = if step < SETTLE_STEPS {
                &SETTLE_ACTION
            } else {
                &MOVE
            };
            plain.step(action).expect("a step");
            changed.step(action).expect("a step");
            assert_eq!(plain.state_hash(), changed.state_hash(), "{words} {step}");
            assert!(!changed.event_happened());
        }
        assert_eq!(image(&plain), image(&changed), "{words}");
        let before = changed.snapshot();
        let after = |changed: &mut World| {
            let mut hashes = Vec::new();
            for _ in 0..3 {
                changed.step(&MOVE).expect("a step");
                hashes.push(changed.state_hash());
            }
            assert!(changed.event_happened(), "{words}");
            hashes
        };
        let first = after(&mut changed);
        for _ in 0..3 {
            plain.step(&MOVE).expect("a step");
        }
        let seen = !matches!(kind, EventKind::Sensor);
        assert_eq!(image(&plain) != image(&changed), seen, "{words}");
        let moves = |kind| {
            use EventKind::{Camera, Light, Sensor, Theme};
            !matches!(kind, Light | Camera | Theme | Sensor)
        };
        assert_eq!(
            plain.state_hash() != changed.state_hash(),
            moves(kind),
            "{words}"
        );
        let shift = |name: &str| {
            let [a, b] = [position(&plain, name), position(&changed, name)];
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        match kind {
            EventKind::Target => assert!((shift("akita_black_bowl_1") - 0.12).abs() < 0.005),
            EventKind::Receptacle => assert!((shift("plate_1") - 0.12).abs() < 0.005),
            EventKind::Distractors => {
                assert_eq!(
                    changed.scene().instances.len(),
                    plain.scene().instances.len() + 5
                );
            }
            _ => {}
        }
        changed.restore(&before);
        assert!(!changed.event_happened());
        assert_eq!(after(&mut changed), first, "{words}");
    }
}

#[test]
fn the_hand_sets_it_off() {
    let assets = assets();
    let suite = Suite::load(&assets, "spatial").expect("a suite");
    let mut world = world(&assets, &suite, &["event:kind=light"], KEY);
    let distance = |world: &World| {
        let [hand, bowl] = [
            world.observation().eef_pos,
            position(world, "akita_black_bowl_1"),
        ];
        (0..3)
            .map(|k| (hand[k] - bowl[k]).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let mut near = false;
    for step in 0..80 {
        let [hand, bowl] = [
            world.observation().eef_pos,
            position(&world, "akita_black_bowl_1"),
        ];
        let mut action = SETTLE_ACTION;
        if step >= SETTLE_STEPS {
            for k in 0..3 {
                action[k] = (8.0 * (bowl[k] - hand[k])).clamp(-1.0, 1.0);
            }
        }
        world.step(&action).expect("a step");
        near |= distance(&world) < 0.18;
        assert_eq!(world.event_happened(), near, "{step}: {}", distance(&world));
    }
    assert!(near);
}

#[test]
fn cases_of_libero_pro_fit_the_suites() {
    let assets = assets();
    for name in BUILTIN_SUITES {
        let suite = Suite::load(&assets, name).expect(name);
        for case in PRO_CASES {
            let perturbation = Perturbation::parse(case.words).expect(case.name);
            for task in [0, 3, 7] {
                let key = EpisodeKey { task, ..KEY };
                let goals = perturbation.change_goals(&suite, &[task]).expect(case.name);
                let task = &goals.tasks[task];
                let state = &task.init_states[0];
                let world = perturbation.world(&assets, (task, state), key, SETTLE_STEPS);
                let mut world = match world {
                    Ok(world) => world,
                    Err(error) => {
                        let error = error.to_string();
                        // A fixture carries the bowl.
                        if error.contains("the table carries") {
                            assert!(["swap", "pose"].contains(&case.name), "{error}");
                            continue;
                        }
                        // A drawer and a knob have neither another place nor another size.
                        let movable = task.goal().predicates.iter().any(|predicate| {
                            suite.tasks[task.id]
                                .problem
                                .objects
                                .iter()
                                .any(|o| Some(&o.name) == predicate.args.first())
                        });
                        assert!(!movable, "{name} {} {}: {error}", task.id, case.name);
                        continue;
                    }
                };
                let goal = task.compile_goal(&world).expect("a goal");
                for _ in 0..SETTLE_STEPS {
                    world.step(&SETTLE_ACTION).expect("a step");
                }
                assert!(!goal.holds(&world), "{name} {} {}", task.id, case.name);
            }
        }
    }
}

#[test]
fn a_resized_object_stands_where_it_stood() {
    let assets = assets();
    let suite = Suite::load(&assets, "spatial").expect("a suite");
    let bottom = |scene: &SceneDesc| {
        let bowl = &scene.instances[scene.instance("akita_black_bowl_1").expect("a bowl")];
        let [i, j, k, w] = bowl.pose.rotation.coords.into();
        bowl.pose.translation.z + bitvla_tasks::extent::lowest_point(&bowl.model, [w, i, j, k])
    };
    let plain = world(&assets, &suite, &[], KEY);
    let small = world(&assets, &suite, &["object:scale=0.5"], KEY);
    assert!((bottom(plain.scene()) - bottom(small.scene())).abs() < 1e-9);
}
