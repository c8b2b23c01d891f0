//! `bitvla-eval bench`.

use super::jobs::start_loading_threads;
use super::{BenchArgs, output};
use crate::bench::prepare;
use crate::{
    AssetResolver, BenchModel, BenchPlan, BenchReport, EvalError, PolicyOptions, PolicySpec, bench,
    bench_table, comparison_table,
};
use bitvla_policies::kernels::Isa;
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{Engine, WeightFormat};
use bitvla_reports::{StagedFile, read_json, write_json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

pub(super) fn measure(resolver: &AssetResolver, args: &BenchArgs) -> Result<ExitCode, EvalError> {
    let Some(format) = args.policy.weights() else {
        return Err(EvalError::Input(format!(
            "`{}` has no weights to measure",
            args.policy
        )));
    };
    if !args.isa.is_empty() {
        return compare_instruction_sets(args, format);
    }
    start_loading_threads()?;
    let checkpoint = match args.checkpoint_path() {
        Some(path) => {
            let assets = resolver.builtin_assets()?;
            let options = PolicyOptions::with_checkpoint(path);
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
        print_report(&report_path(args, format, engine, Isa::active()), &report)?;
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
    let threads = args.threads();
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

/// Measures each instruction set in a process of its own, then prints them side by side.
fn compare_instruction_sets(args: &BenchArgs, format: WeightFormat) -> Result<ExitCode, EvalError> {
    let missing = |isa: &&Isa| !isa.supported();
    if let Some(isa) = args.isa.iter().find(missing) {
        let available: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        return Err(EvalError::Input(format!(
            "--isa {}: this processor has {}",
            isa.name(),
            available.join(", ")
        )));
    }
    let program = this_program()?;
    let mut reports: Vec<BenchReport> = Vec::new();
    for isa in &args.isa {
        let path = report_path(args, format, Engine::Native, *isa);
        let status = Command::new(&program)
            .args(without_option(std::env::args_os().skip(1), "--isa"))
            .env("BITVLA_ISA", isa.name())
            .status()
            .map_err(EvalError::io(&program))?;
        if !status.success() {
            return Ok(exit_code(status));
        }
        reports.push(read_json(&path)?);
        output::print_line("");
    }
    if reports.len() > 1 {
        output::print_line(&comparison_table(&reports));
    }
    Ok(ExitCode::SUCCESS)
}

/// A command line without an option and its value.
fn without_option(words: impl Iterator<Item = OsString>, option: &str) -> Vec<OsString> {
    let joined = format!("{option}=");
    let mut value_follows = false;
    words
        .filter(|word| {
            let is_value = std::mem::replace(&mut value_follows, word == option);
            !is_value && word != option && !word.to_string_lossy().starts_with(&joined)
        })
        .collect()
}

fn this_program() -> Result<PathBuf, EvalError> {
    std::env::current_exe().map_err(EvalError::io(Path::new("this program")))
}

/// The code of a process that has ended; 1 if a signal ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

/// The same command in a new process, on a packed file.
fn run_in_new_process(
    args: &BenchArgs,
    plan: &BenchPlan,
    packed: &Path,
) -> Result<ExitCode, EvalError> {
    let program = this_program()?;
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
    Ok(exit_code(status))
}

/// The file of a report: measurements that differ in the network, the engine, the threads or the instruction set have
/// files of their own.
fn report_path(args: &BenchArgs, format: WeightFormat, engine: Engine, isa: Isa) -> PathBuf {
    let (model, stored) = match args.checkpoint_path() {
        Some(path) => (
            path.file_stem().unwrap_or_default().to_string_lossy(),
            "checkpoint",
        ),
        None => (args.model().name().into(), args.dtype()),
    };
    let engine = match engine {
        Engine::Native => String::new(),
        Engine::Candle => format!("-{}", engine.name()),
    };
    args.out.join(format!(
        "{model}-{}{engine}-{stored}-{}t-{}.json",
        format.name(),
        args.threads(),
        isa.name()
    ))
}

fn print_report(path: &Path, report: &BenchReport) -> Result<(), EvalError> {
    write_json(path, report)?;
    output::print(&bench_table(report));
    output::print_line(&format!("\n{}", path.display()));
    Ok(())
}
