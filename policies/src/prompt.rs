//! From an instruction to token ids (`docs/reference/bitvla.md`, section 2). The template is the checkpoint's own: the
//! `prompt_template` of `processor_config.json` or else its chat template; without either it is the published one.

use crate::checkpoint::file_error;
use crate::checkpoint_files::{CheckpointFiles, LazyFile};
pub use crate::processor_config::{PROCESSOR_FILE, ProcessorConfig};
use crate::template::{self, PromptSegments};
use crate::{Config, PolicyError, tokenizer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokenizers::{ModelWrapper, Tokenizer};

/// File of tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// The published template.
pub const PUBLISHED_TEMPLATE: &str = "System: A chat between a curious human and an artificial intelligence assistant. \
The assistant gives helpful, detailed, and polite answers to the human's questions.<|eot_id|>User: {images}{proprio}\
What action should the robot take to {instruction}?<|eot_id|>Assistant: ";

/// Segments of a `prompt_template`; nothing where a part is missing. Without proprioception its place may be missing.
fn parse_template(template: &str, proprio: bool) -> Option<PromptSegments> {
    let (before, rest) = template.split_once("{images}")?;
    let (between, rest) = match rest.split_once("{proprio}") {
        None if !proprio => ("", rest),
        found => found?,
    };
    let (question, after) = rest.split_once("{instruction}")?;
    Some([before, between, question, after].map(String::from))
}

/// Builds prompts. A tokenizer of the published size takes some 70 MB of memory, more than all activations of a query, so
/// it is only there while a new instruction is turned into ids; these are remembered.
pub struct PromptBuilder {
    path: PathBuf,
    tokenizer: TokenizerSource,
    segments: PromptSegments,
    bos: Option<u32>,
    images: usize,
    image: (u32, usize),
    /// None for a policy without proprioception.
    proprio: Option<u32>,
    cache: Mutex<BTreeMap<String, Vec<u32>>>,
}

/// Storage of the text of a tokenizer.
enum TokenizerSource {
    InMemory(Vec<u8>),
    OnDisk(LazyFile),
}

/// A tokenizer whose text is shorter than this is kept as text.
const IN_MEMORY_LIMIT: usize = 1 << 16;

/// Makes the library set up what it keeps for good, on this thread.
fn warm_up() {
    const TINY: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{"id": 0, "content": "<a>", "single_word": true, "lstrip": true, "rstrip": true,
            "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": null, "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "byte_fallback": false,
            "vocab": {"<a>": 0, "b": 1}, "merges": []}}"#;
    if let Ok(tokenizer) = Tokenizer::from_bytes(TINY) {
        // What it says does not matter.
        let _ = tokenizer.encode("b <a> b", false);
    }
}

