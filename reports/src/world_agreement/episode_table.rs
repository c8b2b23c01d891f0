//! Tables (CSV) of episodes that another program ran in another simulator.

use crate::ReportError;
use serde::Deserialize;
use std::path::Path;

/// Row of a table: an episode in a world. Other columns are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TableEpisode {
    /// Name of the world, for example `mujoco 2.3.7`.
    pub world: String,
    /// Name of the policy.
    pub policy: String,
    /// Name of the suite, for example `spatial`.
    pub suite: String,
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// True if the goal was reached: 1 or true in the file.
    #[serde(deserialize_with = "flag")]
    pub success: bool,
    /// Control steps after settling, if the table has the column.
    pub steps: Option<usize>,
    /// Queries of the policy, if the table has the column.
    pub queries: Option<usize>,
    /// Line of the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

fn flag<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let text = String::deserialize(from)?;
    match text.as_str() {
        "1" | "true" | "True" => Ok(true),
        "0" | "false" | "False" => Ok(false),
        other => Err(serde::de::Error::custom(format!(
            "success: found `{other}`, expected 0, 1, true or false"
        ))),
    }
}

/// Reads a table with the columns world, policy, suite, task, init and success (0, 1, true or false), and steps and queries where it has them.
///
/// # Errors
/// Names the file and the line: a column is missing, a cell is no number; the table is empty.
pub fn read_episode_table(path: &Path) -> Result<Vec<TableEpisode>, ReportError> {
    let bytes = std::fs::read(path).map_err(ReportError::io(path))?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|e| ReportError::format(path, e))?;
    let headers = headers.clone();
    let mut episodes = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| ReportError::format(path, e))?;
        let row = record.deserialize(Some(&headers));
        let mut row: TableEpisode = row.map_err(|e| ReportError::format(path, e))?;
        row.line = record.position().map_or(0, |at| at.line() as usize);
        episodes.push(row);
    }
    match episodes.is_empty() {
        true => Err(ReportError::format(
            path,
            "found no episode, expected one at least",
        )),
        false => Ok(episodes),
    }
}
