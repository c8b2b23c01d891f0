//! Resolution of suites and models: the asset folder, or LIBERO's files for suites named `libero:...`, for a folder of
//! BDDL files of LIBERO's form and for a single one.

use crate::SuitePerturbation;
use crate::plus_suite::PlusSuite;
use crate::{EvalContext, EvalError, LiberoFiles};
use bitvla_perturbations::Perturbation;
use bitvla_tasks::instruction::{differ, of_file_name};
use bitvla_tasks::libero::{
    FixturePoses, LiberoDir, LiberoSuite, LiberoSuites, PoseFile, SUITES, SuiteFiles,
};
use bitvla_tasks::suite::BUILTIN_SUITES;
use bitvla_tasks::{Assets, InstructionRule, InstructionSource, Suite};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options that name the folders of suites and models.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AssetArgs {
    /// Folder of suites, models and checkpoints [default: $BITVLA_ASSETS, ./assets or the source's]
    #[arg(long, global = true, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// A LIBERO checkout or its packages of PyPI, for suites named libero:spatial, libero:object, libero:goal, libero:10 and
    /// libero:90 and for folders of BDDL files
    #[arg(long, global = true, value_name = "DIR")]
    pub libero: Option<PathBuf>,
    /// A robosuite checkout or package, for the looks of the robot in LIBERO's suites
    #[arg(long, global = true, value_name = "DIR")]
    pub robosuite: Option<PathBuf>,
    /// Fixture poses of LIBERO's suites (JSON) [default: as LIBERO's evaluation draws them]
    #[arg(long, global = true, value_name = "FILE")]
    pub fixtures: Option<PathBuf>,
    /// One task of LIBERO's form in place of a suite
    #[arg(long, global = true, value_name = "FILE")]
    pub bddl: Option<PathBuf>,
    /// Initial states of the task of --bddl [default: looked for beside it]
    #[arg(long, global = true, value_name = "FILE", requires = "bddl")]
    pub init_file: Option<PathBuf>,
    /// Words of LIBERO's tasks: `name` (of the BDDL file), `file` (its :language) or a text [default: name; file for
    /// LIBERO-PRO's _lan and _task suites and LIBERO-plus's _language_ files]
    #[arg(long, global = true, value_name = "name|file|TEXT")]
    pub instruction: Option<InstructionRule>,
    /// Control steps of an episode, for --bddl and folders of BDDL files [default: by the folder's name]
    #[arg(long, global = true, value_name = "STEPS")]
    pub horizon: Option<usize>,
}

/// Folders of suites and models, checked.
#[derive(Debug, Clone)]
pub struct AssetResolver {
    assets: PathBuf,
    libero: Option<PathBuf>,
    robosuite: Option<PathBuf>,
    fixtures: Option<PathBuf>,
    bddl: Option<PathBuf>,
    init_file: Option<PathBuf>,
    instruction: InstructionRule,
    horizon: Option<usize>,
    /// Tasks whose files are needed; all if there is no list.
    tasks: Option<Vec<usize>>,
}

/// A suite and the models that it is played with.
#[derive(Clone)]
pub struct LoadedSuite {
    /// Models and arenas.
    pub assets: Arc<Assets>,
    /// The tasks.
    pub suite: Arc<Suite>,
    /// LIBERO's files behind it, for the protocol card.
    pub files: Option<LiberoFiles>,
    /// Change of the episodes; the goals of the suite are those under it.
    pub perturbation: SuitePerturbation,
    /// What was replaced when it was read, a sentence each.
    pub notices: Vec<String>,
}

