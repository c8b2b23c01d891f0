//! ONNX models of others as policies, asked as an [`OnnxMapping`] says.

use super::contents::{OnnxDim, OnnxFile, OnnxValue};
use super::engine::query;
use super::mapping::{
    ACTION_DIM, CameraMapping, ImageLayout, InstructionMapping, OnnxMapping, StateMapping,
};
use super::runtime::OnnxRuntimeOptions;
use crate::error::file_error;
use crate::{
    ActionChunk, CAMERAS, MemoryLedger, Observation, PhaseTimes, Policy, PolicyError,
    PolicyProtocol, QuaternionRule,
};
use ort::session::Session;
use ort::value::{DynValue, Tensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokenizers::Tokenizer;

/// Name in errors.
const POLICY: &str = "onnx";

/// An ONNX model with a mapping. Every worker has a session of its own.
pub struct MappedOnnxPolicy {
    model: Arc<MappedModel>,
    session: Session,
    /// Number of actions of an answer.
    chunk: usize,
}

/// What the sessions of a model share.
struct MappedModel {
    file: OnnxFile,
    mapping: OnnxMapping,
    mapping_path: PathBuf,
    runtime: OnnxRuntimeOptions,
    threads: usize,
    tokenizer: Option<Tokenizer>,
    /// Element type and shape of every input in the order of the mapping: cameras, state, instruction, mask.
    inputs: Vec<MappedInput>,
}

/// An input of the graph and what it is given.
#[derive(Debug, Clone, PartialEq)]
struct MappedInput {
    name: String,
    source: Source,
    element: Element,
    /// Shape; an axis of tokens that are not padded is 0 here.
    shape: Vec<usize>,
}

/// What an input is given.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    /// The camera at this place of the mapping, resized to a side.
    Camera {
        index: usize,
        side: usize,
    },
    State,
    Words,
    Tokens,
    Mask,
}

/// Element type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Float32,
    Float64,
    Uint8,
    Int32,
    Int64,
    Bool,
    String,
}

impl Element {
    fn named(name: &str) -> Option<Element> {
        Some(match name {
            "float32" => Element::Float32,
            "float64" => Element::Float64,
            "uint8" => Element::Uint8,
            "int32" => Element::Int32,
            "int64" => Element::Int64,
            "bool" => Element::Bool,
            "string" => Element::String,
            _ => return None,
        })
    }
}

impl MappedModel {
    /// Pairs the inputs of the graph with those of the mapping.
    fn match_inputs(file: &OnnxFile, mapping: &OnnxMapping) -> Result<Vec<MappedInput>, String> {
        let mut wanted: Vec<(&str, Source)> = Vec::new();
        for (index, camera) in mapping.cameras.iter().enumerate() {
            // The side is that of the graph, see `camera`.
            wanted.push((&camera.input, Source::Camera { index, side: 0 }));
        }
        if let Some(StateMapping { input, .. }) = &mapping.state {
            wanted.push((input, Source::State));
        }
        if let Some(words) = &mapping.instruction {
            let source = match words.tokenizer {
                Some(_) => Source::Tokens,
                None => Source::Words,
            };
            wanted.push((&words.input, source));
            if let Some(mask) = &words.mask {
                wanted.push((mask, Source::Mask));
            }
        }
        let (inputs, outputs) = (&file.contents.inputs, &file.contents.outputs);
        let list = |values: &[OnnxValue]| {
            let words: Vec<String> = values.iter().map(OnnxValue::to_string).collect();
            words.join(", ")
        };
        let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
        let known = |name: &str| inputs.iter().any(|input| input.name == name);
        let unmapped = inputs
            .iter()
            .any(|input| !names.contains(&input.name.as_str()));
        let twice = (1..names.len()).any(|i| names[..i].contains(&names[i]));
        if unmapped || twice || !names.iter().all(|name| known(name)) {
            return Err(format!(
                "inputs: found {}; the mapping names {}",
                list(inputs),
                names.join(", ")
            ));
        }
        let output = &mapping.action.output;
        if !outputs.iter().any(|value| value.name == *output) {
            return Err(format!(
                "outputs: found {}; the mapping names {output}",
                list(outputs)
            ));
        }
        let inputs = wanted.iter().map(|(name, source)| {
            let input = inputs.iter().find(|input| input.name == *name);
            let input = input.ok_or("no such input")?;
            Self::match_input(input, *source, mapping)
        });
        inputs.collect()
    }

