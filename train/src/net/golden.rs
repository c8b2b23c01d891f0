//! Guarantee: loss, predictions, every gradient and five optimiser steps equal the reference implementation's
//! (golden cases of the kinds ste_bitlinear and lr_schedule in `tests/golden/bitvla`, train_step and distill beside the
//! repository).

use super::*;
use crate::optim::{AdamW, LearningRateSchedule};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::PathBuf;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A case of the repository.
fn committed(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/bitvla");
    there(root.join(name))
}

/// A case of `../shared/golden/bitvla` or, where it is set, `BITVLA_GOLDEN`.
fn shared(name: &str) -> PathBuf {
    let root = std::env::var_os("BITVLA_GOLDEN").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/bitvla"),
        PathBuf::from,
    );
    there(root.join(name))
}

/// Returns the folder of a case. Panics if it is absent, so that no test passes without its data.
fn there(dir: PathBuf) -> PathBuf {
    assert!(dir.is_dir(), "golden case {} is absent", dir.display());
    dir
}

fn read(path: PathBuf) -> Tensors {
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors()
        .into_iter()
        .map(|(name, t)| {
            let d = t.data();
            let values = match t.dtype() {
                Dtype::F32 => d
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
                Dtype::BF16 => d
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))
                    .collect(),
                Dtype::I64 => d
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| i64::from_le_bytes(*b) as f32)
                    .collect(),
                Dtype::U8 => d.iter().map(|b| f32::from(*b)).collect(),
                other => panic!("{name}: {other:?}"),
            };
            (name, (t.shape().to_vec(), values))
        })
        .collect()
}

fn config(dir: &std::path::Path) -> NetConfig {
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("config.json")).unwrap()).unwrap();
    let (t, v) = (&json["text_config"], &json["vision_config"]);
    let n = |x: &serde_json::Value| x.as_u64().unwrap() as usize;
    NetConfig {
        image_size: n(&v["image_size"]),
        patch: n(&v["patch_size"]),
        images: 2,
        vision_width: n(&v["hidden_size"]),
        vision_ffn: n(&v["intermediate_size"]),
        vision_layers: n(&v["num_hidden_layers"]),
        vision_heads: n(&v["num_attention_heads"]),
        width: n(&t["hidden_size"]),
        ffn: n(&t["intermediate_size"]),
        layers: n(&t["num_hidden_layers"]),
        heads: n(&t["num_attention_heads"]),
        kv_heads: n(&t["num_key_value_heads"]),
        vocab: n(&t["vocab_size"]),
        rope_theta: 500_000.0,
        causal: false,
        chunk: 8,
        action_dim: 7,
        proprio: 8,
        image_token: n(&json["image_token_index"]) as u32,
        proprio_token: n(&json["image_token_index"]) as u32 + 1,
        stop_token: 401,
        bos_token: 400,
    }
}

fn full_name(slot: &layout::ParamSlot) -> String {
    let prefix = match slot.file {
        CheckpointFile::Model => "vla.",
        CheckpointFile::Head => "action_head.",
        CheckpointFile::Proprio => "proprio_projector.",
    };
    format!("{prefix}{}", slot.name)
}

fn fill(net: &Net, name: impl Fn(&layout::ParamSlot) -> String, from: &Tensors) -> Vec<f32> {
    let mut params = net.layout.init(0);
    for slot in &net.layout.slots {
        if let Some((shape, values)) = from.get(&name(slot)) {
            assert_eq!(shape, &slot.shape, "{}", slot.name);
            params[slot.range()].copy_from_slice(values);
        }
    }
    params
}

fn close(what: &str, got: &[f32], want: &[f32], abs: f32) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}");
    let size = want.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    let worst = got
        .iter()
        .zip(want)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= abs * size, "{what}: off by {worst}, size {size}");
    worst
}

