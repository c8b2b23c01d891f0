//! The whole network and its parallel decoding, `docs/reference/bitvla.md`, section 1.6.

use crate::architecture::Architecture;
use crate::formats::{LinearFormat, NetworkFormats, WeightFormat};
use crate::head::ActionHead;
use crate::language::LanguageModel;
use crate::linear::ActivationFormat;
use crate::mlp::Mlp;
use crate::network::{LinearShape, VlaNetwork, assemble_inputs, check};
use crate::scratch_buffers::ScratchBuffers;
use crate::vision::{VisionArchitecture, VisionTower};
use crate::weight_source::{PROPRIO_PREFIX, Parameter, Parameters, RowStorage, WeightSource};
use crate::weights::WeightEncoding;
use crate::{AttentionMask, Checkpoint, Config, MemoryLedger, PhaseTimes, PolicyError};
use std::time::Instant;

/// Receives named intermediate values.
pub type Trace<'a> = dyn FnMut(&str, &[f32]) + 'a;

/// Vision towers, connector, language model, proprioception projector and action head. The last two may be missing in
/// a base checkpoint, which then has hidden states and no actions.
pub struct BitVla {
    architecture: Architecture,
    towers: Vec<VisionTower>,
    connector: Mlp,
    language: LanguageModel,
    proprio: Option<Mlp>,
    head: Option<ActionHead>,
}

/// One query: prompt tokens, normalised images and the normalised state.
#[derive(Debug, Clone, Copy)]
pub struct NetworkInput<'a> {
    /// Token ids, image and state placeholders among them.
    pub tokens: &'a [u32],
    /// Images, each `[3, image_size, image_size]`.
    pub images: &'a [Vec<f32>],
    /// State `[proprio_dim]`; empty where the prompt has no placeholder for one.
    pub proprio: &'a [f32],
}

impl BitVla {
    /// Builds the network from a checkpoint.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn new(checkpoint: &Checkpoint, format: WeightFormat) -> Result<BitVla, PolicyError> {
        let config = checkpoint.config();
        let parts = (checkpoint.has_proprio(), checkpoint.has_head());
        BitVla::from_config(config, checkpoint, format, parts)
    }

    /// Builds the network that a config describes; `parts`: it has a proprioception projector, it has an action head.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn from_config(
        config: &Config,
        source: &dyn WeightSource,
        format: WeightFormat,
        parts: (bool, bool),
    ) -> Result<BitVla, PolicyError> {
        let v = &config.vision_config;
        let formats = format.network((v.vit_weight_bits, v.vit_act_bits));
        BitVla::build(Architecture::from(config), source, formats, parts)
    }

    /// Builds a network. Small parts come first, so that a file that is read whole for them is gone when the large
    /// ones come.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn build(
        architecture: Architecture,
        source: &dyn WeightSource,
        formats: NetworkFormats,
        (proprio, head): (bool, bool),
    ) -> Result<BitVla, PolicyError> {
        let a = &architecture;
        let width = a.language.hidden_size;
        let head = head.then(|| ActionHead::load(source, (width, a.action_dim), formats.head));
        let names = ["fc1", "fc2"].map(|name| format!("{PROPRIO_PREFIX}{name}"));
        let names = [names[0].as_str(), names[1].as_str()];
        let widths = [a.proprio_dim, width, width];
        let proprio = proprio.then(|| Mlp::load(source, "proprio projector", &names, &widths));
        let tower =
            |shape: &VisionArchitecture| VisionTower::load(source, shape.clone(), formats.vision);
        Ok(BitVla {
            head: head.transpose()?,
            proprio: proprio.transpose()?,
            towers: a.towers.iter().map(tower).collect::<Result<_, _>>()?,
            connector: Mlp::load(source, "connector", &a.connector, &a.connector_widths)?,
            language: LanguageModel::load(source, a.language.clone(), formats.language)?,
            architecture,
        })
    }

    /// Switches the mask of the language model.
    pub fn set_attention(&mut self, attention: AttentionMask) {
        self.architecture.attention = attention;
    }

    /// Hidden states `[action_chunk * 7, hidden_size]` that the action head reads.
    ///
    /// # Errors
    /// As [`VlaNetwork::forward`].
    pub fn hidden_states(
        &self,
        buffers: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError> {
        check(prompt, &self.architecture, self.proprio.is_some())?;
        let a = &self.architecture;
        let width = a.language.hidden_size;
        let start = Instant::now();
        self.encode_images(buffers, prompt.images, trace);
        let patches = prompt.images.len() * self.towers[0].shape().patches();
        trace("vision.projected", buffers.scratch.view(patches * width));
        let seen = Instant::now();
        let mut state = vec![0f32; width];
        if let (Some(projector), false) = (&self.proprio, prompt.proprio.is_empty()) {
            let mut between = vec![0f32; projector.between()];
            let (threads, inputs) = (&buffers.threads, &mut buffers.inputs);
            projector.forward(threads, inputs, prompt.proprio, &mut between, &mut state);
        }
        let count = prompt.tokens.len() + a.placeholders() + 1;
        let x = buffers.residual.get(count * width);
        let features = buffers.scratch.view(patches * width);
        let embed = |token, row: &mut [f32]| self.language.embed(token, row);
        assemble_inputs(prompt, a, features, &state, x, embed)?;
        trace("lm.inputs_embeds", x);
        // The mask is shifted by one: the last prompt token stands for the first placeholder.
        let wanted = prompt.tokens.len() - 1..prompt.tokens.len() - 1 + a.placeholders();
        let states = self
            .language
            .forward(buffers, count, wanted, a.attention, trace);
        trace("action.hidden_states", &states);
        times.vision += seen - start;
        times.language += seen.elapsed();
        Ok(states)
    }

    /// Writes the projected features of images, `[patches, hidden_size]`, to the front of `buffers.scratch`.
    fn encode_images(
        &self,
        buffers: &mut ScratchBuffers,
        images: &[Vec<f32>],
        trace: &mut Trace<'_>,
    ) {
        let total: usize = self
            .towers
            .iter()
            .map(|tower| tower.shape().hidden_size)
            .sum();
        let rows = images.len() * self.towers[0].shape().patches();
        let mut joined = Vec::new();
        let mut before = 0;
        for tower in &self.towers {
            tower.forward(buffers, images, trace);
            if self.towers.len() == 1 {
                break;
            }
            let width = tower.shape().hidden_size;
            joined.resize(rows * total, 0.0);
            let x = buffers.residual.view(rows * width).chunks_exact(width);
            for (to, from) in joined.chunks_exact_mut(total).zip(x) {
                to[before..before + width].copy_from_slice(from);
            }
            before += width;
        }
        let ScratchBuffers {
            threads,
            inputs,
            residual,
            scratch,
            ..
        } = buffers;
        let x = match joined.is_empty() {
            true => residual.view(rows * total),
            false => &joined,
        };
        let (outputs, between) = (self.connector.outputs(), self.connector.between());
        let (features, between) = scratch
            .get(rows * (outputs + between))
            .split_at_mut(rows * outputs);
        self.connector
            .forward(threads, inputs, x, between, features);
    }

    /// All parameters of the network, each with its class of tensors.
    pub fn parameters(&self) -> Parameters<'_> {
        let mut list = Vec::new();
        self.collect_parameters(&mut list);
        list
    }

    fn collect_parameters<'a>(&'a self, list: &mut Parameters<'a>) {
        for tower in &self.towers {
            tower.parameters(list);
        }
        self.connector.parameters(list);
        self.language.parameters(list);
        if let Some(proprio) = &self.proprio {
            proprio.parameters(list);
        }
        if let Some(head) = &self.head {
            head.parameters(list);
        }
    }

    /// Memory of the weights, by class and encoding.
    pub fn memory(&self) -> MemoryLedger {
        let mut ledger = MemoryLedger::default();
        for (class, part) in self.parameters() {
            match part {
                Parameter::Linear(linear) => {
                    let weights = linear.weights();
                    let encoding = weights.encoding().name();
                    ledger.add(class, encoding, weights.codes());
                    ledger.add_owned(class, encoding, 4 * weights.scales().len());
                    let bias = linear.bias().map_or(0, <[f32]>::len);
                    ledger.add_owned("norms and biases", "f32", 4 * bias);
                }
                Parameter::Vector(vector) => {
                    ledger.add_owned(class, "f32", 4 * vector.values.len())
                }
                Parameter::Table(table) => match table.rows {
                    RowStorage::InMemory(_) => {
                        ledger.add_owned(class, table.dtype.name(), table.bytes())
                    }
                    RowStorage::InFile(_) => {
                        ledger.add_filed(class, table.dtype.name(), table.bytes())
                    }
                },
            }
        }
        ledger.add_owned(crate::policy::ROTARY_TABLES, "f32", self.language.tables());
        ledger
    }
}

