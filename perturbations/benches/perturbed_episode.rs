//! Time of a perturbed episode beside a plain one, in one run: the world is built and settled, and 80 control steps are made, in every eighth of which both
//! 256x256 images are drawn and filtered, as for a policy that answers with chunks of eight actions. Tasks 0 to 9 of the spatial suite in turn.

use bitvla_perturbations::{EpisodeKey, Perturbation};
use bitvla_sim::render::Renderer;
use bitvla_tasks::{Assets, SETTLE_ACTION, Suite};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

const STEPS: usize = 80;
const CHUNK: usize = 8;
const SIDE: usize = 256;
/// An action that moves the arm without touching anything.
const MOVE: [f64; 7] = [0.1, 0.05, 0.0, 0.0, 0.0, 0.1, -1.0];
/// Every axis; noise needs every image.
const CASES: [&str; 12] = [
    "",
    "language:level=3",
    "layout:level=3",
    "layout:distractors=5",
    "object:scale=0.9",
    "robot:level=3",
    "background:level=3",
    "light:level=3",
    "camera:level=3",
    "event:kind=light,latest=40",
    "event:kind=distractors,latest=40",
    "noise:level=6",
];

fn episode(assets: &Assets, suite: &Suite, perturbation: &Perturbation, task: usize) -> u64 {
    let known = &suite.tasks[task];
    let key = EpisodeKey {
        seed: 7,
        task,
        init: 0,
    };
    let state = (known, &known.init_states[0]);
    let world = perturbation.world(assets, state, key, suite.settle_steps);
    let mut world = world.expect("a world");
    for _ in 0..suite.settle_steps {
        world.step(&SETTLE_ACTION).expect("a step");
    }
    let words = perturbation.instruction(suite, known, key).expect("words");
    let mut filter = perturbation.image_filter(key);
    let mut renderer = Renderer::new(world.scene()).expect("a renderer");
    let mut drawn_after_event = false;
    let mut sum = words.len() as u64;
    for step in 0..STEPS {
        if step % CHUNK == 0 {
            let happened = world.event_happened();
            if happened != drawn_after_event {
                renderer = Renderer::new(world.scene()).expect("a renderer");
                drawn_after_event = happened;
            }
            let state = world.visual_state();
            let mut draw = |camera: &str| {
                renderer
                    .render(&state, camera, SIDE, SIDE)
                    .expect("an image")
                    .rgb
            };
            let (mut agentview, mut wrist) = (draw("agentview"), draw("eye_in_hand"));
            if let Some(filter) = &mut filter {
                filter.apply((step, happened), (&mut agentview, &mut wrist), SIDE);
            }
            sum += u64::from(agentview[0]) + u64::from(wrist[0]);
        }
        world.step(&MOVE).expect("a step");
    }
    sum
}

fn perturbed_episodes(c: &mut Criterion) {
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let suite = Suite::load(&assets, "spatial").expect("suite");
    let mut group = c.benchmark_group("episode");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(8));
    for case in CASES {
        let words: Vec<&str> = Some(case)
            .filter(|case| !case.is_empty())
            .into_iter()
            .collect();
        let perturbation = Perturbation::parse(&words).expect(case);
        let name = if case.is_empty() { "plain" } else { case };
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = (turn + 1) % suite.tasks.len();
                black_box(episode(&assets, &suite, &perturbation, turn))
            });
        });
    }
}

criterion_group!(benches, perturbed_episodes);
criterion_main!(benches);
