//! Protocol of a run. Every field is read from what runs: the policy's from its factory, the world's from a world of the
//! suite, the rest from the suite, the seed and the files.

use crate::agent::AgentFactory;
use crate::episode::SUCCESS_RULE;
use crate::plus_suite::PlusSuite;
use crate::{EvalContext, EvalError, SETTLE_ACTION, sha256_of_file, sha256_of_tree};
use bitvla_reports::{EvalProtocol, OWN_WORLD};
use bitvla_sim::{SimulationProtocol, World};
use bitvla_tasks::{Assets, Suite, WORLD_VERSION};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// sha256 of the sources that this program was built from, see `build.rs`.
pub const SOURCE_SHA256: &str = env!("BITVLA_SOURCE_SHA256");

/// Files of LIBERO that a run depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiberoFiles {
    /// Folder of the BDDL files of the suite, or its only file.
    pub bddl: PathBuf,
    /// Folders of its initial states, or their only file.
    pub init: Vec<PathBuf>,
    /// Folder of the models.
    pub assets: PathBuf,
    /// Folder of robosuite, if the robot takes its looks from there.
    pub robosuite: Option<PathBuf>,
    /// File of fixture poses, if they are not drawn.
    pub fixtures: Option<PathBuf>,
}

impl LiberoFiles {
    /// sha256 of each part by name.
    fn hashes(&self) -> Result<BTreeMap<String, String>, EvalError> {
        let all = |_: &Path| false;
        let mut hashes = BTreeMap::from([
            ("assets".to_owned(), sha256_of_tree(&self.assets, &all)?),
            ("bddl".to_owned(), sha256_of_path(&self.bddl)?),
        ]);
        for (i, init) in self.init.iter().enumerate() {
            let name = match i {
                0 => "init".to_owned(),
                more => format!("init {}", more + 1),
            };
            hashes.insert(name, sha256_of_path(init)?);
        }
        if let Some(dir) = &self.robosuite {
            // A checkout holds much else; the models are what is drawn.
            let inside = ["robosuite/models/assets", "models/assets"].map(|part| dir.join(part));
            let models = inside.into_iter().find(|models| models.is_dir());
            let models = models.unwrap_or_else(|| dir.clone());
            hashes.insert("robosuite".to_owned(), sha256_of_tree(&models, &all)?);
        }
        if let Some(file) = &self.fixtures {
            hashes.insert("fixtures".to_owned(), sha256_of_file(file)?);
        }
        Ok(hashes)
    }
}

/// sha256 of a file, or of all files under a folder.
fn sha256_of_path(path: &Path) -> Result<String, EvalError> {
    match path.is_dir() {
        true => sha256_of_tree(path, &|_| false),
        false => sha256_of_file(path),
    }
}

/// Simulation of the first of `tasks` that has a stored initial state, read from its world.
///
/// # Errors
/// If none has one, or the world cannot be built.
pub fn simulation_protocol(
    context: EvalContext<'_>,
    tasks: &[usize],
) -> Result<SimulationProtocol, EvalError> {
    for &task in tasks {
        let task = context.task(task)?;
        if let Some(init) = task.init_states.first() {
            let world: World = task.world(context.assets, init)?;
            return Ok(world.protocol());
        }
    }
    Err(EvalError::Input(format!(
        "no task of suite `{}` that is to be run has a stored initial state",
        context.suite.name
    )))
}

