//! Guarantee: a policy acts without proprioception and with one camera where its config says so; statistics are checked
//! where they are used; and what would make every query fail is found when a checkpoint is loaded.

#[path = "support/tiny_policy.rs"]
mod tiny_policy;

use bitvla_policies::testing::{WORDS, small_config, write_random_checkpoint};
use bitvla_policies::{VlaPolicy, WeightFormat};
use serde_json::{Value, json};
use tiny_policy::{act, edit, refused, tiny};

#[test]
fn a_policy_may_have_no_proprioception_and_one_camera() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small_config(32, 32, 1, WORDS.len() + 5);
    config.proprio_dim = 0;
    config.num_images = 1;
    write_random_checkpoint(dir.path(), &config, 1).unwrap();
    std::fs::remove_file(dir.path().join("proprio_projector.safetensors")).unwrap();
    edit(&dir.path().join("processor_config.json"), |p| {
        p["prompt_template"] = json!("{images}{instruction}");
    });
    edit(&dir.path().join("dataset_statistics.json"), |s| {
        s["spatial"].as_object_mut().unwrap().remove("proprio");
    });
    assert_eq!(act(dir.path()).unwrap().len(), 8);
    let packed = dir.path().join("packed");
    bitvla_policies::packed::pack(dir.path(), &packed, WeightFormat::Ternary).unwrap();
    assert_eq!(act(&packed).unwrap(), act(dir.path()).unwrap());

    for (change, by) in [
        (
            (|c| c.num_images = 3) as fn(&mut bitvla_policies::Config),
            "num_images 3, the world has 2 cameras",
        ),
        (
            |c| c.proprio_dim = 14,
            "proprio_dim 14, an observation has 8",
        ),
    ] {
        let mut config = small_config(32, 32, 1, WORDS.len() + 5);
        change(&mut config);
        let dir = tempfile::tempdir().unwrap();
        write_random_checkpoint(dir.path(), &config, 1).unwrap();
        refused(dir.path(), &["config.json", by]);
    }
}

#[test]
fn statistics_are_checked_where_they_are_used() {
    let dir = tiny();
    let wanted = act(dir.path()).unwrap();
    let path = dir.path().join("dataset_statistics.json");
    let good = std::fs::read_to_string(&path).unwrap();
    edit(&path, |s| {
        let action = &mut s["spatial"]["action"];
        action["mask"] = json!([1, 1, 1, 1, 1, 1, 0]);
        action["q01"][6] = json!("NaN");
        action["std"] = json!([0.0]);
        s["another"] = json!({"action": {"q01": [1.0], "q99": [0.0]}});
    });
    // As Python writes it.
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"NaN\"", "NaN");
    std::fs::write(&path, text).unwrap();
    assert_eq!(act(dir.path()).unwrap(), wanted);
    for (name, field, i, value, by) in [
        ("action", "q01", 0, json!("NaN"), "entry 0: q01 NaN"),
        ("proprio", "q99", 2, Value::Null, "entry 2"),
        ("action", "q01", 1, json!(0.9), "q01 0.9 is above q99 0.88"),
        ("proprio", "q01", 7, json!(1e9), "entry 7"),
        (
            "action",
            "mask",
            3,
            json!(2),
            "expected true, false, 1 or 0",
        ),
    ] {
        std::fs::write(&path, &good).unwrap();
        edit(&path, |s| s["spatial"][name][field][i] = value);
        refused(dir.path(), &["dataset_statistics.json", "`spatial`", by]);
    }
    std::fs::write(&path, &good).unwrap();
    edit(&path, |s| s["spatial"]["action"]["q05"] = json!([0.0]));
    refused(dir.path(), &["action.q05", "not known"]);
}

#[test]
fn what_no_query_could_use_is_found_at_load() {
    let dir = tiny();
    let at = |name: &str| dir.path().join(name);
    let processor = std::fs::read(at("processor_config.json")).unwrap();
    std::fs::remove_file(at("processor_config.json")).unwrap();
    refused(
        dir.path(),
        &["processor_config.json", "missing", "published model"],
    );
    std::fs::write(at("processor_config.json"), &processor).unwrap();
    for (field, value) in [
        ("prompt_template", json!("x".repeat(1 << 17))),
        ("camera_size", json!(1_000_000)),
        ("num_additional_image_tokens", json!(1)),
        ("crop", json!(0.9)),
    ] {
        edit(&at("processor_config.json"), |p| p[field] = value);
        refused(dir.path(), &["processor_config.json", field]);
        std::fs::write(at("processor_config.json"), &processor).unwrap();
    }
    let long = format!(
        "{} {{images}}{{proprio}}{{instruction}}",
        "plate ".repeat(1000)
    );
    edit(&at("processor_config.json"), |p| {
        p["prompt_template"] = json!(long)
    });
    refused(dir.path(), &["tokenizer.json", "tokens, at most 1024"]);
    std::fs::write(at("processor_config.json"), &processor).unwrap();
    let policy = VlaPolicy::open(dir.path(), WeightFormat::Ternary).unwrap();
    policy.prepare(&["pick up the plate".into()]).unwrap();
    let text = policy
        .prepare(&["plate ".repeat(1100)])
        .unwrap_err()
        .to_string();
    assert!(text.contains("at most 1024"), "{text}");
    std::fs::write(
        at("preprocessor_config.json"),
        r#"{"image_mean": [0.48, 0.45, 0.4]}"#,
    )
    .unwrap();
    refused(dir.path(), &["preprocessor_config.json", "image_mean"]);
    std::fs::write(
        at("preprocessor_config.json"),
        r#"{"image_mean": [0.5, 0.5, 0.5], "size": {"height": 32, "width": 32}}"#,
    )
    .unwrap();
    act(dir.path()).unwrap();
    std::fs::write(
        at("preprocessor_config.json"),
        r#"{"size": {"height": 64, "width": 64}}"#,
    )
    .unwrap();
    refused(dir.path(), &["preprocessor_config.json", "32 pixels"]);
}
