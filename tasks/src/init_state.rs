//! The initial state of an episode: poses of objects and fixtures, joint positions, robot posture.

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
