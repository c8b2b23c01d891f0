//! The step from a trained folder to the checkpoints that ship: `CHECKPOINTS/SUITE/NAME`, ternary ones packed in 2 bits,
//! full-precision ones in the published form in bfloat16, each with its training card.

use crate::checkpoint::{export, net_config, read_state};
use crate::net::Layout;
use crate::pipeline::PipelineConfig;
use crate::recipe::TrainedWeights;
use crate::trainer::state_path;
use crate::training_card::{CARD_FILE, DataSetCards, training_card};
use anyhow::{Context, Result, ensure};
use bitvla_eval::{PACKED_FILE, file_hashes};
use bitvla_policies::WeightFormat;
use bitvla_policies::normalise::{STATISTICS_FILE, Statistics};
use bitvla_reports::write_atomically;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Writes every finished checkpoint that ships under `to`, in a folder of its own; returns the folders.
///
/// # Errors
/// If no such stage is finished, the folder is of another world version or recipe, or a file cannot be read or written.
pub fn install(config: &PipelineConfig<'_>, to: &Path) -> Result<Vec<PathBuf>> {
    let (mut installed, mut data_sets) = (Vec::new(), DataSetCards::new());
    for (index, stage) in config.stages() {
        let Some((train, name)) = stage
            .train
            .as_ref()
            .and_then(|t| Some((t, t.ships_as.as_ref()?)))
        else {
            continue;
        };
        let trained = config.checkpoint_dir(&stage.name);
        if !trained.join("done").is_file() {
            continue;
        }
        config.check_world()?;
        config.claim(&config.stage_dir(&stage.name), index + 1)?;
        let dir = to.join(name);
        if dir.is_dir() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let net = net_config(&config.recipe.network, config.suites);
        let parameters = Layout::new(&net).total;
        let state = read_state(&state_path(&config.stage_dir(&stage.name)), parameters)?;
        let statistics = statistics_of(&trained)?;
        let write = |dir: &Path, ternary| {
            let form = (ternary, true);
            export(dir, config.suites, &net, &state.params, &statistics, form)
        };
        match train.weights {
            TrainedWeights::Full => write(&dir, false)?,
            TrainedWeights::Ternary => {
                let published = config.checkpoint_dir(&format!("{}-bf16", stage.name));
                write(&published, true)?;
                let file = dir.join(PACKED_FILE);
                bitvla_policies::packed::pack(&published, &file, WeightFormat::Ternary)?;
            }
        }
        let hashes = file_hashes(&dir)?;
        let card = training_card(config, &stage.name, parameters, hashes, &mut data_sets)?;
        let text = serde_json::to_string_pretty(&card)? + "\n";
        write_atomically(&dir.join(CARD_FILE), text.as_bytes())?;
        installed.push(dir);
    }
    ensure!(
        !installed.is_empty(),
        "{} holds no finished checkpoint that ships",
        config.out.display()
    );
    Ok(installed)
}

/// Reads the statistics of a checkpoint folder, the same for every suite that it knows.
fn statistics_of(dir: &Path) -> Result<Statistics> {
    let path = dir.join(STATISTICS_FILE);
    let read = || -> Result<Option<Statistics>> {
        let entries: BTreeMap<String, Statistics> = serde_json::from_slice(&std::fs::read(&path)?)?;
        Ok(entries.into_values().next())
    };
    let found = read().with_context(|| format!("reading {}", path.display()))?;
    found.with_context(|| format!("{} has no entry", path.display()))
}
