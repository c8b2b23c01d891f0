//! Settings of the physics, the controllers and the sensors of a world, and the protocol that a world declares.
//!
//! [`SimulationSettings::default`] holds the values with which the results of the suites are measured
//! (`docs/reference/libero.md`, sections 1, 3, 4 and 5). [`SimulationProtocol`] is what
//! [`World::protocol`](crate::World::protocol) reads back from a running world.

use crate::error::SimError;
pub use crate::joint_constraints::JointConstraintSettings;
pub use crate::osc::{GripperSettings, OscSettings};
pub use crate::panda::EnvironmentSettings;
use rapier3d::prelude::{FrictionModel, IntegrationParameters, SpringCoefficients};
use serde::{Deserialize, Serialize};

/// Settings from which a [`World`](crate::World) is built.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationSettings {
    /// Step lengths and sampling instants.
    pub timing: TimingSettings,
    /// Gravity and air.
    pub environment: EnvironmentSettings,
    /// Contact solver.
    pub solver: SolverSettings,
    /// Damping and sleeping of objects and fixtures.
    pub bodies: BodySettings,
    /// Operational-space controller of the arm.
    pub controller: OscSettings,
    /// Position servo of the two fingers.
    pub gripper: GripperSettings,
    /// Dry friction and limits of the robot's joints.
    pub joint_constraints: JointConstraintSettings,
}

impl SimulationSettings {
    /// Refuses settings that cannot be stepped or sampled.
    pub(crate) fn validate(&self) -> Result<(), SimError> {
        self.timing.validate()?;
        let constraints = &self.joint_constraints;
        for (name, value, most) in [
            (
                "time_constant_secs",
                constraints.time_constant_secs,
                f64::INFINITY,
            ),
            ("impedance_min", constraints.impedance_min, 1.0),
            ("impedance_max", constraints.impedance_max, 1.0),
            (
                "impedance_width",
                constraints.impedance_width,
                f64::INFINITY,
            ),
        ] {
            if !(0.0 < value && value < most) {
                return Err(SimError::InvalidSettings(format!(
                    "{name} is {value}, expected a number between 0 and {most}"
                )));
            }
        }
        Ok(())
    }
}

/// Step lengths, and the physics steps of a control step at which sensors are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimingSettings {
    /// Length of a physics step, s.
    pub physics_step_secs: f64,
    /// Number of physics steps per control step.
    pub substeps_per_control_step: usize,
    /// Number of physics steps between the sampling of cameras and pose sensors and the end of the control step.
    pub camera_lead_substeps: usize,
    /// Number of physics steps between the sampling of joint sensors and the end of the control step.
    pub joint_sensor_lead_substeps: usize,
}

impl Default for TimingSettings {
    fn default() -> Self {
        TimingSettings {
            physics_step_secs: 0.002,
            substeps_per_control_step: 25,
            camera_lead_substeps: 2,
            joint_sensor_lead_substeps: 1,
        }
    }
}

impl TimingSettings {
    /// Control steps per second.
    pub fn control_rate_hz(&self) -> f64 {
        1.0 / (self.physics_step_secs * self.substeps_per_control_step as f64)
    }

    fn validate(&self) -> Result<(), SimError> {
        let substeps = 1..=self.substeps_per_control_step;
        let invalid = |reason: String| Err(SimError::InvalidSettings(reason));
        if !(self.physics_step_secs > 0.0 && self.physics_step_secs.is_finite()) {
            return invalid(format!(
                "physics_step_secs is {}, expected a positive number",
                self.physics_step_secs
            ));
        }
        for (name, lead) in [
            ("camera_lead_substeps", self.camera_lead_substeps),
            (
                "joint_sensor_lead_substeps",
                self.joint_sensor_lead_substeps,
            ),
        ] {
            if !substeps.contains(&lead) {
                return invalid(format!(
                    "{name} is {lead}, expected 1 to {} (substeps_per_control_step)",
                    self.substeps_per_control_step
                ));
            }
        }
        Ok(())
    }
}

