//! Runs the episodes of a plan over worker threads, keeps each in the journal the moment it ends and
//! writes the run folder. Rows are ordered by task and initial state, whatever order they were run in.

use crate::agent::{AgentFactory, ErasedAgent};
use crate::energy_counter::EnergyCounters;
use crate::episode::run_guarded;
use crate::episode_pool::{AgentCosts, RunContext, run_episodes};
use crate::preflight::preflight_within;
use crate::protocol::libero_sha256;
use crate::{EpisodeOutcome, EvalContext, EvalError, Journal, JournalEntry};
use crate::{assets_sha256, machine};
use bitvla_policies::kernels::Isa;
use bitvla_policies::system::{peak_resident_bytes, resident_bytes};
use bitvla_reports::{
    EnergyReport, EpisodeActions, EpisodeHashes, EpisodeRecord, EvalProtocol, MachineInfo,
    MeasurementSetup, MemoryReport, QueryRecord, RunManifest, SCHEMA_VERSION, energy_table,
    latency_table, memory_table, printable, read_manifest, success_table, summarise,
    summarise_latency, write_actions, write_episodes, write_hashes, write_latency, write_manifest,
    write_plots, write_text,
};
use bitvla_tasks::in_parallel;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Episodes of a run, and how they are run.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// Tasks, by index in the suite.
    pub tasks: Vec<usize>,
    /// Initial states 0 to one less of each task.
    pub episodes: usize,
    /// Part of the episodes that is run.
    pub shard: Shard,
    /// Worker threads.
    pub jobs: usize,
    /// Last episode first. Changes nothing in the results.
    pub backwards: bool,
    /// Longest wait for the answer to a query; an episode in which it takes longer is a harness error.
    pub query_limit: Duration,
}

impl RunPlan {
    /// Plans initial states 0 to `episodes` - 1 of some tasks, all of them on this machine with one worker.
    pub fn new(tasks: Vec<usize>, episodes: usize) -> RunPlan {
        RunPlan {
            tasks,
            episodes,
            shard: Shard::WHOLE,
            jobs: 1,
            backwards: false,
            query_limit: RunPlan::QUERY_LIMIT,
        }
    }

    /// Longest wait for the answer to a query where nothing else is asked for: a network of billions of parameters takes seconds
    /// per query, and its first one reads the weights.
    pub const QUERY_LIMIT: Duration = Duration::from_secs(600);
}

/// Part of a run that one of several machines does: every `count`-th episode from number `index` on, so that every shard has
/// episodes of every task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Number of the shard, below `count`.
    pub index: usize,
    /// Number of shards.
    pub count: usize,
}

impl Shard {
    /// The whole run.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, count)) if index < count => Ok(Shard { index, count }),
            _ => Err("expected I/N with I from 0 to N - 1, such as 0/8".to_owned()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Progress of a run, in episodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Finished, those taken over from an earlier call included.
    pub done: usize,
    /// Planned.
    pub total: usize,
    /// Goal reached.
    pub successes: usize,
    /// Not finished because of the harness.
    pub errors: usize,
    /// Of `done`, taken over from an earlier call.
    pub resumed: usize,
}

impl RunProgress {
    fn count(&mut self, record: &EpisodeRecord) {
        self.done += 1;
        self.successes += usize::from(record.success);
        self.errors += usize::from(!record.completed());
    }
}

/// Everything a run folder holds.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// Rows in order of task and initial state.
    pub episodes: Vec<EpisodeRecord>,
    /// Queries in the same order.
    pub queries: Vec<QueryRecord>,
    /// Executed actions in the same order.
    pub actions: Vec<EpisodeActions>,
    /// Hashes of states and frames in the same order.
    pub hashes: Vec<EpisodeHashes>,
    /// Manifest of the run.
    pub manifest: RunManifest,
    /// The tables as text.
    pub summary: String,
    /// Episodes of the plan.
    pub progress: RunProgress,
    /// True if the run was asked to stop before its last episode.
    pub stopped: bool,
    /// Rows of the journal that were damaged or cut short, one sentence each; none of them counts.
    pub losses: Vec<String>,
}