/// Protocol of a run of a policy on a suite, in worlds with the protocol `simulation`.
///
/// # Errors
/// If a file cannot be read or the policy cannot be loaded.
pub fn protocol(
    context: EvalContext<'_>,
    factory: &dyn AgentFactory,
    simulation: &SimulationProtocol,
) -> Result<EvalProtocol, EvalError> {
    let EvalContext {
        assets,
        suite,
        seed,
        libero: _,
        perturbation,
    } = context;
    let policy = factory.protocol()?;
    let applied = |words: &str| match policy.cameras.is_empty() {
        true => "none".to_owned(),
        false => words.to_owned(),
    };
    Ok(EvalProtocol {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        world: OWN_WORLD.to_owned(),
        world_version: WORLD_VERSION,
        suite: suite.name.clone(),
        instruction_source: suite.instruction_sources(),
        policy: factory.name().to_owned(),
        seed,
        horizon: suite.horizon,
        settle_steps: suite.settle_steps,
        settle_action: SETTLE_ACTION,
        control_hz: simulation.control_rate_hz,
        camera_size: match policy.cameras.is_empty() {
            true => 0,
            false => policy.camera_size,
        },
        flip: applied(policy.flip.describe()),
        quaternion_rule: applied(policy.quaternion_rule.describe()),
        normaliser_key: match policy.normaliser_key.is_empty() {
            true => "none".to_owned(),
            false => policy.normaliser_key,
        },
        chunk_length: policy.chunk_length,
        executed_steps: policy.executed_steps,
        cameras: policy.cameras,
        network_image_size: policy.network_image_size,
        jpeg_round_trip: policy.jpeg_round_trip,
        crop: policy.crop,
        resize_filter: policy.resize_filter,
        precision: policy.precision,
        above_2_bits: policy.above_2_bits,
        arithmetic: factory.arithmetic().to_owned(),
        sanity: factory.sanity().to_owned(),
        action_noise: factory.action_noise(),
        latency_ms: factory.latency_ms().to_vec(),
        perturbation: perturbation.card(),
        engine: factory.engine().to_owned(),
        robot_model: simulation.robot_model.clone(),
        simulation: settings_by_group(simulation)?,
        success_rule: SUCCESS_RULE.to_owned(),
        assets_sha256: assets_sha256(assets, suite)?,
        libero_sha256: libero_sha256(context)?,
        weights_sha256: factory.file_hashes()?,
        source_sha256: SOURCE_SHA256.to_owned(),
    })
}

/// Settings by group. They go through text, so that a number reads the same here and from `run.json`.
fn settings_by_group(
    simulation: &SimulationProtocol,
) -> Result<BTreeMap<String, serde_json::Value>, EvalError> {
    let text = serde_json::to_string(&simulation.settings);
    text.and_then(|text| serde_json::from_str(&text))
        .map_err(|error| EvalError::Input(format!("settings of a world: {error}")))
}

/// sha256 of LIBERO's files by part; none for a suite of the assets.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn libero_sha256(
    context: EvalContext<'_>,
) -> Result<BTreeMap<String, String>, EvalError> {
    context
        .libero
        .map_or_else(|| Ok(BTreeMap::new()), LiberoFiles::hashes)
}

/// sha256 of the files of a suite and of everything else in the asset folder but checkpoints and other suites.
///
/// # Errors
/// If a file cannot be read.
pub fn assets_sha256(assets: &Assets, suite: &Suite) -> Result<String, EvalError> {
    // A suite of perturbed tasks is made from the files of the one that it varies.
    let base = PlusSuite::named(&suite.name).map_or(suite.name.as_str(), |plus| plus.base());
    let own_suite = Path::new("suites").join(base);
    let skip = |name: &Path| {
        name == Path::new("checkpoints")
            || (name.parent() == Some(Path::new("suites")) && name != own_suite)
    };
    sha256_of_tree(assets.dir(), &skip)
}

/// Refuses a recording that was made with another suite than the one that is loaded: other models or initial states, other
/// files of LIBERO, another horizon or number of settling steps.
///
/// # Errors
/// [`EvalError::Input`] with the differences.
pub(crate) fn check_recorded_with(
    dir: &Path,
    recorded: &EvalProtocol,
    (assets, suite): (&Assets, &Suite),
    libero: Option<&LiberoFiles>,
) -> Result<(), EvalError> {
    let mut now = recorded.clone();
    now.suite = suite.name.clone();
    now.horizon = suite.horizon;
    now.settle_steps = suite.settle_steps;
    now.settle_action = SETTLE_ACTION;
    if let Some(files) = libero {
        now.libero_sha256 = files.hashes()?;
    }
    if recorded.libero_sha256.is_empty() {
        now.assets_sha256 = assets_sha256(assets, suite)?;
    }
    let differences = recorded.differences(&now);
    if differences.is_empty() {
        return Ok(());
    }
    Err(EvalError::Input(format!(
        "{} was recorded with other models, initial states or settings of suite `{}` ({})",
        dir.display(),
        suite.name,
        differences.join("; ")
    )))
}

/// Refuses results of another world than this program's.
///
/// # Errors
/// [`EvalError::World`] when `path` was made in a world of another version.
pub fn check_world(path: &Path, theirs: &EvalProtocol) -> Result<(), EvalError> {
    if theirs.world_version == WORLD_VERSION {
        return Ok(());
    }
    Err(EvalError::World {
        path: path.to_owned(),
        theirs: theirs.world_version,
        ours: WORLD_VERSION,
    })
}
