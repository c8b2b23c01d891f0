//! The subcommand `check`: success, latency and memory against a committed baseline, with an exit code for CI.

use super::compare::run_folders;
use super::jobs::all_cores;
use super::output;
use super::subcommands::recorded_suite;
use crate::agent::registry::parse_positive;
use crate::asset_resolver::AssetResolver;
use crate::{EvalError, FirstDifference, RecordedFrames, Recording, open_run_folder, replay};
use bitvla_reports::{
    Baseline, Check, CostRule, GateRule, ReportError, RunFolder, TERMINAL_COLUMNS, plan_table,
    wrap, write_atomically, write_json,
};
use clap::Args;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of a check.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Run folders of one policy, or folders of them (`--suite all`)
    #[arg(value_name = "RUN_DIR", required_unless_present = "plan")]
    runs: Vec<PathBuf>,
    /// Baseline (JSON)
    #[arg(long, value_name = "FILE", required_unless_present = "plan")]
    baseline: Option<PathBuf>,
    /// Non-inferiority margin: the drop that is to be excluded, points
    #[arg(long, default_value_t = 3.0, value_parser = parse_percent, allow_negative_numbers = true, value_name = "POINTS")]
    margin: f64,
    /// Probability of a false verdict at most, %
    #[arg(long, default_value_t = 5.0, value_parser = parse_percent, allow_negative_numbers = true, value_name = "PERCENT")]
    level: f64,
    /// Growth of the processor time of a query, relative to the reference computation of the same run, that is a regression, %
    #[arg(long, default_value_t = 20.0, value_parser = parse_growth, allow_negative_numbers = true, value_name = "PERCENT")]
    latency_margin: f64,
    /// Growth of the weights that is a regression, %
    #[arg(long, default_value_t = 1.0, value_parser = parse_growth, allow_negative_numbers = true, value_name = "PERCENT")]
    weights_margin: f64,
    /// Use e-processes: one may look after every episode, and stop an unfinished run early
    #[arg(long)]
    sequential: bool,
    /// Print how many episodes the margin needs
    #[arg(long, conflicts_with_all = ["runs", "baseline", "rebaseline", "sequential"])]
    plan: bool,
    /// Success rate of the baseline that is planned with, %
    #[arg(long, default_value_t = 95.0, value_parser = parse_percent, allow_negative_numbers = true, value_name = "PERCENT")]
    success: f64,
    /// Write the baseline from these runs instead of comparing with it
    #[arg(long, requires = "reason")]
    rebaseline: bool,
    /// Reason of a new baseline, which is written into it
    #[arg(long, requires = "rebaseline", value_name = "TEXT")]
    reason: Option<String>,
    /// Also write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print workflow commands of GitHub and append to the summary of the step [default: in a GitHub workflow]
    #[arg(long)]
    github: bool,
    /// Worker threads [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    jobs: Option<usize>,
}

/// A number strictly between 0 and 100.
fn parse_percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if 0.0 < number && number < 100.0 => Ok(number),
        _ => Err("expected a number above 0 and below 100".to_owned()),
    }
}

/// A number from 0 to 1000.
fn parse_growth(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1000.0).contains(&number) => Ok(number),
        _ => Err("expected a number from 0 to 1000".to_owned()),
    }
}

impl CheckArgs {
    fn cost_rule(&self) -> CostRule {
        CostRule {
            latency_margin: self.latency_margin / 100.0,
            weights_margin: self.weights_margin / 100.0,
        }
    }

    fn rule(&self) -> GateRule {
        GateRule {
            margin: self.margin / 100.0,
            level: self.level / 100.0,
            sequential: self.sequential,
        }
    }
}

