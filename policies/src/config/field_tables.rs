//! Fields of `config.json`: which are used, which are bound to what is built, and which have no effect on a query, with the
//! reasons.

use crate::json_fields::Field::{Fixed, NoEffect, Used};
use crate::json_fields::{FieldTable, Kind, without_effect};

const GENERATION: &str = "generation of text, which a query does not do";
const LIBRARY: &str = "form of the answers of the Python library";
const NOTE: &str = "a name or a note";
const TYPE: &str = "number type of the Python library; weights are read as they are stored";
const TRAINING: &str = "training only";

/// Fields that every config of the Python library may have.
pub(super) const COMMON: FieldTable = &[
    (
        NoEffect(GENERATION),
        &[
            "max_length",
            "min_length",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "num_return_sequences",
            "output_scores",
            "return_dict_in_generate",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens",
            "use_cache",
            "decoder_start_token_id",
            "sep_token_id",
            "pad_token_id",
            "prefix",
            "task_specific_params",
            "problem_type",
        ],
    ),
    (
        NoEffect(LIBRARY),
        &[
            "return_dict",
            "output_hidden_states",
            "output_attentions",
            "torchscript",
            "tf_legacy_loss",
            "chunk_size_feed_forward",
            "cross_attention_hidden_size",
            "tie_encoder_decoder",
            "attn_implementation",
        ],
    ),
    (
        NoEffect(NOTE),
        &[
            "architectures",
            "auto_map",
            "transformers_version",
            "finetuning_task",
            "id2label",
            "label2id",
            "num_labels",
            "tokenizer_class",
            "name_or_path",
        ],
    ),
    (NoEffect(TYPE), &["torch_dtype", "dtype", "use_bfloat16"]),
    (
        Fixed(&["false"]),
        &["is_encoder_decoder", "is_decoder", "add_cross_attention"],
    ),
    (Fixed(&["{}"]), &["pruned_heads"]),
];

/// Fields of the top level.
pub(super) const TOP: FieldTable = &[
    (
        Used(Kind::Text),
        &["model_type", "vision_feature_select_strategy", "attention"],
    ),
    (
        Used(Kind::Count),
        &[
            "vocab_size",
            "image_token_index",
            "image_token_id",
            "proprio_token_index",
            "proprio_token_id",
            "num_images",
            "action_chunk",
            "action_dim",
            "proprio_dim",
        ],
    ),
    (
        Used(Kind::Object),
        &[
            "text_config",
            "vision_config",
            "norm_stats",
            "quantization_config",
        ],
    ),
    (
        Used(Kind::Any),
        &["vision_feature_layer", "bos_token_id", "eos_token_id"],
    ),
    (Fixed(&["\"gelu\""]), &["projector_hidden_act"]),
    (Fixed(&["true"]), &["multimodal_projector_bias"]),
    (Fixed(&["false"]), &["use_fused_vision_backbone"]),
    (
        NoEffect("the vocabulary head is no part of a query"),
        &["tie_word_embeddings"],
    ),
    (
        NoEffect("the number of image tokens follows from image_size and patch_size"),
        &["image_seq_length"],
    ),
    (
        NoEffect("labels of discretised actions, which a query does not have"),
        &["n_action_bins", "pad_to_multiple_of"],
    ),
    (NoEffect(TRAINING), &["ignore_index", "initializer_range"]),
    (
        NoEffect(
            "names of the parts that OpenVLA's converter notes; the sizes are in text_config and vision_config",
        ),
        &[
            "arch_specifier",
            "hf_llm_id",
            "llm_backbone_id",
            "llm_max_length",
            "vision_backbone_id",
            "timm_model_ids",
            "timm_override_act_layers",
            "image_sizes",
            "image_resize_strategy",
            "output_projector_states",
        ],
    ),
];

