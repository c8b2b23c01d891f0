//! Control steps per second on one core in the scenes of the spatial suite: the scripted expert's
//! episodes of tasks 0 to 9 are played back, one step of each task in turn, so that contacts, the
//! cabinet and the stove have the cost of an evaluation. Once physics only, once with both
//! 256x256 images of every step, as a policy that is queried at every step needs them.

use bitvla_sim::render::Renderer;
use bitvla_sim::{Snapshot, World};
use bitvla_tasks::{Assets, Expert, Suite, TaskError};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

/// One task: its world, the start of the episode, and the actions of the expert.
struct Episode {
    world: World,
    renderer: Renderer,
    start: Snapshot,
    actions: Vec<[f64; 7]>,
    next: usize,
}

impl Episode {
    fn record(assets: &Assets, suite: &Suite, task: usize) -> Result<Episode, TaskError> {
        let task = &suite.tasks[task];
        let mut world = task.world(assets, &task.init_states[0])?;
        for _ in 0..suite.settle_steps {
            world.step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
        }
        let start = world.snapshot();
        let goal = task.compile_goal(&world)?;
        let mut expert = Expert::new(&world, task)?;
        let mut actions = Vec::new();
        while actions.len() < suite.horizon && !goal.holds(&world) {
            let action = expert.act(&world);
            world.step(&action)?;
            actions.push(action);
        }
        let renderer = Renderer::new(world.scene())?;
        let mut episode = Episode {
            world,
            renderer,
            start,
            actions,
            next: 0,
        };
        episode.world.restore(&episode.start);
        Ok(episode)
    }

    fn step(&mut self) -> bool {
        if self.next == self.actions.len() {
            self.world.restore(&self.start);
            self.next = 0;
        }
        self.next += 1;
        self.world.step(&self.actions[self.next - 1]).is_ok()
    }

    fn look(&mut self) -> bool {
        let state = self.world.visual_state();
        ["agentview", "eye_in_hand"]
            .iter()
            .all(|camera| black_box(self.renderer.render(&state, camera, 256, 256)).is_ok())
    }
}

fn control_steps(c: &mut Criterion) {
    let assets = Assets::open(&Assets::default_dir()).expect("assets");
    let suite = Suite::load(&assets, "spatial").expect("suite");
    let mut episodes: Vec<Episode> = (0..suite.tasks.len())
        .map(|task| Episode::record(&assets, &suite, task).expect("expert's episode"))
        .collect();
    let mut group = c.benchmark_group("spatial suite, expert");
    group.throughput(Throughput::Elements(1));
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(10));
    let count = episodes.len();
    let mut turn = 0;
    group.bench_function("control step, physics only", |b| {
        b.iter(|| {
            turn = (turn + 1) % count;
            black_box(episodes[turn].step())
        });
    });
    group.bench_function("control step, physics and both 256x256 images", |b| {
        b.iter(|| {
            turn = (turn + 1) % count;
            black_box(episodes[turn].step() && episodes[turn].look())
        });
    });
}

criterion_group!(benches, control_steps);
criterion_main!(benches);
