//! The subcommand `sweep --perturb`: success against the strength of perturbations, events and cases of LIBERO-PRO.

use super::evaluate::{PolicyRun, evaluate_all, planned_tasks};
use super::jobs::all_cores;
use super::sweep::{SweepArgs, episodes_of};
use super::{DEFAULT_SEED, RunArgs, output};
use crate::asset_resolver::{AssetResolver, LoadedSuite};
use crate::{EpisodeBeginning, EvalError, PolicyName};
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

/// A result of a task: index of its suite, index of the task.
type Placed<R> = ((usize, usize), R);

/// A level of an axis, and what of the suites it fits.
struct SweptCell<'a> {
    axis: &'a str,
    level: u8,
    perturbation: Perturbation,
    /// Suite and task of those that it does not fit.
    left_out: Vec<(String, usize)>,
    /// Mean distance of the tasks from themselves without perturbation, in their first initial state; `None` for an event, before which there is none.
    distance: Option<CellDistance>,
}

impl<'a> SweptCell<'a> {
    /// Begins the planned tasks of all suites under the perturbation; adds a sentence per suite that says which it does not fit, and why. `plain` is how they begin
    /// without it.
    fn survey(
        (axis, level): (&'a str, u8),
        (suites, plain, jobs): (&[LoadedSuite], &[PlannedTask], usize),
        notices: &mut Vec<String>,
    ) -> Result<SweptCell<'a>, EvalError> {
        let perturbation = Perturbation::at_level(axis, level)?;
        let work = |(): &mut (), task: &PlannedTask| {
            let suite = suites[task.suite].perturbed(Some(&perturbation), &[task.task]);
            let key = (task.task, 0);
            let begun = suite.and_then(|s| EpisodeBeginning::of(s.context(DEFAULT_SEED), key));
            match begun {
                Ok(begun) => Ok((task.place(), Ok(task.beginning.distance(&begun)))),
                Err(EvalError::Perturbation(error)) => Ok((task.place(), Err(error.to_string()))),
                Err(other) => Err(other),
            }
        };
        let begun = in_order(plain, jobs, work)?;
        let mut cell = SweptCell {
            axis,
            level,
            left_out: Vec::new(),
            distance: None,
            perturbation,
        };
        for (at, suite) in suites.iter().enumerate() {
            let name = &suite.suite.name;
            let of_suite = begun.iter().filter(|((suite, _), _)| *suite == at);
            let count = of_suite.clone().count();
            let refused =
                of_suite.filter_map(|((_, task), begun)| Some((*task, begun.as_ref().err()?)));
            let refused: Vec<(usize, &String)> = refused.collect();
            cell.left_out
                .extend(refused.iter().map(|(task, _)| (name.clone(), *task)));
            // The levels of an axis fit the same tasks.
            if let (1, [_, ..]) = (level, refused.as_slice()) {
                let reasons: Vec<&str> = refused.iter().map(|(_, why)| why.as_str()).collect();
                notices.push(format!(
                    "{axis}: {} of {count} tasks of suite {name} are left out: {}",
                    refused.len(),
                    reasons.join("; ")
                ));
            }
        }
        let found: Vec<&CellDistance> = begun.iter().filter_map(|(_, d)| d.as_ref().ok()).collect();
        let mean = |of: fn(&CellDistance) -> f64| {
            found.iter().map(|d| of(d)).sum::<f64>() / found.len().max(1) as f64
        };
        cell.distance = cell.perturbation.event.is_none().then(|| CellDistance {
            agentview: mean(|d| d.agentview),
            wrist: mean(|d| d.wrist),
            words: mean(|d| d.words),
        });
        Ok(cell)
    }

    fn name(&self) -> String {
        format!("{}-{}", self.axis, self.level)
    }
}

/// A task that is to be run, and how it begins without perturbation.
struct PlannedTask {
    /// Index of its suite.
    suite: usize,
    task: usize,
    beginning: EpisodeBeginning,
}

impl PlannedTask {
    fn place(&self) -> (usize, usize) {
        (self.suite, self.task)
    }
}

