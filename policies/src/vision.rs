//! Vision towers: SigLIP (`docs/reference/bitvla.md`, section 1.2), a patch convolution, learned positions, pre-norm layers,
//! tanh GELU, biases everywhere, no final norm, all patches of the last layer; and DINOv2, which has a class token and
//! registers in front, LayerScale and an erf GELU.

use crate::attention::{AttentionInputs, AttentionShape, attention};
use crate::formats::LinearFormat;
use crate::linear::{Activation, ActivationFormat, Linear, StoreMode};
use crate::ops::layer_norm;
use crate::scratch_buffers::{ScratchBuffers, split_buffer};
use crate::weight_source::{Parameter, Parameters, VectorParameter, WeightSource, load_linear};
use crate::{PolicyError, Trace, VisionConfig};

/// Sizes and kind of a vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionArchitecture {
    /// Prefix of all tensor names.
    pub root: String,
    /// Length of a row of the residual stream.
    pub hidden_size: usize,
    /// Length of a row of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of heads.
    pub heads: usize,
    /// Side of the square input, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Epsilon of the norms.
    pub norm_eps: f32,
    /// Number of class and register tokens in front of the patches; LayerScale comes with them.
    pub prefix_tokens: usize,
    /// GELU of the feed-forward part.
    pub gelu: Activation,
    /// True if inputs are normalised by the mean and deviation of ImageNet instead of 0.5 and 0.5.
    pub imagenet: bool,
}

impl From<&VisionConfig> for VisionArchitecture {
    fn from(c: &VisionConfig) -> VisionArchitecture {
        VisionArchitecture {
            root: "vision_tower.vision_model".into(),
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            layers: c.num_hidden_layers,
            heads: c.num_attention_heads,
            image_size: c.image_size,
            patch_size: c.patch_size,
            norm_eps: c.layer_norm_eps,
            prefix_tokens: 0,
            gelu: Activation::GeluTanh,
            imagenet: false,
        }
    }
}

/// Mean and deviation of red, green and blue in ImageNet.
const IMAGENET: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

impl VisionArchitecture {
    /// Number of patches of one image.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }
}

/// A vision tower.
pub struct VisionTower {
    shape: VisionArchitecture,
    prefix: Option<VectorParameter>,
    patch: Linear,
    positions: VectorParameter,
    layers: Vec<EncoderLayer>,
}

struct EncoderLayer {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    scale1: Option<VectorParameter>,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    scale2: Option<VectorParameter>,
}

pub(crate) struct LayerNorm {
    weight: VectorParameter,
    bias: VectorParameter,
    eps: f32,
}

impl LayerNorm {
    pub(crate) fn load(
        source: &dyn WeightSource,
        name: &str,
        len: usize,
        eps: f32,
    ) -> Result<LayerNorm, PolicyError> {
        Ok(LayerNorm {
            weight: VectorParameter::load(source, &format!("{name}.weight"), len)?,
            bias: VectorParameter::load(source, &format!("{name}.bias"), len)?,
            eps,
        })
    }
    /// Layer norm of row `row` of `x`.
    pub(crate) fn row(&self, x: &[f32], row: usize, out: &mut [f32]) {
        let len = self.weight.values.len();
        let row = &x[row * len..][..len];
        layer_norm(row, &self.weight.values, &self.bias.values, self.eps, out);
    }
    pub(crate) fn parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        list.push(("norms and biases", Parameter::Vector(&self.weight)));
        list.push(("norms and biases", Parameter::Vector(&self.bias)));
    }
}

