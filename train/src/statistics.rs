//! Normalisation bounds of a data set (docs/reference/bitvla.md, section 4).

use crate::dataset::{CHUNK, FrameMeta};
use anyhow::{Result, ensure};
use bitvla_policies::normalise::{Percentiles, Statistics};

/// Fraction of the range between the percentiles that is added on each side of the proprioception: objects are grasped at
/// its ends, where clipping would remove differences.
const MARGIN: f64 = 0.1;
/// Least bound of an arm action: corrections of the rotation of the hand are tiny and would be scaled up to full size.
const LEAST_ACTION: f64 = 0.2;

/// Returns the 1st and 99th percentiles of actions (7) and proprioception (8), those of the arm actions at least 0.2 in
/// magnitude, those of the proprioception widened by a tenth of their range on each side, those of the gripper 0 and 1.
///
/// # Errors
/// If there is no frame.
pub fn statistics(frames: &[FrameMeta]) -> Result<Statistics> {
    ensure!(!frames.is_empty(), "no frames to take percentiles of");
    let percentiles = |mut values: Vec<f64>| -> (f64, f64) {
        values.sort_by(f64::total_cmp);
        let last = (values.len() - 1) as f64;
        let at = |fraction: f64| values[(last * fraction) as usize];
        (at(0.01), at(0.99))
    };
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for i in 0..7 {
        let (a, b) = percentiles(
            frames
                .iter()
                .flat_map(|f| (0..CHUNK).map(move |c| f.actions[c][i]))
                .collect(),
        );
        let gripper = i == 6;
        low.push(if gripper { 0.0 } else { a.min(-LEAST_ACTION) });
        high.push(if gripper { 1.0 } else { b.max(LEAST_ACTION) });
    }
    let action = Percentiles {
        q01: low,
        q99: high,
        mask: Some((0..7).map(|i| i < 6).collect()),
    };
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for i in 0..8 {
        let (a, b) = percentiles(frames.iter().map(|f| f.proprio[i]).collect());
        let margin = MARGIN * (b - a);
        low.push(a - margin);
        high.push(b + margin);
    }
    let proprio = Percentiles {
        q01: low,
        q99: high,
        mask: None,
    };
    Ok(Statistics { action, proprio })
}

/// Returns the target output of the network for a chunk of actions (CHUNK, 7), as (CHUNK * 7): normalised and clipped to
/// [-1, 1], gripper 1 open and 0 closed.
pub fn normalised_target(statistics: &Statistics, actions: &[[f64; 7]; CHUNK]) -> Vec<f32> {
    actions
        .iter()
        .flat_map(|a| {
            let mut a = *a;
            a[6] = 0.5 * (1.0 - a[6]);
            statistics.action.normalise(&a)
        })
        .map(|v| v as f32)
        .collect()
}
