//! Guarantee: the exported graph computes what the native engine does, to 1e-4 of a normalised action on 100 observations in full
//! precision; ternary with simulated int8 activations nearly so, since a rounding may fall on the other side. The tests run where
//! `ORT_DYLIB_PATH` names the library of ONNX Runtime (`tests/onnx.py` of the repository installs it). A packed file gives the graph of the folder that it was
//! made from, byte for byte.
#![cfg(feature = "onnx")]

use bitvla_policies::normaliser::NormaliserChoice;
use bitvla_policies::onnx::{
    MODEL_FILE, OnnxContents, OnnxFile, OnnxRuntimeOptions, calibrate_onnx, export_onnx,
    export_onnx_int8,
};
use bitvla_policies::packed;
use bitvla_policies::testing::{self, SplitMix64, small_config, trained_for};
use bitvla_policies::{Observation, Policy, PolicyError, VlaPolicy, WeightFormat};
use std::path::{Path, PathBuf};

const WORDS: [&str; 2] = [
    "pick up the black bowl next to the plate and place it on the plate",
    "pick up the black bowl on the stove and place it on the plate",
];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../assets/checkpoints/spatial")
        .join(name)
}

/// Smooth images of random colours, and a state near that of the hand.
fn observation(random: &mut SplitMix64) -> ([Vec<u8>; 2], [f64; 8]) {
    let mut unit = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let images = [0, 1].map(|_| {
        let (a, b, c) = (6.0 * unit(), 6.0 * unit(), 255.0 * unit());
        let pixel = |i: usize| {
            let (x, y) = ((i / 3 % 256) as f64 / 256.0, (i / 768) as f64 / 256.0);
            let wave = (a * x + b * y + (i % 3) as f64).sin();
            (c * 0.5 + 60.0 * wave + 60.0).clamp(0.0, 255.0) as u8
        };
        (0..256 * 256 * 3).map(pixel).collect()
    });
    let mut state = [-0.05, 0.0, 1.05, 3.1, 0.0, 0.0, 0.03, -0.03];
    for v in &mut state {
        *v += 0.02 * (unit() - 0.5);
    }
    (images, state)
}

/// Largest difference of an action component, and the share of observations with one above 1e-4.
fn compare(name: &str, format: WeightFormat, count: usize) -> (f64, f64) {
    let dir = tempfile::tempdir().expect("a folder");
    export_onnx(&shipped(name), format, dir.path()).expect("exported");
    compare_with(name, format, &dir.path().join(MODEL_FILE), count)
}

fn compare_with(name: &str, format: WeightFormat, file: &Path, count: usize) -> (f64, f64) {
    let mut native = VlaPolicy::open(&shipped(name), format).expect("a checkpoint");
    let mut onnx = VlaPolicy::open_onnx(
        &OnnxFile::read(file).expect("a file"),
        NormaliserChoice::Recorded,
        &OnnxRuntimeOptions::default(),
    )
    .expect("a model");
    let mut random = SplitMix64::new(11);
    let (mut most, mut above) = (0f64, 0);
    for i in 0..count {
        let (images, proprio) = observation(&mut random);
        let observation = Observation {
            agentview: &images[0],
            wrist: &images[1],
            proprio,
            instruction: WORDS[i % 2],
        };
        let ask = |policy: &mut VlaPolicy| -> Result<Vec<[f64; 7]>, PolicyError> {
            Ok(policy.query(&observation)?.actions)
        };
        let (a, b) = (
            ask(&mut native).expect("actions"),
            ask(&mut onnx).expect("actions"),
        );
        assert_eq!(a.len(), b.len());
        // The gripper is a sign.
        let apart = a.iter().flatten().zip(b.iter().flatten()).enumerate();
        let apart = apart
            .filter(|(k, _)| k % 7 != 6)
            .map(|(_, (x, y))| (x - y).abs());
        let apart = apart.fold(0.0, f64::max);
        most = most.max(apart);
        above += usize::from(apart > 1e-4);
    }
    println!("{name}: {most:.2e} apart, {above} of {count} above 1e-4");
    (most, above as f64 / count as f64)
}

/// Inputs of the network for observations, with every second one kept for the test.
fn encoded(policy: &VlaPolicy, count: usize) -> Vec<bitvla_policies::processor::ModelInputs> {
    let mut random = SplitMix64::new(5);
    (0..count)
        .map(|i| {
            let (images, proprio) = observation(&mut random);
            let asked = Observation {
                agentview: &images[0],
                wrist: &images[1],
                proprio,
                instruction: WORDS[i % 2],
            };
            policy.encode(&asked).expect("inputs")
        })
        .collect()
}