impl EncoderLayer {
    fn load(
        source: &dyn WeightSource,
        s: &VisionArchitecture,
        i: usize,
        format: LinearFormat,
    ) -> Result<EncoderLayer, PolicyError> {
        let (w, wide) = (s.hidden_size, s.intermediate_size);
        let name = |part: &str| format!("{}.encoder.layers.{i}.{part}", s.root);
        let linear = |part: &str, n, k| load_linear(source, &name(part), (n, k), format, true);
        let scale = |part: &str| {
            (s.prefix_tokens > 0)
                .then(|| VectorParameter::load(source, &name(part), w))
                .transpose()
        };
        Ok(EncoderLayer {
            norm1: LayerNorm::load(source, &name("layer_norm1"), w, s.norm_eps)?,
            q: linear("self_attn.q_proj", w, w)?,
            k: linear("self_attn.k_proj", w, w)?,
            v: linear("self_attn.v_proj", w, w)?,
            out: linear("self_attn.out_proj", w, w)?,
            scale1: scale("layer_scale1.lambda1")?,
            norm2: LayerNorm::load(source, &name("layer_norm2"), w, s.norm_eps)?,
            fc1: linear("mlp.fc1", wide, w)?,
            fc2: linear("mlp.fc2", w, wide)?,
            scale2: scale("layer_scale2.lambda1")?,
        })
    }
}

/// Addition to the residual stream, through LayerScale where there is one.
fn residual_store(scale: &Option<VectorParameter>) -> StoreMode<'_> {
    match scale {
        Some(scale) => StoreMode::AccumulateScaled(&scale.values),
        None => StoreMode::Accumulate,
    }
}

