//! Runs the episodes of a plan over worker threads, keeps each in the journal the moment it ends and
//! writes the run folder. Rows are ordered by task and initial state, whatever order they were run in.

use crate::pool::{in_parallel, panic_words};
use crate::{
    Driver, Entry, EvalError, Garage, Journal, Outcome, PolicyKind, PolicySpec, Stage, run_episode,
};
use crate::{machine, peak_resident_bytes, resident_bytes};
use bitvla_reports::{
    EpisodeActions, EpisodeRecord, Memory, Protocol, QueryRecord, RunCard, latency_table,
    memory_table, read_card, success_table, summarise, summarise_latency, write_actions,
    write_card, write_episodes, write_latency, write_plots, write_text,
};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// Tasks, by index in the suite.
    pub tasks: Vec<usize>,
    /// Initial states 0 to one less of each task.
    pub episodes: usize,
    /// Worker threads.
    pub jobs: usize,
    /// Last episode first. Changes nothing in the results.
    pub backwards: bool,
}

/// How far a run is, in episodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
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

impl Progress {
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
    /// The protocol card.
    pub card: RunCard,
    /// The tables as text.
    pub summary: String,
}

/// Runs what the plan asks for and the folder `out` does not hold yet, then writes the folder's files
/// over everything it holds. `progress` is called at the start and after each episode.
///
/// # Errors
/// When the plan does not fit the suite, the folder holds another protocol, the policy cannot be loaded
/// or a file cannot be written. What goes wrong inside an episode becomes part of its row instead.
pub fn run(
    stage: Stage<'_>,
    policy: &PolicySpec,
    plan: &RunPlan,
    protocol: &Protocol,
    out: &Path,
    progress: &mut dyn FnMut(&Progress),
) -> Result<RunResult, EvalError> {
    let planned = keys(stage, plan)?;
    let start = Instant::now();
    let mut journal = Journal::open(out, protocol)?;
    let (held, mut todo): (Vec<_>, Vec<_>) = planned.into_iter().partition(|key| journal.has(*key));
    if plan.backwards {
        todo.reverse();
    }
    let mut state = Progress {
        total: held.len() + todo.len(),
        resumed: held.len(),
        ..Progress::default()
    };
    for entry in journal.entries() {
        if held.contains(&entry.record.key()) {
            state.count(&entry.record);
        }
    }
    progress(&state);

    let program = resident_bytes();
    let memory: Mutex<Option<Memory>> = Mutex::new(None);
    if !todo.is_empty() {
        let garage = Garage::new(policy);
        let work = |driver: &mut Driver, key: &(usize, usize)| {
            let outcome = guarded(stage, *key, driver, &garage, policy.kind);
            if let Ok(mut slot) = memory.lock() {
                // After an episode, when the buffers have their sizes.
                slot.get_or_insert_with(|| driver.memory());
            }
            outcome
        };
        in_parallel(
            &todo,
            plan.jobs,
            || garage.driver(),
            work,
            |outcome: Outcome| {
                state.count(&outcome.record);
                journal.push(Entry::new(outcome))?;
                progress(&state);
                Ok(())
            },
        )?;
    }
    let memory = memory
        .into_inner()
        .unwrap_or_default()
        .map(|memory| Memory {
            instances: plan.jobs.min(todo.len()) as u64,
            program_bytes: program,
            ..memory
        });
    let card = card(&journal, protocol, plan, memory, &state, start, out);
    write_folder(&journal, card, out)
}

/// Task and initial state of every planned episode, in order.
fn keys(stage: Stage<'_>, plan: &RunPlan) -> Result<Vec<(usize, usize)>, EvalError> {
    let tasks: BTreeSet<usize> = plan.tasks.iter().copied().collect();
    let mut keys = Vec::new();
    for task in tasks {
        let stored = stage.task(task)?.init_states.len();
        if plan.episodes > stored {
            return Err(EvalError::Input(format!(
                "task {task} of suite `{}` has {stored} stored initial states, --episodes {} asks for more",
                stage.suite.name, plan.episodes
            )));
        }
        keys.extend((0..plan.episodes).map(|init| (task, init)));
    }
    Ok(keys)
}

