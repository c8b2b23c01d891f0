//! Text files of a run folder, read and written as a whole.

use crate::atomic_file::write_atomically;
use crate::{EpisodeRecord, QueryRecord, ReportError, RunManifest, schema_version_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::Path;

/// Writes a text file.
///
/// # Errors
/// If the file cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<(), ReportError> {
    write_atomically(path, text.as_bytes())
}

/// Writes a CSV file whose records, header included, `fill` writes.
pub(crate) fn write_csv_records(
    path: &Path,
    fill: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
) -> Result<(), ReportError> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    fill(&mut writer).map_err(|e| ReportError::format(path, e))?;
    let bytes = writer
        .into_inner()
        .map_err(|e| ReportError::format(path, e.error()))?;
    write_atomically(path, &bytes)
}

fn write_csv<T: Serialize>(
    path: &Path,
    header: &[&str],
    mut rows: impl Iterator<Item = T>,
) -> Result<(), ReportError> {
    write_csv_records(path, |writer| {
        writer.write_record(header)?;
        rows.try_for_each(|row| writer.serialize(row))
    })
}

fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReportError> {
    let bytes = fs::read(path).map_err(ReportError::io(path))?;
    csv::Reader::from_reader(bytes.as_slice())
        .deserialize()
        .map(|row| row.map_err(|e| ReportError::format(path, e)))
        .collect()
}

const EPISODE_COLUMNS: [&str; 12] = [
    "suite",
    "task",
    "instruction",
    "init",
    "seed",
    "policy",
    "arithmetic",
    "success",
    "steps",
    "queries",
    "state_hash",
    "error",
];

const LATENCY_COLUMNS: [&str; 13] = [
    "task",
    "init",
    "query",
    "render_ms",
    "preprocessing_ms",
    "vision_ms",
    "language_ms",
    "head_ms",
    "server_ms",
    "network_ms",
    "setup",
    "processor_ms",
    "reference_ms",
];

/// Writes `episodes.csv` in the order given.
///
/// # Errors
/// If the file cannot be written.
pub fn write_episodes(path: &Path, episodes: &[EpisodeRecord]) -> Result<(), ReportError> {
    write_csv(path, &EPISODE_COLUMNS, episodes.iter())
}

/// Reads `episodes.csv`.
///
/// # Errors
/// If the file cannot be read or a row is not an episode.
pub fn read_episodes(path: &Path) -> Result<Vec<EpisodeRecord>, ReportError> {
    read_csv(path)
}

/// Writes `latency.csv`, milliseconds with three decimals.
///
/// # Errors
/// If the file cannot be written.
pub fn write_latency(path: &Path, queries: &[QueryRecord]) -> Result<(), ReportError> {
    let round = |ms: f64| (ms * 1e3).round() / 1e3;
    let rows = queries.iter().map(|q| QueryRecord {
        render_ms: round(q.render_ms),
        preprocessing_ms: round(q.preprocessing_ms),
        vision_ms: round(q.vision_ms),
        language_ms: round(q.language_ms),
        head_ms: round(q.head_ms),
        server_ms: round(q.server_ms),
        network_ms: round(q.network_ms),
        processor_ms: q.processor_ms.map(round),
        reference_ms: q.reference_ms.map(round),
        ..*q
    });
    write_csv(path, &LATENCY_COLUMNS, rows)
}

/// Reads `latency.csv`.
///
/// # Errors
/// If the file cannot be read or a row is not a query.
pub fn read_latency(path: &Path) -> Result<Vec<QueryRecord>, ReportError> {
    read_csv(path)
}

/// Writes a value as indented JSON with a newline at the end.
///
/// # Errors
/// If the value has no JSON form or the file cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ReportError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| ReportError::format(path, e))?;
    text.push('\n');
    write_text(path, &text)
}

/// Reads a JSON file.
///
/// # Errors
/// If the file cannot be read or does not hold a `T`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ReportError> {
    let text = fs::read_to_string(path).map_err(ReportError::io(path))?;
    serde_json::from_str(&text).map_err(|e| ReportError::format(path, e))
}

/// Writes `run.json`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_manifest(path: &Path, manifest: &RunManifest) -> Result<(), ReportError> {
    write_json(path, manifest)
}

/// Reads `run.json`.
///
/// # Errors
/// If the file cannot be read, is no manifest, or is of a newer schema version.
pub fn read_manifest(path: &Path) -> Result<RunManifest, ReportError> {
    let text = fs::read_to_string(path).map_err(ReportError::io(path))?;
    schema_version_of(&text).map_err(|e| ReportError::format(path, e))?;
    serde_json::from_str(&text).map_err(|e| ReportError::format(path, e))
}