/// Compares runs with the baseline, prints the verdicts, and ends with 0 where nothing was lost, 1 for a regression, 3 where
/// more episodes are needed to tell.
pub(super) fn check(resolver: &AssetResolver, args: &CheckArgs) -> Result<ExitCode, EvalError> {
    if args.plan {
        print_plan(args);
        return Ok(ExitCode::SUCCESS);
    }
    // The parser asks for it.
    let Some(path) = &args.baseline else {
        return Err(EvalError::Input("`check` needs --baseline FILE".into()));
    };
    let mut folders = Vec::new();
    for dir in &args.runs {
        folders.extend(run_folders(dir)?);
    }
    let mut runs: Vec<RunFolder> = Vec::new();
    for folder in &folders {
        let run = open_run_folder(folder)?;
        let protocol = &run.manifest.protocol;
        if let Some(first) = runs.first().map(|run| &run.manifest.protocol)
            && first.policy != protocol.policy
        {
            return Err(EvalError::Input(format!(
                "{}: policy is {}, expected {} as in {}",
                folder.display(),
                protocol.policy,
                first.policy,
                folders[0].display()
            )));
        }
        let twice = |other: &RunFolder| other.manifest.protocol.suite == protocol.suite;
        if runs.iter().any(twice) {
            return Err(EvalError::Input(format!(
                "{}: a second run of suite {}",
                folder.display(),
                protocol.suite
            )));
        }
        runs.push(run);
    }
    let policy = match runs.first() {
        Some(run) => run.manifest.protocol.policy.clone(),
        None => return Err(EvalError::Input("no run was named".into())),
    };
    if args.rebaseline {
        let reason = args.reason.clone().unwrap_or_default();
        Baseline::of(&policy, &reason, &runs).write(path)?;
        output::print_line(&path.display().to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = read_baseline(path)?;
    let jobs = args.jobs.unwrap_or_else(all_cores);
    check_simulator(resolver, jobs, (path, &baseline), &runs)?;
    let check = baseline
        .check(&runs, args.rule(), args.cost_rule())
        .map_err(|what| EvalError::Input(format!("{}: {what}", path.display())))?;
    if baseline.policy != policy {
        output::note(&format!(
            "note: the baseline is of policy `{}`, the run of `{policy}`",
            baseline.policy
        ));
    }
    report(args, &check)?;
    Ok(ExitCode::from(check.verdict.exit_code()))
}

/// Reads a baseline; the error of a missing one says how it is made.
pub(super) fn read_baseline(path: &Path) -> Result<Baseline, EvalError> {
    if path.exists() {
        return Ok(Baseline::read(path)?);
    }
    Err(EvalError::Input(format!(
        "{} is missing: `check RUN --baseline FILE --rebaseline --reason TEXT` writes it",
        path.display()
    )))
}

fn print_plan(args: &CheckArgs) {
    let rule = args.rule();
    let words = format!(
        "Episodes from which a verdict is reached in 80 % of all checks, with a margin of {} points at {} %, where the baseline succeeds in {} %. \
         `held`: for a policy that is as good. `drop of N`: `regressed` for one that loses N points more than it gains. Discordant: \
         episodes in which one of two equally good policies succeeds alone.",
        args.margin, args.level, args.success
    );
    for line in wrap(&words, TERMINAL_COLUMNS) {
        output::print_line(&line);
    }
    output::print_line("");
    output::print(&plan_table(args.success / 100.0, rule).text());
}

/// Repeats the recorded episodes of the baseline: where one ends in another state, or is seen in other frames, the simulator has changed,
/// and outcomes say nothing about the policy.
pub(super) fn check_simulator(
    resolver: &AssetResolver,
    jobs: usize,
    (path, baseline): (&Path, &Baseline),
    runs: &[RunFolder],
) -> Result<(), EvalError> {
    for run in runs {
        let suite = &run.manifest.protocol.suite;
        let Some(recorded) = baseline.suites.get(suite) else {
            continue;
        };
        let episodes = recorded
            .recorded_actions()
            .map_err(|what| EvalError::format(path, what))?;
        let mut manifest = run.manifest.clone();
        manifest.protocol = recorded.protocol.clone();
        manifest.tasks = episodes.iter().map(|e| e.task).collect();
        let loaded = recorded_suite(resolver, path, &manifest)?;
        let context = loaded.context(manifest.protocol.seed);
        let hashes = recorded
            .recorded_hashes()
            .map_err(|what| EvalError::format(path, what))?;
        let recording = Recording {
            episodes: &episodes,
            hashes: &hashes,
            frames: RecordedFrames::of(&recorded.protocol),
        };
        let replayed = replay(context, &recording, jobs, &mut |_| {})?;
        if let Some(r) = replayed.iter().find(|r| !r.identical()) {
            let what = match r.first {
                Some(FirstDifference::Frames { query, step }) => {
                    format!(
                        "query {query}, step {step}, sees other frames in the same state: the renderer"
                    )
                }
                _ => format!(
                    "the recorded actions end in state {:016x}, expected {:016x}: the simulator",
                    r.now, r.recorded
                ),
            };
            return Err(EvalError::Input(format!(
                "{}: suite {suite}, task {}, initial state {}: {what} has changed, outcomes cannot be compared",
                path.display(),
                r.task,
                r.init
            )));
        }
    }
    Ok(())
}

fn report(args: &CheckArgs, check: &Check) -> Result<(), EvalError> {
    output::print(&check.summary());
    if let Some(file) = &args.junit {
        write_atomically(file, check.junit().as_bytes())?;
    }
    if let Some(file) = &args.json {
        write_json(file, check)?;
    }
    if let Some(file) = &args.markdown {
        write_atomically(file, check.markdown().as_bytes())?;
    }
    let in_workflow = std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true");
    if args.github || in_workflow {
        output::print(&format!("\n{}", check.annotations()));
        if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) {
            append(&file, &check.markdown()).map_err(ReportError::io(&file))?;
        }
    }
    Ok(())
}

fn append(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(text.as_bytes())
}
