//! Guarantee: the full-precision network equals the same network written plainly with candle's tensors, to 1e-4
//! of normalised actions: an implementation that shares no kernel and no layer with ours.

use bitvla_policies::testing::{WORDS, small_config, write_random_checkpoint};
use bitvla_policies::{
    BitVla, Checkpoint, Config, NetworkInput, PhaseTimes, ScratchBuffers, WeightFormat,
};
use candle_core::{D, Device, Result, Tensor, safetensors};
use std::collections::HashMap;

/// Tensors of the three files of a checkpoint by name.
struct Weights(HashMap<String, Tensor>);

impl Weights {
    fn get(&self, name: &str) -> &Tensor {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// `x W^T`, plus the bias where there is one.
    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.get(&format!("{name}.weight")).t()?)?;
        match self.0.get(&format!("{name}.bias")) {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    fn layer_norm(&self, name: &str, x: &Tensor, eps: f64) -> Result<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
        x.broadcast_div(&deviation)?
            .broadcast_mul(self.get(&format!("{name}.weight")))?
            .broadcast_add(self.get(&format!("{name}.bias")))
    }

    fn rms_norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let root = (x.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?;
        x.broadcast_div(&root)?
            .broadcast_mul(self.get(&format!("{name}.weight")))
    }
}

/// Rows of `heads * dim` to (heads, tokens, dim).
fn split(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    x.reshape((tokens, heads, width / heads))?
        .transpose(0, 1)?
        .contiguous()
}

/// Bidirectional softmax attention over (heads, tokens, dim), heads joined again.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (heads, tokens, dim) = q.dims3()?;
    let scores = (q.matmul(&k.t()?)? / (dim as f64).sqrt())?;
    let scores = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
        .exp()?;
    let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
    weights
        .matmul(v)?
        .transpose(0, 1)?
        .contiguous()?
        .reshape((tokens, heads * dim))
}

/// Rotary embedding, pairs (i, i + dim / 2).
fn rotate(x: &Tensor, theta: f64) -> Result<Tensor> {
    let (_, tokens, dim) = x.dims3()?;
    let angles: Vec<f32> = (0..tokens)
        .flat_map(|t| {
            (0..dim).map(move |i| {
                let frequency = theta.powf(-2.0 * (i % (dim / 2)) as f64 / dim as f64);
                (t as f64 * frequency) as f32
            })
        })
        .collect();
    let angles = Tensor::from_vec(angles, (tokens, dim), x.device())?;
    let (low, high) = (x.narrow(2, 0, dim / 2)?, x.narrow(2, dim / 2, dim / 2)?);
    let turned = Tensor::cat(&[&high.neg()?, &low], 2)?;
    x.broadcast_mul(&angles.cos()?)? + turned.broadcast_mul(&angles.sin()?)?
}

/// One image (3, side, side) to rows of features.
fn vision(w: &Weights, c: &Config, image: &Tensor) -> Result<Tensor> {
    let (v, root) = (&c.vision_config, "vision_tower.vision_model");
    let eps = f64::from(v.layer_norm_eps);
    let kernel = w.get(&format!("{root}.embeddings.patch_embedding.weight"));
    let bias = w.get(&format!("{root}.embeddings.patch_embedding.bias"));
    let patches = image.unsqueeze(0)?.conv2d(kernel, 0, v.patch_size, 1, 1)?;
    let patches = patches.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?;
    let position = w.get(&format!("{root}.embeddings.position_embedding.weight"));
    let mut x = (patches.broadcast_add(bias)? + position)?;
    for i in 0..v.num_hidden_layers {
        let p = format!("{root}.encoder.layers.{i}");
        let normed = w.layer_norm(&format!("{p}.layer_norm1"), &x, eps)?;
        let head = |name: &str| {
            let y = w.linear(&format!("{p}.self_attn.{name}_proj"), &normed)?;
            split(&y, v.num_attention_heads)
        };
        let mixed = attend(&head("q")?, &head("k")?, &head("v")?)?;
        x = (x + w.linear(&format!("{p}.self_attn.out_proj"), &mixed)?)?;
        let normed = w.layer_norm(&format!("{p}.layer_norm2"), &x, eps)?;
        let wide = w.linear(&format!("{p}.mlp.fc1"), &normed)?.gelu()?;
        x = (x + w.linear(&format!("{p}.mlp.fc2"), &wide)?)?;
    }
    let hidden = w.linear("multi_modal_projector.linear_1", &x)?.gelu_erf()?;
    w.linear("multi_modal_projector.linear_2", &hidden)
}

