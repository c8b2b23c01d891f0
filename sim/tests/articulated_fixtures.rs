//! Guarantees: drawers, knobs and doors are joints with the damping and the limits of `docs/reference/libero.md`, section
//! 6: gravity pulls a drawer of a cabinet laid on its back at the speed that 50 N s/m allow and the
//! drawer stops at the end of its range, or where it meets the frame of the cabinet; a door follows the equation of a damped pendulum.

mod common;

use bitvla_sim::{InstanceDesc, ModelDesc, SceneDesc, World, isometry};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use std::sync::Arc;

const HOLD_STILL: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];
const GRAVITY: f64 = 9.81;

/// A fixture turned by an angle about x, off the table and far from the robot.
fn world_with_turned(model: ModelDesc, about_x: f64) -> World {
    let turn = UnitQuaternion::from_scaled_axis(Vector3::x() * about_x);
    let mut scene: SceneDesc = common::table_scene(Vec::new());
    scene.instances.push(InstanceDesc {
        name: "fixture".into(),
        pose: Isometry3::from_parts(Translation3::new(0.0, 3.0, 2.0), turn)
            * isometry([0.0; 3], common::UPRIGHT),
        model: Arc::new(model),
        fixed: true,
        joint_positions: Default::default(),
    });
    World::new(&scene).expect("world")
}

fn joint_after(world: &mut World, steps: usize, joint: &str) -> f64 {
    for _ in 0..steps {
        world.step(&HOLD_STILL).expect("step");
    }
    world.joint_position(0, joint).expect("joint")
}

#[test]
fn a_drawer_slides_against_its_damping_to_the_end_of_its_range() {
    let cabinet = || common::model_file("fixtures/wooden_cabinet.toml");
    // Local y points up, so gravity opens the drawers, which counts downwards.
    let mut world = world_with_turned(cabinet(), std::f64::consts::FRAC_PI_2);
    let (mass, damping, secs) = (3.0, 50.0, 0.25);
    let delay = mass / damping;
    let expected = mass * GRAVITY / damping * (secs - delay * (1.0 - libm::exp(-secs / delay)));
    for (name, more) in [("top_level", 5), ("middle_level", 0), ("bottom_level", 0)] {
        let q = joint_after(&mut world, more, name);
        assert!(
            (q + expected).abs() < 0.003,
            "{name}: {q} m, expected {:.4}",
            -expected
        );
    }
    let q = joint_after(&mut world, 20, "top_level");
    assert!((q + 0.16).abs() < 0.002, "open end at {q} m");
    let mut world = world_with_turned(cabinet(), -std::f64::consts::FRAC_PI_2);
    let q = joint_after(&mut world, 20, "top_level");
    // Its range ends at 10 mm; its back meets the frame before.
    assert!((q - 0.0048).abs() < 0.0005, "closed end at {q} m");
}

#[test]
fn a_door_swings_as_a_damped_pendulum_within_its_range() {
    let door = r#"
name = "door"
[[bodies]]
name = "frame"
[[bodies]]
name = "leaf"
parent = "frame"
joint = { name = "hinge", kind = "hinge", axis = [0.0, 0.0, 1.0], range = [-2.094, 0.0], damping = 0.5 }
inertia = { mass = 1.0, com = [0.2, 0.0, 0.0], diagonal = [0.01, 0.01, 0.01] }
"#;
    let door: ModelDesc = toml::from_str(door).expect("door");
    // The hinge lies along -y of the world, so that gravity pulls the leaf from horizontal to negative angles.
    let mut world = world_with_turned(door.clone(), std::f64::consts::FRAC_PI_2);
    let (mut q, mut rate) = (0.0f64, 0.0f64);
    let (inertia, dt) = (0.01 + 0.2 * 0.2, 1e-5);
    for step in 1..=20 {
        for _ in 0..5000 {
            let torque = -GRAVITY * 0.2 * libm::cos(q) - 0.5 * rate;
            rate += torque / inertia * dt;
            q += rate * dt;
        }
        let found = joint_after(&mut world, 1, "hinge");
        assert!(
            (found - q).abs() < 0.02,
            "step {step}: {found} rad, expected {q:.4}"
        );
    }
    let mut world = world_with_turned(door, -std::f64::consts::FRAC_PI_2);
    let q = joint_after(&mut world, 20, "hinge");
    assert!(q.abs() < 0.01, "the door left its range: {q} rad");
}
