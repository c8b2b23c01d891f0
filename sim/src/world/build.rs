//! Building the Rapier sets from a scene description: rigid bodies with merged inertias, colliders,
//! reduced-coordinate joints and the collision groups that keep the pair list short.

use super::{Engine, JointRef, Places};
use crate::carriers::{Carrier, CarrierTree};
use crate::description::{
    CollisionDesc, JointKind, ModelDesc, Owner, SceneDesc, ShapeDesc, isometry,
};
use crate::error::SimError;
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use rapier3d::math::{Matrix, Pose, Rotation, Vector};
use rapier3d::prelude::*;

/// Damping of all six degrees of freedom of a free object, N s/m and N m s/rad.
const FREE_DAMPING: f64 = 0.0005;
/// A moving body weighs at least this much, kg, and turns no easier than a ball of it.
const MIN_MASS: f64 = 1e-4;
const MIN_INERTIA: f64 = 1e-8;

const STATIC: Group = Group::GROUP_1;
const ROBOT_BASE: Group = Group::GROUP_2;
const MOVING_PART: Group = Group::GROUP_3;
const ROBOT: Group = Group::GROUP_4;
const OBJECT: Group = Group::GROUP_5;

/// Which pairs can touch: objects touch everything, the arm touches furniture and objects; parts of
/// one fixture or of the robot never touch each other, nor do two fixtures.
fn groups(member: Group) -> InteractionGroups {
    let filter = match member {
        STATIC | MOVING_PART => ROBOT.union(OBJECT),
        ROBOT_BASE => OBJECT,
        ROBOT => STATIC.union(MOVING_PART).union(OBJECT),
        _ => Group::ALL,
    };
    InteractionGroups::new(member, filter, InteractionTestMode::And)
}

/// Single-precision pose for the engine.
pub(super) fn to_engine(p: &Isometry3<f64>) -> Pose {
    let q = p.rotation.quaternion();
    Pose::from_parts(
        Vector::new(
            p.translation.x as f32,
            p.translation.y as f32,
            p.translation.z as f32,
        ),
        Rotation::from_xyzw(q.i as f32, q.j as f32, q.k as f32, q.w as f32).normalize(),
    )
}

/// Double-precision pose from the engine.
pub(super) fn from_engine(p: &Pose) -> Isometry3<f64> {
    let (t, r) = (p.translation, p.rotation);
    Isometry3::from_parts(
        Translation3::new(f64::from(t.x), f64::from(t.y), f64::from(t.z)),
        UnitQuaternion::from_quaternion(Quaternion::new(
            f64::from(r.w),
            f64::from(r.x),
            f64::from(r.y),
            f64::from(r.z),
        )),
    )
}

/// Number that colliders carry to say whose they are.
pub(super) fn owner_tag(owner: Owner) -> u128 {
    match owner {
        Owner::Arena => 0,
        Owner::Robot => 1,
        Owner::Instance(i) => 2 + i as u128,
    }
}

/// Whose a collider with that number is.
pub(super) fn owner_of(tag: u128) -> Owner {
    match tag {
        0 => Owner::Arena,
        1 => Owner::Robot,
        instance => Owner::Instance(instance as usize - 2),
    }
}

/// Everything built from the scene.
pub(super) fn build(scene: &SceneDesc) -> Result<(Engine, Places), SimError> {
    let mut engine = Engine::new();
    let mut places = Places::default();
    let here = Isometry3::identity();
    add_model(
        &mut engine,
        &mut places,
        Owner::Arena,
        &scene.arena.model,
        here,
        true,
        &|_| None,
    )?;
    let base = isometry(scene.arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]);
    add_model(
        &mut engine,
        &mut places,
        Owner::Robot,
        &scene.robot,
        base,
        true,
        &|_| None,
    )?;
    for (i, instance) in scene.instances.iter().enumerate() {
        let start = |name: &str| instance.joint_positions.get(name).copied();
        add_model(
            &mut engine,
            &mut places,
            Owner::Instance(i),
            &instance.model,
            instance.pose,
            instance.fixed,
            &start,
        )?;
    }
    Ok((engine, places))
}

