//! The network as an ONNX graph (`docs/reference/bitvla.md`, sections 1 and 2): vision tower, connector, projector, language model,
//! action head. Preprocessing, tokens and un-normalisation stay outside, with the small files of the checkpoint, which are copied
//! beside the graph.
//!
//! | input | type | |
//! |---|---|---|
//! | `images` | f32 `[images, 3, side, side]` | agentview first, normalised by the checkpoint's pipeline |
//! | `input_ids` | i64 `[tokens]` | prompt with image and proprioception tokens, without action placeholders |
//! | `proprio` | f32 `[8]` | normalised proprioception |
//!
//! | output | type | |
//! |---|---|---|
//! | `actions` | f32 `[chunk, 7]` | normalised actions |
//!
//! With int8, the inputs of every linear layer are quantised with the static ranges of a calibration and its weights with one scale per
//! output (QuantizeLinear and DequantizeLinear around each MatMul, int8 both, the form that post-training quantisers write); embeddings,
//! norms, biases, attention and the patch convolution stay f32.
//!
//! Quantised activations of a ternary checkpoint are simulated: `round(x s) / s` with `s = 127 / max |x|` per token, as the native engine has them in integers.

use super::calibration::ActivationRanges;
use super::graph::{Attribute, Dimension, GraphBuilder, Value};
use super::proto::{FLOAT, INT8, INT64};
use crate::activation_buffer::ActivationFormat;
use crate::checkpoint_files::{AUXILIARY_FILES, CheckpointDir, CheckpointFiles, weights_at};
use crate::error::file_error;
use crate::formats::LinearFormat;
use crate::language::LanguageArchitecture;
use crate::packed::PackedFile;
use crate::vision::VisionArchitecture;
use crate::weight_source::{ACTION_HEAD_PREFIX, MatrixRequest, PROPRIO_PREFIX, WeightSource};
use crate::{Architecture, AttentionMask, Checkpoint, Config, PolicyError, WeightFormat};
use std::path::Path;

/// Bytes of weights from which they are written beside the graph: a file of the format ends at 2 GB.
const LARGEST_INSIDE: usize = 1_500_000_000;
/// Epsilon of the norms of the action head.
const HEAD_EPS: f32 = 1e-5;
/// Name of the graph in a folder that was exported.
pub const MODEL_FILE: &str = "model.onnx";

/// What is done to linear layers.
#[derive(Clone, Copy)]
pub(super) enum Precision<'a> {
    /// Nothing.
    Float,
    /// Their inputs' least and largest values become outputs.
    Calibration,
    /// int8 with these ranges of their inputs.
    Int8(&'a ActivationRanges),
}

/// Output of the calibration graph with the least values of the inputs of a layer; and with the largest.
pub(super) const LEAST: &str = "least of ";
pub(super) const LARGEST: &str = "largest of ";

/// Writes a checkpoint (a folder as published, or a packed file of the same format), with its weights in a format, as `model.onnx` and the small files of the checkpoint into a folder.
///
/// # Errors
/// Names file and tensor; refuses a checkpoint that cannot act.
pub fn export_onnx(checkpoint: &Path, format: WeightFormat, out: &Path) -> Result<(), PolicyError> {
    write(checkpoint, format, out, Precision::Float)
}

/// Writes the full-precision weights of a checkpoint in int8, with the static ranges of a calibration.
///
/// # Errors
/// As [`export_onnx`]; names a layer without a range.
pub fn export_onnx_int8(
    checkpoint: &Path,
    ranges: &ActivationRanges,
    out: &Path,
) -> Result<(), PolicyError> {
    write(checkpoint, WeightFormat::Full, out, Precision::Int8(ranges))
}

