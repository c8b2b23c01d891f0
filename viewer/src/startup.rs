//! Evaluates the command line: opens the run folders and determines the first episode.

use crate::args::Args;
use crate::session::{DEFAULT_SEED, EpisodeSelection, LoadedRun};
use crate::suite_cache::SuiteCache;
use bitvla_eval::{EvalError, open_run_folder, parse_perturbation};
use std::path::PathBuf;

/// Opens the run folders of the command line.
///
/// # Errors
/// If one is no run folder, or two of them cannot be compared.
pub fn open_runs(args: &Args) -> Result<Vec<LoadedRun>, EvalError> {
    let open = |dir: &PathBuf| {
        let folder = open_run_folder(dir)?;
        Ok(LoadedRun {
            folder,
            dir: dir.clone(),
        })
    };
    let runs: Vec<LoadedRun> = args
        .runs
        .iter()
        .map(open)
        .collect::<Result<_, EvalError>>()?;
    if let [a, b] = runs.as_slice() {
        let (a, b) = (&a.folder.manifest.protocol, &b.folder.manifest.protocol);
        if a.perturbation != b.perturbation {
            return Err(EvalError::Input(format!(
                "these runs begin differently and cannot be compared: perturbation {:?} and {:?}",
                a.perturbation, b.perturbation
            )));
        }
        if a.suite != b.suite || a.settle_steps != b.settle_steps {
            return Err(EvalError::Input(format!(
                "these runs begin differently and cannot be compared: suite `{}`, {} settling steps; suite `{}`, {} \
                 settling steps",
                a.suite, a.settle_steps, b.suite, b.settle_steps
            )));
        }
    }
    Ok(runs)
}

/// First episode to display.
pub struct FirstEpisode {
    /// Selection of the episode, and of the policy that can continue it live.
    pub selection: EpisodeSelection,
    /// Task and initial state of a recorded episode; none for a live one.
    pub recorded: Option<(usize, usize)>,
}

/// Determines the first episode from the command line.
///
/// # Errors
/// If the suite, task, initial state or recording does not exist, or options contradict each other.
pub fn first_episode(
    args: &Args,
    suite_cache: &SuiteCache,
    runs: &[LoadedRun],
) -> Result<FirstEpisode, EvalError> {
    let recorded = runs.first().map(|run| &run.folder.manifest.protocol);
    if let Some(protocol) = recorded {
        EvalError::refuse_options(
            &[
                ("suite", args.suite.is_some()),
                ("versus", args.versus.is_some()),
                ("seed", args.seed.is_some()),
                ("perturb", !args.perturb.is_empty()),
            ],
            &format!(
                " is for live episodes; {} holds recorded ones",
                args.runs[0].display()
            ),
        )?;
        let rows = runs[0].folder.actions.iter();
        let wanted = |key: &(usize, usize)| {
            args.task.is_none_or(|t| t == key.0) && args.init.is_none_or(|i| i == key.1)
        };
        let both = |key: &(usize, usize)| runs.iter().all(|r| r.folder.actions_of(*key).is_some());
        let first = rows
            .map(|a| (a.task, a.init))
            .find(|key| wanted(key) && both(key));
        let Some(first) = first else {
            return Err(EvalError::Input(format!(
                "{} holds no such finished episode",
                args.runs[0].display()
            )));
        };
        let selection = EpisodeSelection {
            suite: protocol.suite.clone(),
            task: first.0,
            init: first.1,
            policy: args.policy.clone().unwrap_or_default(),
            versus: None,
            perturbation: protocol.perturbation.clone(),
        };
        suite_cache.open(&selection.suite)?;
        return Ok(FirstEpisode {
            selection,
            recorded: Some(first),
        });
    }
    let selection = EpisodeSelection {
        suite: args.suite.clone().unwrap_or_else(|| "spatial".into()),
        task: args.task.unwrap_or(0),
        init: args.init.unwrap_or(0),
        policy: args.policy.clone().unwrap_or_default(),
        versus: args.versus.clone(),
        perturbation: parse_perturbation(&args.perturb)?
            .map_or_else(Vec::new, |perturbation| perturbation.words()),
    };
    let opened = suite_cache.open(&selection.suite)?;
    opened
        .context(args.seed.unwrap_or(DEFAULT_SEED))
        .init_state(selection.task, selection.init)?;
    Ok(FirstEpisode {
        selection,
        recorded: None,
    })
}
