//! `hashes.bin`: the state after settling and after every control step, and the frames of every policy query as short hashes, so that the first
//! step in which two runs part can be found without the runs being repeated.
//!
//! Little-endian throughout. The file is the eight bytes `BVHSH\0\0\x01` followed by episodes:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | task index, u32 |
//! | 4 | initial state index, u32 |
//! | 4 | number of states n, u32 |
//! | 4 | number of queries m, u32 |
//! | 4 n | hash of the settled state and of the state after each control step, u32 |
//! | 8 m | control step of each query and hash of its frames, u32 each |

use crate::ReportError;
use crate::binary::{read_items, take, write_items};
use std::path::Path;

const MAGIC: [u8; 8] = *b"BVHSH\0\0\x01";

/// Hashes of the states and frames of one episode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpisodeHashes {
    /// Index of the task in its suite.
    pub task: usize,
    /// Index of the stored initial state.
    pub init: usize,
    /// Hash of the settled state, then of the state after each control step.
    pub states: Vec<u32>,
    /// Hash of the frames of each query, in order.
    pub frames: Vec<FrameHash>,
}

/// Hash of the camera images that a policy was queried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHash {
    /// Control step that the query was made for, from 0.
    pub step: u32,
    /// CRC-32 of the bytes of the images in the order of the protocol's cameras.
    pub hash: u32,
}

impl EpisodeHashes {
    /// An episode without steps.
    pub fn new(task: usize, init: usize) -> EpisodeHashes {
        EpisodeHashes {
            task,
            init,
            ..EpisodeHashes::default()
        }
    }

    /// Adds a state by its 64-bit hash.
    pub fn push_state(&mut self, hash: u64) {
        self.states.push(short_hash(hash));
    }

    /// Returns true if the last state is the one with this 64-bit hash; with no state at all as well.
    pub fn ends_in(&self, hash: u64) -> bool {
        self.states.last().is_none_or(|s| *s == short_hash(hash))
    }

    /// Returns the bytes of one episode as the module describes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = [self.task, self.init, self.states.len(), self.frames.len()];
        let frames = self.frames.iter().flat_map(|f| [f.step, f.hash]);
        (counts.iter().map(|count| *count as u32))
            .chain(self.states.iter().copied())
            .chain(frames)
            .flat_map(u32::to_le_bytes)
            .collect()
    }

    /// Reads one episode from the front of `bytes` and advances past it; `None` if they are truncated.
    pub fn from_bytes(bytes: &mut &[u8]) -> Option<EpisodeHashes> {
        let mut number = || Some(u32::from_le_bytes(take(bytes)?));
        let mut hashes = EpisodeHashes::new(number()? as usize, number()? as usize);
        let (states, frames) = (number()? as usize, number()? as usize);
        // A damaged count must not ask for memory.
        if bytes.len() < states.checked_add(frames.checked_mul(2)?)?.checked_mul(4)? {
            return None;
        }
        let mut number = || Some(u32::from_le_bytes(take(bytes)?));
        for _ in 0..states {
            hashes.states.push(number()?);
        }
        for _ in 0..frames {
            hashes.frames.push(FrameHash {
                step: number()?,
                hash: number()?,
            });
        }
        Some(hashes)
    }
}

/// Both halves of a 64-bit hash combined.
fn short_hash(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

/// Writes `hashes.bin` in the order given.
///
/// # Errors
/// If the file cannot be written.
pub fn write_hashes(path: &Path, episodes: &[EpisodeHashes]) -> Result<(), ReportError> {
    write_items(path, MAGIC, episodes.iter().map(EpisodeHashes::to_bytes))
}

/// Reads `hashes.bin`.
///
/// # Errors
/// If the file cannot be read, is of another format or ends in the middle of an episode.
pub fn read_hashes(path: &Path) -> Result<Vec<EpisodeHashes>, ReportError> {
    read_items(path, (MAGIC, "a hashes file"), EpisodeHashes::from_bytes)
}

#[cfg(test)]
mod tests {
    //! Guarantee: hashes survive a round trip, and bytes that are cut short or damaged are refused.
    use super::*;

    fn episode() -> EpisodeHashes {
        let mut hashes = EpisodeHashes::new(3, 41);
        hashes.push_state(0x1234_5678_9abc_def0);
        hashes.push_state(7);
        hashes.frames.push(FrameHash { step: 1, hash: 99 });
        hashes
    }

    #[test]
    fn an_episode_survives_a_round_trip() {
        let bytes = episode().to_bytes();
        assert_eq!(bytes.len(), 16 + 4 * 2 + 8);
        let mut rest = bytes.as_slice();
        assert_eq!(EpisodeHashes::from_bytes(&mut rest), Some(episode()));
        assert!(rest.is_empty());
        assert!(episode().ends_in(7) && !episode().ends_in(8));
    }

    #[test]
    fn bytes_cut_short_are_refused() {
        let bytes = episode().to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(EpisodeHashes::from_bytes(&mut &bytes[..end]), None);
        }
        let mut many = bytes;
        many[8..16].fill(0xff);
        assert_eq!(EpisodeHashes::from_bytes(&mut many.as_slice()), None);
    }
}
