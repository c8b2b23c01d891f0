//! Stages of training in their order, from nothing to the two checkpoints that ship.
//!
//! 1. Demonstrations of the disturbed expert, and some more that are never trained on.
//! 2. Behaviour cloning in full precision.
//! 3. The policy acts and the expert labels; training continues with all frames so far. This is `full`.
//! 4. Quantize-then-distill: weights of the language model and the vision tower become ternary, activations int8
//!    (straight-through), the layers of the vision tower are aligned with those of `full`.
//! 5. The ternary policy acts and the expert labels; everything is fine-tuned without the teacher. This is `ternary`.

use crate::checkpoint::{export, net_config, prompts};
use crate::collect::{CollectConfig, DataSource, collect};
use crate::dataset::{EpisodeCounts, FrameDataset};
use crate::net::{Net, NetConfig, QuantConfig};
use crate::optim::LearningRateSchedule;
use crate::statistics::statistics;
use crate::trainer::{self, TrainConfig, train};
use anyhow::{Context, Result, ensure};
use bitvla_eval::{PolicyName, PolicyOptions, PolicySpec, WORLD_VERSION};
use bitvla_policies::WeightFormat;
use bitvla_policies::normalise::Statistics;
use bitvla_reports::write_atomically;
use bitvla_tasks::{Assets, Suite};
use std::path::{Path, PathBuf};

/// Number of samples of a step.
const BATCH: usize = 32;
/// Decoupled weight decay (docs/reference/bitvla.md, section 9.3).
const DECAY: f64 = 0.01;
/// Upper bound of the gradient norm.
const CLIP: f64 = 1.0;
/// Weight of the layer-wise alignment (docs/reference/bitvla.md, section 9.1).
const ALIGNMENT: f32 = 0.1;

/// Stage that makes a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CollectStage {
    /// Name of the data set and its folder.
    pub name: &'static str,
    /// Training stage whose policy acts; `None` for the expert.
    pub policy_stage: Option<&'static str>,
    /// Number of episodes.
    pub episodes: usize,
}

/// Stage that trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainStage {
    /// Name of the stage and its folder.
    pub name: &'static str,
    /// Stage whose parameters it starts from; `None` for fresh ones.
    pub init_from: Option<&'static str>,
    /// True for ternary weights and int8 activations.
    pub ternary: bool,
    /// True if the vision tower is aligned with that of the start in full precision.
    pub align: bool,
    /// Peak learning rate.
    pub lr: f64,
    /// Number of steps of `BATCH` samples.
    pub steps: u64,
    /// Number of steps of the linear start.
    pub warmup: u64,
}

/// Stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PipelineStage {
    /// Make a data set, which all later training stages use.
    Collect(CollectStage),
    /// Train on all data sets so far.
    Train(TrainStage),
}

impl PipelineStage {
    /// Returns the name, also of the folder.
    pub fn name(&self) -> &'static str {
        match self {
            PipelineStage::Collect(c) => c.name,
            PipelineStage::Train(t) => t.name,
        }
    }
}

/// Validation frames: never trained on.
const VALIDATION: CollectStage = CollectStage {
    name: "validation",
    policy_stage: None,
    episodes: 30,
};

/// The stages that made the checkpoints that ship.
pub const STAGES: [PipelineStage; 7] = [
    PipelineStage::Collect(CollectStage {
        name: "demonstrations",
        policy_stage: None,
        episodes: 600,
    }),
    PipelineStage::Train(TrainStage {
        name: "cloning",
        init_from: None,
        ternary: false,
        align: false,
        lr: 1e-3,
        steps: 3500,
        warmup: 100,
    }),
    PipelineStage::Collect(CollectStage {
        name: "corrections-1",
        policy_stage: Some("cloning"),
        episodes: 400,
    }),
    PipelineStage::Train(TrainStage {
        name: "full",
        init_from: Some("cloning"),
        ternary: false,
        align: false,
        lr: 8e-4,
        steps: 1500,
        warmup: 100,
    }),
    PipelineStage::Train(TrainStage {
        name: "distill",
        init_from: Some("full"),
        ternary: true,
        align: true,
        lr: 1e-3,
        steps: 2000,
        warmup: 100,
    }),
    PipelineStage::Collect(CollectStage {
        name: "corrections-2",
        policy_stage: Some("distill"),
        episodes: 200,
    }),
    PipelineStage::Train(TrainStage {
        name: "ternary",
        init_from: Some("distill"),
        ternary: true,
        align: false,
        lr: 8e-4,
        steps: 2000,
        warmup: 100,
    }),
];