#[test]
#[ignore = "needs ../shared/golden/bitvla: a fine-tuning step of the reference"]
fn train_step_equals_the_reference() {
    let dir = shared("j_train_step");
    let c = config(&dir);
    let inputs = read(dir.join("inputs.safetensors"));
    let outputs = read(dir.join("outputs.safetensors"));
    let grads = read(dir.join("grads.safetensors"));
    let net = Net::new(c.clone(), QuantConfig::ALL);
    let mut params = fill(&net, full_name, &read(dir.join("params.safetensors")));
    let (ids, mask) = (&inputs["input_ids"].1, &inputs["attention_mask"].1);
    let row = ids.len() / 2;
    let samples: Vec<TrainingSample> = (0..2)
        .map(|b| {
            let real = mask[b * row..(b + 1) * row]
                .iter()
                .filter(|m| **m > 0.0)
                .count();
            let prompt = ids[b * row..b * row + real - 57]
                .iter()
                .map(|x| *x as u32)
                .collect();
            let part = |name: &str| {
                let v = &inputs[name].1;
                v[b * v.len() / 2..(b + 1) * v.len() / 2].to_vec()
            };
            TrainingSample {
                task: 0,
                images: part("pixel_values"),
                prompt,
                proprio: part("proprio"),
                target: part("actions"),
            }
        })
        .collect();
    let mut activations = NetActivations::default();
    let mut effective_weights = Vec::new();
    let schedule = LearningRateSchedule {
        lr: 1e-3,
        warmup: 2,
        steps: 8,
    };
    let mut adam = AdamW::new(params.len());
    let log: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("log.json")).unwrap()).unwrap();
    for step in 0..5u64 {
        net.layout
            .effective_weights(&params, net.quant, &mut effective_weights);
        let mut grad = vec![0.0; params.len()];
        let loss = net
            .train(
                &effective_weights,
                &samples,
                2,
                AuxiliaryLosses::default(),
                &mut activations,
                &mut grad,
            )
            .l1;
        let want = log["steps"][step as usize]["loss"].as_f64().unwrap();
        assert!(
            (loss - want).abs() < 1e-4,
            "step {step}: loss {loss}, reference {want}"
        );
        if step == 0 {
            close(
                "predictions",
                &activations.head.y[..112],
                &outputs["predicted_actions"].1,
                1e-4,
            );
            let mut worst = 0.0f32;
            for slot in &net.layout.slots {
                let want = &grads[&full_name(slot)].1;
                let got = &grad[slot.range()];
                worst = worst.max(close(&slot.name, got, want, 2e-5));
            }
            println!("largest gradient difference {worst:e}");
        }
        adam.update(&mut params, &grad, schedule.at(step), 0.01);
    }
    let after = read(dir.join("params_after_5_steps.safetensors"));
    let mut off = Vec::new();
    for slot in &net.layout.slots {
        let want = &after[&full_name(slot)].1;
        off.extend(
            want.iter()
                .zip(&params[slot.offset..])
                .map(|(a, b)| (a - b).abs()),
        );
    }
    off.sort_by(f32::total_cmp);
    assert!(
        off[off.len() * 99 / 100] <= 2e-5 && off[off.len() - 1] <= 1e-3,
        "{:?}",
        off.last()
    );
}

