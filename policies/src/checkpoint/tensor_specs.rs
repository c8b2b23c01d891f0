//! Names and shapes of the tensors of a checkpoint (`docs/reference/bitvla.md`, section 6).

use crate::Config;

/// Name and shape of a tensor.
pub type TensorSpec = (String, Vec<usize>);

/// Tensors of a checkpoint; the trainer writes exactly these.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpecs {
    /// Tensors of [`super::MODEL_FILE`].
    pub model: Vec<TensorSpec>,
    /// Tensors of [`super::MODEL_FILE`] that may be absent: the vocabulary head, which an action never needs.
    pub optional: Vec<TensorSpec>,
    /// Tensors of [`super::HEAD_FILE`].
    pub head: Vec<TensorSpec>,
    /// Tensors of [`super::PROPRIO_FILE`]; none for a policy without proprioception.
    pub proprio: Vec<TensorSpec>,
}

impl TensorSpecs {
    /// Tensors of a checkpoint with this config.
    pub fn new(config: &Config) -> TensorSpecs {
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
        if config.proprio_dim > 0 {
            pair(&mut proprio, "fc1", &[w, config.proprio_dim]);
            pair(&mut proprio, "fc2", &[w, w]);
        }
        TensorSpecs {
            model,
            optional,
            head,
            proprio,
        }
    }
}
