//! `--view`: hands over to the window, a program of its own beside this one.

use super::RunArgs;
use super::child_process::run_to_end;
use crate::provenance::this_program;
use crate::{AssetArgs, EvalError, SimulatedLatency};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Name of the window's program.
const PROGRAM: &str = "bitvla-view";

/// Opens the window on what a run would begin with.
pub(super) fn live(sources: &AssetArgs, args: &RunArgs) -> Result<ExitCode, EvalError> {
    let mut words: Vec<OsString> = Vec::new();
    let mut say = |option: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        words.extend([option.into(), value.as_ref().to_owned()]);
    };
    match &sources.bddl {
        Some(file) => say("--suite", file),
        None => say("--suite", &args.suite),
    }
    for (option, policy) in ["--policy", "--versus"].iter().zip(args.policy.iter()) {
        say(option, &policy.to_string());
    }
    if args.policy.count() > 2 {
        return Err(EvalError::Input(format!(
            "--view: the window shows two policies at most, found `{}`",
            args.policy
        )));
    }
    say("--threads", &args.options.threads.to_string());
    say("--engine", &args.options.engine.name());
    say("--seed", &args.seed().to_string());
    if let Some(task) = args.tasks.as_ref().and_then(|tasks| tasks.first()) {
        say("--task", &task.to_string());
    }
    if let Some(checkpoint) = &args.options.checkpoint {
        say("--checkpoint", checkpoint);
    }
    if let Some(key) = &args.options.normaliser_key {
        say("--normaliser-key", key);
    }
    if args.options.verify_checksums {
        words.push("--verify-checksums".into());
    }
    match &args.options.latency {
        None => {}
        Some(SimulatedLatency::Given { name, ms }) if ms.len() == 1 => {
            words.extend(["--latency".into(), name.into()]);
        }
        Some(latency) => {
            return Err(EvalError::Input(format!(
                "--view: found --latency {latency}, expected one number of milliseconds"
            )));
        }
    }
    for words_of_axis in &args.perturb {
        words.extend(["--perturb".into(), words_of_axis.into()]);
    }
    if let Some(noise) = args.options.action_noise {
        return Err(EvalError::Input(format!(
            "--view: --action-noise {noise} cannot be shown; run without --view, then `bitvla-eval replay RUN_DIR --view`"
        )));
    }
    if let Some(sanity) = args.options.sanity {
        words.extend(["--sanity".into(), sanity.name().into()]);
    }
    open(sources, words)
}

/// Opens the window on a run folder.
pub(super) fn recorded(sources: &AssetArgs, run_dir: &Path) -> Result<ExitCode, EvalError> {
    open(sources, vec![run_dir.into()])
}

fn open(sources: &AssetArgs, mut words: Vec<OsString>) -> Result<ExitCode, EvalError> {
    let folders = [
        ("--assets", &sources.assets),
        ("--libero", &sources.libero),
        ("--robosuite", &sources.robosuite),
        ("--fixtures", &sources.fixtures),
        ("--bddl", &sources.bddl),
        ("--init-file", &sources.init_file),
    ];
    for (option, folder) in folders {
        if let Some(folder) = folder {
            words.extend([option.into(), folder.into()]);
        }
    }
    if let Some(rule) = &sources.instruction {
        words.extend(["--instruction".into(), rule.to_string().into()]);
    }
    if let Some(horizon) = sources.horizon {
        words.extend(["--horizon".into(), horizon.to_string().into()]);
    }
    let program =
        this_program()?.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        return Err(EvalError::Input(format!(
            "{} is not built: `cargo build --release -p bitvla-viewer` makes it, once, in about a quarter of an hour",
            program.display()
        )));
    }
    Ok(run_to_end(Command::new(&program).args(words))?.into())
}
