//! What is done in which order, from nothing to the two checkpoints that ship.
//!
//! 1. Demonstrations of the disturbed expert, and some more that are never trained on.
//! 2. Behaviour cloning in full precision.
//! 3. The policy drives and the expert corrects; training goes on with all frames so far. This is `full`.
//! 4. Quantize-then-distill: weights of the language model and the vision tower become ternary, activations int8
//!    (straight-through), the layers of the vision tower are pulled towards those of `full`.
//! 5. The ternary policy drives and is corrected; everything is fine-tuned without the teacher. This is `ternary`.

use crate::checkpoint::{export, net_config, prompts};
use crate::collect::{self, Who, collect};
use crate::frames::{Frames, Tally, write_whole};
use crate::net::{Net, NetConfig, Quant};
use crate::optim::Schedule;
use crate::statistics::statistics;
use crate::trainer::{self, train};
use anyhow::{Context, Result, ensure};
use bitvla_eval::{PolicyKind, PolicySpec, WORLD_VERSION};
use bitvla_policies::normalise::Statistics;
use bitvla_tasks::{Assets, Suite};
use std::path::{Path, PathBuf};

/// Samples of a step.
const BATCH: usize = 32;
/// Decoupled weight decay (fact sheet of BitVLA, section 9.3).
const DECAY: f64 = 0.01;
/// Limit of the gradient norm.
const CLIP: f64 = 1.0;
/// Weight of the layer-wise alignment (fact sheet of BitVLA, section 9.1).
const ALIGNMENT: f32 = 0.1;

/// A data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collection {
    /// Name of the data set and its folder.
    pub name: &'static str,
    /// Training stage whose policy drives; the expert where there is none.
    pub driver: Option<&'static str>,
    /// Episodes.
    pub episodes: usize,
}

/// A training stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// Name of the stage and its folder.
    pub name: &'static str,
    /// Stage whose parameters it starts from; fresh ones where there is none.
    pub from: Option<&'static str>,
    /// Whether weights are ternary and activations int8.
    pub ternary: bool,
    /// Whether the vision tower is pulled towards the start's in full precision.
    pub align: bool,
    /// Peak learning rate.
    pub lr: f64,
    /// Steps of `BATCH` samples.
    pub steps: u64,
    /// Steps of the linear start.
    pub warmup: u64,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    /// Make a data set, which all later training stages see.
    Collect(Collection),
    /// Train on all data sets so far.
    Train(Training),
}

impl Stage {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Stage::Collect(c) => c.name,
            Stage::Train(t) => t.name,
        }
    }
}

/// Validation frames: never trained on.
const VALIDATION: Collection = Collection {
    name: "validation",
    driver: None,
    episodes: 30,
};

/// The stages that made the checkpoints that ship.
pub const STAGES: [Stage; 7] = [
    Stage::Collect(Collection {
        name: "demonstrations",
        driver: None,
        episodes: 600,
    }),
    Stage::Train(Training {
        name: "cloning",
        from: None,
        ternary: false,
        align: false,
        lr: 1e-3,
        steps: 3500,
        warmup: 100,
    }),
    Stage::Collect(Collection {
        name: "corrections-1",
        driver: Some("cloning"),
        episodes: 400,
    }),
    Stage::Train(Training {
        name: "full",
        from: Some("cloning"),
        ternary: false,
        align: false,
        lr: 8e-4,
        steps: 1500,
        warmup: 100,
    }),
    Stage::Train(Training {
        name: "distill",
        from: Some("full"),
        ternary: true,
        align: true,
        lr: 1e-3,
        steps: 2000,
        warmup: 100,
    }),
    Stage::Collect(Collection {
        name: "corrections-2",
        driver: Some("distill"),
        episodes: 200,
    }),
    Stage::Train(Training {
        name: "ternary",
        from: Some("distill"),
        ternary: true,
        align: false,
        lr: 8e-4,
        steps: 2000,
        warmup: 100,
    }),
];

