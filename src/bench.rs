//! Latency and memory of a whole query, from camera frames to actions, at the size of a published model. Without its
//! weights the network is filled from a seed: time and memory do not depend on what the numbers are.

use crate::{EvalError, machine, memory_of, peak_resident_bytes, resident_bytes};
use bitvla_policies::kernels::Isa;
use bitvla_policies::kernels::peak::{self, PeakThroughput};
use bitvla_policies::packed::{self, PackedFile};
use bitvla_policies::preprocess::ImagePipeline;
use bitvla_policies::synthetic::SyntheticWeights;
use bitvla_policies::testing::SplitMix64;
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{
    Architecture, BitVla, CAMERA_SIZE, Config, NetworkInput, Observation, PhaseTimes, Policy,
    ScratchBuffers, Threads, VlaNetwork, VlaPolicy, WeightFormat, profile,
};
use bitvla_reports::{MachineInfo, MemoryReport, median, memory_table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Networks whose sizes are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// BitVLA as published, 3 billion parameters
    #[value(name = "bitvla-3b")]
    BitVla3b,
    /// OpenVLA-OFT, 7.7 billion parameters
    #[value(name = "openvla-oft-7b")]
    OpenVlaOft7b,
}

impl Model {
    /// Name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Model::BitVla3b => "bitvla-3b",
            Model::OpenVlaOft7b => "openvla-oft-7b",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct BenchPlan {
    /// Sizes.
    pub model: Model,
    /// Weights.
    pub format: WeightFormat,
    /// How the weights that are not quantised are stored.
    pub stored: WeightEncoding,
    /// A checkpoint folder or packed file instead of synthetic weights.
    pub checkpoint: Option<PathBuf>,
    /// Threads of a query.
    pub threads: usize,
    /// Queries that are timed, after one that is not.
    pub queries: usize,
    /// Seed of synthetic weights.
    pub seed: u64,
}

impl BenchPlan {
    fn source(&self) -> SyntheticWeights {
        SyntheticWeights {
            seed: self.seed,
            stored: self.stored,
        }
    }
}

/// Time of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseRow {
    /// Name.
    pub phase: String,
    /// Median over the queries, ms.
    pub median_ms: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// Name of the model, or where the checkpoint is.
    pub model: String,
    /// Name of the weight format.
    pub policy: String,
    /// How the weights are multiplied, see [`WeightFormat::arithmetic`].
    pub arithmetic: String,
    /// `synthetic` or `checkpoint`.
    pub weights: String,
    /// `bf16` or `f32`: how what is not quantised is stored.
    pub stored: String,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Threads of a query.
    pub threads: usize,
    /// Tokens of a query.
    pub tokens: usize,
    /// From the start of loading to the first query, ms.
    pub start_ms: f64,
    /// The first query, which pages the weights in, ms.
    pub first_ms: f64,
    /// Median of the others, ms.
    pub query_ms: f64,
    /// Phases of the query.
    pub phases: Vec<PhaseRow>,
    /// The same time by kind of work.
    pub work: Vec<PhaseRow>,
    /// Of the linear layers, 10^9 operations a second on all threads.
    pub linear_gops: f64,
    /// Measured peak of the processor, all threads.
    pub peak: PeakThroughput,
    /// What the products would take at the peak, ms.
    pub floor_ms: f64,
    /// PolicyQuery divided by floor; median of the queries, each with the peak around it.
    pub ratio: f64,
    /// The ledger.
    pub memory: MemoryReport,
    /// What it ran on.
    pub machine: MachineInfo,
}

/// Multiplications and additions of one query.
struct Operations {
    /// Of linear layers, in bytes.
    bytes: f64,
    /// Of linear layers, in f32.
    floats: f64,
    /// Of attention, in f32.
    attention: f64,
}

