//! Guarantees: a lifted object is held by friction alone and slips by less than 2 mm in 5 s of shaking by 8 cm at 1 Hz;
//! a world resumes from a snapshot bit for bit and refuses one of another scene; a non-finite action moves nothing.
#![allow(clippy::unwrap_used)]

mod common;

use bitvla_sim::{Owner, SimError, World};
use common::{model_file, table_scene};
use nalgebra::Vector3;

/// Moves the grip site towards a world point (m) for some control steps.
fn drive(world: &mut World, to: [f64; 3], grip: f64, steps: usize) {
    for _ in 0..steps {
        let p = world.eef_pose().translation.vector;
        let e = Vector3::from(to) - p;
        let mut a = [0.0; 7];
        for i in 0..3 {
            a[i] = (e[i] * 20.0).clamp(-1.0, 1.0);
        }
        a[6] = grip;
        world.step(&a).unwrap();
    }
}

/// Grasps at an offset from the object's origin, lifts and shakes; returns lift and slip, mm.
fn lift_and_shake(file: &str, offset_y: f64, height: f64) -> (f64, f64) {
    let (x, y) = (-0.1, 0.05);
    let mut world = World::new(&table_scene(vec![(model_file(file), [x, y, 0.93])])).unwrap();
    drive(&mut world, [x, y + offset_y, 1.05], -1.0, 40);
    let rest = world.instance_pose(0).translation.vector;
    let (gx, gy) = (rest.x, rest.y + offset_y);
    drive(&mut world, [gx, gy, 1.0], -1.0, 20);
    drive(&mut world, [gx, gy, rest.z + height], -1.0, 40);
    drive(&mut world, [gx, gy, rest.z + height], 1.0, 20);
    assert!(world.in_contact(Owner::Robot, Owner::Instance(0)));
    drive(&mut world, [gx, gy, 1.1], 1.0, 40);
    let relative = |w: &World| {
        (w.eef_pose().inverse() * w.instance_pose(0))
            .translation
            .vector
    };
    let held = relative(&world);
    let lifted = world.instance_pose(0).translation.vector.z - rest.z;
    for i in 0..100 {
        let t = i as f64 / 20.0;
        let target = [gx, gy + 0.08 * libm::sin(std::f64::consts::TAU * t), 1.1];
        drive(&mut world, target, 1.0, 1);
    }
    drive(&mut world, [gx, gy, 1.1], 1.0, 20);
    let slip = (relative(&world) - held).norm() * 1e3;
    println!("{file}: lifted {:.1} mm, slip {slip:.2} mm", lifted * 1e3);
    (lifted * 1e3, slip)
}

#[test]
fn a_bowl_is_held_by_its_rim() {
    let (lifted, slip) = lift_and_shake("objects/akita_black_bowl.toml", 0.05, 0.035);
    assert!(
        lifted > 80.0 && slip < 2.0,
        "lifted {lifted} mm, slip {slip} mm"
    );
}

#[test]
fn a_ramekin_is_held_by_its_rim() {
    let (lifted, slip) = lift_and_shake("objects/glazed_rim_porcelain_ramekin.toml", 0.04, 0.03);
    assert!(
        lifted > 80.0 && slip < 2.0,
        "lifted {lifted} mm, slip {slip} mm"
    );
}

#[test]
fn a_box_is_held() {
    let (lifted, slip) = lift_and_shake("objects/cookies.toml", 0.0, 0.005);
    assert!(
        lifted > 80.0 && slip < 2.0,
        "lifted {lifted} mm, slip {slip} mm"
    );
}

#[test]
fn a_snapshot_resumes_bit_for_bit() {
    let bowl = model_file("objects/akita_black_bowl.toml");
    let mut world = World::new(&table_scene(vec![(bowl, [-0.1, 0.0, 0.95])])).unwrap();
    drive(&mut world, [-0.1, 0.05, 1.0], -1.0, 30);
    let snapshot = world.snapshot();
    let mut hashes = Vec::new();
    for _ in 0..2 {
        drive(&mut world, [-0.1, 0.05, 0.92], -1.0, 20);
        drive(&mut world, [-0.1, 0.05, 0.92], 1.0, 20);
        drive(&mut world, [-0.1, 0.05, 1.1], 1.0, 20);
        hashes.push(world.state_hash());
        world.restore(&snapshot);
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
#[should_panic(expected = "bodies and colliders of a snapshot")]
fn a_snapshot_of_another_scene_is_refused() {
    let empty = World::new(&table_scene(Vec::new())).unwrap();
    let bowl = model_file("objects/akita_black_bowl.toml");
    let mut world = World::new(&table_scene(vec![(bowl, [-0.1, 0.0, 0.95])])).unwrap();
    world.restore(&empty.snapshot());
}

#[test]
fn a_non_finite_action_is_refused() {
    let mut world = World::new(&table_scene(Vec::new())).unwrap();
    let before = world.state_hash();
    let mut action = [0.0; 7];
    action[3] = f64::NAN;
    let error = world.step(&action).unwrap_err();
    assert!(matches!(error, SimError::NonFiniteAction { index: 3, .. }));
    assert_eq!(world.state_hash(), before);
}
