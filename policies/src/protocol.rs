//! Protocol of a policy: everything about how it is asked that changes its answers. A policy computes each field from
//! the objects that run (image pipeline, statistics, network, memory ledger), so that two results can be compared field
//! by field.

use crate::MemoryLedger;
use crate::policy::ROTARY_TABLES;
use crate::weights::WeightEncoding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orientation of the frames that a policy takes, relative to the upright image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// Upright, as a person sees the scene.
    None,
    /// Mirrored left to right; equal to a rotation of MuJoCo's bottom-up buffer by 180 degrees, which is what the
    /// published evaluation does (`docs/reference/bitvla.md`, section 3).
    #[default]
    LeftRight,
}

impl Flip {
    /// Words for a protocol card.
    pub fn describe(self) -> &'static str {
        match self {
            Flip::None => "none",
            Flip::LeftRight => "left-right of the upright image",
        }
    }

    /// Turns an upright RGB frame (row-major, `width` pixels a row) into the one that the policy takes.
    pub fn apply(self, upright: &[u8], width: usize) -> Vec<u8> {
        match self {
            Flip::None => upright.to_vec(),
            Flip::LeftRight => upright
                .chunks_exact(width * 3)
                .flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten().copied())
                .collect(),
        }
    }
}

/// Rule that turns the orientation of the end effector, a quaternion `[x, y, z, w]`, into the three numbers of the
/// proprioception.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuaternionRule {
    /// Axis-angle with the sign of the quaternion kept, angle in [0, 2 pi]: robosuite's `quat2axisangle`, the published
    /// rule.
    #[default]
    AxisAngle,
    /// Axis-angle of the representative with `w >= 0`, angle in [0, pi].
    ShortestAxisAngle,
}

impl QuaternionRule {
    /// Words for a protocol card.
    pub fn describe(self) -> &'static str {
        match self {
            QuaternionRule::AxisAngle => {
                "axis-angle of the hand, sign of the quaternion as the kinematics give it"
            }
            QuaternionRule::ShortestAxisAngle => {
                "axis-angle of the hand, sign of the quaternion such that w >= 0"
            }
        }
    }

    /// Axis-angle (rad) of a unit quaternion `[x, y, z, w]`: `xyz * 2 acos(w) / sqrt(1 - w^2)`, zero for no rotation.
    pub fn axis_angle(self, xyzw: [f64; 4]) -> [f64; 3] {
        match self {
            QuaternionRule::ShortestAxisAngle if xyzw[3] < 0.0 => {
                crate::normalise::quat_to_axis_angle(xyzw.map(|v| -v))
            }
            _ => crate::normalise::quat_to_axis_angle(xyzw),
        }
    }
}

/// Inputs that a policy takes, precision of its weights, and the part of its answers that is executed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyProtocol {
    /// Names of the cameras in the order in which the policy takes them, see [`crate::CAMERAS`].
    pub cameras: Vec<String>,
    /// Side of the square frames that the policy takes, pixels; 0 without cameras.
    pub camera_size: usize,
    /// Side of the square image that the network sees, pixels; 0 without cameras.
    pub network_image_size: usize,
    /// Orientation of the frames.
    pub flip: Flip,
    /// True if frames go through a JPEG encoder and decoder before they are resized.
    pub jpeg_round_trip: bool,
    /// Part of the resized frame that the network sees, `none` for all of it.
    pub crop: String,
    /// Filter of the resize from `camera_size` to `network_image_size`.
    pub resize_filter: String,
    /// Orientation of the end effector in the proprioception.
    pub quaternion_rule: QuaternionRule,
    /// Entry of the checkpoint's statistics that normalises state and actions; empty without normalisation.
    pub normaliser_key: String,
    /// Actions that one query answers with.
    pub chunk_length: usize,
    /// Actions of a chunk that are executed before the policy is asked again, at most `chunk_length`.
    pub executed_steps: usize,
    /// Encoding of each class of tensors, as in the memory ledger; several encodings are joined by ` + `.
    pub precision: BTreeMap<String, String>,
    /// Classes of tensors with weights of more than two bits.
    pub above_2_bits: Vec<String>,
}

impl PolicyProtocol {
    /// Fills `precision` and `above_2_bits` from the weights of a ledger.
    #[must_use]
    pub fn with_precision(mut self, ledger: &MemoryLedger) -> PolicyProtocol {
        self.precision.clear();
        self.above_2_bits.clear();
        let stored = |class: &str| class != ROTARY_TABLES;
        for entry in ledger.weights.iter().filter(|e| stored(&e.class)) {
            let encodings = self.precision.entry(entry.class.clone()).or_default();
            if !encodings.is_empty() {
                encodings.push_str(" + ");
            }
            encodings.push_str(&entry.encoding);
            let encoding = WeightEncoding::named(&entry.encoding);
            let narrow = encoding.is_some_and(|e| e.bits_per_weight() <= 2);
            if !narrow && !self.above_2_bits.contains(&entry.class) {
                self.above_2_bits.push(entry.class.clone());
            }
        }
        self.above_2_bits.sort_unstable();
        self
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: flips and quaternion rules do what they say, and several encodings of a class are all named.
    use super::*;

    #[test]
    fn a_flip_mirrors_rows_and_undoes_itself() {
        let frame: Vec<u8> = (0..2 * 3 * 3).collect();
        let mirrored = Flip::LeftRight.apply(&frame, 3);
        assert_eq!(mirrored[..9], [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        assert_eq!(Flip::LeftRight.apply(&mirrored, 3), frame);
        assert_eq!(Flip::None.apply(&frame, 3), frame);
    }

    #[test]
    fn quaternion_rules_differ_in_the_sign() {
        let q = [0.6, 0.0, 0.0, -0.8];
        let [kept, ..] = QuaternionRule::AxisAngle.axis_angle(q);
        let [shortest, ..] = QuaternionRule::ShortestAxisAngle.axis_angle(q);
        assert!(kept > 3.0 && (shortest - kept + 2.0 * std::f64::consts::PI).abs() < 1e-12);
    }

    #[test]
    fn every_encoding_of_a_class_is_named() {
        let mut ledger = MemoryLedger::default();
        ledger.add_owned("vision linears", WeightEncoding::Ternary.name(), 4);
        ledger.add_owned("action head", "bf16", 4);
        ledger.add_owned("action head", "f32", 4);
        let protocol = PolicyProtocol::default().with_precision(&ledger);
        assert_eq!(protocol.precision["action head"], "bf16 + f32");
        assert_eq!(protocol.precision["vision linears"], "ternary 2-bit");
        assert_eq!(protocol.above_2_bits, ["action head"]);
    }
}
