//! SigLIP tower (`docs/reference/bitvla.md`, section 1.2) on candle: patch convolution, learned positions, pre-norm layers,
//! tanh GELU, no final norm.

use super::candle;
use super::tensors::{CandleLayerNorm, CandleLinear, TensorLoader, attention, split_heads};
use crate::vision::VisionArchitecture;
use crate::{PolicyError, Threads, Trace};
use candle_core::{Device, Result as CandleResult, Tensor};

/// The tower.
pub(super) struct CandleVisionTower {
    shape: VisionArchitecture,
    patch: CandleLinear,
    positions: Tensor,
    layers: Vec<CandleEncoderLayer>,
}

struct CandleEncoderLayer {
    norm1: CandleLayerNorm,
    q: CandleLinear,
    k: CandleLinear,
    v: CandleLinear,
    out: CandleLinear,
    norm2: CandleLayerNorm,
    fc1: CandleLinear,
    fc2: CandleLinear,
}

impl CandleEncoderLayer {
    fn load(
        loader: &mut TensorLoader<'_>,
        s: &VisionArchitecture,
        i: usize,
    ) -> Result<CandleEncoderLayer, PolicyError> {
        let (w, wide, eps) = (s.hidden_size, s.intermediate_size, f64::from(s.norm_eps));
        let name = |part: &str| format!("{}.encoder.layers.{i}.{part}", s.root);
        let linear = |loader: &mut TensorLoader<'_>, part: &str, n, k| {
            loader.biased("vision linears", &name(part), (n, k))
        };
        Ok(CandleEncoderLayer {
            norm1: loader.layer_norm(&name("layer_norm1"), w, eps)?,
            q: linear(loader, "self_attn.q_proj", w, w)?,
            k: linear(loader, "self_attn.k_proj", w, w)?,
            v: linear(loader, "self_attn.v_proj", w, w)?,
            out: linear(loader, "self_attn.out_proj", w, w)?,
            norm2: loader.layer_norm(&name("layer_norm2"), w, eps)?,
            fc1: linear(loader, "mlp.fc1", wide, w)?,
            fc2: linear(loader, "mlp.fc2", w, wide)?,
        })
    }

    /// Residual stream (images * patches x width) to the next.
    fn forward(&self, x: &Tensor, images: usize, heads: usize) -> CandleResult<Tensor> {
        let normed = self.norm1.forward(x)?;
        let patches = x.dim(0)? / images;
        let [q, k, v] = [&self.q, &self.k, &self.v].map(|linear| linear.forward(&normed));
        let (q, k, v) = (q?, k?, v?);
        let mixed = (0..images).map(|image| {
            let of = |x: &Tensor| split_heads(&x.narrow(0, image * patches, patches)?, heads);
            attention(&of(&q)?, &of(&k)?, &of(&v)?, None)
        });
        let mixed = Tensor::cat(&mixed.collect::<CandleResult<Vec<_>>>()?, 0)?;
        let x = (x + self.out.forward(&mixed)?)?;
        let wide = self.fc1.forward(&self.norm2.forward(&x)?)?.gelu()?;
        x + self.fc2.forward(&wide)?
    }
}

impl CandleVisionTower {
    pub fn load(
        loader: &mut TensorLoader<'_>,
        shape: VisionArchitecture,
    ) -> Result<CandleVisionTower, PolicyError> {
        const CLASS: &str = "patch and position embedding";
        let pixels = 3 * shape.patch_size * shape.patch_size;
        let patch = format!("{}.embeddings.patch_embedding", shape.root);
        let positions = format!("{}.embeddings.position_embedding.weight", shape.root);
        let size = (shape.patches(), shape.hidden_size);
        let patch = loader.biased(CLASS, &patch, (shape.hidden_size, pixels))?;
        let positions = loader.vector(CLASS, &positions, size.0 * size.1)?;
        let layers = (0..shape.layers).map(|i| CandleEncoderLayer::load(loader, &shape, i));
        Ok(CandleVisionTower {
            layers: layers.collect::<Result<_, _>>()?,
            positions: candle(positions.reshape(size))?,
            patch,
            shape,
        })
    }

    /// Sizes.
    pub fn shape(&self) -> &VisionArchitecture {
        &self.shape
    }

    /// Features (images * patches x width) of normalised images, each 3 x side x side.
    pub fn forward(
        &self,
        threads: &Threads,
        images: &[Vec<f32>],
        trace: &mut Trace<'_>,
    ) -> Result<Tensor, PolicyError> {
        let embed = || {
            let embedded = images.iter().map(|image| self.embed(image));
            Tensor::cat(&embedded.collect::<CandleResult<Vec<_>>>()?, 0)
        };
        let mut x = threads.install(|| candle(embed()))??;
        show(trace, "vision.hidden.0", &x)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let next = || candle(layer.forward(&x, images.len(), self.shape.heads));
            x = threads.install(next)??;
            show(trace, &format!("vision.hidden.{}", i + 1), &x)?;
        }
        Ok(x)
    }

    /// Patches of one image (patches x width) with their positions.
    fn embed(&self, image: &[f32]) -> CandleResult<Tensor> {
        let s = &self.shape;
        let image = Tensor::from_slice(image, (1, 3, s.image_size, s.image_size), &Device::Cpu)?;
        let kernel =
            self.patch
                .weight()?
                .reshape((s.hidden_size, 3, s.patch_size, s.patch_size))?;
        let patches = image.conv2d(&kernel, 0, s.patch_size, 1, 1)?;
        let patches = patches.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?;
        let patches = match self.patch.bias() {
            Some(bias) => patches.broadcast_add(bias)?,
            None => patches,
        };
        patches + &self.positions
    }
}

/// Gives a tensor to a trace.
pub(super) fn show(trace: &mut Trace<'_>, name: &str, x: &Tensor) -> Result<(), PolicyError> {
    let values = candle(x.flatten_all().and_then(|x| x.to_vec1::<f32>()))?;
    trace(name, &values);
    Ok(())
}