#[test]
#[ignore = "needs ONNX Runtime: ORT_DYLIB_PATH, see tests/onnx.py"]
fn int8_stays_near_full_precision() {
    assert!(has_runtime(), "ORT_DYLIB_PATH is not set");
    let dir = tempfile::tempdir().expect("a folder");
    let native = VlaPolicy::open(&shipped("full"), WeightFormat::Full).expect("a checkpoint");
    let inputs = encoded(&native, 40);
    let ranges = calibrate_onnx(&shipped("full"), &inputs, dir.path(), None).expect("ranges");
    assert!(ranges.layers() > 30);
    assert!(!dir.path().join(MODEL_FILE).exists());
    export_onnx_int8(&shipped("full"), &ranges, dir.path()).expect("exported");
    let file = dir.path().join(MODEL_FILE);
    let contents = OnnxContents::read(&file).expect("a model");
    let (codes, floats) = (contents.weights["int8"], contents.weights["float32"]);
    assert!(
        codes.bytes == codes.elements && codes.bytes > floats.bytes / 2,
        "{contents:?}"
    );
    let (most, _) = compare_with("full", WeightFormat::Full, &file, 40);
    // Smooth images of random colours; success is measured in episodes.
    assert!(most < 0.5, "{most}");
}

fn has_runtime() -> bool {
    std::env::var_os("ORT_DYLIB_PATH").is_some()
}

#[test]
#[ignore = "needs ONNX Runtime: ORT_DYLIB_PATH, see tests/onnx.py"]
fn full_precision_agrees_to_1e_4() {
    assert!(has_runtime(), "ORT_DYLIB_PATH is not set");
    let (most, _) = compare("full", WeightFormat::Full, 100);
    assert!(most < 1e-4, "{most}");
}

#[test]
#[ignore = "needs ONNX Runtime: ORT_DYLIB_PATH, see tests/onnx.py"]
fn ternary_agrees_but_for_roundings() {
    assert!(has_runtime(), "ORT_DYLIB_PATH is not set");
    let (most, above) = compare("ternary", WeightFormat::Ternary, 20);
    assert!(most < 0.1, "{most}");
    println!("{above}");
}

#[test]
fn a_file_says_what_it_holds() {
    let dir = tempfile::tempdir().expect("a folder");
    export_onnx(&shipped("full"), WeightFormat::Full, dir.path()).expect("exported");
    let contents = OnnxContents::read(&dir.path().join(MODEL_FILE)).expect("a model");
    assert_eq!(
        contents.weights.keys().collect::<Vec<_>>(),
        ["float32", "int64"]
    );
    let floats = contents.weights["float32"];
    assert!(floats.bytes == 4 * floats.elements && floats.bytes > 5_000_000);
    let inputs: Vec<&str> = contents
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(inputs, ["images", "input_ids", "proprio"]);
    assert_eq!(contents.inputs[1].to_string(), "input_ids int64 [tokens]");
    assert_eq!(contents.outputs.len(), 1);
    assert_eq!(contents.outputs[0].to_string(), "actions float32 [8, 7]");
    assert!(contents.operators["MatMul"] > 30);
    assert!(OnnxContents::parse(b"no model").is_err());
}

#[test]
fn a_packed_file_gives_the_graph_of_its_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    for (format, other) in [
        (WeightFormat::Ternary, WeightFormat::Full),
        (WeightFormat::Full, WeightFormat::Ternary),
    ] {
        let config = trained_for(format, small_config(32, 32, 1, testing::WORDS.len() + 5));
        let (folder, file) = (path(format.name()), path("packed.safetensors"));
        testing::write_random_checkpoint(&folder, &config, 3).expect("a checkpoint");
        packed::pack(&folder, &file, format).expect("packed");
        export_onnx(&folder, format, &path("a")).expect("exported");
        export_onnx(&file, format, &path("b")).expect("exported");
        for name in [MODEL_FILE, "config.json", "tokenizer.json"] {
            let read = |from: &str| std::fs::read(path(from).join(name)).expect("a file");
            assert!(read("a") == read("b"), "{format}: {name}");
        }
        let refused = export_onnx(&folder, WeightFormat::TernaryInt8Head, &path("c"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("ternary-int8-head"), "{refused}");
        let refused = export_onnx(&file, other, &path("c"))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("packed.safetensors") && refused.contains("packed as"),
            "{refused}"
        );
    }
}
