//! Guarantee: prompts and discretised actions are those of the published reference code, exactly: the text of a prompt
//! and action tokens on cases of the repository (`tests/golden/bitvla`), token ids with the tokenizer of
//! `../shared/golden/bitvla` or `BITVLA_GOLDEN`.

#[path = "common/cases.rs"]
mod cases;

use bitvla_policies::action_tokens::ActionTokens;
use bitvla_policies::checkpoint_files::CheckpointDir;
use bitvla_policies::prompt::{ProcessorConfig, PromptBuilder};
use bitvla_policies::testing::{small_config, write_tiny_checkpoint};
use cases::{committed, shared};
use serde_json::Value;
use std::path::Path;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn golden_prompt_texts() {
    let tiny = tempfile::tempdir().expect("a temporary folder");
    write_tiny_checkpoint(tiny.path()).expect("a tokenizer");
    let config = small_config(224, 64, 1, 128_268);
    let published = ProcessorConfig::default();
    let prompter =
        PromptBuilder::load(&CheckpointDir(tiny.path()), &config, &published).expect("prompter");
    for dir in committed("prompt_text") {
        let rows = json(&dir.join("prompts.json"));
        let rows = rows.as_array().expect("rows");
        assert!(!rows.is_empty());
        for row in rows {
            let task = row["task"].as_str().expect("task");
            let text = prompter.text(task, "<|image_pad|>", "<proprio_pad>");
            assert_eq!(text, row["prompt_before_image_expansion"], "{task}");
        }
    }
}

#[test]
#[ignore = "needs ../shared/golden/bitvla: the tokenizer of the published checkpoints"]
fn golden_prompts() {
    for dir in shared("prompt") {
        let mut config = small_config(224, 64, 1, 128_268);
        config.image_token_index = 128_010;
        config.proprio_token_index = None;
        config.vision_config.patch_size = 14;
        config.text_config.bos_token_id = Some(128_000);
        let prompter =
            PromptBuilder::load(&CheckpointDir(&dir), &config, &ProcessorConfig::default())
                .expect("prompter");
        let rows = json(&dir.join("prompts.json"));
        let rows = rows.as_array().expect("rows");
        assert!(!rows.is_empty());
        for row in rows {
            let task = row["task"].as_str().expect("task");
            let ids = prompter.ids(task).expect("ids");
            let mut runs: Vec<[u64; 2]> = Vec::new();
            for id in &ids {
                match runs.last_mut() {
                    Some([last, count]) if *last == u64::from(*id) => *count += 1,
                    _ => runs.push([u64::from(*id), 1]),
                }
            }
            let wanted: Vec<[u64; 2]> =
                serde_json::from_value(row["ids_run_length"].clone()).expect("runs");
            assert_eq!(runs, wanted, "{task}");
            assert_eq!(
                ids.len() as u64,
                row["n_tokens"].as_u64().expect("n_tokens"),
                "{task}"
            );
        }
    }
}

#[test]
fn golden_action_tokens() {
    for dir in committed("action_tokens") {
        let values = json(&dir.join("values.json"));
        for (bins, case) in values.as_object().expect("cases") {
            let tokens = ActionTokens {
                vocabulary: case["total_vocab"].as_u64().expect("total_vocab") as u32,
                bins: bins.parse().expect("bins"),
            };
            let numbers = |name: &str| -> Vec<f64> {
                serde_json::from_value(case[name].clone()).expect("numbers")
            };
            let rows = numbers("values").into_iter().zip(numbers("ids"));
            for ((value, id), decoded) in rows.zip(numbers("decoded")) {
                assert_eq!(f64::from(tokens.encode(value)), id, "{bins} bins, {value}");
                let back = tokens.decode(id as u32);
                assert!(
                    (back - decoded).abs() < 1e-12,
                    "{bins} bins, id {id}: {back}"
                );
            }
        }
    }
}
