//! Helpers for tests of this and other crates: a tiny checkpoint of random weights, reproducible from a seed.

use crate::checkpoint::TensorSpec;
use crate::export::{WordLevelText, write_checkpoint};
use crate::normalise::{Percentiles, Statistics};
use crate::{
    AttentionMask, Config, PolicyError, TensorSpecs, TextConfig, VisionConfig, WeightFormat,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Random generator SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Generator of a seed.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64(seed)
    }
    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }
    /// Approximately normal: the sum of twelve uniform numbers minus six.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// Outputs and inputs of the linear layers of the published language model (q and o, k and v, gate and up, down) and of its vision
/// tower (q, k, v and out, fc1, fc2).
pub const PUBLISHED_LAYERS: [(usize, usize); 7] = [
    (2560, 2560),
    (640, 2560),
    (6912, 2560),
    (2560, 6912),
    (1152, 1152),
    (4304, 1152),
    (1152, 4304),
];

/// Words of the small vocabulary: those of the LIBERO-Spatial instructions.
pub const WORDS: [&str; 26] = [
    "pick", "up", "the", "black", "bowl", "between", "plate", "and", "ramekin", "place", "it",
    "on", "next", "to", "from", "table", "center", "cookie", "box", "in", "top", "drawer", "of",
    "wooden", "cabinet", "stove",
];

/// Config of a small checkpoint: token ids as the word-level tokenizer gives them.
pub fn small_config(image_size: usize, width: usize, layers: usize, vocab_size: usize) -> Config {
    Config {
        model_type: "bitvla".into(),
        vocab_size: None,
        image_token_index: 3,
        proprio_token_index: Some(4),
        vision_feature_layer: -1,
        vision_feature_select_strategy: "full".into(),
        num_images: 2,
        action_chunk: 8,
        action_dim: 7,
        proprio_dim: 8,
        attention: AttentionMask::Bidirectional,
        text_config: TextConfig {
            vocab_size,
            hidden_size: width,
            intermediate_size: width * 3,
            num_hidden_layers: layers,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            rms_norm_eps: 1e-5,
            rope_theta: 500_000.0,
            max_position_embeddings: 1024,
            tie_word_embeddings: false,
            bos_token_id: Some(1),
            eos_token_id: Some(2),
            llm_weight_bits: None,
            packed_scale: None,
        },
        vision_config: VisionConfig {
            hidden_size: width,
            intermediate_size: width * 4,
            num_hidden_layers: layers,
            num_attention_heads: 4,
            image_size,
            patch_size: 16,
            layer_norm_eps: 1e-6,
            vit_weight_bits: 1,
            vit_act_bits: 8,
        },
    }
}

/// The config of a checkpoint that was trained for a weight format: with quantisers in the vision tower, or without.
pub fn trained_for(format: WeightFormat, mut config: Config) -> Config {
    let (weights, activations) = if format.is_trained() {
        (1, 8)
    } else {
        (32, 32)
    };
    config.vision_config.vit_weight_bits = weights;
    config.vision_config.vit_act_bits = activations;
    config
}

/// Random values for tensors: norms one, biases zero, weights normal with the inverse root of the inputs.
pub fn random_tensors(specs: &[TensorSpec], random: &mut SplitMix64) -> BTreeMap<String, Vec<f32>> {
    let values = |(name, shape): &TensorSpec, random: &mut SplitMix64| {
        let count = shape.iter().product();
        let inputs: usize = shape[1..].iter().product();
        if name.ends_with("bias") {
            vec![0.0; count]
        } else if shape.len() == 1 {
            vec![1.0; count]
        } else {
            let scale = 1.0 / (inputs as f32).sqrt();
            (0..count).map(|_| random.normal() * scale).collect()
        }
    };
    specs
        .iter()
        .map(|spec| (spec.0.clone(), values(spec, random)))
        .collect()
}

/// Writes a whole checkpoint of random weights: images of 32 pixels, width 32, one layer each.
///
/// # Errors
/// If a file cannot be written.
pub fn write_tiny_checkpoint(dir: &Path) -> Result<(), PolicyError> {
    write_random_checkpoint(dir, &small_config(32, 32, 1, WORDS.len() + 5), 1)
}

/// Writes a checkpoint of random weights for a config.
///
/// # Errors
/// If a file cannot be written.
pub fn write_random_checkpoint(dir: &Path, config: &Config, seed: u64) -> Result<(), PolicyError> {
    let action = Percentiles {
        q01: vec![-0.75, -0.66, -0.94, -0.11, -0.21, -0.18, 0.0],
        q99: vec![0.94, 0.88, 0.93, 0.10, 0.18, 0.15, 1.0],
        mask: Some(vec![true, true, true, true, true, true, false]),
    };
    let proprio = Percentiles {
        q01: vec![-0.3, -0.25, 0.9, 2.8, -1.3, -0.4, 0.0, -0.04],
        q99: vec![0.15, 0.35, 1.3, 3.3, 0.9, 0.4, 0.04, 0.0],
        mask: None,
    };
    let specs = TensorSpecs::new(config);
    let mut random = SplitMix64::new(seed);
    let mut values = BTreeMap::new();
    for specs in [&specs.model, &specs.head, &specs.proprio] {
        values.extend(random_tensors(specs, &mut random));
    }
    let text = WordLevelText {
        words: &WORDS,
        keys: &["spatial"],
        statistics: &Statistics { action, proprio },
    };
    write_checkpoint(dir, config, &text, &values, true)
}
