//! `bitvla-eval bench`.

use super::jobs::{all_cores, start_loading_threads};
use super::{BenchArgs, output};
use crate::bench::prepare;
use crate::{
    AssetResolver, BenchModel, BenchPlan, BenchReport, EvalError, PolicyOptions, PolicySpec, bench,
    bench_table, comparison_table,
};
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{Engine, WeightFormat};
use bitvla_reports::{StagedFile, write_json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub(super) fn measure(resolver: &AssetResolver, args: &BenchArgs) -> Result<ExitCode, EvalError> {
    let Some(format) = args.policy.weights() else {
        return Err(EvalError::Input(format!(
            "`{}` has no weights to measure",
            args.policy
        )));
    };
    start_loading_threads()?;
    let named = args.checkpoint.clone();
    let weights = (args.weights != "synthetic").then(|| PathBuf::from(&args.weights));
    let checkpoint = match named.or(weights) {
        Some(path) => {
            let assets = resolver.builtin_assets()?;
            let options = PolicyOptions::with_checkpoint(&path);
            Some(PolicySpec::new(args.policy.clone(), options, assets.dir()))
        }
        None => None,
    };
    if checkpoint.is_some() {
        refuse_synthetic_options(args)?;
    }
    std::fs::create_dir_all(&args.out).map_err(EvalError::io(&args.out))?;
    let mut reports = Vec::new();
    for &engine in &args.engine {
        let plan = plan(args, format, engine, checkpoint.clone());
        // A network that is small enough is measured from a packed file, in a process that has done nothing else.
        let small = plan.model == BenchModel::BitVla3b && format != WeightFormat::Full;
        if args.packed.is_none() && checkpoint.is_none() && small && engine == Engine::Native {
            let path = packed_synthetic(args, &plan)?;
            if let [_] = args.engine.as_slice() {
                return run_in_new_process(args, &plan, &path);
            }
        }
        let report = bench(&plan, args.packed.as_deref(), &mut |what| {
            output::note(what);
        })?;
        print_report(args, &report)?;
        reports.push(report);
    }
    if reports.len() > 1 {
        output::print_line(&format!("\n{}", comparison_table(&reports)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses options of a synthetic network beside a checkpoint, which they do not change.
fn refuse_synthetic_options(args: &BenchArgs) -> Result<(), EvalError> {
    EvalError::refuse_options(
        &[
            ("model", args.model.is_some()),
            ("dtype", args.dtype.is_some()),
            ("seed", args.seed.is_some()),
        ],
        " describes a synthetic network: leave it out beside a checkpoint",
    )
}

fn plan(
    args: &BenchArgs,
    format: WeightFormat,
    engine: Engine,
    checkpoint: Option<PolicySpec>,
) -> BenchPlan {
    let threads = args.threads.unwrap_or_else(all_cores);
    BenchPlan {
        model: args.model(),
        format,
        stored: match args.dtype() {
            "f32" => WeightEncoding::F32,
            _ => WeightEncoding::Bf16,
        },
        engine,
        checkpoint: checkpoint.map(|spec| PolicySpec {
            options: PolicyOptions {
                engine,
                threads,
                ..spec.options
            },
            ..spec
        }),
        threads,
        queries: args.queries,
        seed: args.seed(),
    }
}

/// Packed file of a synthetic network, written if it is not there.
fn packed_synthetic(args: &BenchArgs, plan: &BenchPlan) -> Result<PathBuf, EvalError> {
    let path = args.out.join(format!(
        "{}-{}-{}-{}.safetensors",
        args.model().name(),
        plan.format.name(),
        args.dtype(),
        args.seed()
    ));
    if !path.is_file() {
        output::note(&format!("writing {}", path.display()));
        let staged = StagedFile::beside(&path)?;
        prepare(plan, staged.path())?;
        staged.commit()?;
    }
    Ok(path)
}

/// The same command in a new process, on a packed file.
fn run_in_new_process(
    args: &BenchArgs,
    plan: &BenchPlan,
    packed: &Path,
) -> Result<ExitCode, EvalError> {
    let program = std::env::current_exe().map_err(EvalError::io(Path::new("this program")))?;
    let status = Command::new(&program)
        .args([
            "bench",
            "--model",
            args.model().name(),
            "--policy",
            plan.format.name(),
        ])
        .args([
            "--dtype",
            args.dtype(),
            "--threads",
            &plan.threads.to_string(),
        ])
        .args([
            "--queries",
            &plan.queries.to_string(),
            "--seed",
            &plan.seed.to_string(),
        ])
        .arg("--out")
        .arg(&args.out)
        .arg("--packed")
        .arg(packed)
        .status()
        .map_err(EvalError::io(&program))?;
    // A process that a signal ended has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn print_report(args: &BenchArgs, report: &BenchReport) -> Result<(), EvalError> {
    let stem = Path::new(&report.model).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let engine = match report.engine.as_str() {
        "native" => String::new(),
        other => format!("-{other}"),
    };
    let name = format!(
        "{stem}-{}{engine}-{}-{}t.json",
        report.policy, report.stored, report.threads
    );
    let path = args.out.join(name);
    write_json(&path, report)?;
    output::print(&bench_table(report));
    output::print_line(&format!("\n{}", path.display()));
    Ok(())
}