    /// Shape and element type that an input is given.
    fn match_input(
        input: &OnnxValue,
        source: Source,
        mapping: &OnnxMapping,
    ) -> Result<MappedInput, String> {
        use Element::{Bool, Float32, Float64, Int32, Int64, Uint8};
        let mut source = source;
        let tokens = mapping
            .instruction
            .as_ref()
            .and_then(|words| words.length)
            .unwrap_or(0);
        let (elements, last): (&[Element], Vec<usize>) = match &mut source {
            Source::Camera { index, side } => {
                let camera = &mapping.cameras[*index];
                *side = camera_side(input, camera, mapping.rendered);
                let shape = match camera.layout {
                    ImageLayout::Chw => vec![3, *side, *side],
                    ImageLayout::Hwc => vec![*side, *side, 3],
                };
                let normalised = camera.mean.is_some() || camera.std.is_some();
                let elements: &[_] = if normalised {
                    &[Float32]
                } else {
                    &[Float32, Uint8]
                };
                (elements, shape)
            }
            Source::State => {
                let components = mapping
                    .state
                    .as_ref()
                    .map_or(0, |state| state.components.len());
                (&[Float32, Float64], vec![components])
            }
            Source::Words => (&[Element::String], Vec::new()),
            Source::Tokens => (&[Int64, Int32], vec![tokens]),
            Source::Mask => (&[Int64, Int32, Bool], vec![tokens]),
        };
        let element = Element::named(&input.element).filter(|element| elements.contains(element));
        // In front of the axes of the mapping are axes of 1: batch, time.
        let fixed = |dim: &OnnxDim| match dim {
            OnnxDim::Fixed(size) => *size,
            OnnxDim::Any(_) => 1,
        };
        let leading = input.dims.len().checked_sub(last.len());
        let shape = leading.filter(|leading| {
            let (front, back) = input.dims.split_at(*leading);
            // Tokens that are not padded need an axis of any size.
            let fits = |(dim, size): (&OnnxDim, &usize)| match size {
                0 => matches!(dim, OnnxDim::Any(_)),
                size => dim.takes(*size),
            };
            front.iter().all(|dim| fixed(dim) == 1) && back.iter().zip(&last).all(fits)
        });
        let shape = shape.map(|leading| [vec![1; leading], last.clone()].concat());
        let (Some(element), Some(shape)) = (element, shape) else {
            let types: Vec<String> = elements
                .iter()
                .map(|e| format!("{e:?}").to_lowercase())
                .collect();
            let last: Vec<String> = last
                .iter()
                .map(|n| {
                    if *n == 0 {
                        "tokens".into()
                    } else {
                        n.to_string()
                    }
                })
                .collect();
            let axes = if last.is_empty() {
                "1, ...".to_owned()
            } else {
                format!("..., {}", last.join(", "))
            };
            return Err(format!(
                "inputs: found {input}; the mapping gives {} [{axes}]",
                types.join(" or ")
            ));
        };
        Ok(MappedInput {
            name: input.name.clone(),
            source,
            element,
            shape,
        })
    }