fn operations(network: &dyn VlaNetwork, tokens: usize) -> Operations {
    let a = network.architecture();
    let images = a.num_images;
    let (mut bytes, mut floats) = (0f64, 0f64);
    for linear in network.linears() {
        let rows = match linear.class {
            "language linears" => tokens,
            "connector" => a.patches(),
            "action head" => a.action_chunk,
            "proprio projector" => 1,
            // Patch embedding and towers.
            _ => {
                let prefix = a.towers.iter().find(|t| linear.name.starts_with(&t.root));
                a.patches() + images * prefix.map_or(0, |t| t.prefix_tokens)
            }
        };
        let ops = 2.0 * rows as f64 * linear.inputs as f64 * linear.outputs as f64;
        match linear.integer {
            true => bytes += ops,
            false => floats += ops,
        }
    }
    // Scores and mixing: 2 * 2 * rows * keys * width.
    let mut attention = (4 * tokens * tokens * a.language.hidden_size * a.language.layers) as f64;
    for tower in &a.towers {
        let rows = tower.prefix_tokens + tower.patches();
        attention += (4 * images * rows * rows * tower.hidden_size * tower.layers) as f64;
    }
    Operations {
        bytes,
        floats,
        attention,
    }
}

/// What the products of a query would take at the measured peak, ms.
fn floor_ms(network: &dyn VlaNetwork, tokens: usize, peak: PeakThroughput) -> f64 {
    let o = operations(network, tokens);
    1e-6 * (o.bytes / peak.int8_gops + (o.floats + o.attention) / peak.f32_gflops)
}

/// Resident memory that a model will take, bytes, about.
fn wanted_bytes(plan: &BenchPlan) -> u64 {
    let (linears, rest): (u64, u64) = match plan.model {
        Model::BitVla3b => (2_479_890_432, 76_000_000),
        Model::OpenVlaOft7b => (7_020_000_000, 400_000_000),
    };
    let encoding = plan.format.language().encoding.unwrap_or(plan.stored);
    let linears = linears * encoding.matrix_bytes(4096, 4096) as u64 / (4096 * 4096);
    let stored = u64::from(plan.stored.bits_per_weight() / 8);
    linears + rest * stored + 700_000_000
}

fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// What answers.
enum Subject {
    Synthetic {
        network: Box<BitVla>,
        work: Box<ScratchBuffers>,
    },
    Policy(Box<VlaPolicy>),
}

/// Writes the packed file of a synthetic model.
///
/// # Errors
/// When it does not fit the memory or the disk.
pub fn prepare(plan: &BenchPlan, path: &Path) -> Result<(), EvalError> {
    let source = plan.source();
    let config = Config::bitvla_3b()?;
    let network = BitVla::from_config(&config, &source, plan.format, (true, true))?;
    let text = serde_json::to_vec(&config).map_err(|e| EvalError::Input(e.to_string()))?;
    let files = BTreeMap::from([("config.json".to_owned(), text)]);
    Ok(packed::write(path, &network, plan.format, "", &files)?)
}

fn subject(plan: &BenchPlan, packed: Option<&Path>) -> Result<Subject, EvalError> {
    let threads = Threads::new(plan.threads)?;
    if let Some(checkpoint) = &plan.checkpoint {
        let mut policy = VlaPolicy::open(checkpoint, plan.format)?;
        policy.set_threads(threads);
        return Ok(Subject::Policy(Box::new(policy)));
    }
    let network = match (packed, plan.model) {
        (Some(path), _) => BitVla::from_packed(&PackedFile::open(path)?)?.0,
        (None, model) => {
            let wanted = wanted_bytes(plan);
            if let Some(there) = available_bytes().filter(|there| *there < wanted) {
                return Err(EvalError::Input(format!(
                    "{} {} needs {:.1} GB of memory, {:.1} GB are free",
                    model.name(),
                    plan.format.name(),
                    wanted as f64 / 1e9,
                    there as f64 / 1e9
                )));
            }
            let source = plan.source();
            match model {
                Model::BitVla3b => {
                    let config = Config::bitvla_3b()?;
                    BitVla::from_config(&config, &source, plan.format, (true, true))?
                }
                Model::OpenVlaOft7b => {
                    let formats = (plan.format.language(), plan.format.language());
                    let architecture = Architecture::openvla_oft_7b();
                    BitVla::build(architecture, &source, formats, (true, true))?
                }
            }
        }
    };
    Ok(Subject::Synthetic {
        network: Box::new(network),
        work: Box::new(ScratchBuffers::new(threads)),
    })
}

