//! Guarantee: a field of `config.json` that would change the network is used or refused by name; names of transformers 5
//! mean what those of version 4 mean; numbers that no network has are refused before anything is made of them; and a
//! checkpoint is refused for a weight format that it was not trained for.

use bitvla_policies::testing::{WORDS, small_config, trained_for, write_tiny_checkpoint};
use bitvla_policies::{Config, VlaPolicy, WeightFormat};
use serde_json::{Value, json};
use std::path::Path;

fn small() -> Value {
    serde_json::to_value(small_config(32, 32, 1, WORDS.len() + 5)).unwrap()
}

fn parse(config: &Value) -> Result<Config, String> {
    let text = config.to_string();
    Config::parse(text.as_bytes(), Path::new("some/config.json")).map_err(|e| e.to_string())
}

/// The config with one value changed; `place` is a JSON pointer to the object.
fn with(place: &str, name: &str, value: Value) -> Value {
    let mut config = small();
    config.pointer_mut(place).unwrap()[name] = value;
    config
}

#[track_caller]
fn refused(config: &Value, by: &[&str]) {
    let text = parse(config).unwrap_err();
    for part in by.iter().chain(&["some/config.json"]) {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

const TEXT: &str = "/text_config";
const VISION: &str = "/vision_config";

#[test]
fn the_base_of_the_rotary_embedding_is_read_in_both_forms() {
    let mut five = small();
    five["text_config"]
        .as_object_mut()
        .unwrap()
        .remove("rope_theta");
    refused(&five, &["text_config.rope_theta", "missing"]);
    five["text_config"]["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 10000.0});
    assert_eq!(parse(&five).unwrap().text_config.rope_theta, 10_000.0);
    assert_eq!(
        parse(&five).unwrap(),
        parse(&with(TEXT, "rope_theta", json!(10000.0))).unwrap()
    );
    five["text_config"]["rope_parameters"]["rope_type"] = json!("yarn");
    refused(
        &five,
        &["text_config.rope_parameters.rope_type", "\"yarn\""],
    );
    let two = with(
        TEXT,
        "rope_parameters",
        json!({"rope_type": "default", "rope_theta": 10000.0}),
    );
    refused(&two, &["rope_theta", "keep one"]);
    for (scaling, good) in [
        (Value::Null, true),
        (json!({"type": "default"}), true),
        (json!({"type": "linear", "factor": 2.0}), false),
        (json!({"factor": 2.0}), false),
        (json!({"rope_type": "default", "mrope_section": [1]}), false),
    ] {
        let found = parse(&with(TEXT, "rope_scaling", scaling.clone()));
        assert_eq!(found.is_ok(), good, "{scaling} {found:?}");
    }
    // Where the vocabulary says which model it is, its base is known.
    let mut published = small();
    published["vocab_size"] = json!(128_268);
    published["text_config"]
        .as_object_mut()
        .unwrap()
        .remove("rope_theta");
    assert_eq!(parse(&published).unwrap().text_config.rope_theta, 500_000.0);
}

#[test]
fn what_is_not_built_is_refused_and_what_is_built_may_be_said() {
    for (place, name, built, other) in [
        (TEXT, "hidden_act", json!("relu2"), json!("silu")),
        (TEXT, "head_dim", json!(8), json!(16)),
        (TEXT, "attention_bias", json!(false), json!(true)),
        (TEXT, "mlp_bias", json!(false), json!(true)),
        (
            TEXT,
            "layer_types",
            json!(["full_attention"]),
            json!(["sliding_attention"]),
        ),
        (TEXT, "use_sliding_window", json!(false), json!(true)),
        (TEXT, "sliding_window", Value::Null, json!(4096)),
        (
            VISION,
            "hidden_act",
            json!("gelu_pytorch_tanh"),
            json!("gelu"),
        ),
        (VISION, "num_channels", json!(3), json!(4)),
        (
            VISION,
            "vit_weight_quant_method",
            json!("absmean"),
            json!("absmax"),
        ),
        ("", "projector_hidden_act", json!("gelu"), json!("relu")),
        ("", "multimodal_projector_bias", json!(true), json!(false)),
        ("", "vision_feature_layer", json!(-1), json!(-2)),
        (
            "",
            "quantization_config",
            Value::Null,
            json!({"quant_method": "awq"}),
        ),
        ("", "is_decoder", json!(false), json!(true)),
    ] {
        for good in [&built, &Value::Null] {
            let found = parse(&with(place, name, good.clone()));
            assert!(found.is_ok(), "{name} {good}: {found:?}");
        }
        refused(&with(place, name, other), &[name]);
    }
    refused(
        &with(TEXT, "logit_softcap", json!(30.0)),
        &["text_config.logit_softcap", "not known"],
    );
    refused(
        &with(VISION, "hidden_size", json!("wide")),
        &["vision_config.hidden_size", "a whole number"],
    );
    assert!(parse(&with(TEXT, "attention_dropout", json!(0.1))).is_ok());
    assert!(parse(&with(TEXT, "_attn_implementation", json!("sdpa"))).is_ok());
}

#[test]
fn tokens_have_other_names_and_lists() {
    let mut config = small();
    let index = config
        .as_object_mut()
        .unwrap()
        .remove("image_token_index")
        .unwrap();
    config["image_token_id"] = index;
    config["text_config"]["eos_token_id"] = json!([2, 0]);
    assert_eq!(parse(&config).unwrap(), parse(&small()).unwrap());
    config["image_token_index"] = json!(2);
    refused(&config, &["image_token_id is 3", "keep one"]);
    refused(
        &with(TEXT, "eos_token_id", json!([])),
        &["text_config.eos_token_id", "list"],
    );
    refused(
        &with("", "image_token_index", json!(31)),
        &["image_token_index 31", "vocabulary of 31"],
    );
    refused(&with("", "proprio_token_index", json!(3)), &["are both 3"]);
    let mut heads = with(TEXT, "num_attention_heads", json!(2));
    heads["text_config"]
        .as_object_mut()
        .unwrap()
        .remove("num_key_value_heads");
    assert_eq!(parse(&heads).unwrap().text_config.num_key_value_heads, 2);
}

#[test]
fn numbers_that_no_network_has_are_refused() {
    for (place, name, value) in [
        (TEXT, "num_hidden_layers", json!(1_000_000)),
        (VISION, "num_hidden_layers", json!(100_000_000)),
        ("", "num_images", json!(1_000_000_000)),
        ("", "num_images", json!(4_611_686_018_427_387_904u64)),
        ("", "action_chunk", json!(1_000_000)),
        (TEXT, "vocab_size", json!(u64::MAX)),
        (VISION, "image_size", json!(1 << 30)),
        (TEXT, "rms_norm_eps", json!(-1e-5)),
        (TEXT, "rms_norm_eps", json!(0.0)),
        (VISION, "layer_norm_eps", json!(1e30)),
        (TEXT, "rope_theta", json!(-1.0)),
        ("", "proprio_dim", json!(1_000_000)),
    ] {
        refused(&with(place, name, value), &[name, "expected"]);
    }
    // Images that leave no room for words.
    refused(
        &with(VISION, "image_size", json!(512)),
        &["num_images 2 of 1024 tokens", "at most 1024"],
    );
    let many = "[".repeat(100_000);
    assert!(Config::parse(many.as_bytes(), Path::new("config.json")).is_err());
}

#[test]
fn a_checkpoint_is_refused_for_a_format_that_it_was_not_trained_for() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    for format in WeightFormat::ALL {
        let loaded = VlaPolicy::open(dir.path(), format)
            .err()
            .map(|e| e.to_string());
        match (format.is_trained(), loaded) {
            (true, loaded) => assert_eq!(loaded, None),
            (false, loaded) => {
                let text = loaded.expect("refused");
                assert!(
                    text.contains("config.json") && text.contains("vit_weight_bits"),
                    "{text}"
                );
            }
        }
    }
    let config = small_config(32, 32, 1, WORDS.len() + 5);
    let mut full = trained_for(WeightFormat::Full, config);
    // Nothing says how the language model was trained: a full-precision tower over a ternary one exists.
    assert!(
        WeightFormat::ALL
            .iter()
            .all(|format| full.check_format(*format).is_ok())
    );
    full.text_config.llm_weight_bits = Some(32);
    let text = full.check_format(WeightFormat::Ternary).unwrap_err();
    assert!(
        text.contains("llm_weight_bits") && text.contains("ptq-ternary"),
        "{text}"
    );
    assert!(full.check_format(WeightFormat::PtqTernary).is_ok());
    full.text_config.llm_weight_bits = Some(1);
    assert!(full.check_format(WeightFormat::Full).is_err());
}
