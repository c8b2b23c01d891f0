//! Who drives the robot: the scripted expert or a policy that looks through the cameras.

use crate::EvalError;
use bitvla_policies::{Policy, VlaPolicy, WeightFormat};
use bitvla_reports::{Memory, WeightMemory};
use std::path::{Path, PathBuf};

/// The policies of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PolicyKind {
    /// Ternary weights, 8-bit activations, integer arithmetic.
    Ternary,
    /// The full-precision teacher.
    Full,
    /// The teacher's weights rounded to ternary without training.
    PtqTernary,
    /// The scripted expert, which sees the true state instead of images.
    Expert,
}

impl PolicyKind {
    /// Name as on the command line and in every file.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Ternary => "ternary",
            PolicyKind::Full => "full",
            PolicyKind::PtqTernary => "ptq-ternary",
            PolicyKind::Expert => "expert",
        }
    }
}

/// Which policy to load from where.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    /// Kind.
    pub kind: PolicyKind,
    /// Folder of the checkpoint; ignored by the expert.
    pub checkpoint: PathBuf,
}

/// A loaded policy; every worker has its own.
pub enum Driver {
    /// Uses the true state of the world.
    Expert,
    /// Uses images, proprioception and words.
    Model(Box<dyn Policy>),
}

impl PolicySpec {
    /// The policy of that kind with the checkpoint given or, without one, the one that ships under
    /// `assets/checkpoints/`.
    pub fn new(kind: PolicyKind, checkpoint: Option<&Path>, assets: &Path) -> PolicySpec {
        let folder = match kind {
            PolicyKind::PtqTernary => PolicyKind::Full.name(),
            _ => kind.name(),
        };
        let shipped = || assets.join("checkpoints").join(folder);
        PolicySpec {
            kind,
            checkpoint: checkpoint.map_or_else(shipped, Path::to_path_buf),
        }
    }

    /// Whether the files that the policy needs are there.
    ///
    /// # Errors
    /// [`EvalError::Input`] with the name of the missing file.
    pub fn check(&self) -> Result<(), EvalError> {
        let config = self.checkpoint.join("config.json");
        if self.kind == PolicyKind::Expert || config.is_file() {
            return Ok(());
        }
        Err(EvalError::Input(format!(
            "{} is missing: `--policy {}` needs a checkpoint, which bitvla-train makes \
             (`cargo run --release -p bitvla-train`), or name one with --checkpoint DIR",
            config.display(),
            self.kind.name()
        )))
    }

    /// Loads the policy.
    ///
    /// # Errors
    /// When the checkpoint cannot be read.
    pub fn load(&self) -> Result<Driver, EvalError> {
        let format = match self.kind {
            PolicyKind::Expert => return Ok(Driver::Expert),
            PolicyKind::Ternary => WeightFormat::Ternary,
            PolicyKind::Full => WeightFormat::Full,
            PolicyKind::PtqTernary => WeightFormat::PtqTernary,
        };
        self.check()?;
        Ok(Driver::Model(VlaPolicy::load(&self.checkpoint, format)?))
    }
}

impl Driver {
    /// Memory of one instance; the peak of the process is filled in by the caller.
    pub fn memory(&self) -> Memory {
        let Driver::Model(policy) = self else {
            return Memory::default();
        };
        let ledger = policy.memory();
        Memory {
            weights: ledger
                .weights
                .into_iter()
                .map(|(class, encoding, bytes)| WeightMemory {
                    class,
                    encoding,
                    bytes,
                })
                .collect(),
            activation_bytes: ledger.activations,
            peak_resident_bytes: 0,
        }
    }
}
