//! From an instruction to token ids (fact sheet of BitVLA, section 2). The template is the checkpoint's own
//! (`processor_config.json`, `prompt_template`); without one it is the published one.

use crate::checkpoint::{file_error, read_json};
use crate::{Config, PolicyError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// File of tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// File of [`ProcessorConfig`].
pub const PROCESSOR_FILE: &str = "processor_config.json";

/// The published template.
pub const PUBLISHED_TEMPLATE: &str = "System: A chat between a curious human and an artificial intelligence assistant. \
The assistant gives helpful, detailed, and polite answers to the human's questions.<|eot_id|>User: {images}{proprio}\
What action should the robot take to {instruction}?<|eot_id|>Assistant: ";

/// What a checkpoint says about its inputs; fields that the published file does not have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessorConfig {
    /// Text with `{images}`, `{proprio}` and `{instruction}`, each once and in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_template: Option<String>,
    /// How camera images become network inputs: `area` or, later, the published pipeline where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pipeline: Option<String>,
    /// Which entry of `dataset_statistics.json` normalises; may be left out where there is one entry only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnorm_key: Option<String>,
}

impl ProcessorConfig {
    /// Of a checkpoint folder; the defaults where it has no such file.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(dir: &Path) -> Result<ProcessorConfig, PolicyError> {
        let path = dir.join(PROCESSOR_FILE);
        if path.exists() {
            read_json(&path)
        } else {
            Ok(ProcessorConfig::default())
        }
    }
}

/// Builds prompts.
pub struct Prompter {
    path: PathBuf,
    tokenizer: Tokenizer,
    parts: [String; 4],
    bos: Option<u32>,
    image: (u32, usize),
    proprio: u32,
}

impl Prompter {
    /// From a checkpoint folder.
    ///
    /// # Errors
    /// When the tokenizer cannot be read or the template lacks a part.
    pub fn load(
        dir: &Path,
        config: &Config,
        processor: &ProcessorConfig,
    ) -> Result<Prompter, PolicyError> {
        let path = dir.join(TOKENIZER_FILE);
        let tokenizer = Tokenizer::from_file(&path).map_err(|e| file_error(&path, e))?;
        let template = processor
            .prompt_template
            .as_deref()
            .unwrap_or(PUBLISHED_TEMPLATE);
        let wrong = || {
            let what = format!(
                "prompt_template `{template}` needs {{images}}, {{proprio}}, {{instruction}} in this order"
            );
            file_error(&dir.join(PROCESSOR_FILE), what)
        };
        let (before, rest) = template.split_once("{images}").ok_or_else(wrong)?;
        let (between, rest) = rest.split_once("{proprio}").ok_or_else(wrong)?;
        let (question, after) = rest.split_once("{instruction}").ok_or_else(wrong)?;
        Ok(Prompter {
            path,
            tokenizer,
            parts: [before, between, question, after].map(String::from),
            bos: config.text_config.bos_token_id,
            image: (
                config.image_token_index,
                config.num_images * config.vision_config.patches(),
            ),
            proprio: config.proprio_token(),
        })
    }

    /// Token ids for an instruction, which is lower-cased.
    ///
    /// # Errors
    /// When the tokenizer refuses the text.
    pub fn ids(&self, instruction: &str) -> Result<Vec<u32>, PolicyError> {
        let [before, between, question, after] = &self.parts;
        let encode = |text: &str| -> Result<Vec<u32>, PolicyError> {
            let encoding = self
                .tokenizer
                .encode(text, false)
                .map_err(|e| file_error(&self.path, e))?;
            Ok(encoding.get_ids().to_vec())
        };
        let mut ids: Vec<u32> = self.bos.into_iter().collect();
        ids.extend(encode(before)?);
        ids.extend(std::iter::repeat_n(self.image.0, self.image.1));
        ids.extend(encode(between)?);
        ids.push(self.proprio);
        ids.extend(encode(&format!(
            "{question}{}{after}",
            instruction.to_lowercase()
        ))?);
        Ok(ids)
    }
}
