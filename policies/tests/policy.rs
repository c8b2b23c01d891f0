//! Guarantee: a checkpoint folder becomes a policy that gives the same bytes for the same question whatever was asked
//! before, and a broken folder is an error that names file and tensor.

use bitvla_policies::testing::{write_random_checkpoint, write_tiny_checkpoint};
use bitvla_policies::{Observation, Policy, PolicyError, VlaPolicy, WeightFormat, testing};
use std::path::Path;

fn ask(policy: &mut dyn Policy, shade: u8, instruction: &str) -> Vec<[f64; 7]> {
    let frame: Vec<u8> = (0..256 * 256 * 3)
        .map(|i| (i as u8).wrapping_mul(shade))
        .collect();
    let proprio = [0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02];
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio,
        instruction,
    };
    policy.query(&observation).unwrap().actions
}

#[test]
fn queries_are_pure() {
    let dir = tempfile::tempdir().unwrap();
    let config = testing::small_config(32, 32, 1, testing::WORDS.len() + 5);
    for format in [WeightFormat::Ternary, WeightFormat::Full] {
        let config = testing::trained_for(format, config.clone());
        write_random_checkpoint(dir.path(), &config, 1).unwrap();
        let mut one = VlaPolicy::load(dir.path(), format).unwrap();
        let mut other = VlaPolicy::load(dir.path(), format).unwrap();
        let first = ask(one.as_mut(), 3, "pick up the black bowl");
        assert_eq!(first.len(), 8);
        assert!(first.iter().all(|a| a[6].abs() <= 1.0));
        assert_ne!(first, ask(one.as_mut(), 5, "pick up the black bowl"));
        assert_ne!(first, ask(one.as_mut(), 3, "place it on the plate"));
        assert_eq!(first, ask(one.as_mut(), 3, "pick up the black bowl"));
        assert_eq!(first, ask(other.as_mut(), 3, "Pick up the black bowl"));
    }
    let bytes = |format| {
        let config = testing::trained_for(format, config.clone());
        write_random_checkpoint(dir.path(), &config, 1).unwrap();
        let ledger = VlaPolicy::load(dir.path(), format).unwrap().memory();
        ledger
            .weights
            .iter()
            .filter(|entry| entry.class == "language linears")
            .map(|entry| entry.bytes)
            .sum::<u64>()
    };
    assert!(bytes(WeightFormat::Full) > 7 * bytes(WeightFormat::Ternary));
}

fn error(dir: &Path) -> PolicyError {
    VlaPolicy::load(dir, WeightFormat::Ternary).err().unwrap()
}

#[test]
fn broken_folders_are_named() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    let config = dir.path().join("config.json");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        good.replacen("\"intermediate_size\": 96", "\"intermediate_size\": 97", 1),
    )
    .unwrap();
    let text = error(dir.path()).to_string();
    assert!(
        text.contains("model.safetensors") && text.contains("_proj.weight") && text.contains("97"),
        "{text}"
    );
    std::fs::write(
        &config,
        good.replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2"),
    )
    .unwrap();
    let text = error(dir.path()).to_string();
    assert!(
        text.contains("layers.1") && text.contains("missing"),
        "{text}"
    );
    std::fs::write(
        &config,
        good.replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 0"),
    )
    .unwrap();
    let text = error(dir.path()).to_string();
    assert!(
        text.contains("layers.0") && text.contains("unexpected"),
        "{text}"
    );
    std::fs::write(&config, good).unwrap();
    std::fs::remove_file(dir.path().join("dataset_statistics.json")).unwrap();
    assert!(
        error(dir.path())
            .to_string()
            .contains("dataset_statistics.json")
    );
}

#[test]
fn the_shipped_size_runs() {
    let dir = tempfile::tempdir().unwrap();
    let config = testing::small_config(112, 128, 4, testing::WORDS.len() + 5);
    for format in [WeightFormat::Ternary, WeightFormat::Full] {
        let config = testing::trained_for(format, config.clone());
        write_random_checkpoint(dir.path(), &config, 2).unwrap();
        let mut policy = VlaPolicy::load(dir.path(), format).unwrap();
        let frame = vec![100u8; 256 * 256 * 3];
        let observation = Observation {
            agentview: &frame,
            wrist: &frame,
            proprio: [0.0; 8],
            instruction: "pick up the black bowl and place it on the plate",
        };
        policy.query(&observation).unwrap();
        let times = policy.query(&observation).unwrap().times;
        eprintln!("{}: {times:?}", policy.name());
        eprintln!("{:?}", policy.memory());
    }
}

#[test]
fn a_policy_says_how_its_weights_are_multiplied() {
    let dir = tempfile::tempdir().unwrap();
    for (bits, wanted) in [
        ((1, 8), "native-packed"),
        ((32, 32), "native-packed; vision dense"),
        ((32, 8), "native-packed; vision simulated"),
        ((1, 32), "native-packed; vision dequantised"),
    ] {
        let mut config = testing::small_config(32, 32, 1, testing::WORDS.len() + 5);
        config.vision_config.vit_weight_bits = bits.0;
        config.vision_config.vit_act_bits = bits.1;
        write_random_checkpoint(dir.path(), &config, 1).unwrap();
        let arithmetic = |format| {
            let policy = VlaPolicy::load(dir.path(), format).unwrap();
            policy.arithmetic().to_string()
        };
        assert_eq!(arithmetic(WeightFormat::Ternary), wanted);
        if bits.0 == 1 {
            continue;
        }
        assert_eq!(arithmetic(WeightFormat::PtqTernary), "native-packed");
        assert_eq!(arithmetic(WeightFormat::Int8), "native-packed");
        assert_eq!(arithmetic(WeightFormat::Int4), "dequantised");
        assert_eq!(arithmetic(WeightFormat::Nf4), "dequantised");
        assert_eq!(arithmetic(WeightFormat::Full), "dense");
    }
}
