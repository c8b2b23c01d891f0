//! Layout of all parameters in one flat buffer with named slices (names: docs/reference/bitvla.md, section 6).
//!
//! Matrices that share their input (q, k, v; gate, up) are adjacent, so that one product serves them.

use super::config::{NetConfig, QuantConfig};

/// Smallest width of a hidden layer; proprioception and actions are narrower.
const MIN_HIDDEN: usize = 16;

/// File of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointFile {
    /// `model.safetensors`.
    Model,
    /// `action_head.safetensors`.
    Head,
    /// `proprio_projector.safetensors`.
    Proprio,
}

/// Role of a tensor, which decides on initialisation and quantisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorKind {
    /// Matrix that is never quantised.
    Dense,
    /// Matrix of the vision encoder.
    VisionLinear,
    /// Matrix of the language model.
    LanguageLinear,
    /// Matrix whose rows are looked up or added.
    Embedding,
    /// Weight of a norm; starts at one.
    Norm,
    /// Bias; starts at zero.
    Bias,
}

/// Named slice of the flat buffer.
#[derive(Debug, Clone)]
pub struct ParamSlot {
    /// Name of the tensor in its file.
    pub name: String,
    /// Shape, as in its file.
    pub shape: Vec<usize>,
    /// Offset of the first element in the flat buffer.
    pub offset: usize,
    /// File of the checkpoint.
    pub file: CheckpointFile,
    /// Role.
    pub kind: TensorKind,
}

impl ParamSlot {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns its range in the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }

    /// Returns the shape of a matrix between two hidden layers, (outputs, inputs): linear maps except those of pixels,
    /// proprioception and actions.
    pub fn hidden_matrix(&self) -> Option<(usize, usize)> {
        let linear = match self.kind {
            TensorKind::Dense | TensorKind::VisionLinear | TensorKind::LanguageLinear => true,
            TensorKind::Embedding | TensorKind::Norm | TensorKind::Bias => false,
        };
        match self.shape[..] {
            [outputs, inputs] if linear && outputs.min(inputs) >= MIN_HIDDEN => {
                Some((outputs, inputs))
            }
            _ => None,
        }
    }

    /// Returns true if it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Offsets of one or several stacked linear maps with the same input.
#[derive(Debug, Clone, Copy)]
pub struct LinearParams {
    /// Offset of the weight, (n_out, n_in).
    pub weight: usize,
    /// Offset of the bias, (n_out).
    pub bias: Option<usize>,
    /// Number of inputs.
    pub n_in: usize,
    /// Number of outputs, all stacked maps together.
    pub n_out: usize,
}

/// Offset of a root-mean-square norm.
#[derive(Debug, Clone, Copy)]
pub struct RmsNormParams {
    /// Offset of the weight, (width).
    pub weight: usize,
    /// Number of inputs.
    pub width: usize,
}

/// Offset of a layer norm.
#[derive(Debug, Clone, Copy)]
pub struct LayerNormParams {
    /// Offset of the weight, (width); the bias, (width), lies directly behind it.
    pub weight: usize,
    /// Number of inputs.
    pub width: usize,
}

/// Parameters of a vision layer; v vision width, f feed-forward width.
#[derive(Debug, Clone, Copy)]
pub struct VisionLayer {
    /// Before attention, (v).
    pub norm1: LayerNormParams,
    /// Query, key, value, (3 v, v).
    pub qkv: LinearParams,
    /// Behind attention, (v, v).
    pub out: LinearParams,
    /// Before the feed-forward part, (v).
    pub norm2: LayerNormParams,
    /// First linear map of the feed-forward part, (f, v).
    pub fc1: LinearParams,
    /// Second linear map of the feed-forward part, (v, f).
    pub fc2: LinearParams,
}

/// Parameters of a language layer; w width, f feed-forward width.
#[derive(Debug, Clone, Copy)]
pub struct LanguageLayer {
    /// Before attention, (w).
    pub norm1: RmsNormParams,
    /// Query, key, value, (w + 2 kv_heads * head_dim, w).
    pub qkv: LinearParams,
    /// On the concatenated heads, (w).
    pub attn_norm: RmsNormParams,
    /// Behind attention, (w, w).
    pub out: LinearParams,
    /// Before the feed-forward part, (w).
    pub norm2: RmsNormParams,
    /// Gate and up, (2 f, w).
    pub gate_up: LinearParams,
    /// On the gated product, (f).
    pub ffn_norm: RmsNormParams,
    /// Down, (w, f).
    pub down: LinearParams,
}

