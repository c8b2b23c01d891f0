//! A run through the stages of a [`Recipe`], from nothing to the checkpoints that ship. The recipes of the suites do, in this
//! order:
//!
//! 1. Demonstrations of the disturbed expert, and some more that are never trained on.
//! 2. Behaviour cloning in full precision.
//! 3. The policy acts and the expert labels; training continues with all frames so far, in rounds. The last is `full`.
//! 4. Quantize-then-distill: weights of the language model and the vision tower become ternary, activations int8
//!    (straight-through), the layers of the vision tower are aligned with those of `full`.
//! 5. The ternary policy acts and the expert labels; everything is fine-tuned without the teacher. This is `ternary`.
//!
//! Every stage keeps what it has done and goes on where it was interrupted; each records what it was made from, so that
//! results of two recipes are never mixed in one folder.

use crate::checkpoint::{export, net_config, prompts};
use crate::collect::{CollectConfig, DataSource, collect};
use crate::dataset::{EpisodeCounts, FrameDataset, task_counts};
use crate::net::{Net, NetConfig, QuantConfig};
use crate::optim::LearningRateSchedule;
use crate::pretrained::{parameter_hashes, pretrained_parameters, shipped_full};
use crate::recipe::{CollectStage, Recipe, Stage, StageWork, TrainStage, TrainedWeights};
use crate::statistics::statistics;
use crate::trainer::{self, TrainConfig, train};
use anyhow::{Context, Result, bail, ensure};
use bitvla_eval::{PolicyName, PolicyOptions, PolicySpec, WORLD_VERSION};
use bitvla_policies::WeightFormat;
use bitvla_policies::normalise::Statistics;
use bitvla_reports::{to_hex, write_atomically};
use bitvla_tasks::{Assets, Suite};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the data set of frames that are never trained on.
pub const VALIDATION: &str = "validation";
/// File of a stage with the sum of what it was made from.
const ORIGIN_FILE: &str = "origin";

/// Settings of a run of the pipeline.
pub struct PipelineConfig<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// Stages and settings.
    pub recipe: &'a Recipe,
    /// The suites of the recipe.
    pub suites: &'a [Suite],
    /// Folder of data sets, states and checkpoints.
    pub out: &'a Path,
    /// Seed of everything.
    pub seed: u64,
    /// Number of threads; never changes a result.
    pub jobs: usize,
    /// Factor of all numbers of episodes and steps; a small one serves to test the pipeline.
    pub scale: f64,
    /// Runs the stages of the ablation too.
    pub ablation: bool,
}

/// A run through the stages; finished ones are kept.
struct PipelineRun<'a> {
    pipeline: &'a PipelineConfig<'a>,
    net: NetConfig,
    prompts: Vec<Vec<u32>>,
    /// Names of the data sets so far; read once a training stage needs them.
    data_sets: Vec<&'a str>,
    /// Number of data sets that are in `frames`.
    loaded: usize,
    frames: FrameDataset,
    validation: FrameDataset,
    statistics: Option<Statistics>,
}

impl<'a> PipelineConfig<'a> {
    fn scaled(&self, n: usize) -> usize {
        ((n as f64 * self.scale).round() as usize).max(1)
    }

