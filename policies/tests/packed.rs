//! Guarantee: a packed file is the same policy as the folder it was made of, in every weight format; a file that is cut
//! short, of a newer version, packed in another format, or with a tensor missing, extra or misshapen is refused with an
//! error that names file and tensor. Bytes that hold no code and impossible scales are refused whenever a file is opened,
//! every other change of a byte by its checksum. What could not run is not packed.

use bitvla_policies::packed::{PackedFile, PackedHeader, VERSION, pack};
use bitvla_policies::testing::{WORDS, small_config, trained_for, write_random_checkpoint};
use bitvla_policies::{
    NormaliserChoice, Observation, Threads, VlaOptions, VlaPolicy, WeightFormat,
};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tempfile::TempDir;

/// A folder whose widths are multiples of nothing, so that every layout is padded somewhere, trained for a format.
fn odd(format: WeightFormat) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small_config(48, 40, 1, WORDS.len() + 5);
    config.text_config.intermediate_size = 150;
    config.vision_config.intermediate_size = 106;
    write_random_checkpoint(dir.path(), &trained_for(format, config), 3).unwrap();
    dir
}

fn ask(path: &Path, format: WeightFormat, threads: usize) -> Vec<[f64; 7]> {
    ask_with(path, format.into(), threads)
}

fn ask_with(path: &Path, options: VlaOptions, threads: usize) -> Vec<[f64; 7]> {
    use bitvla_policies::Policy;
    let mut policy = VlaPolicy::open(path, options).unwrap();
    policy.set_threads(Threads::new(threads).unwrap());
    let frame: Vec<u8> = (0..256 * 256 * 3).map(|i| (i / 7 % 251) as u8).collect();
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0, 0.1, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
        instruction: "pick up the black bowl",
    };
    let actions = policy.query(&observation).unwrap().actions;
    let ledger = policy.memory();
    assert!(ledger.resident() > 0 && ledger.activations > 0);
    actions
}

#[test]
fn a_packed_file_is_the_same_policy() {
    for format in WeightFormat::ALL {
        let dir = odd(format);
        let out = dir.path().join(format!("{}.safetensors", format.name()));
        let folder = ask(dir.path(), format, 1);
        pack(dir.path(), &out, format).unwrap();
        assert_eq!(ask(&out, format, 1), folder, "{format:?}");
        // The same bytes again, and the same bits for any number of threads.
        let again = dir.path().join("again.safetensors");
        pack(dir.path(), &again, format).unwrap();
        assert!(std::fs::read(&out).unwrap() == std::fs::read(&again).unwrap());
        std::fs::remove_file(again).unwrap();
        for threads in [2, 3] {
            assert_eq!(
                ask(&out, format, threads),
                folder,
                "{format:?} on {threads} threads"
            );
        }
        std::fs::remove_file(out).unwrap();
    }
}

/// A file that was packed as `ternary` also acts with an action head in int8, as its folder does; one that was packed so has lost the
/// head as it was stored.
#[test]
fn a_packed_ternary_file_gives_an_int8_head() {
    let (ternary, int8_head) = (WeightFormat::Ternary, WeightFormat::TernaryInt8Head);
    let dir = odd(ternary);
    let files = ["stored.safetensors", "int8.safetensors"].map(|name| dir.path().join(name));
    pack(dir.path(), &files[0], ternary).unwrap();
    pack(dir.path(), &files[1], int8_head).unwrap();
    let wanted = ask(dir.path(), int8_head, 1);
    for file in &files {
        assert_eq!(ask(file, int8_head, 1), wanted);
    }
    let stored = ask(&files[0], ternary, 1);
    assert_ne!(stored, wanted);
    let far = |(a, b): (&[f64; 7], &[f64; 7])| (0..7).any(|i| (a[i] - b[i]).abs() > 0.05);
    assert!(!stored.iter().zip(&wanted).any(far));
    let text = VlaPolicy::load(&files[1], ternary)
        .err()
        .unwrap()
        .to_string();
    let expected = "packed as ternary-int8-head, wanted as ternary";
    assert!(text.contains(expected), "{text}");
}

/// Type, shape and bytes of a tensor.
type Raw = (Dtype, Vec<usize>, Vec<u8>);

fn change(from: &Path, to: &Path, version: u32, change: &dyn Fn(&mut BTreeMap<String, Raw>)) {
    rewrite(from, to, (version, WeightFormat::Ternary), change);
}

fn change_format(
    from: &Path,
    to: &Path,
    format: WeightFormat,
    change: &dyn Fn(&mut BTreeMap<String, Raw>),
) {
    rewrite(from, to, (VERSION, format), change);
}

