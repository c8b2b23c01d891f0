//! Shows where a trained stage disagrees with the labels of the expert, by data set and task: the mean absolute error of its
//! actions, normalised, and the share of frames in which the label moves and the answer is less than half of it. Labels of
//! frames that were trained on and are still not answered contradict each other, or need more steps; frames that were not
//! trained on tell how far what is learned carries.

use anyhow::Result;
use bitvla_tasks::{Assets, Suite};
use bitvla_train::checkpoint::{net_config, prompts, read_state};
use bitvla_train::dataset::{CHUNK, FrameDataset};
use bitvla_train::net::{Net, NetActivations, QuantConfig, TrainingSample};
use bitvla_train::pipeline::PipelineConfig;
use bitvla_train::recipe::{Recipe, TrainedWeights};
use bitvla_train::statistics::statistics;
use bitvla_train::trainer::{MICROBATCH_SIZE, fill_sample, state_path};
use clap::Parser;
use std::path::PathBuf;

/// Compares the answers of a trained stage with the labels of data sets.
#[derive(Parser)]
struct Args {
    /// Suite whose recipe is meant
    #[arg(long, default_value = "spatial")]
    suite: String,
    /// Recipe (TOML) in place of the suite's own
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Folder of the training run [default: data/train/SUITE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Training stage that answers
    #[arg(long, default_value = "full")]
    stage: String,
    /// Takes every Nth frame
    #[arg(long, value_name = "N", default_value_t = 16)]
    every: usize,
    /// Data sets
    #[arg(required = true)]
    frames: Vec<String>,
}

/// Speed, as the norm of the normalised translation, from which a label moves.
const MOVES: f64 = 0.3;

/// Sums over the frames of a task.
#[derive(Default)]
struct TaskErrors {
    frames: usize,
    /// Position, rotation, gripper.
    errors: [f64; 3],
    /// Frames whose label moves, and those of them that are answered with less than half of it.
    moving: usize,
    unanswered: usize,
}

impl TaskErrors {
    fn add(&mut self, answer: &[f32], label: &[f32]) {
        self.frames += 1;
        for (a, l) in answer.chunks_exact(7).zip(label.chunks_exact(7)) {
            for (part, range) in [0..3, 3..6, 6..7].into_iter().enumerate() {
                let n = (range.len() * CHUNK) as f64;
                let errors = range.map(|i| f64::from((a[i] - l[i]).abs()));
                self.errors[part] += errors.sum::<f64>() / n;
            }
        }
        if speed(label) > MOVES {
            self.moving += 1;
            self.unanswered += usize::from(speed(answer) < 0.5 * speed(label));
        }
    }
}

/// Mean norm of the translations of a chunk.
fn speed(chunk: &[f32]) -> f64 {
    let norm = |a: &[f32]| f64::from(a[..3].iter().map(|x| x * x).sum::<f32>()).sqrt();
    chunk.chunks_exact(7).map(norm).sum::<f64>() / CHUNK as f64
}

fn main() -> Result<()> {
    let args = Args::parse();
    let recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None => Recipe::named(&args.suite)?,
    };
    let assets = Assets::open(&Assets::default_dir())?;
    let suites = (recipe.suites.iter()).map(|name| Suite::load(&assets, name));
    let suites: Vec<Suite> = suites.collect::<Result<_, _>>()?;
    let default_out = || PathBuf::from("data/train").join(recipe.name());
    let run = PipelineConfig {
        assets: &assets,
        recipe: &recipe,
        suites: &suites,
        out: &args.out.clone().unwrap_or_else(default_out),
        seed: 1,
        jobs: 1,
        scale: 1.0,
        ablation: true,
    };
    let quant = match run.training_stage(&args.stage)?.weights {
        TrainedWeights::Ternary => QuantConfig::ALL,
        TrainedWeights::Full => QuantConfig::NONE,
    };
    let net = Net::new(net_config(&recipe.network, &suites), quant);
    let prompts = prompts(&suites, &net.config, &run.out.join("tokenizer"))?;
    let state = read_state(&state_path(&run.stage_dir(&args.stage)), net.layout.total)?;
    let mut weights = Vec::new();
    net.layout
        .effective_weights(&state.params, quant, &mut weights);
    let demonstrations = FrameDataset::read(&run.data_dir("demonstrations"))?;
    let statistics = statistics(demonstrations.metas())?;
    let mut activations = NetActivations::default();
    let mut samples = Vec::new();
    println!(
        "data set            task  frames  position  rotation  gripper  moving  less than half"
    );
    for name in &args.frames {
        let frames = FrameDataset::read(&run.data_dir(name))?;
        let mut tasks: Vec<TaskErrors> = prompts.iter().map(|_| TaskErrors::default()).collect();
        let chosen: Vec<usize> = (0..frames.len()).step_by(args.every.max(1)).collect();
        for group in chosen.chunks(MICROBATCH_SIZE) {
            samples.resize_with(group.len(), TrainingSample::default);
            for (sample, &i) in samples.iter_mut().zip(group) {
                let (meta, images) = (frames.meta(i), frames.images(i));
                fill_sample(sample, meta, images, &statistics, &prompts);
            }
            let answers = net.predict(&weights, &samples, &mut activations);
            for (sample, answer) in samples.iter().zip(answers.chunks_exact(7 * CHUNK)) {
                tasks[sample.task].add(answer, &sample.target);
            }
        }
        for (task, sums) in tasks.iter().enumerate().filter(|(_, t)| t.frames > 0) {
            let [position, rotation, gripper] = sums.errors.map(|e| e / sums.frames as f64);
            println!(
                "{name:18} {task:5} {:7} {position:9.3} {rotation:9.3} {gripper:8.3} {:7} {:10}",
                sums.frames, sums.moving, sums.unanswered
            );
        }
    }
    Ok(())
}
