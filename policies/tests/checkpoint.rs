//! Guarantee: a checkpoint in its published form (shards of the model, torch files of head and projector) is the same
//! policy as one in the form that is written here; a file that is missing, cut short or one too many, and a tensor
//! that is missing, extra, misshapen or of another type, is an error that names file and tensor.

mod support;

use bitvla_policies::checkpoint::{StoredValues, TensorFile};
use bitvla_policies::testing::write_tiny_checkpoint;
use bitvla_policies::torch_checkpoint::FloatType;
use bitvla_policies::{Checkpoint, TensorSpecs};
use safetensors::tensor::Dtype;
use std::collections::BTreeMap;
use std::path::Path;
use support::safetensors_file::{Raw, read, write};
use support::{Tensor, archive, records, state_dict, torch_file};
use tempfile::TempDir;

fn tiny() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_checkpoint(dir.path()).unwrap();
    dir
}

/// Every value of a checkpoint by name.
fn values(dir: &Path) -> BTreeMap<String, Vec<f32>> {
    let checkpoint = Checkpoint::load(dir).unwrap();
    let specs = TensorSpecs::new(checkpoint.config());
    let part = |file: &TensorFile, specs: &[(String, Vec<usize>)]| -> Vec<(String, Vec<f32>)> {
        let value = |(name, _): &(String, _)| (name.clone(), file.f32(name).unwrap());
        specs.iter().map(value).collect()
    };
    [
        part(checkpoint.model(), &specs.model),
        part(checkpoint.head(), &specs.head),
        part(checkpoint.proprio(), &specs.proprio),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[track_caller]
fn refused(dir: &Path, by: &[&str]) {
    let text = Checkpoint::load(dir).err().unwrap().to_string();
    for part in by {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// The tensors of a bf16 file as torch would write them in some type; f32 and bf16 keep every value.
fn as_torch(path: &Path, dtype: FloatType, prefix: &str) -> Vec<Tensor> {
    let tensor = |(name, (_, shape, bytes)): (String, Raw)| Tensor {
        name: format!("{prefix}{name}"),
        dtype,
        shape,
        bytes: match dtype {
            FloatType::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .flat_map(|&[a, b]| [0, 0, a, b])
                .collect(),
            _ => bytes,
        },
    };
    read(path).into_iter().map(tensor).collect()
}

#[test]
fn torch_files_are_the_same_policy() {
    let dir = tiny();
    let expected = values(dir.path());
    for (prefix, step) in [("", "10000"), ("module.", "latest")] {
        let dir = tiny();
        for (stem, dtype) in [
            ("action_head", FloatType::Bf16),
            ("proprio_projector", FloatType::F32),
        ] {
            let plain = dir.path().join(format!("{stem}.safetensors"));
            let torch = dir.path().join(format!("{stem}--{step}_checkpoint.pt"));
            std::fs::write(torch, torch_file(&as_torch(&plain, dtype, prefix))).unwrap();
            std::fs::remove_file(plain).unwrap();
        }
        assert_eq!(values(dir.path()), expected);
    }
}

#[test]
fn halves_are_widened() {
    let dir = tiny();
    let path = dir.path().join("proprio_projector.safetensors");
    let mut tensors = read(&path);
    for (dtype, _, bytes) in tensors.values_mut() {
        *dtype = Dtype::F16;
        bytes.as_chunks_mut().0.fill([0x00, 0xb8]);
    }
    write(&path, &tensors);
    let checkpoint = Checkpoint::load(dir.path()).unwrap();
    let StoredValues::F32(bias) = checkpoint.proprio().stored("fc1.bias").unwrap() else {
        panic!("bf16");
    };
    assert!(bias.iter().all(|&value| value == -0.5));
}

#[test]
fn files_of_a_part_are_chosen_or_named() {
    let dir = tiny();
    let at = |name: &str| dir.path().join(name);
    let expected = values(dir.path());
    let torch = torch_file(&as_torch(
        &at("action_head.safetensors"),
        FloatType::Bf16,
        "",
    ));
    // The safetensors file comes first, so these are not read.
    std::fs::write(at("action_head--5_checkpoint.pt"), b"").unwrap();
    std::fs::write(at("action_head--7_checkpoint.pt"), &torch).unwrap();
    assert_eq!(values(dir.path()), expected);
    std::fs::remove_file(at("action_head.safetensors")).unwrap();
    refused(
        dir.path(),
        &[
            "action_head--5_checkpoint.pt, action_head--7_checkpoint.pt",
            "keep one",
        ],
    );
    std::fs::remove_file(at("action_head--5_checkpoint.pt")).unwrap();
    assert_eq!(values(dir.path()), expected);
    std::fs::remove_file(at("action_head--7_checkpoint.pt")).unwrap();
    // A base checkpoint as published: it loads, but it has no actions.
    let base = Checkpoint::load(dir.path()).unwrap();
    assert!(!base.has_head() && base.has_proprio());
    let text = base.require_action().unwrap_err().to_string();
    assert!(
        text.contains("neither action_head.safetensors nor action_head--STEP_checkpoint.pt"),
        "{text}"
    );
}

#[test]
fn torch_tensors_are_checked() {
    let dir = tiny();
    let plain = dir.path().join("proprio_projector.safetensors");
    let good = as_torch(&plain, FloatType::Bf16, "module.");
    std::fs::remove_file(&plain).unwrap();
    let path = dir.path().join("proprio_projector--1_checkpoint.pt");
    let file = "proprio_projector--1_checkpoint.pt";
    let refuses = |tensors: &[Tensor], by: &[&str]| {
        std::fs::write(&path, torch_file(tensors)).unwrap();
        refused(dir.path(), &[&[file], by].concat());
    };
    let with = |change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        tensors
    };
    refuses(&good[1..], &["`fc1.bias`", "missing"]);
    let extra = with(&|t| {
        t.push(t[0].clone());
        t[4].name = "module.fc9.bias".into();
    });
    refuses(&extra, &["`fc9.bias`", "unexpected"]);
    let shape = with(&|t| t[1].shape.swap(0, 1));
    refuses(&shape, &["`fc1.weight`", "shape [8, 32], expected [32, 8]"]);
    let twice = with(&|t| t[1].name = "fc1.bias".into());
    refuses(
        &twice,
        &["`fc1.bias`", "there twice, as `", "`module.fc1.bias`"],
    );
    let mut list = records(&state_dict(&good), &good);
    list[3].method = 8;
    std::fs::write(&path, archive(&list)).unwrap();
    refused(dir.path(), &[file, "`archive/data/1`", "compressed"]);
}

const SHARDS: [&str; 3] = [
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
];

/// A tiny checkpoint in three shards with an index, and the tensors of the shards.
fn sharded() -> (TempDir, [BTreeMap<String, Raw>; 3]) {
    let dir = tiny();
    let whole = dir.path().join("model.safetensors");
    let mut shards: [BTreeMap<String, Raw>; 3] = Default::default();
    for (i, (name, raw)) in read(&whole).into_iter().enumerate() {
        shards[i % 3].insert(name, raw);
    }
    std::fs::remove_file(whole).unwrap();
    for (name, tensors) in SHARDS.iter().zip(&shards) {
        write(&dir.path().join(name), tensors);
    }
    index(dir.path(), &shards);
    (dir, shards)
}

fn index(dir: &Path, shards: &[BTreeMap<String, Raw>; 3]) {
    let homes = SHARDS
        .iter()
        .zip(shards)
        .flat_map(|(file, tensors)| tensors.keys().map(move |name| (name.as_str(), *file)));
    let homes: BTreeMap<&str, &str> = homes.collect();
    let json = serde_json::json!({"metadata": {"total_size": 0}, "weight_map": homes});
    std::fs::write(dir.join(INDEX), json.to_string()).unwrap();
}

const INDEX: &str = "model.safetensors.index.json";

#[test]
fn shards_are_the_same_policy() {
    let expected = values(tiny().path());
    let (dir, _) = sharded();
    assert_eq!(values(dir.path()), expected);
    std::fs::remove_file(dir.path().join(INDEX)).unwrap();
    assert_eq!(values(dir.path()), expected);
}

#[test]
fn broken_shards_are_named() {
    let (dir, shards) = sharded();
    let at = |i: usize| dir.path().join(SHARDS[i]);
    let first = shards[1].keys().next().unwrap().clone();
    let change = |change: &dyn Fn(&mut BTreeMap<String, Raw>)| {
        let mut tensors = shards[1].clone();
        change(&mut tensors);
        write(&at(1), &tensors);
    };

    let bytes = std::fs::read(at(1)).unwrap();
    for length in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(at(1), &bytes[..length]).unwrap();
        refused(dir.path(), &[SHARDS[1]]);
    }
    std::fs::remove_file(at(1)).unwrap();
    refused(dir.path(), &[SHARDS[1], "missing, one of 3 shards"]);
    std::fs::write(at(1), &bytes).unwrap();
    std::fs::write(dir.path().join("model-00002-of-00004.safetensors"), &bytes).unwrap();
    refused(
        dir.path(),
        &["model-00002-of-00004.safetensors", "not one of 3 shards"],
    );
    std::fs::remove_file(dir.path().join("model-00002-of-00004.safetensors")).unwrap();

    change(&|tensors| _ = tensors.remove(&first));
    refused(dir.path(), &[INDEX, &first, SHARDS[1], "not there"]);
    change(&|tensors| _ = tensors.insert("spare".into(), (Dtype::F32, vec![1], vec![0; 4])));
    refused(dir.path(), &[INDEX, "`spare`", "not listed", SHARDS[1]]);
    let (moved, raw) = shards[0].first_key_value().unwrap();
    change(&|tensors| _ = tensors.insert(moved.clone(), raw.clone()));
    refused(dir.path(), &[SHARDS[0], SHARDS[1], moved, "too"]);
    change(&|_| ());
    index(
        dir.path(),
        &[shards[1].clone(), shards[0].clone(), shards[2].clone()],
    );
    refused(dir.path(), &[INDEX, SHARDS[0], SHARDS[1]]);

    // The same without an index.
    std::fs::remove_file(dir.path().join(INDEX)).unwrap();
    change(&|tensors| _ = tensors.remove(&first));
    refused(
        dir.path(),
        &[
            "model-0000",
            &first,
            "missing in this and the other 2 files",
        ],
    );
    change(&|tensors| _ = tensors.insert("spare".into(), (Dtype::F32, vec![1], vec![0; 4])));
    refused(dir.path(), &[SHARDS[1], "`spare`", "unexpected"]);
    for index in [0, 1, 2] {
        std::fs::remove_file(at(index)).unwrap();
    }
    refused(
        dir.path(),
        &["model.safetensors", "model-0000x-of-0000y.safetensors"],
    );
}

#[test]
fn broken_tensors_are_named() {
    let dir = tiny();
    for file in [
        "model.safetensors",
        "action_head.safetensors",
        "proprio_projector.safetensors",
    ] {
        let path = dir.path().join(file);
        let good = read(&path);
        let name = good.keys().last().unwrap().clone();
        let refuses = |change: &dyn Fn(&mut BTreeMap<String, Raw>), by: &[&str]| {
            let mut tensors = good.clone();
            change(&mut tensors);
            write(&path, &tensors);
            refused(dir.path(), &[&[file], by].concat());
        };
        let shape = |tensors: &mut BTreeMap<String, Raw>| {
            tensors.get_mut(&name).unwrap().1.push(1);
        };
        let dtype = |tensors: &mut BTreeMap<String, Raw>| {
            tensors.get_mut(&name).unwrap().0 = Dtype::I16;
        };
        let spare = |tensors: &mut BTreeMap<String, Raw>| {
            tensors.insert("spare".into(), tensors[&name].clone());
        };
        refuses(&|tensors| _ = tensors.remove(&name), &[&name, "missing"]);
        refuses(&spare, &["`spare`", "unexpected"]);
        refuses(&shape, &[&name, "expected"]);
        refuses(&dtype, &[&name, "type I16, expected BF16, F16 or F32"]);
        write(&path, &good);
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 7, 8, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            refused(dir.path(), &[file]);
        }
        write(&path, &good);
    }
}