/// Embeddings to final hidden states.
fn language(w: &Weights, c: &Config, mut x: Tensor) -> Result<Tensor> {
    let t = &c.text_config;
    let group = t.num_attention_heads / t.num_key_value_heads;
    for i in 0..t.num_hidden_layers {
        let p = format!("language_model.model.layers.{i}");
        let normed = w.rms_norm(&format!("{p}.input_layernorm"), &x)?;
        let head = |name: &str, heads| {
            let y = w.linear(&format!("{p}.self_attn.{name}_proj"), &normed)?;
            split(&y, heads)
        };
        let repeat = |x: Tensor| -> Result<Tensor> {
            let (heads, tokens, dim) = x.dims3()?;
            x.unsqueeze(1)?
                .broadcast_as((heads, group, tokens, dim))?
                .contiguous()?
                .reshape((heads * group, tokens, dim))
        };
        let theta = f64::from(t.rope_theta);
        let q = rotate(&head("q", t.num_attention_heads)?, theta)?;
        let k = repeat(rotate(&head("k", t.num_key_value_heads)?, theta)?)?;
        let v = repeat(head("v", t.num_key_value_heads)?)?;
        let mixed = w.rms_norm(
            &format!("{p}.self_attn.attn_sub_norm"),
            &attend(&q, &k, &v)?,
        )?;
        x = (x + w.linear(&format!("{p}.self_attn.o_proj"), &mixed)?)?;
        let normed = w.rms_norm(&format!("{p}.post_attention_layernorm"), &x)?;
        let gate = w
            .linear(&format!("{p}.mlp.gate_proj"), &normed)?
            .relu()?
            .sqr()?;
        let glu = (gate * w.linear(&format!("{p}.mlp.up_proj"), &normed)?)?;
        let glu = w.rms_norm(&format!("{p}.mlp.ffn_sub_norm"), &glu)?;
        x = (x + w.linear(&format!("{p}.mlp.down_proj"), &glu)?)?;
    }
    w.rms_norm("language_model.model.norm", &x)
}

fn head(w: &Weights, x: &Tensor) -> Result<Tensor> {
    let eps = 1e-5;
    let x = w.layer_norm("model.layer_norm1", x, eps)?;
    let mut x = w.linear("model.fc1", &x)?.relu()?;
    for i in 0..2 {
        let p = format!("model.mlp_resnet_blocks.{i}.ffn");
        let y = w.layer_norm(&format!("{p}.0"), &x, eps)?;
        x = (&x + w.linear(&format!("{p}.1"), &y)?.relu()?)?;
    }
    w.linear("model.fc2", &w.layer_norm("model.layer_norm2", &x, eps)?)
}

#[test]
fn the_full_precision_network_equals_a_plain_candle_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let c = small_config(48, 64, 3, WORDS.len() + 5);
    write_random_checkpoint(dir.path(), &c, 11).expect("a checkpoint");
    let mut all = HashMap::new();
    for name in ["model", "action_head", "proprio_projector"] {
        let path = dir.path().join(format!("{name}.safetensors"));
        let tensors = safetensors::load(&path, &Device::Cpu).expect("tensors");
        all.extend(tensors.into_iter().map(|(name, t)| {
            let t = t.to_dtype(candle_core::DType::F32).expect("f32");
            (name, t)
        }));
    }
    let w = Weights(all);

    let pixels = 3 * 48 * 48;
    let wave = |n: usize, k: f32| (0..n).map(|i| (i as f32 * k).sin()).collect::<Vec<f32>>();
    let images = [wave(pixels, 0.31), wave(pixels, 0.17)];
    let state = wave(8, 1.3);
    let words = [7u32, 9, 12, 6];
    let mut prompt = vec![1u32];
    prompt.extend([3; 18]);
    prompt.push(4);
    prompt.extend(words);

    let plain = || -> Result<Vec<f32>> {
        let device = &Device::Cpu;
        let embed = w.get("language_model.model.embed_tokens.weight");
        let word = |ids: &[u32]| embed.index_select(&Tensor::new(ids, device)?, 0);
        let mut rows = vec![word(&[1])?];
        for image in &images {
            rows.push(vision(
                &w,
                &c,
                &Tensor::from_slice(image, (3, 48, 48), device)?,
            )?);
        }
        let state = Tensor::from_slice(&state, (1, 8), device)?;
        rows.push(w.linear("fc2", &w.linear("fc1", &state)?.gelu_erf()?)?);
        rows.push(word(&words)?);
        rows.push(Tensor::zeros((56, 64), candle_core::DType::F32, device)?);
        rows.push(word(&[2])?);
        let states = language(&w, &c, Tensor::cat(&rows, 0)?)?;
        let actions = states.narrow(0, prompt.len() - 1, 56)?.contiguous()?;
        head(&w, &actions.reshape((8, 7 * 64))?)?
            .flatten_all()?
            .to_vec1()
    };
    let plain = plain().expect("candle");

    let checkpoint = Checkpoint::load(dir.path()).expect("checkpoint");
    let ours = BitVla::new(&checkpoint, WeightFormat::Full).expect("network");
    let mut times = PhaseTimes::default();
    let asked = NetworkInput {
        tokens: &prompt,
        images: &images,
        proprio: &state,
    };
    let ours = ours
        .forward(
            &mut ScratchBuffers::default(),
            asked,
            &mut times,
            &mut |_, _| {},
        )
        .expect("forward");
    let apart = ours.iter().zip(&plain).map(|(a, b)| (a - b).abs());
    let most = apart.fold(0.0, f32::max);
    assert_eq!((ours.len(), plain.len()), (56, 56));
    assert!(most < 1e-4, "actions differ by up to {most}");
}
