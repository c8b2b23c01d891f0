//! The initial state of an episode: poses of objects and fixtures, joint positions, robot posture.

use crate::bddl::Problem;
use bitvla_sim::isometry;
use nalgebra::Isometry3;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that differs between two episodes of a task, in the world frame.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitState {
    /// Root poses of the movable objects by instance name: x, y, z (m), quaternion w, x, y, z.
    pub objects: BTreeMap<String, [f64; 7]>,
    /// Root poses of the fixtures, same layout.
    pub fixtures: BTreeMap<String, [f64; 7]>,
    /// Joint positions (rad or m) by instance and joint name.
    pub joints: BTreeMap<String, BTreeMap<String, f64>>,
    /// Seven arm joints (rad) and two fingers (m).
    pub robot_qpos: [f64; 9],
    /// Velocities; none for a state at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocities: Option<Velocities>,
}

/// Velocities of a state that is not at rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Velocities {
    /// Seven arm joints (rad/s) and two fingers (m/s).
    pub robot: [f64; 9],
    /// Of movable objects by instance name: velocity of the root origin in the world frame (m/s), then angular velocity
    /// in the frame of the object (rad/s), as MuJoCo stores a free joint.
    pub objects: BTreeMap<String, [f64; 6]>,
    /// Of joints by instance and joint name, rad/s or m/s.
    pub joints: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Largest deviation of the squared norm of a quaternion from 1.
const UNIT_TOLERANCE: f64 = 1e-3;

/// Returns true if the orientation of a pose is a unit quaternion, within what a file rounds.
pub(crate) fn is_unit(pose: &[f64; 7]) -> bool {
    (pose[3..].iter().map(|q| q * q).sum::<f64>() - 1.0).abs() <= UNIT_TOLERANCE
}

impl InitState {
    /// Checks that the state names only what a problem declares, as what it declares it, with finite poses.
    ///
    /// # Errors
    /// What was found, and what was expected.
    pub(crate) fn check(&self, problem: &Problem) -> Result<(), (String, String)> {
        let declared = || {
            let names = problem.objects.iter().chain(problem.model_fixtures());
            let names: Vec<&str> = names.map(|declared| declared.name.as_str()).collect();
            format!("names that {} declares: {}", problem.file, names.join(", "))
        };
        let velocities = self.velocities.iter();
        let movable =
            (self.objects.keys()).chain(velocities.clone().flat_map(|v| v.objects.keys()));
        let jointed = (self.joints.keys()).chain(velocities.flat_map(|v| v.joints.keys()));
        for (kind, name) in (movable.map(|name| ("object", name)))
            .chain(self.fixtures.keys().map(|name| ("fixture", name)))
            .chain(jointed.map(|name| ("joints", name)))
        {
            let known = (problem.objects.iter()).any(|object| object.name == *name)
                || problem
                    .model_fixtures()
                    .any(|fixture| fixture.name == *name);
            if !known {
                return Err((format!("the {kind} of `{name}`"), declared()));
            }
        }
        for (name, pose) in self.objects.iter().chain(&self.fixtures) {
            if !pose.iter().all(|v| v.is_finite()) || !is_unit(pose) {
                let expected = "x, y, z (m) and a unit quaternion w, x, y, z".to_owned();
                return Err((format!("{pose:?} as the pose of `{name}`"), expected));
            }
        }
        Ok(())
    }
}

/// Converts x, y, z, w, x, y, z into a pose.
pub(crate) fn pose_from_array(v: &[f64; 7]) -> Isometry3<f64> {
    isometry([v[0], v[1], v[2]], [v[3], v[4], v[5], v[6]])
}

/// Converts a pose into x, y, z, w, x, y, z.
pub(crate) fn pose_to_array(pose: &Isometry3<f64>) -> [f64; 7] {
    let (t, q) = (pose.translation.vector, pose.rotation);
    [t.x, t.y, t.z, q.w, q.i, q.j, q.k]
}
