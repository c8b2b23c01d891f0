//! Normalisation bounds of a data set (fact sheet of BitVLA, section 4).

use crate::frames::{CHUNK, Rest};
use bitvla_policies::normalise::{Percentiles, Statistics};

/// Share of the range between the percentiles that is added on each side of the proprioception: grips happen at
/// its ends, where clipping would hide differences.
const MARGIN: f64 = 0.1;
/// Least bound of an arm action: corrections of the hand's rotation are tiny and would be blown up to full size.
const LEAST_ACTION: f64 = 0.2;

/// 1st and 99th percentiles of frames, widened by the margins above.
pub fn statistics(frames: &[Rest]) -> Statistics {
    let column = |values: Vec<f64>| -> (f64, f64) {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = values.len().saturating_sub(1);
            values
                .get((last as f64 * share) as usize)
                .copied()
                .unwrap_or(0.0)
        };
        (at(0.01), at(0.99))
    };
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for i in 0..7 {
        let (a, b) = column(
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
        let (a, b) = column(frames.iter().map(|f| f.proprio[i]).collect());
        let margin = MARGIN * (b - a);
        low.push(a - margin);
        high.push(b + margin);
    }
    let proprio = Percentiles {
        q01: low,
        q99: high,
        mask: None,
    };
    Statistics { action, proprio }
}

/// A chunk as the network should answer: normalised and clipped to [-1, 1], gripper 1 open and 0 closed.
pub fn target(statistics: &Statistics, actions: &[[f64; 7]; CHUNK]) -> Vec<f32> {
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
