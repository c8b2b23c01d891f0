//! Catalogue of live episodes: suites, their tasks, and the policies. Task lists are read by a thread, once per suite,
//! because LIBERO's take seconds.

use crate::suite_cache::SuiteCache;
use bevy::platform::cell::SyncCell;
use bitvla_eval::agent::registry;
use bitvla_eval::{Perturbation, PolicyName, PolicyOptions, PolicySpec, swept_axes};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A task of a suite.
pub struct CatalogueEntry {
    /// Instruction given to the policy.
    pub instruction: String,
    /// Number of stored initial states.
    pub inits: usize,
}

/// A perturbation of an axis and level.
pub struct PerturbationEntry {
    /// Axis, and the strength of the level in words.
    pub label: String,
    /// Words, as on a protocol card.
    pub words: Vec<String>,
}

/// Tasks of a suite, or the error message.
type TaskList = Result<Vec<CatalogueEntry>, String>;

/// Suites, tasks and policies that can be chosen.
pub struct Catalogue {
    /// Names of suites, or the error message.
    pub suites: Result<Vec<String>, String>,
    /// Policies, each with the message of what is missing for it.
    pub policies: Vec<(PolicyName, Option<String>)>,
    /// Perturbations by axis and level.
    pub perturbations: Vec<PerturbationEntry>,
    suite_cache: SuiteCache,
    /// Task lists by suite; none while one is being read.
    tasks: BTreeMap<String, Option<TaskList>>,
    results_tx: Sender<(String, TaskList)>,
    results_rx: SyncCell<Receiver<(String, TaskList)>>,
}

impl Catalogue {
    /// Lists suites and policies and checks for checkpoints.
    pub fn new(suite_cache: &SuiteCache, checkpoint: Option<&Path>) -> Catalogue {
        let (results_tx, results_rx) = channel();
        let assets = suite_cache.sources.builtin_assets();
        let options = PolicyOptions {
            checkpoint: checkpoint.map(Path::to_owned),
            ..PolicyOptions::default()
        };
        let missing = |name: &PolicyName| match &assets {
            Ok(assets) => PolicySpec::new(name.clone(), options.clone(), assets.dir())
                .check()
                .err(),
            Err(_) => None,
        };
        Catalogue {
            suites: suite_cache.sources.names().map_err(|e| e.to_string()),
            // A policy that needs an argument is none to choose from a list.
            policies: registry::entries()
                .iter()
                .filter_map(|entry| entry.name.parse().ok())
                .map(|name| {
                    (
                        PolicyName::clone(&name),
                        missing(&name).map(|e| e.to_string()),
                    )
                })
                .collect(),
            perturbations: perturbations(),
            suite_cache: suite_cache.clone(),
            tasks: BTreeMap::new(),
            results_tx,
            results_rx: SyncCell::new(results_rx),
        }
    }

    /// Tasks of a suite; none while they are being read.
    pub fn tasks(&mut self, suite: &str) -> Option<&TaskList> {
        for (name, tasks) in self.results_rx.get().try_iter() {
            self.tasks.insert(name, Some(tasks));
        }
        if !self.tasks.contains_key(suite) {
            self.tasks.insert(suite.to_owned(), None);
            self.read(suite.to_owned());
        }
        self.tasks.get(suite)?.as_ref()
    }

    fn read(&self, suite: String) {
        let (suite_cache, results_tx) = (self.suite_cache.clone(), self.results_tx.clone());
        let name = suite.clone();
        let spawned = std::thread::Builder::new()
            .name("task list".into())
            .spawn(move || {
                let tasks = tasks_of(&suite_cache, &suite);
                // The receiver is gone only when the window is closing.
                let _ = results_tx.send((suite, tasks));
            });
        if let Err(error) = spawned {
            let _ = self
                .results_tx
                .send((name, Err(format!("no thread: {error}"))));
        }
    }
}

/// Every axis at every level.
fn perturbations() -> Vec<PerturbationEntry> {
    let axes = swept_axes().into_iter();
    let cells = axes.flat_map(|axis| {
        (1..=Perturbation::levels_of(&axis)).map(move |level| (axis.clone(), level))
    });
    cells
        .filter_map(|(axis, level)| {
            let words = Perturbation::at_level(&axis, level).ok()?.words();
            // A case of LIBERO-PRO is told by its name.
            let label = match axis.starts_with("pro-") {
                true => axis,
                false => format!("{axis}: {}", Perturbation::strength(&axis, level)),
            };
            Some(PerturbationEntry { label, words })
        })
        .collect()
}

fn tasks_of(suite_cache: &SuiteCache, suite: &str) -> TaskList {
    let opened = suite_cache.open(suite).map_err(|e| e.to_string())?;
    let entry = |task: &bitvla_tasks::Task| CatalogueEntry {
        instruction: task.instruction.clone(),
        inits: task.init_states.len(),
    };
    Ok(opened.suite.tasks.iter().map(entry).collect())
}
