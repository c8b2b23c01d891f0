//! The drawables that keep still, told from their poses in one state after another. What is drawn of them may be kept;
//! which ones they are decides about the work only, never about an image.

use super::math::RigidTransform;

/// States in a row in which a drawable must keep its pose to become static when others are already: drawing the static
/// ones anew costs as much as drawing a small one about so often.
const STILL: u8 = 12;

/// What a new state changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// No pose.
    Nothing,
    /// Only poses of drawables that are not static.
    Poses,
    /// The static drawables are others than before.
    Members,
}

/// The drawables that keep still.
#[derive(Default)]
pub(super) struct StaticSet {
    /// Pose of each drawable in the last state, none where it is not drawn.
    poses: Vec<Option<RigidTransform>>,
    /// Number of states before the last one in which each drawable had the same pose, at most [`STILL`].
    still: Vec<u8>,
    members: Vec<bool>,
    version: u64,
}

impl StaticSet {
    /// Takes the poses of all drawables in a state, none for those that are not drawn.
    pub fn update(&mut self, poses: Vec<Option<RigidTransform>>) -> Change {
        let n = poses.len();
        if self.poses.len() != n {
            *self = StaticSet {
                poses: vec![None; n],
                still: vec![0; n],
                members: vec![false; n],
                version: self.version,
            };
        }
        if poses == self.poses {
            return Change::Nothing;
        }
        let (mut leaves, mut joins, mut any_still) = (false, false, false);
        for i in 0..n {
            let same = poses[i] == self.poses[i];
            leaves |= !same && self.members[i];
            self.still[i] = if same {
                (self.still[i] + 1).min(STILL)
            } else {
                0
            };
            let is_still = same && poses[i].is_some();
            joins |= is_still && !self.members[i] && self.still[i] == STILL;
            any_still |= is_still;
        }
        self.poses = poses;
        if !(leaves || joins || any_still && self.is_empty()) {
            return Change::Poses;
        }
        for i in 0..n {
            self.members[i] = self.still[i] > 0 && self.poses[i].is_some();
        }
        self.version += 1;
        Change::Members
    }

    /// Returns true for a drawable of the set.
    pub fn contains(&self, drawable: usize) -> bool {
        self.members[drawable]
    }

    /// Returns true when there is no such drawable.
    pub fn is_empty(&self) -> bool {
        !self.members.contains(&true)
    }

    /// Pose of a drawable in the last state, none where it is not drawn.
    pub fn pose(&self, drawable: usize) -> Option<&RigidTransform> {
        self.poses[drawable].as_ref()
    }

    /// A number that is another one for each set.
    pub fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: what moves or vanishes leaves the set in the same state, and what stops joins it later.

    use super::*;
    use nalgebra::Isometry3;

    fn poses(heights: [Option<f64>; 3]) -> Vec<Option<RigidTransform>> {
        let pose = |z| RigidTransform::new(&Isometry3::translation(0.0, 0.0, z));
        heights.map(|z| z.map(pose)).to_vec()
    }

    #[test]
    fn moving_drawables_leave_and_resting_ones_join() {
        let mut set = StaticSet::default();
        let mut enter = |heights: [f64; 3], change, members: [bool; 3]| {
            assert_eq!(set.update(poses(heights.map(Some))), change, "{heights:?}");
            assert_eq!([0, 1, 2].map(|i| set.contains(i)), members, "{heights:?}");
        };
        use Change::{Members, Nothing, Poses};
        enter([0.0, 1.0, 0.1], Poses, [false; 3]);
        enter([0.0, 1.0, 0.2], Members, [true, true, false]);
        enter([0.0, 1.0, 0.2], Nothing, [true, true, false]);
        // The second moves once.
        enter([0.0, 1.5, 0.3], Members, [true, false, false]);
        for i in 1..STILL {
            enter([0.0, 1.5, 0.3 + f64::from(i)], Poses, [true, false, false]);
        }
        enter([0.0, 1.5, 0.6], Members, [true, true, false]);
        // The sign of a zero counts, and what rests joins when there is a new set anyway.
        enter([-0.0, 1.5, 0.6], Members, [false, true, true]);
        assert_eq!(set.version(), 4);
        assert_eq!(set.update(poses([Some(-0.0), None, Some(0.6)])), Members);
        assert!(!set.contains(1) && set.pose(1).is_none());
    }
}