/// Runs what the plan asks for and the folder `out` does not hold yet, then writes the folder's files
/// over everything it holds. `progress` is called at the start and after each episode.
///
/// # Errors
/// If the plan does not fit the suite, the folder holds another protocol or is in use, the policy cannot be loaded, no
/// episode of a task could work (see [`crate::preflight()`]) or a file cannot be written. An error inside an episode becomes part of
/// its row instead.
pub fn run(
    context: &RunContext,
    plan: &RunPlan,
    protocol: &EvalProtocol,
    out: &Path,
    progress: &mut dyn FnMut(&RunProgress),
) -> Result<RunResult, EvalError> {
    run_until(context, plan, (protocol, out), &|| false, progress)
}

/// As [`run`], until `stop` is true: then episodes in progress are dropped and the folder is written with those that are
/// finished, see [`RunResult::stopped`].
///
/// # Errors
/// As [`run`].
pub fn run_until(
    run: &RunContext,
    plan: &RunPlan,
    (protocol, out): (&EvalProtocol, &Path),
    stop: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(&RunProgress),
) -> Result<RunResult, EvalError> {
    let (context, factory) = (run.episodes(), &*run.factory);
    let planned = planned_episodes(context, plan)?;
    let start = Instant::now();
    let mut journal = Journal::open(out, protocol, context)?;
    let (held, mut todo): (Vec<_>, Vec<_>) = planned.into_iter().partition(|key| journal.has(*key));
    let tasks: BTreeSet<usize> = todo.iter().map(|(task, _)| *task).collect();
    let tasks: Vec<usize> = tasks.into_iter().collect();
    let program = resident_bytes();
    preflight_within(run, &tasks, plan)?;
    journal.begin(protocol)?;
    if plan.backwards {
        todo.reverse();
    }
    let mut state = RunProgress {
        total: held.len() + todo.len(),
        resumed: held.len(),
        ..RunProgress::default()
    };
    for entry in journal.entries() {
        if held.contains(&entry.record.key()) {
            state.count(&entry.record);
        }
    }
    progress(&state);

    let machine = machine()?;
    let setup = MeasurementSetup {
        processor: machine.processor.clone(),
        instruction_set: Isa::active().name().to_owned(),
        threads: factory.threads(),
        jobs: plan.jobs,
    };
    let mut costs = None;
    let mut counters = EnergyCounters::start();
    let ended = run_episodes(
        run,
        (&todo, plan.jobs),
        plan.query_limit,
        stop,
        &mut costs,
        |outcome| {
            counters.update();
            state.count(&outcome.record);
            journal.push(JournalEntry::new(outcome, setup.clone()))?;
            progress(&state);
            Ok(())
        },
    );
    let stopped = match ended {
        Ok(()) => false,
        Err(EvalError::Stopped) => true,
        Err(error) => return Err(error),
    };
    if state.done > state.resumed {
        check_unchanged(context, factory, protocol)?;
    }
    let energy = EnergyReport {
        operations: costs.as_ref().and_then(|costs| costs.operations),
        measured: counters.measured(state.done - state.resumed),
    };
    let memory = costs.map(|AgentCosts { memory, .. }| MemoryReport {
        instances: plan.jobs.min(todo.len()) as u64,
        // A policy that has weights says what the process took before they were loaded.
        program_bytes: match memory.program_bytes {
            0 => program,
            before_weights => before_weights,
        },
        ..memory
    });
    let costs = (memory, energy);
    let manifest = manifest(
        &journal,
        protocol,
        plan,
        costs,
        &state,
        (start, machine),
        out,
    );
    let result = write_folder(&journal, manifest, out)?;
    Ok(RunResult {
        progress: state,
        stopped,
        ..result
    })
}

