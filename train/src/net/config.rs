//! Sizes of the network and its quantised parts.

use crate::recipe::NetworkSizes;
use serde::{Deserialize, Serialize};

/// Parts that the straight-through estimator quantises (docs/reference/bitvla.md, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantConfig {
    /// Ternary weights and int8 activations in the language model.
    pub language: bool,
    /// Ternary weights in the vision tower.
    pub vision_weights: bool,
    /// int8 activations in the vision tower.
    pub vision_activations: bool,
}

impl QuantConfig {
    /// Full precision.
    pub const NONE: QuantConfig = QuantConfig {
        language: false,
        vision_weights: false,
        vision_activations: false,
    };
    /// All parts that the ternary checkpoint quantises.
    pub const ALL: QuantConfig = QuantConfig {
        language: true,
        vision_weights: true,
        vision_activations: true,
    };
}

/// Sizes (docs/reference/bitvla.md, section 1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetConfig {
    /// Side of an input image, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Images of a sample.
    pub images: usize,
    /// Width of the vision tower.
    pub vision_width: usize,
    /// Feed-forward width of the vision tower.
    pub vision_ffn: usize,
    /// Layers of the vision tower.
    pub vision_layers: usize,
    /// Heads of the vision tower, each vision_width / vision_heads wide.
    pub vision_heads: usize,
    /// Width of the language model.
    pub width: usize,
    /// Feed-forward width of the language model.
    pub ffn: usize,
    /// Layers of the language model.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Base of the rotary embedding.
    pub rope_theta: f32,
    /// True if a token attends to itself and earlier ones only.
    pub causal: bool,
    /// Number of actions of a chunk.
    pub chunk: usize,
    /// Number of components of an action.
    pub action_dim: usize,
    /// Number of components of the proprioception.
    pub proprio: usize,
    /// Token replaced by image features.
    pub image_token: u32,
    /// Token replaced by the proprioception feature.
    pub proprio_token: u32,
    /// Token behind the placeholders.
    pub stop_token: u32,
    /// Token in front.
    pub bos_token: u32,
}

impl NetConfig {
    /// Returns a network of these sizes: heads of 32 numbers, one key and value head for two query heads, two images of 112
    /// pixels in patches of 16.
    pub fn sized(sizes: &NetworkSizes, vocab: usize) -> NetConfig {
        let heads = sizes.width / 32;
        NetConfig {
            image_size: 112,
            patch: 16,
            images: 2,
            vision_width: sizes.width,
            vision_ffn: sizes.vision_ffn,
            vision_layers: sizes.vision_layers,
            vision_heads: heads,
            width: sizes.width,
            ffn: sizes.language_ffn,
            layers: sizes.language_layers,
            heads,
            kv_heads: heads / 2,
            vocab,
            rope_theta: 500_000.0,
            causal: false,
            chunk: 8,
            action_dim: 7,
            proprio: 8,
            image_token: 3,
            proprio_token: 4,
            stop_token: 2,
            bos_token: 1,
        }
    }

    /// Number of patches of one image.
    pub fn patches(&self) -> usize {
        let side = self.image_size / self.patch;
        side * side
    }

    /// Width of one head of the language model.
    pub fn head_dim(&self) -> usize {
        self.width / self.heads
    }

    /// Number of action placeholders: chunk * action_dim.
    pub fn placeholders(&self) -> usize {
        self.chunk * self.action_dim
    }
}
