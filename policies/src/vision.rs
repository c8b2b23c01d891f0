//! SigLIP vision tower (fact sheet of BitVLA, section 1.2): patch convolution, learned positions, pre-norm layers,
//! tanh GELU, biases everywhere, no final norm, all patches of the last layer.

use crate::linear::{Linear, LinearFormat, add_weights, forward_shared};
use crate::ops::{Heads, add, attention, gelu_tanh, layer_norm};
use crate::{Checkpoint, MemoryLedger, PolicyError, Trace, VisionConfig, WeightFormat};

/// The tower.
pub struct Vision {
    config: VisionConfig,
    patch: Linear,
    positions: Vec<f32>,
    layers: Vec<Layer>,
}

struct Layer {
    norm1: Norm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

pub(crate) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    pub(crate) fn load(
        file: &crate::checkpoint::TensorFile,
        name: &str,
        eps: f32,
    ) -> Result<Norm, PolicyError> {
        let (weight, bias) = (
            file.f32(&format!("{name}.weight"))?,
            file.f32(&format!("{name}.bias"))?,
        );
        Ok(Norm { weight, bias, eps })
    }
    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
    pub(crate) fn bytes(&self) -> usize {
        8 * self.weight.len()
    }
}

/// Loads `NAME.weight` and `NAME.bias`.
pub(crate) fn biased(
    file: &crate::checkpoint::TensorFile,
    name: &str,
    outputs: usize,
    inputs: usize,
    format: LinearFormat,
) -> Result<Linear, PolicyError> {
    let weight = file.f32(&format!("{name}.weight"))?;
    let bias = file.f32(&format!("{name}.bias"))?;
    Ok(Linear::new(&weight, Some(bias), outputs, inputs, format))
}

impl Vision {
    /// Takes the tower out of a checkpoint.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(checkpoint: &Checkpoint, format: WeightFormat) -> Result<Vision, PolicyError> {
        let config = checkpoint.config().vision_config.clone();
        let file = checkpoint.model();
        let (w, wide, eps) = (
            config.hidden_size,
            config.intermediate_size,
            config.layer_norm_eps,
        );
        let inside = match (format, config.vit_weight_bits, config.vit_act_bits) {
            (WeightFormat::PtqTernary, _, _) => LinearFormat::Ternary { int8: true },
            (WeightFormat::Full, _, _) | (WeightFormat::Ternary, 32, 32) => LinearFormat::Dense,
            (WeightFormat::Ternary, 32, _) => LinearFormat::DenseInt8,
            (WeightFormat::Ternary, _, bits) => LinearFormat::Ternary { int8: bits == 8 },
        };
        let root = "vision_tower.vision_model";
        let patch = format!("{root}.embeddings.patch_embedding");
        let patch = biased(
            file,
            &patch,
            w,
            3 * config.patch_size * config.patch_size,
            LinearFormat::Dense,
        )?;
        let positions = file.f32(&format!("{root}.embeddings.position_embedding.weight"))?;
        let layers = (0..config.num_hidden_layers).map(|i| {
            let name = |part: &str| format!("{root}.encoder.layers.{i}.{part}");
            Ok(Layer {
                norm1: Norm::load(file, &name("layer_norm1"), eps)?,
                q: biased(file, &name("self_attn.q_proj"), w, w, inside)?,
                k: biased(file, &name("self_attn.k_proj"), w, w, inside)?,
                v: biased(file, &name("self_attn.v_proj"), w, w, inside)?,
                out: biased(file, &name("self_attn.out_proj"), w, w, inside)?,
                norm2: Norm::load(file, &name("layer_norm2"), eps)?,
                fc1: biased(file, &name("mlp.fc1"), wide, w, inside)?,
                fc2: biased(file, &name("mlp.fc2"), w, wide, inside)?,
            })
        });
        let layers = layers.collect::<Result<_, PolicyError>>()?;
        Ok(Vision {
            config,
            patch,
            positions,
            layers,
        })
    }

    /// Features of one image (3 x side x side, normalised), one row per patch.
    pub fn forward(&self, pixels: &[f32], trace: &mut Trace<'_>) -> Vec<f32> {
        let mut x = self.patch.forward(&self.patches(pixels));
        add(&mut x, &self.positions);
        trace("vision.hidden.0", &x);
        let heads = self.config.num_attention_heads;
        let heads = Heads {
            query: heads,
            key_value: heads,
            width: self.config.hidden_size / heads,
            causal: false,
        };
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = layer.norm1.forward(&x);
            let qkv = forward_shared(&normed, &[&layer.q, &layer.k, &layer.v]);
            add(
                &mut x,
                &layer
                    .out
                    .forward(&attention(&qkv[0], &qkv[1], &qkv[2], 0, heads)),
            );
            let mut wide = layer.fc1.forward(&layer.norm2.forward(&x));
            gelu_tanh(&mut wide);
            add(&mut x, &layer.fc2.forward(&wide));
            trace(&format!("vision.hidden.{}", i + 1), &x);
        }
        x
    }

    /// Rows of 3 x patch x patch, as the convolution's weights lie.
    fn patches(&self, pixels: &[f32]) -> Vec<f32> {
        let (image, patch) = (self.config.image_size, self.config.patch_size);
        let side = image / patch;
        let mut rows = Vec::with_capacity(side * side * 3 * patch * patch);
        for py in 0..side {
            for px in 0..side {
                for channel in 0..3 {
                    for y in 0..patch {
                        let start = (channel * image + py * patch + y) * image + px * patch;
                        rows.extend_from_slice(&pixels[start..start + patch]);
                    }
                }
            }
        }
        rows
    }

    pub(crate) fn account(&self, ledger: &mut MemoryLedger) {
        self.patch.account("patch and position embedding", ledger);
        add_weights(
            ledger,
            "patch and position embedding",
            "f32",
            4 * self.positions.len(),
        );
        for l in &self.layers {
            for linear in [&l.q, &l.k, &l.v, &l.out, &l.fc1, &l.fc2] {
                linear.account("vision linears", ledger);
            }
            add_weights(
                ledger,
                "norms and biases",
                "f32",
                l.norm1.bytes() + l.norm2.bytes(),
            );
        }
    }
}
