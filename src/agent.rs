//! Who drives the robot: the scripted expert or a policy that looks through the cameras.

use crate::EvalError;
use bitvla_policies::{MemoryLedger, Policy, Threads, VlaPolicy, WeightFormat};
use bitvla_reports::{MemoryReport, WeightMemory};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The policies of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PolicyKind {
    /// Ternary weights, 8-bit activations, integer arithmetic.
    Ternary,
    /// The full-precision teacher.
    Full,
    /// The teacher's weights rounded to int8 per output, 8-bit activations.
    Int8,
    /// The teacher's weights rounded to int4 in groups of 128.
    Int4,
    /// The teacher's weights rounded to NF4 in blocks of 64.
    Nf4,
    /// The teacher's weights rounded to ternary without training.
    PtqTernary,
    /// The scripted expert, which sees the true state instead of images.
    Expert,
}

impl PolicyKind {
    /// Name as on the command line and in every file.
    pub fn name(self) -> &'static str {
        self.format().map_or("expert", WeightFormat::name)
    }

    /// Weights; the expert has none.
    pub fn format(self) -> Option<WeightFormat> {
        match self {
            PolicyKind::Ternary => Some(WeightFormat::Ternary),
            PolicyKind::Full => Some(WeightFormat::Full),
            PolicyKind::Int8 => Some(WeightFormat::Int8),
            PolicyKind::Int4 => Some(WeightFormat::Int4),
            PolicyKind::Nf4 => Some(WeightFormat::Nf4),
            PolicyKind::PtqTernary => Some(WeightFormat::PtqTernary),
            PolicyKind::Expert => None,
        }
    }

    /// What is multiplied, see [`WeightFormat::arithmetic`].
    pub fn arithmetic(self) -> &'static str {
        self.format().map_or("none", WeightFormat::arithmetic)
    }
}

/// Which policy to load from where.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    /// Kind.
    pub kind: PolicyKind,
    /// Folder of the checkpoint or packed file; ignored by the expert.
    pub checkpoint: PathBuf,
    /// Threads of one query.
    pub threads: usize,
    /// Instructions that will be asked, made ready once.
    pub instructions: Vec<String>,
}

/// A loaded policy; every worker has its own.
pub enum Agent {
    /// Uses the true state of the world.
    Expert,
    /// Uses images, proprioception and words.
    Model(Box<dyn Policy>),
}

/// Makes drivers; the weights are loaded once and shared.
pub struct PolicyLoader<'a> {
    spec: &'a PolicySpec,
    first: Mutex<Option<VlaPolicy>>,
}

impl PolicySpec {
    /// The policy of that kind with the checkpoint given or, without one, the one that ships under
    /// `assets/checkpoints/`.
    pub fn new(kind: PolicyKind, checkpoint: Option<&Path>, assets: &Path) -> PolicySpec {
        let folder = match kind {
            PolicyKind::Ternary | PolicyKind::Expert => kind,
            _ => PolicyKind::Full,
        };
        let shipped = || assets.join("checkpoints").join(folder.name());
        PolicySpec {
            kind,
            checkpoint: checkpoint.map_or_else(shipped, Path::to_path_buf),
            threads: 1,
            instructions: Vec::new(),
        }
    }

    /// Whether the files that the policy needs are there.
    ///
    /// # Errors
    /// [`EvalError::Input`] with the name of the missing file.
    pub fn check(&self) -> Result<(), EvalError> {
        let config = self.checkpoint.join("config.json");
        if self.kind == PolicyKind::Expert || self.checkpoint.is_file() || config.is_file() {
            return Ok(());
        }
        Err(EvalError::Input(format!(
            "{} is missing: `--policy {}` needs a checkpoint, which bitvla-train makes \
             (`cargo run --release -p bitvla-train`), or name one with --checkpoint DIR",
            config.display(),
            self.kind.name()
        )))
    }
}

impl PolicySpec {
    /// Loads one agent with weights of its own.
    ///
    /// # Errors
    /// When the checkpoint cannot be read.
    pub fn load(&self) -> Result<Agent, EvalError> {
        PolicyLoader::new(self).agent()
    }
}

impl<'a> PolicyLoader<'a> {
    /// For a policy.
    pub fn new(spec: &'a PolicySpec) -> PolicyLoader<'a> {
        PolicyLoader {
            spec,
            first: Mutex::new(None),
        }
    }

    /// A agent with buffers and threads of its own.
    ///
    /// # Errors
    /// When the checkpoint cannot be read.
    pub fn agent(&self) -> Result<Agent, EvalError> {
        let Some(format) = self.spec.kind.format() else {
            return Ok(Agent::Expert);
        };
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            self.spec.check()?;
            let policy = VlaPolicy::open(&self.spec.checkpoint, format)?;
            policy.prepare(&self.spec.instructions)?;
            *first = Some(policy);
        }
        let threads = Threads::new(self.spec.threads)?;
        let another = first.as_ref().map(|policy| policy.for_worker(threads));
        let policy = another.ok_or_else(|| EvalError::Worker("no policy was loaded".into()))?;
        Ok(Agent::Model(Box::new(policy)))
    }
}

/// A ledger as it is reported; the peak of the process is filled in by the caller.
pub fn memory_of(ledger: MemoryLedger) -> MemoryReport {
    let entry = |e: bitvla_policies::MemoryEntry| WeightMemory {
        class: e.class,
        encoding: e.encoding,
        bytes: e.bytes,
        mapped: e.mapped,
        resident: e.resident,
    };
    MemoryReport {
        weights: ledger.weights.into_iter().map(entry).collect(),
        activation_bytes: ledger.activations,
        ..MemoryReport::default()
    }
}

impl Agent {
    /// MemoryReport of one instance; the peak of the process is filled in by the caller.
    pub fn memory(&self) -> MemoryReport {
        match self {
            Agent::Expert => MemoryReport::default(),
            Agent::Model(policy) => memory_of(policy.memory()),
        }
    }
}
