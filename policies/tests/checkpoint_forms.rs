//! Guarantee: weights under the names of wrappers and of transformers 5, adapters beside a base model, and packed ternary
//! weights are the same policy as the plain checkpoint of the same numbers; what cannot be read so is refused by name.

#[path = "support/safetensors_file.rs"]
mod safetensors_file;
#[path = "support/tiny_policy.rs"]
mod tiny_policy;

use bitvla_policies::Checkpoint;
use safetensors::tensor::Dtype;
use safetensors_file::{Raw, read, write};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tiny_policy::{act, edit, refused, tiny};

const QUERY: &str = "language_model.model.layers.0.self_attn.q_proj.weight";

fn rename(dir: &Path, name: impl Fn(&str) -> String) {
    let path = dir.join("model.safetensors");
    let tensors = read(&path);
    write(
        &path,
        &tensors
            .into_iter()
            .map(|(n, raw)| (name(&n), raw))
            .collect(),
    );
}

#[test]
fn names_of_wrappers_and_versions_are_the_same_policy() {
    let wanted = act(tiny().path()).unwrap();
    type Rename = fn(&str) -> String;
    let renames: [Rename; 6] = [
        |n| format!("module.{n}"),
        |n| format!("_orig_mod.module.{n}"),
        |n| format!("base_model.model.{n}"),
        |n| {
            format!(
                "model.{}",
                n.replace("language_model.model.", "language_model.")
            )
        },
        |n| n.replace("vision_tower.vision_model.", "vision_tower."),
        |n| {
            n.replace(
                "language_model.model.layers.",
                "language_model._orig_mod.model.layers.",
            )
        },
    ];
    for name in renames {
        let dir = tiny();
        rename(dir.path(), name);
        assert_eq!(act(dir.path()).unwrap(), wanted, "{}", name(QUERY));
    }
}

#[test]
fn buffers_are_left_out_and_other_tensors_are_not() {
    let dir = tiny();
    let wanted = act(dir.path()).unwrap();
    let path = dir.path().join("model.safetensors");
    let good = read(&path);
    let change = |change: &dyn Fn(&mut BTreeMap<String, Raw>)| {
        let mut tensors = good.clone();
        change(&mut tensors);
        write(&path, &tensors);
    };
    change(&|t| {
        let id = (Dtype::I64, vec![1], vec![0; 8]);
        t.insert(
            "vision_tower.vision_model.embeddings.position_ids".into(),
            id,
        );
        let buffer = (Dtype::F32, vec![1], vec![0; 4]);
        let name = "language_model.model.layers.0.self_attn.rotary_emb.inv_freq";
        t.insert(name.into(), buffer);
    });
    assert_eq!(act(dir.path()).unwrap(), wanted);
    change(&|t| {
        let raw = t.remove(QUERY).unwrap();
        t.insert(QUERY.replace("q_proj", "query_proj"), raw);
    });
    refused(
        dir.path(),
        &[
            QUERY,
            "missing",
            "query_proj.weight` is there and looks alike",
        ],
    );
    change(&|t| {
        let raw = t[QUERY].clone();
        t.insert(format!("module.{QUERY}"), raw);
    });
    refused(dir.path(), &[QUERY, "there twice"]);
    change(&|t| {
        let raw = t.remove(QUERY).unwrap();
        t.insert(QUERY.replace(".weight", ".base_layer.weight"), raw.clone());
        t.insert(QUERY.replace(".weight", ".lora_A.default.weight"), raw);
    });
    refused(
        dir.path(),
        &["`lora_A` is of an adapter that was not merged", "q_proj"],
    );
}

/// Factors of a change of rank 2 whose sums are exact: A is `[2, 32]`, B is `[32, 2]`.
fn adapter(dir: &Path, config: Value) {
    let floats = |count: usize, value: &dyn Fn(usize) -> f32| -> Vec<u8> {
        (0..count).flat_map(|i| value(i).to_le_bytes()).collect()
    };
    let name = |side: &str| {
        format!(
            "base_model.model.{}",
            QUERY.replace(".weight", &format!(".lora_{side}.weight"))
        )
    };
    let a = floats(64, &|i| (i % 5) as f32 * 0.25 - 0.5);
    let b = floats(64, &|i| (i % 3) as f32 * 0.5 - 0.5);
    let tensors = BTreeMap::from([
        (name("A"), (Dtype::F32, vec![2, 32], a)),
        (name("B"), (Dtype::F32, vec![32, 2], b)),
    ]);
    write(&dir.join("adapter_model.safetensors"), &tensors);
    std::fs::write(dir.join("adapter_config.json"), config.to_string()).unwrap();
}

fn lora(rslora: bool) -> Value {
    json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "use_rslora": rslora,
        "use_dora": false, "bias": "none", "modules_to_save": null, "lora_dropout": 0.05, "rank_pattern": {}})
}