/// Compares the files of suite and policy with the hashes on the card once more: a policy reads from its files all through a
/// run.
fn check_unchanged(
    context: EvalContext<'_>,
    factory: &dyn AgentFactory,
    protocol: &EvalProtocol,
) -> Result<(), EvalError> {
    let now = EvalProtocol {
        assets_sha256: assets_sha256(context.assets, context.suite)?,
        libero_sha256: libero_sha256(context)?,
        weights_sha256: factory.file_hashes()?,
        ..protocol.clone()
    };
    let differences = protocol.differences(&now);
    if differences.is_empty() {
        return Ok(());
    }
    Err(EvalError::Input(format!(
        "files changed while the run read them ({}): remove the run folder and begin anew",
        differences.join("; ")
    )))
}

/// Runs episodes (task, initial state) with the agents of a factory on `jobs` threads and returns their outcomes in order
/// of task and initial state. No file is written.
///
/// # Errors
/// If the policy cannot do the suite or cannot be loaded. An error inside an episode becomes part of its record.
pub fn evaluate(
    context: EvalContext<'_>,
    factory: &dyn AgentFactory,
    episodes: &[(usize, usize)],
    jobs: usize,
) -> Result<Vec<EpisodeOutcome>, EvalError> {
    let tasks: BTreeSet<usize> = episodes.iter().map(|(task, _)| *task).collect();
    for (task, init) in episodes {
        context.init_state(*task, *init)?;
    }
    factory.check_suite(context.suite, &Vec::from_iter(tasks))?;
    let mut outcomes = Vec::with_capacity(episodes.len());
    let work = |agent: &mut Box<dyn ErasedAgent>, key: &(usize, usize)| {
        run_guarded((context, *key), factory, agent, &|| factory.make(), &|| {
            false
        })
    };
    in_parallel(
        episodes,
        jobs,
        || factory.make(),
        work,
        |outcome| {
            outcomes.push(outcome);
            Ok(())
        },
    )?;
    outcomes.sort_by_key(|outcome| outcome.record.key());
    Ok(outcomes)
}

/// Task and initial state of every planned episode, in order.
fn planned_episodes(
    context: EvalContext<'_>,
    plan: &RunPlan,
) -> Result<Vec<(usize, usize)>, EvalError> {
    let tasks: BTreeSet<usize> = plan.tasks.iter().copied().collect();
    let mut keys = Vec::new();
    for task in tasks {
        let stored = context.task(task)?.init_states.len();
        if plan.episodes > stored {
            return Err(EvalError::Input(format!(
                "task {task} of suite `{}` has {stored} stored initial states, --episodes {} asks for more",
                context.suite.name, plan.episodes
            )));
        }
        keys.extend((0..plan.episodes).map(|init| (task, init)));
    }
    let all = keys.len();
    let Shard { index, count } = plan.shard;
    let keys: Vec<_> = keys.into_iter().skip(index).step_by(count).collect();
    if keys.is_empty() && all > 0 {
        return Err(EvalError::Input(format!(
            "shard {} of {all} episodes has none",
            plan.shard
        )));
    }
    Ok(keys)
}

