//! Guarantee: the text side of a checkpoint is read as published: both vocabularies, the three model types, the chat
//! template out of any of its files, statistics out of either of theirs. Golden prompts are in
//! `../shared/golden/bitvla` or `BITVLA_GOLDEN`.

use bitvla_policies::checkpoint_files::CheckpointDir;
use bitvla_policies::normalise::Statistics;
use bitvla_policies::prompt::{ProcessorConfig, PromptBuilder};
use bitvla_policies::testing::{small_config, write_tiny_checkpoint};
use bitvla_policies::{Checkpoint, Config, VlaPolicy, WeightFormat};
use bitvla_policies::{NormaliserChoice, PolicyError, StatisticsTable};
use serde_json::{Value, json};
use std::path::Path;

#[path = "common/cases.rs"]
mod cases;

/// Brings its own words of the system and wants contents as text.
const PLAIN: &str = "{{ bos_token }}{% if messages[0]['role'] != 'system' %}System: A chat between a curious human and an artificial \
intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.<|eot_id|>{% endif %}\
{% for message in messages %}{{ message['role'].capitalize() + ': ' + message['content'] + '<|eot_id|>' }}{% endfor %}\
{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

/// Wants contents as lists of parts.
const PARTS: &str = "{{- 'System: A chat between a curious human and an artificial intelligence assistant. \
The assistant gives helpful, detailed, and polite answers to the human' ~ \"'\" ~ 's questions.<|eot_id|>' -}}
{% for message in messages %}
    {{- message['role'] | capitalize }}: {% for part in message['content'] | selectattr('type', 'equalto', 'image') %}
        {{- '<|image_pad|>' }}
    {%- endfor %}
    {%- for part in message['content'] | selectattr('type', 'equalto', 'text') %}
        {{- part['text'] }}
    {%- endfor %}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

fn write(path: &Path, value: &Value) {
    std::fs::write(path, serde_json::to_vec(value).unwrap()).unwrap();
}

fn published_config() -> Config {
    let mut config = small_config(224, 64, 1, 128_268);
    config.image_token_index = 128_010;
    config.proprio_token_index = None;
    config.vision_config.patch_size = 14;
    config.text_config.bos_token_id = Some(128_000);
    config
}

#[test]
#[ignore = "needs ../shared/golden/bitvla: the tokenizer of the published checkpoints"]
fn chat_templates_give_the_golden_prompts() {
    for case in cases::shared("prompt") {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::copy(case.join("tokenizer.json"), at("tokenizer.json")).unwrap();
        let rows: Value =
            serde_json::from_slice(&std::fs::read(case.join("prompts.json")).unwrap()).unwrap();
        for (file, template) in [
            ("tokenizer_config.json", PLAIN),
            ("chat_template.json", PARTS),
            ("chat_template.jinja", PLAIN),
        ] {
            match file {
                "chat_template.jinja" => std::fs::write(at(file), template).unwrap(),
                _ => write(&at(file), &json!({"chat_template": template})),
            }
            let own = ProcessorConfig::default();
            let prompter =
                PromptBuilder::load(&CheckpointDir(folder.path()), &published_config(), &own)
                    .unwrap();
            for row in rows.as_array().unwrap() {
                let ids = prompter.ids(row["task"].as_str().unwrap()).unwrap();
                let runs = row["ids_run_length"].as_array().unwrap();
                let wanted = runs.iter().flat_map(|run| {
                    let number = |i: usize| run[i].as_u64().unwrap();
                    std::iter::repeat_n(number(0) as u32, number(1) as usize)
                });
                assert_eq!(ids, wanted.collect::<Vec<u32>>(), "{file}");
            }
        }
        std::fs::write(at("chat_template.jinja"), "{{ messages[0]['role'] }}").unwrap();
        let error = PromptBuilder::load(
            &CheckpointDir(folder.path()),
            &published_config(),
            &ProcessorConfig::default(),
        );
        let text = error.err().unwrap().to_string();
        assert!(
            text.contains("chat_template.jinja") && text.contains("in this order"),
            "{text}"
        );
    }
}

