//! Guarantees: a spring of a joint moves it as in MuJoCo; collision bits decide what touches; a world is refused whose
//! numbers the engine could not hold (poses, masses, start positions), with the name of what is wrong.

mod common;

use bitvla_sim::{
    BodyDesc, CollisionDesc, InertiaDesc, InstanceDesc, JointDesc, JointKind, ModelDesc, Owner,
    SceneDesc, ShapeDesc, World, isometry,
};
use std::sync::Arc;

const HOLD_STILL: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

fn ball(bits: [u32; 2]) -> CollisionDesc {
    let mut ball = common::shape(
        ShapeDesc::Sphere { radius: 0.03 },
        [0.0; 3],
        common::UPRIGHT,
        100.0,
    );
    [ball.contype, ball.conaffinity] = bits;
    ball
}

/// A fixture with a door on a hinge about the vertical.
fn door(stiffness: f64) -> ModelDesc {
    let mut model = common::one_body("door", Vec::new());
    model.bodies.push(BodyDesc {
        name: "leaf".into(),
        parent: Some("object".into()),
        joint: Some(JointDesc {
            name: "swing".into(),
            kind: JointKind::Hinge,
            axis: [0.0, 0.0, 1.0],
            range: [-2.094, 0.0],
            damping: 0.5,
            friction_loss: 0.0,
            armature: 0.0,
            stiffness,
            spring_reference: 0.0,
        }),
        inertia: Some(InertiaDesc {
            mass: 0.26,
            com: [0.15, 0.0, 0.0],
            diagonal: [0.0008, 0.0025, 0.0018],
            quat_wxyz: common::UPRIGHT,
        }),
        ..model.bodies[0].clone()
    });
    model
}

fn with_fixture(model: ModelDesc, joints: &[(&str, f64)]) -> SceneDesc {
    let mut scene = common::table_scene(Vec::new());
    scene.instances.push(InstanceDesc {
        name: "door_1".into(),
        pose: isometry([0.0, 3.0, 2.0], common::UPRIGHT),
        model: Arc::new(model),
        fixed: true,
        joint_positions: (joints.iter())
            .map(|(name, q)| ((*name).to_owned(), *q))
            .collect(),
    });
    scene
}

#[test]
fn a_spring_shuts_a_door() {
    for (stiffness, shuts) in [(20.0, true), (0.0, false)] {
        let scene = with_fixture(door(stiffness), &[("swing", -1.0)]);
        let mut world = World::new(&scene).expect("a world");
        for _ in 0..5 {
            world.step(&HOLD_STILL).expect("a step");
        }
        let q = world.joint_position(0, "swing").expect("a joint");
        // MuJoCo 2.3.7: 0.0001 rad after a quarter of a second.
        assert_eq!(q.abs() < 0.01, shuts, "{q} rad at {stiffness} N m/rad");
    }
}

#[test]
fn shapes_touch_if_a_bit_of_one_is_asked_for_by_the_other() {
    // The table has the usual bits, 1 and 1.
    for (bits, rests) in [
        ([1, 1], true),
        ([0, 1], true),
        ([1, 0], true),
        ([2, 2], false),
    ] {
        let model = common::one_body("ball", vec![ball(bits)]);
        let scene = common::table_scene(vec![(model, [0.0, 0.0, 0.931])]);
        let mut world = World::new(&scene).expect("a world");
        for _ in 0..10 {
            world.step(&HOLD_STILL).expect("a step");
        }
        let z = world.instance_pose(0).translation.z;
        assert_eq!(z > 0.9, rests, "{bits:?}: z {z}");
        // What rests may do so at a distance of zero.
        let touches = world.in_contact(Owner::Arena, Owner::Instance(0));
        assert!(!touches || rests, "{bits:?}: {:?}", world.contacts());
    }
}

#[track_caller]
fn refused(scene: &SceneDesc, words: &[&str]) {
    let message = match World::new(scene) {
        Ok(_) => panic!("built, expected {words:?}"),
        Err(error) => error.to_string(),
    };
    assert!(words.iter().all(|w| message.contains(w)), "{message}");
}

#[test]
fn what_the_engine_could_not_hold_is_refused_by_name() {
    let good = || {
        common::table_scene(vec![(
            common::one_body("ball", vec![ball([1, 1])]),
            [0.0, 0.0, 1.0],
        )])
    };
    World::new(&good()).expect("a world");
    let mut scene = good();
    scene.instances[0].pose = isometry([0.0, 0.0, 1.0], [0.0; 4]);
    refused(&scene, &["ball", "unit quaternion"]);
    for z in [f64::NAN, -1000.0, 1e6] {
        let mut scene = good();
        scene.instances[0].pose.translation.z = z;
        refused(&scene, &["ball", "its pose"]);
    }
    refused(
        &with_fixture(door(0.0), &[("swung", 0.0)]),
        &["door_1", "joint swung"],
    );
    refused(
        &with_fixture(door(0.0), &[("swing", 1e9)]),
        &["door_1", "joint swing"],
    );
    for inertia in [
        (1e300, [0.0; 3], [1.0; 3]),
        (1.0, [1e300; 3], [1.0; 3]),
        (1.0, [0.0; 3], [1e300; 3]),
    ] {
        let mut model = door(0.0);
        let (mass, com, diagonal) = inertia;
        model.bodies[1].inertia = Some(InertiaDesc {
            mass,
            com,
            diagonal,
            quat_wxyz: common::UPRIGHT,
        });
        refused(
            &with_fixture(model, &[]),
            &["door_1", "body leaf", "at most"],
        );
    }
    let mut model = door(0.0);
    model.bodies[1].inertia = None;
    refused(&with_fixture(model, &[]), &["door_1", "body leaf moves"]);
}
