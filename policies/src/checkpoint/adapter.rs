//! LoRA adapters beside a base model (`adapter_config.json` and `adapter_model.safetensors`, as PEFT writes them), merged
//! into the weights as they are read: `W + s B A` with `s = lora_alpha / r`, or `lora_alpha / sqrt(r)` where `use_rslora`
//! says so (arXiv 2106.09685, section 4.1; arXiv 2312.03732). Variants with other sums are refused by name.

use super::TensorFile;
use crate::PolicyError;
use crate::error::file_error;
use crate::json_fields::Field::{Fixed, NoEffect, Used};
use crate::json_fields::{FieldTable, Kind, check_fields, shown};
use rayon::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

const CONFIG_FILE: &str = "adapter_config.json";
const MODEL_FILE: &str = "adapter_model.safetensors";

/// Largest rank.
const MAX_RANK: u64 = 1 << 14;

const FIELDS: FieldTable = &[
    (Used(Kind::Count), &["r"]),
    (Used(Kind::Number), &["lora_alpha"]),
    (Used(Kind::Flag), &["use_rslora"]),
    (Used(Kind::Any), &["target_modules", "init_lora_weights"]),
    (Fixed(&["\"LORA\""]), &["peft_type"]),
    (Fixed(&["\"none\""]), &["bias"]),
    (
        Fixed(&["false"]),
        &[
            "use_dora",
            "use_qalora",
            "use_bdlora",
            "lora_bias",
            "fan_in_fan_out",
            "ensure_weight_tying",
        ],
    ),
    (
        Fixed(&["{}"]),
        &[
            "rank_pattern",
            "alpha_pattern",
            "loftq_config",
            "eva_config",
            "corda_config",
        ],
    ),
    (
        Fixed(&["[]"]),
        &[
            "modules_to_save",
            "layer_replication",
            "trainable_token_indices",
            "target_parameters",
            "alora_invocation_tokens",
        ],
    ),
    (
        NoEffect("training only"),
        &[
            "lora_dropout",
            "inference_mode",
            "megatron_config",
            "megatron_core",
            "qalora_group_size",
        ],
    ),
    (
        NoEffect("the tensors of the adapter say which layers it changes"),
        &["layers_to_transform", "layers_pattern", "exclude_modules"],
    ),
    (
        NoEffect("a name or a note"),
        &[
            "auto_mapping",
            "base_model_name_or_path",
            "revision",
            "task_type",
            "peft_version",
        ],
    ),
    (
        NoEffect("where the Python library computes"),
        &["runtime_config"],
    ),
];

/// A low-rank change of the weights of a model.
pub struct LoraAdapter {
    file: TensorFile,
    /// Names of weights, and the names of their factors A `[r, inputs]` and B `[outputs, r]`.
    factors: BTreeMap<String, [String; 2]>,
    rank: usize,
    scale: f32,
}

impl LoraAdapter {
    /// Reads the adapter of a checkpoint folder; `None` if there is none.
    ///
    /// # Errors
    /// Names the file, and the field or tensor where it is about one.
    pub fn find(dir: &Path, model: &TensorFile) -> Result<Option<LoraAdapter>, PolicyError> {
        let path = dir.join(CONFIG_FILE);
        let weights = dir.join(MODEL_FILE);
        match (path.is_file(), weights.is_file()) {
            (false, false) => return Ok(None),
            (false, true) => return Err(file_error(&path, format!("missing beside {MODEL_FILE}"))),
            (true, false) => {
                return Err(file_error(
                    &weights,
                    format!("missing beside {CONFIG_FILE}"),
                ));
            }
            (true, true) => {}
        }
        let config: Map<String, Value> = super::read_json(&path)?;
        let fail = |what: String| file_error(&path, what);
        let (rank, scale) = scale(&config).map_err(fail)?;
        let mut adapter = LoraAdapter {
            file: TensorFile::read(&[weights])?,
            factors: BTreeMap::new(),
            rank,
            scale,
        };
        adapter.match_tensors(model)?;
        adapter.match_targets(config.get("target_modules"), &path)?;
        Ok(Some(adapter))
    }

    /// Finds the two factors of every weight and checks their shapes.
    fn match_tensors(&mut self, model: &TensorFile) -> Result<(), PolicyError> {
        let mut sides: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
        for name in self.file.tensor_names() {
            let Some((weight, side)) = target(name) else {
                let what = "expected NAME.lora_A.weight or NAME.lora_B.weight: other changes of a model are not merged";
                return Err(self.file.error(name, what.into()));
            };
            sides.entry(weight).or_default()[side] = Some(name.to_owned());
        }
        for (weight, pair) in sides {
            let [Some(a), Some(b)] = pair else {
                let one = pair.into_iter().flatten().next().unwrap_or_default();
                return Err(self.file.error(&one, "its other factor is missing".into()));
            };
            let Some(&[n, k]) = model.shape(&weight) else {
                let what = match (model.is_packed(&weight), model.shape(&weight)) {
                    (true, _) => "changes packed ternary weights, which take no changes".to_owned(),
                    (_, Some(shape)) => {
                        format!("changes `{weight}` of shape {shape:?}, expected a matrix")
                    }
                    (_, None) => format!("changes `{weight}`, which the model does not have"),
                };
                return Err(self.file.error(&a, what));
            };
            for (name, wanted) in [(&a, [self.rank, k]), (&b, [n, self.rank])] {
                let found = self.file.shape(name).unwrap_or_default();
                if found != wanted {
                    let what = format!("shape {found:?}, expected {wanted:?} (r = {})", self.rank);
                    return Err(self.file.error(name, what));
                }
            }
            self.factors.insert(weight, [a, b]);
        }
        Ok(())
    }

