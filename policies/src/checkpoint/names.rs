//! Names of tensors: what wrappers and versions of the Python library put before and between the published names
//! (`docs/reference/bitvla.md`, section 6) is taken off, and buffers that are no parameters are known.

/// Segments that wrappers insert: distributed training, compilation, sharding, activation checkpointing.
const WRAPPERS: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// What an adapter library puts before every name.
const ADAPTER: &str = "base_model.model.";

/// Endings of names of buffers that old files carry and nothing reads: they are computed from the config.
const BUFFERS: [&str; 5] = [
    "rotary_emb.inv_freq",
    "rotary_emb.original_inv_freq",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    "embeddings.position_ids",
];

/// True if a tensor is a buffer that a query does not need.
pub fn is_buffer(name: &str) -> bool {
    BUFFERS.iter().any(|end| name.ends_with(end))
}

/// The published name of a tensor.
///
/// Wrappers are taken off wherever they are. Version 5 of transformers has one level more (`model.`) at the top and one less
/// in the language model (`model.language_model.layers`) and the tower (`vision_tower.encoder`).
pub fn canonical(name: &str) -> String {
    let mut name: String = {
        let kept: Vec<&str> = name.split('.').filter(|s| !WRAPPERS.contains(s)).collect();
        kept.join(".")
    };
    while let Some(rest) = name.strip_prefix(ADAPTER) {
        name = rest.to_owned();
    }
    const PARTS: [&str; 3] = ["vision_tower.", "multi_modal_projector.", "language_model."];
    if let Some(rest) = name.strip_prefix("model.")
        && (PARTS.iter().any(|part| rest.starts_with(part)) || rest.starts_with("lm_head."))
    {
        name = rest.to_owned();
    }
    if let Some(rest) = name.strip_prefix("language_model.")
        && ["layers.", "embed_tokens.", "norm."]
            .iter()
            .any(|part| rest.starts_with(part))
    {
        return format!("language_model.model.{rest}");
    }
    if name.starts_with("lm_head.") {
        return format!("language_model.{name}");
    }
    match name.strip_prefix("vision_tower.") {
        Some(rest) if !rest.starts_with("vision_model.") => {
            format!("vision_tower.vision_model.{rest}")
        }
        _ => name,
    }
}

/// A name that belongs to an adapter that was not merged, and its part that says so, the factors of LoRA first.
pub fn unmerged<'a>(names: impl Iterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let parts = names.filter_map(|name| Some((name, adapter_part(name)?)));
    parts.min_by_key(|(_, part)| !part.starts_with("lora_"))
}

/// Part of an adapter that was not merged, if the name is of one.
fn adapter_part(name: &str) -> Option<&str> {
    name.split('.').find(|part| {
        part.starts_with("lora_") || *part == "base_layer" || *part == "modules_to_save"
    })
}

/// The name that looks most like `wanted`: most characters in common at both ends. None where less than half of it is.
pub fn lookalike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let common = |name: &str| {
        let ahead = wanted
            .bytes()
            .zip(name.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let rest = wanted.len().min(name.len()) - ahead;
        let ends = wanted.bytes().rev().zip(name.bytes().rev());
        ahead + ends.take(rest).take_while(|(a, b)| a == b).count()
    };
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let score = common(name);
        if 2 * score >= wanted.len() && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, name));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    //! Guarantee: names of wrappers and of transformers 5 become the published ones, published names stay, and the closest
    //! name is found.
    use super::*;

    #[test]
    fn names_become_the_published_ones() {
        let layer = "language_model.model.layers.3.mlp.up_proj.weight";
        let tower = "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias";
        for (name, wanted) in [
            (layer, layer),
            (tower, tower),
            (
                "module.language_model.model.layers.3.mlp.up_proj.weight",
                layer,
            ),
            (
                "_orig_mod.module.language_model.model.layers.3.mlp.up_proj.weight",
                layer,
            ),
            (
                "language_model._orig_mod.model.layers.3.mlp.up_proj.weight",
                layer,
            ),
            (
                "base_model.model.language_model.model.layers.3.mlp.up_proj.weight",
                layer,
            ),
            ("model.language_model.layers.3.mlp.up_proj.weight", layer),
            (
                "base_model.model.model.language_model.layers.3.mlp.up_proj.weight",
                layer,
            ),
            ("model.vision_tower.encoder.layers.0.mlp.fc1.bias", tower),
            (
                "model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias",
                tower,
            ),
            (
                "model.language_model.norm.weight",
                "language_model.model.norm.weight",
            ),
            ("lm_head.weight", "language_model.lm_head.weight"),
            (
                "model.language_model.lm_head.weight",
                "language_model.lm_head.weight",
            ),
            (
                "model.multi_modal_projector.linear_1.bias",
                "multi_modal_projector.linear_1.bias",
            ),
            // The action head's own level stays.
            ("module.model.fc1.weight", "model.fc1.weight"),
            ("model.layer_norm1.bias", "model.layer_norm1.bias"),
        ] {
            assert_eq!(canonical(name), wanted, "{name}");
        }
    }

    #[test]
    fn buffers_and_adapters_are_known_by_name() {
        assert!(is_buffer(
            "language_model.model.layers.0.self_attn.rotary_emb.inv_freq"
        ));
        assert!(is_buffer(
            "vision_tower.vision_model.embeddings.position_ids"
        ));
        assert!(!is_buffer(
            "vision_tower.vision_model.embeddings.position_embedding.weight"
        ));
        assert_eq!(
            adapter_part("a.q_proj.lora_A.default.weight"),
            Some("lora_A")
        );
        assert_eq!(
            adapter_part("a.q_proj.base_layer.weight"),
            Some("base_layer")
        );
        assert_eq!(adapter_part("a.q_proj.weight"), None);
        let names = ["a.weight", "b.base_layer.weight", "b.lora_B.weight"];
        assert_eq!(
            unmerged(names.into_iter()),
            Some(("b.lora_B.weight", "lora_B"))
        );
    }

    #[test]
    fn the_closest_name_is_found() {
        let names = [
            "decoder.layers.0.mlp.up.weight",
            "layers.1.mlp.up_proj.weight",
            "x",
        ];
        let like = lookalike("layers.0.mlp.up_proj.weight", names.into_iter());
        assert_eq!(like, Some("layers.1.mlp.up_proj.weight"));
        assert_eq!(
            lookalike("embed_tokens.weight", ["norm.bias"].into_iter()),
            None
        );
    }
}
