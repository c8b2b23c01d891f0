//! All parameters in one flat buffer with named slices (names of the fact sheet of BitVLA, section 6).
//!
//! Matrices that share their input (q, k, v; gate, up) lie one behind the other, so that one product serves them.

use super::config::{NetConfig, Quant};

/// Which file of a checkpoint a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// `model.safetensors`.
    Model,
    /// `action_head.safetensors`.
    Head,
    /// `proprio_projector.safetensors`.
    Proprio,
}

/// What a tensor is, for initialisation and quantisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Matrix that is never quantised.
    Dense,
    /// Matrix of the vision encoder.
    VisionLinear,
    /// Matrix of the language model.
    LanguageLinear,
    /// Rows looked up or added.
    Embedding,
    /// Starts at one.
    Norm,
    /// Starts at zero.
    Bias,
}

/// A named slice.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Name in its file.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// First element in the flat buffer.
    pub at: usize,
    /// File of the checkpoint.
    pub file: File,
    /// Role.
    pub kind: Kind,
}

impl Slot {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One or several stacked linear maps with the same input.
#[derive(Debug, Clone, Copy)]
pub struct Lin {
    /// Start of the weight, (outputs, inputs).
    pub w: usize,
    /// Start of the bias.
    pub b: Option<usize>,
    /// Inputs.
    pub n_in: usize,
    /// Outputs, all stacked maps together.
    pub n_out: usize,
}

/// A norm with a weight and perhaps a bias.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    /// Start of the weight.
    pub w: usize,
    /// Start of the bias.
    pub b: Option<usize>,
    /// Width.
    pub n: usize,
}

/// Vision layer.
#[derive(Debug, Clone, Copy)]
pub struct VisionLayer {
    /// Before attention.
    pub norm1: Norm,
    /// Query, key, value.
    pub qkv: Lin,
    /// Behind attention.
    pub out: Lin,
    /// Before the feed-forward part.
    pub norm2: Norm,
    /// First.
    pub fc1: Lin,
    /// Second.
    pub fc2: Lin,
}

/// Language layer.
#[derive(Debug, Clone, Copy)]
pub struct LanguageLayer {
    /// Before attention.
    pub norm1: Norm,
    /// Query, key, value.
    pub qkv: Lin,
    /// On the concatenated heads.
    pub attn_norm: Norm,
    /// Behind attention.
    pub out: Lin,
    /// Before the feed-forward part.
    pub norm2: Norm,
    /// Gate and up.
    pub gate_up: Lin,
    /// On the gated product.
    pub ffn_norm: Norm,
    /// Down.
    pub down: Lin,
}

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Layout {
    /// In buffer order.
    pub slots: Vec<Slot>,
    /// Elements of the buffer.
    pub total: usize,
    /// Patch convolution.
    pub patch: Lin,
    /// Position embedding.
    pub position: usize,
    /// Vision encoder.
    pub vision: Vec<VisionLayer>,
    /// Connector.
    pub connector: [Lin; 2],
    /// Token embedding.
    pub embed: usize,
    /// Language model.
    pub language: Vec<LanguageLayer>,
    /// Final norm.
    pub final_norm: Norm,
    /// Proprioception projector.
    pub proprio: [Lin; 2],
    /// Head: first norm.
    pub head_norm1: Norm,
    /// Head: first linear.
    pub head_fc1: Lin,
    /// Head: residual blocks.
    pub head_blocks: [(Norm, Lin); 2],
    /// Head: last norm.
    pub head_norm2: Norm,
    /// Head: last linear.
    pub head_fc2: Lin,
}

#[derive(Default)]
struct Builder {
    slots: Vec<Slot>,
    total: usize,
}

impl Builder {
    fn add(&mut self, file: File, kind: Kind, name: String, shape: &[usize]) -> usize {
        let at = self.total;
        self.slots.push(Slot {
            name,
            shape: shape.to_vec(),
            at,
            file,
            kind,
        });
        self.total += shape.iter().product::<usize>();
        at
    }

    fn linear(
        &mut self,
        (file, kind): (File, Kind),
        names: &[(String, usize)],
        n_in: usize,
        bias: bool,
    ) -> Lin {
        let w = self.total;
        for (name, n_out) in names {
            self.add(file, kind, format!("{name}.weight"), &[*n_out, n_in]);
        }
        let b = self.total;
        if bias {
            for (name, n_out) in names {
                self.add(file, Kind::Bias, format!("{name}.bias"), &[*n_out]);
            }
        }
        Lin {
            w,
            b: bias.then_some(b),
            n_in,
            n_out: names.iter().map(|n| n.1).sum(),
        }
    }

    fn norm(&mut self, file: File, name: &str, n: usize, bias: bool) -> Norm {
        let w = self.add(file, Kind::Norm, format!("{name}.weight"), &[n]);
        let b = bias.then(|| self.add(file, Kind::Bias, format!("{name}.bias"), &[n]));
        Norm { w, b, n }
    }
}