/// A prompt of the length that LIBERO's tasks have (fact sheet, section 2): words, images, the state, words.
fn prompt(a: &Architecture, model: Model) -> Vec<u32> {
    let (before, after) = match model {
        Model::BitVla3b => (36, 24),
        Model::OpenVlaOft7b => (1, 22),
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

/// What a checkpoint is asked.
const INSTRUCTION: &str =
    "pick up the black bowl between the plate and the ramekin and place it on the plate";

/// A frame with edges and shades.
fn frame(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let noise: Vec<u8> = (0..64).map(|_| random.next_u64() as u8).collect();
    (0..CAMERA_SIZE * CAMERA_SIZE * 3)
        .map(|i| {
            let (x, y) = (i / 3 % CAMERA_SIZE, i / 3 / CAMERA_SIZE);
            noise[(x / 32 + y / 32 * 8) % 64].wrapping_add((x + y + i % 3) as u8 / 4)
        })
        .collect()
}

impl Subject {
    fn query(
        &mut self,
        plan: &BenchPlan,
        frames: &[Vec<u8>],
    ) -> Result<(PhaseTimes, usize), EvalError> {
        match self {
            Subject::Policy(policy) => {
                let observation = Observation {
                    agentview: &frames[0],
                    wrist: &frames[1],
                    proprio: [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
                    instruction: INSTRUCTION,
                };
                let times = policy.query(&observation)?.times;
                Ok((times, policy.tokens()))
            }
            Subject::Synthetic { network, work } => {
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
                let asked = NetworkInput {
                    tokens: &tokens,
                    images: &images,
                    proprio: &[0.1; 8],
                };
                let actions = network.forward(work, asked, &mut times, &mut |_, _| {})?;
                if let Some(bad) = actions.iter().find(|v| !v.is_finite()) {
                    return Err(EvalError::Input(format!("an action is {bad}")));
                }
                Ok((times, tokens.len() + a.placeholders() + 1))
            }
        }
    }

    fn network(&self) -> &dyn VlaNetwork {
        match self {
            Subject::Synthetic { network, .. } => &**network,
            Subject::Policy(policy) => policy.network(),
        }
    }

    fn memory(&self) -> MemoryReport {
        memory_of(match self {
            Subject::Synthetic { network, work } => network.ledger(work),
            Subject::Policy(policy) => policy.memory(),
        })
    }
}

fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// Measures; `packed` is a packed file of synthetic weights, or the weights are made in memory. `progress` is told what
/// is being done.
///
/// # Errors
/// When the weights cannot be had or do not fit the memory.
pub fn bench(
    plan: &BenchPlan,
    packed: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<BenchReport, EvalError> {
    let program_bytes = resident_bytes();
    progress("loading");
    let start = Instant::now();
    let mut subject = subject(plan, packed)?;
    let start_ms = ms(start.elapsed());
    if let Subject::Policy(policy) = &subject {
        policy.prepare(&[INSTRUCTION.to_owned()])?;
    }
    let frames = [frame(1), frame(2)];
    progress("first query");
    let (first, tokens) = subject.query(plan, &frames)?;
    let (mut times, mut work) = (Vec::new(), Vec::new());
    // The clock of the processor moves: every query has its own peak, measured before and after it.
    let mut peaks = vec![peak::measure(plan.threads)];
    for i in 0..plan.queries {
        progress(&format!("query {} of {}", i + 1, plan.queries));
        profile::take();
        times.push(subject.query(plan, &frames)?.0);
        work.push(profile::take());
        peaks.push(peak::measure(plan.threads));
    }
    let around = |i: usize| PeakThroughput {
        int8_gops: 0.5 * (peaks[i].int8_gops + peaks[i + 1].int8_gops),
        f32_gflops: 0.5 * (peaks[i].f32_gflops + peaks[i + 1].f32_gflops),
    };
    let middle = |of: &dyn Fn(usize) -> f64| {
        median(&(0..plan.queries).map(of).collect::<Vec<f64>>()).unwrap_or(0.0)
    };
    let peak = PeakThroughput {
        int8_gops: middle(&|i| around(i).int8_gops),
        f32_gflops: middle(&|i| around(i).f32_gflops),
    };
    let row = |phase: &str, of: &dyn Fn(usize) -> Duration| PhaseRow {
        phase: phase.to_owned(),
        median_ms: middle(&|i| ms(of(i))),
    };
    let phases = vec![
        row("preprocessing", &|i| times[i].preprocessing),
        row("vision", &|i| times[i].vision),
        row("language", &|i| times[i].language),
        row("head", &|i| times[i].head),
    ];
    let kinds = vec![
        row("linear layers", &|i| work[i][0]),
        row("attention", &|i| work[i][1]),
        row("norms, quantising", &|i| work[i][2]),
        row("everything else", &|i| {
            times[i].total().saturating_sub(work[i].iter().sum())
        }),
    ];
    let network = subject.network();
    let o = operations(network, tokens);
    Ok(BenchReport {
        model: match &plan.checkpoint {
            Some(path) => path.display().to_string(),
            None => plan.model.name().to_owned(),
        },
        policy: plan.format.name().to_owned(),
        arithmetic: network.arithmetic(),
        weights: if plan.checkpoint.is_some() {
            "checkpoint"
        } else {
            "synthetic"
        }
        .to_owned(),
        stored: plan.stored.name().to_owned(),
        isa: Isa::active().name().to_owned(),
        threads: plan.threads,
        tokens,
        start_ms,
        first_ms: ms(first.total()),
        query_ms: row("query", &|i| times[i].total()).median_ms,
        linear_gops: 1e-6 * (o.bytes + o.floats) / kinds[0].median_ms,
        phases,
        work: kinds,
        peak,
        floor_ms: middle(&|i| floor_ms(network, tokens, around(i))),
        ratio: middle(&|i| ms(times[i].total()) / floor_ms(network, tokens, around(i))),
        memory: MemoryReport {
            program_bytes,
            instances: 1,
            peak_resident_bytes: peak_resident_bytes(),
            ..subject.memory()
        },
        machine: machine(),
    })
}

/// The report for people.
pub fn bench_table(r: &BenchReport) -> String {
    let mut out = format!(
        "{}, {} ({}), {} weights, rest {}\n{} tokens, {} thread{}, {}, {}\n\n",
        r.model,
        r.policy,
        r.arithmetic,
        r.weights,
        r.stored,
        r.tokens,
        r.threads,
        if r.threads == 1 { "" } else { "s" },
        r.isa,
        r.machine.processor
    );
    // Writing to a string cannot fail, here and below.
    let mut line = |name: &str, value: f64| {
        let share = 100.0 * value / r.query_ms.max(1e-9);
        let _ = writeln!(out, "  {name:24}{value:>10.1} ms{share:>8.1} %");
    };
    line("whole query, median", r.query_ms);
    for row in r.phases.iter().chain(&r.work) {
        line(&row.phase, row.median_ms);
    }
    let _ = writeln!(
        out,
        "  {:24}{:>10.1} ms    (peak {:.0} GOPS int8, {:.0} GFLOPS f32)",
        "floor at the peak", r.floor_ms, r.peak.int8_gops, r.peak.f32_gflops
    );
    let _ = writeln!(out, "  {:24}{:>10.2}", "query / floor, median", r.ratio);
    let _ = writeln!(out, "  {:24}{:>10.0} GOPS", "linear layers", r.linear_gops);
    let _ = writeln!(
        out,
        "  {:24}{:>10.1} ms    first query {:.0} ms",
        "start", r.start_ms, r.first_ms
    );
    let _ = write!(out, "\n{}", memory_table(&r.memory));
    if r.memory.peak_resident_bytes > 0 {
        let apart = r.memory.accounted_bytes() as f64 / r.memory.peak_resident_bytes as f64 - 1.0;
        let _ = writeln!(out, "  the ledger is {:+.1} % of the peak", 100.0 * apart);
    }
    out
}
