//! Architecture of a network. A config in the published shape gives BitVLA; that of OpenVLA-OFT, the baseline in
//! speed and memory, is defined here (`docs/reference/bitvla.md`, section 7).

use crate::linear::{Activation, Gate};
use crate::{AttentionMask, Config, PolicyError, language, vision};

/// Sizes and tokens of a vision-language-action model with parallel decoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Vision towers; their features are concatenated.
    pub towers: Vec<vision::VisionArchitecture>,
    /// Names of the layers between towers and language model.
    pub connector: Vec<&'static str>,
    /// Lengths of the rows before, between and behind them.
    pub connector_widths: Vec<usize>,
    /// Language model.
    pub language: language::LanguageArchitecture,
    /// Token that image features replace.
    pub image_token: u32,
    /// Token that the proprioception feature replaces.
    pub proprio_token: u32,
    /// Stop token behind the placeholders.
    pub stop_token: u32,
    /// Number of images of a query, agentview first.
    pub num_images: usize,
    /// Number of actions decoded at once.
    pub action_chunk: usize,
    /// Length of an action.
    pub action_dim: usize,
    /// Length of the proprioception.
    pub proprio_dim: usize,
    /// Attention mask of the language model.
    pub attention: AttentionMask,
}

impl From<&Config> for Architecture {
    fn from(c: &Config) -> Architecture {
        let language = language::LanguageArchitecture::from(&c.text_config);
        Architecture {
            connector: vec![
                "multi_modal_projector.linear_1",
                "multi_modal_projector.linear_2",
            ],
            connector_widths: vec![
                c.vision_config.hidden_size,
                language.hidden_size,
                language.hidden_size,
            ],
            towers: vec![vision::VisionArchitecture::from(&c.vision_config)],
            language,
            image_token: c.image_token_index,
            proprio_token: c.proprio_token(),
            stop_token: c.stop_token(),
            num_images: c.num_images,
            action_chunk: c.action_chunk,
            action_dim: c.action_dim,
            proprio_dim: c.proprio_dim,
            attention: c.attention,
        }
    }
}

/// `config.json` of the published model, reduced to the fields that define the network (`docs/reference/bitvla.md`, sections 1 and 6).
const BITVLA_3B: &str = r#"{
  "model_type": "bitvla", "image_token_index": 128010, "vocab_size": 128268,
  "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
  "text_config": {
    "vocab_size": 128268, "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 30,
    "num_attention_heads": 20, "num_key_value_heads": 5, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "max_position_embeddings": 4096, "bos_token_id": 128000, "eos_token_id": 128001
  },
  "vision_config": {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26, "num_attention_heads": 16,
    "image_size": 224, "patch_size": 14, "layer_norm_eps": 1e-6, "vit_weight_bits": 1, "vit_act_bits": 8
  }
}"#;

impl Config {
    /// Config of the published model of 3 billion parameters.
    ///
    /// # Errors
    /// Never, as the built-in text is parsed by a test.
    pub fn bitvla_3b() -> Result<Config, PolicyError> {
        let place = std::path::Path::new("the built-in config of bitvla-3b");
        serde_json::from_str(BITVLA_3B).map_err(|e| crate::error::file_error(place, e))
    }
}

impl Architecture {
    /// OpenVLA-OFT: DINOv2 and SigLIP, three projector layers, Llama-2-7B. The features are those of the last layer
    /// but one, so the last layer of each tower is left out: nothing ever computes it.
    pub fn openvla_oft_7b() -> Architecture {
        let tower =
            |root: &str, hidden_size, intermediate_size, layers| vision::VisionArchitecture {
                root: format!("vision_backbone.{root}"),
                hidden_size,
                intermediate_size,
                layers,
                heads: 16,
                image_size: 224,
                patch_size: 14,
                norm_eps: 1e-6,
                prefix_tokens: 0,
                gelu: Activation::GeluTanh,
                imagenet: false,
            };
        Architecture {
            towers: vec![
                vision::VisionArchitecture {
                    prefix_tokens: 5,
                    gelu: Activation::GeluErf,
                    imagenet: true,
                    ..tower("featurizer", 1024, 4096, 23)
                },
                tower("fused_featurizer", 1152, 4304, 26),
            ],
            connector: vec!["projector.fc1", "projector.fc2", "projector.fc3"],
            connector_widths: vec![2176, 8704, 4096, 4096],
            language: language::LanguageArchitecture {
                vocab_size: 32064,
                hidden_size: 4096,
                intermediate_size: 11008,
                layers: 32,
                heads: 32,
                key_value_heads: 32,
                norm_eps: 1e-5,
                rope_theta: 10_000.0,
                max_positions: 2048,
                gate: Gate::Silu,
            },
            // Ids behind the words stand for what is put in their place.
            image_token: 32001,
            proprio_token: 32002,
            stop_token: 2,
            num_images: 2,
            action_chunk: 8,
            action_dim: 7,
            proprio_dim: 8,
            attention: AttentionMask::Bidirectional,
        }
    }

    /// Number of action placeholders of a query.
    pub fn placeholders(&self) -> usize {
        self.action_chunk * self.action_dim
    }

    /// Number of image tokens of a query.
    pub fn patches(&self) -> usize {
        self.num_images
            * self
                .towers
                .first()
                .map_or(0, vision::VisionArchitecture::patches)
    }

    /// Side of the images, pixels.
    pub fn image_size(&self) -> usize {
        self.towers.first().map_or(0, |tower| tower.image_size)
    }
}