#[test]
fn an_adapter_is_merged() {
    for rslora in [false, true] {
        let dir = tiny();
        let plain = Checkpoint::load(dir.path())
            .unwrap()
            .model()
            .f32(QUERY)
            .unwrap();
        let before = act(dir.path()).unwrap();
        adapter(dir.path(), lora(rslora));
        let merged = Checkpoint::load(dir.path()).unwrap();
        let scale = if rslora { 4.0 / 2f32.sqrt() } else { 2.0 };
        let factor = |i: usize, by: usize, step: f32| (i % by) as f32 * step - 0.5;
        for (i, (merged, plain)) in merged
            .model()
            .f32(QUERY)
            .unwrap()
            .iter()
            .zip(&plain)
            .enumerate()
        {
            let (row, column) = (i / 32, i % 32);
            let sum: f32 = (0..2)
                .map(|r| factor(row * 2 + r, 3, 0.5) * factor(r * 32 + column, 5, 0.25))
                .sum();
            assert!((merged - (plain + scale * sum)).abs() < 1e-6, "{i}");
        }
        assert_ne!(act(dir.path()).unwrap(), before);
    }
}

#[test]
fn what_an_adapter_changes_in_another_way_is_refused() {
    let dir = tiny();
    for (field, value) in [
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("fan_in_fan_out", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({"q_proj": 4})),
        ("peft_type", json!("IA3")),
        ("init_lora_weights", json!("pissa")),
        ("target_modules", json!(["q_proj", "k_proj"])),
        ("target_modules", json!(["v_proj"])),
        ("r", json!(0)),
        ("lora_alpha", Value::Null),
        ("use_new_idea", json!(true)),
    ] {
        let mut config = lora(false);
        config[field] = value;
        adapter(dir.path(), config);
        refused(dir.path(), &["adapter_config.json", field]);
    }
    let mut config = lora(false);
    config["r"] = json!(4);
    adapter(dir.path(), config);
    refused(
        dir.path(),
        &["adapter_model.safetensors", "lora_A", "expected [4, 32]"],
    );
    adapter(dir.path(), lora(false));
    std::fs::remove_file(dir.path().join("adapter_model.safetensors")).unwrap();
    refused(dir.path(), &["adapter_model.safetensors", "missing"]);
}

/// Replaces the linear layers of the language model by packed codes with a scale; `scale` of the absmean is what is stored.
fn pack_layers(dir: &Path, scale: impl Fn(f32) -> f32) {
    let path = dir.join("model.safetensors");
    let mut tensors = read(&path);
    let names: Vec<String> = tensors
        .keys()
        .filter(|n| n.starts_with("language_model.model.layers.") && n.ends_with("_proj.weight"))
        .cloned()
        .collect();
    assert_eq!(names.len(), 7);
    for name in names {
        let (_, shape, bytes) = tensors[&name].clone();
        let w: Vec<f32> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))
            .collect();
        let ternary = bitvla_policies::kernels::quant::quantise_weights(&w);
        let (n, k) = (shape[0], shape[1]);
        let mut packed = vec![0u8; n / 4 * k];
        for (i, code) in ternary.codes.iter().enumerate() {
            let (row, column) = (i / k, i % k);
            packed[row % (n / 4) * k + column] |= ((code + 1) as u8) << (row / (n / 4) * 2);
        }
        let stored = scale(ternary.absmean).to_le_bytes().to_vec();
        tensors.insert(format!("{name}_scale"), (Dtype::F32, vec![1], stored));
        tensors.insert(name, (Dtype::U8, vec![n / 4, k], packed));
    }
    write(&path, &tensors);
}

#[test]
fn packed_ternary_weights_are_the_same_policy() {
    // Scales are powers of two away from each other, so that both conventions are exact.
    let wanted = act(tiny().path()).unwrap();
    let quantised = |dir: &Path, class: &str| {
        edit(&dir.join("config.json"), |c| {
            c["quantization_config"] = json!({"quant_method": "bitnet", "linear_class": class, "quantization_mode": "offline"});
        });
    };
    let dir = tiny();
    pack_layers(dir.path(), |absmean| absmean);
    refused(
        dir.path(),
        &["packed ternary weights", "quantization_config"],
    );
    quantised(dir.path(), "autobitlinear");
    assert_eq!(act(dir.path()).unwrap(), wanted);
    quantised(dir.path(), "another");
    refused(dir.path(), &["linear_class", "`another`"]);

    let dir = tiny();
    pack_layers(dir.path(), |absmean| 1.0 / absmean);
    quantised(dir.path(), "bitlinear");
    let near = act(dir.path()).unwrap();
    let apart = near
        .iter()
        .flatten()
        .zip(wanted.iter().flatten())
        .map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-4);

    let path = dir.path().join("model.safetensors");
    let good = read(&path);
    let change = |name: &str, change: &dyn Fn(&mut Raw)| {
        let mut tensors = good.clone();
        change(tensors.get_mut(name).unwrap());
        write(&path, &tensors);
    };
    change(QUERY, &|raw| raw.2[9] = 0xc1);
    refused(dir.path(), &[QUERY, "byte 9 is 0xc1", "code of 3"]);
    change(&format!("{QUERY}_scale"), &|raw| {
        raw.2 = (-1f32).to_le_bytes().to_vec()
    });
    refused(
        dir.path(),
        &["q_proj.weight_scale", "-1, expected a scale above 0"],
    );
    change(QUERY, &|raw| raw.1 = vec![4, 64]);
    refused(dir.path(), &[QUERY, "a quarter of the rows"]);
}
