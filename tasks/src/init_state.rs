//! The initial state of an episode: poses of objects and fixtures, joint positions, robot posture.

use crate::bddl::Problem;
use bitvla_sim::{MAX_DISTANCE_METRES, MAX_JOINT_POSITION, isometry};
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

/// Largest velocity that is taken for meant, m/s or rad/s.
const MAX_VELOCITY: f64 = 1e4;

/// Returns true if the orientation of a pose is a unit quaternion, within what a file rounds.
pub(crate) fn is_unit(pose: &[f64; 7]) -> bool {
    (pose[3..].iter().map(|q| q * q).sum::<f64>() - 1.0).abs() <= UNIT_TOLERANCE
}

impl InitState {
    /// Checks that the state names only what a problem declares, as what it declares it, with numbers that a world can be
    /// built from.
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
        self.defect().map_or(Ok(()), Err)
    }

    /// Found and expected of the first number that no world can be built from; `None` for a good state.
    fn defect(&self) -> Option<(String, String)> {
        for (name, pose) in self.objects.iter().chain(&self.fixtures) {
            if !is_unit(pose) {
                let norm = pose[3..].iter().map(|q| q * q).sum::<f64>().sqrt();
                let found = format!("a quaternion of norm {norm} as the orientation of `{name}`");
                return Some((found, "a unit quaternion w, x, y, z".into()));
            }
            if !pose[..3].iter().all(|x| x.abs() <= MAX_DISTANCE_METRES) {
                let found = format!("`{name}` at {:?}", &pose[..3]);
                let expected = format!("coordinates of at most {MAX_DISTANCE_METRES} m");
                return Some((found, expected));
            }
        }
        let positions = (self.joints.iter())
            .flat_map(|(owner, joints)| {
                joints
                    .iter()
                    .map(move |(name, q)| (format!("{owner}.{name}"), *q))
            })
            .chain(
                (self.robot_qpos.iter().enumerate()).map(|(i, q)| (format!("robot_qpos {i}"), *q)),
            );
        for (name, q) in positions {
            if !(0.0..=MAX_JOINT_POSITION).contains(&q.abs()) {
                let found = format!("`{name}` at {q}");
                let expected = format!("a joint position of at most {MAX_JOINT_POSITION} rad or m");
                return Some((found, expected));
            }
        }
        let velocities =
            self.velocities.iter().flat_map(|v| {
                (v.robot.iter().map(|v| ("robot", *v)))
                    .chain((v.objects.iter()).flat_map(|(name, v)| v.map(|v| (name.as_str(), v))))
                    .chain((v.joints.iter()).flat_map(|(name, joints)| {
                        joints.values().map(move |v| (name.as_str(), *v))
                    }))
            });
        for (name, velocity) in velocities {
            if !(0.0..=MAX_VELOCITY).contains(&velocity.abs()) {
                let found = format!("a velocity of {velocity} of the {name}");
                return Some((found, format!("at most {MAX_VELOCITY} m/s or rad/s")));
            }
        }
        None
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

#[cfg(test)]
mod tests {
    //! Guarantee: a state that no world can be built from is refused with name and number.
    use super::*;

    fn good() -> InitState {
        InitState {
            objects: BTreeMap::from([("plate_1".into(), [0.0, 0.0, 0.9, 1.0, 0.0, 0.0, 0.0])]),
            ..InitState::default()
        }
    }

    #[test]
    fn what_no_world_can_hold_is_named() {
        assert_eq!(good().defect(), None);
        let broken = |change: fn(&mut InitState)| {
            let mut state = good();
            change(&mut state);
            state.defect().expect("a defect").0
        };
        let zero = broken(|s| s.objects.values_mut().for_each(|p| p[3] = 0.0));
        assert_eq!(
            zero,
            "a quaternion of norm 0 as the orientation of `plate_1`"
        );
        let far = broken(|s| s.objects.values_mut().for_each(|p| p[2] = -1000.0));
        assert_eq!(far, "`plate_1` at [0.0, 0.0, -1000.0]");
        let fixture = broken(|s| {
            s.fixtures.insert("stove_1".into(), [0.0; 7]);
        });
        assert!(fixture.contains("`stove_1`"), "{fixture}");
        let robot = broken(|s| s.robot_qpos[3] = 1e9);
        assert_eq!(robot, "`robot_qpos 3` at 1000000000");
        let fast = broken(|s| {
            let velocities = s.velocities.insert(Velocities::default());
            velocities.robot[2] = f64::NAN;
        });
        assert_eq!(fast, "a velocity of NaN of the robot");
    }
}
