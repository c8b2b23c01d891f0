//! Building the Rapier sets from a scene description: rigid bodies with merged inertias, colliders,
//! reduced-coordinate joints and the collision groups that keep the pair list short.

use super::engine::{HandleMap, JointRef, RapierState};
use super::slide_range::slide_range;
use crate::description::{
    CollisionDesc, JointDesc, JointKind, MAX_DISTANCE_METRES, MAX_INERTIA, MAX_JOINT_POSITION,
    MAX_LENGTH_METRES, MAX_MASS_KG, ModelDesc, Owner, SceneDesc, ShapeDesc, isometry,
};
use crate::error::SimError;
use crate::links::{Link, LinkTree};
use crate::settings::SimulationSettings;
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use rapier3d::math::{Matrix, Pose, Rotation, Vector};
use rapier3d::prelude::*;
use std::collections::BTreeMap;

/// Collision bits of a shape that states none.
const USUAL_BITS: u32 = 1;
/// Least mass of a moving body, kg.
const MIN_MASS: f64 = 1e-4;
/// Least moment of inertia of a moving body, kg m^2.
const MIN_INERTIA: f64 = 1e-8;

const STATIC: Group = Group::GROUP_1;
const ROBOT_BASE: Group = Group::GROUP_2;
const MOVING_PART: Group = Group::GROUP_3;
const ROBOT: Group = Group::GROUP_4;
const OBJECT: Group = Group::GROUP_5;

/// Collision groups: objects touch everything, the arm touches furniture and objects; parts of one fixture or of the
/// robot never touch each other, nor do two fixtures.
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

/// Double-precision vector from the engine.
pub(super) fn to_array(v: Vector) -> [f64; 3] {
    [f64::from(v.x), f64::from(v.y), f64::from(v.z)]
}

/// User data of a collider: its owner in the low 64 bits, and where its collision bits differ from the usual ones.
fn user_data(owner: Owner, bits: [u32; 2]) -> u128 {
    let [contype, conaffinity] = bits.map(|b| u128::from(b ^ USUAL_BITS));
    owner_tag(owner) | contype << 64 | conaffinity << 96
}

/// Collision bits of a collider, `contype` and `conaffinity`.
fn collision_bits(user_data: u128) -> [u32; 2] {
    [64, 96].map(|shift| (user_data >> shift) as u32 ^ USUAL_BITS)
}

/// MuJoCo's rule for two shapes with collision bits that are not the usual ones.
pub(super) struct CollisionBitFilter;

impl PhysicsHooks for CollisionBitFilter {
    fn filter_contact_pair(&self, pair: &PairFilterContext) -> Option<SolverFlags> {
        let [a, b] = [pair.collider1, pair.collider2]
            .map(|handle| collision_bits(pair.colliders[handle].user_data));
        let touches = a[0] & b[1] != 0 || b[0] & a[1] != 0;
        touches.then_some(SolverFlags::default())
    }
}

/// Number of an owner.
fn owner_tag(owner: Owner) -> u128 {
    match owner {
        Owner::Arena => 0,
        Owner::Robot => 1,
        Owner::Instance(i) => 2 + i as u128,
    }
}

/// Owner of a collider with that user data.
pub(super) fn owner_of(user_data: u128) -> Owner {
    match user_data as u64 {
        0 => Owner::Arena,
        1 => Owner::Robot,
        instance => Owner::Instance(instance as usize - 2),
    }
}

/// Builds the engine's sets and the handles of the described bodies.
pub(super) fn build(
    scene: &SceneDesc,
    settings: &SimulationSettings,
) -> Result<(RapierState, HandleMap), SimError> {
    let mut builder = SceneBuilder {
        engine: RapierState::new(),
        handle_map: HandleMap::default(),
        settings,
    };
    builder.add_model(&PosedModel {
        owner: Owner::Arena,
        name: None,
        model: &scene.arena.model,
        pose: Isometry3::identity(),
        fixed: true,
        joint_positions: &BTreeMap::new(),
    })?;
    builder.add_model(&PosedModel {
        owner: Owner::Robot,
        name: None,
        model: &scene.robot,
        pose: isometry(scene.arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]),
        fixed: true,
        joint_positions: &BTreeMap::new(),
    })?;
    for (i, instance) in scene.instances.iter().enumerate() {
        builder.add_model(&PosedModel {
            owner: Owner::Instance(i),
            name: Some(&instance.name),
            model: &instance.model,
            pose: instance.pose,
            fixed: instance.fixed,
            joint_positions: &instance.joint_positions,
        })?;
    }
    Ok((builder.engine, builder.handle_map))
}

