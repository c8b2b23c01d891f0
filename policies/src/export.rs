//! Writer of whole checkpoint folders, the last step of training; [`crate::Checkpoint`] reads them.

use crate::checkpoint::{HEAD_FILE, MODEL_FILE, PROPRIO_FILE, write_tensors};
use crate::error::file_error;
use crate::normalise::{STATISTICS_FILE, Statistics};
use crate::prompt::{PROCESSOR_FILE, ProcessorConfig, TOKENIZER_FILE};
use crate::{Config, PolicyError, TensorSpecs};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Special tokens in front of the words of a short vocabulary; their ids are their positions, 0 to 4.
pub const SPECIAL_TOKENS: [&str; 5] = ["<unk>", "<bos>", "<eos>", "<image>", "<proprio>"];

/// Prompt template of a checkpoint with a short vocabulary: images, state and instruction only.
pub const WORD_LEVEL_TEMPLATE: &str = "{images}{proprio}{instruction}";

/// Text side of a checkpoint with a short vocabulary.
pub struct WordLevelText<'a> {
    /// Words of the instructions, in the order of their ids.
    pub words: &'a [&'a str],
    /// Names of the entries of `dataset_statistics.json`; the first is recorded as `unnorm_key`.
    pub keys: &'a [&'a str],
    /// Contents of every entry.
    pub statistics: &'a Statistics,
}

/// Builds `tokenizer.json` of a word-level tokenizer over special tokens and words, in this order.
pub fn word_tokenizer(words: &[&str]) -> Value {
    let vocabulary: BTreeMap<&str, usize> = SPECIAL_TOKENS
        .iter()
        .chain(words)
        .enumerate()
        .map(|(id, word)| (*word, id))
        .collect();
    let added: Vec<Value> = SPECIAL_TOKENS
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
           "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
           "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}})
}

/// Writes every file of a folder. `values` holds the tensors of all three tensor files by name; bf16 rounds them.
///
/// # Errors
/// If a tensor is missing or misshapen, or a file cannot be written.
pub fn write_checkpoint(
    dir: &Path,
    config: &Config,
    text: &WordLevelText<'_>,
    values: &BTreeMap<String, Vec<f32>>,
    bf16: bool,
) -> Result<(), PolicyError> {
    std::fs::create_dir_all(dir).map_err(|e| file_error(dir, e))?;
    let rows = SPECIAL_TOKENS.len() + text.words.len();
    if config.text_config.vocab_size < rows {
        let what = format!(
            "vocab_size {} for {rows} tokens",
            config.text_config.vocab_size
        );
        return Err(file_error(&dir.join("config.json"), what));
    }
    let processor = ProcessorConfig {
        prompt_template: Some(WORD_LEVEL_TEMPLATE.into()),
        image_pipeline: Some("area".into()),
        unnorm_key: text.keys.first().map(|key| (*key).to_owned()),
        ..ProcessorConfig::default()
    };
    write_json(&dir.join("config.json"), config)?;
    write_json(&dir.join(TOKENIZER_FILE), &word_tokenizer(text.words))?;
    write_json(&dir.join(PROCESSOR_FILE), &processor)?;
    write_json(
        &dir.join(STATISTICS_FILE),
        &BTreeMap::from_iter(text.keys.iter().map(|key| (*key, text.statistics))),
    )?;
    let specs = TensorSpecs::new(config);
    for (file, specs) in [
        (MODEL_FILE, &specs.model),
        (HEAD_FILE, &specs.head),
        (PROPRIO_FILE, &specs.proprio),
    ] {
        write_tensors(&dir.join(file), specs, values, bf16)?;
    }
    Ok(())
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), PolicyError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| file_error(path, e))?;
    std::fs::write(path, text + "\n").map_err(|e| file_error(path, e))
}
