//! A protocol card.

use bitvla_reports::{
    EnergyReport, EvalProtocol, MachineInfo, MemoryReport, OWN_WORLD, RunManifest, SCHEMA_VERSION,
};
use std::collections::BTreeMap;

pub fn card(world_version: u32) -> RunManifest {
    RunManifest {
        schema_version: SCHEMA_VERSION,
        protocol: EvalProtocol {
            version: "0.1.0".into(),
            world: OWN_WORLD.into(),
            world_version,
            suite: "spatial".into(),
            instruction_source: "suite.toml".into(),
            policy: "expert".into(),
            seed: 7,
            horizon: 220,
            settle_steps: 10,
            settle_action: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0],
            chunk_length: 1,
            executed_steps: 1,
            control_hz: 20.0,
            cameras: Vec::new(),
            camera_size: 0,
            network_image_size: 0,
            flip: "none".into(),
            jpeg_round_trip: false,
            crop: "none".into(),
            resize_filter: "none".into(),
            quaternion_rule: "none".into(),
            normaliser_key: "none".into(),
            precision: BTreeMap::new(),
            above_2_bits: Vec::new(),
            arithmetic: "none".into(),
            sanity: "none".into(),
            action_noise: 0.0,
            latency_ms: Vec::new(),
            engine: "none".into(),
            robot_model: "panda".into(),
            simulation: BTreeMap::new(),
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
        setups: Vec::new(),
        memory: MemoryReport::default(),
        energy: EnergyReport::default(),
    }
}