    /// Values of all inputs for an observation.
    fn values(
        &self,
        observation: &Observation<'_>,
    ) -> Result<Vec<(String, DynValue)>, PolicyError> {
        let fail = |what: String| PolicyError::Query {
            policy: POLICY.into(),
            what,
        };
        let rendered = self.mapping.rendered;
        let expected = rendered * rendered * 3;
        let frames = observation.frames();
        if let Some(frame) = frames.iter().find(|frame| frame.len() != expected) {
            let found = frame.len();
            return Err(fail(format!("frame of {found} bytes, expected {expected}")));
        }
        if observation.proprio.iter().any(|value| !value.is_finite()) {
            return Err(fail(format!(
                "proprioception {:?} is not finite",
                observation.proprio
            )));
        }
        let tokens = match (&self.tokenizer, &self.mapping.instruction) {
            (Some(tokenizer), Some(words)) => {
                self.tokens(tokenizer, words, observation.instruction)?
            }
            _ => Vec::new(),
        };
        let mut values = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let mut shape = input.shape.clone();
            if let (Source::Tokens | Source::Mask, Some(last)) = (input.source, shape.last_mut()) {
                *last = tokens.len();
            }
            let value = match input.source {
                Source::Camera { index, side } => {
                    let camera = &self.mapping.cameras[index];
                    let at = CAMERAS.iter().position(|name| *name == camera.camera);
                    let frame = frames[at.unwrap_or(0)];
                    let filter = self.mapping.resize.filter();
                    let pixels = match side == rendered {
                        true => frame.to_vec(),
                        false => filter.apply(frame, rendered, side),
                    };
                    image_value(&pixels, camera, input.element, shape)?
                }
                Source::State => {
                    let state = self.mapping.state.as_ref();
                    let numbers = state.map_or(Vec::new(), |state| {
                        state_values(state, &observation.proprio)
                    });
                    match input.element {
                        Element::Float64 => dynamic(shape, numbers)?,
                        _ => dynamic(shape, numbers.iter().map(|n| *n as f32).collect())?,
                    }
                }
                Source::Words => {
                    let words = self.mapping.instruction.as_ref();
                    let suffix = words.map_or("", |words| &words.suffix);
                    let text = [format!("{}{suffix}", observation.instruction)];
                    query(Tensor::from_string_array((shape, &text[..])))?.into_dyn()
                }
                Source::Tokens => {
                    let ids = tokens.iter().map(|(id, _)| i64::from(*id));
                    integers(input.element, shape, ids.collect())?
                }
                Source::Mask => {
                    let seen = tokens.iter().map(|(_, seen)| i64::from(*seen));
                    integers(input.element, shape, seen.collect())?
                }
            };
            values.push((input.name.clone(), value));
        }
        Ok(values)
    }

    /// Tokens of an instruction, each with whether it is one (and not padding).
    fn tokens(
        &self,
        tokenizer: &Tokenizer,
        words: &InstructionMapping,
        instruction: &str,
    ) -> Result<Vec<(u32, bool)>, PolicyError> {
        let fail = |what: String| file_error(&self.mapping_path, what);
        let text = format!("{instruction}{}", words.suffix);
        let encoded = tokenizer
            .encode(text, true)
            .map_err(|e| fail(e.to_string()))?;
        let mut tokens: Vec<(u32, bool)> = encoded.get_ids().iter().map(|id| (*id, true)).collect();
        if let Some(length) = words.length {
            if tokens.len() > length {
                let found = tokens.len();
                return Err(fail(format!(
                    "instruction: `{instruction}` has {found} tokens, expected at most {length}"
                )));
            }
            tokens.resize(length, (words.padding, false));
        }
        Ok(tokens)
    }
}

/// Side of a camera input: the one of the mapping, or else that of the graph, or else the rendered one.
fn camera_side(input: &OnnxValue, camera: &CameraMapping, rendered: usize) -> usize {
    let columns = match camera.layout {
        ImageLayout::Chw => input.dims.last(),
        ImageLayout::Hwc => input.dims.iter().rev().nth(1),
    };
    let graph = match columns {
        Some(OnnxDim::Fixed(size)) => Some(*size),
        _ => None,
    };
    camera.size.or(graph).unwrap_or(rendered)
}

fn dynamic<T>(shape: Vec<usize>, values: Vec<T>) -> Result<DynValue, PolicyError>
where
    T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Ok(query(Tensor::from_array((shape, values)))?.into_dyn())
}

