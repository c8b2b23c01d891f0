//! Resolution of suites and models: the asset folder, or a LIBERO checkout for suites named `libero:...`.

use crate::{EvalContext, EvalError, LiberoFiles};
use bitvla_tasks::libero::{FixturePoses, LiberoDir, LiberoSuite, LiberoSuites, PoseFile, SUITES};
use bitvla_tasks::suite::BUILTIN_SUITES;
use bitvla_tasks::{Assets, Suite};
use std::path::{Path, PathBuf};

/// Options that name the folders of suites and models.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AssetArgs {
    /// Folder of suites, models and checkpoints [default: $BITVLA_ASSETS, ./assets or the source's]
    #[arg(long, global = true, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// A LIBERO checkout, for suites named libero:spatial, libero:object, libero:goal, libero:10 and libero:90
    #[arg(long, global = true, value_name = "DIR")]
    pub libero: Option<PathBuf>,
    /// A robosuite checkout or package, for the looks of the robot in LIBERO's suites
    #[arg(long, global = true, value_name = "DIR")]
    pub robosuite: Option<PathBuf>,
    /// Fixture poses of LIBERO's suites (JSON) [default: as LIBERO's evaluation draws them]
    #[arg(long, global = true, value_name = "FILE")]
    pub fixtures: Option<PathBuf>,
}

/// Folders of suites and models, checked.
#[derive(Debug, Clone)]
pub struct AssetResolver {
    assets: PathBuf,
    libero: Option<PathBuf>,
    robosuite: Option<PathBuf>,
    fixtures: Option<PathBuf>,
}

/// A suite and the models that it is played with.
pub struct LoadedSuite {
    /// Models and arenas.
    pub assets: Assets,
    /// The tasks.
    pub suite: Suite,
    /// LIBERO's files behind it, for the protocol card.
    pub files: Option<LiberoFiles>,
}

impl LoadedSuite {
    /// Context of episodes of the suite.
    pub fn context(&self, seed: u64) -> EvalContext<'_> {
        EvalContext {
            assets: &self.assets,
            suite: &self.suite,
            seed,
        }
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
        Ok(self.assets.notices())
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
        for (option, given) in [
            ("robosuite", args.robosuite.is_some()),
            ("fixtures", args.fixtures.is_some()),
        ] {
            if given && args.libero.is_none() {
                return Err(EvalError::Input(format!(
                    "--{option} says something about LIBERO's files: name their folder with --libero DIR"
                )));
            }
        }
        Ok(AssetResolver {
            assets,
            libero: args.libero.clone(),
            robosuite: args.robosuite.clone(),
            fixtures: args.fixtures.clone(),
        })
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
            return self.open_libero(suite);
        }
        let assets = self.builtin_assets()?;
        let known = Suite::names(&assets);
        if !known.iter().any(|own| own == name) {
            let libero = SUITES.map(|suite| suite.name).join(", ");
            return Err(EvalError::Input(format!(
                "there is no suite `{name}`; {} has: {}; `all` is {}; a LIBERO checkout (--libero DIR) has: {libero}",
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
            assets,
            suite,
            files: None,
        })
    }

    fn open_libero(&self, suite: &LiberoSuite) -> Result<LoadedSuite, EvalError> {
        let Some(libero) = self.libero.as_deref() else {
            return Err(EvalError::Input(format!(
                "suite `{}` needs a LIBERO checkout: name it with --libero DIR",
                suite.name
            )));
        };
        let checkout = LiberoSuites::open(libero)?;
        let poses = match &self.fixtures {
            Some(file) => FixturePoses::File(PoseFile::read(file)?),
            None => FixturePoses::Drawn,
        };
        let assets = self.libero_models(libero)?;
        let tasks = checkout.load(suite, &assets, &poses)?;
        Ok(LoadedSuite {
            assets,
            suite: tasks,
            files: Some(LiberoFiles {
                bddl: checkout.bddl_dir(suite),
                init: checkout.init_dir(suite),
                assets: checkout.root().join("assets"),
                robosuite: self.robosuite.clone(),
                fixtures: self.fixtures.clone(),
            }),
        })
    }

    /// The models that LIBERO's suites are played with.
    fn libero_models(&self, libero: &Path) -> Result<Assets, EvalError> {
        let dir = LiberoDir::open(libero, self.robosuite.as_deref())?;
        Ok(Assets::libero(&self.assets, dir)?)
    }
}