/// Works on a thread of its own, whose memory goes back to the system as a whole when it ends: the many small pieces of
/// a tokenizer would otherwise leave holes that stay.
fn on_own_thread<T: Send>(
    work: impl FnOnce() -> Result<T, PolicyError> + Send,
) -> Result<T, PolicyError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work);
        let thread = thread.map_err(|e| PolicyError::Query {
            policy: "threads".into(),
            what: format!("no thread to read the tokenizer: {e}"),
        })?;
        let ended = thread.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl PromptBuilder {
    /// Builds it from the small files of a checkpoint.
    ///
    /// # Errors
    /// Fails if the tokenizer cannot be read or the template lacks a part.
    pub fn load(
        files: &dyn CheckpointFiles,
        config: &Config,
        processor: &ProcessorConfig,
    ) -> Result<PromptBuilder, PolicyError> {
        let path = files.display_path(TOKENIZER_FILE);
        let bytes = files.read(TOKENIZER_FILE)?;
        let bytes = bytes.ok_or_else(|| file_error(&path, "missing"))?;
        let state = config.proprio_dim > 0;
        let segments = match &processor.prompt_template {
            Some(template) => parse_template(template, state).ok_or_else(|| {
                let what = format!(
                    "prompt_template `{template}` needs {{images}}, {{proprio}}, {{instruction}} in this order"
                );
                file_error(&files.display_path(PROCESSOR_FILE), what)
            })?,
            None => match template::prompt_segments(files, config.num_images, state)? {
                Some(segments) => segments,
                // The constant above has all three parts.
                None => parse_template(PUBLISHED_TEMPLATE, true).unwrap_or_default(),
            },
        };
        let builder = PromptBuilder {
            tokenizer: match bytes.len() < IN_MEMORY_LIMIT {
                true => TokenizerSource::InMemory(bytes),
                false => TokenizerSource::OnDisk(files.lazy_file(TOKENIZER_FILE)),
            },
            path,
            segments,
            bos: config.text_config.bos_token_id,
            images: config.num_images,
            image: (
                config.image_token_index,
                config.num_images * config.vision_config.patches(),
            ),
            proprio: state.then(|| config.proprio_token()),
            cache: Mutex::default(),
        };
        warm_up();
        // A tokenizer that cannot be read is found now and not in the first query.
        builder.prepare(&[String::new()])?;
        Ok(builder)
    }

    /// Path of the tokenizer, for errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn tokenizer(&self) -> Result<Tokenizer, PolicyError> {
        let parse = |bytes: &[u8]| tokenizer::parse(bytes).map_err(|e| file_error(&self.path, e));
        match &self.tokenizer {
            TokenizerSource::InMemory(bytes) => parse(bytes),
            TokenizerSource::OnDisk(read) => match read()? {
                Some(bytes) => parse(&bytes),
                None => Err(file_error(&self.path, "not there any more")),
            },
        }
    }

    /// Turns several instructions into ids with one tokenizer and remembers them.
    ///
    /// # Errors
    /// As [`PromptBuilder::ids`].
    pub fn prepare(&self, instructions: &[String]) -> Result<(), PolicyError> {
        // Room from this thread: what the other one allocates and leaves would keep its memory from going back.
        let room = self.image.1 + 1024;
        let mut all: Vec<Vec<u32>> = Vec::new();
        all.resize_with(instructions.len(), || Vec::with_capacity(room));
        on_own_thread(|| {
            let tokenizer = self.tokenizer()?;
            for (ids, instruction) in all.iter_mut().zip(instructions) {
                self.encode(&tokenizer, instruction, ids)?;
            }
            Ok(())
        })?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.extend(instructions.iter().cloned().zip(all));
        Ok(())
    }

    /// Text of the prompt for an instruction, with `image` in the place of every image and `state` in that of the state;
    /// without the first token.
    pub fn text(&self, instruction: &str, image: &str, state: &str) -> String {
        let [before, between, question, after] = &self.segments;
        let images = image.repeat(self.images);
        let words = instruction.to_lowercase();
        let state = if self.proprio.is_some() { state } else { "" };
        format!("{before}{images}{between}{state}{question}{words}{after}")
    }

    /// Token ids for an instruction, which is lower-cased.
    ///
    /// # Errors
    /// Fails if the tokenizer cannot be read any more or refuses the text.
    pub fn ids(&self, instruction: &str) -> Result<Vec<u32>, PolicyError> {
        let find = || {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(instruction).cloned()
        };
        if let Some(ids) = find() {
            return Ok(ids);
        }
        self.prepare(&[instruction.to_string()])?;
        find().ok_or_else(|| file_error(&self.path, format!("no ids for `{instruction}`")))
    }

    /// Words of an instruction (lower-cased) that the tokenizer turns into its unknown token, in order; none where it has
    /// no such token, as the byte-level tokenizer of the published checkpoints.
    ///
    /// # Errors
    /// As [`PromptBuilder::ids`].
    pub fn unknown_words(&self, instruction: &str) -> Result<Vec<String>, PolicyError> {
        on_own_thread(|| {
            let tokenizer = self.tokenizer()?;
            let unknown = match tokenizer.get_model() {
                ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
                ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
                ModelWrapper::BPE(model) => model.unk_token.clone(),
                ModelWrapper::Unigram(_) => None,
            };
            let Some(unknown) = unknown.and_then(|token| tokenizer.token_to_id(&token)) else {
                return Ok(Vec::new());
            };
            let text = instruction.to_lowercase();
            let encoding = tokenizer
                .encode(text.as_str(), false)
                .map_err(|e| file_error(&self.path, e))?;
            let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
            let mut words = Vec::new();
            for (_, (start, end)) in tokens.filter(|(id, _)| **id == unknown) {
                let word = text.get(*start..*end).unwrap_or(&text).to_owned();
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            Ok(words)
        })
    }

    /// Refuses an instruction with [`PromptBuilder::unknown_words`].
    ///
    /// # Errors
    /// [`PolicyError::Vocabulary`] with the words.
    pub fn check_words(&self, instruction: &str) -> Result<(), PolicyError> {
        match self.unknown_words(instruction)? {
            words if words.is_empty() => Ok(()),
            words => Err(PolicyError::Vocabulary {
                path: self.path.clone(),
                instruction: instruction.into(),
                words,
            }),
        }
    }

    fn encode(
        &self,
        tokenizer: &Tokenizer,
        instruction: &str,
        ids: &mut Vec<u32>,
    ) -> Result<(), PolicyError> {
        let [before, between, question, after] = &self.segments;
        let encode = |text: &str, ids: &mut Vec<u32>| -> Result<(), PolicyError> {
            let encoding = tokenizer
                .encode(text, false)
                .map_err(|e| file_error(&self.path, e))?;
            ids.extend(encoding.get_ids());
            Ok(())
        };
        ids.extend(self.bos);
        encode(before, ids)?;
        ids.extend(std::iter::repeat_n(self.image.0, self.image.1));
        encode(between, ids)?;
        ids.extend(self.proprio);
        let words = format!("{question}{}{after}", instruction.to_lowercase());
        encode(&words, ids)
    }
}
