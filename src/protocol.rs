//! Fills in the protocol card.

use crate::{EvalError, PolicyKind, PolicySpec, SETTLE_ACTION, sha256_of_file, sha256_of_tree};
use bitvla_policies::CAMERA_SIZE;
use bitvla_reports::EvalProtocol;
use bitvla_tasks::{Assets, Suite, WORLD_VERSION};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Actions that a policy answers with and that are executed before it is asked again.
pub const CHUNK_LENGTH: usize = 8;

/// Files of LIBERO that a run depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiberoFiles {
    /// Folder of the BDDL files of the suite.
    pub bddl: PathBuf,
    /// Folder of its initial states.
    pub init: PathBuf,
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
            ("bddl".to_owned(), sha256_of_tree(&self.bddl, &all)?),
            ("init".to_owned(), sha256_of_tree(&self.init, &all)?),
        ]);
        if let Some(dir) = &self.robosuite {
            // A checkout holds much else; what is drawn are the models.
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

/// The protocol of a run of `policy` on `suite`, which is one of LIBERO's if its files are given.
///
/// # Errors
/// When a file cannot be read.
pub fn protocol(
    assets: &Assets,
    suite: &Suite,
    policy: &PolicySpec,
    seed: u64,
    libero: Option<&LiberoFiles>,
) -> Result<EvalProtocol, EvalError> {
    let sees = policy.kind != PolicyKind::Expert;
    let when = |words: &str| if sees { words } else { "none" }.to_owned();
    let own_suite = Path::new("suites").join(&suite.name);
    let skip = |name: &Path| {
        name == Path::new("checkpoints")
            || (name.parent() == Some(Path::new("suites")) && name != own_suite)
    };
    let binary = std::env::current_exe().map_err(EvalError::io(Path::new("this program")))?;
    Ok(EvalProtocol {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        world_version: WORLD_VERSION,
        suite: suite.name.clone(),
        policy: policy.kind.name().to_owned(),
        seed,
        horizon: suite.horizon,
        settle_steps: suite.settle_steps,
        settle_action: SETTLE_ACTION,
        chunk_length: if sees { CHUNK_LENGTH } else { 1 },
        control_hz: 20.0,
        cameras: if sees {
            vec!["agentview".to_owned(), "eye_in_hand".to_owned()]
        } else {
            Vec::new()
        },
        camera_size: if sees { CAMERA_SIZE } else { 0 },
        flip: when("left-right of the upright image"),
        crop: when("none"),
        quaternion_rule: when(
            "axis-angle of the hand, sign of the quaternion as the kinematics give it",
        ),
        normaliser_key: when(&suite.name),
        success_rule: "first control step after settling at which every goal predicate holds"
            .to_owned(),
        assets_sha256: sha256_of_tree(assets.dir(), &skip)?,
        libero_sha256: match libero {
            Some(files) => files.hashes()?,
            None => BTreeMap::new(),
        },
        weights_sha256: if sees {
            weights(&policy.checkpoint)?
        } else {
            BTreeMap::new()
        },
        binary_sha256: sha256_of_file(&binary)?,
    })
}

/// Whether what `path` holds was made in the world of this program.
///
/// # Errors
/// [`EvalError::World`] when it was not.
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

fn weights(dir: &Path) -> Result<BTreeMap<String, String>, EvalError> {
    let mut hashes = BTreeMap::new();
    if let (true, Some(name)) = (dir.is_file(), dir.file_name()) {
        hashes.insert(name.to_string_lossy().into_owned(), sha256_of_file(dir)?);
        return Ok(hashes);
    }
    for entry in std::fs::read_dir(dir).map_err(EvalError::io(dir))? {
        let path = entry.map_err(EvalError::io(dir))?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            hashes.insert(name.to_string_lossy().into_owned(), sha256_of_file(&path)?);
        }
    }
    Ok(hashes)
}
