//! Time of one 256x256 image of the small test scene, with and without a new shadow map.

use bitvla_sim::render::Renderer;
use bitvla_sim::{SceneDesc, VisualState};
use criterion::{Criterion, criterion_group, criterion_main};
use nalgebra::Isometry3;

fn frame(c: &mut Criterion) {
    let text = include_str!("../tests/shapes.toml");
    let scene: SceneDesc = toml::from_str(text).expect("scene");
    let n = scene.body_table().len();
    let mut state = VisualState {
        poses: vec![Isometry3::identity(); n],
        joint_positions: vec![0.0; n],
    };
    let mut renderer = Renderer::new(&scene).expect("renderer");
    c.bench_function("image_256_same_state", |b| {
        b.iter(|| renderer.render(&state, "front", 256, 256).expect("frame"));
    });
    c.bench_function("image_256_new_state", |b| {
        b.iter(|| {
            state.joint_positions[0] += 1.0;
            renderer.render(&state, "front", 256, 256).expect("frame")
        });
    });
}

criterion_group!(benches, frame);
criterion_main!(benches);
