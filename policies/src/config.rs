//! `config.json` in the published shape (`docs/reference/bitvla.md`, section 6), the same structs at every size.
//! Fields that the published file does not have are optional and default to the published behaviour. Every field of a file
//! is used, known and without effect, or refused by name.

mod bounds;
mod field_tables;
mod fields;

pub use field_tables::fields_without_effect;

use crate::checkpoint_files::{parse_text, read_file};
use crate::error::file_error;
use crate::{PolicyError, WeightFormat};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Config of the whole model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `bitvla`, before its conversion `llava`, or, in some converted fine-tunes, `openvla`.
    pub model_type: String,
    /// Rows of the embedding, where the file says it here; else the text config's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Token that image features replace.
    pub image_token_index: u32,
    /// Token that the proprioception feature replaces; the image token plus one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proprio_token_index: Option<u32>,
    /// Hidden state of the vision tower that is used; only -1, the last, is supported.
    #[serde(default = "minus_one")]
    pub vision_feature_layer: i64,
    /// `full`: all patches.
    #[serde(default = "full")]
    pub vision_feature_select_strategy: String,
    /// Number of images of a query, agentview first.
    #[serde(default = "two")]
    pub num_images: usize,
    /// Number of actions decoded at once.
    #[serde(default = "eight")]
    pub action_chunk: usize,
    /// Length of an action.
    #[serde(default = "seven")]
    pub action_dim: usize,
    /// Length of the proprioception; 0: the policy takes none, and the prompt has no token for it.
    #[serde(default = "eight")]
    pub proprio_dim: usize,
    /// Attention mask of the language model.
    #[serde(default)]
    pub attention: AttentionMask,
    /// Language model.
    pub text_config: TextConfig,
    /// Vision tower.
    pub vision_config: VisionConfig,
}

/// Attention mask of the language model: `docs/reference/bitvla.md`, sections 0 and 1.6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttentionMask {
    /// Every token attends to every token (the published fine-tunes).
    #[default]
    Bidirectional,
    /// Lower triangular: a token attends to itself and the tokens before it.
    Causal,
}

/// Config of the language model (BitNet).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Length of a row of the residual stream.
    pub hidden_size: usize,
    /// Length of a row of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
    /// Epsilon of the RMS norms.
    #[serde(default = "eps_text")]
    pub rms_norm_eps: f32,
    /// Base of the rotary embedding.
    pub rope_theta: f32,
    /// Largest number of positions.
    #[serde(default = "max_positions")]
    pub max_position_embeddings: usize,
    /// True if `lm_head` is the embedding (then the file has no `lm_head`).
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Token in front of every prompt.
    #[serde(default)]
    pub bos_token_id: Option<u32>,
    /// Stop token behind the placeholders.
    #[serde(default)]
    pub eos_token_id: Option<u32>,
    /// 1: the linear layers were trained with ternary weights; 32: in full precision. Written by the trainer here; published
    /// files do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm_weight_bits: Option<u32>,
    /// Meaning of the scale of packed weights, from `quantization_config`; none where weights are not packed.
    #[serde(default, skip_serializing)]
    pub packed_scale: Option<PackedScale>,
}

/// Meaning of `NAME.weight_scale` beside packed ternary weights (`docs/reference/bitvla.md`, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackedScale {
    /// A weight is its code times the scale (linear class `autobitlinear`).
    Multiply,
    /// A weight is its code divided by the scale (linear class `bitlinear`).
    Divide,
}

/// Config of the vision tower (SigLIP). Fields that a file leaves out are those of the published tower (`docs/reference/bitvla.md`, section 1.2); ternary weights and int8
/// activations are off unless it asks for them (section 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// Length of a row of the residual stream.
    #[serde(default = "vision_width")]
    pub hidden_size: usize,
    /// Length of a row of the feed-forward part.
    #[serde(default = "vision_wide")]
    pub intermediate_size: usize,
    /// Number of layers.
    #[serde(default = "vision_layers")]
    pub num_hidden_layers: usize,
    /// Number of heads.
    #[serde(default = "vision_heads")]
    pub num_attention_heads: usize,
    /// Side of the square input, pixels.
    #[serde(default = "image_side")]
    pub image_size: usize,
    /// Side of a patch, pixels.
    #[serde(default = "patch_side")]
    pub patch_size: usize,
    /// Epsilon of the layer norms.
    #[serde(default = "eps_vision")]
    pub layer_norm_eps: f32,
    /// 1: ternary weights; 32: as stored.
    #[serde(default = "bits_off")]
    pub vit_weight_bits: u32,
    /// 8: int8 activations; 32: as they are.
    #[serde(default = "bits_off")]
    pub vit_act_bits: u32,
}

