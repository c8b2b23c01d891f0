//! Vision towers: SigLIP (fact sheet of BitVLA, section 1.2), a patch convolution, learned positions, pre-norm layers,
//! tanh GELU, biases everywhere, no final norm, all patches of the last layer; and DINOv2, which has a class token and
//! registers in front, LayerScale and an erf GELU.

use crate::attention::{Heads, Sequence, attention};
use crate::linear::{Activation, Activations, Dest, Linear};
use crate::ops::layer_norm;
use crate::source::{Format, Part, Parts, Source, Vector, biased};
use crate::workspace::{Workspace, split};
use crate::{PolicyError, Trace, VisionConfig};

/// Sizes and kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// In front of all names.
    pub root: String,
    /// Width.
    pub width: usize,
    /// Width of the feed-forward part.
    pub wide: usize,
    /// Layers.
    pub layers: usize,
    /// Heads.
    pub heads: usize,
    /// Side of the square input, pixels.
    pub image: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Epsilon of the norms.
    pub eps: f32,
    /// Class token and registers in front of the patches; with them comes LayerScale.
    pub prefix: usize,
    /// GELU of the feed-forward part.
    pub gelu: Activation,
    /// Whether inputs are wanted with ImageNet's mean and deviation instead of 0.5 and 0.5.
    pub imagenet: bool,
}

impl From<&VisionConfig> for Shape {
    fn from(c: &VisionConfig) -> Shape {
        Shape {
            root: "vision_tower.vision_model".into(),
            width: c.hidden_size,
            wide: c.intermediate_size,
            layers: c.num_hidden_layers,
            heads: c.num_attention_heads,
            image: c.image_size,
            patch: c.patch_size,
            eps: c.layer_norm_eps,
            prefix: 0,
            gelu: Activation::GeluTanh,
            imagenet: false,
        }
    }
}

/// Mean and deviation of red, green and blue.
const IMAGENET: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

impl Shape {
    /// Patches of one image.
    pub fn patches(&self) -> usize {
        (self.image / self.patch).pow(2)
    }
}

/// The tower.
pub struct Vision {
    shape: Shape,
    prefix: Option<Vector>,
    patch: Linear,
    positions: Vector,
    layers: Vec<Layer>,
}

struct Layer {
    norm1: Norm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    scale1: Option<Vector>,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    scale2: Option<Vector>,
}

pub(crate) struct Norm {
    weight: Vector,
    bias: Vector,
    eps: f32,
}

impl Norm {
    pub(crate) fn load(
        source: &dyn Source,
        name: &str,
        len: usize,
        eps: f32,
    ) -> Result<Norm, PolicyError> {
        Ok(Norm {
            weight: Vector::load(source, &format!("{name}.weight"), len)?,
            bias: Vector::load(source, &format!("{name}.bias"), len)?,
            eps,
        })
    }
    /// Norm of row `row` of rows.
    pub(crate) fn row(&self, x: &[f32], row: usize, out: &mut [f32]) {
        let len = self.weight.values.len();
        let row = &x[row * len..][..len];
        layer_norm(row, &self.weight.values, &self.bias.values, self.eps, out);
    }
    pub(crate) fn parts<'a>(&'a self, see: &mut Parts<'a>) {
        see.push(("norms and biases", Part::Vector(&self.weight)));
        see.push(("norms and biases", Part::Vector(&self.bias)));
    }
}

impl Layer {
    fn load(
        source: &dyn Source,
        s: &Shape,
        i: usize,
        format: Format,
    ) -> Result<Layer, PolicyError> {
        let (w, wide) = (s.width, s.wide);
        let name = |part: &str| format!("{}.encoder.layers.{i}.{part}", s.root);
        let linear = |part: &str, n, k| biased(source, &name(part), (n, k), format);
        let scale = |part: &str| {
            (s.prefix > 0)
                .then(|| Vector::load(source, &name(part), w))
                .transpose()
        };
        Ok(Layer {
            norm1: Norm::load(source, &name("layer_norm1"), w, s.eps)?,
            q: linear("self_attn.q_proj", w, w)?,
            k: linear("self_attn.k_proj", w, w)?,
            v: linear("self_attn.v_proj", w, w)?,
            out: linear("self_attn.out_proj", w, w)?,
            scale1: scale("layer_scale1.lambda1")?,
            norm2: Norm::load(source, &name("layer_norm2"), w, s.eps)?,
            fc1: linear("mlp.fc1", wide, w)?,
            fc2: linear("mlp.fc2", w, wide)?,
            scale2: scale("layer_scale2.lambda1")?,
        })
    }
}

/// The residual stream, through LayerScale where there is one.
fn residual(scale: &Option<Vector>) -> Dest<'_> {
    match scale {
        Some(scale) => Dest::AddScaled(&scale.values),
        None => Dest::Add,
    }
}