impl VisionTower {
    /// Loads the tower from a source, layer by layer.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(
        source: &dyn WeightSource,
        shape: VisionArchitecture,
        format: LinearFormat,
    ) -> Result<VisionTower, PolicyError> {
        let (w, root) = (shape.hidden_size, &shape.root);
        let patch = format!("{root}.embeddings.patch_embedding");
        let pixels = 3 * shape.patch_size * shape.patch_size;
        let positions = format!("{root}.embeddings.position_embedding.weight");
        let prefix = format!("{root}.embeddings.prefix_tokens");
        let layers = (0..shape.layers).map(|i| EncoderLayer::load(source, &shape, i, format));
        Ok(VisionTower {
            prefix: (shape.prefix_tokens > 0)
                .then(|| VectorParameter::load(source, &prefix, shape.prefix_tokens * w))
                .transpose()?,
            patch: load_linear(source, &patch, (w, pixels), LinearFormat::STORED, true)?,
            positions: VectorParameter::load(source, &positions, shape.patches() * w)?,
            layers: layers.collect::<Result<_, PolicyError>>()?,
            shape,
        })
    }

    /// Sizes.
    pub fn shape(&self) -> &VisionArchitecture {
        &self.shape
    }

    /// Writes the features of images (each `[3, image_size, image_size]`, normalised) to `buffers.residual`, as
    /// `[images * patches, hidden_size]`.
    pub fn forward(
        &self,
        buffers: &mut ScratchBuffers,
        images: &[Vec<f32>],
        trace: &mut Trace<'_>,
    ) {
        let s = &self.shape;
        let (width, patches) = (s.hidden_size, s.patches());
        let tokens = s.prefix_tokens + patches;
        let rows = images.len() * tokens;
        let heads = AttentionShape {
            query_heads: s.heads,
            key_value_heads: s.heads,
            head_dim: width / s.heads,
            causal: false,
        };
        let form = self
            .layers
            .first()
            .map_or(ActivationFormat::F32, |l| l.q.activations());
        buffers.record_thread_scratch((rows, s.intermediate_size, form), (tokens, heads.head_dim));
        let (threads, inputs, key_values, residual, scratch) = buffers.split();
        let scratch = scratch.get(rows * (4 * width).max(s.intermediate_size));
        let x = residual.get(rows * width);
        let pixels = 3 * s.patch_size * s.patch_size;
        inputs.fill(
            threads,
            (images.len() * patches, pixels),
            ActivationFormat::F32,
            |row, out| self.patch_row(&images[row / patches], row % patches, out),
        );
        let seen = &mut scratch[..images.len() * patches * width];
        self.patch.apply(
            threads,
            inputs,
            Activation::None,
            StoreMode::Overwrite,
            seen,
        );
        for (image, seen) in x
            .chunks_exact_mut(tokens * width)
            .zip(seen.chunks_exact(patches * width))
        {
            let (front, image) = image.split_at_mut(s.prefix_tokens * width);
            if let Some(prefix) = &self.prefix {
                front.copy_from_slice(&prefix.values);
            }
            for ((x, seen), position) in image.iter_mut().zip(seen).zip(&self.positions.values) {
                *x = seen + position;
            }
        }
        trace("vision.hidden.0", x);
        for (i, l) in self.layers.iter().enumerate() {
            let form = l.q.activations();
            let [q, k, v, attended] = split_buffer(scratch, [rows * width; 4]);
            inputs.fill(threads, (rows, width), form, |row, out| {
                l.norm1.row(x, row, out);
            });
            for (linear, out) in [(&l.q, &mut *q), (&l.k, &mut *k), (&l.v, &mut *v)] {
                linear.apply(threads, inputs, Activation::None, StoreMode::Overwrite, out);
            }
            for (image, attended) in attended.chunks_exact_mut(tokens * width).enumerate() {
                let range = image * tokens * width..(image + 1) * tokens * width;
                let sequence = AttentionInputs {
                    q: &q[range.clone()],
                    first: 0,
                    k: &k[range.clone()],
                    v: &v[range],
                    rope: None,
                };
                attention(threads, key_values, sequence, heads, attended);
            }
            inputs.copy(threads, attended, width, form);
            l.out.apply(
                threads,
                inputs,
                Activation::None,
                residual_store(&l.scale1),
                x,
            );
            inputs.fill(threads, (rows, width), form, |row, out| {
                l.norm2.row(x, row, out);
            });
            let wide = &mut scratch[..rows * s.intermediate_size];
            l.fc1
                .apply(threads, inputs, s.gelu, StoreMode::Overwrite, wide);
            inputs.copy(threads, wide, s.intermediate_size, form);
            l.fc2.apply(
                threads,
                inputs,
                Activation::None,
                residual_store(&l.scale2),
                x,
            );
            trace(&format!("vision.hidden.{}", i + 1), x);
        }
        if s.prefix_tokens > 0 {
            // The patches move over the class and register tokens.
            for image in 0..images.len() {
                let from = (image * tokens + s.prefix_tokens) * width;
                x.copy_within(from..from + patches * width, image * patches * width);
            }
        }
    }

    /// Writes one patch in the layout of the convolution's weights, `[3, patch_size, patch_size]`.
    fn patch_row(&self, pixels: &[f32], index: usize, out: &mut [f32]) {
        let (image, patch) = (self.shape.image_size, self.shape.patch_size);
        let side = image / patch;
        let (py, px) = (index / side, index % side);
        for (i, out) in out.chunks_exact_mut(patch).enumerate() {
            let (channel, y) = (i / patch, i % patch);
            let start = (channel * image + py * patch + y) * image + px * patch;
            out.copy_from_slice(&pixels[start..start + patch]);
            if self.shape.imagenet {
                let (mean, deviation) = IMAGENET[channel];
                for v in out {
                    *v = (0.5 * *v + 0.5 - mean) / deviation;
                }
            }
        }
    }

    pub(crate) fn parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        const PATCH: &str = "patch and position embedding";
        list.push((PATCH, Parameter::Linear(&self.patch)));
        list.push((PATCH, Parameter::Vector(&self.positions)));
        if let Some(prefix) = &self.prefix {
            list.push((PATCH, Parameter::Vector(prefix)));
        }
        for l in &self.layers {
            for linear in [&l.q, &l.k, &l.v, &l.out, &l.fc1, &l.fc2] {
                list.push(("vision linears", Parameter::Linear(linear)));
            }
            l.norm1.parameters(list);
            l.norm2.parameters(list);
            for scale in l.scale1.iter().chain(&l.scale2) {
                list.push(("norms and biases", Parameter::Vector(scale)));
            }
        }
    }
}