impl LoadedSuite {
    /// Context of episodes of the suite.
    pub fn context(&self, seed: u64) -> EvalContext<'_> {
        EvalContext {
            assets: &self.assets,
            suite: &self.suite,
            seed,
            libero: self.files.as_ref(),
            perturbation: &self.perturbation,
        }
    }

    /// The suite under a perturbation of all its tasks, of which `tasks` are to be run; it shares the models.
    ///
    /// # Errors
    /// If it does not fit one of `tasks`, or the suite has perturbations of its own.
    pub fn perturbed(
        &self,
        perturbation: Option<&Perturbation>,
        tasks: &[usize],
    ) -> Result<LoadedSuite, EvalError> {
        let perturbation = match perturbation {
            Some(perturbation) => SuitePerturbation::Uniform(Box::new(perturbation.clone())),
            None => return Ok(self.clone()),
        };
        self.with_perturbation(perturbation, tasks)
    }

    /// The suite under the perturbation of a protocol card, of which `tasks` are to be run.
    ///
    /// # Errors
    /// As [`SuitePerturbation::of_card`] and [`LoadedSuite::perturbed`].
    pub fn recorded(&self, card: &[String], tasks: &[usize]) -> Result<LoadedSuite, EvalError> {
        let perturbation = SuitePerturbation::of_card(card, &self.perturbation)?;
        match perturbation == self.perturbation {
            true => Ok(self.clone()),
            false => self.with_perturbation(perturbation, tasks),
        }
    }

    fn with_perturbation(
        &self,
        perturbation: SuitePerturbation,
        tasks: &[usize],
    ) -> Result<LoadedSuite, EvalError> {
        if self.perturbation != SuitePerturbation::None {
            return Err(EvalError::Input(format!(
                "--perturb: suite `{}` has perturbations of its own",
                self.suite.name
            )));
        }
        let suite = match &perturbation {
            SuitePerturbation::Uniform(all) if all.goal.is_some() => {
                Arc::new(all.change_goals(&self.suite, tasks)?)
            }
            _ => Arc::clone(&self.suite),
        };
        Ok(LoadedSuite {
            suite,
            perturbation,
            ..self.clone()
        })
    }

    /// The name of the suite as part of a file name.
    pub fn file_name(&self) -> String {
        file_name(&self.suite.name)
    }

    /// Builds the scene of each task once, so that a missing model stops the program before it begins, and returns a notice
    /// for each missing texture or visual mesh that was replaced.
    ///
    /// # Errors
    /// If a model is missing or malformed.
    pub fn preload_scenes(&self, tasks: &[usize]) -> Result<Vec<String>, EvalError> {
        for task in tasks.iter().filter_map(|&task| self.suite.tasks.get(task)) {
            if let Some(init) = task.init_states.first() {
                let scene = task.scene(&self.assets, init);
                scene.map_err(|source| EvalError::Preflight {
                    task: task.id,
                    source: Box::new(source.into()),
                })?;
            }
        }
        let mut notices = self.notices.clone();
        notices.extend(self.assets.notices());
        notices.extend(self.task_notices(tasks));
        Ok(notices)
    }

    /// Notices about parts of BDDL files without effect, and about instructions that are not those of the file.
    fn task_notices(&self, tasks: &[usize]) -> Vec<String> {
        let of = |&task: &usize| self.suite.tasks.get(task);
        let mut notices: Vec<String> = (tasks.iter().filter_map(of))
            .flat_map(|task| task.problem.notices.clone())
            .collect();
        for (source, other, option) in [
            (InstructionSource::FileName, ":language", "file"),
            (InstructionSource::Language, "the name of the file", "name"),
        ] {
            let differing = tasks.iter().filter_map(of).filter(|task| {
                let other = match source {
                    InstructionSource::FileName => task.problem.language.clone(),
                    _ => of_file_name(&task.name),
                };
                task.instruction_source == source
                    && !other.is_empty()
                    && differ(&task.instruction, &other)
            });
            let differing: Vec<_> = differing.collect();
            if let Some(first) = differing.first() {
                notices.push(format!(
                    "the instruction of {} of {} tasks is not that of {other} (task {}: `{}`); --instruction {option} uses the other",
                    differing.len(),
                    tasks.len(),
                    first.id,
                    first.instruction
                ));
            }
        }
        notices
    }
}

/// The name of a suite as part of a file name: one component of a path, whatever the name holds.
pub fn file_name(suite: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ' ');
    let name: String = suite
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    // `.` and `..` are names of folders.
    match name.starts_with('.') {
        true => format!("-{name}"),
        false => name,
    }
}