impl Layout {
    /// For a network.
    pub fn new(c: &NetConfig) -> Layout {
        let mut l = Builder::default();
        let model = |kind| (File::Model, kind);
        let root = "vision_tower.vision_model";
        let (v, w) = (c.vision_width, c.width);
        let patch = l.linear(
            model(Kind::Dense),
            &[(format!("{root}.embeddings.patch_embedding"), v)],
            3 * c.patch * c.patch,
            true,
        );
        l.slots[0].shape = vec![v, 3, c.patch, c.patch];
        let position = l.add(
            File::Model,
            Kind::Embedding,
            format!("{root}.embeddings.position_embedding.weight"),
            &[c.patches(), v],
        );
        let mut vision = Vec::new();
        for i in 0..c.vision_layers {
            let p = format!("{root}.encoder.layers.{i}");
            let at = |name: &str, n: usize| (format!("{p}.{name}"), n);
            let q = Kind::VisionLinear;
            vision.push(VisionLayer {
                norm1: l.norm(File::Model, &format!("{p}.layer_norm1"), v, true),
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
                norm2: l.norm(File::Model, &format!("{p}.layer_norm2"), v, true),
                fc1: l.linear(model(q), &[at("mlp.fc1", c.vision_ffn)], v, true),
                fc2: l.linear(model(q), &[at("mlp.fc2", v)], c.vision_ffn, true),
            });
        }
        let dense = Kind::Dense;
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
            File::Model,
            Kind::Embedding,
            format!("{root}.embed_tokens.weight"),
            &[c.vocab, w],
        );
        let kv = c.kv_heads * c.head_dim();
        let mut language = Vec::new();
        for i in 0..c.layers {
            let p = format!("{root}.layers.{i}");
            let at = |name: &str, n: usize| (format!("{p}.{name}"), n);
            let q = Kind::LanguageLinear;
            language.push(LanguageLayer {
                norm1: l.norm(File::Model, &format!("{p}.input_layernorm"), w, false),
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
                attn_norm: l.norm(
                    File::Model,
                    &format!("{p}.self_attn.attn_sub_norm"),
                    w,
                    false,
                ),
                out: l.linear(model(q), &[at("self_attn.o_proj", w)], w, false),
                norm2: l.norm(
                    File::Model,
                    &format!("{p}.post_attention_layernorm"),
                    w,
                    false,
                ),
                gate_up: l.linear(
                    model(q),
                    &[at("mlp.gate_proj", c.ffn), at("mlp.up_proj", c.ffn)],
                    w,
                    false,
                ),
                ffn_norm: l.norm(File::Model, &format!("{p}.mlp.ffn_sub_norm"), c.ffn, false),
                down: l.linear(model(q), &[at("mlp.down_proj", w)], c.ffn, false),
            });
        }
        let final_norm = l.norm(File::Model, &format!("{root}.norm"), w, false);
        let proprio = [
            l.linear(
                (File::Proprio, dense),
                &[("fc1".into(), w)],
                c.proprio,
                true,
            ),
            l.linear((File::Proprio, dense), &[("fc2".into(), w)], w, true),
        ];
        let head = (File::Head, dense);
        let n = c.action_dim * w;
        let head_norm1 = l.norm(File::Head, "model.layer_norm1", n, true);
        let head_fc1 = l.linear(head, &[("model.fc1".into(), w)], n, true);
        let head_blocks = [0, 1].map(|i| {
            let p = format!("model.mlp_resnet_blocks.{i}.ffn");
            (
                l.norm(File::Head, &format!("{p}.0"), w, true),
                l.linear(head, &[(format!("{p}.1"), w)], w, true),
            )
        });
        let head_norm2 = l.norm(File::Head, "model.layer_norm2", w, true);
        let head_fc2 = l.linear(head, &[("model.fc2".into(), c.action_dim)], w, true);
        let Builder { slots, total } = l;
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

    /// Fresh parameters: matrices uniform in +-1/sqrt(inputs), embeddings small, norms one, biases zero.
    pub fn init(&self, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut data = vec![0.0; self.total];
        for slot in &self.slots {
            let bound = match slot.kind {
                Kind::Bias => 0.0,
                Kind::Norm => {
                    data[slot.at..slot.at + slot.len()].fill(1.0);
                    continue;
                }
                Kind::Embedding => 0.15,
                _ => 1.0 / ((slot.len() / slot.shape[0]) as f32).sqrt(),
            };
            for x in &mut data[slot.at..slot.at + slot.len()] {
                *x = uniform(&mut state) * bound;
            }
        }
        data
    }

    /// The weights that the forward pass multiplies with: a copy of `params` in which the quantised matrices
    /// are replaced by `code / (1 / a)`, `a` the mean magnitude, `code = clamp(round(W / a), -1, 1)`.
    pub fn effective(&self, params: &[f32], quant: Quant, out: &mut Vec<f32>) {
        out.clear();
        out.extend_from_slice(params);
        for slot in &self.slots {
            let on = match slot.kind {
                Kind::VisionLinear => quant.vision_weights,
                Kind::LanguageLinear => quant.language,
                _ => false,
            };
            if on {
                ternarise(&mut out[slot.at..slot.at + slot.len()]);
            }
        }
    }
}

/// Replaces a matrix by its absmean-ternary values.
pub fn ternarise(w: &mut [f32]) {
    let sum: f64 = w.iter().map(|x| f64::from(x.abs())).sum();
    let mean = ((sum / w.len() as f64) as f32).max(1e-5);
    let scale = 1.0 / mean;
    for x in w {
        *x = (*x * scale).round_ties_even().clamp(-1.0, 1.0) / scale;
    }
}

/// Next number of a SplitMix64 sequence, uniform in [-1, 1).
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
}