/// Ids of the prompt that a template in a file gives, with the word-level tokenizer of a tiny checkpoint.
fn with_template(file: &str, content: &Value) -> Result<Vec<u32>, String> {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    match content {
        Value::String(text) if file.ends_with("jinja") => {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        _ => write(&dir.path().join(file), content),
    }
    let config = Checkpoint::load(dir.path()).unwrap().config().clone();
    PromptBuilder::load(
        &CheckpointDir(dir.path()),
        &config,
        &ProcessorConfig::default(),
    )
    .and_then(|prompter| prompter.ids("pick up the plate"))
    .map_err(|error| error.to_string())
}

/// The published evaluation asks with one message of the user. A template that has the words of the system for that
/// case, and shows messages of the system in another way, is not given one.
#[test]
fn a_template_is_asked_as_the_reference_asks() {
    let own = format!("{{% if messages[0]['role'] == 'system' %}}up up up up {{% endif %}}{PLAIN}");
    let plain = with_template("chat_template.jinja", &json!(PLAIN)).unwrap();
    assert_eq!(
        with_template("chat_template.jinja", &json!(own)).unwrap(),
        plain
    );
}

/// Several templates with names, as some tokenizers have them: the default one is meant. Whatever else is there in
/// place of a template is an error, and not as if there were none.
#[test]
fn templates_of_another_shape_are_not_passed_over() {
    let file = "tokenizer_config.json";
    let other = "{{ messages }}";
    let mine = PLAIN.replace("Assistant: ", "plate ");
    let named = json!({"chat_template": [
        {"name": "tool_use", "template": other}, {"name": "default", "template": mine}]});
    let alone = with_template(file, &json!({"chat_template": mine})).unwrap();
    assert_ne!(alone, with_template(file, &json!({})).unwrap());
    assert_eq!(with_template(file, &named).unwrap(), alone);
    for wrong in [json!([{"name": "tool_use", "template": other}]), json!(7)] {
        let text = with_template(file, &json!({"chat_template": wrong})).unwrap_err();
        assert!(
            text.contains(file) && text.contains("chat_template"),
            "{text}"
        );
    }
    with_template(file, &json!({"chat_template": null})).unwrap();
}

#[test]
fn both_generations_and_all_model_types_are_read() {
    for (vocabulary, place) in [(128_264, "top"), (128_268, "top"), (128_268, "text")] {
        for kind in ["bitvla", "llava", "openvla"] {
            let mut config = serde_json::to_value(small_config(32, 32, 1, 128_256)).unwrap();
            config["model_type"] = json!(kind);
            config["image_token_index"] = json!(128_260);
            config["text_config"]["bos_token_id"] = Value::Null;
            config["norm_stats"] = json!({});
            match place {
                "top" => config["vocab_size"] = json!(vocabulary),
                _ => config["text_config"]["vocab_size"] = json!(vocabulary),
            }
            let config =
                Config::parse(config.to_string().as_bytes(), Path::new("config.json")).unwrap();
            assert_eq!(config.text_config.vocab_size, vocabulary);
            assert_eq!(
                (config.image_token_index, config.proprio_token()),
                (128_010, 128_011)
            );
            assert_eq!(config.stop_token(), 128_001);
            assert_eq!(config.text_config.bos_token_id, Some(128_000));
        }
    }
    let mut config = serde_json::to_value(small_config(32, 32, 1, 31)).unwrap();
    config["model_type"] = json!("qwen");
    let error = Config::parse(config.to_string().as_bytes(), Path::new("here/config.json"));
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("here/config.json") && text.contains("`qwen`"),
        "{text}"
    );
}

/// Sizes that the vision config leaves out are those of the published tower; those of a small one stay its own.
#[test]
fn a_short_vision_config_is_the_published_tower() {
    let read = |vision: Value| {
        let mut config = serde_json::to_value(small_config(32, 32, 1, 128_268)).unwrap();
        config["vision_config"] = vision;
        Config::parse(config.to_string().as_bytes(), Path::new("config.json")).unwrap()
    };
    let published = Config::bitvla_3b().unwrap().vision_config;
    let short =
        json!({"model_type": "siglip_vision_model", "vit_weight_bits": 1, "vit_act_bits": 8});
    assert_eq!(read(short).vision_config, published);
    let off = read(json!({"num_hidden_layers": 2})).vision_config;
    assert_eq!((off.num_hidden_layers, off.hidden_size), (2, 1152));
    assert_eq!((off.vit_weight_bits, off.vit_act_bits), (32, 32));
}

#[test]
fn statistics_are_found_in_either_file() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    let path = dir.path().join("dataset_statistics.json");
    let own: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let read = |recorded: Option<&str>| -> Result<Statistics, PolicyError> {
        let table = StatisticsTable::read(&CheckpointDir(dir.path()))?;
        table.get(table.choose(&NormaliserChoice::Recorded, recorded)?, 8)
    };
    let wanted = read(Some("spatial")).unwrap();
    write(
        &path,
        &json!({"spatial_no_noops": own["spatial"], "other": {"action": {}}}),
    );
    assert_eq!(read(Some("spatial")).unwrap(), wanted);
    assert!(read(None).is_err());
    std::fs::remove_file(&path).unwrap();
    let text = read(None).unwrap_err().to_string();
    assert!(
        text.contains("dataset_statistics.json") && text.contains("norm_stats"),
        "{text}"
    );
    let config_path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&config_path).unwrap()).unwrap();
    config["norm_stats"] = json!({"libero": own["spatial"]});
    write(&config_path, &config);
    assert_eq!(read(None).unwrap(), wanted);
    let text = read(Some("goal")).unwrap_err().to_string();
    assert!(
        text.contains("config.json") && text.contains("`goal`") && text.contains("libero"),
        "{text}"
    );
    config["norm_stats"]["libero"]["action"]["q01"] = json!([0.0]);
    write(&config_path, &config);
    let text = read(None).unwrap_err().to_string();
    assert!(
        text.contains("`libero`: action") && text.contains("expected 7 entries"),
        "{text}"
    );
    // A base model's statistics know of no state: an error for who needs it, which a policy does.
    config["norm_stats"]["libero"] = json!({"action": own["spatial"]["action"]});
    write(&config_path, &config);
    let text = read(None).unwrap_err().to_string();
    assert!(
        text.contains("config.json") && text.contains("`libero`") && text.contains("`proprio`"),
        "{text}"
    );
    assert!(Checkpoint::load(dir.path()).is_ok());
}

#[test]
fn a_base_checkpoint_loads_and_does_not_act() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("action_head.safetensors")).unwrap();
    std::fs::remove_file(dir.path().join("proprio_projector.safetensors")).unwrap();
    assert!(!Checkpoint::load(dir.path()).unwrap().has_head());
    let text = VlaPolicy::load(dir.path(), WeightFormat::Ternary)
        .err()
        .unwrap()
        .to_string();
    assert!(
        text.contains("neither action_head.safetensors nor"),
        "{text}"
    );
}
