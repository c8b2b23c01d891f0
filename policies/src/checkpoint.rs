//! A checkpoint folder: `config.json`, `model.safetensors`, `action_head.safetensors`,
//! `proprio_projector.safetensors`, `tokenizer.json`, `processor_config.json`, `dataset_statistics.json`
//! (fact sheet of BitVLA, section 6). Tensors are bf16 or f32; what is missing, extra or misshapen is an error that names it.

use crate::{Config, PolicyError};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// File of vision tower, connector and language model.
pub const MODEL_FILE: &str = "model.safetensors";
/// File of the action head.
pub const HEAD_FILE: &str = "action_head.safetensors";
/// File of the proprioception projector.
pub const PROPRIO_FILE: &str = "proprio_projector.safetensors";

/// Name and shape of a tensor.
pub type TensorSpec = (String, Vec<usize>);

/// A folder that was read and whose tensors are all there.
pub struct Checkpoint {
    dir: PathBuf,
    config: Config,
    model: TensorFile,
    head: TensorFile,
    proprio: TensorFile,
}

/// One tensor file in memory.
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Values as stored, so that an embedding can stay in bf16.
pub enum Stored {
    /// Upper halves of f32.
    Bf16(Vec<u16>),
    /// Plain.
    F32(Vec<f32>),
}

pub(crate) fn file_error(path: &Path, what: impl ToString) -> PolicyError {
    PolicyError::File {
        path: path.into(),
        what: what.to_string(),
    }
}

/// Reads a JSON file.
///
/// # Errors
/// Names the file when it cannot be read or has another shape.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, PolicyError> {
    let text = std::fs::read_to_string(path).map_err(|e| file_error(path, e))?;
    serde_json::from_str(&text).map_err(|e| file_error(path, e))
}

impl TensorFile {
    /// Reads a file and checks that it holds exactly the tensors of `expected`.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn read(
        path: &Path,
        expected: &[TensorSpec],
        optional: &[TensorSpec],
    ) -> Result<TensorFile, PolicyError> {
        let bytes = std::fs::read(path).map_err(|e| file_error(path, e))?;
        let file = TensorFile {
            path: path.into(),
            bytes,
        };
        let parsed = file.parse()?;
        let found: BTreeMap<String, TensorView<'_>> = parsed.tensors().into_iter().collect();
        let known: BTreeMap<&str, &[usize]> = expected
            .iter()
            .chain(optional)
            .map(|(name, shape)| (name.as_str(), shape.as_slice()))
            .collect();
        for (name, shape) in expected {
            if !found.contains_key(name) {
                return Err(file.error(name, format!("missing, expected shape {shape:?}")));
            }
        }
        for (name, view) in &found {
            let Some(shape) = known.get(name.as_str()) else {
                return Err(file.error(name, format!("unexpected, shape {:?}", view.shape())));
            };
            if view.shape() != *shape {
                return Err(file.error(
                    name,
                    format!("shape {:?}, expected {shape:?}", view.shape()),
                ));
            }
            if !matches!(view.dtype(), Dtype::BF16 | Dtype::F32) {
                return Err(file.error(
                    name,
                    format!("type {:?}, expected BF16 or F32", view.dtype()),
                ));
            }
        }
        Ok(file)
    }

    fn parse(&self) -> Result<SafeTensors<'_>, PolicyError> {
        SafeTensors::deserialize(&self.bytes).map_err(|e| file_error(&self.path, e))
    }

    fn error(&self, tensor: &str, what: String) -> PolicyError {
        PolicyError::Tensor {
            path: self.path.clone(),
            tensor: tensor.into(),
            what,
        }
    }

    /// A tensor as stored.
    ///
    /// # Errors
    /// When it is not there.
    pub fn stored(&self, name: &str) -> Result<Stored, PolicyError> {
        let parsed = self.parse()?;
        let view = parsed
            .tensor(name)
            .map_err(|e| self.error(name, e.to_string()))?;
        let bytes = view.data();
        Ok(if view.dtype() == Dtype::BF16 {
            Stored::Bf16(
                bytes
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|b| u16::from_le_bytes(*b))
                    .collect(),
            )
        } else {
            Stored::F32(
                bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
            )
        })
    }

    /// A tensor in f32. NaN and infinity are errors.
    ///
    /// # Errors
    /// When it is not there or not finite.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, PolicyError> {
        let values = match self.stored(name)? {
            Stored::F32(values) => values,
            Stored::Bf16(values) => values.into_iter().map(bf16_to_f32).collect(),
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(self.error(name, format!("element {i} is {}", values[i]))),
            None => Ok(values),
        }
    }
}

