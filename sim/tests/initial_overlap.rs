//! Free objects that overlap where a scene begins push each other apart and keep the velocity; objects that meet later, or of
//! which one is in the table, do not; a snapshot taken while they still overlap continues bit for bit.
#![allow(clippy::unwrap_used)]

mod common;

use bitvla_sim::World;
use common::table_scene;

const WAIT: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

/// Two cubes of 6 cm side by side, `overlap` (m) in each other, their centres `height` (m) above the floor.
fn two_cubes(overlap: f64, height: f64) -> World {
    let cube = r#"
name = "cube"
[[bodies]]
name = "cube"
[[bodies.collision]]
shape = { box = { half = [0.03, 0.03, 0.03] } }
friction = 0.95
density = 100.0
"#;
    let cube: bitvla_sim::ModelDesc = toml::from_str(cube).unwrap();
    let first = (cube.clone(), [0.05, 0.0, height]);
    let second = (cube, [0.05, 0.06 - overlap, height]);
    World::new(&table_scene(vec![first, second])).unwrap()
}

/// Distance between the two cubes after `steps` control steps less that at the start, m.
fn moved_apart(world: &mut World, steps: usize) -> f64 {
    let distance = |world: &World| {
        let [a, b] = [0, 1].map(|i| world.instance_pose(i).translation.vector);
        (a - b).norm()
    };
    let start = distance(world);
    for _ in 0..steps {
        world.step(&WAIT).unwrap();
    }
    distance(world) - start
}

#[test]
fn only_objects_that_overlap_at_the_start_fly_apart() {
    // In the air: 4 mm of overlap become a distance of more than 4 mm within 0.1 s.
    let in_the_air = moved_apart(&mut two_cubes(0.004, 1.2), 2);
    assert!(in_the_air > 0.008, "{in_the_air} m");
    // Less than the setting: they separate and stay.
    let shallow = moved_apart(&mut two_cubes(0.0003, 1.2), 2);
    assert!(shallow < 0.0005, "{shallow} m");
    // No overlap: nothing moves them.
    let apart = moved_apart(&mut two_cubes(-0.001, 1.2), 2);
    assert!(apart.abs() < 1e-4, "{apart} m");
}

#[test]
fn a_snapshot_in_the_middle_of_an_overlap_continues_bit_for_bit() {
    let mut world = two_cubes(0.02, 1.2);
    let start = world.snapshot();
    let run = |world: &mut World, steps: usize| {
        for _ in 0..steps {
            world.step(&WAIT).unwrap();
        }
        world.state_hash()
    };
    let whole = run(&mut world, 10);
    world.restore(&start);
    run(&mut world, 1);
    let middle = world.snapshot();
    let mut other = two_cubes(0.0, 1.3);
    run(&mut other, 3);
    other.restore(&middle);
    assert_eq!(run(&mut other, 9), whole);
}
