//! Guarantee: an image depends on the state, the camera and the size only. A renderer that has drawn other states
//! before, and keeps what it drew of things that did not move, gives the bytes of a new one.

use bitvla_sim::render::Renderer;
use bitvla_sim::{SceneDesc, VisualState};
use nalgebra::{Isometry3, Vector3};

/// Each shape of the test scene on a body of its own, a box in the place of another box, and a shape that a joint shows.
fn scene_of_parts() -> SceneDesc {
    let text = include_str!("shapes.toml");
    let mut parts = text.split("[[arena.model.bodies.visual]]");
    let mut scene = parts.next().unwrap_or_default().to_owned();
    for (i, part) in parts.enumerate() {
        scene += &format!(
            "[[arena.model.bodies]]\nname = \"part{i}\"\nparent = \"world\"\n[[arena.model.bodies.visual]]{part}"
        );
    }
    let more = r#"
[[arena.model.bodies]]
name = "twin"
parent = "world"
[[arena.model.bodies.visual]]
shape = { box = { half = [0.04, 0.06, 0.03] } }
pos = [0.2, 0.15, 0.03]
material = "plain"

[[arena.model.bodies]]
name = "lamp"
parent = "world"
joint = { name = "switch", kind = "hinge", axis = [0.0, 0.0, 1.0], range = [0.0, 1.0] }
[[arena.model.bodies.visual]]
shape = { sphere = { radius = 0.04 } }
pos = [0.0, 0.05, 0.2]
material = "plain"
visible_when = { joint = "switch", at_least = 0.5 }

[arena.model.materials.wood]"#;
    let scene = scene.replace("\n[arena.model.materials.wood]", more);
    toml::from_str(&scene).unwrap_or_else(|e| panic!("scene: {e}"))
}

/// State `step` of a story in which things move, rest, coincide and vanish; bodies 1 to 7 are the parts, 8 the twin of
/// part 1, 9 the lamp.
fn state(scene: &SceneDesc, step: usize) -> VisualState {
    let n = scene.body_table().len();
    let mut state = VisualState {
        poses: vec![Isometry3::identity(); n],
        joint_positions: vec![0.0; n],
    };
    let s = step as f64;
    let turned = |angle: f64, x: f64, z: f64| {
        Isometry3::new(Vector3::new(x, 0.02 * angle, z), Vector3::z() * angle)
    };
    // Always in motion, above the others.
    state.poses[3] = turned(0.1 * s, 0.1, 0.15);
    // The twin: apart, in the place of part 1 in every third state, at rest there in the end.
    if !step.is_multiple_of(3) && step < 18 {
        state.poses[8] = turned(0.0, 0.01 * s, 0.04);
    }
    // Moved once, in the middle, and the whole plank with all that stands on it later.
    if step >= 8 {
        state.poses[6] = turned(0.3, 0.03, 0.0);
    }
    if step >= 14 {
        state.poses[1] = turned(0.05, 0.0, -0.01);
    }
    state.joint_positions[9] = if (5..12).contains(&step) { 1.0 } else { 0.0 };
    state
}

#[test]
fn what_was_drawn_before_does_not_change_an_image() {
    let scene = scene_of_parts();
    let mut used = Renderer::new(&scene).expect("renderer");
    let mut compare = |step: usize, camera: &str, [width, height]: [usize; 2]| {
        let state = state(&scene, step);
        let mut new = Renderer::new(&scene).expect("renderer");
        let expected = new.render(&state, camera, width, height).expect("image");
        let image = used.render(&state, camera, width, height).expect("image");
        assert!(
            image == expected,
            "state {step}, {camera}, {width} by {height}"
        );
    };
    for step in 0..36 {
        compare(step, "front", [97, 71]);
        if step % 4 == 3 {
            compare(step, "close", [64, 64]);
            compare(step, "close", [64, 64]);
        }
    }
    // A restored snapshot, another size, and back.
    for (step, size) in [
        (2, [97, 71]),
        (3, [97, 71]),
        (3, [80, 60]),
        (4, [80, 60]),
        (35, [80, 60]),
        (35, [97, 71]),
    ] {
        compare(step, "front", size);
    }
}
