//! Comparison of two episodes step by step: the first step at which they differ.

use crate::playback::Trajectory;
use nalgebra::Isometry3;

/// Distance of a body between two episodes from which its pose counts as different, m.
const DIVERGED_METRES: f64 = 0.01;

/// First steps at which two episodes from the same initial state differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Divergence {
    /// First step at which any bit of the physical state differs.
    pub state: Option<usize>,
    /// First step at which a body is more than 1 cm from its position in the other episode.
    pub pose: Option<usize>,
    /// Number of steps compared so far.
    steps_compared: usize,
}

impl Divergence {
    /// Compares the steps that both trajectories have and that were not compared before.
    pub fn update(&mut self, a: &Trajectory, b: &Trajectory) {
        let common = a.steps().len().min(b.steps().len());
        let pairs = a.steps().iter().zip(b.steps()).enumerate();
        for (step, (a, b)) in pairs.skip(self.steps_compared) {
            if self.state.is_none() && a.hash != b.hash {
                self.state = Some(step);
            }
            let apart = |(x, y): (&Isometry3<f64>, &Isometry3<f64>)| {
                (x.translation.vector - y.translation.vector).norm() > DIVERGED_METRES
            };
            if self.pose.is_none() && a.visual.poses.iter().zip(&b.visual.poses).any(apart) {
                self.pose = Some(step);
            }
        }
        self.steps_compared = self.steps_compared.max(common);
    }
}
