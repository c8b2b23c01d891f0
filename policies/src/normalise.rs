//! Normalisation of state and actions by the 1st and 99th percentile, and the gripper rule (`docs/reference/bitvla.md`,
//! section 4).

use serde::{Deserialize, Deserializer, Serialize};

/// File of the statistics.
pub const STATISTICS_FILE: &str = "dataset_statistics.json";

/// Percentiles of one kind of vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// 1st percentile; not a number where a file has none.
    #[serde(deserialize_with = "numbers")]
    pub q01: Vec<f64>,
    /// 99th percentile; not a number where a file has none.
    #[serde(deserialize_with = "numbers")]
    pub q99: Vec<f64>,
    /// Which entries are normalised; all where absent. Files may have 1 and 0 for true and false.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "flags"
    )]
    pub mask: Option<Vec<bool>>,
}

/// Numbers; null, `NaN` and `Infinity` for what is none.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Number(f64),
        Text(String),
    }
    let number = |entry: Option<Entry>| match entry {
        None => Ok(f64::NAN),
        Some(Entry::Number(number)) => Ok(number),
        Some(Entry::Text(text)) => match text.parse::<f64>() {
            Ok(number) if !number.is_finite() => Ok(number),
            _ => Err(serde::de::Error::custom(format!(
                "`{text}`, expected a number"
            ))),
        },
    };
    let entries = Vec::<Option<Entry>>::deserialize(from)?;
    entries.into_iter().map(number).collect()
}

/// A list of true and false, or 1 and 0.
fn flags<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<bool>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Number(f64),
    }
    let flag = |flag: Flag| match flag {
        Flag::Bool(flag) => Ok(flag),
        Flag::Number(1.0) => Ok(true),
        Flag::Number(0.0) => Ok(false),
        Flag::Number(n) => Err(serde::de::Error::custom(format!(
            "{n} in a mask, expected true, false, 1 or 0"
        ))),
    };
    let flags = Option::<Vec<Flag>>::deserialize(from)?;
    flags
        .map(|flags| flags.into_iter().map(flag).collect())
        .transpose()
}

/// One entry of `dataset_statistics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Of actions.
    pub action: Percentiles,
    /// Of the proprioception.
    pub proprio: Percentiles,
}

/// Largest magnitude of a percentile (m, rad, parts of 1).
const LARGEST: f64 = 1e6;

impl Percentiles {
    /// Checks the lengths, and the numbers of all entries that are normalised.
    ///
    /// # Errors
    /// The entry, found and expected numbers.
    pub fn check(&self, length: usize) -> Result<(), String> {
        let mask = self.mask.as_ref().map_or(length, Vec::len);
        let lengths = (self.q01.len(), self.q99.len(), mask);
        if lengths != (length, length, length) {
            return Err(format!(
                "q01, q99 and mask of {lengths:?} numbers, expected {length} entries each"
            ));
        }
        for i in (0..length).filter(|&i| self.masked(i)) {
            let (low, high) = (self.q01[i], self.q99[i]);
            let range = -LARGEST..=LARGEST;
            if !range.contains(&low) || !range.contains(&high) {
                return Err(format!(
                    "entry {i}: q01 {low}, q99 {high}, expected numbers"
                ));
            }
            if low > high {
                return Err(format!("entry {i}: q01 {low} is above q99 {high}"));
            }
        }
        Ok(())
    }

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
