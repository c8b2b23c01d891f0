//! The floor beyond its drawn size: in MuJoCo's contacts a plane has no edge, and LIBERO-PRO puts the objects that it takes out of a scene 10 m aside. The
//! border is there only where a state needs it, so that other scenes stay what they are.

use bitvla_sim::{ArenaDesc, CollisionDesc, InstanceDesc, ShapeDesc, isometry};
use nalgebra::{Point3, Translation3};
use std::sync::Arc;

/// Name of the floor's shape in the arenas of LIBERO.
const FLOOR: &str = "floor";
/// Distance from its centre up to which the floor bears what lies on it, m.
const REACH: f64 = 100.0;

/// Adds a border to the floor of an arena if an instance starts beyond its edge.
pub(crate) fn with_border(mut arena: Arc<ArenaDesc>, instances: &[InstanceDesc]) -> Arc<ArenaDesc> {
    let mut bodies = arena.model.bodies.iter().enumerate();
    let floor = bodies.find_map(|(body, desc)| {
        let named = |shape: &&CollisionDesc| shape.name.as_deref() == Some(FLOOR);
        let shape = desc.collision.iter().find(named)?;
        match shape.shape {
            ShapeDesc::Box { half } => Some((body, shape.clone(), half)),
            _ => None,
        }
    });
    let Some((body, floor, half)) = floor else {
        return arena;
    };
    let frame = isometry(floor.pos, floor.quat_wxyz);
    let beyond = |instance: &InstanceDesc| {
        let at = frame.inverse_transform_point(&Point3::from(instance.pose.translation.vector));
        at.x.abs() > half[0] || at.y.abs() > half[1]
    };
    if instances.iter().any(beyond) {
        let border = border_boxes(half).map(|(half, centre)| {
            let pose = frame * Translation3::from(centre);
            CollisionDesc {
                shape: ShapeDesc::Box { half },
                pos: pose.translation.vector.into(),
                ..floor.clone()
            }
        });
        let model = &mut Arc::make_mut(&mut arena).model;
        model.bodies[body].collision.extend(border);
    }
    arena
}

/// Half sizes (m) of the boxes around that of a floor out to [`REACH`], and their centres in its frame.
fn border_boxes([x, y, z]: [f64; 3]) -> [([f64; 3], [f64; 3]); 4] {
    let along = |half: f64| (0.5 * (REACH - half), 0.5 * (REACH + half));
    let ((half_x, at_x), (half_y, at_y)) = (along(x), along(y));
    [
        ([half_x, REACH, z], [at_x, 0.0, 0.0]),
        ([half_x, REACH, z], [-at_x, 0.0, 0.0]),
        ([x, half_y, z], [0.0, at_y, 0.0]),
        ([x, half_y, z], [0.0, -at_y, 0.0]),
    ]
}

#[cfg(test)]
mod tests {
    //! Guarantee: what a state puts beyond the floor rests on it, and other scenes stay what they are.
    use super::*;
    use crate::{Assets, SETTLE_ACTION, Suite};
    use bitvla_sim::World;

    #[test]
    fn an_object_far_aside_rests_on_the_floor() {
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        let suite = Suite::load(&assets, "object").expect("a suite");
        let (task, init) = (&suite.tasks[0], &suite.tasks[0].init_states[0]);
        let mut scene = task.scene(&assets, init).expect("a scene");
        let near = with_border(scene.arena.clone(), &scene.instances);
        assert!(Arc::ptr_eq(&near, &scene.arena));
        let object = &mut scene.instances[0];
        object.pose.translation.y = -10.2;
        let start = object.pose.translation.z;
        scene.arena = with_border(scene.arena, &scene.instances);
        let mut world = World::new(&scene).expect("a world");
        for _ in 0..40 {
            world.step(&SETTLE_ACTION).expect("a step");
        }
        let rest = world.instance_pose(0).translation.z;
        assert!((start - rest).abs() < 0.1, "from {start} m to {rest} m");
    }
}
