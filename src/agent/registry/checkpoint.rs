//! Checkpoints of the BitVLA network, in any weight format and on any engine.

use super::queried::PolicyAgent;
use super::sanity::ShownInputs;
use super::{PolicySpec, SanityCheck};
use crate::action_noise::ActionNoise;
use crate::agent::{AgentFactory, ErasedAgent};
use crate::query_operations::query_operations;
use crate::{EvalError, file_hashes};
use bitvla_policies::onnx::OnnxFile;
use bitvla_policies::system::resident_bytes;
use bitvla_policies::{
    MemoryLedger, NormaliserChoice, Policy, PolicyError, PolicyProtocol, Threads, VlaOptions,
    VlaPolicy, WeightFormat,
};
use bitvla_reports::{MemoryReport, QueryOperations, WeightMemory};
use bitvla_tasks::Suite;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Makes agents of a checkpoint; the weights are loaded once, when they are first needed.
pub(super) struct CheckpointFactory {
    /// The weight format or `onnx`, with the sanity check behind it.
    name: String,
    spec: PolicySpec,
    source: NetworkSource,
    loaded: Mutex<Option<Loaded>>,
}

/// Where the network is from.
enum NetworkSource {
    /// The checkpoint of the spec, in a weight format.
    Checkpoint(WeightFormat),
    /// An ONNX file with the small files of its checkpoint beside it.
    Onnx {
        file: OnnxFile,
        /// Library and version.
        engine: String,
    },
}

struct Loaded {
    policy: VlaPolicy,
    /// Resident set of the process before the weights were loaded, bytes.
    program_bytes: u64,
}

/// Opens the checkpoint that a spec names. The statistics are those of the spec's key, or else of its suite, or else the
/// ones that the checkpoint records.
///
/// # Errors
/// If files are missing, or the checkpoint does not know the suite.
pub(crate) fn open_checkpoint(
    spec: &PolicySpec,
    format: WeightFormat,
) -> Result<VlaPolicy, EvalError> {
    spec.check()?;
    let options = VlaOptions {
        format,
        engine: spec.options.engine,
        normaliser: normaliser(spec),
        verify: spec.options.verify_checksums,
    };
    Ok(VlaPolicy::open(&spec.checkpoint_path(), options)?)
}

/// Name of the policies of ONNX files.
pub(super) const ONNX: &str = "onnx";

/// The statistics of the spec's key, or else of its suite, or else the ones that the checkpoint records.
fn normaliser(spec: &PolicySpec) -> NormaliserChoice {
    match (&spec.options.normaliser_key, &spec.suite) {
        (Some(key), _) => NormaliserChoice::Key(key.clone()),
        (None, Some(suite)) => NormaliserChoice::Suite(suite.clone()),
        (None, None) => NormaliserChoice::Recorded,
    }
}

impl CheckpointFactory {
    pub(super) fn new(spec: &PolicySpec, format: WeightFormat) -> CheckpointFactory {
        CheckpointFactory::of(spec, format.name(), NetworkSource::Checkpoint(format))
    }

    /// Policies of an ONNX file, which `export` has written; `engine` names library and version.
    pub(super) fn onnx(spec: &PolicySpec, file: OnnxFile, engine: String) -> CheckpointFactory {
        let source = NetworkSource::Onnx { file, engine };
        CheckpointFactory::of(spec, ONNX, source)
    }

    fn of(spec: &PolicySpec, name: &str, source: NetworkSource) -> CheckpointFactory {
        CheckpointFactory {
            name: spec.options.policy_name(name),
            spec: spec.clone(),
            source,
            loaded: Mutex::new(None),
        }
    }

