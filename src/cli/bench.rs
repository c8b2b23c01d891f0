//! `bitvla-eval bench`.

use super::BenchArgs;
use super::subcommands::all_cores;
use crate::bench::prepare;
use crate::{BenchPlan, BenchReport, EvalError, Model, bench, bench_table};
use bitvla_policies::WeightFormat;
use bitvla_policies::weights::WeightEncoding;
use std::path::Path;
use std::process::{Command, ExitCode};

pub(super) fn measure(args: &BenchArgs) -> Result<ExitCode, EvalError> {
    let Some(format) = args.policy.format() else {
        return Err(EvalError::Input(
            "the expert has no weights to measure".into(),
        ));
    };
    let plan = BenchPlan {
        model: args.model,
        format,
        stored: match args.dtype.as_str() {
            "f32" => WeightEncoding::F32,
            _ => WeightEncoding::Bf16,
        },
        checkpoint: (args.weights != "synthetic").then(|| args.weights.clone().into()),
        threads: args.threads.unwrap_or_else(all_cores),
        queries: args.queries,
        seed: args.seed,
    };
    if let Some(packed) = &args.packed {
        return report(
            args,
            &bench(&plan, Some(packed), &mut |what| eprintln!("{what}"))?,
        );
    }
    std::fs::create_dir_all(&args.out).map_err(EvalError::io(&args.out))?;
    // What is small enough is measured from a packed file, in a process that has done nothing else.
    let small = plan.model == Model::BitVla3b && format != WeightFormat::Full;
    if plan.checkpoint.is_none() && small {
        let name = format!(
            "{}-{}-{}-{}.safetensors",
            args.model.name(),
            format.name(),
            args.dtype,
            args.seed
        );
        let path = args.out.join(name);
        if !path.is_file() {
            eprintln!("writing {}", path.display());
            prepare(&plan, &path)?;
        }
        return again(args, &plan, &path);
    }
    report(args, &bench(&plan, None, &mut |what| eprintln!("{what}"))?)
}

/// The same command in a new process, on a packed file.
fn again(args: &BenchArgs, plan: &BenchPlan, packed: &Path) -> Result<ExitCode, EvalError> {
    let program = std::env::current_exe().map_err(EvalError::io(Path::new("this program")))?;
    let status = Command::new(&program)
        .args([
            "bench",
            "--model",
            args.model.name(),
            "--policy",
            plan.format.name(),
        ])
        .args([
            "--dtype",
            &args.dtype,
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
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn report(args: &BenchArgs, report: &BenchReport) -> Result<ExitCode, EvalError> {
    std::fs::create_dir_all(&args.out).map_err(EvalError::io(&args.out))?;
    let stem = Path::new(&report.model).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let name = format!(
        "{stem}-{}-{}-{}t.json",
        report.policy, report.stored, report.threads
    );
    let path = args.out.join(name);
    let text = serde_json::to_string_pretty(report).map_err(|e| EvalError::Input(e.to_string()))?;
    std::fs::write(&path, text + "\n").map_err(EvalError::io(&path))?;
    print!("{}", bench_table(report));
    println!("\n{}", path.display());
    Ok(ExitCode::SUCCESS)
}