/// Writes a packed file with changed tensors and the checksums of the unchanged ones.
fn rewrite(
    from: &Path,
    to: &Path,
    (version, format): (u32, WeightFormat),
    change: &dyn Fn(&mut BTreeMap<String, Raw>),
) {
    let bytes = std::fs::read(from).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let mut tensors: BTreeMap<String, Raw> = tensors
        .into_iter()
        .map(|(name, t)| (name, (t.dtype(), t.shape().to_vec(), t.data().to_vec())))
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let about = &header.metadata().as_ref().unwrap()["bitvla"];
    let mut about: PackedHeader = serde_json::from_str(about).unwrap();
    (about.version, about.weights) = (version, format.name().into());
    let about = serde_json::to_string(&about).unwrap();
    let metadata = HashMap::from([("bitvla".to_string(), about)]);
    std::fs::write(to, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
}

#[test]
fn broken_files_are_named() {
    let dir = odd(WeightFormat::Ternary);
    let good = dir.path().join("good.safetensors");
    let bad = dir.path().join("bad.safetensors");
    pack(dir.path(), &good, WeightFormat::Ternary).unwrap();
    let refused = |format: WeightFormat, by: &[&str]| {
        let text = VlaPolicy::load(&bad, format).err().unwrap().to_string();
        for part in by.iter().chain(&["bad.safetensors"]) {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    };
    let ternary = WeightFormat::Ternary;
    change(&good, &bad, VERSION, &|_| {});
    assert_eq!(ask(&bad, ternary, 1), ask(&good, ternary, 1));
    refused(WeightFormat::Full, &["packed as ternary, wanted as full"]);
    change(&good, &bad, VERSION + 1, &|_| {});
    refused(ternary, &[&format!("version {}", VERSION + 1), "up to"]);
    let layer = "language_model.model.layers.0.mlp.down_proj";
    let codes = format!("{layer}.ternary");
    change(&good, &bad, VERSION, &|t| {
        t.remove(&codes);
    });
    refused(ternary, &[&codes, "missing"]);
    change(&good, &bad, VERSION, &|t| {
        if let Some((_, shape, _)) = t.get_mut(&codes) {
            shape.swap(0, 1);
        }
    });
    refused(ternary, &[&codes, "expected U8"]);
    change(&good, &bad, VERSION, &|t| {
        t.insert("extra".into(), (Dtype::U8, vec![1], vec![0]));
    });
    refused(ternary, &["extra", "unexpected"]);
    change(&good, &bad, VERSION, &|t| {
        if let Some((_, _, bytes)) = t.get_mut(&format!("{layer}.scales")) {
            bytes.copy_from_slice(&f32::NAN.to_le_bytes());
        }
    });
    refused(ternary, &[&format!("{layer}.scales"), "NaN"]);
    change(&good, &bad, VERSION, &|t| {
        if let Some(raw) = t.get_mut("action_head.model.fc2.bias") {
            *raw = (Dtype::F16, raw.1.clone(), vec![0; 14]);
        }
    });
    refused(ternary, &["action_head.model.fc2.bias", "F16", "F32"]);
    let whole = std::fs::read(&good).unwrap();
    std::fs::write(&bad, &whole[..whole.len() - 1]).unwrap();
    refused(ternary, &["not fully covered"]);
    std::fs::copy(dir.path().join("model.safetensors"), &bad).unwrap();
    refused(ternary, &["not a packed policy"]);
}

/// Damages a tensor of a packed file; none but the checksum knows of most changes.
fn damaged(from: &Path, to: &Path, tensor: &str, damage: &dyn Fn(&mut [u8])) {
    change(from, to, VERSION, &|tensors| {
        damage(&mut tensors.get_mut(tensor).unwrap().2);
    });
}

#[test]
fn codes_and_scales_that_are_none_are_refused() {
    let layer = "language_model.model.layers.0.self_attn.q_proj";
    for (format, byte, what) in [
        (WeightFormat::Ternary, 0xff, "a code of 3"),
        (WeightFormat::Int8, 0, "code -128"),
        (WeightFormat::Int4, 0, "code -8"),
    ] {
        let dir = odd(format);
        let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
        pack(dir.path(), &good, format).unwrap();
        let refused = |by: &[&str]| {
            let text = VlaPolicy::load(&bad, format).err().unwrap().to_string();
            for part in by {
                assert!(text.contains(part), "{format}: {part} is not in: {text}");
            }
        };
        let suffix = format.language().encoding.unwrap().packed_suffix();
        let rewrite = |tensor: &str, damage: &dyn Fn(&mut [u8])| {
            change_format(&good, &bad, format, &|tensors| {
                damage(&mut tensors.get_mut(tensor).unwrap().2);
            });
        };
        rewrite(&format!("{layer}.{suffix}"), &|bytes| bytes[37] = byte);
        refused(&[layer, "byte 37", what]);
        for (scale, shown) in [
            (-1.0f32, "-1"),
            (1e38, "100000000000"),
            (f32::INFINITY, "inf"),
        ] {
            rewrite(&format!("{layer}.scales"), &|bytes| {
                bytes[..4].copy_from_slice(&scale.to_le_bytes());
            });
            refused(&[layer, shown]);
        }
    }
}

#[test]
fn every_changed_byte_is_found_by_its_checksum() {
    let dir = odd(WeightFormat::Ternary);
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    pack(dir.path(), &good, WeightFormat::Ternary).unwrap();
    let count = PackedFile::open(&good).unwrap().verify().unwrap();
    assert!(count > 40, "{count}");
    for tensor in [
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias",
        "language_model.model.embed_tokens.weight",
        "files/tokenizer.json",
    ] {
        damaged(&good, &bad, tensor, &|bytes| bytes[5] ^= 1);
        let text = PackedFile::open(&bad)
            .unwrap()
            .verify()
            .unwrap_err()
            .to_string();
        assert!(text.contains(tensor) && text.contains("damaged"), "{text}");
        let options = VlaOptions {
            verify: true,
            ..WeightFormat::Ternary.into()
        };
        let text = VlaPolicy::open(&bad, options).err().unwrap().to_string();
        assert!(text.contains(tensor), "{text}");
    }
    change(&good, &bad, VERSION, &|tensors| {
        tensors.remove("files/tokenizer.json");
    });
    let text = PackedFile::open(&bad)
        .unwrap()
        .verify()
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("files/tokenizer.json") && text.contains("missing"),
        "{text}"
    );
    change(&good, &bad, 0, &|_| {});
    let text = PackedFile::open(&bad).err().unwrap().to_string();
    assert!(text.contains("version 0"), "{text}");
}

#[test]
fn what_could_not_run_is_not_packed() {
    let dir = odd(WeightFormat::Ternary);
    let out = dir.path().join("out");
    let refused = |by: &str| {
        let text = pack(dir.path(), &out, WeightFormat::Ternary)
            .unwrap_err()
            .to_string();
        assert!(text.contains(by), "{by} is not in: {text}");
        assert!(!out.exists());
    };
    for file in [
        "dataset_statistics.json",
        "tokenizer.json",
        "processor_config.json",
        "action_head.safetensors",
    ] {
        let path = dir.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        refused(file);
        std::fs::write(path, bytes).unwrap();
    }
    assert!(pack(dir.path(), &out, WeightFormat::Full).is_err());
    // Nothing but a regular file is replaced, and nothing is left beside it.
    let taken = dir.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    let text = pack(dir.path(), &taken, WeightFormat::Ternary)
        .unwrap_err()
        .to_string();
    assert!(text.contains("not a regular file"), "{text}");
    pack(dir.path(), &out, WeightFormat::Ternary).unwrap();
    let names = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().contains("unfinished"))
    );
}

