//! Phases of a recorded pick-and-place episode.

use crate::geometry::pose;
use crate::reference::GraspEpisode;

/// Height by which a held object has risen once lifting begins, m.
const RISEN: f64 = 0.005;
/// Distance that an object has moved sideways once carrying begins, m; less counts as unmoved.
pub(super) const MOVED: f64 = 0.02;
/// Steps after the gripper opens that count as release where another grasp follows.
const RELEASE_STEPS: usize = 15;

/// Phase of a pick-and-place episode, by the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Approach,
    Grasp,
    Lift,
    Carry,
    Release,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Phase; 5] = [
        Phase::Approach,
        Phase::Grasp,
        Phase::Lift,
        Phase::Carry,
        Phase::Release,
    ];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Approach => "before grasp",
            Phase::Grasp => "grasp",
            Phase::Lift => "lift",
            Phase::Carry => "carry",
            Phase::Release => "release",
        }
    }

    /// Returns true while the gripper holds the object.
    pub fn is_held(self) -> bool {
        matches!(self, Phase::Grasp | Phase::Lift | Phase::Carry)
    }
}

/// Distance of the positions of two poses, m.
pub(super) fn moved_by(a: &[f64; 7], b: &[f64; 7]) -> f64 {
    (pose(a).translation.vector - pose(b).translation.vector).norm()
}

/// Returns the phase of each recorded step for one object. A cycle is closing and opening of the gripper; cycles that do
/// not move the object are approach.
pub(super) fn phases(episode: &GraspEpisode, poses: &[[f64; 7]]) -> Vec<Phase> {
    let steps = episode.action.len();
    let mut out = vec![Phase::Approach; steps];
    let closed = |t: usize| episode.action[t][6] > 0.0;
    let mut t = 0;
    while t < steps {
        if !closed(t) {
            t += 1;
            continue;
        }
        let close = t;
        while t < steps && closed(t) {
            t += 1;
        }
        let (Some(from), Some(to)) = (poses.get(close), poses.get(t.min(steps - 1))) else {
            break;
        };
        if moved_by(from, to) < MOVED {
            continue;
        }
        let mut phase = Phase::Grasp;
        for (s, slot) in out.iter_mut().enumerate().take(t).skip(close) {
            let p = &poses[s.min(poses.len() - 1)];
            if phase == Phase::Grasp && p[2] > from[2] + RISEN {
                phase = Phase::Lift;
            }
            if phase == Phase::Lift && libm::hypot(p[0] - from[0], p[1] - from[1]) > MOVED {
                phase = Phase::Carry;
            }
            *slot = phase;
        }
        let again = (t..steps).any(closed);
        let end = if again {
            (t + RELEASE_STEPS).min(steps)
        } else {
            steps
        };
        out[t..end].fill(Phase::Release);
    }
    out
}
