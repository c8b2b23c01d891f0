//! Scene assembly: the arena, robot and instances of a problem in a given initial state.

use crate::assets::Assets;
use crate::bddl::{PredicateInstance, Problem};
use crate::error::TaskError;
use crate::init_state::{InitState, pose_from_array};
use bitvla_sim::{ArenaDesc, InstanceDesc, ModelDesc, SceneDesc, World};
use std::sync::Arc;

/// Describes the scene of a problem in an initial state. Instances are the objects, then the fixtures that have a
/// model, each in file order.
///
/// # Errors
/// Fails if the problem has no arena, a category has no model, or `init` has no pose for an instance.
pub fn scene_desc(
    assets: &Assets,
    problem: &Problem,
    init: &InitState,
) -> Result<SceneDesc, TaskError> {
    let (name, arena) = arena_of(assets, problem)?;
    let mut instances = Vec::new();
    for object in problem.objects.iter().chain(problem.model_fixtures()) {
        let (model, fixed) = assets.model(&object.category)?;
        let poses = if fixed { &init.fixtures } else { &init.objects };
        let pose = poses
            .get(&object.name)
            .map(pose_from_array)
            .ok_or_else(|| {
                problem.error(format!(
                    "the initial state has no pose for `{}`",
                    object.name
                ))
            })?;
        instances.push(InstanceDesc {
            name: object.name.clone(),
            model,
            pose,
            fixed,
            // A joint that the state does not mention starts at zero.
            joint_positions: init.joints.get(&object.name).cloned().unwrap_or_default(),
        });
    }
    Ok(SceneDesc {
        robot: assets.robot_in(name)?,
        arena,
        instances,
    })
}

/// Builds the world of a problem in an initial state, robot posture included.
///
/// # Errors
/// As [`scene_desc`], and when the physics engine refuses the scene.
pub fn build_world(
    assets: &Assets,
    problem: &Problem,
    init: &InitState,
) -> Result<World, TaskError> {
    let mut world = World::new(&scene_desc(assets, problem, init)?)?;
    world.set_robot_qpos(&init.robot_qpos);
    Ok(world)
}

/// Name and description of the arena that a problem plays in.
pub(crate) fn arena_of(
    assets: &Assets,
    problem: &Problem,
) -> Result<(&'static str, Arc<ArenaDesc>), TaskError> {
    let name = (problem.arena()).ok_or_else(|| {
        problem.error(format!("no arena for the problem name `{}`", problem.name))
    })?;
    Ok((name, assets.arena(name)?))
}

/// Model of a declared object or fixture; `instance` is the predicate that mentions it.
pub(crate) fn model_of(
    assets: &Assets,
    problem: &Problem,
    instance: &PredicateInstance,
    name: &str,
) -> Result<Arc<ModelDesc>, TaskError> {
    let object = (problem.objects.iter())
        .chain(&problem.fixtures)
        .find(|object| object.name == name)
        .ok_or_else(|| problem.error_at(instance, format!("unknown object `{name}`")))?;
    Ok(assets.model(&object.category)?.0)
}