fn add_model(
    engine: &mut Engine,
    places: &mut Places,
    owner: Owner,
    model: &ModelDesc,
    pose: Isometry3<f64>,
    fixed: bool,
    start: &dyn Fn(&str) -> Option<f64>,
) -> Result<(), SimError> {
    let tree = CarrierTree::new(model)?;
    let first = places.handles.len();
    let robot = owner == Owner::Robot;
    let mut world_pose: Vec<Isometry3<f64>> = Vec::new();
    let mut joints: Vec<Option<JointRef>> = Vec::new();
    for c in &tree.carriers {
        let at = c.parent.map_or(pose, |p| world_pose[p] * c.to_parent);
        world_pose.push(at);
        let movable = c.joint.is_some() || !fixed;
        let mut builder = if movable {
            RigidBodyBuilder::dynamic()
                .additional_mass_properties(mass_properties(c))
                .can_sleep(!robot)
        } else {
            RigidBodyBuilder::fixed()
        };
        builder = builder.pose(to_engine(&at));
        if robot {
            builder = builder.gravity_scale(0.0);
        } else if c.parent.is_none() && movable {
            let inertia = (c.inertia.trace() / 3.0).max(MIN_INERTIA);
            builder = builder
                .linear_damping((FREE_DAMPING / c.mass.max(MIN_MASS)) as f32)
                .angular_damping((FREE_DAMPING / inertia) as f32);
        }
        let mut body = builder.build();
        let activation = body.activation_mut();
        activation.normalized_linear_threshold = 0.002;
        activation.angular_threshold = 0.05;
        activation.time_until_sleep = 0.2;
        if robot {
            activation.normalized_linear_threshold = -1.0;
            activation.angular_threshold = -1.0;
        }
        let handle = engine.bodies.insert(body);
        places.handles.push(handle);
        joints.push(None);
    }
    for (ci, c) in tree.carriers.iter().enumerate() {
        let (Some(parent), Some(joint)) = (c.parent, &c.joint) else {
            continue;
        };
        let handles = (places.handles[first + parent], places.handles[first + ci]);
        let along_x = UnitQuaternion::rotation_between(
            &nalgebra::Vector3::x(),
            &nalgebra::Vector3::from(joint.axis),
        )
        .unwrap_or_else(|| {
            UnitQuaternion::from_axis_angle(&nalgebra::Vector3::z_axis(), std::f64::consts::PI)
        });
        let turn = Isometry3::from_parts(Translation3::identity(), along_x);
        let (mask, axis, coord) = match joint.kind {
            JointKind::Hinge => (JointAxesMask::LOCKED_REVOLUTE_AXES, JointAxis::AngX, 3),
            JointKind::Slide => (JointAxesMask::LOCKED_PRISMATIC_AXES, JointAxis::LinX, 0),
        };
        let mut data = GenericJointBuilder::new(mask)
            .local_frame1(to_engine(&(c.to_parent * turn)))
            .local_frame2(to_engine(&turn))
            .contacts_enabled(false);
        if !robot {
            data = data.limits(axis, [joint.range[0] as f32, joint.range[1] as f32]);
        }
        let link = engine
            .multibodies
            .insert(handles.0, handles.1, data.build(), true)
            .ok_or_else(|| SimError::BadModel {
                model: model.name.clone(),
                what: format!("joint {} closes a loop", joint.name),
            })?;
        joints[ci] = Some(JointRef {
            handle: link,
            coord,
        });
    }
    // Joint parameters and start positions, once the multibody has its final shape.
    for (ci, c) in tree.carriers.iter().enumerate() {
        let (Some(joint), Some(reference)) = (&c.joint, &joints[ci]) else {
            continue;
        };
        if let Some((mb, id)) = engine.multibodies.get_mut(reference.handle) {
            mb.forward_kinematics(&engine.bodies, true);
            mb.set_self_contacts_enabled(false);
            let dof = mb.link(id).map_or(0, |l| l.assembly_id());
            mb.armature_mut()[dof] = joint.armature as f32;
            mb.damping_mut()[dof] = if robot { 0.0 } else { joint.damping as f32 };
            mb.frictions_mut()[dof] = if robot {
                0.0
            } else {
                joint.friction_loss as f32
            };
            let [low, high] = joint.range;
            let at = start(&joint.name).unwrap_or(0.0_f64.max(low).min(high));
            let mut shift = vec![0.0; mb.ndofs()];
            shift[dof] = at as f32;
            mb.apply_displacements(&shift);
            mb.forward_kinematics(&engine.bodies, false);
            mb.update_rigid_bodies(&mut engine.bodies, true);
        }
    }
    for (bi, body) in model.bodies.iter().enumerate() {
        let (carrier, offset) = tree.of_body[bi];
        places.bodies.push((first + carrier, offset));
        places
            .body_joint
            .push(if tree.carriers[carrier].body == bi {
                joints[carrier].clone()
            } else {
                None
            });
        let movable = tree.carriers[carrier].joint.is_some();
        let member = match (robot, movable, fixed) {
            (true, true, _) => ROBOT,
            (true, false, _) => ROBOT_BASE,
            (false, true, true) => MOVING_PART,
            (false, false, true) => STATIC,
            (false, _, false) => OBJECT,
        };
        for shape in &body.collision {
            let collider = collider(shape, &offset)
                .ok_or_else(|| SimError::BadModel {
                    model: model.name.clone(),
                    what: format!("a collision shape of body {} is not convex", body.name),
                })?
                .collision_groups(groups(member))
                .solver_groups(groups(member))
                .user_data(owner_tag(owner))
                .build();
            let handle = engine.colliders.insert_with_parent(
                collider,
                places.handles[first + carrier],
                &mut engine.bodies,
            );
            places.colliders.push((owner, handle));
        }
    }
    for ci in 0..tree.carriers.len() {
        let handle = places.handles[first + ci];
        if let Some(body) = engine.bodies.get_mut(handle) {
            body.recompute_mass_properties_from_colliders(&engine.colliders);
        }
    }
    if let Some(joint) = joints.iter().flatten().next()
        && let Some((mb, _)) = engine.multibodies.get_mut(joint.handle)
    {
        mb.forward_kinematics(&engine.bodies, false);
        mb.update_rigid_bodies(&mut engine.bodies, true);
    }
    Ok(())
}

