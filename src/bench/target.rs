//! Networks that can be measured, and their inputs.

use super::{BenchModel, BenchPlan};
use crate::agent::registry::open_checkpoint;
use crate::{EvalError, memory_of};
use bitvla_policies::candle_engine::CandleVla;
use bitvla_policies::formats::QUANTISED_VISION;
use bitvla_policies::packed::{self, PackedFile};
use bitvla_policies::preprocess::ImagePipeline;
use bitvla_policies::testing::SplitMix64;
use bitvla_policies::{
    Architecture, BitVla, CAMERA_SIZE, Config, Engine, NetworkInput, Observation, PhaseTimes,
    Policy, ScratchBuffers, Threads, VlaNetwork, VlaPolicy, WeightFormat, system,
};
use bitvla_reports::MemoryReport;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Approximate resident memory of a model, bytes.
fn required_bytes(plan: &BenchPlan) -> u64 {
    let (linears, rest): (u64, u64) = match plan.model {
        BenchModel::BitVla3b => (2_479_890_432, 76_000_000),
        BenchModel::OpenVlaOft7b => (7_020_000_000, 400_000_000),
    };
    let encoding = plan.format.language().encoding.unwrap_or(plan.stored);
    let linears = linears * encoding.matrix_bytes(4096, 4096) as u64 / (4096 * 4096);
    let stored = u64::from(plan.stored.bits_per_weight() / 8);
    linears + rest * stored + 700_000_000
}

/// The network that is measured.
pub(super) enum BenchTarget {
    Synthetic {
        network: Box<dyn VlaNetwork>,
        work: Box<ScratchBuffers>,
    },
    Policy(Box<VlaPolicy>),
}

/// Writes the packed file of a synthetic model.
///
/// # Errors
/// If it does not fit the memory or the disk.
pub fn prepare(plan: &BenchPlan, path: &Path) -> Result<(), EvalError> {
    let source = plan.source();
    let config = Config::bitvla_3b()?;
    let network = BitVla::from_config(&config, &source, plan.format, (true, true))?;
    let text = serde_json::to_vec(&config).map_err(|e| EvalError::Input(e.to_string()))?;
    let files = BTreeMap::from([("config.json".to_owned(), text)]);
    Ok(packed::write(path, &network, plan.format, "", &files)?)
}

pub(super) fn open_target(
    plan: &BenchPlan,
    packed: Option<&Path>,
) -> Result<BenchTarget, EvalError> {
    let threads = Threads::new(plan.threads)?;
    if let Some(checkpoint) = &plan.checkpoint {
        let mut policy = open_checkpoint(checkpoint, plan.format)?;
        policy.set_threads(threads);
        return Ok(BenchTarget::Policy(Box::new(policy)));
    }
    let network: Box<dyn VlaNetwork> = match packed {
        Some(path) => {
            let packed = PackedFile::open(path)?;
            Box::new(BitVla::from_packed(&packed, packed.format()?)?)
        }
        None => synthetic_network(plan)?,
    };
    Ok(BenchTarget::Synthetic {
        network,
        work: Box::new(ScratchBuffers::new(threads)),
    })
}

/// Network of seeded weights in memory.
fn synthetic_network(plan: &BenchPlan) -> Result<Box<dyn VlaNetwork>, EvalError> {
    let model = plan.model;
    let required = required_bytes(plan);
    if let Some(there) = system::available_bytes().filter(|there| *there < required) {
        return Err(EvalError::Input(format!(
            "{} {} needs {:.1} GB of memory, {:.1} GB are free",
            model.name(),
            plan.format.name(),
            required as f64 / 1e9,
            there as f64 / 1e9
        )));
    }
    let source = plan.source();
    let parts = (true, true);
    Ok(match (model, plan.engine) {
        (BenchModel::BitVla3b, Engine::Native) => {
            let config = Config::bitvla_3b()?;
            Box::new(BitVla::from_config(&config, &source, plan.format, parts)?)
        }
        (BenchModel::BitVla3b, Engine::Candle) if plan.format == WeightFormat::Full => {
            let config = Config::bitvla_3b()?;
            Box::new(CandleVla::from_config(&config, &source, parts)?)
        }
        (BenchModel::OpenVlaOft7b, Engine::Native) => {
            let formats = plan.format.network(QUANTISED_VISION);
            let architecture = Architecture::openvla_oft_7b();
            Box::new(BitVla::build(architecture, &source, formats, parts)?)
        }
        (_, Engine::Candle) => {
            return Err(EvalError::Input(
                "--engine candle measures the policy `full` of a checkpoint or of the model bitvla-3b".into(),
            ));
        }
    })
}

