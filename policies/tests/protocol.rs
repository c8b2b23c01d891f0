//! Guarantee: every field of a policy's protocol is that of what runs: a setting of the checkpoint is changed, and the
//! field follows; most tests also see that the answer, or what is accepted, changes with it. Statistics are chosen by
//! whole names, and words outside the vocabulary are reported.

use bitvla_policies::testing::{
    WORDS, small_config, trained_for, write_random_checkpoint, write_tiny_checkpoint,
};
use bitvla_policies::{
    Flip, NormaliserChoice, Observation, Policy, PolicyError, PolicyProtocol, QuaternionRule,
    VlaOptions, VlaPolicy, WeightFormat,
};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

fn tiny() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    dir
}

/// Changes a JSON file of a checkpoint.
fn edit(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn open(dir: &Path) -> Result<VlaPolicy, PolicyError> {
    VlaPolicy::open(dir, WeightFormat::Ternary)
}

fn protocol(dir: &Path) -> PolicyProtocol {
    open(dir).unwrap().protocol()
}

/// Protocols before and after a change of `processor_config.json`.
fn processor(field: &str, value: Value) -> [PolicyProtocol; 2] {
    let dir = tiny();
    let before = protocol(dir.path());
    edit(dir.path(), "processor_config.json", |p| p[field] = value);
    [before, protocol(dir.path())]
}

/// Protocols of a tiny checkpoint and of one with another configuration.
fn config(change: impl FnOnce(&mut bitvla_policies::Config)) -> [PolicyProtocol; 2] {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small_config(32, 32, 1, WORDS.len() + 5);
    change(&mut config);
    write_random_checkpoint(dir.path(), &config, 1).unwrap();
    [protocol(tiny().path()), protocol(dir.path())]
}

fn ask(dir: &Path, side: usize) -> Result<Vec<[f64; 7]>, PolicyError> {
    let frame: Vec<u8> = (0..side * side * 3).map(|i| (i * i / 97) as u8).collect();
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
        instruction: "pick up the plate",
    };
    Ok(open(dir)?.query(&observation)?.actions)
}

#[test]
fn cameras_are_those_of_num_images() {
    let [before, after] = config(|c| c.num_images = 1);
    assert_eq!(before.cameras, ["agentview", "eye_in_hand"]);
    assert_eq!(after.cameras, ["agentview"]);
}

#[test]
fn camera_size_is_the_side_of_accepted_frames() {
    let [before, after] = processor("camera_size", json!(128));
    assert_eq!((before.camera_size, after.camera_size), (256, 128));
    let dir = tiny();
    edit(dir.path(), "processor_config.json", |p| {
        p["camera_size"] = json!(128)
    });
    assert!(ask(dir.path(), 128).is_ok());
    let text = ask(dir.path(), 256).unwrap_err().to_string();
    assert!(text.contains("expected 49152"), "{text}");
}

#[test]
fn network_image_size_is_that_of_the_vision_tower() {
    let [before, after] = config(|c| c.vision_config.image_size = 48);
    assert_eq!(
        (before.network_image_size, after.network_image_size),
        (32, 48)
    );
}

#[test]
fn flip_is_that_of_the_processor() {
    let [before, after] = processor("flip", json!("none"));
    assert_eq!((before.flip, after.flip), (Flip::LeftRight, Flip::None));
}

#[test]
fn jpeg_round_trip_is_that_of_the_image_pipeline() {
    let [area, published] = processor("image_pipeline", json!("published"));
    assert_eq!(
        (area.jpeg_round_trip, published.jpeg_round_trip),
        (false, true)
    );
}

#[test]
fn crop_is_that_of_the_image_pipeline() {
    let [area, published] = processor("image_pipeline", json!("published"));
    assert_eq!(area.crop, "none");
    assert_eq!(published.crop, "centre, 0.9 of the area, resampled");
}