#[test]
#[ignore = "needs ../shared/golden/bitvla: distillation losses and gradients"]
fn distillation_equals_the_paper_formula() {
    let dir = shared("k_distill");
    let c = NetConfig {
        causal: true,
        chunk: 0,
        images: 1,
        ..config(&dir)
    };
    let inputs = read(dir.join("inputs.safetensors"));
    let outputs = read(dir.join("outputs.safetensors"));
    let grads = read(dir.join("grads_vision.safetensors"));
    let all = read(dir.join("params.safetensors"));
    let net = Net::new(c.clone(), QuantConfig::ALL);
    let params = fill(&net, |s| s.name.clone(), &all);
    let ids: Vec<u32> = inputs["input_ids"].1.iter().map(|x| *x as u32).collect();
    let labels = &inputs["labels"].1;
    let images = inputs["pixel_values"].1.clone();
    let sample = TrainingSample {
        task: 0,
        images,
        prompt: ids.clone(),
        proprio: vec![0.0; 8],
        target: Vec::new(),
    };
    let mut activations = NetActivations::default();
    let mut effective_weights = Vec::new();
    net.layout
        .effective_weights(&params, net.quant, &mut effective_weights);
    let teacher = Teacher {
        params: &params,
        weight: 0.1,
    };
    let samples = [sample];
    net.run_teacher(teacher, &samples, &mut activations);
    net.forward_states(&effective_weights, &samples, &mut activations);
    for i in 0..=c.vision_layers {
        close(
            "student",
            &activations.vision.hidden[i],
            &outputs[&format!("student.hidden.{i}")].1,
            1e-4,
        );
        close(
            "teacher",
            &activations.teacher.hidden[i],
            &outputs[&format!("teacher.hidden.{i}")].1,
            1e-4,
        );
    }
    // Cross-entropy of the next token over answer tokens.
    let head = &all["language_model.lm_head.weight"].1;
    let (w, t) = (c.width, ids.len());
    let answers: Vec<usize> = (0..t - 1).filter(|i| labels[i + 1] >= 0.0).collect();
    let mut dstates = vec![0.0; t * w];
    let mut lm = 0.0;
    for &i in &answers {
        let x = &activations.language.states[i * w..(i + 1) * w];
        let logits: Vec<f64> = head
            .chunks_exact(w)
            .map(|r| r.iter().zip(x).map(|(a, b)| f64::from(a * b)).sum())
            .collect();
        let top = logits.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = logits.iter().map(|l| (l - top).exp()).sum();
        let label = labels[i + 1] as usize;
        lm += (top + sum.ln() - logits[label]) / answers.len() as f64;
        for (j, row) in head.chunks_exact(w).enumerate() {
            let p = (logits[j] - top).exp() / sum - if j == label { 1.0 } else { 0.0 };
            for (d, h) in dstates[i * w..(i + 1) * w].iter_mut().zip(row) {
                *d += (p / answers.len() as f64) as f32 * h;
            }
        }
    }
    let mut grad = vec![0.0; params.len()];
    let aux = net.backward_states(
        &effective_weights,
        &dstates,
        Some((teacher, 1.0)),
        &mut activations,
        &mut grad,
    );
    assert!(
        (lm - f64::from(outputs["loss_lm_mean"].1[0])).abs() < 1e-4,
        "{lm}"
    );
    assert!(
        (aux - f64::from(outputs["loss_aux"].1[0])).abs() < 1e-5,
        "{aux}"
    );
    let mut seen = 0;
    for slot in &net.layout.slots {
        if let Some(name) = slot.name.strip_prefix("vision_tower.") {
            close(name, &grad[slot.range()], &grads[name].1, 2e-5);
            seen += 1;
        }
    }
    assert_eq!(seen, grads.len());
}

#[test]
fn straight_through_linear_equals_the_reference() {
    let dir = committed("i_ste_bitlinear");
    let t = read(dir.join("tensors.safetensors"));
    for (kind, bias) in [("lm", false), ("vision", true)] {
        let get = |name: &str| t[&format!("{kind}.{name}")].1.clone();
        let shape = &t[&format!("{kind}.weight")].0;
        let (n_out, n_in) = (shape[0], shape[1]);
        let mut effective_weights = get("weight");
        layout::ternarise(&mut effective_weights);
        let b = bias.then_some(effective_weights.len());
        if bias {
            effective_weights.extend(get("bias"));
        }
        let lin = layout::LinearParams {
            weight: 0,
            bias: b,
            n_in,
            n_out,
        };
        let x = get("x");
        let mut q = vec![0.0; x.len()];
        linear::quantise_rows(&x, n_in, &mut q);
        let mut y = vec![0.0; x.len() / n_in * n_out];
        lin.forward(&effective_weights, &q, &mut y);
        close("y", &y, &get("y"), 1e-5);
        let (dy, mut grad, mut dx) = (
            get("grad_y"),
            vec![0.0; effective_weights.len()],
            vec![0.0; x.len()],
        );
        lin.backward_params(&q, &dy, &mut grad);
        lin.backward_input(&effective_weights, &dy, &mut dx, super::gemm_f32::Mode::Set);
        close("grad_x", &dx, &get("grad_x"), 1e-5);
        close(
            "grad_weight",
            &grad[..n_in * n_out],
            &get("grad_weight"),
            1e-5,
        );
    }
}

#[test]
fn learning_rates_equal_the_reference() {
    let dir = committed("j_lr_schedule");
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("lr.json")).unwrap()).unwrap();
    let rows = json["spatial_object_1e-4_10001"].as_array().unwrap();
    let schedule = LearningRateSchedule {
        lr: 1e-4,
        warmup: 375,
        steps: 10_001,
    };
    for row in rows {
        let (step, want) = (row[0].as_u64().unwrap(), row[1].as_f64().unwrap());
        assert!(
            (schedule.at(step) - want).abs() < 1e-12,
            "step {step}: {} {want}",
            schedule.at(step)
        );
    }
}
