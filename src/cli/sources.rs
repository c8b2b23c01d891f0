//! Where suites and models come from: the asset folder, or a LIBERO checkout for suites named `libero:...`.

use super::Cli;
use crate::{EvalError, LiberoFiles, Stage};
use bitvla_tasks::libero::suites::SUITES;
use bitvla_tasks::libero::{FixturePoses, LiberoDir, LiberoSuite, LiberoSuites, PoseFile};
use bitvla_tasks::suite::OWN;
use bitvla_tasks::{Assets, Suite};
use std::path::{Path, PathBuf};

/// What the global options name.
pub(super) struct Sources<'a> {
    assets: PathBuf,
    libero: Option<&'a Path>,
    robosuite: Option<&'a Path>,
    fixtures: Option<&'a Path>,
}

/// A suite and the models that it is played with.
pub(super) struct Opened {
    pub(super) assets: Assets,
    pub(super) suite: Suite,
    /// LIBERO's files behind it, for the protocol card.
    pub(super) files: Option<LiberoFiles>,
}

impl Opened {
    pub(super) fn stage(&self, seed: u64) -> Stage<'_> {
        Stage {
            assets: &self.assets,
            suite: &self.suite,
            seed,
        }
    }

    /// The name of the suite as part of a file name.
    pub(super) fn file_name(&self) -> String {
        file_name(&self.suite.name)
    }
}

/// The name of a suite as part of a file name.
pub(super) fn file_name(suite: &str) -> String {
    suite.replace(':', "-")
}

impl<'a> Sources<'a> {
    /// # Errors
    /// When the asset folder is none, or an option asks for another that is not there.
    pub(super) fn of(cli: &'a Cli) -> Result<Sources<'a>, EvalError> {
        let assets = cli.assets.clone().unwrap_or_else(Assets::default_dir);
        if !assets.join("suites").is_dir() {
            return Err(EvalError::Input(format!(
                "{} is missing: name the folder of suites, models and checkpoints with --assets DIR",
                assets.join("suites").display()
            )));
        }
        for (option, given) in [
            ("robosuite", cli.robosuite.is_some()),
            ("fixtures", cli.fixtures.is_some()),
        ] {
            if given && cli.libero.is_none() {
                return Err(EvalError::Input(format!(
                    "--{option} says something about LIBERO's files: name their folder with --libero DIR"
                )));
            }
        }
        Ok(Sources {
            assets,
            libero: cli.libero.as_deref(),
            robosuite: cli.robosuite.as_deref(),
            fixtures: cli.fixtures.as_deref(),
        })
    }

    /// The asset folder with our own models.
    pub(super) fn own(&self) -> Result<Assets, EvalError> {
        Ok(Assets::open(&self.assets)?)
    }

    /// The checkout, if one was named.
    pub(super) fn checkout(&self) -> Result<Option<LiberoSuites>, EvalError> {
        Ok(self.libero.map(LiberoSuites::open).transpose()?)
    }

    /// The suites that a name stands for.
    ///
    /// # Errors
    /// When there is none of that name; the error lists what there is.
    pub(super) fn open_all(&self, name: &str) -> Result<Vec<Opened>, EvalError> {
        match name {
            "all" => OWN.iter().map(|own| self.open(own)).collect(),
            one => Ok(vec![self.open(one)?]),
        }
    }

    /// A suite by name.
    ///
    /// # Errors
    /// As [`Sources::open_all`].
    pub(super) fn open(&self, name: &str) -> Result<Opened, EvalError> {
        if let Some(suite) = LiberoSuite::named(name) {
            return self.open_libero(suite);
        }
        let assets = self.own()?;
        let known = Suite::names(&assets);
        if !known.iter().any(|own| own == name) {
            let libero = SUITES.map(|suite| suite.name).join(", ");
            return Err(EvalError::Input(format!(
                "there is no suite `{name}`; {} has: {}; `all` is {}; a LIBERO checkout (--libero DIR) has: {libero}",
                self.assets.join("suites").display(),
                known.join(", "),
                OWN.join(", ")
            )));
        }
        if let Some(dir) = self.libero {
            return Err(EvalError::Input(format!(
                "suite `{name}` is not one of {}: those are {}",
                dir.display(),
                SUITES.map(|suite| suite.name).join(", ")
            )));
        }
        let suite = Suite::load(&assets, name)?;
        Ok(Opened {
            assets,
            suite,
            files: None,
        })
    }

    fn open_libero(&self, suite: &LiberoSuite) -> Result<Opened, EvalError> {
        let Some(libero) = self.libero else {
            return Err(EvalError::Input(format!(
                "suite `{}` needs a LIBERO checkout: name it with --libero DIR",
                suite.name
            )));
        };
        let checkout = LiberoSuites::open(libero)?;
        let poses = match self.fixtures {
            Some(file) => FixturePoses::File(PoseFile::read(file)?),
            None => FixturePoses::Drawn,
        };
        let assets = self.libero_models(libero)?;
        let tasks = checkout.load(suite, &assets, &poses)?;
        Ok(Opened {
            assets,
            suite: tasks,
            files: Some(LiberoFiles {
                bddl: checkout.bddl_dir(suite),
                init: checkout.init_dir(suite),
                assets: checkout.root().join("assets"),
                robosuite: self.robosuite.map(Path::to_owned),
                fixtures: self.fixtures.map(Path::to_owned),
            }),
        })
    }

    /// The models that LIBERO's suites are played with.
    fn libero_models(&self, libero: &Path) -> Result<Assets, EvalError> {
        let dir = LiberoDir::open(libero, self.robosuite)?;
        Ok(Assets::libero(&self.assets, dir)?)
    }
}

/// Makes every scene that will be needed once, so that a missing model stops the program before the run and a missing
/// picture is known; then says on standard error what was replaced.
pub(super) fn rehearse(opened: &Opened, tasks: &[usize]) -> Result<(), EvalError> {
    if opened.files.is_none() {
        return Ok(());
    }
    for task in tasks
        .iter()
        .filter_map(|&task| opened.suite.tasks.get(task))
    {
        if let Some(init) = task.init_states.first() {
            task.scene(&opened.assets, init)?;
        }
    }
    for notice in opened.assets.notices() {
        eprintln!("warning: {notice}");
    }
    Ok(())
}