#[test]
fn resize_filter_is_that_of_the_image_pipeline() {
    let [area, published] = processor("image_pipeline", json!("published"));
    assert_eq!(area.resize_filter, "area average");
    assert_eq!(published.resize_filter, "lanczos3");
}

#[test]
fn quaternion_rule_is_that_of_the_processor() {
    let [before, after] = processor("quaternion_rule", json!("shortest-axis-angle"));
    assert_eq!(before.quaternion_rule, QuaternionRule::AxisAngle);
    assert_eq!(after.quaternion_rule, QuaternionRule::ShortestAxisAngle);
}

#[test]
fn normaliser_key_is_that_of_the_chosen_statistics() {
    let dir = tiny();
    edit(dir.path(), "dataset_statistics.json", |all| {
        all["goal"] = all["spatial"].clone();
        all["goal"]["action"]["q99"] = json!([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0]);
    });
    assert_eq!(protocol(dir.path()).normaliser_key, "spatial");
    let spatial = ask(dir.path(), 256).unwrap();
    edit(dir.path(), "processor_config.json", |p| {
        p["unnorm_key"] = json!("goal")
    });
    assert_eq!(protocol(dir.path()).normaliser_key, "goal");
    assert_ne!(ask(dir.path(), 256).unwrap(), spatial);
}

#[test]
fn chunk_length_is_that_of_the_network() {
    let [before, after] = config(|c| c.action_chunk = 5);
    assert_eq!((before.chunk_length, after.chunk_length), (8, 5));
    assert_eq!((before.executed_steps, after.executed_steps), (8, 5));
}

#[test]
fn executed_steps_are_those_of_the_processor() {
    let [before, after] = processor("executed_steps", json!(3));
    assert_eq!((before.executed_steps, after.executed_steps), (8, 3));
    assert_eq!(after.chunk_length, 8);
    for wrong in [0, 9] {
        let dir = tiny();
        edit(dir.path(), "processor_config.json", |p| {
            p["executed_steps"] = json!(wrong)
        });
        let text = open(dir.path()).err().unwrap().to_string();
        assert!(text.contains("processor_config.json") && text.contains("executed_steps"));
    }
}

#[test]
fn precision_is_that_of_the_memory_ledger() {
    let ternary = tiny();
    let full = tempfile::tempdir().unwrap();
    let config = small_config(32, 32, 1, WORDS.len() + 5);
    let config = trained_for(WeightFormat::Full, config);
    write_random_checkpoint(full.path(), &config, 1).unwrap();
    let of = |format: WeightFormat| {
        let dir = if format.is_trained() { &ternary } else { &full };
        VlaPolicy::load(dir.path(), format).unwrap().protocol()
    };
    for (format, linears) in [
        (WeightFormat::Ternary, "ternary 2-bit"),
        (WeightFormat::Full, "bf16"),
        (WeightFormat::Int8, "int8"),
        (WeightFormat::Int4, "int4 by 128"),
    ] {
        let precision = of(format).precision;
        assert_eq!(precision["language linears"], linears, "{format:?}");
        assert_eq!(precision["vision linears"], linears, "{format:?}");
        assert_eq!(precision["action head"], "bf16", "{format:?}");
    }
    let precision = of(WeightFormat::TernaryInt8Head).precision;
    assert_eq!(precision["language linears"], "ternary 2-bit");
    assert_eq!(precision["action head"], "int8");
}

#[test]
fn classes_above_2_bits_follow_the_weights() {
    let [ternary, vision_as_stored] = config(|c| {
        c.vision_config.vit_weight_bits = 32;
        c.vision_config.vit_act_bits = 32;
    });
    let above = |p: &PolicyProtocol, class: &str| p.above_2_bits.iter().any(|c| c == class);
    for class in [
        "action head",
        "connector",
        "token embedding",
        "norms and biases",
    ] {
        assert!(above(&ternary, class), "{class}");
    }
    assert!(!above(&ternary, "language linears") && !above(&ternary, "vision linears"));
    assert!(!above(&vision_as_stored, "language linears"));
    assert!(above(&vision_as_stored, "vision linears"));
}

