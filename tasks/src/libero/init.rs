//! `.pruned_init` files: a ZIP archive with a pickle of one array, a row per stored initial state (`docs/reference/libero.md`,
//! section 10).
//!
//! A row is `[time, qpos, qvel]`. The order of `qpos` is the robot's (seven arm joints, two fingers), then every
//! movable object in order of `:objects` (x, y, z, quaternion w, x, y, z), then the joints of every fixture in order
//! of `:fixtures`. The poses of fixtures are not in these files ([`super::FixturePoses`]).

use super::pickle::{self, NumpyArray};
use crate::assets::Assets;
use crate::bddl::Problem;
use crate::error::TaskError;
use crate::init_state::InitState;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// Largest file that is read, bytes; LIBERO's have at most 60 thousand.
const MAX_FILE: u64 = 32 << 20;
/// Most entries of the archive; LIBERO's have two.
const MAX_ENTRIES: usize = 64;
/// Largest deviation of the squared norm of a quaternion from 1.
const UNIT_TOLERANCE: f64 = 1e-3;
/// Numbers of the robot in `qpos` and in `qvel`.
const ROBOT_DOFS: usize = 9;

/// The rows of a file, not yet split into objects and joints.
#[derive(Debug, Clone, PartialEq)]
pub struct InitFile {
    path: PathBuf,
    array: NumpyArray,
}

impl InitFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Fails if it cannot be read, is no archive, or its pickle is anything but one array of numbers.
    pub fn read(path: &Path) -> Result<InitFile, TaskError> {
        let read = |source| TaskError::Read {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(read)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        InitFile::parse(path, &bytes)
    }

    /// Reads the bytes of a file; `path` names it in errors.
    ///
    /// # Errors
    /// As [`InitFile::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<InitFile, TaskError> {
        let fail = |byte: u64, found: String, expected: String| TaskError::Binary {
            path: path.to_owned(),
            byte,
            found,
            expected,
        };
        if bytes.len() as u64 > MAX_FILE {
            return Err(fail(
                MAX_FILE,
                "more bytes".into(),
                format!("a file of at most {MAX_FILE} bytes"),
            ));
        }
        let (start, pickle) = pickle_of(bytes).map_err(|(byte, found)| {
            fail(byte, found, "a stored ZIP entry archive/data.pkl".into())
        })?;
        let array =
            pickle::array(&pickle).map_err(|e| fail(start + e.byte as u64, e.found, e.expected))?;
        let smallest = 1 + 2 * ROBOT_DOFS;
        if array.shape[1] < smallest {
            return Err(fail(
                start,
                format!("rows of {} numbers", array.shape[1]),
                format!("at least the time and a robot ({smallest})"),
            ));
        }
        Ok(InitFile {
            path: path.to_owned(),
            array,
        })
    }

    /// Numbers per row: the time, `qpos` and `qvel`.
    fn columns(&self) -> usize {
        self.array.shape[1]
    }

    /// Converts the rows into states of a problem, fixtures without a pose. Joints are those of the models in `assets`,
    /// in their order.
    ///
    /// # Errors
    /// Fails if a category has no model, the rows do not have the length that the problem needs, or a row is
    /// not finite, not at rest or has no unit quaternions.
    pub fn states(&self, assets: &Assets, problem: &Problem) -> Result<Vec<InitState>, TaskError> {
        let mut joints: Vec<(&str, Vec<String>)> = Vec::new();
        for fixture in problem.model_fixtures() {
            let (model, _) = assets.model(&fixture.category)?;
            let names = model.bodies.iter().filter_map(|b| b.joint.as_ref());
            let names = names.map(|j| j.name.clone()).collect();
            joints.push((&fixture.name, names));
        }
        let fixture_joints: usize = joints.iter().map(|(_, names)| names.len()).sum();
        let objects = problem.objects.len();
        let qpos = ROBOT_DOFS + 7 * objects + fixture_joints;
        let wanted = 1 + qpos + ROBOT_DOFS + 6 * objects + fixture_joints;
        if self.columns() != wanted {
            return Err(self.fail(
                0,
                format!("{} numbers", self.columns()),
                format!(
                    "{wanted} (time, robot, {objects} objects and {fixture_joints} fixture joints of {})",
                    problem.file
                ),
            ));
        }
        // Rows have at least the time and a robot, which `parse` checked.
        (self.array.values.chunks_exact(self.columns()).enumerate())
            .map(|(row, numbers)| self.state(row, numbers, problem, &joints, qpos))
            .collect()
    }

    fn state(
        &self,
        row: usize,
        numbers: &[f64],
        problem: &Problem,
        joints: &[(&str, Vec<String>)],
        qpos: usize,
    ) -> Result<InitState, TaskError> {
        if let Some(at) = numbers.iter().position(|n| !n.is_finite()) {
            let found = format!("{} at number {at}", numbers[at]);
            return Err(self.fail(row, found, "finite numbers".into()));
        }
        let moving = numbers.iter().skip(1 + qpos).position(|&v| v != 0.0);
        if let Some(at) = moving {
            let found = format!(
                "velocity {} at number {}",
                numbers[1 + qpos + at],
                1 + qpos + at
            );
            let expected = "a state at rest: worlds here start without velocities".into();
            return Err(self.fail(row, found, expected));
        }
        let mut values = numbers.iter().copied().skip(1);
        let mut state = InitState::default();
        for (slot, value) in state.robot_qpos.iter_mut().zip(&mut values) {
            *slot = value;
        }
        for object in &problem.objects {
            let mut pose = [0.0; 7];
            for (slot, value) in pose.iter_mut().zip(&mut values) {
                *slot = value;
            }
            let norm = pose[3..].iter().map(|q| q * q).sum::<f64>();
            if (norm - 1.0).abs() > UNIT_TOLERANCE {
                let found = format!("{:?} as the orientation of `{}`", &pose[3..], object.name);
                return Err(self.fail(row, found, "a unit quaternion w, x, y, z".into()));
            }
            state.objects.insert(object.name.clone(), pose);
        }
        for (fixture, names) in joints {
            let named: BTreeMap<String, f64> = names.iter().cloned().zip(&mut values).collect();
            if !named.is_empty() {
                state.joints.insert((*fixture).to_owned(), named);
            }
        }
        Ok(state)
    }

    fn fail(&self, row: usize, found: String, expected: String) -> TaskError {
        TaskError::Row {
            path: self.path.clone(),
            row,
            found,
            expected,
        }
    }
}