pub(super) fn write(
    checkpoint: &Path,
    format: WeightFormat,
    out: &Path,
    precision: Precision<'_>,
) -> Result<(), PolicyError> {
    let checkpoint = &weights_at(checkpoint);
    let opened = OpenedWeights::open(checkpoint, format)?;
    let (config, proprio) = (&opened.config, opened.proprio);
    if format.head() != LinearFormat::STORED {
        let what = format!(
            "`{format}` has an action head that is not exported: `ternary` has it as stored"
        );
        return Err(file_error(checkpoint, what));
    }
    let fits = config.check_format(format);
    fits.map_err(|what| file_error(&opened.files().display_path("config.json"), what))?;
    std::fs::create_dir_all(out).map_err(|e| file_error(out, e))?;
    for name in AUXILIARY_FILES {
        if let Some(bytes) = opened.files().read(name)? {
            let to = out.join(name);
            std::fs::write(&to, bytes).map_err(|e| file_error(&to, e))?;
        }
    }
    let v = &config.vision_config;
    let vision = format.vision(v.vit_weight_bits, v.vit_act_bits);
    let architecture = Architecture::from(config);
    let path = out.join(MODEL_FILE);
    let external = weight_bytes(&architecture) > LARGEST_INSIDE;
    let mut exporter = Exporter {
        graph: GraphBuilder::new(&path, external)?,
        source: opened.source(),
        precision,
    };
    let a = &architecture;
    exporter.network(a, (vision, format.language()), proprio)?;
    let words = "A vision-language-action policy: normalised images, prompt tokens and proprioception to a chunk of normalised \
                 actions. The files beside it hold tokenizer, statistics and preprocessing.";
    let name = match precision {
        Precision::Int8(_) => "full, int8 by calibration".to_owned(),
        _ => format.name().to_owned(),
    };
    let properties = [("policy", name)];
    exporter.graph.finish("bitvla", words, &properties)
}

/// A checkpoint whose weights are written.
struct OpenedWeights<'a> {
    stored: StoredWeights<'a>,
    config: Config,
    /// It takes proprioception.
    proprio: bool,
}

enum StoredWeights<'a> {
    Published(CheckpointDir<'a>, Box<Checkpoint>),
    Packed(PackedFile),
}

impl<'a> OpenedWeights<'a> {
    /// Opens a folder, or a packed file of a format.
    fn open(path: &'a Path, format: WeightFormat) -> Result<OpenedWeights<'a>, PolicyError> {
        if !path.is_file() {
            let checkpoint = Checkpoint::load(path)?;
            checkpoint.require_action()?;
            return Ok(OpenedWeights {
                config: checkpoint.config().clone(),
                proprio: checkpoint.has_proprio(),
                stored: StoredWeights::Published(CheckpointDir(path), Box::new(checkpoint)),
            });
        }
        let packed = PackedFile::open(path)?;
        let found = &packed.about().weights;
        if found != format.name() {
            let what = format!("packed as {found}, expected {}", format.name());
            return Err(file_error(path, what));
        }
        let text = packed
            .file("config.json")
            .filter(|_| packed.has(ACTION_HEAD_PREFIX));
        let text =
            text.ok_or_else(|| file_error(path, "holds no config.json or no action head"))?;
        Ok(OpenedWeights {
            config: Config::parse(text, path)?,
            proprio: packed.has(PROPRIO_PREFIX),
            stored: StoredWeights::Packed(packed),
        })
    }

    fn source(&self) -> &dyn WeightSource {
        match &self.stored {
            StoredWeights::Published(_, checkpoint) => &**checkpoint,
            StoredWeights::Packed(packed) => packed,
        }
    }

    fn files(&self) -> &dyn CheckpointFiles {
        match &self.stored {
            StoredWeights::Published(dir, _) => dir,
            StoredWeights::Packed(packed) => packed,
        }
    }
}

/// Bytes of all weights in f32.
fn weight_bytes(a: &Architecture) -> usize {
    let l = &a.language;
    let kv = l.hidden_size / l.heads * l.key_value_heads;
    let of_language =
        l.layers * l.hidden_size * (2 * l.hidden_size + 2 * kv + 3 * l.intermediate_size);
    let of_vision: usize = (a.towers.iter())
        .map(|v| v.layers * v.hidden_size * (4 * v.hidden_size + 2 * v.intermediate_size))
        .sum();
    4 * (l.vocab_size * l.hidden_size + of_language + of_vision)
}

struct Exporter<'a> {
    graph: GraphBuilder,
    source: &'a dyn WeightSource,
    precision: Precision<'a>,
}

/// Cosines and sines of the rotary embedding, and the mask that is added to the scores.
struct Sequence {
    cos: Value,
    sin: Value,
    mask: Option<Value>,
    /// First row behind the prompt, less one, and the row after the placeholders: lists of one number.
    from: Value,
    to: Value,
}

