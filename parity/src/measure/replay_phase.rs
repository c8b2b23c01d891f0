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
pub(crate) enum ReplayPhase {
    Approach,
    Grasp,
    Lift,
    Carry,
    Release,
}

impl ReplayPhase {
    /// All phases in order.
    pub const ALL: [ReplayPhase; 5] = [
        ReplayPhase::Approach,
        ReplayPhase::Grasp,
        ReplayPhase::Lift,
        ReplayPhase::Carry,
        ReplayPhase::Release,
    ];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            ReplayPhase::Approach => "before grasp",
            ReplayPhase::Grasp => "grasp",
            ReplayPhase::Lift => "lift",
            ReplayPhase::Carry => "carry",
            ReplayPhase::Release => "release",
        }
    }

    /// Returns true while the gripper holds the object.
    pub fn is_held(self) -> bool {
        matches!(
            self,
            ReplayPhase::Grasp | ReplayPhase::Lift | ReplayPhase::Carry
        )
    }
}

/// Distance of the positions of two poses, m.
pub(super) fn moved_by(a: &[f64; 7], b: &[f64; 7]) -> f64 {
    (pose(a).translation.vector - pose(b).translation.vector).norm()
}

/// Returns the phase of each recorded step for one object. A cycle is closing and opening of the gripper; cycles that do
/// not move the object are approach.
pub(super) fn phases(episode: &GraspEpisode, poses: &[[f64; 7]]) -> Vec<ReplayPhase> {
    let steps = episode.action.len();
    let mut out = vec![ReplayPhase::Approach; steps];
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
        let mut phase = ReplayPhase::Grasp;
        for (s, slot) in out.iter_mut().enumerate().take(t).skip(close) {
            let p = &poses[s.min(poses.len() - 1)];
            if phase == ReplayPhase::Grasp && p[2] > from[2] + RISEN {
                phase = ReplayPhase::Lift;
            }
            if phase == ReplayPhase::Lift && libm::hypot(p[0] - from[0], p[1] - from[1]) > MOVED {
                phase = ReplayPhase::Carry;
            }
            *slot = phase;
        }
        let again = (t..steps).any(closed);
        let end = if again {
            (t + RELEASE_STEPS).min(steps)
        } else {
            steps
        };
        out[t..end].fill(ReplayPhase::Release);
    }
    out
}
