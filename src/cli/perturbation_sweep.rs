//! The subcommand `sweep --perturb`: success against the strength of perturbations, events and cases of LIBERO-PRO.

use super::evaluate::{PolicyRun, evaluate_all, planned_tasks};
use super::jobs::all_cores;
use super::sweep::{SweepArgs, episodes_of};
use super::{DEFAULT_SEED, RunArgs, output};
use crate::asset_resolver::{AssetResolver, LoadedSuite};
use crate::{EvalError, PolicyName, start_distance};
use bitvla_perturbations::Perturbation;
use bitvla_reports::{
    CellDistance, FolderLock, Outcomes, PerturbedCell, ROBUSTNESS_FILE, Robustness, outcomes_of,
    write_json, write_robustness_plots, write_text,
};
use bitvla_tasks::in_parallel;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Policy that tells which perturbed episodes can be solved: it sees the true state.
const EXPERT: &str = "expert";

/// True for a cell in which the expert has to say what can be reached.
fn changes_the_task((axis, level): &(&str, u8)) -> bool {
    Perturbation::at_level(axis, *level).is_ok_and(|perturbation| perturbation.changes_the_task())
}

/// Tasks that a perturbation does not fit.
#[derive(Default)]
struct UnfitTasks {
    /// Suite and task.
    tasks: Vec<(String, usize)>,
    /// A sentence per suite that says which and why; none for a level beyond the first.
    notices: Vec<String>,
}

/// Finds the tasks that a perturbation does not fit.
fn unfit_tasks(
    suites: &[LoadedSuite],
    args: &SweepArgs,
    (axis, level): (&str, u8),
) -> Result<UnfitTasks, EvalError> {
    let perturbation = Perturbation::at_level(axis, level)?;
    let mut unfit = UnfitTasks::default();
    for loaded in suites {
        let tasks = planned_tasks(loaded, &args.run());
        let mut reasons = Vec::new();
        for task in &tasks {
            let fits = loaded.perturbed(Some(&perturbation), &[*task]);
            let fits = fits.and_then(|suite| suite.context(DEFAULT_SEED).settled_world(*task, 0));
            match fits {
                Ok(_) => {}
                Err(EvalError::Perturbation(error)) => {
                    reasons.push(error.to_string());
                    unfit.tasks.push((loaded.suite.name.clone(), *task));
                }
                Err(other) => return Err(other),
            }
        }
        if !reasons.is_empty() && level == 1 {
            unfit.notices.push(format!(
                "{axis}: {} of {} tasks of suite {} are left out: {}",
                reasons.len(),
                tasks.len(),
                loaded.suite.name,
                reasons.join("; ")
            ));
        }
    }
    Ok(unfit)
}

