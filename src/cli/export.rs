//! `export`: a checkpoint as an ONNX file.

use super::output;
use crate::EvalError;
use crate::agent::registry::{
    PolicyName, PolicyOptions, PolicySpec, open_checkpoint, parse_positive,
};
use crate::asset_resolver::AssetResolver;
use crate::calibration::demonstrations;
use bitvla_policies::WeightFormat;
use bitvla_policies::onnx::{
    MODEL_FILE, OnnxContents, OnnxValue, calibrate_onnx, export_onnx, export_onnx_int8,
};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// File format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// ONNX, for `--policy onnx:FILE` and every other program that runs it.
    Onnx,
}

/// Options of an export.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// File format
    #[arg(long, value_enum, default_value = "onnx")]
    format: ExportFormat,
    /// Policy whose weights are written: full, or ternary with simulated int8 activations
    #[arg(long, default_value = "full", value_name = "NAME")]
    policy: PolicyName,
    /// Folder of a checkpoint as published, or a packed file [default: the one that ships for the suite]
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Suite whose checkpoint is taken, and whose demonstrations give the ranges of --int8
    #[arg(long, default_value = "spatial", value_name = "NAME")]
    suite: String,
    /// Quantise linear layers after training: int8 weights with a scale per output, int8 activations with static ranges
    #[arg(long)]
    int8: bool,
    /// Observations of demonstrations that the ranges of --int8 are taken from
    #[arg(long, default_value_t = 300, value_parser = parse_positive, value_name = "N")]
    observations: usize,
    /// Library of ONNX Runtime, for --int8 [default: ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    ort_lib: Option<PathBuf>,
    /// Folder of the exported model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the model and says what it holds.
pub(super) fn export(resolver: &AssetResolver, args: &ExportArgs) -> Result<ExitCode, EvalError> {
    let ExportFormat::Onnx = args.format;
    let format = match args.policy.weights() {
        Some(format @ (WeightFormat::Full | WeightFormat::Ternary)) => format,
        _ => {
            return Err(EvalError::Input(format!(
                "--policy {}: found `{}`, expected full or ternary; int8 is `--policy full --int8`",
                args.policy, args.policy
            )));
        }
    };
    if args.int8 && format != WeightFormat::Full {
        let what = format!("--int8 quantises the policy full, not `{}`", args.policy);
        return Err(EvalError::Input(what));
    }
    let options = PolicyOptions {
        checkpoint: args.checkpoint.clone(),
        ..PolicyOptions::default()
    };
    let assets = resolver.builtin_assets()?;
    let mut spec = PolicySpec::new(args.policy.clone(), options, assets.dir());
    spec.suite = Some(args.suite.clone());
    let checkpoint = spec.checkpoint_path();
    if args.int8 {
        let loaded = resolver.open(&args.suite)?;
        let policy = open_checkpoint(&spec, format)?;
        output::note(&format!(
            "{} observations of demonstrations",
            args.observations
        ));
        let suite = (&loaded.assets, &loaded.suite);
        let inputs = demonstrations(suite.0, suite.1, &policy, args.observations)?;
        let library = args.ort_lib.as_deref();
        let ranges = calibrate_onnx(&checkpoint, &inputs, &args.out, library)?;
        output::note(&format!("ranges of {} layers", ranges.layers()));
        export_onnx_int8(&checkpoint, &ranges, &args.out)?;
    } else {
        export_onnx(&checkpoint, format, &args.out)?;
    }
    let file = args.out.join(MODEL_FILE);
    let contents = OnnxContents::read(&file)?;
    let list = |values: &[OnnxValue]| {
        let words = values.iter().map(OnnxValue::to_string);
        words.collect::<Vec<_>>().join(", ")
    };
    output::print(&format!(
        "{}\n  weights: {}\n  inputs: {}\n  outputs: {}\n",
        file.display(),
        contents.describe_weights(),
        list(&contents.inputs),
        list(&contents.outputs)
    ));
    Ok(ExitCode::SUCCESS)
}