fn integers(
    element: Element,
    shape: Vec<usize>,
    values: Vec<i64>,
) -> Result<DynValue, PolicyError> {
    match element {
        Element::Int32 => dynamic(shape, values.iter().map(|v| *v as i32).collect()),
        Element::Bool => dynamic(shape, values.iter().map(|v| *v != 0).collect::<Vec<bool>>()),
        _ => dynamic(shape, values),
    }
}

/// An RGB frame as an input: bytes as they are, or floats in [0, 1] by mean and deviation of the mapping.
fn image_value(
    pixels: &[u8],
    camera: &CameraMapping,
    element: Element,
    shape: Vec<usize>,
) -> Result<DynValue, PolicyError> {
    let ordered: Vec<u8> = match camera.layout {
        ImageLayout::Hwc => pixels.to_vec(),
        ImageLayout::Chw => {
            let channel = |c: usize| pixels.iter().skip(c).step_by(3).copied();
            (0..3).flat_map(channel).collect()
        }
    };
    if element == Element::Uint8 {
        return dynamic(shape, ordered);
    }
    let plane = pixels.len() / 3;
    let (mean, std) = (
        camera.mean.unwrap_or([0.0; 3]),
        camera.std.unwrap_or([1.0; 3]),
    );
    let float = |(i, byte): (usize, &u8)| {
        let channel = match camera.layout {
            ImageLayout::Hwc => i % 3,
            ImageLayout::Chw => i / plane,
        };
        (f32::from(*byte) / 255.0 - mean[channel]) / std[channel]
    };
    dynamic(shape, ordered.iter().enumerate().map(float).collect())
}

/// The components of the proprioception that the model takes, normalised.
fn state_values(state: &StateMapping, proprio: &[f64]) -> Vec<f64> {
    let components = state.components.iter().enumerate();
    let normalised =
        components.map(|(i, component)| state.normalisation.normalise(i, proprio[*component]));
    normalised.collect()
}

impl MappedOnnxPolicy {
    /// Opens a model with the mapping beside it, and asks it once about black images, so that what does not fit is refused now.
    ///
    /// # Errors
    /// Names the file: the mapping cannot be followed, names or shapes do not fit (both sides are printed), or ONNX Runtime
    /// refuses the model.
    pub fn open(
        file: &OnnxFile,
        runtime: &OnnxRuntimeOptions,
        threads: usize,
    ) -> Result<MappedOnnxPolicy, PolicyError> {
        let mapping_path = OnnxMapping::path_of(file.path());
        let mapping = OnnxMapping::read(&mapping_path)?;
        let inputs = MappedModel::match_inputs(file, &mapping);
        let inputs = inputs.map_err(|what| file_error(file.path(), what))?;
        let tokenizer = mapping
            .instruction
            .as_ref()
            .and_then(|words| words.tokenizer.as_ref());
        let tokenizer = tokenizer.map(|name| {
            let path = file.dir().join(name);
            let bytes = std::fs::read(&path).map_err(|e| file_error(&path, e))?;
            crate::tokenizer::parse(&bytes).map_err(|what| file_error(&path, what))
        });
        let model = MappedModel {
            file: file.clone(),
            mapping,
            mapping_path,
            runtime: runtime.clone(),
            threads,
            tokenizer: tokenizer.transpose()?,
            inputs,
        };
        let session = runtime.session(file.path(), threads)?;
        let mut policy = MappedOnnxPolicy {
            model: Arc::new(model),
            session,
            chunk: 1,
        };
        let side = policy.model.mapping.rendered;
        let black = vec![0; side * side * 3];
        let answer = policy.query(&Observation {
            agentview: &black,
            wrist: &black,
            proprio: [0.0; crate::PROPRIO_DIM],
            instruction: "wait",
        });
        let answer = answer.map_err(|error| file_error(file.path(), error))?;
        policy.chunk = answer.actions.len();
        let executed = policy.model.mapping.executed_steps.unwrap_or(policy.chunk);
        if executed > policy.chunk {
            let what = format!(
                "executed_steps: found {executed}, expected at most {}, the actions of an answer",
                policy.chunk
            );
            return Err(file_error(&policy.model.mapping_path, what));
        }
        Ok(policy)
    }