/// Widens a bf16.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Rounds to bf16, half to even.
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

impl Checkpoint {
    /// Reads a folder.
    ///
    /// # Errors
    /// Names the file, and the tensor where it is about one.
    pub fn load(dir: &Path) -> Result<Checkpoint, PolicyError> {
        let config = Config::read(&dir.join("config.json"))?;
        let specs = TensorSpecs::of(&config);
        Ok(Checkpoint {
            dir: dir.into(),
            model: TensorFile::read(&dir.join(MODEL_FILE), &specs.model, &specs.optional)?,
            head: TensorFile::read(&dir.join(HEAD_FILE), &specs.head, &[])?,
            proprio: TensorFile::read(&dir.join(PROPRIO_FILE), &specs.proprio, &[])?,
            config,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// Sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// Vision tower, connector and language model.
    pub fn model(&self) -> &TensorFile {
        &self.model
    }
    /// Action head.
    pub fn head(&self) -> &TensorFile {
        &self.head
    }
    /// Proprioception projector.
    pub fn proprio(&self) -> &TensorFile {
        &self.proprio
    }
}

/// The tensors that a checkpoint of some sizes has; the trainer writes exactly these.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpecs {
    /// Of [`MODEL_FILE`].
    pub model: Vec<TensorSpec>,
    /// Of [`MODEL_FILE`], may be absent: the vocabulary head, which an action never needs.
    pub optional: Vec<TensorSpec>,
    /// Of [`HEAD_FILE`].
    pub head: Vec<TensorSpec>,
    /// Of [`PROPRIO_FILE`].
    pub proprio: Vec<TensorSpec>,
}

impl TensorSpecs {
    /// For a config.
    pub fn of(config: &Config) -> TensorSpecs {
        let (t, v) = (&config.text_config, &config.vision_config);
        let (w, wide, kv) = (
            t.hidden_size,
            t.intermediate_size,
            t.num_key_value_heads * t.head_dim(),
        );
        let mut model = Vec::new();
        let pair = |list: &mut Vec<TensorSpec>, name: &str, shape: &[usize]| {
            list.push((format!("{name}.weight"), shape.to_vec()));
            list.push((format!("{name}.bias"), vec![shape[0]]));
        };
        let root = "vision_tower.vision_model";
        let p = v.patch_size;
        pair(
            &mut model,
            &format!("{root}.embeddings.patch_embedding"),
            &[v.hidden_size, 3, p, p],
        );
        model.push((
            format!("{root}.embeddings.position_embedding.weight"),
            vec![v.patches(), v.hidden_size],
        ));
        for i in 0..v.num_hidden_layers {
            let layer = format!("{root}.encoder.layers.{i}");
            for norm in ["layer_norm1", "layer_norm2"] {
                pair(&mut model, &format!("{layer}.{norm}"), &[v.hidden_size]);
            }
            for proj in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                pair(
                    &mut model,
                    &format!("{layer}.self_attn.{proj}"),
                    &[v.hidden_size, v.hidden_size],
                );
            }
            pair(
                &mut model,
                &format!("{layer}.mlp.fc1"),
                &[v.intermediate_size, v.hidden_size],
            );
            pair(
                &mut model,
                &format!("{layer}.mlp.fc2"),
                &[v.hidden_size, v.intermediate_size],
            );
        }
        pair(
            &mut model,
            "multi_modal_projector.linear_1",
            &[w, v.hidden_size],
        );
        pair(&mut model, "multi_modal_projector.linear_2", &[w, w]);
        let mut weight =
            |name: String, shape: &[usize]| model.push((format!("{name}.weight"), shape.to_vec()));
        weight(
            "language_model.model.embed_tokens".into(),
            &[t.vocab_size, w],
        );
        for i in 0..t.num_hidden_layers {
            let layer = format!("language_model.model.layers.{i}");
            weight(format!("{layer}.input_layernorm"), &[w]);
            weight(format!("{layer}.post_attention_layernorm"), &[w]);
            weight(format!("{layer}.self_attn.q_proj"), &[w, w]);
            weight(format!("{layer}.self_attn.k_proj"), &[kv, w]);
            weight(format!("{layer}.self_attn.v_proj"), &[kv, w]);
            weight(format!("{layer}.self_attn.o_proj"), &[w, w]);
            weight(format!("{layer}.self_attn.attn_sub_norm"), &[w]);
            weight(format!("{layer}.mlp.gate_proj"), &[wide, w]);
            weight(format!("{layer}.mlp.up_proj"), &[wide, w]);
            weight(format!("{layer}.mlp.down_proj"), &[w, wide]);
            weight(format!("{layer}.mlp.ffn_sub_norm"), &[wide]);
        }
        weight("language_model.model.norm".into(), &[w]);
        let optional = vec![(
            "language_model.lm_head.weight".to_string(),
            vec![t.vocab_size, w],
        )];
        let mut head = Vec::new();
        pair(&mut head, "model.layer_norm1", &[config.action_dim * w]);
        pair(&mut head, "model.fc1", &[w, config.action_dim * w]);
        for i in 0..2 {
            pair(
                &mut head,
                &format!("model.mlp_resnet_blocks.{i}.ffn.0"),
                &[w],
            );
            pair(
                &mut head,
                &format!("model.mlp_resnet_blocks.{i}.ffn.1"),
                &[w, w],
            );
        }
        pair(&mut head, "model.layer_norm2", &[w]);
        pair(&mut head, "model.fc2", &[config.action_dim, w]);
        let mut proprio = Vec::new();
        pair(&mut proprio, "fc1", &[w, config.proprio_dim]);
        pair(&mut proprio, "fc2", &[w, w]);
        TensorSpecs {
            model,
            optional,
            head,
            proprio,
        }
    }
}

/// Writes tensors as bf16 (rounded half to even) or f32, in the order of `specs`.
///
/// # Errors
/// When a tensor is missing from `values`, has another number of elements, or the file cannot be written.
pub fn write_tensors(
    path: &Path,
    specs: &[TensorSpec],
    values: &BTreeMap<String, Vec<f32>>,
    bf16: bool,
) -> Result<(), PolicyError> {
    let mut encoded = Vec::with_capacity(specs.len());
    for (name, shape) in specs {
        let wrong = |what: String| PolicyError::Tensor {
            path: path.into(),
            tensor: name.clone(),
            what,
        };
        let data = values
            .get(name)
            .ok_or_else(|| wrong("no values to write".into()))?;
        if data.len() != shape.iter().product::<usize>() {
            return Err(wrong(format!("{} values for shape {shape:?}", data.len())));
        }
        let bytes: Vec<u8> = if bf16 {
            data.iter()
                .flat_map(|&v| f32_to_bf16(v).to_le_bytes())
                .collect()
        } else {
            data.iter().flat_map(|v| v.to_le_bytes()).collect()
        };
        encoded.push((name.as_str(), shape.clone(), bytes));
    }
    let dtype = if bf16 { Dtype::BF16 } else { Dtype::F32 };
    let mut views = Vec::with_capacity(encoded.len());
    for (name, shape, bytes) in &encoded {
        let view = TensorView::new(dtype, shape.clone(), bytes).map_err(|e| file_error(path, e))?;
        views.push((*name, view));
    }
    let bytes = safetensors::serialize(views, None).map_err(|e| file_error(path, e))?;
    std::fs::write(path, bytes).map_err(|e| file_error(path, e))
}
