//! Control steps per second on one core: five objects of up to forty shapes at rest on the table,
//! the arm moving above them.

use bitvla_sim::World;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

#[path = "../tests/common/mod.rs"]
mod common;

fn control_step(c: &mut Criterion) {
    let names = [
        "akita_black_bowl",
        "akita_black_bowl",
        "plate",
        "cookies",
        "glazed_rim_porcelain_ramekin",
    ];
    let objects = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let model = common::model_file(&format!("objects/{name}.toml"));
            (model, [-0.1, -0.3 + 0.15 * i as f64, 0.95])
        })
        .collect();
    let mut world = World::new(&common::table_scene(objects)).expect("world");
    let mut step = 0u32;
    c.bench_function("control step, spatial scene", |b| {
        b.iter(|| {
            let sign = if (step / 20).is_multiple_of(2) {
                0.3
            } else {
                -0.3
            };
            step += 1;
            black_box(world.step(&[0.0, sign, 0.0, 0.0, 0.0, 0.0, -1.0])).expect("step");
        });
    });
}

criterion_group!(benches, control_step);
criterion_main!(benches);