fn mass_properties(c: &Carrier) -> MassProperties {
    let mass = c.mass.max(MIN_MASS) as f32;
    let com = Vector::new(c.com.x as f32, c.com.y as f32, c.com.z as f32);
    let mut inertia = c.inertia;
    for i in 0..3 {
        inertia[(i, i)] = inertia[(i, i)].max(MIN_INERTIA);
    }
    let columns: [f32; 9] = std::array::from_fn(|i| inertia[(i % 3, i / 3)] as f32);
    MassProperties::with_inertia_matrix(com, mass, Matrix::from_cols_array(&columns))
}

fn collider(desc: &CollisionDesc, offset: &Isometry3<f64>) -> Option<ColliderBuilder> {
    let mut pose = offset * isometry(desc.pos, desc.quat_wxyz);
    let shape = match &desc.shape {
        ShapeDesc::Box { half: [x, y, z] } => SharedShape::cuboid(*x as f32, *y as f32, *z as f32),
        ShapeDesc::Sphere { radius } => SharedShape::ball(*radius as f32),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => {
            // The engine's cylinders stand along y.
            pose *= isometry(
                [0.0; 3],
                [
                    std::f64::consts::FRAC_1_SQRT_2,
                    std::f64::consts::FRAC_1_SQRT_2,
                    0.0,
                    0.0,
                ],
            );
            SharedShape::cylinder(*half_height as f32, *radius as f32)
        }
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => SharedShape::capsule_z(*half_height as f32, *radius as f32),
        ShapeDesc::Hull { points } => {
            let points: Vec<Vector> = points
                .iter()
                .map(|p| Vector::new(p[0] as f32, p[1] as f32, p[2] as f32))
                .collect();
            SharedShape::convex_hull(&points)?
        }
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => return None,
    };
    Some(
        ColliderBuilder::new(shape)
            .position(to_engine(&pose))
            .density(0.0)
            .friction(desc.friction as f32)
            .friction_combine_rule(CoefficientCombineRule::Max)
            .restitution(0.0),
    )
}