/// A model and its pose in the world.
struct PosedModel<'a> {
    owner: Owner,
    /// Name of the instance.
    name: Option<&'a str>,
    model: &'a ModelDesc,
    /// World pose of the root body.
    pose: Isometry3<f64>,
    /// The root is welded to the world.
    fixed: bool,
    /// Start positions by joint name.
    joint_positions: &'a BTreeMap<String, f64>,
}

impl PosedModel<'_> {
    fn is_robot(&self) -> bool {
        self.owner == Owner::Robot
    }

    /// Start position of a joint, rad or m: the given one, or the position in range nearest 0.
    fn start_of(&self, joint: &JointDesc) -> f64 {
        let [low, high] = joint.range;
        let given = self.joint_positions.get(&joint.name).copied();
        given.unwrap_or(0.0_f64.max(low).min(high))
    }

    /// Refuses what the engine would make NaN or a wrong world of: poses and start positions that are not finite or far
    /// away, start positions of joints that the model lacks, and parts that move and have no mass.
    fn check(&self, tree: &LinkTree) -> Result<(), SimError> {
        let q = self.pose.rotation.quaternion().norm();
        let at = self.pose.translation.vector;
        if !((q - 1.0).abs() < 1e-3 && at.iter().all(|x| x.abs() <= MAX_DISTANCE_METRES)) {
            return Err(self.invalid(format!(
                "its pose is {:?} with a quaternion of norm {q}, expected coordinates of at most {MAX_DISTANCE_METRES} m \
                 and a unit quaternion",
                at.as_slice()
            )));
        }
        for (name, position) in self.joint_positions {
            let joint = (tree.links.iter().filter_map(|link| link.joint.as_ref()))
                .find(|joint| &joint.name == name);
            if joint.is_none() {
                return Err(
                    self.invalid(format!("a start position of joint {name}, which it lacks"))
                );
            }
            if !(0.0..=MAX_JOINT_POSITION).contains(&position.abs()) {
                return Err(self.invalid(format!(
                    "joint {name} starts at {position}, expected at most {MAX_JOINT_POSITION} rad or m"
                )));
            }
        }
        for link in &tree.links {
            let body = &self.model.bodies[link.body].name;
            let inertia = link.inertia.trace();
            let bounded = link.com.norm() <= MAX_LENGTH_METRES && inertia <= MAX_INERTIA;
            if !(link.mass <= MAX_MASS_KG && bounded) {
                return Err(self.invalid(format!(
                    "body {body} of {} kg with its centre at {:?} m and a sum of principal moments of {inertia} kg m^2, \
                     expected at most {MAX_MASS_KG} kg, {MAX_LENGTH_METRES} m and {MAX_INERTIA} kg m^2",
                    link.mass,
                    link.com.as_slice()
                )));
            }
            if link.moves(self.fixed) && !(link.mass > 0.0 && inertia > 0.0) {
                return Err(self.invalid(format!(
                    "body {body} moves and has {} kg and a sum of principal moments of {inertia} kg m^2, expected more",
                    link.mass
                )));
            }
        }
        Ok(())
    }

    fn invalid(&self, reason: String) -> SimError {
        SimError::InvalidModel {
            model: match self.name {
                Some(name) if name != self.model.name => format!("{} `{name}`", self.model.name),
                _ => self.model.name.clone(),
            },
            reason,
        }
    }
}

struct SceneBuilder<'a> {
    engine: RapierState,
    handle_map: HandleMap,
    settings: &'a SimulationSettings,
}

