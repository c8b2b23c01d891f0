//! Bounds of `config.json`, checked before anything is made of its numbers: sizes that no network has, parts that do not
//! fit each other, tokens outside the vocabulary, and a prompt that is too long for the network.

use super::Config;
use crate::language::MAX_QUERY_TOKENS;

/// Smallest and largest value of every size. The largest are some ten times those of the largest published networks.
fn sizes(c: &Config) -> [(&'static str, usize, usize, usize); 20] {
    let (t, v) = (&c.text_config, &c.vision_config);
    [
        ("num_images", c.num_images, 1, 64),
        ("action_chunk", c.action_chunk, 1, 256),
        ("action_dim", c.action_dim, 7, 7),
        ("proprio_dim", c.proprio_dim, 0, 1024),
        ("text_config.vocab_size", t.vocab_size, 1, 1 << 22),
        ("text_config.hidden_size", t.hidden_size, 1, 1 << 16),
        (
            "text_config.intermediate_size",
            t.intermediate_size,
            1,
            1 << 18,
        ),
        ("text_config.num_hidden_layers", t.num_hidden_layers, 0, 512),
        (
            "text_config.num_attention_heads",
            t.num_attention_heads,
            1,
            1024,
        ),
        (
            "text_config.num_key_value_heads",
            t.num_key_value_heads,
            1,
            1024,
        ),
        (
            "text_config.max_position_embeddings",
            t.max_position_embeddings,
            1,
            1 << 24,
        ),
        ("vision_config.hidden_size", v.hidden_size, 1, 1 << 14),
        (
            "vision_config.intermediate_size",
            v.intermediate_size,
            1,
            1 << 16,
        ),
        (
            "vision_config.num_hidden_layers",
            v.num_hidden_layers,
            0,
            512,
        ),
        (
            "vision_config.num_attention_heads",
            v.num_attention_heads,
            1,
            1024,
        ),
        ("vision_config.image_size", v.image_size, 1, 4096),
        ("vision_config.patch_size", v.patch_size, 1, 4096),
        (
            "vision_config.vit_weight_bits",
            v.vit_weight_bits as usize,
            1,
            32,
        ),
        ("vision_config.vit_act_bits", v.vit_act_bits as usize, 8, 32),
        (
            "text_config.llm_weight_bits",
            t.llm_weight_bits.unwrap_or(1) as usize,
            1,
            32,
        ),
    ]
}

fn require(ok: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(what()) }
}

/// Checks a config whose fields have been read.
///
/// # Errors
/// Names field, value and bound.
pub(super) fn check(config: &Config) -> Result<(), String> {
    let (t, v) = (&config.text_config, &config.vision_config);
    let kind = config.model_type.as_str();
    require(matches!(kind, "bitvla" | "llava" | "openvla"), || {
        format!("model_type `{kind}`, expected `bitvla`, `llava` or `openvla`")
    })?;
    require(
        config.vision_feature_layer == -1 && config.vision_feature_select_strategy == "full",
        || {
            "only vision_feature_layer -1 with vision_feature_select_strategy `full` is built"
                .into()
        },
    )?;
    for (name, value, least, most) in sizes(config) {
        require((least..=most).contains(&value), || {
            let bound = if least == most {
                most.to_string()
            } else {
                format!("{least} to {most}")
            };
            format!("{name} {value}, expected {bound}")
        })?;
    }
    let (h, q, kv) = (t.hidden_size, t.num_attention_heads, t.num_key_value_heads);
    require(h % (2 * q) == 0 && q.is_multiple_of(kv), || {
        format!("text width {h} with {q} query and {kv} key-value heads does not divide evenly")
    })?;
    let (h, n) = (v.hidden_size, v.num_attention_heads);
    require(h.is_multiple_of(n), || {
        format!("vision width {h} is not divisible by {n} heads")
    })?;
    require(v.image_size >= v.patch_size, || {
        format!(
            "image_size {} is smaller than patch_size {}",
            v.image_size, v.patch_size
        )
    })?;
    for (name, bits, coarse) in [
        ("vision_config.vit_weight_bits", v.vit_weight_bits, 1),
        ("vision_config.vit_act_bits", v.vit_act_bits, 8),
        (
            "text_config.llm_weight_bits",
            t.llm_weight_bits.unwrap_or(1),
            1,
        ),
    ] {
        require(bits == coarse || bits == 32, || {
            format!("{name} {bits}, expected {coarse} or 32")
        })?;
    }
    for (name, eps) in [
        ("text_config.rms_norm_eps", t.rms_norm_eps),
        ("vision_config.layer_norm_eps", v.layer_norm_eps),
    ] {
        require(eps > 0.0 && eps <= 1.0, || {
            format!("{name} {eps}, expected a number above 0, at most 1")
        })?;
    }
    let theta = t.rope_theta;
    require((1.0..=1e12).contains(&theta), || {
        format!("text_config.rope_theta {theta}, expected 1 to 1e12")
    })?;
    tokens(config)?;
    prompt(config)
}

/// Tokens that every query has are inside the vocabulary and differ.
fn tokens(config: &Config) -> Result<(), String> {
    let text = &config.text_config;
    let (image, proprio) = (config.image_token_index, config.proprio_token());
    let named = [
        ("image_token_index", Some(image)),
        (
            "proprio_token_index",
            (config.proprio_dim > 0).then_some(proprio),
        ),
        ("text_config.bos_token_id", text.bos_token_id),
        ("text_config.eos_token_id", Some(config.stop_token())),
    ];
    for (name, token) in named {
        let Some(token) = token else { continue };
        require((token as usize) < text.vocab_size, || {
            format!(
                "{name} {token} is outside the vocabulary of {}",
                text.vocab_size
            )
        })?;
    }
    require(config.proprio_dim == 0 || image != proprio, || {
        format!("image_token_index and proprio_token_index are both {image}")
    })
}

/// Images and placeholders alone leave room for words.
fn prompt(config: &Config) -> Result<(), String> {
    let patches = config
        .num_images
        .saturating_mul(config.vision_config.patches());
    let fixed = patches.saturating_add(config.placeholders() + 1);
    let most = config
        .text_config
        .max_position_embeddings
        .min(MAX_QUERY_TOKENS);
    require(fixed < most, || {
        format!(
            "num_images {} of {} tokens each and {} action placeholders are {fixed} tokens, a query has at most {most} (max_position_embeddings {}, {MAX_QUERY_TOKENS} here)",
            config.num_images,
            config.vision_config.patches(),
            config.placeholders(),
            config.text_config.max_position_embeddings
        )
    })
}
