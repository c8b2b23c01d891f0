//! Training card of a checkpoint that ships: what it was made from, how long that took, and the command that makes it again.
//! Every field is read from the files that training has left.

use crate::dataset::FrameDataset;
use crate::pipeline::{PipelineConfig, VALIDATION};
use crate::pretrained::{parameter_hashes, shipped_full};
use crate::recipe::{Recipe, StageWork, TrainedWeights};
use crate::stage_progress::WorkTime;
use crate::trainer::{losses_path, read_losses};
use anyhow::{Context, Result};
use bitvla_eval::WORLD_VERSION;
use bitvla_policies::checkpoint::read_json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the file of a training card.
pub const CARD_FILE: &str = "training_card.json";

/// What a checkpoint was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingCard {
    /// Suites with the tasks that were learned.
    pub suites: Vec<String>,
    /// Weights.
    pub weights: TrainedWeights,
    /// Number of parameters.
    pub parameters: usize,
    /// Version of the world of all frames.
    pub world_version: u32,
    /// Command that makes it again.
    pub command: String,
    /// Version of the program.
    pub program: String,
    /// Seed of everything.
    pub seed: u64,
    /// SHA-256 of seed, settings and stages up to this one.
    pub origin_sha256: String,
    /// Data sets in their order.
    pub data_sets: Vec<DataSetCard>,
    /// Training stages that led to it, in their order.
    pub stages: Vec<StageCard>,
    /// Checkpoint of another suite that the first stage starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<PretrainedCard>,
    /// Hours of all data sets and stages together, without those of `pretrained`.
    pub hours: f64,
    /// SHA-256 of the files of the weights by name.
    pub weights_sha256: BTreeMap<String, String>,
    /// The recipe, whole.
    pub recipe: Recipe,
}

/// Checkpoint of another suite that training starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PretrainedCard {
    /// Suite.
    pub suite: String,
    /// Hours that made it, all of its own training card.
    pub hours: f64,
    /// SHA-256 of its files by name.
    pub sha256: BTreeMap<String, String>,
}

/// Data set of a training card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSetCard {
    /// Name.
    pub name: String,
    /// Stage whose policy acts; `expert`.
    pub acts: String,
    /// Number of episodes.
    pub episodes: usize,
    /// Number of frames.
    pub frames: usize,
    /// Number of episodes that count for the success of whoever acts.
    pub counted: usize,
    /// Number of successes among those.
    pub successes: usize,
    /// Hours.
    pub hours: f64,
}

/// Training stage of a training card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageCard {
    /// Name.
    pub name: String,
    /// Number of steps.
    pub steps: u64,
    /// Number of samples.
    pub samples: u64,
    /// Mean absolute error of normalised actions over the last steps.
    pub training_loss: f64,
    /// Mean absolute error on frames that were never trained on, at the end.
    pub validation_loss: Option<f64>,
    /// Hours.
    pub hours: f64,
}

/// Cards of the data sets that were read so far, by name: all checkpoints of a recipe share them.
pub type DataSetCards = BTreeMap<String, DataSetCard>;

/// Returns the card of the checkpoint of a finished training stage; `data_sets` is filled with what is read.
///
/// # Errors
/// If a file of the training is missing or cannot be read.
pub fn training_card(
    config: &PipelineConfig<'_>,
    stage: &str,
    parameters: usize,
    weights_sha256: BTreeMap<String, String>,
    data_sets: &mut DataSetCards,
) -> Result<TrainingCard> {
    let recipe = config.recipe;
    let last = recipe.stages.iter().position(|s| s.name == stage);
    let last = last.with_context(|| format!("the recipe has no stage `{stage}`"))?;
    let lineage = lineage(config, stage)?;
    let mut card = TrainingCard {
        suites: recipe.suites.clone(),
        weights: config.training_stage(stage)?.weights,
        parameters,
        world_version: WORLD_VERSION,
        command: command(config, recipe.stages[last].ablation),
        program: format!("bitvla-train {}", env!("CARGO_PKG_VERSION")),
        seed: config.seed,
        origin_sha256: config.origin(last + 1)?,
        data_sets: vec![data_set(config, VALIDATION, "expert", data_sets)?],
        stages: Vec::new(),
        pretrained: pretrained(config, &lineage)?,
        hours: 0.0,
        weights_sha256,
        recipe: recipe.clone(),
    };
    // Data sets behind the stage are not part of it, nor training stages that it does not go back to.
    for stage in &recipe.stages[..=last] {
        match stage.work() {
            StageWork::Collect(collect) => {
                let acts = collect.policy.as_deref().unwrap_or("expert");
                let data_set = data_set(config, &stage.name, acts, data_sets)?;
                card.data_sets.push(data_set);
            }
            StageWork::Train(_) if lineage.contains(&stage.name.as_str()) => {
                card.stages.push(stage_card(config, &stage.name)?);
            }
            StageWork::Train(_) => {}
        }
    }
    let data = card.data_sets.iter().map(|d| d.hours).sum::<f64>();
    card.hours = data + card.stages.iter().map(|s| s.hours).sum::<f64>();
    Ok(card)
}

