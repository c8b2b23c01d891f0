//! Data sets of recorded episodes in the formats from which policies are trained: LeRobot's (version 3.0), and the HDF5 files of
//! LIBERO. Writers get episodes in order and keep none of them; the same episodes give the same bytes.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod episode;
mod error;
mod lerobot;
mod libero_hdf5;
mod parquet_table;
mod statistics;

pub use episode::{DatasetInfo, EncodedImage, RecordedEpisode, RecordedStep, RobotState};
pub use error::DatasetError;

use std::fmt;
use std::path::Path;

/// Format of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetFormat {
    /// LeRobot, version 3.0: parquet files with PNG images.
    LeRobot,
    /// One HDF5 file per task, as LIBERO ships its demonstrations.
    Hdf5,
}

impl DatasetFormat {
    /// Both.
    pub const ALL: [DatasetFormat; 2] = [DatasetFormat::LeRobot, DatasetFormat::Hdf5];

    /// Word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            DatasetFormat::LeRobot => "lerobot",
            DatasetFormat::Hdf5 => "hdf5",
        }
    }

    /// Bytes of a square RGB image (row-major, in the orientation that policies take) as the format stores it: PNG, or the raw bytes of
    /// MuJoCo's bottom-up buffer.
    ///
    /// # Errors
    /// If the image cannot be encoded.
    pub fn encode(self, rgb: &[u8], side: usize) -> Result<Vec<u8>, DatasetError> {
        match self {
            DatasetFormat::LeRobot => lerobot::encode_png(rgb, side),
            DatasetFormat::Hdf5 => Ok(libero_hdf5::turned(rgb)),
        }
    }

    /// A writer of a data set in a folder, which is made.
    ///
    /// # Errors
    /// If the folder cannot be made, or holds a data set already.
    pub fn writer(
        self,
        dir: &Path,
        info: &DatasetInfo,
    ) -> Result<Box<dyn DatasetWriter>, DatasetError> {
        Ok(match self {
            DatasetFormat::LeRobot => Box::new(lerobot::LeRobotWriter::create(dir, info)?),
            DatasetFormat::Hdf5 => Box::new(libero_hdf5::LiberoWriter::create(dir, info)?),
        })
    }
}

impl fmt::Display for DatasetFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes episodes one after the other.
pub trait DatasetWriter {
    /// Adds an episode; those of one task come one after the other.
    ///
    /// # Errors
    /// If a file cannot be written, or the episode does not fit the data set.
    fn add(&mut self, episode: &RecordedEpisode) -> Result<(), DatasetError>;

    /// Writes what is about the whole.
    ///
    /// # Errors
    /// If a file cannot be written, or no episode was added.
    fn finish(self: Box<Self>) -> Result<(), DatasetError>;
}
