//! The subcommand `report`: one file about runs, to be read in a browser, put into a pull request, or read by another harness.

use super::check::{check_simulator, read_baseline};
use super::compare::{RunOrigins, labelled, open_policies};
use super::jobs::all_cores;
use super::output;
use super::repeat_command::{evaluate_command, replay_command};
use super::subcommands::recorded_suite;
use crate::agent::registry::{parse_positive, parse_whole};
use crate::animation::{ANIMATION_SIZE, animate};
use crate::asset_resolver::{AssetResolver, LoadedSuite};
use crate::{EvalError, ReplayRecord};
use bitvla_reports::{
    Comparison, CostRule, EpisodeAnimation, GateRule, PolicyVerdict, ROBUSTNESS_FILE, Replay,
    Report, Robustness, RunCommands, RunFolder, format_bytes, html_report, markdown_report,
    vla_eval_result, write_json, write_text,
};
use clap::{Args, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of a report.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Run folders, or folders of them (`--suite all`); several policies are compared with the first; LABEL=DIR gives a run
    /// another name than its policy's
    #[arg(required = true, value_name = "[LABEL=]RUN_DIR")]
    runs: Vec<String>,
    /// The file to write [default: runs/report.html, runs/report.md, runs/results.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value = "html")]
    format: ReportFormat,
    /// Baseline of `check`, for verdicts with its default margin and level
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Animations of the first N failed episodes by suite, task and initial state, inside the HTML file
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = parse_whole::<usize>)]
    animations: usize,
    /// Episodes that the page repeats with the simulator inside it: the first N failed ones by suite, task and initial state, or those of
    /// all policies with these tasks and initial states
    #[arg(long, value_name = "N|TASK:STATE,...")]
    replay: Option<ReplayChoice>,
    /// Folder of `sweep --perturb`, for a part about success under perturbation
    #[arg(long, value_name = "DIR")]
    robustness: Option<PathBuf>,
    /// Worker threads that repeat the recorded episodes of the baseline [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    jobs: Option<usize>,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// One self-contained HTML file
    Html,
    /// Tables for a pull request
    Markdown,
    /// `results.json` in the schema of vla-evaluation-harness 0.8.0, one file per run
    VlaEval,
}

impl ReportFormat {
    fn default_file(self) -> &'static Path {
        Path::new(match self {
            ReportFormat::Html => "runs/report.html",
            ReportFormat::Markdown => "runs/report.md",
            ReportFormat::VlaEval => "runs/results.json",
        })
    }
}