/// Settings of a run of the pipeline.
pub struct PipelineConfig<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// Tasks.
    pub suite: &'a Suite,
    /// Folder of data sets, states and checkpoints.
    pub out: &'a Path,
    /// Seed of everything.
    pub seed: u64,
    /// Number of threads; never changes a result.
    pub jobs: usize,
    /// Factor of all numbers of episodes and steps; a small one serves to test the pipeline.
    pub scale: f64,
}

/// A run through the stages; finished ones are kept.
struct PipelineRun<'a> {
    pipeline: &'a PipelineConfig<'a>,
    net: NetConfig,
    prompts: Vec<Vec<u32>>,
    /// Names of the data sets so far; read once a training stage needs them.
    data_sets: Vec<&'static str>,
    /// Number of data sets that are in `frames`.
    loaded: usize,
    frames: FrameDataset,
    validation: FrameDataset,
    statistics: Option<Statistics>,
}

impl PipelineConfig<'_> {
    fn scaled(&self, n: usize) -> usize {
        ((n as f64 * self.scale).round() as usize).max(1)
    }

    fn data_dir(&self, name: &str) -> PathBuf {
        self.out.join("frames").join(name)
    }

    pub(crate) fn stage_dir(&self, name: &str) -> PathBuf {
        self.out.join("stages").join(name)
    }

    /// Returns the checkpoint folder of a training stage.
    pub fn checkpoint_dir(&self, name: &str) -> PathBuf {
        self.out.join("checkpoints").join(name)
    }

    /// Refuses a folder that was begun in another version of the world; frames of two versions are never trained on
    /// together. A folder from before the version was written is of world version 1.
    fn check_world(&self) -> Result<()> {
        let path = self.out.join("world_version");
        let theirs = if path.is_file() {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            text.trim().to_owned()
        } else if self.out.join("frames").is_dir() {
            "1".to_owned()
        } else {
            std::fs::create_dir_all(self.out)
                .with_context(|| format!("making {}", self.out.display()))?;
            let text = format!("{WORLD_VERSION}\n");
            return Ok(write_atomically(&path, text.as_bytes())?);
        };
        ensure!(
            theirs == WORLD_VERSION.to_string(),
            "{} was begun in world version {theirs}, this program has world version {WORLD_VERSION}; choose another --out \
             or remove it",
            self.out.display()
        );
        Ok(())
    }

    /// Runs all stages, or those up to `until`; returns the names of the training stages done.
    ///
    /// # Errors
    /// If the folder was begun in another version of the world, or a stage fails; what it has done so far is kept.
    pub fn run(&self, stages: &[PipelineStage], until: Option<&str>) -> Result<Vec<&'static str>> {
        self.check_world()?;
        let net = net_config(self.suite);
        let prompts = prompts(self.suite, &net, &self.out.join("tokenizer"))?;
        self.collect(stages, &VALIDATION, 0)?;
        let mut run = PipelineRun {
            pipeline: self,
            net,
            prompts,
            data_sets: Vec::new(),
            loaded: 0,
            frames: FrameDataset::default(),
            validation: FrameDataset::read(&self.data_dir(VALIDATION.name))?,
            statistics: None,
        };
        let mut trained = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            match stage {
                PipelineStage::Collect(c) => {
                    self.collect(stages, c, 1 + index as u64)?;
                    run.data_sets.push(c.name);
                }
                PipelineStage::Train(t) => {
                    run.train(t, index as u64)?;
                    trained.push(t.name);
                }
            }
            if until == Some(stage.name()) {
                break;
            }
        }
        Ok(trained)
    }

    fn collect(&self, stages: &[PipelineStage], c: &CollectStage, index: u64) -> Result<()> {
        let source = match c.policy_stage {
            None => DataSource::Expert,
            Some(stage) => {
                let ternary = stages
                    .iter()
                    .any(|s| matches!(s, PipelineStage::Train(t) if t.name == stage && t.ternary));
                let format = if ternary {
                    WeightFormat::Ternary
                } else {
                    WeightFormat::Full
                };
                let dir = self.checkpoint_dir(stage);
                let name = PolicyName::of_weights(format);
                let options = PolicyOptions::with_checkpoint(&dir);
                DataSource::Policy(PolicySpec::new(name, options, self.assets.dir()))
            }
        };
        let config = CollectConfig {
            assets: self.assets,
            suite: self.suite,
            name: c.name,
            source,
            episodes: self.scaled(c.episodes),
            seed: self.seed * 100 + index,
            jobs: self.jobs,
        };
        collect(&config, &self.data_dir(c.name)).with_context(|| format!("collecting {}", c.name))
    }
}