    /// Returns the folder of a data set.
    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.out.join("frames").join(name)
    }

    /// Returns the folder of the state of a training stage.
    pub fn stage_dir(&self, name: &str) -> PathBuf {
        self.out.join("stages").join(name)
    }

    /// Returns the checkpoint folder of a training stage.
    pub fn checkpoint_dir(&self, name: &str) -> PathBuf {
        self.out.join("checkpoints").join(name)
    }

    /// Returns the stages that are run, in their order, with their indices in the recipe.
    pub fn stages(&self) -> impl Iterator<Item = (usize, &'a Stage)> + use<'a> {
        let (stages, ablation) = (&self.recipe.stages, self.ablation);
        stages
            .iter()
            .enumerate()
            .filter(move |(_, stage)| ablation || !stage.ablation)
    }

    /// Refuses a folder that was begun in another version of the world; frames of two versions are never trained on
    /// together. A folder from before the version was written is of world version 1.
    pub(crate) fn check_world(&self) -> Result<()> {
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

    /// Returns the SHA-256 of what the results of the first `stages` stages of the recipe depend on, apart from the program:
    /// seed, scale, settings, those stages, and the checkpoints of other suites that they start from.
    pub fn origin(&self, stages: usize) -> Result<String> {
        let part = Recipe {
            stages: self.recipe.stages[..stages].to_vec(),
            ..self.recipe.clone()
        };
        let mut starts = BTreeMap::new();
        for suite in part.stages.iter().filter_map(Stage::pretrained_on) {
            let dir = shipped_full(self.assets.dir(), suite);
            starts.insert(suite.to_owned(), parameter_hashes(&dir)?);
        }
        let text = if starts.is_empty() {
            serde_json::to_string(&(self.seed, self.scale, part))?
        } else {
            serde_json::to_string(&(self.seed, self.scale, part, starts))?
        };
        Ok(to_hex(&Sha256::digest(text.as_bytes())))
    }

    /// Writes down what a folder is made from, or refuses one that was made from something else.
    pub(crate) fn claim(&self, dir: &Path, stages: usize) -> Result<()> {
        let (path, ours) = (dir.join(ORIGIN_FILE), self.origin(stages)?);
        if !path.is_file() {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
            return Ok(write_atomically(&path, format!("{ours}\n").as_bytes())?);
        }
        let theirs = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            theirs.trim() == ours,
            "{} was made with another recipe, seed, scale or checkpoint to start from; remove it to make it again, with all later stages, or choose \
             another --out",
            dir.display()
        );
        Ok(())
    }

    /// Runs all stages, or those up to `until`; returns the names of the training stages done.
    ///
    /// # Errors
    /// If the folder was begun in another version of the world or by another recipe, or a stage fails; what it has done so
    /// far is kept.
    pub fn run(&self, until: Option<&str>) -> Result<Vec<&'a str>> {
        self.check_world()?;
        let net = net_config(&self.recipe.network, self.suites);
        let prompts = prompts(self.suites, &net, &self.out.join("tokenizer"))?;
        self.claim(&self.data_dir(VALIDATION), 0)?;
        let validation = CollectStage {
            episodes: self.recipe.validation_episodes,
            tasks: None,
            hardest: None,
            policy: None,
            placement_margin: 0.0,
        };
        self.collect(VALIDATION, &validation, 0)?;
        let mut run = PipelineRun {
            pipeline: self,
            net,
            prompts,
            data_sets: Vec::new(),
            loaded: 0,
            frames: FrameDataset::default(),
            validation: FrameDataset::read(&self.data_dir(VALIDATION))?,
            statistics: None,
        };
        let mut trained = Vec::new();
        for (index, stage) in self.stages() {
            match stage.work() {
                StageWork::Collect(c) => {
                    self.claim(&self.data_dir(&stage.name), index + 1)?;
                    self.collect(&stage.name, c, 1 + index as u64)?;
                    run.data_sets.push(&stage.name);
                }
                StageWork::Train(t) => {
                    self.claim(&self.stage_dir(&stage.name), index + 1)?;
                    run.train(&stage.name, t, index as u64)?;
                    trained.push(stage.name.as_str());
                }
            }
            if until == Some(&stage.name) {
                break;
            }
        }
        Ok(trained)
    }

    /// Returns the training stage with this name.
    ///
    /// # Errors
    /// If the recipe has none.
    pub fn training_stage(&self, name: &str) -> Result<&'a TrainStage> {
        let mut stages = self.recipe.stages.iter().filter(|s| s.name == name);
        let stage = stages.find_map(|s| s.train.as_ref());
        stage.with_context(|| format!("the recipe has no training stage `{name}`"))
    }

    fn collect(&self, name: &str, c: &CollectStage, index: u64) -> Result<()> {
        let source = match &c.policy {
            None => DataSource::Expert,
            Some(stage) => {
                let format = match self.training_stage(stage)?.weights {
                    TrainedWeights::Ternary => WeightFormat::Ternary,
                    TrainedWeights::Full => WeightFormat::Full,
                };
                let options = PolicyOptions::with_checkpoint(&self.checkpoint_dir(stage));
                let name = PolicyName::of_weights(format);
                let spec = PolicySpec::new(name, options, self.assets.dir());
                DataSource::Policy(Box::new(spec))
            }
        };
        let config = CollectConfig {
            assets: self.assets,
            suites: self.suites,
            settings: &self.recipe.collection,
            name,
            source,
            episodes: self.scaled(c.episodes),
            tasks: match c.hardest {
                Some(count) => Some(self.hardest_tasks(name, count)?),
                None => c.tasks.clone(),
            },
            seed: self.seed * 100 + index,
            placement_margin: c.placement_margin,
            jobs: self.jobs,
        };
        collect(&config, &self.data_dir(name)).with_context(|| format!("collecting {name}"))
    }

    /// Returns the tasks in which the policy of the last collection of all tasks before stage `name` succeeded least, by its share
    /// of episodes that a policy ran alone.
    fn hardest_tasks(&self, name: &str, count: usize) -> Result<Vec<usize>> {
        let before = self.recipe.stages.iter().take_while(|s| s.name != name);
        let of_all = before
            .filter(|stage| (stage.collect.as_ref()).is_some_and(CollectStage::is_of_all_tasks));
        let last = of_all.last().with_context(|| {
            format!("`hardest` of {name}: no policy acted in all tasks before this stage")
        })?;
        let counts = task_counts(&self.data_dir(&last.name))?;
        let rate = |c: &EpisodeCounts| (c.successes + 1) as f64 / (c.counted + 2) as f64;
        let mut tasks: Vec<(f64, usize)> = (counts.iter())
            .map(|(task, counts)| (rate(counts), usize::from(*task)))
            .collect();
        tasks.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(tasks
            .into_iter()
            .take(count)
            .map(|(_, task)| task)
            .collect())
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

    fn train(&mut self, name: &str, t: &TrainStage, index: u64) -> Result<()> {
        let p = self.pipeline;
        let out = p.checkpoint_dir(name);
        let done = out.join("done");
        if done.is_file() {
            // Later stages need the statistics of the data sets before the first training stage.
            if self.statistics.is_none() {
                self.load_frames()?;
            }
            return Ok(());
        }
        self.load_frames()?;
        let (quant, ternary) = match t.weights {
            TrainedWeights::Ternary => (QuantConfig::ALL, true),
            TrainedWeights::Full => (QuantConfig::NONE, false),
        };
        let mut net = Net::new(self.net.clone(), quant);
        net.projector_leak = p.recipe.optimisation.projector_leak;
        let start = match (&t.from, &t.from_suite) {
            (Some(stage), _) => self.params_of(stage, net.layout.total)?,
            (None, Some(suite)) => {
                let dir = shipped_full(p.assets.dir(), suite);
                pretrained_parameters(&dir, &self.net, p.suites, net.layout.init(p.seed))?
            }
            (None, None) => net.layout.init(p.seed),
        };
        let teacher = t.align.then(|| start.clone());
        let Some(statistics) = &self.statistics else {
            bail!("training stage {name} comes before any data set");
        };
        let params = train(TrainConfig {
            name,
            dir: &p.stage_dir(name),
            net: &net,
            start,
            data: &self.frames,
            validation: &self.validation,
            statistics,
            prompts: &self.prompts,
            schedule: LearningRateSchedule {
                lr: t.learning_rate,
                warmup: p.scaled(t.warmup as usize) as u64,
                steps: p.scaled(t.steps as usize) as u64,
            },
            optimisation: &p.recipe.optimisation,
            augmentation: p.recipe.augmentation,
            teacher: teacher.as_deref(),
            seed: p.seed * 100 + index,
            jobs: p.jobs,
            stop_at: None,
        })
        .with_context(|| format!("training stage {name}"))?;
        export(
            &out,
            p.suites,
            &self.net,
            &params,
            statistics,
            (ternary, false),
        )?;
        Ok(write_atomically(&done, b"")?)
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: frames of two versions of the world, and results of two recipes, are never mixed; training states are
    //! never those that policies are evaluated from.
    use super::*;
    use crate::collect::training_seed;
    use bitvla_tasks::sample_init_state;

    struct Fixture {
        assets: Assets,
        recipe: Recipe,
        suites: Vec<Suite>,
    }

    impl Fixture {
        fn new() -> Fixture {
            let assets = Assets::open(&Assets::default_dir()).expect("assets");
            let recipe = Recipe::named("spatial").expect("a recipe");
            let suites = vec![Suite::load(&assets, "spatial").expect("a suite")];
            Fixture {
                assets,
                recipe,
                suites,
            }
        }

        fn config<'a>(&'a self, out: &'a Path) -> PipelineConfig<'a> {
            PipelineConfig {
                assets: &self.assets,
                recipe: &self.recipe,
                suites: &self.suites,
                out,
                seed: 1,
                jobs: 1,
                scale: 0.01,
                ablation: false,
            }
        }
    }

    #[test]
    fn a_folder_of_another_world_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let fixture = Fixture::new();
        let refused = |out: &Path, theirs: &str| {
            let run = fixture.config(out).run(None);
            let words = run.expect_err("refused").to_string();
            let ours = format!("world version {WORLD_VERSION};");
            assert!(words.contains(theirs) && words.contains(&ours), "{words}");
        };
        let old = dir.path().join("old");
        std::fs::create_dir_all(old.join("frames")).expect("a folder");
        refused(&old, "begun in world version 1,");

        let begun = dir.path().join("begun");
        let config = fixture.config(&begun);
        config.check_world().expect("begins");
        std::fs::create_dir_all(begun.join("frames")).expect("a folder");
        config.check_world().expect("goes on");
        std::fs::write(begun.join("world_version"), "77\n").expect("written");
        refused(&begun, "begun in world version 77,");
    }

    #[test]
    fn a_stage_of_another_recipe_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut fixture = Fixture::new();
        let folder = dir.path().join("stage");
        let stages = fixture.recipe.stages.len() - 1;
        let claim = |fixture: &Fixture| fixture.config(dir.path()).claim(&folder, stages);
        claim(&fixture).expect("begins");
        // A later stage changes nothing that was made before it.
        fixture.recipe.stages.pop();
        claim(&fixture).expect("goes on");
        fixture.recipe.optimisation.weight_decay *= 2.0;
        let words = claim(&fixture).expect_err("refused").to_string();
        assert!(words.contains("another recipe") && words.contains("stage"));

        // Nor the checkpoint of another suite that a stage starts from.
        let origin = |fixture: &Fixture| fixture.config(dir.path()).origin(stages);
        let plain = origin(&fixture).expect("an origin");
        let train = fixture.recipe.stages[1].train.as_mut();
        train.expect("trains").from_suite = Some("object".to_owned());
        let started = origin(&fixture).expect("the shipped checkpoint");
        assert_ne!(plain, started);
    }

    #[test]
    fn training_states_are_not_those_of_evaluation() {
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        // Two data sets of one seed share no state either.
        assert!(training_seed(100, 999_999) < training_seed(101, 0));
        for name in Recipe::named("all").expect("a recipe").suites {
            let suite = Suite::load(&assets, &name).expect("a suite");
            for task in &suite.tasks {
                assert_eq!(task.init_states.len(), 50);
                for episode in [0, 1, 2] {
                    let seed = training_seed(100, episode);
                    let drawn = sample_init_state(&assets, &task.problem, seed).expect("a state");
                    for stored in &task.init_states {
                        let differ = drawn.objects.iter().any(|(object, pose)| {
                            let at = stored.objects.get(object);
                            at.is_none_or(|at| (0..3).any(|i| (at[i] - pose[i]).abs() > 1e-6))
                        });
                        assert!(differ, "{name}, task {}: a stored state", task.id);
                    }
                }
            }
        }
    }
}