/// Works through items over `jobs` threads; results in order of their places.
fn in_order<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&mut (), &T) -> Result<Placed<R>, EvalError> + Sync,
) -> Result<Vec<Placed<R>>, EvalError> {
    let mut results = Vec::with_capacity(items.len());
    in_parallel(
        items,
        jobs,
        || Ok(()),
        work,
        |result| {
            results.push(result);
            Ok::<_, EvalError>(())
        },
    )?;
    results.sort_by_key(|(place, _)| *place);
    Ok(results)
}

/// How the planned tasks of the suites begin.
fn planned_beginnings(
    suites: &[LoadedSuite],
    args: &SweepArgs,
    jobs: usize,
) -> Result<Vec<PlannedTask>, EvalError> {
    let mut places = Vec::new();
    for (at, suite) in suites.iter().enumerate() {
        let tasks = planned_tasks(suite, &args.run());
        places.extend(tasks.into_iter().map(|task| (at, task)));
    }
    let work = |(): &mut (), &(suite, task): &(usize, usize)| {
        let context = suites[suite].context(DEFAULT_SEED);
        Ok(((suite, task), EpisodeBeginning::of(context, (task, 0))?))
    };
    let begun = in_order(&places, jobs, work)?.into_iter();
    let planned = begun.map(|((suite, task), beginning)| PlannedTask {
        suite,
        task,
        beginning,
    });
    Ok(planned.collect())
}

/// Runs every policy without and with perturbation, and the expert where a perturbation changes what can be reached; writes tables and plot.
pub(super) fn sweep_perturbations(
    resolver: &AssetResolver,
    args: &SweepArgs,
) -> Result<ExitCode, EvalError> {
    let mut levels = args.levels.clone();
    levels.sort_unstable();
    levels.dedup();
    let mut wanted: Vec<(&str, u8)> = Vec::new();
    for axis in &args.perturb {
        for level in levels
            .iter()
            .filter(|level| **level <= Perturbation::levels_of(axis))
        {
            if !wanted.contains(&(axis, *level)) {
                wanted.push((axis, *level));
            }
        }
    }
    let suites = resolver.for_tasks(args.tasks.as_deref());
    let suites = suites.open_all(&resolver.suite_name(&args.suite))?;
    let jobs = args.jobs.unwrap_or_else(all_cores);
    let plain = planned_beginnings(&suites, args, jobs)?;
    let mut notices = Vec::new();
    let mut cells = Vec::with_capacity(wanted.len());
    for cell in wanted {
        cells.push(SweptCell::survey(
            cell,
            (&suites, &plain, jobs),
            &mut notices,
        )?);
    }
    // A cell for which no task is left is none.
    cells.retain(|cell| cell.left_out.len() < plain.len());
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
    let expert: PolicyName = EXPERT.parse().map_err(EvalError::Input)?;
    let folder = |policy: &PolicyName, cell: Option<&SweptCell<'_>>| {
        let name = cell.map_or_else(|| "control".to_owned(), SweptCell::name);
        args.out.join(policy.name()).join(name)
    };
    let mut runs = Vec::new();
    let mut add = |policy: &PolicyName, cell: Option<&SweptCell<'_>>| {
        runs.push(PolicyRun {
            out: folder(policy, cell),
            policy: policy.clone(),
            perturbation: cell.map(|cell| cell.perturbation.clone()),
            args: RunArgs {
                left_out: cell.map_or_else(Vec::new, |cell| cell.left_out.clone()),
                ..args.run()
            },
        });
    };
    for policy in args.policy.iter() {
        add(policy, None);
        for cell in &cells {
            add(policy, Some(cell));
        }
    }
    let named = args.policy.iter().any(|policy| *policy == expert);
    let by_expert = |cell: &SweptCell<'_>| cell.perturbation.changes_the_task();
    for cell in cells.iter().filter(|cell| by_expert(cell) && !named) {
        add(&expert, Some(cell));
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
        let reference = match by_expert(cell) {
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
            axis: cell.axis.to_owned(),
            level: cell.level,
            strength: Perturbation::strength(cell.axis, cell.level),
            solvable: reference.map(solved),
            reference_episodes,
            distance: cell.distance,
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