/// Mean distance of the tasks of a cell from themselves without perturbation, in their first initial state; `None` for an event, before
/// which there is none.
fn mean_distance(
    suites: &[LoadedSuite],
    args: &SweepArgs,
    (axis, level): (&str, u8),
) -> Result<Option<CellDistance>, EvalError> {
    let perturbation = Perturbation::at_level(axis, level)?;
    if perturbation.event.is_some() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    let mut perturbed = Vec::with_capacity(suites.len());
    for (at, loaded) in suites.iter().enumerate() {
        let tasks = planned_tasks(loaded, &args.run());
        let fitting = |task: &usize| loaded.perturbed(Some(&perturbation), &[*task]).is_ok();
        keys.extend(tasks.into_iter().filter(fitting).map(|task| (at, task)));
        perturbed.push(loaded.perturbed(Some(&perturbation), &[])?);
    }
    let mut found = Vec::with_capacity(keys.len());
    let work = |(): &mut (), (at, task): &(usize, usize)| {
        let contexts = [&suites[*at], &perturbed[*at]].map(|suite| suite.context(DEFAULT_SEED));
        match start_distance((contexts[0], contexts[1]), (*task, 0)) {
            Ok(distance) => Ok(Some(distance)),
            Err(EvalError::Perturbation(_)) => Ok(None),
            Err(other) => Err(other),
        }
    };
    let jobs = args.jobs.unwrap_or_else(all_cores);
    in_parallel(
        &keys,
        jobs,
        || Ok(()),
        work,
        |distance| {
            found.extend(distance);
            Ok::<_, EvalError>(())
        },
    )?;
    // In the order of their values, so that the sum does not depend on which task was done first.
    let mean = |of: fn(&CellDistance) -> f64| {
        let mut values: Vec<f64> = found.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    Ok(Some(CellDistance {
        agentview: mean(|d| d.agentview),
        wrist: mean(|d| d.wrist),
        words: mean(|d| d.words),
    }))
}

/// Runs every policy without and with perturbation, and the expert where a perturbation changes what can be reached; writes tables and plot.
pub(super) fn sweep_perturbations(
    resolver: &AssetResolver,
    args: &SweepArgs,
) -> Result<ExitCode, EvalError> {
    let mut levels = args.levels.clone();
    levels.sort_unstable();
    levels.dedup();
    let mut cells: Vec<(&str, u8)> = Vec::new();
    for axis in &args.perturb {
        for level in levels
            .iter()
            .filter(|level| **level <= Perturbation::levels_of(axis))
        {
            if !cells.contains(&(axis, *level)) {
                cells.push((axis, *level));
            }
        }
    }
    let expert: PolicyName = EXPERT.parse().map_err(EvalError::Input)?;
    let folder = |policy: &PolicyName, cell: Option<&(&str, u8)>| {
        let name = cell.map_or_else(
            || "control".to_owned(),
            |(axis, level)| format!("{axis}-{level}"),
        );
        args.out.join(policy.name()).join(name)
    };
    let suites = resolver.for_tasks(args.tasks.as_deref());
    let suites = suites.open_all(&resolver.suite_name(&args.suite))?;
    let mut left_out: Vec<Vec<(String, usize)>> = Vec::new();
    let mut notices = Vec::new();
    for (axis, level) in &cells {
        let unfit = unfit_tasks(&suites, args, (axis, *level))?;
        left_out.push(unfit.tasks);
        notices.extend(unfit.notices);
    }
    // A cell for which no task is left is none.
    let planned: usize = suites
        .iter()
        .map(|s| planned_tasks(s, &args.run()).len())
        .sum();
    let mut fit = left_out.iter().map(|left_out| left_out.len() < planned);
    cells.retain(|_| fit.next().unwrap_or(true));
    left_out.retain(|left_out| left_out.len() < planned);
    if cells.is_empty() {
        return Err(EvalError::Input(format!(
            "--perturb: no task of suite `{}` fits: {}",
            args.suite,
            notices.join("; ")
        )));
    }
    for notice in &notices {
        output::note(notice);
    }
    let mut runs = Vec::new();
    let mut add = |policy: &PolicyName, cell: Option<&(&str, u8)>| -> Result<(), EvalError> {
        let perturbation = cell.map(|(axis, level)| Perturbation::at_level(axis, *level));
        runs.push(PolicyRun {
            out: folder(policy, cell),
            policy: policy.clone(),
            perturbation: perturbation.transpose()?,
            args: RunArgs {
                left_out: cell.map_or_else(Vec::new, |cell| {
                    let at = cells.iter().position(|other| other == cell);
                    at.map_or_else(Vec::new, |at| left_out[at].clone())
                }),
                ..args.run()
            },
        });
        Ok(())
    };
    for policy in args.policy.iter() {
        add(policy, None)?;
        for cell in &cells {
            add(policy, Some(cell))?;
        }
    }
    let named = args.policy.iter().any(|policy| *policy == expert);
    for cell in cells.iter().filter(|cell| changes_the_task(cell) && !named) {
        add(&expert, Some(cell))?;
    }
    let code = evaluate_all(resolver, &runs)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let mut robustness = Robustness {
        scope: format!("suite {}, {} episodes a task", args.suite, args.episodes),
        policies: args
            .policy
            .iter()
            .map(|policy| policy.name().to_owned())
            .collect(),
        control: Vec::new(),
        cells: Vec::new(),
    };
    for policy in args.policy.iter() {
        robustness
            .control
            .push(outcomes_of(&episodes_of(&folder(policy, None))?));
    }
    for cell in &cells {
        let (axis, level) = *cell;
        let reference = match changes_the_task(cell) {
            true => Some(outcomes_of(&episodes_of(&folder(&expert, Some(cell)))?)),
            false => None,
        };
        let reference_episodes = reference.as_ref().map(BTreeMap::len);
        let solved = |outcomes: Outcomes| {
            let solved = outcomes.into_iter().filter(|(_, success)| *success);
            solved.map(|(key, _)| key).collect()
        };
        let outcomes = args.policy.iter().map(|policy| {
            let episodes = episodes_of(&folder(policy, Some(cell)))?;
            Ok(outcomes_of(&episodes))
        });
        robustness.cells.push(PerturbedCell {
            axis: axis.to_owned(),
            level,
            strength: Perturbation::strength(axis, level),
            solvable: reference.map(solved),
            reference_episodes,
            distance: mean_distance(&suites, args, (axis, level))?,
            outcomes: outcomes.collect::<Result<_, EvalError>>()?,
        });
    }
    let _lock = FolderLock::acquire(&args.out)?;
    let (table, axes) = (robustness.table(), robustness.axis_table());
    let answers = robustness.answers().join("\n");
    let text = format!(
        "{}\n{}\n{answers}\n",
        robustness.level_table().text(),
        axes.text()
    );
    write_text(&args.out.join("summary.txt"), &text)?;
    table.write_csv(&args.out.join("robustness.csv"))?;
    axes.write_csv(&args.out.join("axes.csv"))?;
    write_json(&args.out.join(ROBUSTNESS_FILE), &robustness)?;
    let title = format!("{}; level 0 is the suite as it is", robustness.scope);
    write_robustness_plots(&args.out.join("plots"), &title, &robustness)?;
    output::print(&format!("\n{text}\n{}\n", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