    fn with_loaded<T>(
        &self,
        use_it: impl FnOnce(&Loaded) -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        // A worker that panicked while it loaded has left nothing half done: the slot is filled in one move.
        let mut slot = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match &mut *slot {
            Some(loaded) => loaded,
            none => {
                let program_bytes = resident_bytes();
                let policy = match &self.source {
                    NetworkSource::Checkpoint(format) => open_checkpoint(&self.spec, *format)?,
                    NetworkSource::Onnx { file, .. } => {
                        let runtime = self.spec.options.onnx_runtime();
                        VlaPolicy::open_onnx(file, normaliser(&self.spec), &runtime)?
                    }
                };
                policy.prepare(&self.spec.instructions)?;
                none.insert(Loaded {
                    policy,
                    program_bytes,
                })
            }
        };
        use_it(loaded)
    }
}

impl AgentFactory for CheckpointFactory {
    fn name(&self) -> &str {
        &self.name
    }

    fn sanity(&self) -> &str {
        self.spec
            .options
            .sanity
            .map_or("none", SanityCheck::description)
    }

    fn arithmetic(&self) -> &str {
        match &self.source {
            NetworkSource::Checkpoint(format) => format.arithmetic(),
            NetworkSource::Onnx { file, .. } if file.contents.is_quantised() => "quantised",
            NetworkSource::Onnx { .. } => "dense",
        }
    }

    fn engine(&self) -> &str {
        match &self.source {
            NetworkSource::Checkpoint(_) => self.spec.options.engine.name(),
            NetworkSource::Onnx { engine, .. } => engine,
        }
    }

    fn action_noise(&self) -> f64 {
        self.spec
            .options
            .action_noise
            .map_or(0.0, ActionNoise::sigma)
    }

    fn threads(&self) -> usize {
        self.spec.options.threads
    }

    fn protocol(&self) -> Result<PolicyProtocol, EvalError> {
        self.with_loaded(|loaded| Ok(loaded.policy.protocol()))
    }

    fn file_hashes(&self) -> Result<BTreeMap<String, String>, EvalError> {
        match &self.source {
            NetworkSource::Checkpoint(_) => file_hashes(&self.spec.checkpoint_path()),
            NetworkSource::Onnx { file, .. } => file_hashes(file.dir()),
        }
    }

    fn check_suite(&self, suite: &Suite, tasks: &[usize]) -> Result<(), EvalError> {
        let named = self.spec.options.normaliser_key.is_some();
        let checked = self.with_loaded(|loaded| {
            // Whoever names the statistics has decided to try the checkpoint outside its suites.
            if named {
                return Ok(());
            }
            let tasks = tasks.iter().filter_map(|&task| suite.tasks.get(task));
            let instructions: Vec<String> = tasks.map(|task| task.instruction.clone()).collect();
            Ok(loaded.policy.check_instructions(&instructions)?)
        });
        checked.map_err(|error| match error {
            EvalError::Policy(
                source @ (PolicyError::Normaliser { .. } | PolicyError::Vocabulary { .. }),
            ) => EvalError::UnknownSuite {
                policy: self.name.clone(),
                suite: suite.name.clone(),
                source: Box::new(source),
            },
            other => other,
        })
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        let threads = Threads::new(self.spec.options.threads)?;
        self.with_loaded(|loaded| {
            Ok(Box::new(PolicyAgent {
                policy: loaded.policy.for_worker(threads),
                protocol: loaded.policy.protocol(),
                program_bytes: loaded.program_bytes,
                settings: (&self.spec.options).into(),
                shown: ShownInputs::new(self.spec.options.sanity, &self.spec.instructions),
                operations: operations_of,
            }) as Box<dyn ErasedAgent>)
        })
    }
}

/// Operations of the last query, given the memory of the policy.
fn operations_of(policy: &VlaPolicy, memory: &MemoryReport) -> Option<QueryOperations> {
    // An engine that does not tell its layers leaves nothing to count.
    let tokens = Some(policy.tokens()).filter(|tokens| *tokens > 0)?;
    if policy.network().linears().is_empty() {
        return None;
    }
    Some(query_operations(policy.network(), tokens, memory))
}

/// A ledger as it is reported; the memory of the process is filled in by the caller.
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