/// Settings of a run of the recipe.
pub struct Kitchen<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// Tasks.
    pub suite: &'a Suite,
    /// Where data sets, states and checkpoints go.
    pub out: &'a Path,
    /// Seed of everything.
    pub seed: u64,
    /// Threads; never changes a result.
    pub jobs: usize,
    /// Multiplies numbers of episodes and steps, for a look at whether it works.
    pub scale: f64,
}

/// Goes through stages; what is there already is kept.
struct Cook<'a> {
    kitchen: &'a Kitchen<'a>,
    net: NetConfig,
    prompts: Vec<Vec<u32>>,
    /// Data sets so far; read when a training stage needs them.
    sets: Vec<&'static str>,
    loaded: usize,
    frames: Frames,
    validation: Frames,
    statistics: Option<Statistics>,
}

impl Kitchen<'_> {
    fn scaled(&self, n: usize) -> usize {
        ((n as f64 * self.scale).round() as usize).max(1)
    }

    fn data_dir(&self, name: &str) -> PathBuf {
        self.out.join("frames").join(name)
    }

    pub(crate) fn stage_dir(&self, name: &str) -> PathBuf {
        self.out.join("stages").join(name)
    }

    /// Where the checkpoint of a training stage is.
    pub fn checkpoint_dir(&self, name: &str) -> PathBuf {
        self.out.join("checkpoints").join(name)
    }

    /// Whether the folder was begun in this version of the world; frames of two versions are never trained on together. A
    /// folder from before the version was written is of world version 1.
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
            return write_whole(&path, format!("{WORLD_VERSION}\n").as_bytes());
        };
        ensure!(
            theirs == WORLD_VERSION.to_string(),
            "{} was begun in world version {theirs}, this program has world version {WORLD_VERSION}; choose another --out \
             or remove it",
            self.out.display()
        );
        Ok(())
    }

    /// Does all stages, or those up to `until`; returns the names of the training stages done.
    ///
    /// # Errors
    /// When the folder was begun in another version of the world, or a stage fails; what it has done so far is kept.
    pub fn run(&self, stages: &[Stage], until: Option<&str>) -> Result<Vec<&'static str>> {
        self.check_world()?;
        let net = net_config(self.suite);
        let prompts = prompts(self.suite, &net, &self.out.join("tokenizer"))?;
        self.collect(stages, &VALIDATION, 0)?;
        let mut cook = Cook {
            kitchen: self,
            net,
            prompts,
            sets: Vec::new(),
            loaded: 0,
            frames: Frames::default(),
            validation: Frames::read(&self.data_dir(VALIDATION.name))?,
            statistics: None,
        };
        let mut trained = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            match stage {
                Stage::Collect(c) => {
                    self.collect(stages, c, 1 + index as u64)?;
                    cook.sets.push(c.name);
                }
                Stage::Train(t) => {
                    cook.train(t, index as u64)?;
                    trained.push(t.name);
                }
            }
            if until == Some(stage.name()) {
                break;
            }
        }
        Ok(trained)
    }

    fn collect(&self, stages: &[Stage], c: &Collection, index: u64) -> Result<()> {
        let who = match c.driver {
            None => Who::Expert,
            Some(stage) => {
                let ternary = stages
                    .iter()
                    .any(|s| matches!(s, Stage::Train(t) if t.name == stage && t.ternary));
                let kind = if ternary {
                    PolicyKind::Ternary
                } else {
                    PolicyKind::Full
                };
                let dir = self.checkpoint_dir(stage);
                Who::Policy(PolicySpec::new(kind, Some(&dir), self.assets.dir()))
            }
        };
        let order = collect::Order {
            assets: self.assets,
            suite: self.suite,
            name: c.name,
            who,
            episodes: self.scaled(c.episodes),
            seed: self.seed * 100 + index,
            jobs: self.jobs,
        };
        collect(&order, &self.data_dir(c.name)).with_context(|| format!("collecting {}", c.name))
    }
}

