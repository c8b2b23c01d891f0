//! The full-precision network on candle-core, behind the same seam as ours: an engine to compare with, and the one that a
//! Rust program would otherwise take. Same checkpoint, same preprocessing, same shapes; every product, norm and softmax
//! is candle's.
//!
//! * **Weights.** A layer stays as it is stored (bf16 or f32). candle multiplies no bf16 on processors, so that a bf16
//!   layer is widened to f32 when it is used and dropped again: 3 billion parameters take 5 GB and one layer in f32, not
//!   10 GB, and every value is exact. The token embedding is read row by row, as by the native engine.
//! * **Threads.** candle's matrix products run in the rayon pool of the caller, and a query enters the pool of its
//!   [`crate::Threads`], so that no more than that many threads compute. candle cuts a product into as many parts as there are
//!   physical cores (or `RAYON_NUM_THREADS`): more threads than that have nothing to do. Everything but products and
//!   convolutions (norms, softmax, GELU, widening) runs on one thread; that is candle's way.
//! * **Memory.** candle allocates the result of every operation; the ledger's activations are an estimate of what is
//!   alive at once, see [`CandleVla::activation_bytes`].

mod language;
mod tensors;
mod vision;

use crate::vision::VisionArchitecture;
use crate::weight_source::{ACTION_HEAD_PREFIX, EmbeddingTable, PROPRIO_PREFIX, WeightSource};
use crate::{
    Architecture, Checkpoint, Config, LinearShape, MemoryLedger, NetworkInput, PhaseTimes,
    PolicyError, ScratchBuffers, Trace, VlaNetwork,
};
use candle_core::{DType, Device, Tensor};
use language::CandleLanguageModel;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tensors::{CandleLayerNorm, CandleLinear, TensorLoader};
use vision::CandleVisionTower;

/// Result of a candle operation as one of ours.
fn candle<T>(result: candle_core::Result<T>) -> Result<T, PolicyError> {
    result.map_err(|error| PolicyError::Query {
        policy: "candle".into(),
        what: error.to_string(),
    })
}

/// Vision tower, connector, language model, proprioception projector and action head as candle tensors.
pub struct CandleVla {
    architecture: Architecture,
    vision: CandleVisionTower,
    connector: Vec<CandleLinear>,
    language: CandleLanguageModel,
    proprio: Option<Vec<CandleLinear>>,
    head: Option<CandleActionHead>,
    embedding: EmbeddingTable,
    /// Layers and bytes of the weights.
    linears: Vec<LinearShape>,
    weights: MemoryLedger,
    /// Most bytes of activations of a query so far.
    activations: AtomicUsize,
}

impl CandleVla {
    /// Builds the network from a checkpoint.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn new(checkpoint: &Checkpoint) -> Result<CandleVla, PolicyError> {
        let parts = (checkpoint.has_proprio(), checkpoint.has_head());
        CandleVla::from_config(checkpoint.config(), checkpoint, parts)
    }

    /// Builds the network that a config describes; `parts` says whether there are projector and head.
    ///
    /// # Errors
    /// Names file and tensor, also where weights are stored rounded.
    pub fn from_config(
        config: &Config,
        source: &dyn WeightSource,
        (proprio, head): (bool, bool),
    ) -> Result<CandleVla, PolicyError> {
        let architecture = Architecture::from(config);
        let a = &architecture;
        let width = a.language.hidden_size;
        let mut loader = TensorLoader::new(source);
        let head = head.then(|| CandleActionHead::load(&mut loader, width, a.action_dim));
        let proprio = proprio.then(|| {
            let names = ["fc1", "fc2"].map(|name| format!("{PROPRIO_PREFIX}{name}"));
            let names = [names[0].as_str(), names[1].as_str()];
            loader.layers("proprio projector", &names, &[a.proprio_dim, width, width])
        });
        let (head, proprio) = (head.transpose()?, proprio.transpose()?);
        let shape = VisionArchitecture::from(&config.vision_config);
        let vision = CandleVisionTower::load(&mut loader, shape)?;
        let connector = loader.layers("connector", &a.connector, &a.connector_widths)?;
        let size = (a.language.vocab_size, width);
        let embedding = source.table("language_model.model.embed_tokens.weight", size)?;
        loader.count_table(&embedding);
        let language = CandleLanguageModel::load(&mut loader, a.language.clone())?;
        let (linears, weights) = loader.finish();
        Ok(CandleVla {
            vision,
            connector,
            language,
            proprio,
            head,
            embedding,
            linears,
            weights,
            activations: AtomicUsize::new(0),
            architecture,
        })
    }

    /// Hidden states (chunk * 7 x width) that the action head reads.
    ///
    /// # Errors
    /// Fails if the numbers of image tokens, images or state values do not fit, or candle refuses.
    pub fn hidden_states(
        &self,
        scratch: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Tensor, PolicyError> {
        let a = &self.architecture;
        crate::network::check(prompt, a, self.proprio.is_some())?;
        let width = a.language.hidden_size;
        let threads = &scratch.threads;
        let start = Instant::now();
        let x = self.vision.forward(threads, prompt.images, trace)?;
        let features = threads.install(|| candle(mlp(&self.connector, &x)))??;
        let features = candle(features.flatten_all().and_then(|t| t.to_vec1::<f32>()))?;
        trace("vision.projected", &features);
        let seen = Instant::now();
        let mut state = vec![0f32; width];
        if let (Some(projector), false) = (&self.proprio, prompt.proprio.is_empty()) {
            let project = || {
                let x =
                    Tensor::from_slice(prompt.proprio, (1, prompt.proprio.len()), &Device::Cpu)?;
                mlp(projector, &x)?.flatten_all()?.to_vec1::<f32>()
            };
            state = threads.install(|| candle(project()))??;
        }
        let count = prompt.tokens.len() + a.placeholders() + 1;
        let mut x = vec![0f32; count * width];
        let embed = |token: u32, row: &mut [f32]| self.embedding.row(token as usize, row);
        crate::network::assemble_inputs(prompt, a, &features, &state, &mut x, embed)?;
        trace("lm.inputs_embeds", &x);
        let x = candle(Tensor::from_vec(x, (count, width), &Device::Cpu))?;
        // The mask is shifted by one: the last prompt token stands for the first placeholder.
        let first = prompt.tokens.len() - 1;
        let rows = first..first + a.placeholders();
        let states = self
            .language
            .forward(threads, x, rows, a.attention, trace)?;
        let values = candle(states.flatten_all().and_then(|t| t.to_vec1::<f32>()))?;
        trace("action.hidden_states", &values);
        let bytes = self.activation_bytes(prompt.images.len(), count);
        self.activations.fetch_max(bytes, Ordering::Relaxed);
        times.vision += seen - start;
        times.language += seen.elapsed();
        Ok(states)
    }

    /// Bytes of the tensors that are alive at once, at the widest of four places: attention (scores, their exponentials
    /// and the quotient) and feed-forward part (a widened layer and its rows before and after the activation), of the vision
    /// tower and of the language model.
    pub fn activation_bytes(&self, images: usize, tokens: usize) -> usize {
        let (l, v) = (&self.architecture.language, self.vision.shape());
        let part = |rows: usize, keys: usize, heads: usize, width: usize, wide: usize| {
            let attention = 3 * heads * rows * keys + 6 * rows * width;
            let feed_forward = width * wide + 4 * rows * wide + 3 * rows * width;
            attention.max(feed_forward)
        };
        let patches = v.patches();
        let vision = part(
            images * patches,
            patches,
            v.heads,
            v.hidden_size,
            v.intermediate_size,
        );
        4 * vision.max(part(
            tokens,
            tokens,
            l.heads,
            l.hidden_size,
            l.intermediate_size,
        ))
    }
}

