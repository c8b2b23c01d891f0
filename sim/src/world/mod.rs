//! The physical world: the arm under operational-space control among objects and fixtures in Rapier
//! (`docs/reference/libero.md`, sections 1 to 5). Everything is held by friction; nothing is ever attached.
//!
//! One control step is by default 25 physics steps of 2 ms. In each of them the arm's free motion is computed in double
//! precision ([`crate::panda`], [`crate::osc`], `joint_constraints`) and handed to the engine as joint
//! velocities; the engine adds Coriolis terms, contacts and everything else that moves, and integrates.

mod build;
mod contacts;
mod engine;
mod event;
mod handles;
mod initial_overlap;
mod perturb;
mod sensors;
mod set_state;
mod set_velocity;
mod slide_range;
mod snapshot;

pub use contacts::Contact;
pub use event::SceneEvent;
pub use handles::{JointHandle, SiteHandle};
pub use perturb::{BodyPoint, PointSpring};
pub use sensors::RobotObservation;
pub use snapshot::Snapshot;

use crate::description::{Owner, SceneDesc, ShapeDesc, isometry};
use crate::error::SimError;
use crate::joint_constraints;
use crate::osc::{self, ArmTorques, GripperCommand, OscGoal};
use crate::panda::{DOFS, JointVector, Kinematics, Panda, RESET_QPOS};
use crate::settings::{SimulationProtocol, SimulationSettings};
use engine::{HandleMap, JointRef};
use event::{EventProgress, PreparedEvent};
use initial_overlap::InitialOverlaps;
use nalgebra::Vector3;
use rapier3d::math::{Pose, Vector};
use rapier3d::prelude::*;
use sensors::SensorSamples;

/// Largest coordinate of a body that still counts as simulated, m; what falls off the floor for a whole episode stays below.
const MAX_REACH_METRES: f32 = 1e5;

/// A scene that can be stepped.
///
/// ```
/// use bitvla_sim::{ArenaDesc, InstanceDesc, ModelDesc, SceneDesc, World, isometry};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets");
/// let read = |path: &str| std::fs::read_to_string(format!("{assets}/{path}"));
/// let arena: ArenaDesc = toml::from_str(&read("arenas/table.toml")?)?;
/// let robot: ModelDesc = toml::from_str(&read("robots/panda.toml")?)?;
/// let bowl: ModelDesc = toml::from_str(&read("objects/akita_black_bowl.toml")?)?;
/// let scene = SceneDesc {
///     arena: Arc::new(arena),
///     robot: Arc::new(robot),
///     instances: vec![InstanceDesc {
///         name: "bowl".into(),
///         pose: isometry([-0.1, 0.0, 0.92], bowl.placement.quat_wxyz),
///         model: Arc::new(bowl),
///         fixed: false,
///         joint_positions: Default::default(),
///     }],
/// };
/// let mut world = World::new(&scene)?;
/// let start = world.observation();
/// // One second towards +x with the gripper open.
/// for _ in 0..world.protocol().control_rate_hz as usize {
///     world.step(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
/// }
/// assert!(world.observation().eef_pos[0] > start.eef_pos[0] + 0.05);
/// // The bowl rests on the table, whose top is 0.9 m above the floor.
/// assert!((world.instance_pose(0).translation.z - 0.9).abs() < 0.02);
/// # Ok(())
/// # }
/// ```
pub struct World {
    scene: SceneDesc,
    settings: SimulationSettings,
    handle_map: HandleMap,
    panda: Panda,
    robot_joints: [JointRef; DOFS],
    /// Distance, m, that each finger stays from the end of its range because the pads meet first.
    finger_stop_offset: f64,
    /// Per instance: the row of its root body in the body table.
    first_row: Vec<usize>,
    parameters: IntegrationParameters,
    pipeline: PhysicsPipeline,
    /// External force; not part of the state.
    point_spring: Option<PointSpring>,
    /// Change of the scene in mid-simulation; its progress is part of the state.
    event: Option<Box<PreparedEvent>>,
    state: Snapshot,
}

impl World {
    /// Builds a scene with the default settings: robot at its reset position, instances at their described
    /// poses.
    ///
    /// # Errors
    /// For a model that cannot be simulated; the error names the model and the reason.
    pub fn new(scene: &SceneDesc) -> Result<World, SimError> {
        World::with_settings(scene, &SimulationSettings::default())
    }