/// Position (bytes) and contents of the entry `NAME/data.pkl`; else the position of the mistake in the archive, and the
/// mistake.
fn pickle_of(bytes: &[u8]) -> Result<(u64, Vec<u8>), (u64, String)> {
    let end = bytes.len() as u64;
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| (end, format!("no readable archive ({error})")))?;
    if archive.len() > MAX_ENTRIES {
        return Err((end, format!("{} entries", archive.len())));
    }
    let is_pickle = |name: &Result<Cow<'_, str>, zip::result::ZipError>| {
        let root = name.as_ref().ok().and_then(|n| n.strip_suffix("/data.pkl"));
        root.is_some_and(|root| !root.contains('/'))
    };
    let mut entries = archive
        .file_names()
        .enumerate()
        .filter(|(_, name)| is_pickle(name));
    let (Some((index, _)), None) = (entries.next(), entries.next()) else {
        return Err((end, "no or several entries NAME/data.pkl".into()));
    };
    drop(entries);
    let mut entry = archive
        .by_index(index)
        .map_err(|error| (end, format!("an entry that cannot be read ({error})")))?;
    // Only errors name the start of the entry.
    let start = entry.data_start().unwrap_or(0);
    let mut pickle = Vec::new();
    // A stored entry is no longer than the file, whatever length the archive states.
    (&mut entry)
        .take(MAX_FILE)
        .read_to_end(&mut pickle)
        .map_err(|error| (start, format!("an entry that cannot be read ({error})")))?;
    Ok((start, pickle))
}