impl VlaNetwork for BitVla {
    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Arithmetic of the language model and, where it is another, of the vision towers: see [`LinearFormat::arithmetic`].
    fn arithmetic(&self) -> String {
        let of = |wanted: &str| {
            let found = self
                .parameters()
                .into_iter()
                .find_map(|(class, part)| match part {
                    Parameter::Linear(linear) if class == wanted => Some(linear),
                    _ => None,
                });
            found.map_or("dense", |l| {
                LinearFormat::new(l.weights().encoding(), l.activations()).arithmetic()
            })
        };
        match (of("language linears"), of("vision linears")) {
            (language, vision) if language == vision => language.into(),
            (language, vision) => format!("{language}; vision {vision}"),
        }
    }

    fn linears(&self) -> Vec<LinearShape> {
        let shape = |(class, part)| match part {
            Parameter::Linear(linear) => Some(LinearShape {
                class,
                name: linear.name().into(),
                outputs: linear.outputs(),
                inputs: linear.inputs(),
                integer: linear.activations() == ActivationFormat::Int8,
                ternary: linear.weights().encoding() == WeightEncoding::Ternary,
            }),
            _ => None,
        };
        self.parameters().into_iter().filter_map(shape).collect()
    }

    fn forward(
        &self,
        buffers: &mut ScratchBuffers,
        prompt: NetworkInput<'_>,
        times: &mut PhaseTimes,
        trace: &mut Trace<'_>,
    ) -> Result<Vec<f32>, PolicyError> {
        let Some(head) = &self.head else {
            return fail("a base checkpoint: it has no action head".into());
        };
        let states = self.hidden_states(buffers, prompt, times, trace)?;
        let start = Instant::now();
        let actions = head.forward(&buffers.threads, &mut buffers.inputs, &states);
        trace("action.normalized", &actions);
        times.head += start.elapsed();
        Ok(actions)
    }

    fn ledger(&self, buffers: &ScratchBuffers) -> MemoryLedger {
        let mut ledger = self.memory();
        ledger.activations = buffers.bytes() as u64;
        ledger
    }
}

fn fail<T>(what: String) -> Result<T, PolicyError> {
    Err(PolicyError::Query {
        policy: "bitvla".into(),
        what,
    })
}