/// Offsets of all parameters of a network.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Slices in buffer order.
    pub slots: Vec<ParamSlot>,
    /// Number of elements of the buffer.
    pub total: usize,
    /// Patch convolution, (vision width, 3 * patch * patch).
    pub patch: LinearParams,
    /// Offset of the position embedding, (patches, vision width).
    pub position: usize,
    /// Vision encoder.
    pub vision: Vec<VisionLayer>,
    /// Connector, (width, vision width) and (width, width).
    pub connector: [LinearParams; 2],
    /// Offset of the token embedding, (vocabulary, width).
    pub embed: usize,
    /// Language model.
    pub language: Vec<LanguageLayer>,
    /// Final norm, (width).
    pub final_norm: RmsNormParams,
    /// Proprioception projector, (width, proprio) and (width, width).
    pub proprio: [LinearParams; 2],
    /// Head: first norm, (action_dim * width).
    pub head_norm1: LayerNormParams,
    /// Head: first linear map, (width, action_dim * width).
    pub head_fc1: LinearParams,
    /// Head: residual blocks, (width) and (width, width) each.
    pub head_blocks: [(LayerNormParams, LinearParams); 2],
    /// Head: last norm, (width).
    pub head_norm2: LayerNormParams,
    /// Head: last linear map, (action_dim, width).
    pub head_fc2: LinearParams,
}

/// Appends slices to the buffer.
#[derive(Default)]
struct LayoutBuilder {
    slots: Vec<ParamSlot>,
    total: usize,
}

impl LayoutBuilder {
    fn add(
        &mut self,
        file: CheckpointFile,
        kind: TensorKind,
        name: String,
        shape: &[usize],
    ) -> usize {
        let offset = self.total;
        self.slots.push(ParamSlot {
            name,
            shape: shape.to_vec(),
            offset,
            file,
            kind,
        });
        self.total += shape.iter().product::<usize>();
        offset
    }

    fn linear(
        &mut self,
        (file, kind): (CheckpointFile, TensorKind),
        names: &[(String, usize)],
        n_in: usize,
        bias: bool,
    ) -> LinearParams {
        let weight = self.total;
        for (name, n_out) in names {
            self.add(file, kind, format!("{name}.weight"), &[*n_out, n_in]);
        }
        let bias_offset = self.total;
        if bias {
            for (name, n_out) in names {
                self.add(file, TensorKind::Bias, format!("{name}.bias"), &[*n_out]);
            }
        }
        LinearParams {
            weight,
            bias: bias.then_some(bias_offset),
            n_in,
            n_out: names.iter().map(|n| n.1).sum(),
        }
    }

    fn rms_norm(&mut self, name: &str, width: usize) -> RmsNormParams {
        let name = format!("{name}.weight");
        let weight = self.add(CheckpointFile::Model, TensorKind::Norm, name, &[width]);
        RmsNormParams { weight, width }
    }

    fn layer_norm(&mut self, file: CheckpointFile, name: &str, width: usize) -> LayerNormParams {
        let weight = self.add(file, TensorKind::Norm, format!("{name}.weight"), &[width]);
        self.add(file, TensorKind::Bias, format!("{name}.bias"), &[width]);
        LayerNormParams { weight, width }
    }
}