fn manifest(
    journal: &Journal,
    protocol: &EvalProtocol,
    plan: &RunPlan,
    (memory, energy): (Option<MemoryReport>, EnergyReport),
    state: &RunProgress,
    (start, machine): (Instant, MachineInfo),
    out: &Path,
) -> RunManifest {
    // The manifest of an earlier call knows what this call does not measure again; one that cannot be read is replaced.
    let earlier = read_manifest(&out.join("run.json"))
        .ok()
        .filter(|earlier| earlier.protocol.world_version == protocol.world_version);
    let ran = state.done > state.resumed;
    let mut memory = memory
        .or_else(|| earlier.as_ref().map(|earlier| earlier.memory.clone()))
        // Nothing was run, now or earlier: there is no agent whose memory could be reported.
        .unwrap_or_default();
    if ran || memory.peak_resident_bytes == 0 {
        memory.peak_resident_bytes = peak_resident_bytes();
    }
    let tasks: BTreeSet<usize> = journal.entries().map(|e| e.record.task).collect();
    let most = journal.entries().map(|e| e.record.init + 1).max();
    RunManifest {
        schema_version: SCHEMA_VERSION,
        protocol: protocol.clone(),
        tasks: tasks.into_iter().collect(),
        // No episode was run.
        episodes: most.unwrap_or(0),
        jobs: plan.jobs,
        elapsed_secs: match &earlier {
            Some(manifest) if !ran => manifest.elapsed_secs,
            _ => start.elapsed().as_secs_f64(),
        },
        energy: match &earlier {
            Some(manifest) if !ran => manifest.energy.clone(),
            _ => energy,
        },
        resumed_episodes: state.resumed,
        machine: match earlier {
            Some(manifest) if !ran => manifest.machine,
            _ => machine,
        },
        setups: Vec::new(),
        memory,
    }
}

pub(crate) fn write_folder(
    journal: &Journal,
    manifest: RunManifest,
    out: &Path,
) -> Result<RunResult, EvalError> {
    let mut result = RunResult {
        episodes: Vec::new(),
        queries: Vec::new(),
        actions: Vec::new(),
        hashes: Vec::new(),
        manifest,
        summary: String::new(),
        progress: RunProgress::default(),
        stopped: false,
        losses: journal.losses().to_vec(),
    };
    for entry in journal.entries() {
        result.episodes.push(entry.record.clone());
        let setup = setup_index(&mut result.manifest.setups, &entry.setup);
        let of_setup = |query: &QueryRecord| QueryRecord { setup, ..*query };
        result.queries.extend(entry.queries.iter().map(of_setup));
        let (actions, hashes) = entry.actions().zip(entry.hashes()).ok_or_else(|| {
            let what = format!(
                "the actions or hashes of task {}, initial state {} are malformed",
                entry.record.task, entry.record.init
            );
            EvalError::format(&out.join("journal.jsonl"), what)
        })?;
        if entry.record.completed() {
            result.actions.push(actions);
            result.hashes.push(hashes);
        }
    }
    let protocol = &result.manifest.protocol;
    let title = format!(
        "{}, {}, world version {}",
        printable(&protocol.suite),
        printable(&protocol.policy),
        protocol.world_version
    );
    let (tasks, all) = summarise(&result.episodes);
    let latency = summarise_latency(&result.queries);
    let finished = result.episodes.iter().filter(|row| row.completed()).count();
    let queries = result.queries.len() as f64 / finished.max(1) as f64;
    let energy = energy_table(&result.manifest.energy, Some(queries));
    result.summary = format!(
        "{title}\n\n{}\n{}\n{}{}{energy}",
        success_table(&tasks, &all),
        latency_table(&latency, &result.manifest.setups),
        memory_table(&result.manifest.memory),
        if energy.is_empty() { "" } else { "\n" }
    );
    write_episodes(&out.join("episodes.csv"), &result.episodes)?;
    write_latency(&out.join("latency.csv"), &result.queries)?;
    write_actions(&out.join("actions.bin"), &result.actions)?;
    write_hashes(&out.join("hashes.bin"), &result.hashes)?;
    write_manifest(&out.join("run.json"), &result.manifest)?;
    write_text(&out.join("summary.txt"), &result.summary)?;
    write_plots(
        &out.join("plots"),
        &title,
        &result.episodes,
        &result.queries,
        &result.manifest.memory,
    )?;
    Ok(result)
}

/// Index of a setup in a list, to which it is added if it is new.
fn setup_index(setups: &mut Vec<MeasurementSetup>, setup: &MeasurementSetup) -> usize {
    setups.iter().position(|s| s == setup).unwrap_or_else(|| {
        setups.push(setup.clone());
        setups.len() - 1
    })
}
