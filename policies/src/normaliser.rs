//! Choice of the statistics that normalise state and actions. A fine-tuned checkpoint carries one entry per data set
//! (`dataset_statistics.json`, or `norm_stats` in `config.json`); using the entry of another suite moves every action, so
//! that the entry is chosen by whole names and recorded.
//!
//! The rule, first match:
//!
//! 1. A key that the caller names (`--normaliser-key`) is taken as it is.
//! 2. For a suite, the first of [`suite_keys`] that the checkpoint has. `unnorm_key` of `processor_config.json` only
//!    decides between several of them: it never brings in an entry of another suite.
//! 3. Without a suite (a measurement, a single query), `unnorm_key`, or `unnorm_key` with `_no_noops` behind it as in the
//!    published evaluation; without an `unnorm_key`, the only entry.
//!
//! Everything else is an error that lists the keys there are.

use crate::PolicyError;
use crate::checkpoint::file_error;
use crate::checkpoint_files::{CheckpointFiles, parse_json};
use crate::json_fields::Field::{NoEffect, Used};
use crate::json_fields::{FieldTable, Kind, check_fields};
use crate::normalise::{STATISTICS_FILE, Statistics};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Suites by all their names, and the keys under which checkpoints keep their statistics, best first.
const SUITE_KEYS: [(&[&str], &[&str]); 5] = [
    (
        &["spatial", "libero:spatial", "libero_spatial"],
        &["spatial", "libero_spatial", "libero_spatial_no_noops"],
    ),
    (
        &["object", "libero:object", "libero_object"],
        &["object", "libero_object", "libero_object_no_noops"],
    ),
    (
        &["goal", "libero:goal", "libero_goal"],
        &["goal", "libero_goal", "libero_goal_no_noops"],
    ),
    (
        &["long", "libero:10", "libero_10"],
        &["long", "libero_10", "libero_10_no_noops"],
    ),
    (
        &["libero:90", "libero_90"],
        &["libero_90", "libero_90_no_noops"],
    ),
];

/// Fields of an entry.
const ENTRY: FieldTable = &[
    (Used(Kind::Object), &["action", "proprio"]),
    (
        NoEffect("size of the data set"),
        &["num_transitions", "num_trajectories"],
    ),
];

/// Fields of the statistics of one kind of vector.
const PERCENTILES: FieldTable = &[
    (Used(Kind::Any), &["q01", "q99", "mask"]),
    (
        NoEffect("other rules of normalisation"),
        &["mean", "std", "min", "max"],
    ),
];

/// Keys of the statistics of a suite, best first. A suite outside the table has its own name; one of perturbed tasks (`plus:spatial`, `plus:spatial:all`) has
/// those of the suite that it varies.
///
/// ```
/// use bitvla_policies::normaliser::suite_keys;
/// assert_eq!(suite_keys("libero:10"), ["long", "libero_10", "libero_10_no_noops"]);
/// assert_eq!(suite_keys("plus:goal:all"), suite_keys("goal"));
/// assert_eq!(suite_keys("kitchen"), ["kitchen"]);
/// ```
pub fn suite_keys(suite: &str) -> Vec<&str> {
    let suite = match suite.strip_prefix("plus:") {
        Some(varied) => varied.strip_suffix(":all").unwrap_or(varied),
        None => suite,
    };
    let row = SUITE_KEYS.iter().find(|(names, _)| names.contains(&suite));
    row.map_or_else(|| vec![suite], |(_, keys)| keys.to_vec())
}

/// Source of the key of the statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NormaliserChoice {
    /// As the checkpoint records it, or the only entry.
    #[default]
    Recorded,
    /// Entry of a suite, see [`suite_keys`].
    Suite(String),
    /// This key.
    Key(String),
}

/// All statistics of a checkpoint.
pub struct StatisticsTable {
    path: PathBuf,
    entries: BTreeMap<String, Value>,
}

