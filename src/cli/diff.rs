//! The subcommand `diff`: the first point at which the episodes of two runs part.

use super::output;
use crate::{EvalError, FirstDifference, RunDiff, open_run_folder};
use bitvla_reports::{EpisodeRecord, TextTable, printable};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Episodes that are listed without `--all`.
const LISTED: usize = 20;

/// Options of `diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Run folder
    first: PathBuf,
    /// Run folder that is compared with it
    second: PathBuf,
    /// List every episode that differs [default: the first 20]
    #[arg(long)]
    all: bool,
}

/// Prints the differences; exit code 0 if both runs have the same episodes with the same bits, else 1.
pub(super) fn diff(args: &DiffArgs) -> Result<ExitCode, EvalError> {
    let (first, second) = (
        open_run_folder(&args.first)?,
        open_run_folder(&args.second)?,
    );
    let (ours, theirs) = (
        &first.manifest.protocol.suite,
        &second.manifest.protocol.suite,
    );
    if ours != theirs {
        return Err(EvalError::Input(format!(
            "{} is a run of suite {}, {} one of {}: their episodes have nothing in common",
            args.first.display(),
            printable(ours),
            args.second.display(),
            printable(theirs)
        )));
    }
    let diff = RunDiff::of(&first, &second);
    output::print(&describe(&diff, args));
    Ok(match diff.identical() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}

fn describe(diff: &RunDiff, args: &DiffArgs) -> String {
    let mut text = format!(
        "first:  {}\nsecond: {}\n\n",
        args.first.display(),
        args.second.display()
    );
    // Writing to a string cannot fail.
    match diff.protocol.as_slice() {
        [] => text.push_str("The protocols are the same.\n"),
        fields => {
            let _ = writeln!(text, "Fields of the protocols that differ:");
            for field in fields {
                let _ = writeln!(text, "  {}", printable(field));
            }
        }
    }
    for (name, other, keys) in [
        ("first", "second", &diff.only_first),
        ("second", "first", &diff.only_second),
    ] {
        if let [(task, init), ..] = keys.as_slice() {
            let _ = writeln!(
                text,
                "{} of the {name} run are not in the {other}, from task {task}, initial state {init} on.",
                episodes(keys.len())
            );
        }
    }
    let same = diff.shared - diff.episodes.len();
    let _ = writeln!(
        text,
        "{} in both runs: {same} with the same bits, {} that differ.",
        episodes(diff.shared),
        diff.episodes.len()
    );
    if diff.without_hashes {
        text.push_str("A run of schema version 3 or older keeps no hashes: only actions and final states were compared.\n");
    }
    if diff.episodes.is_empty() {
        return text;
    }
    let _ = writeln!(text, "\n{}", table(diff, args.all));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for episode in &diff.episodes {
        *kinds.entry(episode.at.kind()).or_default() += 1;
    }
    for (kind, count) in kinds {
        let _ = writeln!(text, "{count} x {kind}: {}", meaning(kind));
    }
    text
}

fn table(diff: &RunDiff, all: bool) -> String {
    let mut table = TextTable::new(&[
        "task",
        "state",
        "first difference",
        "step",
        "first run",
        "second run",
    ]);
    let listed = if all { diff.episodes.len() } else { LISTED };
    for episode in diff.episodes.iter().take(listed) {
        let name = match episode.at {
            FirstDifference::Frames { query, .. } => format!("frames of query {query}"),
            other => other.kind().to_owned(),
        };
        table.push([
            episode.first.task.to_string(),
            episode.first.init.to_string(),
            name,
            episode
                .at
                .step()
                .map_or(String::new(), |step| step.to_string()),
            ended(&episode.first),
            ended(&episode.second),
        ]);
    }
    let more = diff.episodes.len().saturating_sub(listed);
    match more {
        0 => table.text(),
        _ => format!("{}{more} more; --all lists them\n", table.text()),
    }
}

fn ended(row: &EpisodeRecord) -> String {
    match (row.completed(), row.success) {
        (false, _) => format!("error in step {}", row.steps),
        (_, true) => format!("success in step {}", row.steps),
        (_, false) => format!("failure, {} steps", row.steps),
    }
}

fn episodes(count: usize) -> String {
    format!("{count} episode{}", if count == 1 { "" } else { "s" })
}

/// Explanation of a kind of difference.
fn meaning(kind: &str) -> &'static str {
    match kind {
        "settled state" => {
            "the episodes begin differently: other models, initial states or physics"
        }
        "frames" => "other images of the same state: the renderer or the camera settings differ",
        "action" => {
            "another answer to the same frames and states: the policy or its arithmetic differs"
        }
        "state" => "the same action led to another state: the physics differ",
        "end" => "one ended earlier in the same states: success rule, horizon or an error",
        _ => "only fields of the row differ",
    }
}
