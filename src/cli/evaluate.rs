//! The run without a subcommand: one suite, or several one after the other, with one policy, or several that are compared.

use super::compare::compare_runs;
use super::jobs::{all_cores, start_loading_threads};
use super::progress::EpisodeProgressBar;
use super::signals::StopSignals;
use super::subcommands::{print_notices, record_videos};
use super::{RunArgs, output};
use crate::agent::measured_latency;
use crate::agent::registry::{PolicyName, PolicyOptions, PolicySpec, control_period_ms};
use crate::asset_resolver::{self, AssetResolver, LoadedSuite};
use crate::{
    AgentFactory, CameraRig, EvalContext, EvalError, RunContext, RunPlan, RunProgress, RunResult,
    Shard, SimulatedLatency, WORLD_VERSION, parse_perturbation, preflight, protocol, run_until,
    simulation_protocol,
};
use bitvla_perturbations::Perturbation;
use bitvla_reports::{EpisodeRecord, FolderLock, suites_table, summarise, write_text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Episodes per task of a suite that has states for as many.
const DEFAULT_EPISODES: usize = 50;
/// Harness errors of a run that are written to standard error, each reason once.
const REASONS: usize = 3;

pub(super) fn evaluate(resolver: &AssetResolver, args: &RunArgs) -> Result<ExitCode, EvalError> {
    let perturbation = parse_perturbation(&args.perturb)?;
    for policy in args.policy.iter() {
        check_options(args, policy)?;
    }
    let several = args.policy.count() > 1;
    if several && args.shard.is_some() {
        return Err(EvalError::Input(
            "--shard: a shard of several policies cannot be compared; run one policy at a time, merge, then compare".into(),
        ));
    }
    let whole = asset_resolver::file_name(&resolver.suite_name(&args.suite));
    let folder = |policy| match &args.out {
        Some(dir) if several => dir.join(label(args, policy)),
        Some(dir) => dir.clone(),
        None => {
            let label = label(args, policy);
            let ending = perturbation_ending(args) + &shard_ending(args);
            PathBuf::from(format!("runs/{whole}-{label}{ending}"))
        }
    };
    let runs: Vec<PolicyRun> = (args.policy.iter())
        .map(|policy| PolicyRun {
            args: args.clone(),
            policy: policy.clone(),
            perturbation: perturbation.clone(),
            out: folder(policy),
        })
        .collect();
    let code = evaluate_all(resolver, &runs)?;
    if code != ExitCode::SUCCESS || !several {
        return Ok(code);
    }
    let labelled = |run: PolicyRun| (Some(label(args, &run.policy)), run.out);
    let folders: Vec<_> = runs.into_iter().map(labelled).collect();
    let out = match &args.out {
        Some(dir) => dir.join("compare"),
        None => PathBuf::from(format!("runs/{whole}-compare{}", perturbation_ending(args))),
    };
    compare_runs(&folders, &out)?;
    Ok(ExitCode::SUCCESS)
}

/// One policy with the options of its run.
pub(super) struct PolicyRun {
    /// Options; those of several runs name the same suites.
    pub args: RunArgs,
    /// The policy.
    pub policy: PolicyName,
    /// Change of every episode; none for the suite as it is.
    pub perturbation: Option<Perturbation>,
    /// Folder of the run.
    pub out: PathBuf,
}

/// Evaluates policies one after the other; returns the exit code of the first run that did not end well. What can be refused of
/// several runs is refused before the first episode.
pub(super) fn evaluate_all(
    resolver: &AssetResolver,
    runs: &[PolicyRun],
) -> Result<ExitCode, EvalError> {
    let Some(PolicyRun { args: first, .. }) = runs.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let signals = StopSignals::install()?;
    if runs.iter().any(|run| run.policy.weights().is_some()) {
        start_loading_threads()?;
    }
    let name = resolver.suite_name(&first.suite);
    let suites = resolver.for_tasks(first.tasks.as_deref()).open_all(&name)?;
    let mut measured = Vec::with_capacity(runs.len());
    for run in runs {
        let mut args = run.args.clone();
        let suites = perturbed_suites(&suites, run)?;
        if let (Some(SimulatedLatency::Measured), Some(suite)) =
            (&args.options.latency, suites.first())
        {
            args.options.latency = Some(measure_latency(suite, &args, &run.policy)?);
        }
        if runs.len() > 1 || suites.len() > 1 {
            check_all(&suites, &args, &run.policy)?;
        }
        measured.push((args, suites));
    }
    for (run, (args, suites)) in runs.iter().zip(&measured) {
        let code = evaluate_policy(suites, (args, &run.policy, &signals), &run.out)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        if runs.len() > 1 {
            output::print("\n");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The suites of a run.
fn perturbed_suites(
    suites: &[LoadedSuite],
    run: &PolicyRun,
) -> Result<Vec<Arc<LoadedSuite>>, EvalError> {
    let mut perturbed = Vec::with_capacity(suites.len());
    for suite in suites {
        let tasks = planned_tasks(suite, &run.args);
        if !tasks.is_empty() {
            let suite = suite.perturbed(run.perturbation.as_ref(), &tasks)?;
            perturbed.push(Arc::new(suite));
        }
    }
    Ok(perturbed)
}

/// Name of a policy in folders and tables: with a sanity check, noise or a latency, that of its runs.
pub(super) fn label(args: &RunArgs, policy: &PolicyName) -> String {
    let mut label = args.options.policy_name(policy.name());
    if let Some(latency) = &args.options.latency {
        label = format!("{label}-latency-{latency}");
    }
    label
}

/// Ending of the default folder of a perturbed run.
fn perturbation_ending(args: &RunArgs) -> String {
    let words = args.perturb.iter().map(|words| {
        let plain = words.replace([':', '=', ',', ' '], "-");
        format!("-{}", asset_resolver::file_name(&plain))
    });
    words.collect()
}

/// Ending of the default folder of a shard.
fn shard_ending(args: &RunArgs) -> String {
    match args.shard {
        Some(Shard { index, count }) => format!("-shard{index}of{count}"),
        None => String::new(),
    }
}

/// Evaluates one policy in one suite, or in several one after the other.
fn evaluate_policy(
    suites: &[Arc<LoadedSuite>],
    (args, policy, signals): (&RunArgs, &PolicyName, &StopSignals),
    out: &Path,
) -> Result<ExitCode, EvalError> {
    if let [suite] = suites {
        let factory = checked_factory(suite, args, policy)?;
        let result = run_suite(suite, factory, (args, signals), out)?;
        report_errors(&suite.suite.name, &result);
        return Ok(end(
            &[&result.progress],
            result.stopped,
            result.progress.total,
            signals,
        ));
    }
    let _lock = FolderLock::acquire(out)?;
    let mut rows = Vec::new();
    let mut results = Vec::new();
    for suite in suites {
        let factory = checked_factory(suite, args, policy)?;
        let folder = out.join(suite.file_name());
        let result = run_suite(suite, factory, (args, signals), &folder)?;
        report_errors(&suite.suite.name, &result);
        rows.push((suite.suite.name.clone(), summarise(&result.episodes).1));
        let stopped = result.stopped;
        results.push(result);
        if stopped {
            break;
        }
    }
    let episodes: Vec<EpisodeRecord> = results.iter().flat_map(|r| r.episodes.clone()).collect();
    let title = format!(
        "{}, {}, world version {WORLD_VERSION}",
        args.suite,
        label(args, policy)
    );
    let table = suites_table(&rows, &summarise(&episodes).1);
    let summary = format!("{title}\n\n{table}");
    write_text(&out.join("summary.txt"), &summary)?;
    output::print(&format!("\n{summary}"));
    output::print_line(&format!("\n{}", out.display()));
    let planned = suites
        .iter()
        .map(|suite| planned_tasks(suite, args).len() * planned_episodes(suite, args));
    let progress: Vec<&RunProgress> = results.iter().map(|r| &r.progress).collect();
    let stopped = results.iter().any(|r| r.stopped);
    Ok(end(&progress, stopped, planned.sum(), signals))
}

/// Refuses options that would change nothing but a label.
fn check_options(args: &RunArgs, policy: &PolicyName) -> Result<(), EvalError> {
    if args.seed.is_some() && !policy.is_seeded() {
        return Err(EvalError::Input(format!(
            "--seed: nothing is random in a run of `{policy}`, every seed gives the same episodes; leave it out"
        )));
    }
    if policy.weights().is_some() {
        return Ok(());
    }
    let options = &args.options;
    EvalError::refuse_options(
        &[
            ("checkpoint", options.checkpoint.is_some()),
            ("normaliser-key", options.normaliser_key.is_some()),
        ],
        &format!(": `{policy}` has no checkpoint"),
    )
}

/// Tasks that the arguments ask for.
pub(super) fn planned_tasks(loaded: &LoadedSuite, args: &RunArgs) -> Vec<usize> {
    let mut tasks = match &args.tasks {
        Some(tasks) => tasks.clone(),
        None => (0..loaded.suite.tasks.len()).collect(),
    };
    let left_out = |task: usize| {
        let mut others = args.left_out.iter();
        others.any(|(suite, other)| *suite == loaded.suite.name && *other == task)
    };
    tasks.retain(|task| !left_out(*task));
    tasks
}

/// Factory of the policy, which knows the suite.
fn checked_factory(
    loaded: &LoadedSuite,
    args: &RunArgs,
    policy: &PolicyName,
) -> Result<Box<dyn AgentFactory>, EvalError> {
    let assets = loaded.assets.dir();
    let spec =
        PolicySpec::new(policy.clone(), args.options.clone(), assets).for_suite(&loaded.suite);
    let factory = spec.factory()?;
    factory.check_suite(&loaded.suite, &planned_tasks(loaded, args))?;
    Ok(factory)
}

/// Latency of a policy on this machine, in the first state of the first task.
fn measure_latency(
    loaded: &LoadedSuite,
    args: &RunArgs,
    policy: &PolicyName,
) -> Result<SimulatedLatency, EvalError> {
    let options = PolicyOptions {
        latency: None,
        ..args.options.clone()
    };
    if policy.weights().is_none() {
        return Err(EvalError::Input(format!(
            "--latency measured: `{policy}` has no network"
        )));
    }
    let args = RunArgs {
        options,
        ..args.clone()
    };
    let factory = checked_factory(loaded, &args, policy)?;
    let context = loaded.context(args.seed());
    let task = planned_tasks(loaded, &args).first().copied().unwrap_or(0);
    let world = context.settled_world(task, 0)?;
    let start = context.start((task, 0), &world)?;
    let latency = measured_latency(&*factory, &start, control_period_ms())?;
    output::note(&format!("measured latency of `{policy}`: {latency} ms"));
    Ok(latency)
}

/// Refuses a run before its first episode: with all suites that the policy does not know, or with the first
/// task that cannot be run.
fn check_all(
    suites: &[Arc<LoadedSuite>],
    args: &RunArgs,
    policy: &PolicyName,
) -> Result<(), EvalError> {
    let mut refused = Vec::new();
    let mut outcome = Ok(());
    for loaded in suites {
        match checked_factory(loaded, args, policy) {
            Ok(factory) if refused.is_empty() && outcome.is_ok() => {
                let plan = plan(loaded, args);
                let context = loaded.context(args.seed());
                outcome = preflight(context, &*factory, &plan.tasks, plan.episodes, plan.jobs);
            }
            Ok(_) => {}
            Err(EvalError::UnknownSuite { suite, source, .. }) => refused.push((suite, source)),
            Err(other) => return Err(other),
        }
    }
    if refused.is_empty() {
        return outcome;
    }
    let reasons: Vec<String> = refused
        .iter()
        .map(|(suite, reason)| format!("`{suite}`: {reason}"))
        .collect();
    Err(EvalError::Input(format!(
        "policy `{policy}` does not know {} of {} suites: {}; --normaliser-key KEY uses the statistics of another suite all the same",
        refused.len(),
        suites.len(),
        reasons.join("; ")
    )))
}

/// Episodes per task: those that were asked for, or as many as every planned task has states for.
fn planned_episodes(loaded: &LoadedSuite, args: &RunArgs) -> usize {
    let tasks = planned_tasks(loaded, args);
    let tasks = tasks
        .iter()
        .filter_map(|task| loaded.suite.tasks.get(*task));
    let fewest = tasks.map(|task| task.init_states.len()).min();
    let all = fewest
        .unwrap_or(DEFAULT_EPISODES)
        .clamp(1, DEFAULT_EPISODES);
    args.episodes.unwrap_or(all)
}

fn plan(loaded: &LoadedSuite, args: &RunArgs) -> RunPlan {
    RunPlan {
        tasks: planned_tasks(loaded, args),
        episodes: planned_episodes(loaded, args),
        shard: args.shard.unwrap_or(Shard::WHOLE),
        jobs: args.jobs.unwrap_or_else(all_cores),
        backwards: args.backwards,
        query_limit: args.query_limit.map_or(RunPlan::QUERY_LIMIT, |s| s.0),
    }
}

/// Runs one suite into a folder of its own.
fn run_suite(
    loaded: &Arc<LoadedSuite>,
    factory: Box<dyn AgentFactory>,
    (args, signals): (&RunArgs, &StopSignals),
    out: &Path,
) -> Result<RunResult, EvalError> {
    let plan = plan(loaded, args);
    let context = loaded.context(args.seed());
    print_notices(loaded, &plan.tasks)?;
    let simulation = simulation_protocol(context, &plan.tasks)?;
    if args.video > 0 {
        check_cameras(context, &plan.tasks)?;
    }
    let protocol = protocol(context, &*factory, &simulation)?;
    let run = RunContext {
        loaded: Arc::clone(loaded),
        seed: args.seed(),
        factory: factory.into(),
    };
    let mut bar = EpisodeProgressBar::new();
    let stop = || signals.stop();
    let result = signals.during(|| {
        run_until(&run, &plan, (&protocol, out), &stop, &mut |p| {
            bar.show(p);
        })
    })?;
    bar.finish();
    output::print(&format!("\n{}", result.summary));
    if !result.stopped {
        record_videos(context, &result.actions, args.video, out)?;
    }
    output::print_line(&format!("\n{}", out.display()));
    Ok(result)
}

/// Prepares the cameras of each task, so that a film that cannot be drawn stops the program before the first episode.
fn check_cameras(context: EvalContext<'_>, tasks: &[usize]) -> Result<(), EvalError> {
    for &task in tasks {
        let (known, init) = (context.task(task)?, context.init_state(task, 0)?);
        let rig = known.scene(context.assets, init).map_err(EvalError::from);
        rig.and_then(|scene| CameraRig::new(&scene))
            .map_err(|source| {
                let source = Box::new(source);
                EvalError::Preflight { task, source }
            })?;
    }
    Ok(())
}

/// Writes what a journal has lost to standard error.
pub(super) fn print_losses(result: &RunResult) {
    for loss in &result.losses {
        output::note(&format!("warning: {loss}"));
    }
}

/// Writes the reasons of harness errors to standard error, each once.
fn report_errors(suite: &str, result: &RunResult) {
    print_losses(result);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for row in result.episodes.iter().filter(|row| !row.completed()) {
        *reasons.entry(row.error.as_str()).or_default() += 1;
    }
    for (reason, count) in reasons.iter().take(REASONS) {
        let episodes = if *count == 1 {
            "episode ended"
        } else {
            "episodes ended"
        };
        output::note(&format!(
            "warning: suite {suite}: {count} {episodes} in a harness error: {reason}"
        ));
    }
    if let Some(more) = reasons.len().checked_sub(REASONS).filter(|n| *n > 0) {
        output::note(&format!(
            "warning: suite {suite}: {more} more reasons stand in episodes.csv"
        ));
    }
}

/// Exit code of a run of one or more suites, with a sentence where it is none of success.
fn end(
    progress: &[&RunProgress],
    stopped: bool,
    planned: usize,
    signals: &StopSignals,
) -> ExitCode {
    if stopped {
        let kept: usize = progress.iter().map(|p| p.done).sum();
        output::note(&format!(
            "stopped: {kept} of {planned} episodes are kept; the same command goes on"
        ));
        return ExitCode::from(signals.exit_code());
    }
    if let Some(p) = progress.iter().find(|p| p.done > 0 && p.errors == p.done) {
        output::error(&format!(
            "nothing was measured: all {} episodes of a suite are harness errors",
            p.done
        ));
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}