    /// The same policy with a session of its own.
    ///
    /// # Errors
    /// What ONNX Runtime refuses.
    pub fn for_worker(&self) -> Result<MappedOnnxPolicy, PolicyError> {
        let model = &self.model;
        Ok(MappedOnnxPolicy {
            model: Arc::clone(model),
            session: model.runtime.session(model.file.path(), model.threads)?,
            chunk: self.chunk,
        })
    }

    /// Files of the policy: model, mapping, tokenizer.
    pub fn files(&self) -> Vec<PathBuf> {
        let MappedModel {
            file,
            mapping,
            mapping_path,
            ..
        } = &*self.model;
        let mut external = file.path().as_os_str().to_owned();
        external.push(".data");
        let external = Path::new(&external);
        let mut files = vec![file.path().to_owned(), mapping_path.clone()];
        files.extend(external.is_file().then(|| external.to_owned()));
        let tokenizer = mapping
            .instruction
            .as_ref()
            .and_then(|words| words.tokenizer.as_ref());
        files.extend(tokenizer.map(|name| file.dir().join(name)));
        files
    }
}

impl Policy for MappedOnnxPolicy {
    fn name(&self) -> &str {
        POLICY
    }

    fn arithmetic(&self) -> &str {
        match self.model.file.contents.is_quantised() {
            true => "quantised",
            false => "dense",
        }
    }

    fn query(&mut self, observation: &Observation<'_>) -> Result<ActionChunk, PolicyError> {
        let start = Instant::now();
        let values = self.model.values(observation)?;
        let asked = Instant::now();
        let fail = |what: String| PolicyError::Query {
            policy: POLICY.into(),
            what,
        };
        let action = &self.model.mapping.action;
        let outputs = query(self.session.run(values))?;
        let output = outputs.get(action.output.as_str());
        let output = output.ok_or_else(|| fail(format!("no output `{}`", action.output)))?;
        let (shape, values) = query(output.try_extract_tensor::<f32>())?;
        let answered = Instant::now();
        let (chunks, rest) = values.as_chunks::<ACTION_DIM>();
        let front = shape.len().saturating_sub(2);
        let shaped =
            shape.last() == Some(&(ACTION_DIM as i64)) && shape[..front].iter().all(|n| *n == 1);
        if chunks.is_empty() || !rest.is_empty() || !shaped {
            let (name, shape) = (&action.output, shape.to_vec());
            return Err(fail(format!(
                "output `{name}`: found {shape:?}, expected [..., actions, {ACTION_DIM}]"
            )));
        }
        let mut actions = Vec::with_capacity(chunks.len());
        for normalised in chunks {
            let mut values: [f64; ACTION_DIM] =
                std::array::from_fn(|i| action.normalisation.restore(i, f64::from(normalised[i])));
            values[6] = action.gripper.to_environment(values[6]);
            if values.iter().any(|value| !value.is_finite()) {
                return Err(fail(format!("action {values:?} is not finite")));
            }
            actions.push(values);
        }
        Ok(ActionChunk {
            actions,
            times: PhaseTimes {
                preprocessing: asked - start,
                // The library does not tell its parts apart.
                language: answered - asked,
                head: answered.elapsed(),
                ..PhaseTimes::default()
            },
        })
    }

    fn memory(&self) -> MemoryLedger {
        self.model.file.contents.ledger()
    }