impl Layout {
    /// Builds the layout of a network.
    pub fn new(c: &NetConfig) -> Layout {
        let mut l = LayoutBuilder::default();
        let model = |kind| (CheckpointFile::Model, kind);
        let root = "vision_tower.vision_model";
        let (v, w) = (c.vision_width, c.width);
        let patch = l.linear(
            model(TensorKind::Dense),
            &[(format!("{root}.embeddings.patch_embedding"), v)],
            3 * c.patch * c.patch,
            true,
        );
        l.slots[0].shape = vec![v, 3, c.patch, c.patch];
        let position = l.add(
            CheckpointFile::Model,
            TensorKind::Embedding,
            format!("{root}.embeddings.position_embedding.weight"),
            &[c.patches(), v],
        );
        let mut vision = Vec::new();
        for i in 0..c.vision_layers {
            let p = format!("{root}.encoder.layers.{i}");
            let at = |name: &str, n: usize| (format!("{p}.{name}"), n);
            let q = TensorKind::VisionLinear;
            vision.push(VisionLayer {
                norm1: l.layer_norm(CheckpointFile::Model, &format!("{p}.layer_norm1"), v),
                qkv: l.linear(
                    model(q),
                    &[
                        at("self_attn.q_proj", v),
                        at("self_attn.k_proj", v),
                        at("self_attn.v_proj", v),
                    ],
                    v,
                    true,
                ),
                out: l.linear(model(q), &[at("self_attn.out_proj", v)], v, true),
                norm2: l.layer_norm(CheckpointFile::Model, &format!("{p}.layer_norm2"), v),
                fc1: l.linear(model(q), &[at("mlp.fc1", c.vision_ffn)], v, true),
                fc2: l.linear(model(q), &[at("mlp.fc2", v)], c.vision_ffn, true),
            });
        }
        let dense = TensorKind::Dense;
        let connector = [
            l.linear(
                model(dense),
                &[("multi_modal_projector.linear_1".into(), w)],
                v,
                true,
            ),
            l.linear(
                model(dense),
                &[("multi_modal_projector.linear_2".into(), w)],
                w,
                true,
            ),
        ];
        let root = "language_model.model";
        let embed = l.add(
            CheckpointFile::Model,
            TensorKind::Embedding,
            format!("{root}.embed_tokens.weight"),
            &[c.vocab, w],
        );
        let kv = c.kv_heads * c.head_dim();
        let mut language = Vec::new();
        for i in 0..c.layers {
            let p = format!("{root}.layers.{i}");
            let at = |name: &str, n: usize| (format!("{p}.{name}"), n);
            let q = TensorKind::LanguageLinear;
            language.push(LanguageLayer {
                norm1: l.rms_norm(&format!("{p}.input_layernorm"), w),
                qkv: l.linear(
                    model(q),
                    &[
                        at("self_attn.q_proj", w),
                        at("self_attn.k_proj", kv),
                        at("self_attn.v_proj", kv),
                    ],
                    w,
                    false,
                ),
                attn_norm: l.rms_norm(&format!("{p}.self_attn.attn_sub_norm"), w),
                out: l.linear(model(q), &[at("self_attn.o_proj", w)], w, false),
                norm2: l.rms_norm(&format!("{p}.post_attention_layernorm"), w),
                gate_up: l.linear(
                    model(q),
                    &[at("mlp.gate_proj", c.ffn), at("mlp.up_proj", c.ffn)],
                    w,
                    false,
                ),
                ffn_norm: l.rms_norm(&format!("{p}.mlp.ffn_sub_norm"), c.ffn),
                down: l.linear(model(q), &[at("mlp.down_proj", w)], c.ffn, false),
            });
        }
        let final_norm = l.rms_norm(&format!("{root}.norm"), w);
        let proprio = [
            l.linear(
                (CheckpointFile::Proprio, dense),
                &[("fc1".into(), w)],
                c.proprio,
                true,
            ),
            l.linear(
                (CheckpointFile::Proprio, dense),
                &[("fc2".into(), w)],
                w,
                true,
            ),
        ];
        let head = (CheckpointFile::Head, dense);
        let n = c.action_dim * w;
        let head_norm1 = l.layer_norm(CheckpointFile::Head, "model.layer_norm1", n);
        let head_fc1 = l.linear(head, &[("model.fc1".into(), w)], n, true);
        let head_blocks = [0, 1].map(|i| {
            let p = format!("model.mlp_resnet_blocks.{i}.ffn");
            (
                l.layer_norm(CheckpointFile::Head, &format!("{p}.0"), w),
                l.linear(head, &[(format!("{p}.1"), w)], w, true),
            )
        });
        let head_norm2 = l.layer_norm(CheckpointFile::Head, "model.layer_norm2", w);
        let head_fc2 = l.linear(head, &[("model.fc2".into(), c.action_dim)], w, true);
        let LayoutBuilder { slots, total } = l;
        Layout {
            slots,
            total,
            patch,
            position,
            vision,
            connector,
            embed,
            language,
            final_norm,
            proprio,
            head_norm1,
            head_fc1,
            head_blocks,
            head_norm2,
            head_fc2,
        }
    }

    /// Returns fresh parameters (`total`): matrices uniform in +-1/sqrt(inputs), embeddings small, norms one, biases zero.
    pub fn init(&self, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut data = vec![0.0; self.total];
        for slot in &self.slots {
            let bound = match slot.kind {
                TensorKind::Bias => 0.0,
                TensorKind::Norm => {
                    data[slot.range()].fill(1.0);
                    continue;
                }
                TensorKind::Embedding => 0.15,
                _ => 1.0 / ((slot.len() / slot.shape[0]) as f32).sqrt(),
            };
            for x in &mut data[slot.range()] {
                *x = uniform(&mut state) * bound;
            }
        }
        data
    }

    /// Computes the weights that the forward pass multiplies with: a copy of `params` (`total`) in which the quantised
    /// matrices are replaced by `code / (1 / a)`, `a` the mean magnitude (1e-5 at least),
    /// `code = clamp(round(W * (1 / a)), -1, 1)` (docs/reference/bitvla.md, section 5).
    pub fn effective_weights(&self, params: &[f32], quant: QuantConfig, out: &mut Vec<f32>) {
        out.clear();
        out.extend_from_slice(params);
        for slot in &self.slots {
            let on = match slot.kind {
                TensorKind::VisionLinear => quant.vision_weights,
                TensorKind::LanguageLinear => quant.language,
                _ => false,
            };
            if on {
                ternarise(&mut out[slot.range()]);
            }
        }
    }
}

/// Replaces a matrix by its absmean-ternary values (docs/reference/bitvla.md, section 5).
pub fn ternarise(w: &mut [f32]) {
    let sum: f64 = w.iter().map(|x| f64::from(x.abs())).sum();
    let mean = ((sum / w.len() as f64) as f32).max(1e-5);
    let scale = 1.0 / mean;
    for x in w {
        *x = (*x * scale).round_ties_even().clamp(-1.0, 1.0) / scale;
    }
}

/// Returns the next number of a SplitMix64 sequence (Steele, Lea, Flood 2014), uniform in [-1, 1).
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
}