fn minus_one() -> i64 {
    -1
}
fn full() -> String {
    "full".into()
}
fn two() -> usize {
    2
}
fn seven() -> usize {
    7
}
fn eight() -> usize {
    8
}
fn eps_text() -> f32 {
    1e-5
}
fn eps_vision() -> f32 {
    1e-6
}
fn max_positions() -> usize {
    2048
}
fn vision_width() -> usize {
    1152
}
fn vision_wide() -> usize {
    4304
}
fn vision_layers() -> usize {
    26
}
fn vision_heads() -> usize {
    16
}
fn image_side() -> usize {
    224
}
fn patch_side() -> usize {
    14
}
fn bits_off() -> u32 {
    32
}

/// Rows of the embedding of the models of June 2025 and March 2026.
const PUBLISHED_VOCABULARIES: [usize; 2] = [128_264, 128_268];

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If the file cannot be read, is not JSON of this shape, or describes a network that cannot be built.
    pub fn read(path: &Path) -> Result<Config, PolicyError> {
        Config::parse(&read_file(path)?, path)
    }

    /// Reads and checks the text of a file that came from `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &[u8], path: &Path) -> Result<Config, PolicyError> {
        let fail = |what: String| file_error(path, what);
        let value = parse_text(text).map_err(|e| fail(e.to_string()))?;
        let value = fields::resolve(value, &PUBLISHED_VOCABULARIES).map_err(fail)?;
        let mut config: Config = serde_json::from_value(value).map_err(|e| fail(e.to_string()))?;
        config.settle();
        bounds::check(&config).map_err(fail)?;
        Ok(config)
    }

    /// Applies the overrides of the published code at run time: rows of the embedding, and the tokens of a published vocabulary,
    /// whatever the stock file says (`docs/reference/bitvla.md`, sections 0 and 2).
    fn settle(&mut self) {
        if let Some(rows) = self.vocab_size {
            self.text_config.vocab_size = rows;
        }
        if PUBLISHED_VOCABULARIES.contains(&self.text_config.vocab_size) {
            self.image_token_index = 128_010;
            self.proprio_token_index = Some(128_011);
            self.text_config.bos_token_id = Some(128_000);
            self.text_config.eos_token_id = Some(128_001);
        }
    }

    /// Token that the proprioception feature replaces.
    pub fn proprio_token(&self) -> u32 {
        self.proprio_token_index
            .unwrap_or(self.image_token_index.saturating_add(1))
    }

    /// Stop token behind the action placeholders; 128001 where the file does not say.
    pub fn stop_token(&self) -> u32 {
        self.text_config.eos_token_id.unwrap_or(128_001)
    }

    /// Number of action placeholders of a query.
    pub fn placeholders(&self) -> usize {
        self.action_chunk * self.action_dim
    }

    /// True if the files of this program may be absent, because their defaults are those of the published model.
    pub fn is_published(&self) -> bool {
        PUBLISHED_VOCABULARIES.contains(&self.text_config.vocab_size)
    }

    /// Checks that the weights were trained for a format: ternary weights only work as ternary ones, and a model that was
    /// trained in full precision only works with weights that are close to its own.
    ///
    /// # Errors
    /// Names the field that says how the weights were trained, and the formats that fit.
    pub fn check_format(&self, format: WeightFormat) -> Result<(), String> {
        let (t, v) = (&self.text_config, &self.vision_config);
        let ternary = [
            ("text_config.llm_weight_bits", t.llm_weight_bits == Some(1)),
            ("vision_config.vit_weight_bits", v.vit_weight_bits == 1),
            ("text_config.quantization_config", t.packed_scale.is_some()),
        ];
        let ternary = ternary.into_iter().find(|(_, there)| *there);
        match (ternary, t.llm_weight_bits) {
            (Some((field, _)), _) if !format.is_trained() => Err(format!(
                "{field}: trained with ternary weights, which `{format}` would not use: choose `{}`",
                WeightFormat::Ternary
            )),
            (None, Some(32)) if format.is_trained() => Err(format!(
                "text_config.llm_weight_bits 32: trained in full precision, its weights are not ternary: `{}` rounds them, `{}` keeps them",
                WeightFormat::PtqTernary,
                WeightFormat::Full
            )),
            _ => Ok(()),
        }
    }
}

impl TextConfig {
    /// Length of a row of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

impl VisionConfig {
    /// Number of patches of one image.
    pub fn patches(&self) -> usize {
        let side = self.image_size / self.patch_size;
        side * side
    }
}