impl SceneBuilder<'_> {
    fn add_model(&mut self, placement: &PosedModel<'_>) -> Result<(), SimError> {
        let tree = LinkTree::new(placement.model)?;
        placement.check(&tree)?;
        let handles = self.add_rigid_bodies(placement, &tree);
        let joints = self.add_joints(placement, &tree, &handles)?;
        self.set_joint_parameters(placement, &tree, &joints);
        self.add_colliders(placement, &tree, &handles, &joints)?;
        for handle in &handles {
            let body = &mut self.engine.bodies[*handle];
            body.recompute_mass_properties_from_colliders(&self.engine.colliders);
        }
        if let Some(joint) = joints.iter().flatten().next() {
            self.engine.update_kinematics(joint);
        }
        Ok(())
    }

    /// Adds a rigid body for each link.
    fn add_rigid_bodies(
        &mut self,
        placement: &PosedModel<'_>,
        tree: &LinkTree,
    ) -> Vec<RigidBodyHandle> {
        let robot = placement.is_robot();
        let mut handles = Vec::with_capacity(tree.links.len());
        let mut world_pose: Vec<Isometry3<f64>> = Vec::with_capacity(tree.links.len());
        for link in &tree.links {
            let pose = (link.parent).map_or(placement.pose, |p| world_pose[p] * link.to_parent);
            world_pose.push(pose);
            let movable = link.moves(placement.fixed);
            let mut builder = if movable {
                RigidBodyBuilder::dynamic()
                    .additional_mass_properties(mass_properties(link))
                    .can_sleep(!robot)
            } else {
                RigidBodyBuilder::fixed()
            };
            builder = builder.pose(to_engine(&pose));
            if robot {
                builder = builder.gravity_scale(0.0);
            } else if link.parent.is_none() && movable {
                let damping = self.settings.bodies.free_damping;
                let inertia = (link.inertia.trace() / 3.0).max(MIN_INERTIA);
                builder = builder
                    .linear_damping((damping / link.mass.max(MIN_MASS)) as f32)
                    .angular_damping((damping / inertia) as f32);
            }
            let mut body = builder.build();
            let activation = body.activation_mut();
            let bodies = &self.settings.bodies;
            activation.normalized_linear_threshold =
                bodies.sleep_linear_speed / self.settings.solver.length_unit;
            activation.angular_threshold = bodies.sleep_angular_speed;
            activation.time_until_sleep = bodies.sleep_after_secs;
            if robot {
                activation.normalized_linear_threshold = -1.0;
                activation.angular_threshold = -1.0;
            }
            handles.push(self.engine.bodies.insert(body));
        }
        self.handle_map.rigid_bodies.extend_from_slice(&handles);
        handles
    }

    /// Adds the joint of each link that has one.
    fn add_joints(
        &mut self,
        placement: &PosedModel<'_>,
        tree: &LinkTree,
        handles: &[RigidBodyHandle],
    ) -> Result<Vec<Option<JointRef>>, SimError> {
        let mut joints: Vec<Option<JointRef>> = vec![None; tree.links.len()];
        for (i, link) in tree.links.iter().enumerate() {
            let (Some(parent), Some(joint)) = (link.parent, &link.joint) else {
                continue;
            };
            // There is no unique shortest rotation to -x; half a turn about z is one.
            let axis_along_x = UnitQuaternion::rotation_between(
                &nalgebra::Vector3::x(),
                &nalgebra::Vector3::from(joint.axis),
            )
            .unwrap_or_else(|| {
                UnitQuaternion::from_axis_angle(&nalgebra::Vector3::z_axis(), std::f64::consts::PI)
            });
            let joint_frame = Isometry3::from_parts(Translation3::identity(), axis_along_x);
            let (mask, axis, coord) = match joint.kind {
                JointKind::Hinge => (JointAxesMask::LOCKED_REVOLUTE_AXES, JointAxis::AngX, 3),
                JointKind::Slide => (JointAxesMask::LOCKED_PRISMATIC_AXES, JointAxis::LinX, 0),
            };
            let mut data = GenericJointBuilder::new(mask)
                .local_frame1(to_engine(&(link.to_parent * joint_frame)))
                .local_frame2(to_engine(&joint_frame))
                .contacts_enabled(false);
            let range = match placement.is_robot() {
                // Those of the arm are soft and computed in `joint_constraints`. So are the fingers', a little further in; the
                // engine's keep a contact from pushing a finger through its stop.
                true => (joint.kind == JointKind::Slide).then_some(joint.range),
                false if placement.fixed => Some(slide_range(
                    placement.model,
                    tree,
                    i,
                    placement.start_of(joint),
                )),
                false => Some(joint.range),
            };
            if let Some(range) = range {
                data = data.limits(axis, range.map(|end| end as f32));
            }
            if joint.stiffness > 0.0 {
                data = data
                    .motor_model(axis, MotorModel::ForceBased)
                    .motor_position(
                        axis,
                        joint.spring_reference as f32,
                        joint.stiffness as f32,
                        0.0,
                    );
            }
            let handle = (self.engine.multibodies)
                .insert(handles[parent], handles[i], data.build(), true)
                .ok_or_else(|| placement.invalid(format!("joint {} closes a loop", joint.name)))?;
            joints[i] = Some(JointRef { handle, coord });
        }
        Ok(joints)
    }

    /// Sets armature, damping, dry friction and start positions, once the multibody has its final shape. Those
    /// of the robot's joints but the armature are computed in `joint_constraints`.
    fn set_joint_parameters(
        &mut self,
        placement: &PosedModel<'_>,
        tree: &LinkTree,
        joints: &[Option<JointRef>],
    ) {
        let robot = placement.is_robot();
        for (link, reference) in tree.links.iter().zip(joints) {
            let (Some(joint), Some(reference)) = (&link.joint, reference) else {
                continue;
            };
            let (multibody, row) = self.engine.multibody_mut_with_kinematics(reference);
            multibody.set_self_contacts_enabled(false);
            multibody.armature_mut()[row] = joint.armature as f32;
            multibody.damping_mut()[row] = if robot { 0.0 } else { joint.damping as f32 };
            multibody.frictions_mut()[row] = if robot {
                0.0
            } else {
                joint.friction_loss as f32
            };
            let mut shift = vec![0.0; multibody.ndofs()];
            shift[row] = placement.start_of(joint) as f32;
            multibody.apply_displacements(&shift);
            self.engine.update_kinematics(reference);
        }
    }

    /// Adds the collision shapes of each body and its row of the body table.
    fn add_colliders(
        &mut self,
        placement: &PosedModel<'_>,
        tree: &LinkTree,
        handles: &[RigidBodyHandle],
        joints: &[Option<JointRef>],
    ) -> Result<(), SimError> {
        let first = self.handle_map.rigid_bodies.len() - handles.len();
        for (b, body) in placement.model.bodies.iter().enumerate() {
            let (link, offset) = tree.of_body[b];
            self.handle_map.bodies.push((first + link, offset));
            let own_joint = (tree.links[link].body == b).then(|| joints[link].clone());
            self.handle_map.body_joint.push(own_joint.flatten());
            let jointed = tree.links[link].joint.is_some();
            let member = match (placement.is_robot(), jointed, placement.fixed) {
                (true, true, _) => ROBOT,
                (true, false, _) => ROBOT_BASE,
                (false, true, true) => MOVING_PART,
                (false, false, true) => STATIC,
                (false, _, false) => OBJECT,
            };
            for shape in &body.collision {
                let bits = [shape.contype, shape.conaffinity];
                let collider = collider(shape, &offset)
                    .ok_or_else(|| {
                        placement.invalid(format!(
                            "a collision shape of body {} is a lathe, a mesh or a flat hull, expected a convex shape",
                            body.name
                        ))
                    })?
                    .collision_groups(groups(member))
                    .solver_groups(groups(member))
                    .user_data(user_data(placement.owner, bits))
                    .active_hooks(if bits == [USUAL_BITS; 2] {
                        ActiveHooks::empty()
                    } else {
                        ActiveHooks::FILTER_CONTACT_PAIRS
                    })
                    .build();
                let handle = self.engine.colliders.insert_with_parent(
                    collider,
                    handles[link],
                    &mut self.engine.bodies,
                );
                self.handle_map.colliders.push((placement.owner, handle));
            }
        }
        Ok(())
    }
}

fn mass_properties(c: &Link) -> MassProperties {
    let mass = c.mass.max(MIN_MASS) as f32;
    let com = Vector::new(c.com.x as f32, c.com.y as f32, c.com.z as f32);
    let mut inertia = c.inertia;
    for i in 0..3 {
        inertia[(i, i)] = inertia[(i, i)].max(MIN_INERTIA);
    }
    let columns: [f32; 9] = std::array::from_fn(|i| inertia[(i % 3, i / 3)] as f32);
    MassProperties::with_inertia_matrix(com, mass, Matrix::from_cols_array(&columns))
}

/// Collider of a shape, without the data of its owner; none for a shape that is not convex.
pub(super) fn collider(desc: &CollisionDesc, offset: &Isometry3<f64>) -> Option<ColliderBuilder> {
    let mut pose = offset * isometry(desc.pos, desc.quat_wxyz);
    let shape = match &desc.shape {
        ShapeDesc::Box { half: [x, y, z] } => SharedShape::cuboid(*x as f32, *y as f32, *z as f32),
        ShapeDesc::Sphere { radius } => SharedShape::ball(*radius as f32),
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => {
            // The engine's cylinders have their axis along y.
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
