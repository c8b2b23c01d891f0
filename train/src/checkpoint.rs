//! Checkpoint folders that inference reads, made of flat parameters, and the state of the trainer.

use crate::dataset::IMAGE_SIZE;
use crate::net::{Layout, NetConfig};
use crate::optim::AdamW;
use crate::recipe::NetworkSizes;
use anyhow::{Context, Result, ensure};
use bitvla_policies::checkpoint_files::CheckpointDir;
use bitvla_policies::export::{
    SPECIAL_TOKENS, WORD_LEVEL_TEMPLATE, WordLevelText, word_tokenizer, write_checkpoint,
};
use bitvla_policies::normalise::Statistics;
use bitvla_policies::prompt::{ProcessorConfig, PromptBuilder, TOKENIZER_FILE};
use bitvla_policies::{AttentionMask, Config, TextConfig, VisionConfig};
use bitvla_reports::write_atomically;
use bitvla_tasks::Suite;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Returns the words of the instructions of suites, in order of first appearance.
pub fn vocabulary(suites: &[Suite]) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    let tasks = suites.iter().flat_map(|suite| &suite.tasks);
    for word in tasks.flat_map(|t| t.instruction.split(' ')) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Returns a network of these sizes for the vocabulary of suites.
pub fn net_config(sizes: &NetworkSizes, suites: &[Suite]) -> NetConfig {
    let config = NetConfig::sized(sizes, SPECIAL_TOKENS.len() + vocabulary(suites).len());
    assert_eq!(
        config.image_size, IMAGE_SIZE,
        "frames are stored at the input size"
    );
    config
}

/// Returns the `config.json` of a network in the form of the published checkpoints (docs/reference/bitvla.md, section 6);
/// `ternary` switches the quantisers of the vision tower on.
pub fn published_config(c: &NetConfig, ternary: bool) -> Config {
    Config {
        model_type: "bitvla".into(),
        vocab_size: None,
        image_token_index: c.image_token,
        proprio_token_index: Some(c.proprio_token),
        vision_feature_layer: -1,
        vision_feature_select_strategy: "full".into(),
        num_images: c.images,
        action_chunk: c.chunk,
        action_dim: c.action_dim,
        proprio_dim: c.proprio,
        attention: AttentionMask::Bidirectional,
        text_config: TextConfig {
            vocab_size: c.vocab,
            hidden_size: c.width,
            intermediate_size: c.ffn,
            num_hidden_layers: c.layers,
            num_attention_heads: c.heads,
            num_key_value_heads: c.kv_heads,
            rms_norm_eps: 1e-5,
            rope_theta: c.rope_theta,
            max_position_embeddings: 1024,
            tie_word_embeddings: false,
            bos_token_id: Some(c.bos_token),
            eos_token_id: Some(c.stop_token),
            llm_weight_bits: Some(if ternary { 1 } else { 32 }),
            packed_scale: None,
        },
        vision_config: VisionConfig {
            hidden_size: c.vision_width,
            intermediate_size: c.vision_ffn,
            num_hidden_layers: c.vision_layers,
            num_attention_heads: c.vision_heads,
            image_size: c.image_size,
            patch_size: c.patch,
            layer_norm_eps: 1e-6,
            vit_weight_bits: if ternary { 1 } else { 32 },
            vit_act_bits: if ternary { 8 } else { 32 },
        },
    }
}