/// Settings of Rapier's solver, with its names and in single precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolverSettings {
    /// Solver iterations per physics step.
    pub iterations: usize,
    /// Projected Gauss-Seidel sweeps per iteration.
    pub internal_pgs_iterations: usize,
    /// Sweeps without bias per iteration. They decide whether pushing out of a penetration leaves a velocity
    /// behind, and whether 5 g between two fingers of 20 N are held: one is too few.
    pub internal_stabilization_iterations: usize,
    /// Friction is solved in the biased sweeps too.
    pub friction_in_bias_pass: bool,
    /// Contacts of a manifold are solved in clusters.
    pub contact_clustering: bool,
    /// Contact points of bodies that hardly moved are reused.
    pub contact_recycling: bool,
    /// Share of the previous step's impulses with which the solver starts.
    pub warmstart_coefficient: f32,
    /// Largest velocity that corrects a penetration, m/s.
    pub max_corrective_velocity: f32,
    /// Largest motion, m, over which contact points are reused. Predicates read distances of contacts, so that
    /// they may not be old.
    pub contact_recycle_distance: f32,
    /// Distance, m, from which contacts are predicted.
    pub prediction_distance: f32,
    /// Length, m, that the engine takes for one unit: boxes of the broad phase are 4 % of it wider than their shapes. A power
    /// of two, so that the other lengths here stay what they are to the bit.
    pub length_unit: f32,
    /// Penetration of two free objects at the first physics step, m, from which both keep the velocity with which the solver
    /// pushes them apart, as in MuJoCo; it ends when they are less deep for the first time.
    pub initial_overlap_depth: f32,
    /// Penetration, m, that is left uncorrected.
    pub allowed_linear_error: f32,
    /// Substeps of continuous collision detection; 0 turns it off.
    pub max_ccd_substeps: usize,
    /// Friction cone, `coulomb` or `simplified`.
    pub friction_model: FrictionCone,
    /// Natural frequency of contacts, Hz. MuJoCo's are at 15 (table) to 40 (objects, fingers); an object of 5 g
    /// in a grip of 20 N sinks into the fingers below 60 here, and is squeezed out above 150.
    pub contact_natural_frequency: f32,
    /// Damping ratio of contacts, 1 is critical.
    pub contact_damping_ratio: f32,
    /// Distance, m, below which two shapes are in contact (MuJoCo: 0). Above 0 by more than single precision rounds: a ball at
    /// rest was found 7e-9 m above its support. Most resting objects sink in by g / (natural angular frequency)^2, 0.04 mm.
    pub contact_distance: f32,
}

/// Friction cone of the contact solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrictionCone {
    /// Coulomb's cone at every contact point.
    Coulomb,
    /// One friction constraint with twist per contact manifold.
    Simplified,
}

impl Default for SolverSettings {
    fn default() -> Self {
        let engine = IntegrationParameters::default();
        SolverSettings {
            iterations: 1,
            internal_pgs_iterations: 1,
            internal_stabilization_iterations: 4,
            friction_in_bias_pass: true,
            contact_clustering: engine.contact_clustering,
            contact_recycling: engine.contact_recycling,
            warmstart_coefficient: engine.warmstart_coefficient,
            max_corrective_velocity: engine.normalized_max_corrective_velocity,
            contact_recycle_distance: 0.0001,
            prediction_distance: 0.005,
            length_unit: 0.0625,
            initial_overlap_depth: 0.0005,
            allowed_linear_error: 0.0001,
            max_ccd_substeps: 0,
            friction_model: FrictionCone::Coulomb,
            contact_natural_frequency: 80.0,
            contact_damping_ratio: 1.0,
            contact_distance: 1e-6,
        }
    }
}