/// An episode whose panic becomes a harness error; the policy is loaded afresh after one.
fn guarded(
    stage: Stage<'_>,
    (task, init): (usize, usize),
    driver: &mut Driver,
    garage: &Garage<'_>,
    kind: PolicyKind,
) -> Result<Outcome, EvalError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| run_episode(stage, task, init, driver)));
    attempt.or_else(|panic| {
        *driver = garage.driver()?;
        let words = panic_words(&*panic);
        Ok(Outcome {
            record: EpisodeRecord {
                suite: stage.suite.name.clone(),
                task,
                instruction: stage.task(task)?.instruction.clone(),
                init,
                seed: stage.seed,
                policy: kind.name().to_owned(),
                arithmetic: kind.arithmetic().to_owned(),
                success: false,
                steps: 0,
                queries: 0,
                state_hash: String::new(),
                error: format!("panic: {words}"),
            },
            queries: Vec::new(),
            actions: EpisodeActions {
                task,
                init,
                state_hash: 0,
                actions: Vec::new(),
            },
        })
    })
}

fn card(
    journal: &Journal,
    protocol: &Protocol,
    plan: &RunPlan,
    memory: Option<Memory>,
    state: &Progress,
    start: Instant,
    out: &Path,
) -> RunCard {
    // An earlier call's card may know what this one did not measure.
    let earlier = read_card(&out.join("run.json"))
        .ok()
        .filter(|card| card.protocol.world_version == protocol.world_version);
    let ran = state.done > state.resumed;
    let mut memory = memory
        .or_else(|| earlier.as_ref().map(|card| card.memory.clone()))
        .unwrap_or_default();
    if ran || memory.peak_resident_bytes == 0 {
        memory.peak_resident_bytes = peak_resident_bytes();
    }
    let tasks: BTreeSet<usize> = journal.entries().map(|e| e.record.task).collect();
    let most = journal.entries().map(|e| e.record.init + 1).max();
    RunCard {
        protocol: protocol.clone(),
        tasks: tasks.into_iter().collect(),
        episodes: most.unwrap_or(0),
        jobs: plan.jobs,
        elapsed_secs: match earlier {
            Some(card) if !ran => card.elapsed_secs,
            _ => start.elapsed().as_secs_f64(),
        },
        resumed_episodes: state.resumed,
        machine: machine(),
        memory,
    }
}

fn write_folder(journal: &Journal, card: RunCard, out: &Path) -> Result<RunResult, EvalError> {
    let mut result = RunResult {
        episodes: Vec::new(),
        queries: Vec::new(),
        actions: Vec::new(),
        card,
        summary: String::new(),
    };
    for entry in journal.entries() {
        result.episodes.push(entry.record.clone());
        result.queries.extend(&entry.queries);
        let actions = entry.actions().ok_or_else(|| EvalError::Format {
            path: out.join("journal.jsonl"),
            what: format!(
                "the actions of task {}, initial state {} are malformed",
                entry.record.task, entry.record.init
            ),
        })?;
        if entry.record.completed() {
            result.actions.push(actions);
        }
    }
    let protocol = &result.card.protocol;
    let title = format!(
        "{}, {}, world version {}",
        protocol.suite, protocol.policy, protocol.world_version
    );
    let (tasks, all) = summarise(&result.episodes);
    let latency = summarise_latency(&result.queries);
    result.summary = format!(
        "{title}\n\n{}\n{}\n{}",
        success_table(&tasks, &all),
        latency_table(latency.as_ref()),
        memory_table(&result.card.memory)
    );
    write_episodes(&out.join("episodes.csv"), &result.episodes)?;
    write_latency(&out.join("latency.csv"), &result.queries)?;
    write_actions(&out.join("actions.bin"), &result.actions)?;
    write_card(&out.join("run.json"), &result.card)?;
    write_text(&out.join("summary.txt"), &result.summary)?;
    write_plots(
        &out.join("plots"),
        &title,
        &result.episodes,
        &result.queries,
        &result.card.memory,
    )?;
    Ok(result)
}