impl AssetResolver {
    /// Checks the options.
    ///
    /// # Errors
    /// If the asset folder is none, or an option asks for another that is not there.
    pub fn new(args: &AssetArgs) -> Result<AssetResolver, EvalError> {
        let assets = args.assets.clone().unwrap_or_else(Assets::default_dir);
        if !assets.join("suites").is_dir() {
            return Err(EvalError::Input(format!(
                "{} is missing: name the folder of suites, models and checkpoints with --assets DIR",
                assets.join("suites").display()
            )));
        }
        if args.libero.is_none() {
            EvalError::refuse_options(
                &[
                    ("robosuite", args.robosuite.is_some()),
                    ("fixtures", args.fixtures.is_some()),
                    ("bddl", args.bddl.is_some()),
                    ("instruction", args.instruction.is_some()),
                    ("horizon", args.horizon.is_some()),
                ],
                " says something about LIBERO's files: name their folder with --libero DIR",
            )?;
        }
        if args.horizon == Some(0) {
            return Err(EvalError::Input("--horizon must be at least 1".into()));
        }
        Ok(AssetResolver {
            assets,
            libero: args.libero.clone(),
            robosuite: args.robosuite.clone(),
            fixtures: args.fixtures.clone(),
            bddl: args.bddl.clone(),
            init_file: args.init_file.clone(),
            instruction: args.instruction.clone().unwrap_or_default(),
            horizon: args.horizon,
            tasks: None,
        })
    }

    /// The same resolver for some tasks: files of others need not exist. Their initial states are not loaded.
    pub fn for_tasks(&self, tasks: Option<&[usize]>) -> AssetResolver {
        AssetResolver {
            tasks: tasks.map(<[usize]>::to_vec),
            ..self.clone()
        }
    }

    /// The suite that is meant by a name on the command line: `--bddl` replaces it.
    pub fn suite_name(&self, name: &str) -> String {
        match &self.bddl {
            Some(file) => file.display().to_string(),
            None => name.to_owned(),
        }
    }

    /// The rule by which tasks of LIBERO's form get their words.
    pub fn instruction(&self) -> &InstructionRule {
        &self.instruction
    }