/// Returns the training stages that a stage goes back to, itself first.
fn lineage<'a>(config: &PipelineConfig<'a>, stage: &'a str) -> Result<Vec<&'a str>> {
    let mut lineage = vec![stage];
    let mut next = config.training_stage(stage)?.from.as_deref();
    while let Some(name) = next {
        lineage.push(name);
        next = config.training_stage(name)?.from.as_deref();
    }
    Ok(lineage)
}

/// Returns the card of the checkpoint of another suite that the first stage of `lineage` starts from.
fn pretrained(config: &PipelineConfig<'_>, lineage: &[&str]) -> Result<Option<PretrainedCard>> {
    let first = lineage.last().context("a stage goes back to itself")?;
    let Some(suite) = &config.training_stage(first)?.from_suite else {
        return Ok(None);
    };
    let dir = shipped_full(config.assets.dir(), suite);
    let card: TrainingCard = read_json(&dir.join(CARD_FILE))?;
    Ok(Some(PretrainedCard {
        suite: suite.clone(),
        hours: card.hours + card.pretrained.map_or(0.0, |before| before.hours),
        sha256: parameter_hashes(&dir)?,
    }))
}

fn command(config: &PipelineConfig<'_>, ablation: bool) -> String {
    let mut command = "cargo run --release -p bitvla-train -- all".to_owned();
    command.push_str(&format!(" --suite {}", config.recipe.name()));
    if config.seed != 1 {
        command.push_str(&format!(" --seed {}", config.seed));
    }
    if config.scale != 1.0 {
        command.push_str(&format!(" --scale {}", config.scale));
    }
    if ablation {
        command.push_str(" --ablation");
    }
    command
}

fn hours(dir: &std::path::Path) -> Result<f64> {
    let hours = WorkTime::read(dir)? / 3600.0;
    Ok((hours * 1000.0).round() / 1000.0)
}

fn data_set(
    config: &PipelineConfig<'_>,
    name: &str,
    acts: &str,
    known: &mut DataSetCards,
) -> Result<DataSetCard> {
    if let Some(card) = known.get(name) {
        return Ok(card.clone());
    }
    let dir = config.data_dir(name);
    let frames = FrameDataset::read(&dir)?;
    let card = DataSetCard {
        name: name.to_owned(),
        acts: acts.to_owned(),
        episodes: frames.counts.episodes,
        frames: frames.len(),
        counted: frames.counts.counted,
        successes: frames.counts.successes,
        hours: hours(&dir)?,
    };
    known.insert(name.to_owned(), card.clone());
    Ok(card)
}

fn stage_card(config: &PipelineConfig<'_>, name: &str) -> Result<StageCard> {
    let dir = config.stage_dir(name);
    let rows = read_losses(&losses_path(&dir))?;
    let last = rows.last();
    let last = last.with_context(|| format!("{} has no row", losses_path(&dir).display()))?;
    Ok(StageCard {
        name: name.to_owned(),
        steps: last.step,
        samples: last.samples,
        training_loss: last.l1,
        validation_loss: last.validation,
        hours: hours(&dir)?,
    })
}
