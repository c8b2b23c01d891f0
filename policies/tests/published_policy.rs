//! Guarantee: a whole folder as published (both vocabularies, stock token ids in `config.json`, shards with an index, torch
//! files of head and projector, a chat template of its own, statistics in `config.json`, no file of ours) acts as the same
//! weights do in the folder that is written here, number for number; and what is broken in such a folder is an error that
//! names file and tensor before a policy comes of it.

mod support;

use bitvla_policies::checkpoint::TensorFile;
use bitvla_policies::prompt::PUBLISHED_TEMPLATE;
use bitvla_policies::testing::{small_config, write_random_checkpoint};
use bitvla_policies::torch_checkpoint::FloatType;
use bitvla_policies::{Observation, VlaPolicy, WeightFormat};
use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use support::safetensors_file::{Raw, read, write};
use support::{Tensor, torch_file};
use tempfile::TempDir;

const SHARDS: [&str; 2] = [
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
];

/// Renders the published prompt for one message of the user.
const CHAT: &str = "{% if messages[0]['role'] != 'system' %}System: A chat between a curious human and an artificial \
intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.<|eot_id|>{% endif %}\
{% for message in messages %}{{ message['role'].capitalize() + ': ' + message['content'] + '<|eot_id|>' }}{% endfor %}\
{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write_json(path: &Path, value: &Value) {
    std::fs::write(path, value.to_string()).unwrap();
}

/// Words with the published special tokens at their published ids.
fn tokenizer() -> Value {
    let words = [
        "what", "action", "should", "pick", "up", "the", "plate", "take", "to", "System", "User",
    ];
    let special = [
        (128_000, "<|begin_of_text|>"),
        (128_001, "<|end_of_text|>"),
        (128_009, "<|eot_id|>"),
        (128_010, "<|image_pad|>"),
        (128_011, "<proprio_pad>"),
    ];
    let mut vocabulary = Map::from_iter([("<unk>".to_string(), json!(0))]);
    vocabulary.extend(
        words
            .iter()
            .zip(1..)
            .map(|(word, id)| (word.to_string(), json!(id))),
    );
    vocabulary.extend(special.map(|(id, word)| (word.to_string(), json!(id))));
    let added = special.map(|(id, content)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
           "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
           "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}})
}

/// The folder as it is written here, with everything said in files of ours.
fn own(vocabulary: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small_config(32, 32, 1, vocabulary);
    config.image_token_index = 128_010;
    config.proprio_token_index = Some(128_011);
    config.text_config.bos_token_id = Some(128_000);
    config.text_config.eos_token_id = Some(128_001);
    write_random_checkpoint(dir.path(), &config, 3).unwrap();
    write_json(&dir.path().join("tokenizer.json"), &tokenizer());
    write_json(
        &dir.path().join("processor_config.json"),
        &json!({"prompt_template": PUBLISHED_TEMPLATE}),
    );
    dir
}

/// Turns it into what is published.
fn publish(dir: &Path, kind: &str, vocabulary: usize) {
    let at = |name: &str| dir.join(name);
    let statistics = json_of(&at("dataset_statistics.json"));
    let mut config = json_of(&at("config.json"));
    config["model_type"] = json!(kind);
    config["vocab_size"] = json!(vocabulary);
    config["image_token_index"] = json!(128_260);
    config["torch_dtype"] = json!("bfloat16");
    config["n_action_bins"] = json!(256);
    config["norm_stats"] = json!({"spatial_no_noops": statistics["spatial"]});
    config["norm_stats"]["spatial_no_noops"]["num_trajectories"] = json!(432);
    config
        .as_object_mut()
        .unwrap()
        .remove("proprio_token_index");
    config["text_config"]["vocab_size"] = json!(128_256);
    config["text_config"]["eos_token_id"] = json!(128_009);
    config["text_config"]["bos_token_id"] = Value::Null;
    write_json(&at("config.json"), &config);
    write_json(
        &at("processor_config.json"),
        &json!({"processor_class": "LlavaProcessor", "patch_size": 16}),
    );
    std::fs::remove_file(at("dataset_statistics.json")).unwrap();
    std::fs::write(at("chat_template.jinja"), CHAT).unwrap();

    let mut shards: [BTreeMap<String, Raw>; 2] = Default::default();
    for (i, (name, raw)) in read(&at("model.safetensors")).into_iter().enumerate() {
        shards[i % 2].insert(name, raw);
    }
    std::fs::remove_file(at("model.safetensors")).unwrap();
    let mut homes = Map::new();
    for (file, tensors) in SHARDS.iter().zip(&shards) {
        write(&at(file), tensors);
        homes.extend(tensors.keys().map(|name| (name.clone(), json!(file))));
    }
    write_json(
        &at("model.safetensors.index.json"),
        &json!({"weight_map": homes}),
    );
    for stem in ["action_head", "proprio_projector"] {
        let plain = at(&format!("{stem}.safetensors"));
        let tensors: Vec<Tensor> = read(&plain)
            .into_iter()
            .map(|(name, (_, shape, bytes))| Tensor {
                name: format!("module.{name}"),
                dtype: FloatType::Bf16,
                shape,
                bytes,
            })
            .collect();
        std::fs::remove_file(plain).unwrap();
        std::fs::write(
            at(&format!("{stem}--10000_checkpoint.pt")),
            torch_file(&tensors),
        )
        .unwrap();
    }
}

fn act(dir: &Path) -> Vec<[u64; 7]> {
    let frame: Vec<u8> = (0..256 * 256 * 3).map(|i| (i / 97) as u8).collect();
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
        instruction: "pick up the plate",
    };
    let mut policy = VlaPolicy::load(dir, WeightFormat::Ternary).unwrap();
    let actions = policy.query(&observation).unwrap().actions;
    actions
        .iter()
        .map(|action| action.map(f64::to_bits))
        .collect()
}