    /// Builds a scene with settings of one's own.
    ///
    /// # Errors
    /// As [`World::new`], and [`SimError::InvalidSettings`].
    pub fn with_settings(
        scene: &SceneDesc,
        settings: &SimulationSettings,
    ) -> Result<World, SimError> {
        settings.validate()?;
        let base = isometry(scene.arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]);
        let mut panda = Panda::new(&scene.robot, base)?;
        panda.environment = settings.environment.clone();
        let (engine, handle_map) = build::build(scene, settings)?;
        let first_robot_row = scene.arena.model.bodies.len();
        let mut first_row = Vec::with_capacity(scene.instances.len());
        let mut row = first_robot_row + scene.robot.bodies.len();
        for instance in &scene.instances {
            first_row.push(row);
            row += instance.model.bodies.len();
        }
        let robot_joints: Vec<JointRef> = handle_map.body_joint
            [first_robot_row..first_robot_row + scene.robot.bodies.len()]
            .iter()
            .flatten()
            .cloned()
            .collect();
        let robot_joints: [JointRef; DOFS] =
            robot_joints
                .try_into()
                .map_err(|found: Vec<JointRef>| SimError::InvalidRobot {
                    model: scene.robot.name.clone(),
                    reason: format!("{} joints, expected {DOFS}", found.len()),
                })?;
        let reset = JointVector::from(RESET_QPOS);
        let kin = panda.kinematics(&reset);
        let samples = SensorSamples {
            camera_poses: vec![Pose::IDENTITY; handle_map.rigid_bodies.len()],
            camera_joints: vec![0.0; handle_map.bodies.len()],
            camera_robot: reset,
            poses: vec![Pose::IDENTITY; handle_map.rigid_bodies.len()],
            q: reset,
            qd: JointVector::zeros(),
        };
        let mut world = World {
            scene: scene.clone(),
            settings: settings.clone(),
            finger_stop_offset: finger_stop_offset(scene),
            handle_map,
            panda,
            robot_joints,
            first_row,
            parameters: (settings.solver).integration_parameters(settings.timing.physics_step_secs),
            pipeline: PhysicsPipeline::new(),
            point_spring: None,
            event: None,
            state: Snapshot {
                engine,
                goal: OscGoal::at(&kin),
                gripper: GripperCommand::default(),
                first_action: true,
                samples,
                last_torque: ArmTorques::zeros(),
                initial_overlaps: InitialOverlaps::default(),
                event: EventProgress::default(),
            },
        };
        world.set_robot_qpos(&RESET_QPOS);
        Ok(world)
    }

    /// The description this world was built from, with the surroundings of its event once that has happened.
    pub fn scene(&self) -> &SceneDesc {
        self.scene_after_event().unwrap_or(&self.scene)
    }

    /// Protocol of the simulation, read from the values that this world steps with.
    pub fn protocol(&self) -> SimulationProtocol {
        SimulationProtocol {
            control_rate_hz: self.settings.timing.control_rate_hz(),
            robot_model: self.scene.robot.name.clone(),
            settings: SimulationSettings {
                solver: self.settings.solver.read(&self.parameters),
                environment: self.panda.environment.clone(),
                ..self.settings.clone()
            },
        }
    }

    /// Advances by one control step under an action: three translations, three components of a rotation vector (world
    /// axes), gripper (positive closes), each -1 to 1 (`docs/reference/libero.md`, section 4).
    ///
    /// # Errors
    /// [`SimError::NonFiniteAction`] before anything moves; [`SimError::NonFiniteState`] when a body has left all bounds;
    /// [`SimError::SingularMatrix`] in a singular posture, with the world left at the physics step that failed.
    pub fn step(&mut self, action: &[f64; 7]) -> Result<(), SimError> {
        if let Some(index) = action.iter().position(|a| !a.is_finite()) {
            return Err(SimError::NonFiniteAction {
                index,
                value: action[index],
            });
        }
        let timing = &self.settings.timing;
        let substeps = timing.substeps_per_control_step;
        let camera_substep = substeps - timing.camera_lead_substeps;
        let joint_sensor_substep = substeps - timing.joint_sensor_lead_substeps;
        for i in 0..substeps {
            let (q, qd) = self.robot_state();
            if i == camera_substep {
                self.sample_cameras(&q);
            }
            if i == joint_sensor_substep {
                self.sample_joint_sensors(&q, &qd);
            }
            let kin = self.panda.kinematics(&q);
            (self.state.gripper).update(&self.settings.gripper, action[6]);
            if i == 0 && self.state.first_action {
                // The reference controller has not read the placed robot yet: goal and first torque come from
                // the reset position.
                let (q0, qd0) = (JointVector::from(RESET_QPOS), JointVector::zeros());
                let kin0 = self.panda.kinematics(&q0);
                (self.state.goal).update(&self.settings.controller, &kin0, action);
                let measured = (&kin0, &q0, &qd0);
                self.physics_step(measured, &kin, &q, &qd)?;
            } else {
                if i == 0 {
                    (self.state.goal).update(&self.settings.controller, &kin, action);
                }
                self.physics_step((&kin, &q, &qd), &kin, &q, &qd)?;
            }
            self.state.first_action = false;
        }
        self.check_state()?;
        self.advance_event();
        Ok(())
    }

    /// Advances by one physics step; `measured` is the state of the arm that the controller acts on.
    fn physics_step(
        &mut self,
        measured: (&Kinematics, &JointVector, &JointVector),
        kin: &Kinematics,
        q: &JointVector,
        qd: &JointVector,
    ) -> Result<(), SimError> {
        let panda = &self.panda;
        let settings = &self.settings;
        let dt = settings.timing.physics_step_secs;
        let state = &mut self.state;
        let mass = panda.mass_matrix(kin);
        let bias = panda.bias(kin, qd);
        let gravity = panda.bias(kin, &JointVector::zeros());
        let jacobian = panda.jacobian(measured.0);
        let measured_mass = if std::ptr::eq(measured.0, kin) {
            mass
        } else {
            panda.mass_matrix(measured.0)
        };
        let controller = &settings.controller;
        let torque = osc::clip_torques(
            controller,
            osc::arm_torques(
                controller,
                &state.goal,
                measured.0,
                &jacobian,
                &measured_mass,
                &bias,
                measured.1,
                measured.2,
            )?,
        );
        state.last_torque = torque;
        // The engine applies Coriolis and centrifugal terms itself; gravity is counted here.
        let fingers = state.gripper.forces(&settings.gripper, q);
        let force = osc::joint_forces(&torque, fingers) - gravity + panda.drag(kin, qd);
        let acceleration = joint_constraints::acceleration(
            &settings.joint_constraints,
            panda,
            &mass,
            &force,
            q,
            qd,
            self.finger_stop_offset,
            dt,
        )?;
        let velocity = qd + acceleration * dt;
        let engine = &mut state.engine;
        for (i, joint) in self.robot_joints.iter().enumerate() {
            let (multibody, row) = engine.multibody_mut(joint);
            multibody.generalized_velocity_mut()[row] = velocity[i] as f32;
        }
        let gravity = panda.environment.gravity as f32;
        if let Some(spring) = &self.point_spring {
            spring.apply(engine, gravity);
        }
        let overlaps = &mut state.initial_overlaps;
        let before = overlaps.poses(engine, state.first_action);
        self.pipeline.step(
            Vector::new(0.0, 0.0, -gravity),
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
            &build::CollisionBitFilter,
            &(),
        );
        if state.first_action {
            overlaps.find(engine, settings.solver.initial_overlap_depth);
        }
        overlaps.keep_velocities(engine, &before, dt as f32);
        overlaps.release(engine, settings.solver.initial_overlap_depth);
        Ok(())
    }

    /// Refuses a state that is not finite, and names the body.
    fn check_state(&self) -> Result<(), SimError> {
        let is_broken = |handle: &RigidBodyHandle| {
            let body = &self.state.engine.bodies[*handle];
            let numbers = [body.translation(), body.linvel(), body.angvel()];
            let finite = numbers.iter().all(|v| v.is_finite()) && body.rotation().is_finite();
            !finite || body.translation().abs().max_element() > MAX_REACH_METRES
        };
        let Some(broken) = (self.handle_map.rigid_bodies.iter()).position(is_broken) else {
            return Ok(());
        };
        let rows = self.scene.body_table();
        // Every rigid body has a row of the body table.
        let row = self
            .handle_map
            .bodies
            .iter()
            .position(|(body, _)| *body == broken);
        let name = row.and_then(|row| rows.get(row)).map(|row| {
            let model = self.scene.model(row.owner);
            let owner = match row.owner {
                Owner::Instance(i) => &self.scene.instances[i].name,
                _ => &model.name,
            };
            format!("{owner}/{}", model.bodies[row.body].name)
        });
        Err(SimError::NonFiniteState {
            body: name.unwrap_or_default(),
        })
    }
}

/// Distance, m, that each finger stays from the end of its range because the pads meet first; zero for a gripper
/// without a box named `left_pad`, whose pads do not meet.
fn finger_stop_offset(scene: &SceneDesc) -> f64 {
    let mut inner_face = Vector3::zeros();
    for body in &scene.robot.bodies {
        for shape in &body.collision {
            if shape.name.as_deref() == Some("left_pad")
                && let ShapeDesc::Box { half } = &shape.shape
            {
                inner_face = Vector3::from(body.pos) + Vector3::from(shape.pos);
                inner_face.y -= half[1];
            }
        }
    }
    (-inner_face.y).clamp(0.0, 0.002)
}