#[test]
fn statistics_are_chosen_by_whole_suite_names() {
    let dir = tiny();
    let key = |choice: NormaliserChoice| {
        let options = VlaOptions {
            normaliser: choice,
            ..WeightFormat::Ternary.into()
        };
        VlaPolicy::open(dir.path(), options).map(|policy| policy.protocol().normaliser_key)
    };
    let suite = |name: &str| NormaliserChoice::Suite(name.into());
    assert_eq!(key(suite("spatial")).unwrap(), "spatial");
    assert_eq!(key(suite("libero:spatial")).unwrap(), "spatial");
    // The recorded `unnorm_key`, `spatial`, is no statistics of another suite.
    for other in [
        "object",
        "goal",
        "long",
        "libero:10",
        "libero:90",
        "spatial2",
        "spa",
    ] {
        match key(suite(other)).unwrap_err() {
            PolicyError::Normaliser { keys, wanted, .. } => {
                assert_eq!(keys, ["spatial"]);
                assert!(wanted.contains(other), "{wanted}");
            }
            error => panic!("{error}"),
        }
    }
    let named = |name: &str| NormaliserChoice::Key(name.into());
    assert_eq!(key(named("spatial")).unwrap(), "spatial");
    let text = key(named("object")).unwrap_err().to_string();
    assert!(text.contains("`object`; there are: spatial"), "{text}");

    edit(dir.path(), "dataset_statistics.json", |all| {
        for name in ["libero_10_no_noops", "libero_90", "mine"] {
            all[name] = all["spatial"].clone();
        }
    });
    assert_eq!(key(suite("long")).unwrap(), "libero_10_no_noops");
    assert_eq!(key(suite("libero:10")).unwrap(), "libero_10_no_noops");
    assert_eq!(key(suite("libero:90")).unwrap(), "libero_90");
    assert_eq!(key(suite("mine")).unwrap(), "mine");
    assert_eq!(key(NormaliserChoice::Recorded).unwrap(), "spatial");
    // Of several entries of a suite, the recorded one.
    edit(dir.path(), "dataset_statistics.json", |all| {
        all["libero_spatial"] = all["spatial"].clone();
    });
    assert_eq!(key(suite("spatial")).unwrap(), "spatial");
    edit(dir.path(), "processor_config.json", |p| {
        p["unnorm_key"] = json!("libero_spatial")
    });
    assert_eq!(key(suite("spatial")).unwrap(), "libero_spatial");
    // Without a suite and without a record, only a single entry is beyond doubt.
    edit(dir.path(), "processor_config.json", |p| {
        p["unnorm_key"] = Value::Null
    });
    let text = key(NormaliserChoice::Recorded).unwrap_err().to_string();
    assert!(
        text.contains("libero_10_no_noops, libero_90, libero_spatial, mine, spatial"),
        "{text}"
    );
}

#[test]
fn words_outside_the_vocabulary_are_reported() {
    let dir = tiny();
    let policy = open(dir.path()).unwrap();
    let unknown = |words: &str| policy.unknown_words(words).unwrap();
    assert!(unknown("Pick up the black bowl and place it on the plate").is_empty());
    assert_eq!(
        unknown("put the Mug next to the mug in the microwave"),
        ["put", "mug", "microwave"]
    );
    let known = "pick up the bowl".to_owned();
    policy
        .check_instructions(std::slice::from_ref(&known))
        .unwrap();
    match policy
        .check_instructions(&[known, "pick up the mug".into()])
        .unwrap_err()
    {
        PolicyError::Vocabulary {
            instruction,
            words,
            path,
        } => {
            assert_eq!(
                (instruction.as_str(), &words[..]),
                ("pick up the mug", &["mug".to_owned()][..])
            );
            assert!(path.ends_with("tokenizer.json"));
        }
        error => panic!("{error}"),
    }
}