/// Fields of `text_config`.
pub(super) const TEXT: FieldTable = &[
    (
        Used(Kind::Count),
        &[
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "max_position_embeddings",
            "head_dim",
            "llm_weight_bits",
        ],
    ),
    (Used(Kind::Number), &["rms_norm_eps", "rope_theta"]),
    (
        Used(Kind::Flag),
        &["tie_word_embeddings", "use_sliding_window"],
    ),
    (
        Used(Kind::Object),
        &["rope_parameters", "rope_scaling", "quantization_config"],
    ),
    (
        Used(Kind::Any),
        &[
            "bos_token_id",
            "eos_token_id",
            "sliding_window",
            "layer_types",
        ],
    ),
    (Fixed(&["\"relu2\""]), &["hidden_act"]),
    (Fixed(&["false"]), &["attention_bias", "mlp_bias"]),
    (
        NoEffect("the network is BitNet; its tensors are checked"),
        &["model_type"],
    ),
    (
        NoEffect("layers with a sliding window, of which there are none"),
        &["max_window_layers"],
    ),
    (NoEffect("ways of the same sums"), &["pretraining_tp"]),
    (
        NoEffect(TRAINING),
        &["attention_dropout", "initializer_range"],
    ),
];

/// Fields of `vision_config`.
pub(super) const VISION: FieldTable = &[
    (
        Used(Kind::Count),
        &[
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "image_size",
            "patch_size",
            "vit_weight_bits",
            "vit_act_bits",
        ],
    ),
    (Used(Kind::Number), &["layer_norm_eps"]),
    (Fixed(&["\"gelu_pytorch_tanh\""]), &["hidden_act"]),
    (Fixed(&["3"]), &["num_channels"]),
    (Fixed(&["\"absmean\""]), &["vit_weight_quant_method"]),
    (Fixed(&["\"absmax_per_token\""]), &["vit_act_quant_method"]),
    (
        NoEffect("the tower is SigLIP; its tensors are checked"),
        &["model_type"],
    ),
    (
        NoEffect("behind the features that are used"),
        &["vision_use_head", "projection_dim"],
    ),
    (
        NoEffect("tokens of a text model"),
        &["bos_token_id", "eos_token_id", "tie_word_embeddings"],
    ),
    (
        NoEffect(TRAINING),
        &[
            "attention_dropout",
            "initializer_range",
            "initializer_factor",
        ],
    ),
];

/// Fields of `rope_parameters` and `rope_scaling`.
pub(super) const ROPE: FieldTable = &[
    (Fixed(&["\"default\""]), &["rope_type", "type"]),
    (Used(Kind::Number), &["rope_theta"]),
    (
        Fixed(&["1"]),
        &["partial_rotary_factor", "factor", "attention_factor"],
    ),
];

/// `quantization_config` of packed ternary weights (`docs/reference/bitvla.md`, section 5).
pub(super) const QUANTIZATION: FieldTable = &[
    (Fixed(&["\"bitnet\""]), &["quant_method"]),
    (Used(Kind::Text), &["linear_class"]),
    (
        Fixed(&["\"offline\"", "\"online\""]),
        &["quantization_mode"],
    ),
    (Fixed(&["false"]), &["use_rms_norm"]),
    (
        NoEffect("the norm that use_rms_norm would add"),
        &["rms_norm_eps"],
    ),
    (
        NoEffect("the type of a tensor says whether it is packed"),
        &["modules_to_not_convert"],
    ),
];

/// Fields of `config.json` that are known and change no answer: place, name, reason.
///
/// ```
/// let all: Vec<_> = bitvla_policies::config::fields_without_effect().collect();
/// assert!(all.iter().any(|(place, name, _)| *place == "text_config" && *name == "attention_dropout"));
/// assert!(all.iter().all(|(_, name, _)| *name != "rope_scaling"));
/// ```
pub fn fields_without_effect() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let places: [(&str, &[FieldTable]); 4] = [
        ("every part", &[COMMON]),
        ("top level", &[TOP]),
        ("text_config", &[TEXT]),
        ("vision_config", &[VISION]),
    ];
    places.into_iter().flat_map(|(place, tables)| {
        without_effect(tables).map(move |(name, reason)| (place, name, reason))
    })
}
