//! ONNX Runtime as an engine for files that [`super::export_onnx`] wrote.

use super::contents::{OnnxContents, OnnxFile, OnnxValue};
use super::runtime::OnnxRuntimeOptions;
use crate::error::file_error;
use crate::processor::ModelInputs;
use crate::{
    Architecture, Config, LinearShape, MemoryLedger, NetworkInput, PhaseTimes, PolicyError,
    ScratchBuffers, Trace, VlaNetwork,
};
use ort::session::Session;
use ort::value::TensorRef;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A network in an ONNX file. A session answers one query at a time, so that there are as many as there are queries at once.
pub struct OnnxVla {
    file: OnnxFile,
    runtime: OnnxRuntimeOptions,
    architecture: Architecture,
    has_proprio: bool,
    /// Sessions that answer nothing at present.
    idle: Mutex<Vec<Session>>,
}

impl OnnxVla {
    /// Opens a file beside the `config.json` that describes its network.
    ///
    /// # Errors
    /// Names the file: it is no ONNX model, its inputs and outputs are others than those of the network, or ONNX Runtime refuses it.
    pub fn open(
        file: &OnnxFile,
        config: &Config,
        runtime: &OnnxRuntimeOptions,
    ) -> Result<OnnxVla, PolicyError> {
        let architecture = Architecture::from(config);
        let has_proprio = file
            .contents
            .inputs
            .iter()
            .any(|input| input.name == "proprio");
        let network = OnnxVla {
            file: file.clone(),
            runtime: runtime.clone(),
            architecture,
            has_proprio,
            idle: Mutex::new(Vec::new()),
        };
        network.check_signature()?;
        // What the library refuses is refused now.
        let session = runtime.session(file.path(), 1)?;
        network.idle().push(session);
        Ok(network)
    }

    /// What the file holds.
    pub fn contents(&self) -> &OnnxContents {
        &self.file.contents
    }

    /// Compares names and shapes with those of the network.
    fn check_signature(&self) -> Result<(), PolicyError> {
        let a = &self.architecture;
        let side = a.image_size();
        let mut inputs = vec![
            format!("images float32 [{}, 3, {side}, {side}]", a.num_images),
            "input_ids int64 [tokens]".to_owned(),
        ];
        if self.has_proprio {
            inputs.push(format!("proprio float32 [{}]", a.proprio_dim));
        }
        let (chunk, dim) = (a.action_chunk, a.action_dim);
        let outputs = vec![format!("actions float32 [{chunk}, {dim}]")];
        let found = |values: &[OnnxValue]| values.iter().map(OnnxValue::to_string).collect();
        let contents = &self.file.contents;
        let sides: [(_, Vec<String>, _); 2] = [
            ("inputs", found(&contents.inputs), inputs),
            ("outputs", found(&contents.outputs), outputs),
        ];
        for (what, mut found, mut expected) in sides {
            found.sort();
            expected.sort();
            if found != expected {
                let (found, expected) = (found.join(", "), expected.join(", "));
                let what = format!("{what}: found {found}; expected {expected}");
                return Err(file_error(self.file.path(), what));
            }
        }
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        // A session is taken and put back in one move.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Result of the library as one of ours.
pub(super) fn query<T>(result: ort::Result<T>) -> Result<T, PolicyError> {
    result.map_err(|error| PolicyError::Query {
        policy: "onnx".into(),
        what: error.to_string(),
    })
}

impl<'a> From<&'a ModelInputs> for NetworkInput<'a> {
    fn from(inputs: &'a ModelInputs) -> NetworkInput<'a> {
        NetworkInput {
            tokens: &inputs.tokens,
            images: &inputs.images,
            proprio: &inputs.proprio,
        }
    }
}

/// Runs a graph with the signature of [`super::export_onnx`]; `take` gets every output of f32.
pub(super) fn run(
    session: &mut Session,
    prompt: NetworkInput<'_>,
    has_proprio: bool,
    take: &mut dyn FnMut(&str, &[f32]),
) -> Result<(), PolicyError> {
    let pixels = prompt.images.first().map_or(0, Vec::len) / 3;
    let side = pixels.isqrt();
    let images = prompt.images.concat();
    let tokens: Vec<i64> = prompt.tokens.iter().map(|t| i64::from(*t)).collect();
    let shape = [prompt.images.len(), 3, side, side];
    let images = query(TensorRef::from_array_view((shape, images.as_slice())))?;
    let tokens = ([tokens.len()], tokens.as_slice());
    let tokens = query(TensorRef::from_array_view(tokens))?;
    let mut inputs = ort::inputs!["images" => images, "input_ids" => tokens];
    if has_proprio {
        let state = ([prompt.proprio.len()], prompt.proprio);
        let state = query(TensorRef::from_array_view(state))?;
        inputs.push(("proprio".into(), state.into()));
    }
    let outputs = query(session.run(inputs))?;
    for (name, value) in outputs.iter() {
        let (_, values) = query(value.try_extract_tensor::<f32>())?;
        take(name, values);
    }
    Ok(())
}

impl VlaNetwork for OnnxVla {
    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn arithmetic(&self) -> String {
        match self.file.contents.is_quantised() {
            true => "quantised".into(),
            false => "dense".into(),
        }
    }

    fn linears(&self) -> Vec<LinearShape> {
        Vec::new()
    }

    fn forward(
        &self,
        scratch: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError> {
        let a = &self.architecture;
        crate::network::check(prompt, a, self.has_proprio)?;
        let start = Instant::now();
        let idle = self.idle().pop();
        let mut session = match idle {
            Some(session) => session,
            None => {
                let threads = scratch.threads.count();
                self.runtime.session(self.file.path(), threads)?
            }
        };
        let mut actions = Vec::new();
        run(&mut session, prompt, self.has_proprio, &mut |_, values| {
            actions = values.to_vec();
        })?;
        self.idle().push(session);
        trace("action.normalized", &actions);
        // The library does not tell its parts apart.
        times.language += start.elapsed();
        match actions.len() == a.placeholders() {
            true => Ok(actions),
            false => Err(PolicyError::Query {
                policy: "onnx".into(),
                what: format!(
                    "found {} actions, expected {}",
                    actions.len(),
                    a.placeholders()
                ),
            }),
        }
    }

    fn ledger(&self, _: &ScratchBuffers) -> MemoryLedger {
        self.file.contents.ledger()
    }
}
