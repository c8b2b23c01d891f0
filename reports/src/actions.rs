//! `actions.bin`: the executed actions of every episode, for a replay that is exact to the bit.
//!
//! Little-endian throughout. The file is the eight bytes `BVACT\0\0\x01` followed by episodes:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | task index, u32 |
//! | 4 | initial state index, u32 |
//! | 8 | hash of the final state, u64 |
//! | 4 | number of actions n after settling, u32 |
//! | 4 | bytes per number w, u32: 4 (f32) where that loses nothing, else 8 (f64) |
//! | 7 n w | actions: dx dy dz drx dry drz gripper, one step after the other |
//!
//! The settling action that precedes them is in the protocol card.

use crate::ReportError;
use crate::binary::{read_items, take, write_items};
use std::path::Path;

const MAGIC: [u8; 8] = *b"BVACT\0\0\x01";

/// Executed actions of one episode and the hash of its final state.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeActions {
    /// Index of the task in its suite.
    pub task: usize,
    /// Index of the stored initial state.
    pub init: usize,
    /// Hash of the state after the last action.
    pub state_hash: u64,
    /// Executed actions after settling.
    pub actions: Vec<[f64; 7]>,
}

impl EpisodeActions {
    /// Returns the bytes of one episode as the module describes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let exact = |v: &f64| f64::from(*v as f32).to_bits() == v.to_bits();
        let narrow = self.actions.iter().flatten().all(exact);
        let mut out = Vec::with_capacity(24 + self.actions.len() * 56);
        out.extend((self.task as u32).to_le_bytes());
        out.extend((self.init as u32).to_le_bytes());
        out.extend(self.state_hash.to_le_bytes());
        out.extend((self.actions.len() as u32).to_le_bytes());
        out.extend(if narrow { 4u32 } else { 8u32 }.to_le_bytes());
        for value in self.actions.iter().flatten() {
            if narrow {
                out.extend((*value as f32).to_le_bytes());
            } else {
                out.extend(value.to_le_bytes());
            }
        }
        out
    }

    /// First step in which another episode executed another action, to the bit, or had ended; `None` if all are the same.
    pub fn parts_from(&self, other: &EpisodeActions) -> Option<usize> {
        let bits = |action: &[f64; 7]| action.map(f64::to_bits);
        let pairs = self.actions.iter().zip(&other.actions);
        let shared = pairs.take_while(|(a, b)| bits(a) == bits(b)).count();
        (shared < self.actions.len().max(other.actions.len())).then_some(shared)
    }

    /// Reads one episode from the front of `bytes` and advances past it; `None` if they are truncated or not an episode.
    pub fn from_bytes(bytes: &mut &[u8]) -> Option<EpisodeActions> {
        let task = u32::from_le_bytes(take(bytes)?) as usize;
        let init = u32::from_le_bytes(take(bytes)?) as usize;
        let state_hash = u64::from_le_bytes(take(bytes)?);
        let count = u32::from_le_bytes(take(bytes)?) as usize;
        let width = u32::from_le_bytes(take(bytes)?) as usize;
        if !matches!(width, 4 | 8) || bytes.len() < count.checked_mul(7 * width)? {
            return None;
        }
        let mut actions = vec![[0.0; 7]; count];
        for value in actions.iter_mut().flatten() {
            *value = if width == 4 {
                f64::from(f32::from_le_bytes(take(bytes)?))
            } else {
                f64::from_le_bytes(take(bytes)?)
            };
        }
        Some(EpisodeActions {
            task,
            init,
            state_hash,
            actions,
        })
    }
}

/// Writes `actions.bin` in the order given.
///
/// # Errors
/// If the file cannot be written.
pub fn write_actions(path: &Path, episodes: &[EpisodeActions]) -> Result<(), ReportError> {
    write_items(path, MAGIC, episodes.iter().map(EpisodeActions::to_bytes))
}

/// Reads `actions.bin`.
///
/// # Errors
/// If the file cannot be read, is of another format or ends in the middle of an episode.
pub fn read_actions(path: &Path) -> Result<Vec<EpisodeActions>, ReportError> {
    read_items(path, (MAGIC, "an actions file"), EpisodeActions::from_bytes)
}

/// Returns bytes as lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, b| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Decodes hexadecimal digits that are exactly one item, which `from_bytes` reads; `None` for anything else.
pub fn from_digits<T>(text: &str, from_bytes: impl Fn(&mut &[u8]) -> Option<T>) -> Option<T> {
    let bytes = from_hex(text)?;
    let mut rest = bytes.as_slice();
    from_bytes(&mut rest).filter(|_| rest.is_empty())
}

/// Decodes the output of [`to_hex`]; `None` for anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}