#[test]
fn a_published_folder_acts_as_our_own() {
    for (vocabulary, kinds) in [(128_264, &["bitvla", "llava"][..]), (128_268, &["openvla"])] {
        let wanted = act(own(vocabulary).path());
        assert_eq!(wanted.len(), 8);
        for kind in kinds {
            let dir = own(vocabulary);
            publish(dir.path(), kind, vocabulary);
            assert_eq!(act(dir.path()), wanted, "{kind} of {vocabulary} rows");
        }
    }
}

#[test]
fn what_is_broken_is_named_before_a_policy_comes_of_it() {
    let dir = own(128_268);
    publish(dir.path(), "bitvla", 128_268);
    let at = |name: &str| dir.path().join(name);
    let refused = |by: &[&str]| {
        let text = VlaPolicy::load(dir.path(), WeightFormat::Ternary)
            .err()
            .unwrap()
            .to_string();
        for part in by {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    };
    let embedding = "language_model.model.embed_tokens.weight";
    let config = json_of(&at("config.json"));
    let mut other = config.clone();
    other["vocab_size"] = json!(128_264);
    write_json(&at("config.json"), &other);
    refused(&[
        ".safetensors",
        embedding,
        "shape [128268, 32], expected [128264, 32]",
    ]);
    write_json(&at("config.json"), &config);

    for (file, tensor) in [
        ("action_head--10000_checkpoint.pt", "model.fc2.bias"),
        ("proprio_projector--10000_checkpoint.pt", "fc1.bias"),
    ] {
        let bytes = std::fs::read(at(file)).unwrap();
        assert!(TensorFile::read(&[at(file)]).unwrap().f32(tensor).is_ok());
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(at(file), &bytes[..length]).unwrap();
            refused(&[file]);
        }
        std::fs::remove_file(at(file)).unwrap();
        refused(&["neither", &file[..9], "is there"]);
        std::fs::write(at(file), &bytes).unwrap();
    }

    let good = read(&at(SHARDS[0]));
    let (name, raw) = good.last_key_value().unwrap();
    let with = |change: &dyn Fn(&mut Raw)| {
        let (mut tensors, mut raw) = (good.clone(), raw.clone());
        change(&mut raw);
        tensors.insert(name.clone(), raw);
        write(&at(SHARDS[0]), &tensors);
    };
    with(&|raw| raw.0 = Dtype::I16);
    refused(&[SHARDS[0], name, "type I16"]);
    with(&|raw| raw.1.push(1));
    refused(&[SHARDS[0], name, "expected"]);
    // The quiet kind: not a number.
    with(&|raw| raw.2[..2].copy_from_slice(&[0xc0, 0x7f]));
    refused(&[SHARDS[0], name, "element 0 is NaN"]);
    with(&|_| ());
    act(dir.path());
}
