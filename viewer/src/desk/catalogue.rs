//! What can be played live: suites, their tasks, and policies that have a checkpoint. Task lists are read
//! in a thread, once per suite, because LIBERO's take a while.

use crate::library::Library;
use bevy::platform::cell::SyncCell;
use bitvla_eval::{PolicyKind, PolicySpec};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A task of a suite.
pub struct TaskEntry {
    /// What the policy is told.
    pub instruction: String,
    /// How many stored initial states it has.
    pub inits: usize,
}

/// The tasks of a suite, or why there are none.
type Tasks = Result<Vec<TaskEntry>, String>;

/// What can be played live.
pub struct Catalogue {
    /// Names of suites, or why there are none.
    pub suites: Result<Vec<String>, String>,
    /// Policies, and what each lacks.
    pub policies: Vec<(PolicyKind, Option<String>)>,
    library: Library,
    /// Task lists by suite; none while one is being read.
    tasks: BTreeMap<String, Option<Tasks>>,
    tell: Sender<(String, Tasks)>,
    told: SyncCell<Receiver<(String, Tasks)>>,
}

impl Catalogue {
    /// Looks for suites and checkpoints.
    pub fn new(library: &Library, checkpoint: Option<&Path>) -> Catalogue {
        let (tell, told) = channel();
        let assets = library.sources.own();
        let lacks = |kind: PolicyKind| match &assets {
            Ok(assets) => PolicySpec::new(kind, checkpoint, assets.dir())
                .check()
                .err(),
            Err(_) => None,
        };
        Catalogue {
            suites: library.sources.names().map_err(|e| e.to_string()),
            policies: PolicyKind::value_variants()
                .iter()
                .map(|kind| (*kind, lacks(*kind).map(|e| e.to_string())))
                .collect(),
            library: library.clone(),
            tasks: BTreeMap::new(),
            tell,
            told: SyncCell::new(told),
        }
    }

    /// The tasks of a suite; none while they are being read.
    pub fn tasks(&mut self, suite: &str) -> Option<&Tasks> {
        for (name, tasks) in self.told.get().try_iter() {
            self.tasks.insert(name, Some(tasks));
        }
        if !self.tasks.contains_key(suite) {
            self.tasks.insert(suite.to_owned(), None);
            self.read(suite.to_owned());
        }
        self.tasks.get(suite)?.as_ref()
    }

    fn read(&self, suite: String) {
        let (library, tell) = (self.library.clone(), self.tell.clone());
        let name = suite.clone();
        let begun = std::thread::Builder::new()
            .name("task list".into())
            .spawn(move || {
                let tasks = tasks_of(&library, &suite);
                // A window that closed no longer listens.
                let _ = tell.send((suite, tasks));
            });
        if let Err(error) = begun {
            let _ = self.tell.send((name, Err(format!("no thread: {error}"))));
        }
    }
}

fn tasks_of(library: &Library, suite: &str) -> Tasks {
    let opened = library.open(suite).map_err(|e| e.to_string())?;
    let entry = |task: &bitvla_tasks::Task| TaskEntry {
        instruction: task.instruction.clone(),
        inits: task.init_states.len(),
    };
    Ok(opened.suite.tasks.iter().map(entry).collect())
}
