//! Normalisation of state and actions by the 1st and 99th percentile, and the gripper rule (`docs/reference/bitvla.md`,
//! section 4).

use serde::{Deserialize, Serialize};

/// File of the statistics.
pub const STATISTICS_FILE: &str = "dataset_statistics.json";

/// Percentiles of one kind of vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// 1st percentile.
    pub q01: Vec<f64>,
    /// 99th percentile.
    pub q99: Vec<f64>,
    /// Which entries are normalised; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Vec<bool>>,
}

/// One entry of `dataset_statistics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Of actions.
    pub action: Percentiles,
    /// Of the proprioception.
    pub proprio: Percentiles,
}

impl Percentiles {
    fn masked(&self, i: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask[i])
    }

    /// `clip(2 (x - q01) / (q99 - q01 + 1e-8) - 1, -1, 1)`.
    pub fn normalise(&self, x: &[f64]) -> Vec<f64> {
        let entry = |i: usize, x: f64| {
            let (low, high) = (self.q01[i], self.q99[i]);
            if self.masked(i) {
                (2.0 * (x - low) / (high - low + 1e-8) - 1.0).clamp(-1.0, 1.0)
            } else {
                x
            }
        };
        x.iter().enumerate().map(|(i, &x)| entry(i, x)).collect()
    }

    /// `0.5 (x + 1) (q99 - q01 + 1e-8) + q01`, without clipping.
    pub fn unnormalise(&self, x: &[f64]) -> Vec<f64> {
        let entry = |i: usize, x: f64| {
            let (low, high) = (self.q01[i], self.q99[i]);
            if self.masked(i) {
                0.5 * (x + 1.0) * (high - low + 1e-8) + low
            } else {
                x
            }
        };
        x.iter().enumerate().map(|(i, &x)| entry(i, x)).collect()
    }
}

/// Gripper of the model (1 open, 0 closed) to the environment (-1 open, 1 close): minus the sign of `2 g - 1`.
pub fn gripper_to_env(g: f64) -> f64 {
    let v = 2.0 * g - 1.0;
    if v > 0.0 {
        -1.0
    } else if v < 0.0 {
        1.0
    } else {
        0.0
    }
}

/// Quaternion (x, y, z, w) to axis-angle (rad), the rule that the proprioception uses.
pub fn quat_to_axis_angle(q: [f64; 4]) -> [f64; 3] {
    let w = q[3].clamp(-1.0, 1.0);
    let den = (1.0 - w * w).sqrt();
    if den == 0.0 {
        return [0.0; 3];
    }
    let scale = 2.0 * libm::acos(w) / den;
    [q[0] * scale, q[1] * scale, q[2] * scale]
}
