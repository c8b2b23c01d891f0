//! The physical world: the arm under operational-space control among objects and fixtures in Rapier
//! (fact sheet sections 1 to 5). Everything is held by friction; nothing is ever attached.
//!
//! One control step is 25 physics steps of 2 ms. In each of them the arm's free motion is computed
//! in double precision ([`crate::panda`], [`crate::osc`], [`crate::joint_constraints`]) and handed to
//! the engine as joint velocities; the engine adds Coriolis terms, contacts and everything else that
//! moves, and integrates.

mod build;
mod place;
mod touch;

pub use touch::{Contact, Grab, Pull};

use crate::description::{Owner, SceneDesc, VisualState, isometry};
use crate::error::SimError;
use crate::joint_constraints;
use crate::osc::{self, GripperCommand, OscGoal};
use crate::panda::{ARM, DOFS, Joints, Kinematics, Panda, RESET_QPOS};
use nalgebra::{Isometry3, Vector3};
use rapier3d::dynamics::SoftBodySet;
use rapier3d::math::{Pose, Vector};
use rapier3d::prelude::*;

/// Length of a physics step, s.
pub const PHYSICS_DT: f64 = 0.002;
/// Physics steps per control step (20 Hz).
pub const SUBSTEPS: usize = 25;
/// Natural frequency of contacts, Hz. MuJoCo's are at 15 (table) to 40 (objects, fingers); an object
/// of 5 g in a grip of 20 N sinks into the fingers below 60 here, and is squeezed out above 150.
const CONTACT_HZ: f32 = 80.0;
/// Bodies touch below this distance, m, as in MuJoCo. What rests sinks in by g / w^2, 0.04 mm.
const TOUCH_DISTANCE: f32 = 0.0;

/// Clonable state of the engine.
#[derive(Clone)]
pub(crate) struct Engine {
    bodies: RigidBodySet,
    colliders: ColliderSet,
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    impulse_joints: ImpulseJointSet,
    multibodies: MultibodyJointSet,
    soft_bodies: SoftBodySet,
    ccd: CCDSolver,
}

impl Engine {
    fn new() -> Engine {
        Engine {
            bodies: RigidBodySet::new(),
            colliders: ColliderSet::new(),
            islands: IslandManager::new(),
            broad_phase: BroadPhaseBvh::new(),
            narrow_phase: NarrowPhase::new(),
            impulse_joints: ImpulseJointSet::new(),
            multibodies: MultibodyJointSet::new(),
            soft_bodies: SoftBodySet::new(),
            ccd: CCDSolver::new(),
        }
    }
}

/// A joint in the engine.
#[derive(Debug, Clone)]
pub(crate) struct JointRef {
    handle: MultibodyJointHandle,
    coord: usize,
}

/// Where the described bodies are in the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Rigid bodies: arena, robot, instances.
    handles: Vec<RigidBodyHandle>,
    /// Per row of the body table: index into `handles` and pose on it.
    bodies: Vec<(usize, Isometry3<f64>)>,
    /// Per row of the body table: its own joint.
    body_joint: Vec<Option<JointRef>>,
    colliders: Vec<(Owner, ColliderHandle)>,
}

/// What a policy is told about the robot, at the sampling instants of fact sheet section 5.
#[derive(Debug, Clone, PartialEq)]
pub struct RobotObservation {
    /// Grip site in the world, m.
    pub eef_pos: [f64; 3],
    /// Orientation of the body `right_hand`, `[x, y, z, w]`.
    pub eef_quat_xyzw: [f64; 4],
    /// Arm joint positions, rad.
    pub joint_pos: [f64; 7],
    /// Arm joint velocities, rad/s.
    pub joint_vel: [f64; 7],
    /// Finger joint positions, m.
    pub gripper_qpos: [f64; 2],
}

/// Positions remembered from within the last control step.
#[derive(Clone)]
struct Samples {
    /// After 23 of 25 physics steps: what cameras and pose sensors see.
    camera_poses: Vec<Pose>,
    camera_joints: Vec<f64>,
    camera_robot: Joints,
    /// After 24: the start of the last physics step, and what joint sensors see.
    late_poses: Vec<Pose>,
    late_q: Joints,
    late_qd: Joints,
}