impl Vision {
    /// Takes the tower out of a source, layer by layer.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn load(source: &dyn Source, shape: Shape, format: Format) -> Result<Vision, PolicyError> {
        let (w, root) = (shape.width, &shape.root);
        let patch = format!("{root}.embeddings.patch_embedding");
        let pixels = 3 * shape.patch * shape.patch;
        let positions = format!("{root}.embeddings.position_embedding.weight");
        let prefix = format!("{root}.embeddings.prefix_tokens");
        let layers = (0..shape.layers).map(|i| Layer::load(source, &shape, i, format));
        Ok(Vision {
            prefix: (shape.prefix > 0)
                .then(|| Vector::load(source, &prefix, shape.prefix * w))
                .transpose()?,
            patch: biased(source, &patch, (w, pixels), Format::STORED)?,
            positions: Vector::load(source, &positions, shape.patches() * w)?,
            layers: layers.collect::<Result<_, PolicyError>>()?,
            shape,
        })
    }

    /// Sizes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Features of images (each 3 x side x side, normalised) into `work.x`, one row per patch, image by image.
    pub fn forward(&self, work: &mut Workspace, images: &[Vec<f32>], trace: &mut Trace<'_>) {
        let s = &self.shape;
        let (width, patches) = (s.width, s.patches());
        let tokens = s.prefix + patches;
        let rows = images.len() * tokens;
        let heads = Heads {
            query: s.heads,
            key_value: s.heads,
            width: width / s.heads,
            causal: false,
        };
        let form = self
            .layers
            .first()
            .map_or(Activations::Float, |l| l.q.activations());
        work.saw((rows, s.wide, form), (tokens, heads.width));
        let Workspace {
            threads,
            staged,
            packed,
            x,
            arena,
            ..
        } = work;
        let threads = &*threads;
        let arena = arena.get(rows * (4 * width).max(s.wide));
        let x = x.get(rows * width);
        let pixels = 3 * s.patch * s.patch;
        staged.fill(
            threads,
            (images.len() * patches, pixels),
            Activations::Float,
            |row, out| self.patch_row(&images[row / patches], row % patches, out),
        );
        let seen = &mut arena[..images.len() * patches * width];
        self.patch
            .apply(threads, staged, Activation::None, Dest::Set, seen);
        for (image, seen) in x
            .chunks_exact_mut(tokens * width)
            .zip(seen.chunks_exact(patches * width))
        {
            let (front, image) = image.split_at_mut(s.prefix * width);
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
            let [q, k, v, mixed] = split(arena, [rows * width; 4]);
            staged.fill(threads, (rows, width), form, |row, out| {
                l.norm1.row(x, row, out);
            });
            for (linear, out) in [(&l.q, &mut *q), (&l.k, &mut *k), (&l.v, &mut *v)] {
                linear.apply(threads, staged, Activation::None, Dest::Set, out);
            }
            for (image, mixed) in mixed.chunks_exact_mut(tokens * width).enumerate() {
                let range = image * tokens * width..(image + 1) * tokens * width;
                let sequence = Sequence {
                    q: &q[range.clone()],
                    first: 0,
                    k: &k[range.clone()],
                    v: &v[range],
                    rope: None,
                };
                attention(threads, packed, sequence, heads, mixed);
            }
            staged.copy(threads, mixed, width, form);
            l.out
                .apply(threads, staged, Activation::None, residual(&l.scale1), x);
            staged.fill(threads, (rows, width), form, |row, out| {
                l.norm2.row(x, row, out);
            });
            let wide = &mut arena[..rows * s.wide];
            l.fc1.apply(threads, staged, s.gelu, Dest::Set, wide);
            staged.copy(threads, wide, s.wide, form);
            l.fc2
                .apply(threads, staged, Activation::None, residual(&l.scale2), x);
            trace(&format!("vision.hidden.{}", i + 1), x);
        }
        if s.prefix > 0 {
            // The patches move up over what stood in front of them.
            for image in 0..images.len() {
                let from = (image * tokens + s.prefix) * width;
                x.copy_within(from..from + patches * width, image * patches * width);
            }
        }
    }

    /// One patch as the convolution's weights lie: 3 x patch x patch.
    fn patch_row(&self, pixels: &[f32], index: usize, out: &mut [f32]) {
        let (image, patch) = (self.shape.image, self.shape.patch);
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

    pub(crate) fn parts<'a>(&'a self, see: &mut Parts<'a>) {
        const PATCH: &str = "patch and position embedding";
        see.push((PATCH, Part::Linear(&self.patch)));
        see.push((PATCH, Part::Vector(&self.positions)));
        if let Some(prefix) = &self.prefix {
            see.push((PATCH, Part::Vector(prefix)));
        }
        for l in &self.layers {
            for linear in [&l.q, &l.k, &l.v, &l.out, &l.fc1, &l.fc2] {
                see.push(("vision linears", Part::Linear(linear)));
            }
            l.norm1.parts(see);
            l.norm2.parts(see);
            for scale in l.scale1.iter().chain(&l.scale2) {
                see.push(("norms and biases", Part::Vector(scale)));
            }
        }
    }
}
