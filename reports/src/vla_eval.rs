//! Results in the schema of AllenAI's vla-evaluation-harness (`BenchmarkResult` of vla-eval 0.8.0): a run is a benchmark, a task
//! has its episodes, and a harness error is an episode with a `failure_reason` that counts as a failure.

use crate::{EpisodeRecord, RunFolder};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Version of the harness whose schema this is.
const HARNESS_VERSION: &str = "0.8.0";

/// Date of every file: a run folder records none, and the same run is to give the same bytes.
const CREATED_AT: &str = "1970-01-01T00:00:00+00:00";

/// Returns a run as a `BenchmarkResult`.
pub fn vla_eval_result(run: &RunFolder) -> Value {
    let protocol = &run.manifest.protocol;
    let mut tasks: BTreeMap<usize, Vec<&EpisodeRecord>> = BTreeMap::new();
    for row in &run.episodes {
        tasks.entry(row.task).or_default().push(row);
    }
    let tasks: Vec<Value> = tasks
        .into_iter()
        .map(|(task, episodes)| task_result(task, &episodes))
        .collect();
    let all: Vec<&EpisodeRecord> = run.episodes.iter().collect();
    let errors = all.iter().filter(|row| !row.completed()).count();
    let mut result = json!({
        "benchmark": format!("bitvla-eval_{}", protocol.suite),
        "mode": "sync",
        "harness_version": HARNESS_VERSION,
        "created_at": CREATED_AT,
        "tasks": tasks,
        "config": {
            "benchmark": "bitvla-eval",
            "episodes_per_task": run.manifest.episodes,
            "params": {"suite": protocol.suite, "policy": protocol.policy, "seed": protocol.seed},
            "protocol": protocol,
        },
        "seed": protocol.seed,
        "metric_keys": {"success": "mean"},
        "num_errors": errors,
        "num_episodes_total": all.len(),
    });
    if let (Some(object), Some(rate)) = (result.as_object_mut(), mean_success(&all)) {
        object.insert("mean_success".to_owned(), rate);
    }
    result
}

fn task_result(task: usize, episodes: &[&EpisodeRecord]) -> Value {
    let words = episodes.first().map_or("", |row| row.instruction.as_str());
    let steps: usize = episodes.iter().map(|row| row.steps).sum();
    let mut result = Map::new();
    result.insert("task".to_owned(), json!(format!("{task}: {words}")));
    result.insert("num_episodes".to_owned(), json!(episodes.len()));
    let average = steps as f64 / episodes.len().max(1) as f64;
    result.insert("avg_steps".to_owned(), json!(average));
    let errors = episodes.iter().filter(|row| !row.completed()).count();
    if errors > 0 {
        result.insert("num_errors".to_owned(), json!(errors));
    }
    if let Some(rate) = mean_success(episodes) {
        result.insert("mean_success".to_owned(), rate);
    }
    let episodes: Vec<Value> = episodes.iter().map(|row| episode_result(row)).collect();
    result.insert("episodes".to_owned(), Value::Array(episodes));
    Value::Object(result)
}

fn episode_result(row: &EpisodeRecord) -> Value {
    let mut result = json!({
        "episode_id": row.init,
        "metrics": {"success": row.success},
        "steps": row.steps,
        "state_hash": row.state_hash,
    });
    if let Some(object) = result.as_object_mut().filter(|_| !row.completed()) {
        object.insert("failure_reason".to_owned(), json!("harness_error"));
        object.insert("failure_detail".to_owned(), json!(row.error));
    }
    result
}

/// Share of successes among all episodes, four decimals as the harness rounds it.
fn mean_success(episodes: &[&EpisodeRecord]) -> Option<Value> {
    if episodes.is_empty() {
        return None;
    }
    let successes = episodes.iter().filter(|row| row.success).count();
    let rate = successes as f64 / episodes.len() as f64;
    let rounded: f64 = format!("{rate:.4}").parse().ok()?;
    Some(json!(rounded))
}