impl PipelineRun<'_> {
    /// Reads the data sets that are not in memory yet; the first call takes the statistics.
    fn load_frames(&mut self) -> Result<()> {
        for name in &self.data_sets[self.loaded..] {
            let before = (self.frames.len(), self.frames.counts);
            self.frames.append(&self.pipeline.data_dir(name))?;
            let EpisodeCounts {
                episodes,
                counted,
                successes,
            } = self.frames.counts;
            eprintln!(
                "{name}: {} frames of {} episodes, {} of {} succeeded",
                self.frames.len() - before.0,
                episodes - before.1.episodes,
                successes - before.1.successes,
                counted - before.1.counted
            );
        }
        self.loaded = self.data_sets.len();
        if self.statistics.is_none() {
            // Of the demonstrations only, so that all stages normalise alike.
            self.statistics = Some(statistics(self.frames.metas())?);
        }
        Ok(())
    }

    /// Reads the parameters that a stage ended with.
    fn params_of(&self, stage: &str, parameters: usize) -> Result<Vec<f32>> {
        let path = trainer::state_path(&self.pipeline.stage_dir(stage));
        Ok(crate::checkpoint::read_state(&path, parameters)?.params)
    }

    fn train(&mut self, t: &TrainStage, index: u64) -> Result<()> {
        let p = self.pipeline;
        let out = p.checkpoint_dir(t.name);
        let done = out.join("done");
        if done.is_file() {
            // Later stages need the statistics of the data sets before the first training stage.
            if self.statistics.is_none() {
                self.load_frames()?;
            }
            return Ok(());
        }
        self.load_frames()?;
        let quant = if t.ternary {
            QuantConfig::ALL
        } else {
            QuantConfig::NONE
        };
        let net = Net::new(self.net.clone(), quant);
        let start = match t.init_from {
            Some(stage) => self.params_of(stage, net.layout.total)?,
            None => net.layout.init(p.seed),
        };
        let teacher = match t.init_from {
            Some(stage) if t.align => Some(self.params_of(stage, net.layout.total)?),
            _ => None,
        };
        let Some(statistics) = &self.statistics else {
            anyhow::bail!("training stage {} comes before any data set", t.name);
        };
        let dir = p.stage_dir(t.name);
        let params = train(TrainConfig {
            name: t.name,
            dir: &dir,
            net: &net,
            start,
            data: &self.frames,
            validation: &self.validation,
            statistics,
            prompts: &self.prompts,
            schedule: LearningRateSchedule {
                lr: t.lr,
                warmup: p.scaled(t.warmup as usize) as u64,
                steps: p.scaled(t.steps as usize) as u64,
            },
            decay: DECAY,
            batch: BATCH,
            clip: CLIP,
            teacher: teacher.as_deref().map(|p| (p, ALIGNMENT)),
            seed: p.seed * 100 + index,
            jobs: p.jobs,
            stop_at: None,
        })
        .with_context(|| format!("training stage {}", t.name))?;
        export(&out, p.suite, &self.net, &params, statistics, t.ternary)?;
        Ok(write_atomically(&done, b"")?)
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: frames of two versions of the world are never mixed.
    use super::*;

    #[test]
    fn a_folder_of_another_world_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        let suite = Suite::load(&assets, "spatial").expect("a suite");
        let refused = |out: &Path, theirs: &str| {
            let config = PipelineConfig {
                assets: &assets,
                suite: &suite,
                out,
                seed: 1,
                jobs: 1,
                scale: 0.01,
            };
            let words = config.run(&STAGES, None).expect_err("refused").to_string();
            let ours = format!("world version {WORLD_VERSION};");
            assert!(words.contains(theirs) && words.contains(&ours), "{words}");
        };
        let old = dir.path().join("old");
        std::fs::create_dir_all(old.join("frames")).expect("a folder");
        refused(&old, "begun in world version 1,");

        let begun = dir.path().join("begun");
        let config = PipelineConfig {
            assets: &assets,
            suite: &suite,
            out: &begun,
            seed: 1,
            jobs: 1,
            scale: 0.01,
        };
        config.check_world().expect("begins");
        std::fs::create_dir_all(begun.join("frames")).expect("a folder");
        config.check_world().expect("goes on");
        std::fs::write(begun.join("world_version"), "77\n").expect("written");
        refused(&begun, "begun in world version 77,");
    }
}