/// A complete copy of the moving state of a [`World`].
#[derive(Clone)]
pub struct Snapshot {
    engine: Engine,
    goal: OscGoal,
    gripper: GripperCommand,
    /// No action has been taken since the robot was placed.
    first_action: bool,
    samples: Samples,
    last_torque: [f64; 7],
}

/// A scene that can be stepped.
pub struct World {
    scene: SceneDesc,
    places: Places,
    panda: Panda,
    robot_joints: [JointRef; DOFS],
    finger_floor: f64,
    first_row: Vec<usize>,
    parameters: IntegrationParameters,
    pipeline: PhysicsPipeline,
    /// A hand from outside; not part of the state.
    pull: Option<Pull>,
    state: Snapshot,
}

impl World {
    /// Builds the scene: robot at its reset position, instances where the description puts them.
    pub fn new(scene: &SceneDesc) -> Result<World, SimError> {
        let base = isometry(scene.arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]);
        let panda = Panda::new(&scene.robot, base)?;
        let (engine, places) = build::build(scene)?;
        let rows_of_robot = scene.arena.model.bodies.len();
        let mut first_row = Vec::with_capacity(scene.instances.len());
        let mut row = rows_of_robot + scene.robot.bodies.len();
        for instance in &scene.instances {
            first_row.push(row);
            row += instance.model.bodies.len();
        }
        let robot_joints: Vec<JointRef> = places.body_joint
            [rows_of_robot..rows_of_robot + scene.robot.bodies.len()]
            .iter()
            .flatten()
            .cloned()
            .collect();
        let robot_joints: [JointRef; DOFS] =
            robot_joints
                .try_into()
                .map_err(|found: Vec<JointRef>| SimError::BadRobot {
                    model: scene.robot.name.clone(),
                    what: format!("{} joints, expected {DOFS}", found.len()),
                })?;
        let mut parameters = IntegrationParameters {
            dt: PHYSICS_DT as f32,
            num_solver_iterations: 1,
            num_internal_pgs_iterations: 1,
            // The unbiased sweeps decide whether pushing out of a penetration leaves a velocity behind,
            // and whether 5 g between two fingers of 20 N are held: one is too few.
            num_internal_stabilization_iterations: 4,
            friction_in_bias_pass: true,
            // Distances of contacts are read by predicates, so they may not be old.
            normalized_contact_recycle_distance: 0.0001,
            normalized_prediction_distance: 0.005,
            normalized_allowed_linear_error: 0.0001,
            max_ccd_substeps: 0,
            friction_model: FrictionModel::Coulomb,
            ..IntegrationParameters::default()
        };
        parameters.contact_softness = SpringCoefficients::new(CONTACT_HZ, 1.0);
        parameters.static_contact_softness = parameters.contact_softness;
        let reset = Joints::from(RESET_QPOS);
        let kin = panda.kinematics(&reset);
        let samples = Samples {
            camera_poses: vec![Pose::IDENTITY; places.handles.len()],
            camera_joints: vec![0.0; places.bodies.len()],
            camera_robot: reset,
            late_poses: vec![Pose::IDENTITY; places.handles.len()],
            late_q: reset,
            late_qd: Joints::zeros(),
        };
        let mut world = World {
            scene: scene.clone(),
            finger_floor: pad_overlap(scene),
            places,
            panda,
            robot_joints,
            first_row,
            parameters,
            pipeline: PhysicsPipeline::new(),
            pull: None,
            state: Snapshot {
                engine,
                goal: OscGoal::at(&kin),
                gripper: GripperCommand::default(),
                first_action: true,
                samples,
                last_torque: [0.0; 7],
            },
        };
        world.set_robot_qpos(&RESET_QPOS);
        Ok(world)
    }

    /// The description this world was built from.
    pub fn scene(&self) -> &SceneDesc {
        &self.scene
    }

    /// Puts the robot at joint positions (7 arm, 2 fingers) with zero velocity. The orientation goal
    /// of the controller stays that of the reset position.
    pub fn set_robot_qpos(&mut self, qpos: &[f64; DOFS]) {
        self.state.first_action = true;
        let engine = &mut self.state.engine;
        // Twice, so that the result does not depend on where the joints were.
        for _ in 0..2 {
            let mut shift = [0.0f32; DOFS];
            for (i, joint) in self.robot_joints.iter().enumerate() {
                if let Some((mb, id)) = engine.multibodies.get(joint.handle)
                    && let Some(link) = mb.link(id)
                {
                    shift[link.assembly_id()] = qpos[i] as f32 - link.joint().coords()[joint.coord];
                }
            }
            if let Some((mb, _)) = engine.multibodies.get_mut(self.robot_joints[0].handle) {
                mb.apply_displacements(&shift);
                mb.generalized_velocity_mut().fill(0.0);
                mb.forward_kinematics(&engine.bodies, false);
                mb.update_rigid_bodies(&mut engine.bodies, true);
            }
        }
        let (q, qd) = self.robot_state();
        self.sample_camera(&q);
        self.sample_late(&q, &qd);
    }

    /// One 20 Hz control step: 25 physics steps under the action (three translations, three
    /// rotations, gripper; fact sheet section 4).
    pub fn step(&mut self, action: &[f64; 7]) -> Result<(), SimError> {
        if let Some(index) = action.iter().position(|a| !a.is_finite()) {
            return Err(SimError::NonFiniteAction {
                index,
                value: action[index],
            });
        }
        for i in 0..SUBSTEPS {
            let (q, qd) = self.robot_state();
            if i + 2 == SUBSTEPS {
                self.sample_camera(&q);
            } else if i + 1 == SUBSTEPS {
                self.sample_late(&q, &qd);
            }
            let kin = self.panda.kinematics(&q);
            self.state.gripper.update(action[6]);
            if i == 0 && self.state.first_action {
                // The reference controller has not looked at the placed robot yet: goal and first
                // torque come from the reset position.
                let (q0, qd0) = (Joints::from(RESET_QPOS), Joints::zeros());
                let kin0 = self.panda.kinematics(&q0);
                self.state.goal.update(&kin0, action);
                let seen = (&kin0, &q0, &qd0);
                self.physics_step(seen, &kin, &q, &qd);
            } else {
                if i == 0 {
                    self.state.goal.update(&kin, action);
                }
                self.physics_step((&kin, &q, &qd), &kin, &q, &qd);
            }
            self.state.first_action = false;
        }
        Ok(())
    }

    /// One physics step; `seen` is what the controller takes for the state of the arm.
    fn physics_step(
        &mut self,
        seen: (&Kinematics, &Joints, &Joints),
        kin: &Kinematics,
        q: &Joints,
        qd: &Joints,
    ) {
        let panda = &self.panda;
        let state = &mut self.state;
        let mass = panda.mass_matrix(kin);
        let bias = panda.bias(kin, qd);
        let gravity = panda.bias(kin, &Joints::zeros());
        let jacobian = panda.jacobian(seen.0);
        let seen_mass = if std::ptr::eq(seen.0, kin) {
            mass
        } else {
            panda.mass_matrix(seen.0)
        };
        let torque = osc::clip(osc::arm_torques(
            &state.goal,
            seen.0,
            &jacobian,
            &seen_mass,
            &bias,
            seen.1,
            seen.2,
        ));
        state.last_torque = torque.into();
        // The engine applies Coriolis and centrifugal terms itself; gravity is counted here.
        let force =
            osc::joint_forces(&torque, state.gripper.forces(q)) - gravity + panda.drag(kin, qd);
        let acceleration = joint_constraints::acceleration(
            panda,
            &mass,
            &force,
            q,
            qd,
            self.finger_floor,
            PHYSICS_DT,
        );
        let velocity = qd + acceleration * PHYSICS_DT;
        let engine = &mut state.engine;
        for (i, joint) in self.robot_joints.iter().enumerate() {
            if let Some((mb, id)) = engine.multibodies.get_mut(joint.handle) {
                let dof = mb.link(id).map_or(i, |l| l.assembly_id());
                mb.generalized_velocity_mut()[dof] = velocity[i] as f32;
            }
        }
        if let Some(pull) = &self.pull {
            pull.apply(engine);
        }
        self.pipeline.step(
            Vector::new(0.0, 0.0, -crate::panda::GRAVITY as f32),
            &self.parameters,
            &mut engine.islands,
            &mut engine.broad_phase,
            &mut engine.narrow_phase,
            &mut engine.bodies,
            &mut engine.colliders,
            &mut engine.impulse_joints,
            &mut engine.multibodies,
            &mut engine.soft_bodies,
            &mut engine.ccd,
            &(),
            &(),
        );
    }

    /// Joint positions and velocities of arm and fingers, now.
    pub fn robot_state(&self) -> (Joints, Joints) {
        let (mut q, mut qd) = (Joints::zeros(), Joints::zeros());
        for (i, joint) in self.robot_joints.iter().enumerate() {
            if let Some((mb, id)) = self.state.engine.multibodies.get(joint.handle)
                && let Some(link) = mb.link(id)
            {
                q[i] = f64::from(link.joint().coords()[joint.coord]);
                qd[i] = f64::from(mb.generalized_velocity()[link.assembly_id()]);
            }
        }
        (q, qd)
    }

    fn joint_value(&self, joint: &JointRef) -> f64 {
        self.state
            .engine
            .multibodies
            .get(joint.handle)
            .and_then(|(mb, id)| mb.link(id))
            .map_or(0.0, |l| f64::from(l.joint().coords()[joint.coord]))
    }

    fn sample_camera(&mut self, q: &Joints) {
        for row in 0..self.places.bodies.len() {
            if let Some(joint) = &self.places.body_joint[row] {
                self.state.samples.camera_joints[row] = self.joint_value(joint);
            }
        }
        let state = &mut self.state;
        for (pose, handle) in state
            .samples
            .camera_poses
            .iter_mut()
            .zip(&self.places.handles)
        {
            if let Some(body) = state.engine.bodies.get(*handle) {
                *pose = *body.position();
            }
        }
        state.samples.camera_robot = *q;
    }

    fn sample_late(&mut self, q: &Joints, qd: &Joints) {
        let state = &mut self.state;
        for (pose, handle) in state
            .samples
            .late_poses
            .iter_mut()
            .zip(&self.places.handles)
        {
            if let Some(body) = state.engine.bodies.get(*handle) {
                *pose = *body.position();
            }
        }
        state.samples.late_q = *q;
        state.samples.late_qd = *qd;
    }

    /// The robot's sensors at their sampling instants.
    pub fn observation(&self) -> RobotObservation {
        let s = &self.state.samples;
        let kin = self.panda.kinematics(&s.camera_robot);
        let quat = kin.hand.rotation.coords;
        RobotObservation {
            eef_pos: kin.grip_site.translation.vector.into(),
            eef_quat_xyzw: [quat[0], quat[1], quat[2], quat[3]],
            joint_pos: std::array::from_fn(|i| s.late_q[i]),
            joint_vel: std::array::from_fn(|i| s.late_qd[i]),
            gripper_qpos: [s.late_q[ARM], s.late_q[ARM + 1]],
        }
    }

    /// Pose of the grip site at the end of the step.
    pub fn eef_pose(&self) -> Isometry3<f64> {
        self.panda.kinematics(&self.robot_state().0).grip_site
    }

    /// Arm torques of the last physics step, N m.
    pub fn last_torque(&self) -> [f64; 7] {
        self.state.last_torque
    }

    fn row_pose(&self, poses: &[Pose], row: usize) -> Isometry3<f64> {
        let (body, offset) = &self.places.bodies[row];
        build::from_engine(&poses[*body]) * offset
    }

    /// World pose of the root body of instance `i` at the start of the last physics step.
    pub fn instance_pose(&self, i: usize) -> Isometry3<f64> {
        self.row_pose(&self.state.samples.late_poses, self.first_row[i])
    }

    /// World pose and half sizes of a site of instance `i` at the start of the last physics step.
    pub fn site_pose(&self, i: usize, site: &str) -> Option<(Isometry3<f64>, [f64; 3])> {
        let bodies = &self.scene.instances.get(i)?.model.bodies;
        let (body, found) = bodies
            .iter()
            .enumerate()
            .find_map(|(b, body)| Some((b, body.site.iter().find(|s| s.name == site)?)))?;
        let pose = self.row_pose(&self.state.samples.late_poses, self.first_row[i] + body);
        Some((pose * isometry(found.pos, found.quat_wxyz), found.half))
    }

    /// Whether any shapes of two owners touch (as of the start of the last physics step).
    pub fn in_contact(&self, a: Owner, b: Owner) -> bool {
        let tag = build::owner_tag(b);
        let narrow = &self.state.engine.narrow_phase;
        let colliders = &self.state.engine.colliders;
        self.places
            .colliders
            .iter()
            .filter(|(owner, _)| *owner == a)
            .any(|(_, handle)| {
                narrow.contact_pairs_with(*handle).any(|pair| {
                    let other = if pair.collider1 == *handle {
                        pair.collider2
                    } else {
                        pair.collider1
                    };
                    colliders.get(other).is_some_and(|c| c.user_data == tag) && touches(pair)
                })
            })
    }

    /// Position of a joint of instance `i` at the end of the step.
    pub fn joint_position(&self, i: usize, joint: &str) -> Option<f64> {
        let bodies = &self.scene.instances.get(i)?.model.bodies;
        let body = bodies
            .iter()
            .position(|b| b.joint.as_ref().is_some_and(|j| j.name == joint))?;
        let reference = self.places.body_joint[self.first_row[i] + body].as_ref()?;
        Some(self.joint_value(reference))
    }

    /// World pose of body `body` of instance `i` as the cameras see it: after 23 of the 25 physics steps.
    pub fn seen_pose(&self, i: usize, body: usize) -> Isometry3<f64> {
        self.row_pose(&self.state.samples.camera_poses, self.first_row[i] + body)
    }

    /// The configuration the cameras see: after 23 of the 25 physics steps.
    pub fn visual_state(&self) -> VisualState {
        let samples = &self.state.samples;
        VisualState {
            poses: (0..self.places.bodies.len())
                .map(|row| self.row_pose(&samples.camera_poses, row))
                .collect(),
            joint_positions: samples.camera_joints.clone(),
        }
    }

    /// A copy of everything that moves; restoring it continues bit for bit.
    pub fn snapshot(&self) -> Snapshot {
        self.state.clone()
    }

    /// Returns to a snapshot of this world or of one built from the same scene.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.state = snapshot.clone();
        self.pipeline = PhysicsPipeline::new();
    }

    /// FNV-1a over the bits of all positions and velocities and of the controller state.
    pub fn state_hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut eat = |bits: u32| {
            for byte in bits.to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for handle in &self.places.handles {
            if let Some(body) = self.state.engine.bodies.get(*handle) {
                let (t, r) = (body.position().translation, body.position().rotation);
                let (v, w) = (body.linvel(), body.angvel());
                for value in [
                    t.x, t.y, t.z, r.x, r.y, r.z, r.w, v.x, v.y, v.z, w.x, w.y, w.z,
                ] {
                    eat(value.to_bits());
                }
            }
        }
        for joint in self.places.body_joint.iter().flatten() {
            if let Some((mb, id)) = self.state.engine.multibodies.get(joint.handle)
                && let Some(link) = mb.link(id)
            {
                eat(link.joint().coords()[joint.coord].to_bits());
                eat(mb.generalized_velocity()[link.assembly_id()].to_bits());
            }
        }
        let goal = &self.state.goal;
        for value in goal
            .pos
            .iter()
            .chain(goal.rot.iter())
            .chain(self.state.gripper.state().iter())
        {
            let bits = value.to_bits();
            eat(bits as u32);
            eat((bits >> 32) as u32);
        }
        hash
    }

    /// How many rigid bodies are awake; for speed figures.
    pub fn awake_bodies(&self) -> usize {
        self.places
            .handles
            .iter()
            .filter_map(|h| self.state.engine.bodies.get(*h))
            .filter(|b| b.is_dynamic() && !b.is_sleeping())
            .count()
    }
}

fn touches(pair: &ContactPair) -> bool {
    pair.manifolds()
        .iter()
        .any(|m| m.points.iter().any(|p| p.dist < TOUCH_DISTANCE))
}

/// How far each finger stays from its stop because the pads meet first, m.
fn pad_overlap(scene: &SceneDesc) -> f64 {
    let mut at = Vector3::zeros();
    for body in &scene.robot.bodies {
        for shape in &body.collision {
            if shape.name.as_deref() == Some("left_pad")
                && let crate::description::ShapeDesc::Box { half } = &shape.shape
            {
                at = Vector3::from(body.pos) + Vector3::from(shape.pos);
                at.y -= half[1];
            }
        }
    }
    (-at.y).clamp(0.0, 0.002)
}
