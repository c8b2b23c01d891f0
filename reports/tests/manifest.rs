//! Guarantee: a protocol card names the version of the world; a card from before it did is of world version 1, and cards
//! of two worlds differ in that field, with both versions.

use bitvla_reports::{
    EvalProtocol, MachineInfo, MemoryReport, RunManifest, read_manifest, write_manifest,
};
use std::collections::BTreeMap;

fn card(world_version: u32) -> RunManifest {
    RunManifest {
        protocol: EvalProtocol {
            version: "0.1.0".into(),
            world_version,
            suite: "spatial".into(),
            policy: "expert".into(),
            seed: 7,
            horizon: 220,
            settle_steps: 10,
            settle_action: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0],
            chunk_length: 1,
            control_hz: 20.0,
            cameras: Vec::new(),
            camera_size: 0,
            flip: "none".into(),
            crop: "none".into(),
            quaternion_rule: "none".into(),
            normaliser_key: "none".into(),
            success_rule: "the goal holds".into(),
            assets_sha256: "aa".into(),
            libero_sha256: BTreeMap::new(),
            weights_sha256: BTreeMap::new(),
            binary_sha256: "bb".into(),
        },
        tasks: vec![0],
        episodes: 1,
        jobs: 1,
        elapsed_secs: 1.0,
        resumed_episodes: 0,
        machine: MachineInfo {
            processor: "any".into(),
            features: Vec::new(),
            cores: 1,
            system: "any".into(),
        },
        memory: MemoryReport::default(),
    }
}

#[test]
fn an_old_card_is_of_world_version_1() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("run.json");
    write_manifest(&path, &card(5)).expect("written");
    assert_eq!(read_manifest(&path).expect("a card"), card(5));

    let text = std::fs::read_to_string(&path).expect("a file");
    let line = "    \"world_version\": 5,\n";
    assert_eq!(text.matches(line).count(), 1, "{text}");
    std::fs::write(&path, text.replace(line, "")).expect("written");
    assert_eq!(read_manifest(&path).expect("an old card"), card(1));
}

#[test]
fn cards_of_two_worlds_differ_in_that_field() {
    let (one, five) = (card(1).protocol, card(5).protocol);
    assert_eq!(one.differences(&five), ["world_version: 1 against 5"]);
    assert_eq!(five.differences(&one), ["world_version: 5 against 1"]);
    assert!(five.differences(&five).is_empty());
}
