//! `bitvla-eval bench`.

use super::child_process::run_to_end;
use super::jobs::start_loading_threads;
use super::{BenchArgs, output};
use crate::bench::prepare;
use crate::provenance::this_program;
use crate::{
    AssetResolver, BenchModel, BenchPlan, BenchReport, EvalError, PolicyOptions, PolicySpec, bench,
    bench_table, comparison_table,
};
use bitvla_policies::kernels::Isa;
use bitvla_policies::weights::WeightEncoding;
use bitvla_policies::{Engine, WeightFormat};
use bitvla_reports::{StagedFile, read_json, write_json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

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
                let code = run_to_end(this_command()?.arg("--packed").arg(path))?;
                return Ok(code.into());
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
    if let Some(isa) = args.isa.iter().find(|isa| !isa.supported()) {
        let available: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        return Err(EvalError::Input(format!(
            "--isa {}: this processor has {}",
            isa.name(),
            available.join(", ")
        )));
    }
    let mut reports: Vec<BenchReport> = Vec::new();
    for isa in &args.isa {
        let code = run_to_end(this_command()?.env("BITVLA_ISA", isa.name()))?;
        if code != 0 {
            return Ok(code.into());
        }
        reports.push(read_json(&report_path(args, format, Engine::Native, *isa))?);
        output::print_line("");
    }
    if reports.len() > 1 {
        output::print_line(&comparison_table(&reports));
    }
    Ok(ExitCode::SUCCESS)
}

/// The same command in a new process, with the instruction set that its environment names.
fn this_command() -> Result<Command, EvalError> {
    let mut command = Command::new(this_program()?);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        if word == "--isa" {
            words.next();
        } else if !word.to_string_lossy().starts_with("--isa=") {
            command.arg(word);
        }
    }
    Ok(command)
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