    /// Compares a list of target modules with the tensors; a pattern in one text is taken as it was used.
    fn match_targets(&self, targets: Option<&Value>, path: &Path) -> Result<(), PolicyError> {
        let fail = |what: String| Err(file_error(path, what));
        let Some(Value::Array(targets)) = targets else {
            return match targets {
                Some(Value::String(_)) => Ok(()),
                other => {
                    let found = other.map_or("missing".into(), shown);
                    fail(format!(
                        "target_modules: {found}, expected a list of names or a pattern"
                    ))
                }
            };
        };
        let layer = |weight: &str| weight.trim_end_matches(".weight").to_owned();
        let hits = |target: &str, weight: &str| {
            let layer = layer(weight);
            layer == target || layer.ends_with(&format!(".{target}"))
        };
        for target in targets {
            let Some(name) = target.as_str() else {
                return fail(format!(
                    "target_modules: {}, expected a name",
                    shown(target)
                ));
            };
            if !self.factors.keys().any(|weight| hits(name, weight)) {
                return fail(format!(
                    "target_modules: `{name}`, and {MODEL_FILE} has no tensor for it"
                ));
            }
        }
        let named = |weight: &&String| {
            targets
                .iter()
                .any(|t| t.as_str().is_some_and(|t| hits(t, weight)))
        };
        match self.factors.keys().find(|weight| !named(weight)) {
            Some(weight) => fail(format!(
                "target_modules: {MODEL_FILE} changes `{}`, which is not listed",
                layer(weight)
            )),
            None => Ok(()),
        }
    }

    /// True if the adapter changes a tensor.
    pub fn changes(&self, name: &str) -> bool {
        self.factors.contains_key(name)
    }

    /// Adds `s B A` to weights `[outputs, inputs]`, if the adapter changes them. Each sum runs over the rank in order, in
    /// f64, so that it depends on neither threads nor instruction sets.
    ///
    /// # Errors
    /// Names file and tensor of a factor that cannot be read or is not finite.
    pub fn add_delta(&self, name: &str, weights: &mut [f32]) -> Result<(), PolicyError> {
        let Some([a, b]) = self.factors.get(name) else {
            return Ok(());
        };
        let (a, b) = (self.file.f32(a)?, self.file.f32(b)?);
        let columns = a.len() / self.rank;
        let rows = weights.par_chunks_mut(columns).zip(b.par_chunks(self.rank));
        rows.for_each(|(row, b)| {
            let mut sums = vec![0f64; columns];
            for (b, a) in b.iter().zip(a.chunks_exact(columns)) {
                let b = f64::from(*b);
                sums.iter_mut()
                    .zip(a)
                    .for_each(|(sum, a)| *sum += b * f64::from(*a));
            }
            for (weight, sum) in row.iter_mut().zip(sums) {
                *weight = (f64::from(*weight) + f64::from(self.scale) * sum) as f32;
            }
        });
        Ok(())
    }
}

/// Weight and side (0: A, 1: B) of a tensor of an adapter; an adapter's own name may stand behind the side.
fn target(name: &str) -> Option<(String, usize)> {
    let layer = name.strip_suffix(".weight")?;
    for (side, part) in [".lora_A", ".lora_B"].into_iter().enumerate() {
        if let Some((layer, rest)) = layer.split_once(part)
            && (rest.is_empty() || rest == ".default")
        {
            return Some((format!("{layer}.weight"), side));
        }
    }
    None
}

/// Rank and factor of the change.
fn scale(config: &Map<String, Value>) -> Result<(usize, f32), String> {
    // A null counts as absent; empty lists and patterns change nothing.
    check_fields(config, &[FIELDS], "")?;
    match config.get("init_lora_weights") {
        Some(Value::String(way)) if way != "gaussian" && way != "eva" && way != "orthogonal" => {
            return Err(format!(
                "init_lora_weights: `{way}` changes the base model, only true, false, `gaussian`, `orthogonal` or `eva` are merged"
            ));
        }
        _ => {}
    }
    let rank = config.get("r").and_then(Value::as_u64).unwrap_or(0);
    if !(1..=MAX_RANK).contains(&rank) {
        return Err(format!("r {rank}, expected 1 to {MAX_RANK}"));
    }
    let alpha = config.get("lora_alpha").and_then(Value::as_f64);
    let Some(alpha) = alpha.filter(|alpha| alpha.is_finite()) else {
        return Err("lora_alpha: missing".into());
    };
    let slow = config.get("use_rslora") == Some(&Value::Bool(true));
    let divisor = if slow {
        (rank as f64).sqrt()
    } else {
        rank as f64
    };
    Ok((rank as usize, (alpha / divisor) as f32))
}
