//! Files of initial states: one array, a row per state (`docs/reference/libero.md`, section 10). LIBERO's are called
//! `.pruned_init`; what they may be stored in is in [`super::container`].
//!
//! A row is `[time, qpos, qvel]`. The order of `qpos` is the robot's (seven arm joints, two fingers), then every
//! movable object in order of `:objects` (x, y, z, quaternion w, x, y, z), then the joints of every fixture in order
//! of `:fixtures`; `qvel` has six numbers per object (velocity in the world frame, m/s; angular velocity in the frame of
//! the object, rad/s). The poses of fixtures are not in these files ([`super::FixturePoses`]).

use super::array::NumpyArray;
use super::container::{self, MAX_FILE};
use crate::assets::Assets;
use crate::bddl::Problem;
use crate::error::TaskError;
use crate::init_state::{InitState, Velocities, is_unit};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Numbers of the robot in `qpos` and in `qvel`.
const ROBOT_DOFS: usize = 9;

/// The rows of a file, not yet split into objects and joints.
#[derive(Debug, Clone, PartialEq)]
pub struct InitFile {
    path: PathBuf,
    array: NumpyArray,
}

/// Fixtures with joints: name, and names of the joints in file order.
type FixtureJoints<'a> = Vec<(&'a str, Vec<String>)>;

impl InitFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Fails if it cannot be read, or holds anything but one array of numbers with one or two axes.
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
            let expected = format!("a file of at most {MAX_FILE} bytes");
            return Err(fail(MAX_FILE, "more bytes".into(), expected));
        }
        let array = container::array(bytes)
            .map_err(|(byte, found, expected)| fail(byte, found, expected))?;
        let smallest = 1 + 2 * ROBOT_DOFS;
        if array.shape[1] < smallest {
            return Err(fail(
                0,
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
    /// not finite or has no unit quaternions.
    pub fn states(&self, assets: &Assets, problem: &Problem) -> Result<Vec<InitState>, TaskError> {
        let mut joints = FixtureJoints::new();
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
        joints: &FixtureJoints<'_>,
        qpos: usize,
    ) -> Result<InitState, TaskError> {
        if let Some(at) = numbers.iter().position(|n| !n.is_finite()) {
            let found = format!("{} at number {at}", numbers[at]);
            return Err(self.fail(row, found, "finite numbers".into()));
        }
        let mut values = numbers.iter().copied().skip(1);
        let mut state = InitState {
            robot_qpos: take(&mut values),
            ..InitState::default()
        };
        for object in &problem.objects {
            let pose: [f64; 7] = take(&mut values);
            if !is_unit(&pose) {
                let found = format!("{:?} as the orientation of `{}`", &pose[3..], object.name);
                return Err(self.fail(row, found, "a unit quaternion w, x, y, z".into()));
            }
            state.objects.insert(object.name.clone(), pose);
        }
        state.joints = joint_values(joints, &mut values);
        let qvel = &numbers[1 + qpos..];
        if qvel.iter().any(|v| *v != 0.0) {
            let mut values = qvel.iter().copied();
            state.velocities = Some(Velocities {
                robot: take(&mut values),
                objects: (problem.objects.iter())
                    .map(|object| (object.name.clone(), take(&mut values)))
                    .collect(),
                joints: joint_values(joints, &mut values),
            });
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

/// The next `N` numbers; the length of a row was checked.
fn take<const N: usize>(values: &mut impl Iterator<Item = f64>) -> [f64; N] {
    let mut out = [0.0; N];
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = value;
    }
    out
}

/// The next numbers by fixture and joint.
fn joint_values(
    joints: &FixtureJoints<'_>,
    values: &mut impl Iterator<Item = f64>,
) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut out = BTreeMap::new();
    for (fixture, names) in joints {
        let mut named = BTreeMap::new();
        for (name, value) in names.iter().zip(&mut *values) {
            named.insert(name.clone(), value);
        }
        if !named.is_empty() {
            out.insert((*fixture).to_owned(), named);
        }
    }
    out
}
