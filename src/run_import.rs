//! Run folders from tables of episodes that another program ran in another simulator.

use crate::{EvalError, sha256_of_file};
use bitvla_policies::normaliser::suite_keys;
use bitvla_reports::{
    EnergyReport, EpisodeRecord, EvalProtocol, MachineInfo, MemoryReport, OWN_WORLD, RunFolder,
    RunManifest, SCHEMA_VERSION, TableEpisode, printable, read_episode_table, success_table,
    summarise,
};
use bitvla_tasks::{Assets, Suite};
use std::collections::BTreeMap;
use std::path::Path;

/// Value of the text fields of a protocol that a table does not tell.
const UNKNOWN: &str = "unknown";

/// Reads a table of episodes ([`read_episode_table`], with the column `steps`) as one run per world, policy and suite. Instructions and the
/// horizon are those of the suite of the same tasks in `assets`; everything else that the table does not tell is `unknown`, empty or 0 on the
/// card.
///
/// # Errors
/// Names the file and the line: a suite, task or initial state that does not exist, more steps than the horizon, an episode
/// that is there twice, this program's own world; else as [`read_episode_table`].
pub fn import(assets: &Assets, table: &Path) -> Result<Vec<RunFolder>, EvalError> {
    let hash = sha256_of_file(table)?;
    let mut suites: BTreeMap<String, Suite> = BTreeMap::new();
    let mut runs: BTreeMap<(String, String, String), RunFolder> = BTreeMap::new();
    for row in read_episode_table(table)? {
        let refuse = |what: String| EvalError::format(table, format!("line {}: {what}", row.line));
        if !suites.contains_key(&row.suite) {
            let known = suite_keys(&row.suite).first().copied();
            let suite = Suite::load(assets, known.unwrap_or(&row.suite));
            let suite = suite.map_err(|e| refuse(format!("suite: {e}")))?;
            suites.insert(row.suite.clone(), suite);
        }
        let suite = &suites[&row.suite];
        let record = record(&row, suite).map_err(refuse)?;
        let key = (row.world.clone(), row.policy.clone(), row.suite.clone());
        let run = runs
            .entry(key)
            .or_insert_with(|| RunFolder::new(manifest(&row, suite, (table, &hash))));
        run.episodes.push(record);
    }
    let mut runs: Vec<RunFolder> = runs.into_values().collect();
    for run in &mut runs {
        run.episodes.sort_by_key(EpisodeRecord::key);
        let manifest = &mut run.manifest;
        manifest.tasks = run.episodes.iter().map(|row| row.task).collect();
        manifest.tasks.dedup();
        manifest.episodes = run
            .episodes
            .iter()
            .map(|row| row.init + 1)
            .max()
            .unwrap_or(0);
        run.check()
            .map_err(|what| EvalError::format(table, what.replace("episodes.csv: ", "")))?;
    }
    Ok(runs)
}

/// Title and success of an imported run, for people.
pub fn import_summary(run: &RunFolder) -> String {
    let protocol = &run.manifest.protocol;
    let (tasks, all) = summarise(&run.episodes);
    format!(
        "{}, {}, imported from {}\n\n{}",
        printable(&protocol.suite),
        printable(&protocol.policy),
        printable(&protocol.world),
        success_table(&tasks, &all)
    )
}

/// A row as that of an episode; an error says field, found and expected value.
fn record(row: &TableEpisode, suite: &Suite) -> Result<EpisodeRecord, String> {
    if row.world == OWN_WORLD {
        return Err(format!(
            "world: found `{OWN_WORLD}`, expected another simulator: runs of this one are folders already"
        ));
    }
    let below = |field: &str, found: usize, limit: usize| match found < limit {
        true => Ok(()),
        false => Err(format!(
            "{field}: found {found}, expected less than {limit}"
        )),
    };
    below("task", row.task, suite.tasks.len())?;
    let task = &suite.tasks[row.task];
    below("init", row.init, task.init_states.len())?;
    let steps = row
        .steps
        .ok_or("found no column `steps`, expected one: control steps of each episode")?;
    below("steps", steps, suite.horizon + 1)?;
    Ok(EpisodeRecord {
        suite: row.suite.clone(),
        task: row.task,
        instruction: task.instruction.clone(),
        init: row.init,
        seed: 0,
        policy: row.policy.clone(),
        arithmetic: UNKNOWN.to_owned(),
        success: row.success,
        steps,
        queries: row.queries.unwrap_or(0),
        state_hash: String::new(),
        error: String::new(),
    })
}

/// The card of a run, without its tasks; the hash of the table stands in place of those of weights.
fn manifest(row: &TableEpisode, suite: &Suite, (table, hash): (&Path, &str)) -> RunManifest {
    let unknown = || UNKNOWN.to_owned();
    let name = table.file_name().unwrap_or_default().to_string_lossy();
    let protocol = EvalProtocol {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        world: row.world.clone(),
        world_version: 0,
        suite: row.suite.clone(),
        instruction_source: unknown(),
        policy: row.policy.clone(),
        seed: 0,
        horizon: suite.horizon,
        settle_steps: 0,
        settle_action: [0.0; 7],
        chunk_length: 0,
        executed_steps: 0,
        control_hz: 0.0,
        cameras: Vec::new(),
        camera_size: 0,
        network_image_size: 0,
        flip: unknown(),
        jpeg_round_trip: false,
        crop: unknown(),
        resize_filter: unknown(),
        quaternion_rule: unknown(),
        normaliser_key: unknown(),
        precision: BTreeMap::new(),
        above_2_bits: Vec::new(),
        arithmetic: unknown(),
        engine: unknown(),
        sanity: unknown(),
        action_noise: 0.0,
        latency_ms: Vec::new(),
        perturbation: Vec::new(),
        robot_model: unknown(),
        simulation: BTreeMap::new(),
        success_rule: unknown(),
        assets_sha256: unknown(),
        libero_sha256: BTreeMap::new(),
        weights_sha256: BTreeMap::from([(name.into_owned(), hash.to_owned())]),
        source_sha256: unknown(),
    };
    RunManifest {
        schema_version: SCHEMA_VERSION,
        protocol,
        tasks: Vec::new(),
        episodes: 0,
        jobs: 0,
        elapsed_secs: 0.0,
        resumed_episodes: 0,
        machine: MachineInfo {
            processor: unknown(),
            features: Vec::new(),
            cores: 0,
            system: unknown(),
            binary_sha256: unknown(),
        },
        setups: Vec::new(),
        memory: MemoryReport::default(),
        energy: EnergyReport::default(),
    }
}