impl VlaNetwork for CandleVla {
    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn arithmetic(&self) -> String {
        "dense".into()
    }

    fn linears(&self) -> Vec<LinearShape> {
        self.linears.clone()
    }

    fn forward(
        &self,
        scratch: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError> {
        let Some(head) = &self.head else {
            return Err(PolicyError::Query {
                policy: "candle".into(),
                what: "a base checkpoint: it has no action head".into(),
            });
        };
        let states = self.hidden_states(scratch, prompt, times, trace)?;
        let start = Instant::now();
        let actions = scratch
            .threads
            .install(|| candle(head.forward(&states)))??;
        trace("action.normalized", &actions);
        times.head += start.elapsed();
        Ok(actions)
    }

    fn ledger(&self, _scratch: &ScratchBuffers) -> MemoryLedger {
        MemoryLedger {
            activations: self.activations.load(Ordering::Relaxed) as u64,
            ..self.weights.clone()
        }
    }
}

/// Linear layers with an erf GELU between.
fn mlp(layers: &[CandleLinear], x: &Tensor) -> candle_core::Result<Tensor> {
    let mut x = x.clone();
    for (i, linear) in layers.iter().enumerate() {
        x = linear.forward(&x)?;
        if i + 1 < layers.len() {
            x = x.gelu_erf()?;
        }
    }
    Ok(x)
}

/// Action head, an MLP-ResNet (`docs/reference/bitvla.md`, section 1.5).
struct CandleActionHead {
    norm1: CandleLayerNorm,
    fc1: CandleLinear,
    blocks: Vec<(CandleLayerNorm, CandleLinear)>,
    norm2: CandleLayerNorm,
    fc2: CandleLinear,
}

impl CandleActionHead {
    /// Takes it out of a source: states of `width`, actions of `dim` numbers.
    fn load(
        loader: &mut TensorLoader<'_>,
        width: usize,
        dim: usize,
    ) -> Result<CandleActionHead, PolicyError> {
        const EPS: f64 = 1e-5;
        let name = |part: &str| format!("{ACTION_HEAD_PREFIX}model.{part}");
        let linear = |loader: &mut TensorLoader<'_>, part: &str, n, k| {
            loader.biased("action head", &name(part), (n, k))
        };
        let mut blocks = Vec::new();
        let norm1 = loader.layer_norm(&name("layer_norm1"), dim * width, EPS)?;
        let fc1 = linear(loader, "fc1", width, dim * width)?;
        for i in 0..2 {
            let norm = name(&format!("mlp_resnet_blocks.{i}.ffn.0"));
            let norm = loader.layer_norm(&norm, width, EPS)?;
            let part = format!("mlp_resnet_blocks.{i}.ffn.1");
            blocks.push((norm, linear(loader, &part, width, width)?));
        }
        Ok(CandleActionHead {
            norm1,
            fc1,
            blocks,
            norm2: loader.layer_norm(&name("layer_norm2"), width, EPS)?,
            fc2: linear(loader, "fc2", dim, width)?,
        })
    }

    /// Hidden states (chunk * dim x width) to normalised actions (chunk x dim).
    fn forward(&self, states: &Tensor) -> candle_core::Result<Vec<f32>> {
        let (rows, width) = states.dims2()?;
        let inputs = self.fc1.inputs();
        let x = states
            .contiguous()?
            .reshape((rows * width / inputs, inputs))?;
        let mut x = self.fc1.forward(&self.norm1.forward(&x)?)?.relu()?;
        for (norm, linear) in &self.blocks {
            x = (&x + linear.forward(&norm.forward(&x)?)?.relu()?)?;
        }
        let actions = self.fc2.forward(&self.norm2.forward(&x)?)?;
        actions.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}
