//! Normalisation of state and actions by the 1st and 99th percentile, and the gripper rule (fact sheet of BitVLA, section 4).

use crate::PolicyError;
use crate::checkpoint::file_error;
use crate::folder::{Folder, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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

impl Statistics {
    /// Reads an entry, the only one where no key is given: of [`STATISTICS_FILE`], or else of `norm_stats` in
    /// `config.json`. `KEY_no_noops` stands for `KEY` where that is missing.
    ///
    /// # Errors
    /// When there is no such entry or its vectors have other lengths than 7 and 8.
    pub fn read(folder: &dyn Folder, key: Option<&str>) -> Result<Statistics, PolicyError> {
        let own: Option<BTreeMap<String, Value>> = json(folder, STATISTICS_FILE)?;
        let (path, mut all) = match own {
            Some(all) => (folder.place(STATISTICS_FILE), all),
            None => {
                #[derive(Deserialize)]
                struct Inside {
                    norm_stats: Option<BTreeMap<String, Value>>,
                }
                let config: Option<Inside> = json(folder, "config.json")?;
                let all = config.and_then(|config| config.norm_stats).ok_or_else(|| {
                    let what = "missing, and config.json has no norm_stats";
                    file_error(&folder.place(STATISTICS_FILE), what)
                })?;
                (folder.place("config.json"), all)
            }
        };
        let keys = all.keys().cloned().collect::<Vec<_>>().join(", ");
        let found = match key {
            Some(key) => all
                .remove_entry(key)
                .or_else(|| all.remove_entry(&format!("{key}_no_noops"))),
            None if all.len() == 1 => all.pop_first(),
            None => None,
        };
        let what = || {
            format!(
                "no entry for `{}`, there are: {keys}",
                key.unwrap_or("(the only entry)")
            )
        };
        let (entry, found) = found.ok_or_else(|| file_error(&path, what()))?;
        let wrong = |what: String| file_error(&path, format!("entry `{entry}`: {what}"));
        let found: Statistics = serde_json::from_value(found).map_err(|e| wrong(e.to_string()))?;
        for (name, p, length) in [("action", &found.action, 7), ("proprio", &found.proprio, 8)] {
            let mask = p.mask.as_ref().map_or(length, Vec::len);
            let lengths = (p.q01.len(), p.q99.len(), mask);
            if lengths != (length, length, length) {
                return Err(wrong(format!(
                    "{name}: q01, q99 and mask of {lengths:?} numbers, expected {length} entries each"
                )));
            }
        }
        Ok(found)
    }
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
