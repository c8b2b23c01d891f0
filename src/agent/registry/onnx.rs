//! ONNX models as policies: those of `export`, and those of others with a mapping beside them.

use super::checkpoint::{CheckpointFactory, ONNX};
use super::queried::PolicyAgent;
use super::sanity::ShownInputs;
use super::{PolicyOptions, PolicySpec, SanityCheck};
use crate::action_noise::ActionNoise;
use crate::agent::{AgentFactory, ErasedAgent};
use crate::{EvalError, file_hashes};
use bitvla_policies::onnx::{MappedOnnxPolicy, OnnxFile, OnnxMapping};
use bitvla_policies::system::resident_bytes;
use bitvla_policies::{Policy, PolicyProtocol};
use std::collections::BTreeMap;
use std::path::Path;

/// Makes agents of a model with a mapping.
struct MappedFactory {
    /// `onnx`, with the sanity check behind it.
    name: String,
    options: PolicyOptions,
    policy: MappedOnnxPolicy,
    arithmetic: String,
    engine: String,
    shown: ShownInputs,
    /// Resident set of the process before the model was loaded, bytes.
    program_bytes: u64,
}

/// Factory of the policy `onnx:FILE`.
///
/// # Errors
/// If the file is no ONNX model, has neither the files of a checkpoint nor a mapping beside it, does not fit the mapping, or the library
/// of ONNX Runtime cannot be loaded.
pub(super) fn factory(spec: &PolicySpec) -> Result<Box<dyn AgentFactory>, EvalError> {
    let path = Path::new(spec.policy.argument().unwrap_or_default());
    let file = OnnxFile::read(path)?;
    let (mapping, config) = (OnnxMapping::path_of(path), file.dir().join("config.json"));
    if !mapping.is_file() && !config.is_file() {
        return Err(EvalError::Input(format!(
            "{}: found neither {}, which `export` writes beside a model, nor {}, which says how a model of others is asked (docs/onnx.md)",
            path.display(),
            config.display(),
            mapping.display()
        )));
    }
    let program_bytes = resident_bytes();
    let runtime = spec.options.onnx_runtime();
    runtime.load()?;
    let engine = runtime.describe();
    if !mapping.is_file() {
        return Ok(Box::new(CheckpointFactory::onnx(spec, file, engine)));
    }
    let sanity = spec.options.sanity;
    let policy = MappedOnnxPolicy::open(&file, &runtime, spec.options.threads)?;
    Ok(Box::new(MappedFactory {
        name: spec.options.policy_name(ONNX),
        options: spec.options.clone(),
        arithmetic: policy.arithmetic().to_owned(),
        policy,
        engine,
        shown: ShownInputs::new(sanity, &spec.instructions),
        program_bytes,
    }))
}

impl AgentFactory for MappedFactory {
    fn name(&self) -> &str {
        &self.name
    }

    fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn sanity(&self) -> &str {
        self.options.sanity.map_or("none", SanityCheck::description)
    }

    fn action_noise(&self) -> f64 {
        self.options.action_noise.map_or(0.0, ActionNoise::sigma)
    }

    fn threads(&self) -> usize {
        self.options.threads
    }

    fn protocol(&self) -> Result<PolicyProtocol, EvalError> {
        Ok(self.policy.protocol())
    }

    fn file_hashes(&self) -> Result<BTreeMap<String, String>, EvalError> {
        let mut hashes = BTreeMap::new();
        for file in self.policy.files() {
            hashes.append(&mut file_hashes(&file)?);
        }
        Ok(hashes)
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(PolicyAgent {
            policy: self.policy.for_worker()?,
            protocol: self.policy.protocol(),
            settings: (&self.options).into(),
            shown: self.shown.clone(),
            program_bytes: self.program_bytes,
            operations: |_, _| None,
        }))
    }
}
