//! Parameters to start from that another suite has learned: those of its full-precision checkpoint that ships.
//!
//! Both suites show the same arm, cameras and kinds of object, so that the vision tower and the motions carry over. Words have rows of
//! their own in the embedding: those that both suites know are taken by name, the others start fresh.

use crate::checkpoint::vocabulary;
use crate::net::{CheckpointFile, Layout, NetConfig};
use anyhow::{Result, ensure};
use bitvla_eval::file_hashes;
use bitvla_policies::Checkpoint;
use bitvla_policies::checkpoint::read_json;
use bitvla_policies::export::SPECIAL_TOKENS;
use bitvla_policies::prompt::TOKENIZER_FILE;
use bitvla_tasks::Suite;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Returns the folder of the full-precision checkpoint that ships for a suite.
pub fn shipped_full(assets: &Path, suite: &str) -> PathBuf {
    assets.join("checkpoints").join(suite).join("full")
}

/// Returns the SHA-256 of the files of a checkpoint that parameters are taken from, by name.
///
/// # Errors
/// If one cannot be read.
pub fn parameter_hashes(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = file_hashes(dir)?;
    hashes.retain(|name, _| name.ends_with(".safetensors") || name == TOKENIZER_FILE);
    Ok(hashes)
}

/// Takes the parameters (`Layout::total`) of the checkpoint in `dir` over into `fresh`, those of a network for the words of `suites`.
///
/// # Errors
/// Names the file and what is wrong in it: a tensor that is missing or has another shape, a tokenizer that is not of words.
pub fn pretrained_parameters(
    dir: &Path,
    net: &NetConfig,
    suites: &[Suite],
    mut fresh: Vec<f32>,
) -> Result<Vec<f32>> {
    let tokenizer: WordTokenizer = read_json(&dir.join(TOKENIZER_FILE))?;
    let known = tokenizer.model.vocab;
    let checkpoint = Checkpoint::load(dir)?;
    let layout = Layout::new(net);
    let words: Vec<&str> = (SPECIAL_TOKENS.into_iter())
        .chain(vocabulary(suites))
        .collect();
    for slot in &layout.slots {
        let file = match slot.file {
            CheckpointFile::Model => checkpoint.model(),
            CheckpointFile::Head => checkpoint.head(),
            CheckpointFile::Proprio => checkpoint.proprio(),
        };
        let values = file.f32(&slot.name)?;
        let own = &mut fresh[slot.range()];
        let fit = |found: usize, expected: usize| {
            ensure!(
                found == expected,
                "{}: tensor `{}` has {found} values, expected {expected}",
                dir.display(),
                slot.name
            );
            Ok(())
        };
        if slot.offset != layout.embed {
            fit(values.len(), own.len())?;
            own.copy_from_slice(&values);
            continue;
        }
        fit(values.len(), known.len() * net.width)?;
        for (word, own) in words.iter().zip(own.chunks_exact_mut(net.width)) {
            let row = |id: &usize| values.chunks_exact(net.width).nth(*id);
            if let Some(row) = known.get(*word).and_then(row) {
                own.copy_from_slice(row);
            }
        }
    }
    Ok(fresh)
}

/// What is read of `tokenizer.json` of a checkpoint that this program has trained.
#[derive(Deserialize)]
struct WordTokenizer {
    model: WordModel,
}

/// Words and their rows of the embedding.
#[derive(Deserialize)]
struct WordModel {
    vocab: BTreeMap<String, usize>,
}

#[cfg(test)]
mod tests {
    //! Guarantees: a network starts from all parameters of the other suite's checkpoint, with words by name; one of other sizes is
    //! refused with the tensor that does not fit.
    use super::*;
    use crate::checkpoint::net_config;
    use crate::recipe::{NetworkSizes, Recipe};
    use bitvla_tasks::Assets;

    #[test]
    fn parameters_carry_over_by_name_and_word() {
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        let suite = |name| vec![Suite::load(&assets, name).expect("a suite")];
        let dir = shipped_full(assets.dir(), "spatial");
        let sizes = Recipe::named("spatial").expect("a recipe").network;
        let start = |suites: &[Suite], sizes: &NetworkSizes| {
            let net = net_config(sizes, suites);
            let fresh = vec![f32::NAN; Layout::new(&net).total];
            let layout = Layout::new(&net);
            pretrained_parameters(&dir, &net, suites, fresh).map(|params| (layout, params))
        };
        let (goal, own) = (suite("goal"), suite("spatial"));
        let (layout, all) = start(&own, &sizes).expect("its own words");
        assert!(all.iter().all(|v| v.is_finite()));
        let (other_layout, other) = start(&goal, &sizes).expect("other words");
        for (slot, there) in layout.slots.iter().zip(&other_layout.slots) {
            if slot.offset != layout.embed {
                assert!(all[slot.range()] == other[there.range()], "{}", slot.name);
            }
        }
        let row = |params: &[f32], embed: usize, suites: &[Suite], word: &str| {
            let at = vocabulary(suites).iter().position(|w| *w == word);
            let at = embed + (SPECIAL_TOKENS.len() + at.expect("a word")) * sizes.width;
            params[at..at + sizes.width].to_vec()
        };
        let bowl = row(&other, other_layout.embed, &goal, "bowl");
        assert!(bowl == row(&all, layout.embed, &own, "bowl"));
        // A word that spatial does not know.
        let rack = row(&other, other_layout.embed, &goal, "rack");
        assert!(rack.iter().all(|v| v.is_nan()));

        let wider = NetworkSizes {
            vision_ffn: sizes.vision_ffn + 64,
            ..sizes
        };
        let words = start(&goal, &wider).expect_err("another size").to_string();
        assert!(
            words.contains("spatial") && words.contains("fc1.weight"),
            "{words}"
        );
    }
}