/// Statistics of four suites: which one is used is said when the file is run.
#[test]
fn a_file_with_statistics_of_several_suites_runs() {
    let dir = odd(WeightFormat::Ternary);
    let wanted = ask(dir.path(), WeightFormat::Ternary, 1);
    let path = dir.path().join("dataset_statistics.json");
    let one: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut all = serde_json::json!({"libero_spatial_no_noops": one["spatial"]});
    for other in ["libero_object_no_noops", "libero_goal_no_noops"] {
        all[other] = one["spatial"].clone();
        all[other]["action"]["q99"][0] = serde_json::json!(0.5);
    }
    std::fs::write(&path, all.to_string()).unwrap();
    let processor = dir.path().join("processor_config.json");
    let mut own: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&processor).unwrap()).unwrap();
    own["unnorm_key"] = serde_json::Value::Null;
    std::fs::write(&processor, own.to_string()).unwrap();
    let out = dir.path().join("out");
    pack(dir.path(), &out, WeightFormat::Ternary).unwrap();
    for suite in ["spatial", "libero:spatial"] {
        let options = VlaOptions {
            normaliser: NormaliserChoice::Suite(suite.into()),
            ..WeightFormat::Ternary.into()
        };
        assert_eq!(ask_with(&out, options.clone(), 1), wanted);
        assert_eq!(ask_with(dir.path(), options, 1), wanted);
    }
}