    /// Names of all suites that can be loaded.
    ///
    /// # Errors
    /// If the asset folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, EvalError> {
        Ok(match self.libero {
            None => Suite::names(&self.builtin_assets()?),
            Some(_) => SUITES.iter().map(|suite| suite.name.to_owned()).collect(),
        })
    }

    /// The asset folder with our own models.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn builtin_assets(&self) -> Result<Assets, EvalError> {
        Ok(Assets::open(&self.assets)?)
    }

    /// The checkout, if one was named.
    ///
    /// # Errors
    /// If it is none.
    pub fn checkout(&self) -> Result<Option<LiberoSuites>, EvalError> {
        Ok(self.libero.as_deref().map(LiberoSuites::open).transpose()?)
    }

    /// The suites of a name, several for `all`.
    ///
    /// # Errors
    /// If there is none of that name; the error lists what there is.
    pub fn open_all(&self, name: &str) -> Result<Vec<LoadedSuite>, EvalError> {
        match name {
            "all" => BUILTIN_SUITES.iter().map(|own| self.open(own)).collect(),
            one => Ok(vec![self.open(one)?]),
        }
    }

    /// A suite by name.
    ///
    /// # Errors
    /// As [`AssetResolver::open_all`].
    pub fn open(&self, name: &str) -> Result<LoadedSuite, EvalError> {
        if let Some(suite) = LiberoSuite::named(name) {
            if self.horizon.is_some() {
                return Err(EvalError::Input(format!(
                    "--horizon: `{name}` has the horizon of LIBERO's evaluation; it is for --bddl and folders"
                )));
            }
            let root = LiberoSuites::open(self.libero_dir(name)?)?;
            return self.open_files(&root.files(suite)?);
        }
        if let Some(suite) = PlusSuite::named(name) {
            return match &self.libero {
                Some(dir) => suite.of_files(&self.assets, dir, self.tasks.as_deref()),
                None => suite.own(self.builtin_assets()?),
            };
        }
        if let Some(files) = self.files_at(name)? {
            return self.open_files(&files);
        }
        let assets = self.builtin_assets()?;
        let known = Suite::names(&assets);
        if !known.iter().any(|own| own == name) {
            let libero = SUITES.map(|suite| suite.name).join(", ");
            return Err(EvalError::Input(format!(
                "there is no suite `{name}`; {} has: {}; `all` is {}; plus:SUITE has perturbed tasks of it; a LIBERO checkout (--libero DIR) has: {libero}, and \
                 runs any folder of BDDL files",
                self.assets.join("suites").display(),
                known.join(", "),
                BUILTIN_SUITES.join(", ")
            )));
        }
        if let Some(dir) = &self.libero {
            return Err(EvalError::Input(format!(
                "suite `{name}` is not one of {}: those are {}",
                dir.display(),
                SUITES.map(|suite| suite.name).join(", ")
            )));
        }
        let suite = Suite::load(&assets, name)?;
        Ok(LoadedSuite {
            assets: Arc::new(assets),
            suite: Arc::new(suite),
            files: None,
            perturbation: SuitePerturbation::None,
            notices: Vec::new(),
        })
    }

    /// The files of a suite that is the path of a BDDL file or of a folder of them; our own suites go first.
    fn files_at(&self, name: &str) -> Result<Option<SuiteFiles>, EvalError> {
        let path = Path::new(name);
        let named = self.bddl.as_deref() == Some(path);
        let mut files =
            if named || (path.extension().is_some_and(|e| e == "bddl") && path.is_file()) {
                let init = self.init_file.as_deref().filter(|_| named);
                SuiteFiles::of_file(path, init)?
            } else if path.is_dir()
                && !Suite::names(&self.builtin_assets()?)
                    .iter()
                    .any(|own| own == name)
            {
                SuiteFiles::of_folder(path)?
            } else {
                return Ok(None);
            };
        if let Some(horizon) = self.horizon {
            files.horizon = horizon;
        }
        Ok(Some(files))
    }

    fn libero_dir(&self, suite: &str) -> Result<&Path, EvalError> {
        self.libero.as_deref().ok_or_else(|| {
            EvalError::Input(format!(
                "suite `{suite}` needs a LIBERO checkout: name it with --libero DIR"
            ))
        })
    }

    /// Loads the tasks of LIBERO's form that are meant.
    fn open_files(&self, files: &SuiteFiles) -> Result<LoadedSuite, EvalError> {
        let count = self.tasks.as_ref().map_or(files.stems.len(), Vec::len);
        if let (InstructionRule::Text(text), 2..) = (&self.instruction, count) {
            return Err(EvalError::Input(format!(
                "--instruction `{text}` is the text of one task, and {count} of `{}` are meant: choose one with --tasks",
                files.name
            )));
        }
        let dir = LiberoDir::open(self.libero_dir(&files.name)?, self.robosuite.as_deref())?;
        let poses = match &self.fixtures {
            Some(file) => FixturePoses::File(PoseFile::read(file)?),
            None => FixturePoses::Drawn,
        };
        let used = LiberoFiles {
            bddl: match files.stems.as_slice() {
                [one] => files.bddl_file(one),
                _ => files.bddl_dir.clone(),
            },
            init: match files.stems.as_slice() {
                [one] => vec![files.init_file(one)?],
                _ => files.init_dirs.clone(),
            },
            assets: dir.assets_dir().to_owned(),
            robosuite: dir.robosuite_dir().map(Path::to_owned),
            fixtures: self.fixtures.clone(),
        };
        let assets = Assets::libero(&self.assets, dir)?;
        let suite = files.load(&assets, &poses, &self.instruction, self.tasks.as_deref())?;
        Ok(LoadedSuite {
            assets: Arc::new(assets),
            suite: Arc::new(suite),
            files: Some(used),
            perturbation: SuitePerturbation::None,
            notices: Vec::new(),
        })
    }
}