impl SolverSettings {
    /// Rapier's parameters for steps of `physics_step_secs`.
    pub(crate) fn integration_parameters(&self, physics_step_secs: f64) -> IntegrationParameters {
        let engine = IntegrationParameters::default();
        let mut parameters = IntegrationParameters {
            dt: physics_step_secs as f32,
            num_solver_iterations: self.iterations,
            num_internal_pgs_iterations: self.internal_pgs_iterations,
            num_internal_stabilization_iterations: self.internal_stabilization_iterations,
            friction_in_bias_pass: self.friction_in_bias_pass,
            contact_clustering: self.contact_clustering,
            contact_recycling: self.contact_recycling,
            warmstart_coefficient: self.warmstart_coefficient,
            length_unit: self.length_unit,
            normalized_max_corrective_velocity: self.max_corrective_velocity / self.length_unit,
            normalized_max_linear_velocity: engine.normalized_max_linear_velocity
                / self.length_unit,
            normalized_contact_recycle_distance: self.contact_recycle_distance / self.length_unit,
            normalized_prediction_distance: self.prediction_distance / self.length_unit,
            normalized_allowed_linear_error: self.allowed_linear_error / self.length_unit,
            max_ccd_substeps: self.max_ccd_substeps,
            friction_model: match self.friction_model {
                FrictionCone::Coulomb => FrictionModel::Coulomb,
                FrictionCone::Simplified => FrictionModel::Simplified,
            },
            ..engine
        };
        parameters.contact_softness =
            SpringCoefficients::new(self.contact_natural_frequency, self.contact_damping_ratio);
        parameters.static_contact_softness = parameters.contact_softness;
        parameters
    }

    /// Reads the settings back from Rapier's parameters; those that the engine does not know stay as they are here.
    pub(crate) fn read(&self, parameters: &IntegrationParameters) -> Self {
        SolverSettings {
            initial_overlap_depth: self.initial_overlap_depth,
            contact_distance: self.contact_distance,
            iterations: parameters.num_solver_iterations,
            internal_pgs_iterations: parameters.num_internal_pgs_iterations,
            internal_stabilization_iterations: parameters.num_internal_stabilization_iterations,
            friction_in_bias_pass: parameters.friction_in_bias_pass,
            contact_clustering: parameters.contact_clustering,
            contact_recycling: parameters.contact_recycling,
            warmstart_coefficient: parameters.warmstart_coefficient,
            max_corrective_velocity: parameters.max_corrective_velocity(),
            contact_recycle_distance: parameters.contact_recycle_distance(),
            prediction_distance: parameters.prediction_distance(),
            length_unit: parameters.length_unit,
            allowed_linear_error: parameters.allowed_linear_error(),
            max_ccd_substeps: parameters.max_ccd_substeps,
            friction_model: match parameters.friction_model {
                FrictionModel::Coulomb => FrictionCone::Coulomb,
                FrictionModel::Simplified => FrictionCone::Simplified,
            },
            contact_natural_frequency: parameters.contact_softness.natural_frequency,
            contact_damping_ratio: parameters.contact_softness.damping_ratio,
        }
    }
}

/// Damping of free objects, and the thresholds below which objects and fixtures sleep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodySettings {
    /// Damping of all six degrees of freedom of a free object, N s/m and N m s/rad.
    pub free_damping: f64,
    /// Linear speed, m/s, below which a body may fall asleep.
    pub sleep_linear_speed: f32,
    /// Angular speed, rad/s, below which a body may fall asleep.
    pub sleep_angular_speed: f32,
    /// Time below both speeds after which a body falls asleep, s.
    pub sleep_after_secs: f32,
}

impl Default for BodySettings {
    fn default() -> Self {
        BodySettings {
            free_damping: 0.0005,
            sleep_linear_speed: 0.002,
            sleep_angular_speed: 0.05,
            sleep_after_secs: 0.2,
        }
    }
}

/// Protocol of a running world, for the manifest of a run: every value is the one that the world uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulationProtocol {
    /// Control steps per second.
    pub control_rate_hz: f64,
    /// Name of the robot model.
    pub robot_model: String,
    /// Settings of the world.
    #[serde(flatten)]
    pub settings: SimulationSettings,
}