impl Exporter<'_> {
    fn network(
        &mut self,
        a: &Architecture,
        (vision, language): (LinearFormat, LinearFormat),
        proprio: bool,
    ) -> Result<(), PolicyError> {
        let width = a.language.hidden_size;
        let side = a.image_size();
        let fixed = Dimension::Fixed;
        let images = self.graph.input(
            "images",
            FLOAT,
            &[fixed(a.num_images), fixed(3), fixed(side), fixed(side)],
            "normalised images, agentview first",
        );
        let ids = self.graph.input(
            "input_ids",
            INT64,
            &[Dimension::Named("tokens")],
            "tokens of the prompt, those of images and proprioception among them",
        );
        let mut features = Vec::new();
        for tower in &a.towers {
            features.push(self.tower(&images, tower, vision, a.num_images)?);
        }
        let features = match &features[..] {
            [only] => only.clone(),
            several => {
                let several: Vec<&str> = several.iter().map(String::as_str).collect();
                self.graph
                    .op("Concat", &several, &[Attribute::Int("axis", 1)])
            }
        };
        let features = self.mlp(&features, &a.connector, &a.connector_widths)?;
        let table_name = "language_model.model.embed_tokens.weight";
        let size = (a.language.vocab_size, width);
        let table = self.source.table(table_name, size)?;
        let mut rows = vec![0f32; size.0 * width];
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            table.row(i, row)?;
        }
        let table = self.graph.floats(table_name, &[size.0, width], &rows)?;
        drop(rows);
        let g = &mut self.graph;
        let embedded = g.op("Gather", &[&table, &ids], &[Attribute::Int("axis", 0)]);
        let mut x = self.replace(&embedded, &ids, a.image_token, &features);
        if proprio && a.proprio_dim > 0 {
            let state = self.graph.input(
                "proprio",
                FLOAT,
                &[fixed(a.proprio_dim)],
                "normalised proprioception",
            );
            let shape = self.graph.list(&[1, a.proprio_dim as i64]);
            let state = self.graph.op("Reshape", &[&state, &shape], &[]);
            let names = ["fc1", "fc2"].map(|name| format!("{PROPRIO_PREFIX}{name}"));
            let names = [names[0].as_str(), names[1].as_str()];
            let state = self.mlp(&state, &names, &[a.proprio_dim, width, width])?;
            x = self.replace(&x, &ids, a.proprio_token, &state);
        }
        let placeholders = a.placeholders();
        let g = &mut self.graph;
        let stop = g.list(&[i64::from(a.stop_token)]);
        let stop = g.op("Gather", &[&table, &stop], &[Attribute::Int("axis", 0)]);
        let shape = g.list(&[placeholders as i64, width as i64]);
        let zero = g.number(0.0);
        let zeros = g.op("Expand", &[&zero, &shape], &[]);
        let x = g.op("Concat", &[&x, &zeros, &stop], &[Attribute::Int("axis", 0)]);
        let tokens = g.op("Shape", &[&ids], &[]);
        let one = g.list(&[1]);
        let from = g.op("Sub", &[&tokens, &one], &[]);
        let count = g.list(&[placeholders as i64]);
        let to = g.op("Add", &[&from, &count], &[]);
        let sequence = self.sequence(&a.language, a.attention, &x, (from, to));
        let states = self.language_model(x, &a.language, language, &sequence)?;
        let actions = self.action_head(&states, a)?;
        let shape = [fixed(a.action_chunk), fixed(a.action_dim)];
        let words = "normalised actions in order of execution";
        self.graph.output(&actions, "actions", &shape, words);
        Ok(())
    }

    /// Puts `rows` where `ids` has a token.
    fn replace(&mut self, x: &str, ids: &str, token: u32, rows: &str) -> Value {
        let g = &mut self.graph;
        let token = g.ints(&[], &[i64::from(token)]);
        let there = g.op("Equal", &[ids, &token], &[]);
        let places = g.op("NonZero", &[&there], &[]);
        let places = g.op("Transpose", &[&places], &[Attribute::Ints("perm", &[1, 0])]);
        g.op("ScatterND", &[x, &places, rows], &[])
    }

    /// Rows of a linear layer `NAME`, with quantised activations where its format has them.
    fn linear(
        &mut self,
        x: &str,
        name: &str,
        (outputs, inputs): (usize, usize),
        format: LinearFormat,
        biased: bool,
    ) -> Result<Value, PolicyError> {
        let x = match format.activations {
            ActivationFormat::F32 => x.to_owned(),
            _ => self.quantised(x),
        };
        let weights = self.source.weights(MatrixRequest {
            name,
            outputs,
            inputs,
            encoding: format.encoding,
        })?;
        let values = transposed(&weights.row_major(), outputs, inputs);
        let tensor = format!("{name}.weight");
        let y = match self.precision {
            Precision::Int8(ranges) => self.int8_product(&x, name, (&values, outputs), ranges)?,
            precision => {
                if let Precision::Calibration = precision {
                    for (op, what) in [("ReduceMin", LEAST), ("ReduceMax", LARGEST)] {
                        let keep = [Attribute::Int("keepdims", 0)];
                        let value = self.graph.op(op, &[&x], &keep);
                        self.graph.output(&value, &format!("{what}{name}"), &[], "");
                    }
                }
                let weight = self.graph.floats(&tensor, &[inputs, outputs], &values)?;
                self.graph.op("MatMul", &[&x, &weight], &[])
            }
        };
        if !biased {
            return Ok(y);
        }
        let bias = self.vector(&format!("{name}.bias"), outputs)?;
        Ok(self.graph.op("Add", &[&y, &bias], &[]))
    }

    /// Product of rows in int8 by the range of a calibration with weights `[inputs, outputs]` in int8 with a scale per output.
    fn int8_product(
        &mut self,
        x: &str,
        name: &str,
        (values, outputs): (&[f32], usize),
        ranges: &ActivationRanges,
    ) -> Result<Value, PolicyError> {
        let (scale, zero) = ranges.quantiser(name).ok_or_else(|| PolicyError::Query {
            policy: "onnx".into(),
            what: format!("{name}: the calibration has no range of its inputs"),
        })?;
        let mut scales = vec![0f32; outputs];
        for row in values.chunks_exact(outputs) {
            for (scale, w) in scales.iter_mut().zip(row) {
                *scale = scale.max(w.abs() / 127.0);
            }
        }
        // A row of zeros has any scale.
        scales
            .iter_mut()
            .filter(|s| **s == 0.0)
            .for_each(|s| *s = 1.0);
        let code = |(i, w): (usize, &f32)| {
            let code = libm::rintf(w / scales[i % outputs]).clamp(-127.0, 127.0);
            (code as i8).cast_unsigned()
        };
        let codes: Vec<u8> = values.iter().enumerate().map(code).collect();
        let shape = [values.len() / outputs, outputs];
        let tensor = format!("{name}.weight");
        let weight = self.graph.weights(&tensor, &shape, codes, INT8)?;
        let scale_name = format!("{name}.weight_scale");
        let weight_scale = self.graph.floats(&scale_name, &[outputs], &scales)?;
        let axis = [Attribute::Int("axis", 1)];
        let g = &mut self.graph;
        let weight = g.op("DequantizeLinear", &[&weight, &weight_scale], &axis);
        let scale = g.number(scale);
        let zero = g.constant(&[], vec![zero.cast_unsigned()], INT8);
        let codes = g.op("QuantizeLinear", &[x, &scale, &zero], &[]);
        let x = g.op("DequantizeLinear", &[&codes, &scale, &zero], &[]);
        Ok(g.op("MatMul", &[&x, &weight], &[]))
    }

    /// int8 activations with one scale per row, as numbers.
    fn quantised(&mut self, x: &str) -> Value {
        let g = &mut self.graph;
        let magnitude = g.op("Abs", &[x], &[]);
        let last = g.list(&[-1]);
        let most = g.op(
            "ReduceMax",
            &[&magnitude, &last],
            &[Attribute::Int("keepdims", 1)],
        );
        let least = g.number(1e-5);
        let most = g.op("Max", &[&most, &least], &[]);
        let top = g.number(127.0);
        let scale = g.op("Div", &[&top, &most], &[]);
        let scaled = g.op("Mul", &[x, &scale], &[]);
        let rounded = g.op("Round", &[&scaled], &[]);
        g.op("Div", &[&rounded, &scale], &[])
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Value, PolicyError> {
        let values = self.source.vector(name, len)?;
        self.graph.floats(name, &[len], &values)
    }

    fn layer_norm(
        &mut self,
        x: &str,
        name: &str,
        len: usize,
        eps: f32,
    ) -> Result<Value, PolicyError> {
        let weight = self.vector(&format!("{name}.weight"), len)?;
        let bias = self.vector(&format!("{name}.bias"), len)?;
        let attributes = [Attribute::Int("axis", -1), Attribute::Float("epsilon", eps)];
        let inputs = [x, &weight, &bias];
        Ok(self.graph.op("LayerNormalization", &inputs, &attributes))
    }

    fn rms_norm(
        &mut self,
        x: &str,
        name: &str,
        len: usize,
        eps: f32,
    ) -> Result<Value, PolicyError> {
        let weight = self.vector(name, len)?;
        let g = &mut self.graph;
        let squares = g.op("Mul", &[x, x], &[]);
        let last = g.list(&[-1]);
        let mean = g.op(
            "ReduceMean",
            &[&squares, &last],
            &[Attribute::Int("keepdims", 1)],
        );
        let eps = g.number(eps);
        let mean = g.op("Add", &[&mean, &eps], &[]);
        let root = g.op("Sqrt", &[&mean], &[]);
        let normed = g.op("Div", &[x, &root], &[]);
        Ok(g.op("Mul", &[&normed, &weight], &[]))
    }

    fn gelu(&mut self, x: &str, approximate: &str) -> Value {
        let attributes = [Attribute::Text("approximate", approximate)];
        self.graph.op("Gelu", &[x], &attributes)
    }

    /// Linear layers with an erf GELU between.
    fn mlp(&mut self, x: &str, names: &[&str], widths: &[usize]) -> Result<Value, PolicyError> {
        let mut x = x.to_owned();
        for (i, (name, w)) in names.iter().zip(widths.windows(2)).enumerate() {
            if i > 0 {
                x = self.gelu(&x, "none");
            }
            x = self.linear(&x, name, (w[1], w[0]), LinearFormat::STORED, true)?;
        }
        Ok(x)
    }

    /// Features `[images * patches, width]` of a SigLIP tower.
    fn tower(
        &mut self,
        images: &str,
        s: &VisionArchitecture,
        format: LinearFormat,
        count: usize,
    ) -> Result<Value, PolicyError> {
        let (w, patch) = (s.hidden_size, s.patch_size);
        let patches = s.patches();
        let name = format!("{}.embeddings.patch_embedding", s.root);
        let weights = self.source.weights(MatrixRequest {
            name: &name,
            outputs: w,
            inputs: 3 * patch * patch,
            encoding: None,
        })?;
        let kernel = [w, 3, patch, patch];
        let weight = format!("{name}.weight");
        let weight = self.graph.floats(&weight, &kernel, &weights.row_major())?;
        let bias = self.vector(&format!("{name}.bias"), w)?;
        let name = format!("{}.embeddings.position_embedding.weight", s.root);
        let positions = self.source.vector(&name, patches * w)?;
        let positions = self.graph.floats(&name, &[patches, w], &positions)?;
        let g = &mut self.graph;
        let strides = [patch as i64; 2];
        let x = g.op(
            "Conv",
            &[images, &weight, &bias],
            &[
                Attribute::Ints("kernel_shape", &strides),
                Attribute::Ints("strides", &strides),
            ],
        );
        let shape = g.list(&[count as i64, w as i64, patches as i64]);
        let x = g.op("Reshape", &[&x, &shape], &[]);
        let x = g.op("Transpose", &[&x], &[Attribute::Ints("perm", &[0, 2, 1])]);
        let mut x = g.op("Add", &[&x, &positions], &[]);
        for i in 0..s.layers {
            x = self.encoder_layer(&x, s, format, (i, count))?;
        }
        let shape = self.graph.list(&[(count * patches) as i64, w as i64]);
        Ok(self.graph.op("Reshape", &[&x, &shape], &[]))
    }

    /// Residual stream `[images, patches, width]` to the next.
    fn encoder_layer(
        &mut self,
        x: &str,
        s: &VisionArchitecture,
        format: LinearFormat,
        (i, count): (usize, usize),
    ) -> Result<Value, PolicyError> {
        let (w, wide) = (s.hidden_size, s.intermediate_size);
        let name = |part: &str| format!("{}.encoder.layers.{i}.{part}", s.root);
        let normed = self.layer_norm(x, &name("layer_norm1"), w, s.norm_eps)?;
        let mut heads = Vec::new();
        let dim = w / s.heads;
        let split = [count, s.patches(), s.heads, dim].map(|n| n as i64);
        for part in ["q", "k", "v"] {
            let part = name(&format!("self_attn.{part}_proj"));
            let rows = self.linear(&normed, &part, (w, w), format, true)?;
            let shape = self.graph.list(&split);
            let rows = self.graph.op("Reshape", &[&rows, &shape], &[]);
            // Keys with their rows as columns.
            let perm: &[i64] = match heads.len() {
                1 => &[0, 2, 3, 1],
                _ => &[0, 2, 1, 3],
            };
            heads.push(
                self.graph
                    .op("Transpose", &[&rows], &[Attribute::Ints("perm", perm)]),
            );
        }
        let mixed = self.attention((&heads[0], &heads[1], &heads[2]), dim, None);
        let g = &mut self.graph;
        let mixed = g.op(
            "Transpose",
            &[&mixed],
            &[Attribute::Ints("perm", &[0, 2, 1, 3])],
        );
        let shape = g.list(&[count as i64, s.patches() as i64, w as i64]);
        let mixed = g.op("Reshape", &[&mixed, &shape], &[]);
        let out = self.linear(&mixed, &name("self_attn.out_proj"), (w, w), format, true)?;
        let x = self.graph.op("Add", &[x, &out], &[]);
        let normed = self.layer_norm(&x, &name("layer_norm2"), w, s.norm_eps)?;
        let up = self.linear(&normed, &name("mlp.fc1"), (wide, w), format, true)?;
        let up = self.gelu(&up, "tanh");
        let down = self.linear(&up, &name("mlp.fc2"), (w, wide), format, true)?;
        Ok(self.graph.op("Add", &[&x, &down], &[]))
    }

    /// Softmax attention over `[.., heads, queries, dim]`, keys `[.., heads, dim, keys]` and values `[.., heads, keys, dim]`.
    fn attention(
        &mut self,
        (q, k, v): (&str, &str, &str),
        dim: usize,
        mask: Option<&str>,
    ) -> Value {
        let g = &mut self.graph;
        let scores = g.op("MatMul", &[q, k], &[]);
        let scale = g.number(1.0 / (dim as f32).sqrt());
        let mut scores = g.op("Mul", &[&scores, &scale], &[]);
        if let Some(mask) = mask {
            scores = g.op("Add", &[&scores, mask], &[]);
        }
        let weights = g.op("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
        g.op("MatMul", &[&weights, v], &[])
    }

    /// Tables that all layers of the language model share, for rows `x`.
    fn sequence(
        &mut self,
        s: &LanguageArchitecture,
        mask: AttentionMask,
        x: &str,
        (from, to): (Value, Value),
    ) -> Sequence {
        let dim = s.hidden_size / s.heads;
        let exponent = |i: usize| (2 * (i % (dim / 2))) as f32 / dim as f32;
        let inverse = |i: usize| 1.0 / libm::powf(s.rope_theta, exponent(i));
        let frequencies: Vec<f32> = (0..dim).map(inverse).collect();
        let g = &mut self.graph;
        let bytes = frequencies.iter().flat_map(|x| x.to_le_bytes()).collect();
        let frequencies = g.constant(&[1, dim], bytes, FLOAT);
        let shape = g.op(
            "Shape",
            &[x],
            &[Attribute::Int("start", 0), Attribute::Int("end", 1)],
        );
        let nothing = g.list(&[]);
        let count = g.op("Reshape", &[&shape, &nothing], &[]);
        let (zero, one) = (g.ints(&[], &[0]), g.ints(&[], &[1]));
        let places = g.op("Range", &[&zero, &count, &one], &[]);
        let as_float = [Attribute::Int("to", i64::from(FLOAT))];
        let places = g.op("Cast", &[&places], &as_float);
        let (column, row) = (g.list(&[-1, 1]), g.list(&[1, -1]));
        let column = g.op("Reshape", &[&places, &column], &[]);
        let angles = g.op("Mul", &[&column, &frequencies], &[]);
        let mask = match mask {
            AttentionMask::Bidirectional => None,
            AttentionMask::Causal => {
                let row = g.op("Reshape", &[&places, &row], &[]);
                let later = g.op("Greater", &[&row, &column], &[]);
                let (hidden, seen) = (g.number(f32::NEG_INFINITY), g.number(0.0));
                Some(g.op("Where", &[&later, &hidden, &seen], &[]))
            }
        };
        Sequence {
            cos: g.op("Cos", &[&angles], &[]),
            sin: g.op("Sin", &[&angles], &[]),
            mask,
            from,
            to,
        }
    }

    /// Rows `from..to` of a value `[rows, ..]`.
    fn cut(&mut self, x: &str, sequence: &Sequence) -> Value {
        let axis = self.graph.list(&[0]);
        let inputs = [x, &sequence.from, &sequence.to, &axis];
        self.graph.op("Slice", &inputs, &[])
    }

    /// Rows of all tokens to those of the action placeholders, normed. The last layer computes no others.
    fn language_model(
        &mut self,
        mut x: Value,
        s: &LanguageArchitecture,
        format: LinearFormat,
        sequence: &Sequence,
    ) -> Result<Value, PolicyError> {
        for i in 0..s.layers {
            let last = i + 1 == s.layers;
            x = self.decoder_layer(&x, s, format, sequence, (i, last))?;
        }
        if s.layers == 0 {
            x = self.cut(&x, sequence);
        }
        self.rms_norm(
            &x,
            "language_model.model.norm.weight",
            s.hidden_size,
            s.norm_eps,
        )
    }

    fn decoder_layer(
        &mut self,
        x: &str,
        s: &LanguageArchitecture,
        format: LinearFormat,
        sequence: &Sequence,
        (i, last): (usize, bool),
    ) -> Result<Value, PolicyError> {
        let (w, wide, dim) = (s.hidden_size, s.intermediate_size, s.hidden_size / s.heads);
        let kv = s.key_value_heads * dim;
        let name = |part: &str| format!("language_model.model.layers.{i}.{part}");
        let normed = self.rms_norm(x, &name("input_layernorm.weight"), w, s.norm_eps)?;
        let (asked, stream) = match last {
            true => (self.cut(&normed, sequence), self.cut(x, sequence)),
            false => (normed.clone(), x.to_owned()),
        };
        let q = self.linear(&asked, &name("self_attn.q_proj"), (w, w), format, false)?;
        let k = self.linear(&normed, &name("self_attn.k_proj"), (kv, w), format, false)?;
        let v = self.linear(&normed, &name("self_attn.v_proj"), (kv, w), format, false)?;
        let (q, k, v) = (
            self.split_heads(&q, s.heads, dim),
            self.split_heads(&k, s.key_value_heads, dim),
            self.split_heads(&v, s.key_value_heads, dim),
        );
        let (cos, sin, mask) = match last {
            true => (
                self.cut(&sequence.cos, sequence),
                self.cut(&sequence.sin, sequence),
                sequence.mask.as_ref().map(|mask| self.cut(mask, sequence)),
            ),
            false => (
                sequence.cos.clone(),
                sequence.sin.clone(),
                sequence.mask.clone(),
            ),
        };
        let q = self.rotate(&q, (&cos, &sin), dim);
        let k = self.rotate(&k, (&sequence.cos, &sequence.sin), dim);
        let k = self.repeat(&k, s, dim);
        let v = self.repeat(&v, s, dim);
        let g = &mut self.graph;
        let k = g.op("Transpose", &[&k], &[Attribute::Ints("perm", &[0, 2, 1])]);
        let mixed = self.attention((&q, &k, &v), dim, mask.as_deref());
        let g = &mut self.graph;
        let mixed = g.op(
            "Transpose",
            &[&mixed],
            &[Attribute::Ints("perm", &[1, 0, 2])],
        );
        let shape = g.list(&[-1, w as i64]);
        let mixed = g.op("Reshape", &[&mixed, &shape], &[]);
        let mixed = self.rms_norm(
            &mixed,
            &name("self_attn.attn_sub_norm.weight"),
            w,
            s.norm_eps,
        )?;
        let out = self.linear(&mixed, &name("self_attn.o_proj"), (w, w), format, false)?;
        let x = self.graph.op("Add", &[&stream, &out], &[]);
        let part = name("post_attention_layernorm.weight");
        let normed = self.rms_norm(&x, &part, w, s.norm_eps)?;
        let gate = self.linear(&normed, &name("mlp.gate_proj"), (wide, w), format, false)?;
        let up = self.linear(&normed, &name("mlp.up_proj"), (wide, w), format, false)?;
        let g = &mut self.graph;
        let gate = g.op("Relu", &[&gate], &[]);
        let gate = g.op("Mul", &[&gate, &gate], &[]);
        let gated = g.op("Mul", &[&gate, &up], &[]);
        let gated = self.rms_norm(&gated, &name("mlp.ffn_sub_norm.weight"), wide, s.norm_eps)?;
        let down = self.linear(&gated, &name("mlp.down_proj"), (w, wide), format, false)?;
        Ok(self.graph.op("Add", &[&x, &down], &[]))
    }

    /// Rows of `heads * dim` to `[heads, rows, dim]`.
    fn split_heads(&mut self, x: &str, heads: usize, dim: usize) -> Value {
        let g = &mut self.graph;
        let shape = g.list(&[-1, heads as i64, dim as i64]);
        let x = g.op("Reshape", &[x, &shape], &[]);
        g.op("Transpose", &[&x], &[Attribute::Ints("perm", &[1, 0, 2])])
    }

    /// Rotary embedding of `[heads, rows, dim]`, pairs `(i, i + dim / 2)`.
    fn rotate(&mut self, x: &str, (cos, sin): (&str, &str), dim: usize) -> Value {
        let half = (dim / 2) as i64;
        let g = &mut self.graph;
        let axis = g.list(&[2]);
        let (zero, middle, end) = (g.list(&[0]), g.list(&[half]), g.list(&[2 * half]));
        let low = g.op("Slice", &[x, &zero, &middle, &axis], &[]);
        let high = g.op("Slice", &[x, &middle, &end, &axis], &[]);
        let high = g.op("Neg", &[&high], &[]);
        let turned = g.op("Concat", &[&high, &low], &[Attribute::Int("axis", 2)]);
        let (x, turned) = (
            g.op("Mul", &[x, cos], &[]),
            g.op("Mul", &[&turned, sin], &[]),
        );
        g.op("Add", &[&x, &turned], &[])
    }

    /// Every head of keys or values as often as query heads share it.
    fn repeat(&mut self, x: &str, s: &LanguageArchitecture, dim: usize) -> Value {
        let group = s.heads / s.key_value_heads;
        if group == 1 {
            return x.to_owned();
        }
        let g = &mut self.graph;
        let axis = g.list(&[1]);
        let x = g.op("Unsqueeze", &[x, &axis], &[]);
        let shape = g.list(&[1, group as i64, 1, 1]);
        let x = g.op("Expand", &[&x, &shape], &[]);
        let shape = g.list(&[s.heads as i64, -1, dim as i64]);
        g.op("Reshape", &[&x, &shape], &[])
    }

    /// Hidden states `[chunk * dim, width]` to normalised actions `[chunk, dim]`.
    fn action_head(&mut self, states: &str, a: &Architecture) -> Result<Value, PolicyError> {
        let (width, dim) = (a.language.hidden_size, a.action_dim);
        let name = |part: &str| format!("{ACTION_HEAD_PREFIX}model.{part}");
        let stored = LinearFormat::STORED;
        let shape = self
            .graph
            .list(&[a.action_chunk as i64, (dim * width) as i64]);
        let x = self.graph.op("Reshape", &[states, &shape], &[]);
        let x = self.layer_norm(&x, &name("layer_norm1"), dim * width, HEAD_EPS)?;
        let x = self.linear(&x, &name("fc1"), (width, dim * width), stored, true)?;
        let mut x = self.graph.op("Relu", &[&x], &[]);
        for i in 0..2 {
            let part = |k: usize| name(&format!("mlp_resnet_blocks.{i}.ffn.{k}"));
            let normed = self.layer_norm(&x, &part(0), width, HEAD_EPS)?;
            let y = self.linear(&normed, &part(1), (width, width), stored, true)?;
            let y = self.graph.op("Relu", &[&y], &[]);
            x = self.graph.op("Add", &[&x, &y], &[]);
        }
        let x = self.layer_norm(&x, &name("layer_norm2"), width, HEAD_EPS)?;
        self.linear(&x, &name("fc2"), (dim, width), stored, true)
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0f32; values.len()];
    for (i, row) in values.chunks_exact(columns).enumerate() {
        for (j, x) in row.iter().enumerate() {
            out[j * rows + i] = *x;
        }
    }
    out
}
