//! Guarantee: a packed file is the same policy as the folder it was made of, in every weight format; a file that is cut
//! short, of a newer version, packed in another format, or with a tensor missing, extra or misshapen is refused with an
//! error that names file and tensor.

use bitvla_policies::packed::{VERSION, pack};
use bitvla_policies::testing::{WORDS, small_config, write_random_checkpoint};
use bitvla_policies::{Observation, Threads, VlaPolicy, WeightFormat};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tempfile::TempDir;

/// A folder whose widths are multiples of nothing, so that every layout is padded somewhere.
fn odd() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small_config(48, 40, 1, WORDS.len() + 5);
    config.text_config.intermediate_size = 150;
    config.vision_config.intermediate_size = 106;
    write_random_checkpoint(dir.path(), &config, 3).unwrap();
    dir
}

fn ask(path: &Path, format: WeightFormat, threads: usize) -> Vec<[f64; 7]> {
    use bitvla_policies::Policy;
    let mut policy = VlaPolicy::open(path, format).unwrap();
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
    let dir = odd();
    for format in WeightFormat::ALL {
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

/// Type, shape and bytes of a tensor.
type Raw = (Dtype, Vec<usize>, Vec<u8>);

fn change(from: &Path, to: &Path, version: u32, change: &dyn Fn(&mut BTreeMap<String, Raw>)) {
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
    let about = format!("{{\"version\":{version},\"weights\":\"ternary\"}}");
    let metadata = HashMap::from([("bitvla".to_string(), about)]);
    std::fs::write(to, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
}

#[test]
fn broken_files_are_named() {
    let dir = odd();
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