    fn protocol(&self) -> PolicyProtocol {
        let mapping = &self.model.mapping;
        let sides = self.model.inputs.iter().map(|input| match input.source {
            Source::Camera { side, .. } => side,
            _ => 0,
        });
        let side = sides.max().unwrap_or(0);
        let mapping_name = self.model.mapping_path.file_name().unwrap_or_default();
        PolicyProtocol {
            cameras: mapping
                .cameras
                .iter()
                .map(|camera| camera.camera.clone())
                .collect(),
            camera_size: mapping.rendered,
            network_image_size: side,
            flip: mapping.orientation.flip(),
            jpeg_round_trip: false,
            crop: "none".into(),
            resize_filter: match side == mapping.rendered {
                true => "none".into(),
                false => mapping.resize.filter().name().into(),
            },
            quaternion_rule: mapping
                .state
                .as_ref()
                .map_or(QuaternionRule::default(), |state| state.rotation),
            normaliser_key: mapping_name.to_string_lossy().into_owned(),
            chunk_length: self.chunk,
            executed_steps: mapping.executed_steps.unwrap_or(self.chunk),
            ..PolicyProtocol::default()
        }
        .with_precision(&self.memory())
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: a model of others is asked as its mapping says, number by number, and its answer is undone in the same way (needs ONNX
    //! Runtime); names and shapes that do not fit are refused with both sides.
    use super::*;
    use crate::onnx::graph::{Attribute, Dimension, GraphBuilder};
    use crate::onnx::proto::{FLOAT, INT64};

    const MAPPING: &str = "
rendered = 4
orientation = \"upright\"
[[camera]]
input = \"image\"
camera = \"eye_in_hand\"
size = 2
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.25]
[state]
input = \"state\"
components = [7, 0]
[state.normalisation]
min = [0.0, -1.0]
max = [0.5, 1.0]
[instruction]
input = \"ids\"
tokenizer = \"tokenizer.json\"
mask = \"mask\"
length = 5
[action]
output = \"action\"
gripper = { open = 1, close = 0 }
[action.normalisation]
mean = [0, 0, 0, 0, 0, 0, 0]
std = [1, 1, 1, 1, 1, 1, 1]
";

    /// Two actions: the two numbers of the state, the mean of each channel, the sum of the tokens that are not masked, the sum of the mask.
    fn model(dir: &Path) -> OnnxFile {
        let path = dir.join("others.onnx");
        let mut graph = GraphBuilder::new(&path, false).expect("a graph");
        let one = Dimension::Fixed(1);
        let image = [
            one,
            Dimension::Fixed(3),
            Dimension::Named("h"),
            Dimension::Named("w"),
        ];
        let image = graph.input("image", FLOAT, &image, "");
        let state = graph.input(
            "state",
            FLOAT,
            &[Dimension::Fixed(1), Dimension::Fixed(2)],
            "",
        );
        let tokens = [Dimension::Fixed(1), Dimension::Named("n")];
        let ids = graph.input("ids", INT64, &tokens, "");
        let mask = graph.input("mask", INT64, &tokens, "");
        let keep = Attribute::Int("keepdims", 0);
        let (space, row) = (graph.list(&[2, 3]), graph.list(&[1]));
        let channels = graph.op("ReduceMean", &[&image, &space], &[keep]);
        let float = |graph: &mut GraphBuilder, value: &str| {
            let cast = graph.op("Cast", &[value], &[Attribute::Int("to", i64::from(FLOAT))]);
            graph.op(
                "ReduceSum",
                &[&cast, &row],
                &[Attribute::Int("keepdims", 1)],
            )
        };
        let seen = graph.op("Mul", &[&ids, &mask], &[]);
        let (sum, count) = (float(&mut graph, &seen), float(&mut graph, &mask));
        let axis = [Attribute::Int("axis", 1)];
        let action = graph.op("Concat", &[&state, &channels, &sum, &count], &axis);
        let shape = graph.list(&[1, 1, 7]);
        let action = graph.op("Reshape", &[&action, &shape], &[]);
        let two = graph.op("Concat", &[&action, &action], &[Attribute::Int("axis", 1)]);
        let shape = [
            Dimension::Fixed(1),
            Dimension::Fixed(2),
            Dimension::Fixed(7),
        ];
        graph.output(&two, "action", &shape, "");
        graph.finish("others", "", &[]).expect("written");
        std::fs::write(dir.join("others.toml"), MAPPING).expect("written");
        let tokenizer = crate::export::word_tokenizer(&["it", "pick", "up"]).to_string();
        std::fs::write(dir.join("tokenizer.json"), tokenizer).expect("written");
        OnnxFile::read(&path).expect("a model")
    }

    #[test]
    #[ignore = "needs ONNX Runtime: ORT_DYLIB_PATH, see docs/onnx.md"]
    fn a_model_is_asked_as_its_mapping_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = model(dir.path());
        let mut policy =
            MappedOnnxPolicy::open(&file, &OnnxRuntimeOptions::default(), 1).expect("a policy");
        let protocol = policy.protocol();
        assert_eq!((protocol.camera_size, protocol.network_image_size), (4, 2));
        assert_eq!((protocol.chunk_length, protocol.executed_steps), (2, 2));
        assert_eq!(protocol.normaliser_key, "others.toml");
        let wrist: Vec<u8> = [255, 0, 51].repeat(16);
        let proprio = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.125];
        let answer = policy.query(&Observation {
            agentview: &[9; 48],
            wrist: &wrist,
            proprio,
            instruction: "pick it",
        });
        let tokenizer = std::fs::read(dir.path().join("tokenizer.json")).expect("a file");
        let tokenizer = crate::tokenizer::parse(&tokenizer).expect("a tokenizer");
        let ids = tokenizer.encode("pick it", true).expect("tokens");
        let (sum, count) = (ids.get_ids().iter().sum::<u32>(), ids.get_ids().len());
        let actions = answer.expect("an answer").actions;
        assert_eq!(actions.len(), 2);
        let gripper = 2.0 * (count as f64 - 1.0) / -1.0 - 1.0;
        let expected = [-0.5, 0.5, 1.0, -1.0, -1.2, f64::from(sum), gripper];
        for (found, expected) in actions[1].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{actions:?}");
        }
        // A worker of its own gives the same answer; what does not fit the mapping is refused.
        let mut worker = policy.for_worker().expect("a worker");
        let observation = Observation {
            agentview: &[9; 48],
            wrist: &wrist,
            proprio,
            instruction: "pick it",
        };
        assert_eq!(
            worker.query(&observation).expect("an answer").actions,
            actions
        );
        let long = Observation {
            instruction: "pick it up it up it up",
            ..observation
        };
        let error = worker.query(&long).expect_err("refused").to_string();
        assert!(error.contains("expected at most 5"), "{error}");
        assert_eq!(policy.files().len(), 3);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_sides() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = model(dir.path());
        let refused = |from: &str, to: &str, words: &[&str]| {
            let text = MAPPING.replacen(from, to, 1);
            assert_ne!(text, MAPPING, "{from}");
            let mapping = OnnxMapping::parse(&text).expect("a mapping");
            let error = MappedModel::match_inputs(&file, &mapping).expect_err("refused");
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        };
        let all =
            "image float32 [1, 3, h, w], state float32 [1, 2], ids int64 [1, n], mask int64 [1, n]";
        refused(
            "input = \"state\"",
            "input = \"joints\"",
            &[all, "image, joints, ids, mask"],
        );
        refused(
            "mask = \"mask\"\n",
            "",
            &[all, "the mapping names image, state, ids"],
        );
        refused(
            "output = \"action\"",
            "output = \"chunk\"",
            &["action float32 [1, 2, 7]", "names chunk"],
        );
        refused(
            "size = 2",
            "size = 2\nlayout = \"hwc\"",
            &["image float32 [1, 3, h, w]", "[..., 2, 2, 3]"],
        );
        let state =
            "components = [7, 0]\n[state.normalisation]\nmin = [0.0, -1.0]\nmax = [0.5, 1.0]";
        refused(
            state,
            "",
            &["state float32 [1, 2]", "float32 or float64 [..., 8]"],
        );
        refused(
            "tokenizer = \"tokenizer.json\"\nmask = \"mask\"\nlength = 5",
            "",
            &["the mapping names image, state, ids"],
        );
        assert!(
            MappedModel::match_inputs(&file, &OnnxMapping::parse(MAPPING).expect("a mapping"))
                .is_ok()
        );
    }
}
