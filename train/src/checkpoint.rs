//! From the flat parameters of a network to the folder that inference reads, and the state of the trainer.

use crate::frames::{SIDE, write_whole};
use crate::net::{Layout, NetConfig};
use crate::optim::AdamW;
use anyhow::{Context, Result, ensure};
use bitvla_policies::checkpoint_files::CheckpointDir;
use bitvla_policies::export::{
    SPECIAL_TOKENS, WORD_LEVEL_TEMPLATE, WordLevelText, word_tokenizer, write_checkpoint,
};
use bitvla_policies::normalise::Statistics;
use bitvla_policies::prompt::{ProcessorConfig, PromptBuilder, TOKENIZER_FILE};
use bitvla_policies::{AttentionMask, Config, TextConfig, VisionConfig};
use bitvla_tasks::Suite;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Words of the instructions of a suite, in order of first appearance.
pub fn words(suite: &Suite) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in suite.tasks.iter().flat_map(|t| t.instruction.split(' ')) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Sizes of the network that ships, for a suite.
pub fn net_config(suite: &Suite) -> NetConfig {
    let config = NetConfig::small(SPECIAL_TOKENS.len() + words(suite).len());
    assert_eq!(
        config.image_size, SIDE,
        "frames are stored at the input size"
    );
    config
}

/// The same in the published shape; `ternary` switches the quantisers of the vision tower on.
pub fn config(c: &NetConfig, ternary: bool) -> Config {
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

/// Prompt ids of every task of a suite, exactly as inference makes them.
///
/// # Errors
/// When the tokenizer cannot be written to or read from `scratch`.
pub fn prompts(suite: &Suite, c: &NetConfig, scratch: &Path) -> Result<Vec<Vec<u32>>> {
    std::fs::create_dir_all(scratch).with_context(|| format!("making {}", scratch.display()))?;
    let text = serde_json::to_string(&word_tokenizer(&words(suite)))?;
    write_whole(&scratch.join(TOKENIZER_FILE), text.as_bytes())?;
    let processor = ProcessorConfig {
        prompt_template: Some(WORD_LEVEL_TEMPLATE.into()),
        ..ProcessorConfig::default()
    };
    let prompter = PromptBuilder::load(&CheckpointDir(scratch), &config(c, false), &processor)?;
    let ids = suite.tasks.iter().map(|t| prompter.ids(&t.instruction));
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Writes a checkpoint folder.
///
/// # Errors
/// When a file cannot be written.
pub fn export(
    dir: &Path,
    suite: &Suite,
    c: &NetConfig,
    params: &[f32],
    statistics: &Statistics,
    ternary: bool,
) -> Result<()> {
    let layout = Layout::new(c);
    let values: BTreeMap<String, Vec<f32>> = layout
        .slots
        .iter()
        .map(|s| (s.name.clone(), params[s.at..s.at + s.len()].to_vec()))
        .collect();
    let text = WordLevelText {
        words: &words(suite),
        key: &suite.name,
        statistics,
    };
    write_checkpoint(dir, &config(c, ternary), &text, &values, false)?;
    Ok(())
}

/// What a training stage goes on from.
pub struct State {
    /// Flat parameters.
    pub params: Vec<f32>,
    /// Moments.
    pub adam: AdamW,
    /// Steps done.
    pub step: u64,
}

/// Writes the state whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_state(path: &Path, state: &State) -> Result<()> {
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
    write_whole(path, &safetensors::serialize(views, None::<HashMap<_, _>>)?)
}

/// Reads a state of `parameters` parameters.
///
/// # Errors
/// Names the file when it is not one.
pub fn read_state(path: &Path, parameters: usize) -> Result<State> {
    let read = || -> Result<State> {
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
        let count = |i: usize| i64::from_le_bytes(counts[i]).max(0) as u64;
        Ok(State {
            params: numbers("params")?,
            adam: AdamW {
                m: numbers("m")?,
                v: numbers("v")?,
                updates: count(1),
            },
            step: count(0),
        })
    };
    read().with_context(|| format!("{} is not a training state", path.display()))
}