impl Cook<'_> {
    fn load_frames(&mut self) -> Result<()> {
        for name in &self.sets[self.loaded..] {
            let before = (self.frames.len(), self.frames.tally);
            self.frames.append(&self.kitchen.data_dir(name))?;
            let Tally {
                episodes,
                counted,
                successes,
            } = self.frames.tally;
            eprintln!(
                "{name}: {} frames of {} episodes, {} of {} succeeded",
                self.frames.len() - before.0,
                episodes - before.1.episodes,
                successes - before.1.successes,
                counted - before.1.counted
            );
        }
        self.loaded = self.sets.len();
        if self.statistics.is_none() {
            // Of the demonstrations, once for all.
            self.statistics = Some(statistics(self.frames.rests()));
        }
        Ok(())
    }

    fn params_of(&self, stage: &str, parameters: usize) -> Result<Vec<f32>> {
        let path = trainer::state_path(&self.kitchen.stage_dir(stage));
        Ok(crate::checkpoint::read_state(&path, parameters)?.params)
    }

    fn train(&mut self, t: &Training, index: u64) -> Result<()> {
        let k = self.kitchen;
        let out = k.checkpoint_dir(t.name);
        let done = out.join("done");
        if done.is_file() {
            // Statistics are those of the first data sets, so they are needed by whatever comes next.
            if self.statistics.is_none() {
                self.load_frames()?;
            }
            return Ok(());
        }
        self.load_frames()?;
        let quant = if t.ternary { Quant::ALL } else { Quant::NONE };
        let net = Net::new(self.net.clone(), quant);
        let start = match t.from {
            Some(stage) => self.params_of(stage, net.layout.total)?,
            None => net.layout.init(k.seed),
        };
        let teacher = match t.from {
            Some(stage) if t.align => Some(self.params_of(stage, net.layout.total)?),
            _ => None,
        };
        let Some(statistics) = &self.statistics else {
            anyhow::bail!("training stage {} comes before any data set", t.name);
        };
        let dir = k.stage_dir(t.name);
        let params = train(trainer::Order {
            name: t.name,
            dir: &dir,
            net: &net,
            start,
            data: &self.frames,
            validation: &self.validation,
            statistics,
            prompts: &self.prompts,
            schedule: Schedule {
                lr: t.lr,
                warmup: k.scaled(t.warmup as usize) as u64,
                steps: k.scaled(t.steps as usize) as u64,
            },
            decay: DECAY,
            batch: BATCH,
            clip: CLIP,
            teacher: teacher.as_deref().map(|p| (p, ALIGNMENT)),
            seed: k.seed * 100 + index,
            jobs: k.jobs,
            stop_at: None,
        })
        .with_context(|| format!("training stage {}", t.name))?;
        export(&out, k.suite, &self.net, &params, statistics, t.ternary)?;
        write_whole(&done, b"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_world_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        let suite = Suite::load(&assets, "spatial").expect("a suite");
        let refused = |out: &Path, theirs: &str| {
            let kitchen = Kitchen {
                assets: &assets,
                suite: &suite,
                out,
                seed: 1,
                jobs: 1,
                scale: 0.01,
            };
            let words = kitchen.run(&STAGES, None).expect_err("refused").to_string();
            let ours = format!("world version {WORLD_VERSION};");
            assert!(words.contains(theirs) && words.contains(&ours), "{words}");
        };
        let old = dir.path().join("old");
        std::fs::create_dir_all(old.join("frames")).expect("a folder");
        refused(&old, "begun in world version 1,");

        let begun = dir.path().join("begun");
        let kitchen = Kitchen {
            assets: &assets,
            suite: &suite,
            out: &begun,
            seed: 1,
            jobs: 1,
            scale: 0.01,
        };
        kitchen.check_world().expect("begins");
        std::fs::create_dir_all(begun.join("frames")).expect("a folder");
        kitchen.check_world().expect("goes on");
        std::fs::write(begun.join("world_version"), "77\n").expect("written");
        refused(&begun, "begun in world version 77,");
    }
}
