//! Scene assembly: the arena, robot and instances of a problem in a given initial state.

use crate::assets::Assets;
use crate::bddl::{BddlError, PROBLEMS, PredicateInstance, Problem};
use crate::error::TaskError;
use crate::init_state::{InitState, Velocities, pose_from_array};
use bitvla_sim::{ArenaDesc, InstanceDesc, ModelDesc, SceneDesc, World};
use nalgebra::Vector3;
use std::collections::BTreeMap;
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
    init.check(problem).map_err(|(found, expected)| {
        problem.error(format!("initial state: found {found}, expected {expected}"))
    })?;
    let (name, arena) = arena_of(assets, problem)?;
    let mut instances = Vec::new();
    let objects = problem.objects.iter().map(|object| (object, false));
    let fixtures = problem.model_fixtures().map(|fixture| (fixture, true));
    for (object, is_fixture) in objects.chain(fixtures) {
        // LIBERO gives no joint to the root of whatever is declared as a fixture.
        let (model, is_welded) = assets.model(&object.category)?;
        let fixed = is_welded || is_fixture;
        let joint_positions = joints_of(problem, init, &object.name, &model)?;
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
            joint_positions,
        });
    }
    #[cfg(feature = "libero")]
    let arena = crate::libero::with_border(arena, &instances);
    Ok(SceneDesc {
        robot: assets.robot_in(&name)?,
        arena,
        instances,
    })
}

/// Joint positions that a state gives an instance; a joint that it does not mention starts at zero.
///
/// # Errors
/// Fails if the model lacks one of the joints.
fn joints_of(
    problem: &Problem,
    init: &InitState,
    name: &str,
    model: &ModelDesc,
) -> Result<BTreeMap<String, f64>, TaskError> {
    let given = init.joints.get(name).cloned().unwrap_or_default();
    let has = |joint: &String| {
        let mut joints = model.bodies.iter().filter_map(|body| body.joint.as_ref());
        joints.any(|known| known.name == *joint)
    };
    match given.keys().find(|joint| !has(joint)) {
        None => Ok(given),
        Some(joint) => {
            let message = format!("the initial state has a joint `{joint}`, which `{name}` lacks");
            Err(problem.error(message).into())
        }
    }
}

/// Builds the world of a problem in an initial state, robot posture included.
///
/// # Errors
/// As [`scene_desc`] and [`world_of_scene`].
pub fn build_world(
    assets: &Assets,
    problem: &Problem,
    init: &InitState,
) -> Result<World, TaskError> {
    world_of_scene(&scene_desc(assets, problem, init)?, problem, init)
}

/// Builds the world of a scene of a problem in an initial state, robot posture included.
///
/// # Errors
/// When the physics engine refuses the scene, or a velocity is that of nothing.
pub fn world_of_scene(
    scene: &SceneDesc,
    problem: &Problem,
    init: &InitState,
) -> Result<World, TaskError> {
    let mut world = World::new(scene)?;
    world.set_robot_qpos(&init.robot_qpos);
    if let Some(velocities) = &init.velocities {
        set_velocities(&mut world, problem, velocities)?;
    }
    Ok(world)
}

/// Sets velocities of the robot, objects and joints; angular velocities of objects are given in their own frame.
fn set_velocities(
    world: &mut World,
    problem: &Problem,
    velocities: &Velocities,
) -> Result<(), TaskError> {
    let index = |world: &World, name: &str| {
        (world.scene().instance(name))
            .ok_or_else(|| problem.error(format!("a velocity of `{name}`, which is not there")))
    };
    world.set_robot_velocity(&velocities.robot);
    for (name, [vx, vy, vz, wx, wy, wz]) in &velocities.objects {
        let i = index(world, name)?;
        let angular = world.scene().instances[i].pose.rotation * Vector3::new(*wx, *wy, *wz);
        world.set_instance_velocity(i, [*vx, *vy, *vz], angular.into());
    }
    for (name, joints) in &velocities.joints {
        let i = index(world, name)?;
        for (joint, velocity) in joints {
            if !world.set_joint_velocity(i, joint, *velocity) {
                let message = format!("a velocity of the joint `{joint}`, which `{name}` lacks");
                return Err(problem.error(message).into());
            }
        }
    }
    Ok(())
}

/// Name and description of the arena that a problem plays in, as [`Assets::arena`] knows it.
pub(crate) fn arena_of(
    assets: &Assets,
    problem: &Problem,
) -> Result<(String, Arc<ArenaDesc>), TaskError> {
    let name = match (problem.arena(), problem.scene_variant()) {
        (Some(arena), _) => arena.to_owned(),
        (None, Some((arena, variant))) => {
            let found = assets.scene_variant(arena, variant);
            found.map_err(|missing| unknown_problem(problem, &missing))?
        }
        (None, None) => return Err(unknown_problem(problem, "")),
    };
    let arena = assets.arena(&name)?;
    Ok((name, arena))
}

/// The error of a problem name that is none; `missing` says what a scene variant of that name would need.
fn unknown_problem(problem: &Problem, missing: &str) -> TaskError {
    let known = PROBLEMS.map(|(name, _)| name).join(", ");
    let message = format!(
        "unknown problem `{}`; known: {known}{missing}",
        problem.name
    );
    BddlError::new(&problem.file, problem.name_location, message).into()
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