impl StatisticsTable {
    /// Reads [`STATISTICS_FILE`], or else `norm_stats` of `config.json`.
    ///
    /// # Errors
    /// Names the file that is missing or not of this shape.
    pub fn read(files: &dyn CheckpointFiles) -> Result<StatisticsTable, PolicyError> {
        #[derive(Deserialize)]
        struct Inside {
            norm_stats: Option<BTreeMap<String, Value>>,
        }
        if let Some(entries) = parse_json(files, STATISTICS_FILE)? {
            let path = files.display_path(STATISTICS_FILE);
            return Ok(StatisticsTable { path, entries });
        }
        let config: Option<Inside> = parse_json(files, "config.json")?;
        let entries = config.and_then(|config| config.norm_stats);
        Ok(StatisticsTable {
            entries: entries.ok_or_else(|| {
                let what = "missing, and config.json has no norm_stats";
                file_error(&files.display_path(STATISTICS_FILE), what)
            })?,
            path: files.display_path("config.json"),
        })
    }

    /// Keys of all entries, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Key that the rule of this module gives; `recorded` is the `unnorm_key` of `processor_config.json`.
    ///
    /// # Errors
    /// [`PolicyError::Normaliser`] with the keys that there are.
    pub fn choose(
        &self,
        choice: &NormaliserChoice,
        recorded: Option<&str>,
    ) -> Result<&str, PolicyError> {
        let wanted: Vec<String> = match (choice, recorded) {
            (NormaliserChoice::Key(key), _) => vec![key.clone()],
            (NormaliserChoice::Suite(suite), recorded) => {
                let keys = suite_keys(suite).into_iter().map(str::to_owned);
                let first = keys.clone().filter(|key| Some(key.as_str()) == recorded);
                first.chain(keys).collect()
            }
            (NormaliserChoice::Recorded, Some(key)) => vec![key.into(), format!("{key}_no_noops")],
            (NormaliserChoice::Recorded, None) => match self.keys() {
                one if one.len() == 1 => one,
                _ => Vec::new(),
            },
        };
        let found = wanted
            .iter()
            .find_map(|key| self.entries.get_key_value(key));
        found.map(|(key, _)| key.as_str()).ok_or_else(|| {
            self.missing(match choice {
                NormaliserChoice::Suite(suite) => {
                    format!("suite `{suite}` ({})", suite_keys(suite).join(", "))
                }
                NormaliserChoice::Key(key) => format!("`{key}`"),
                NormaliserChoice::Recorded => match recorded {
                    Some(key) => format!("`{key}`, the unnorm_key of the checkpoint"),
                    None => "the only one".into(),
                },
            })
        })
    }

    fn missing(&self, wanted: String) -> PolicyError {
        PolicyError::Normaliser {
            path: self.path.clone(),
            wanted,
            keys: self.keys(),
        }
    }

    /// Statistics under a key, for a proprioception of `proprio` numbers; of none where it is 0.
    ///
    /// # Errors
    /// Fails if there is no such entry, its vectors have other lengths than 7 (action) and `proprio`, a number that is used is
    /// none, q01 is above q99, or a field is unknown.
    pub fn get(&self, key: &str, proprio: usize) -> Result<Statistics, PolicyError> {
        let found = self.entries.get(key);
        let found = found.ok_or_else(|| self.missing(format!("`{key}`")))?;
        let wrong = |what: String| file_error(&self.path, format!("entry `{key}`: {what}"));
        let object = found.as_object().cloned().unwrap_or_default();
        check_fields(&object, &[ENTRY], "").map_err(wrong)?;
        let mut object = object;
        for (name, length) in [("action", 7), ("proprio", proprio)] {
            match object.get(name) {
                Some(Value::Object(fields)) if length > 0 => {
                    check_fields(fields, &[PERCENTILES], name).map_err(wrong)?;
                }
                _ if length > 0 => {}
                _ => _ = object.insert(name.into(), json!({"q01": [], "q99": []})),
            }
        }
        let found: Statistics =
            serde_json::from_value(object.into()).map_err(|e| wrong(e.to_string()))?;
        for (name, p, length) in [
            ("action", &found.action, 7),
            ("proprio", &found.proprio, proprio),
        ] {
            p.check(length)
                .map_err(|what| wrong(format!("{name}: {what}")))?;
        }
        Ok(found)
    }
}