/// A prompt of the length that LIBERO's tasks have (`docs/reference/bitvla.md`, section 2): words, images, the state, words.
fn prompt(a: &Architecture, model: BenchModel) -> Vec<u32> {
    let (before, after) = match model {
        BenchModel::BitVla3b => (36, 24),
        BenchModel::OpenVlaOft7b => (1, 22),
    };
    let mut random = SplitMix64::new(11);
    let mut words = |count: usize| {
        let most = u64::from(a.image_token.min(a.language.vocab_size as u32));
        (0..count)
            .map(|_| (random.next_u64() % most) as u32)
            .collect::<Vec<u32>>()
    };
    let mut tokens = words(before);
    tokens.extend(std::iter::repeat_n(a.image_token, a.patches()));
    tokens.push(a.proprio_token);
    tokens.extend(words(after));
    tokens
}

/// Instruction that a checkpoint is asked.
pub(super) const INSTRUCTION: &str =
    "pick up the black bowl between the plate and the ramekin and place it on the plate";

/// A frame with edges and shades.
pub(super) fn test_frame(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let noise: Vec<u8> = (0..64).map(|_| random.next_u64() as u8).collect();
    (0..CAMERA_SIZE * CAMERA_SIZE * 3)
        .map(|i| {
            let (x, y) = (i / 3 % CAMERA_SIZE, i / 3 / CAMERA_SIZE);
            noise[(x / 32 + y / 32 * 8) % 64].wrapping_add((x + y + i % 3) as u8 / 4)
        })
        .collect()
}

impl BenchTarget {
    pub(super) fn query(
        &mut self,
        plan: &BenchPlan,
        frames: &[Vec<u8>],
    ) -> Result<(PhaseTimes, usize), EvalError> {
        match self {
            BenchTarget::Policy(policy) => {
                let observation = Observation {
                    agentview: &frames[0],
                    wrist: &frames[1],
                    proprio: [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
                    instruction: INSTRUCTION,
                };
                let times = policy.query(&observation)?.times;
                Ok((times, policy.tokens()))
            }
            BenchTarget::Synthetic { network, work } => {
                let start = Instant::now();
                let a = network.architecture();
                let size = a.image_size();
                let images: Vec<Vec<f32>> = frames
                    .iter()
                    .map(|frame| ImagePipeline::Published.apply(frame, size))
                    .collect();
                let tokens = prompt(a, plan.model);
                let mut times = PhaseTimes {
                    preprocessing: start.elapsed(),
                    ..PhaseTimes::default()
                };
                let input = NetworkInput {
                    tokens: &tokens,
                    images: &images,
                    proprio: &[0.1; 8],
                };
                let actions = network.forward(work, input, &mut times, &mut |_, _| {})?;
                if let Some(bad) = actions.iter().find(|v| !v.is_finite()) {
                    return Err(EvalError::Input(format!("an action is {bad}")));
                }
                Ok((times, tokens.len() + a.placeholders() + 1))
            }
        }
    }

    pub(super) fn network(&self) -> &dyn VlaNetwork {
        match self {
            BenchTarget::Synthetic { network, .. } => &**network,
            BenchTarget::Policy(policy) => policy.network(),
        }
    }

    pub(super) fn memory(&self) -> MemoryReport {
        memory_of(match self {
            BenchTarget::Synthetic { network, work } => network.ledger(work),
            BenchTarget::Policy(policy) => policy.memory(),
        })
    }
}
