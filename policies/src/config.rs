//! `config.json` in the published shape (`docs/reference/bitvla.md`, section 6), the same structs at every size.
//! Fields that the published file does not have are optional and default to the published behaviour.

use crate::PolicyError;
use crate::error::file_error;
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
    /// Length of the proprioception.
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
    #[serde(default = "rope_theta")]
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
fn rope_theta() -> f32 {
    500_000.0
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
        let text = std::fs::read(path).map_err(|e| file_error(path, e))?;
        Config::parse(&text, path)
    }

    /// Reads and checks the text of a file that came from `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &[u8], path: &Path) -> Result<Config, PolicyError> {
        let mut config: Config = serde_json::from_slice(text).map_err(|e| file_error(path, e))?;
        config.settle();
        config.check().map_err(|what| file_error(path, what))?;
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
            .unwrap_or(self.image_token_index + 1)
    }

    /// Stop token behind the action placeholders; 128001 where the file does not say.
    pub fn stop_token(&self) -> u32 {
        self.text_config.eos_token_id.unwrap_or(128_001)
    }

    /// Number of action placeholders of a query.
    pub fn placeholders(&self) -> usize {
        self.action_chunk * self.action_dim
    }

    fn check(&self) -> Result<(), String> {
        let (t, v) = (&self.text_config, &self.vision_config);
        let require = |ok: bool, what: String| if ok { Ok(()) } else { Err(what) };
        let kind = self.model_type.as_str();
        require(
            matches!(kind, "bitvla" | "llava" | "openvla"),
            format!("model_type `{kind}`, expected `bitvla`, `llava` or `openvla`"),
        )?;
        require(
            self.vision_feature_layer == -1 && self.vision_feature_select_strategy == "full",
            "only vision_feature_layer -1 with strategy `full` is supported".into(),
        )?;
        let sizes = [
            t.vocab_size,
            t.hidden_size,
            t.intermediate_size,
            t.num_attention_heads,
            t.num_key_value_heads,
            v.hidden_size,
            v.intermediate_size,
            v.num_attention_heads,
            v.image_size,
            v.patch_size,
            self.num_images,
            self.action_chunk,
            self.proprio_dim,
        ];
        require(sizes.iter().all(|&s| s > 0), "a size is zero".into())?;
        require(
            self.action_dim == 7,
            format!("action_dim {}, expected 7", self.action_dim),
        )?;
        let (h, q, kv) = (t.hidden_size, t.num_attention_heads, t.num_key_value_heads);
        require(
            h % (2 * q) == 0 && q.is_multiple_of(kv),
            format!(
                "text width {h} with {q} query and {kv} key-value heads does not divide evenly"
            ),
        )?;
        let (h, n) = (v.hidden_size, v.num_attention_heads);
        require(
            h.is_multiple_of(n),
            format!("vision width {h} is not divisible by {n} heads"),
        )?;
        require(
            v.image_size >= v.patch_size,
            format!(
                "image_size {} is smaller than patch_size {}",
                v.image_size, v.patch_size
            ),
        )?;
        require(
            matches!(v.vit_weight_bits, 1 | 32) && matches!(v.vit_act_bits, 8 | 32),
            format!(
                "vit bits {}/{}: weights 1 or 32, activations 8 or 32",
                v.vit_weight_bits, v.vit_act_bits
            ),
        )
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