/// Returns the token ids of the prompt of every task of suites, made by the prompt builder of inference; its tokenizer is
/// written to `scratch`.
///
/// # Errors
/// If the tokenizer cannot be written to or read from `scratch`.
pub fn prompts(suites: &[Suite], c: &NetConfig, scratch: &Path) -> Result<Vec<Vec<u32>>> {
    std::fs::create_dir_all(scratch).with_context(|| format!("making {}", scratch.display()))?;
    let text = serde_json::to_string(&word_tokenizer(&vocabulary(suites)))?;
    write_atomically(&scratch.join(TOKENIZER_FILE), text.as_bytes())?;
    let processor = ProcessorConfig {
        prompt_template: Some(WORD_LEVEL_TEMPLATE.into()),
        ..ProcessorConfig::default()
    };
    let prompter = PromptBuilder::load(
        &CheckpointDir(scratch),
        &published_config(c, false),
        &processor,
    )?;
    let tasks = suites.iter().flat_map(|suite| &suite.tasks);
    let ids = tasks.map(|t| prompter.ids(&t.instruction));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Writes a checkpoint folder of flat parameters (`Layout::total`); `ternary` as in [`published_config`]. The numbers are
/// rounded to bfloat16 if `bf16` says so.
///
/// # Errors
/// If a file cannot be written.
pub fn export(
    dir: &Path,
    suites: &[Suite],
    c: &NetConfig,
    params: &[f32],
    statistics: &Statistics,
    (ternary, bf16): (bool, bool),
) -> Result<()> {
    let layout = Layout::new(c);
    let values: BTreeMap<String, Vec<f32>> = layout
        .slots
        .iter()
        .map(|s| (s.name.clone(), params[s.range()].to_vec()))
        .collect();
    let keys: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    let text = WordLevelText {
        words: &vocabulary(suites),
        keys: &keys,
        statistics,
    };
    write_checkpoint(dir, &published_config(c, ternary), &text, &values, bf16)?;
    Ok(())
}

/// State from which a training stage continues.
pub struct TrainingState {
    /// Flat parameters (`Layout::total`).
    pub params: Vec<f32>,
    /// State of the optimiser.
    pub adam: AdamW,
    /// Number of steps done.
    pub step: u64,
}

/// Writes the state, whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn write_state(path: &Path, state: &TrainingState) -> Result<()> {
    let bytes = |v: &[f32]| -> Vec<u8> { v.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let (p, m, v) = (
        bytes(&state.params),
        bytes(&state.adam.m),
        bytes(&state.adam.v),
    );
    let counts: Vec<u8> = [state.step, state.adam.updates]
        .iter()
        .flat_map(|n| (*n as i64).to_le_bytes())
        .collect();
    let n = state.params.len();
    let views = [
        ("params", TensorView::new(Dtype::F32, vec![n], &p)?),
        ("m", TensorView::new(Dtype::F32, vec![n], &m)?),
        ("v", TensorView::new(Dtype::F32, vec![n], &v)?),
        ("counts", TensorView::new(Dtype::I64, vec![2], &counts)?),
    ];
    let bytes = safetensors::serialize(views, None::<HashMap<_, _>>)?;
    Ok(write_atomically(path, &bytes)?)
}

/// Reads a state of `parameters` parameters.
///
/// # Errors
/// Names the file if it cannot be read or is not a state of that size.
pub fn read_state(path: &Path, parameters: usize) -> Result<TrainingState> {
    let read = || -> Result<TrainingState> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let numbers = |name: &str| -> Result<Vec<f32>> {
            let t = file.tensor(name)?;
            let (chunks, _) = t.data().as_chunks::<4>();
            ensure!(
                t.dtype() == Dtype::F32 && chunks.len() == parameters,
                "tensor `{name}` has {} values, this network {parameters}",
                chunks.len()
            );
            Ok(chunks.iter().map(|b| f32::from_le_bytes(*b)).collect())
        };
        let counts = file.tensor("counts")?;
        let (counts, _) = counts.data().as_chunks::<8>();
        ensure!(
            counts.len() == 2,
            "tensor `counts` has {} entries, expected 2",
            counts.len()
        );
        let count = |i: usize| u64::try_from(i64::from_le_bytes(counts[i]));
        Ok(TrainingState {
            params: numbers("params")?,
            adam: AdamW {
                m: numbers("m")?,
                v: numbers("v")?,
                updates: count(1)?,
            },
            step: count(0)?,
        })
    };
    read().with_context(|| format!("{} is not a training state", path.display()))
}