/// Reads the runs, writes the report and prints where it is.
pub(super) fn report(resolver: &AssetResolver, args: &ReportArgs) -> Result<ExitCode, EvalError> {
    let html = args.format == ReportFormat::Html;
    let only = [
        ("animations", args.animations > 0 && !html),
        ("replay", args.replay.is_some() && !html),
    ];
    EvalError::refuse_options(&only, " needs `--format html`")?;
    let vla_eval = args.format == ReportFormat::VlaEval;
    let only = [
        ("baseline", args.baseline.is_some() && vla_eval),
        ("robustness", args.robustness.is_some() && vla_eval),
    ];
    EvalError::refuse_options(&only, " needs `--format html` or `--format markdown`")?;

    let runs: Vec<_> = args.runs.iter().map(|run| labelled(run)).collect();
    let (policies, origins) = open_policies(&runs)?;
    let out = args.out.as_deref();
    let out = out.unwrap_or_else(|| args.format.default_file());
    if vla_eval {
        let runs = policies.iter().flat_map(|policy| {
            let runs = policy.runs.values();
            runs.map(|run| (policy.label.as_str(), run))
        });
        return write_vla_eval(&runs.collect::<Vec<_>>(), out);
    }
    let comparison = Comparison::of_any(policies).map_err(EvalError::Input)?;
    let mut report = Report {
        verdicts: Vec::new(),
        commands: commands(&comparison, &origins),
        animations: Vec::new(),
        replay: None,
        robustness: args
            .robustness
            .as_deref()
            .map(read_robustness)
            .transpose()?,
        comparison,
    };
    if let Some(path) = &args.baseline {
        let jobs = args.jobs.unwrap_or_else(all_cores);
        report.verdicts = verdicts(resolver, jobs, path, &report.comparison)?;
    }
    if args.animations > 0 {
        report.animations = animations(resolver, &report.comparison, &origins, args.animations)?;
    }
    if let Some(choice) = &args.replay {
        report.replay = replay(resolver, &report.comparison, &origins, choice)?;
    }
    let text = match args.format {
        ReportFormat::Markdown => markdown_report(&report),
        _ => html_report(&report)?,
    };
    create_folder(out)?;
    write_text(out, &text)?;
    output::print_line(&format!(
        "{}  {}",
        out.display(),
        format_bytes(text.len() as u64)
    ));
    if args.animations > 0 {
        let bytes: usize = report.animations.iter().map(|a| a.png.len()).sum();
        // As base64 in the file.
        let bytes = format_bytes(bytes.div_ceil(3) as u64 * 4);
        output::print_line(&format!(
            "animations of {} failed episodes take {bytes} of it",
            report.animations.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what a sweep has measured.
fn read_robustness(dir: &Path) -> Result<Robustness, EvalError> {
    let path = dir.join(ROBUSTNESS_FILE);
    match path.is_file() {
        true => Ok(Robustness::read(&path)?),
        false => Err(EvalError::Input(format!(
            "{} is missing: not the folder of a finished `sweep --perturb`",
            path.display()
        ))),
    }
}

fn create_folder(file: &Path) -> Result<(), EvalError> {
    match file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => std::fs::create_dir_all(dir).map_err(EvalError::io(dir)),
        None => Ok(()),
    }
}

/// Writes a file per run: the named one for a single run, else with label and suite in its name.
fn write_vla_eval(runs: &[(&str, &RunFolder)], out: &Path) -> Result<ExitCode, EvalError> {
    create_folder(out)?;
    let mut written = BTreeSet::new();
    for (label, run) in runs {
        let file = match runs.len() {
            1 => out.to_owned(),
            _ => {
                let stem = out.file_stem().unwrap_or_default().to_string_lossy();
                let suite = &run.manifest.protocol.suite;
                let name = file_name(&format!("{stem}-{label}-{suite}"));
                out.with_file_name(format!("{name}.json"))
            }
        };
        if !written.insert(file.clone()) {
            return Err(EvalError::Input(format!(
                "{}: two runs would be written to this file; LABEL=DIR gives a run another label",
                file.display()
            )));
        }
        write_json(&file, &vla_eval_result(run))?;
        output::print_line(&file.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// A name without characters that mean something in a path; `.` and `..` are names of folders.
pub(super) fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let dot = if name.starts_with('.') { "_" } else { "" };
    let name = name.chars().map(|c| if plain(c) { c } else { '_' });
    dot.chars().chain(name).collect()
}

fn commands(comparison: &Comparison, origins: &RunOrigins) -> Vec<RunCommands> {
    let mut commands = Vec::new();
    for policy in comparison.policies() {
        let own = (policy.runs.iter()).filter(|(_, run)| !run.manifest.protocol.is_imported());
        for (suite, run) in own {
            let origin = origins.get(&(policy.label.clone(), suite.clone()));
            commands.push(RunCommands {
                label: policy.label.clone(),
                suite: suite.clone(),
                evaluate: evaluate_command(&run.manifest),
                replay: origin.map_or_else(String::new, |folder| replay_command(folder)),
            });
        }
    }
    commands
}

/// Verdicts about every policy, after the simulator has repeated the episodes of the baseline.
fn verdicts(
    resolver: &AssetResolver,
    jobs: usize,
    path: &Path,
    comparison: &Comparison,
) -> Result<Vec<PolicyVerdict>, EvalError> {
    let baseline = read_baseline(path)?;
    let mut verdicts = Vec::new();
    let mut repeated = BTreeSet::new();
    for policy in comparison.policies() {
        let runs: Vec<RunFolder> = policy.runs.values().cloned().collect();
        let first = runs
            .iter()
            .filter(|run| repeated.insert(run.manifest.protocol.suite.clone()));
        let first: Vec<RunFolder> = first.cloned().collect();
        check_simulator(resolver, jobs, (path, &baseline), &first)?;
        let check = baseline.check(&runs, GateRule::default(), CostRule::default());
        verdicts.push(PolicyVerdict {
            label: policy.label.clone(),
            baseline_policy: baseline.policy.clone(),
            reason: baseline.reason.clone(),
            check: check.map_err(|what| {
                EvalError::Input(format!("{}: {}: {what}", path.display(), policy.label))
            })?,
        });
    }
    Ok(verdicts)
}

/// Failed episodes of a suite, by task and initial state, then policy: key and index of the policy.
fn failed_episodes(comparison: &Comparison, suite: &str) -> Vec<((usize, usize), usize)> {
    let mut failed = Vec::new();
    for (i, policy) in comparison.policies().iter().enumerate() {
        let episodes = policy.runs.get(suite).map_or(&[][..], |run| &run.episodes);
        let rows = episodes
            .iter()
            .filter(|row| row.completed() && !row.success);
        failed.extend(rows.map(|row| (row.key(), i)));
    }
    failed.sort_unstable();
    failed
}

/// Suites of the runs, opened as they were recorded.
struct RecordedSuites<'a> {
    resolver: &'a AssetResolver,
    comparison: &'a Comparison,
    origins: &'a RunOrigins,
    /// By suite and index of the policy.
    opened: BTreeMap<(String, usize), LoadedSuite>,
}

impl<'a> RecordedSuites<'a> {
    /// None is open.
    fn new(
        resolver: &'a AssetResolver,
        comparison: &'a Comparison,
        origins: &'a RunOrigins,
    ) -> RecordedSuites<'a> {
        RecordedSuites {
            resolver,
            comparison,
            origins,
            opened: BTreeMap::new(),
        }
    }

    /// The run of a policy on a suite and the suite; none where it did not run, or in another simulator.
    fn run(
        &mut self,
        suite: &str,
        policy: usize,
    ) -> Result<Option<(&'a str, &'a RunFolder, &LoadedSuite)>, EvalError> {
        let compared = &self.comparison.policies()[policy];
        let run = compared.runs.get(suite);
        let Some(run) = run.filter(|run| !run.manifest.protocol.is_imported()) else {
            return Ok(None);
        };
        let key = (suite.to_owned(), policy);
        if !self.opened.contains_key(&key) {
            let origin = (self.origins).get(&(compared.label.clone(), suite.to_owned()));
            let folder = origin.map_or(Path::new(""), PathBuf::as_path);
            let loaded = recorded_suite(self.resolver, folder, &run.manifest)?;
            self.opened.insert(key.clone(), loaded);
        }
        Ok(Some((&compared.label, run, &self.opened[&key])))
    }
}

/// Animations of the first `count` failed episodes by suite, task, initial state and policy.
fn animations(
    resolver: &AssetResolver,
    comparison: &Comparison,
    origins: &RunOrigins,
    count: usize,
) -> Result<Vec<EpisodeAnimation>, EvalError> {
    let mut animations: Vec<EpisodeAnimation> = Vec::new();
    let mut suites = RecordedSuites::new(resolver, comparison, origins);
    for suite in comparison.suites() {
        for (key, policy) in failed_episodes(comparison, suite) {
            if animations.len() == count {
                return Ok(animations);
            }
            let Some((label, run, loaded)) = suites.run(suite, policy)? else {
                continue;
            };
            let mut recorded = run.actions.iter();
            let Some(actions) = recorded.find(|a| (a.task, a.init) == key) else {
                continue;
            };
            animations.push(EpisodeAnimation {
                label: label.to_owned(),
                suite: suite.clone(),
                task: key.0,
                init: key.1,
                png: animate(loaded.context(run.manifest.protocol.seed), actions)?,
                size: ANIMATION_SIZE,
            });
            output::note(&format!("animated {} of {count}", animations.len()));
        }
    }
    Ok(animations)
}

/// Episodes that a page repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ReplayChoice {
    /// The first failed ones.
    Failed(usize),
    /// Those of all policies with these tasks and initial states.
    Chosen(Vec<(usize, usize)>),
}

impl std::str::FromStr for ReplayChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<ReplayChoice, String> {
        if !text.contains(':') {
            return parse_positive(text).map(ReplayChoice::Failed);
        }
        let pair = |text: &str| {
            let (task, init) = text.split_once(':').ok_or_else(|| {
                format!("found `{text}`, expected a task and an initial state: `3:17`")
            })?;
            Ok((parse_whole(task)?, parse_whole(init)?))
        };
        let pairs: Result<Vec<_>, String> = text.split(',').map(pair).collect();
        pairs.map(ReplayChoice::Chosen)
    }
}

/// The chosen episodes with what repeats them; what cannot be repeated is said.
fn replay(
    resolver: &AssetResolver,
    comparison: &Comparison,
    origins: &RunOrigins,
    choice: &ReplayChoice,
) -> Result<Option<Replay>, EvalError> {
    let mut record = ReplayRecord::new(&resolver.builtin_assets()?)?;
    let mut suites = RecordedSuites::new(resolver, comparison, origins);
    let mut count = 0;
    for suite in comparison.suites() {
        let all = 0..comparison.policies().len();
        let episodes = match choice {
            ReplayChoice::Failed(_) => failed_episodes(comparison, suite),
            ReplayChoice::Chosen(keys) => (keys.iter())
                .flat_map(|key| all.clone().map(|policy| (*key, policy)))
                .collect(),
        };
        let mut refused = BTreeSet::new();
        for (key, policy) in episodes {
            if matches!(choice, ReplayChoice::Failed(most) if count == *most) {
                break;
            }
            let Some((label, run, loaded)) = suites.run(suite, policy)? else {
                continue;
            };
            if let Some(reason) = ReplayRecord::refusal(loaded) {
                if refused.insert(policy) {
                    let told = format!("no episode of {label} in {suite} is replayed: {reason}");
                    output::note(&told);
                }
                continue;
            }
            record.add((label, run), loaded, key)?;
            count += 1;
        }
    }
    if count == 0 {
        output::note("there is no episode to replay");
        return Ok(None);
    }
    Ok(Some(record.finish()?))
}
