//! The subcommands.

use super::evaluate::evaluate;
use super::jobs::{all_cores, start_loading_threads};
use super::{Cli, Subcommands, output, window};
use crate::agent::registry::{self, PolicyName, PolicyOptions, PolicySpec};
use crate::asset_resolver::{AssetResolver, LoadedSuite};
use crate::protocol::check_recorded_with;
use crate::{
    CameraRig, EvalContext, EvalError, FirstDifference, Journal, RecordedFrames, Recording,
    RunFolder, WORLD_VERSION, merge, open_run_folder, record_video, replay,
};
use bitvla_policies::WeightFormat;
use bitvla_reports::{
    EpisodeActions, RunManifest, StagedFile, TERMINAL_COLUMNS, format_bytes, printable, wrap,
    write_atomically,
};
use bitvla_tasks::Suite;
use bitvla_tasks::libero::SUITES;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn dispatch(cli: &Cli) -> Result<ExitCode, EvalError> {
    let sources = cli.sources();
    let resolver = || AssetResolver::new(&sources);
    match &cli.command {
        None if cli.run.view => window::live(&sources, &cli.run),
        None => evaluate(&resolver()?, &cli.run),
        Some(Subcommands::Bench(args)) => super::bench::measure(&resolver()?, args),
        Some(Subcommands::Parity(args)) => {
            super::parity::compare(resolver()?.builtin_assets()?, args)
        }
        Some(Subcommands::Pack {
            check: Some(file), ..
        }) => check_packed(file),
        Some(Subcommands::Pack {
            dir: Some(dir),
            out: Some(out),
            policy,
            ..
        }) => pack(dir, out, *policy),
        Some(Subcommands::Pack { .. }) => Err(EvalError::Input(
            "`pack` needs DIR and OUT, or --check FILE".into(),
        )),
        Some(Subcommands::List) => list(&resolver()?),
        Some(Subcommands::Replay {
            run_dir,
            view: true,
            ..
        }) => window::recorded(&sources, run_dir),
        Some(Subcommands::Replay {
            run_dir,
            jobs,
            frames,
            video,
            ..
        }) => repeat(&resolver()?, run_dir, *jobs, (*frames, *video)),
        Some(Subcommands::Check(args)) => super::check::check(&resolver()?, args),
        Some(Subcommands::Diff(args)) => super::diff::diff(args),
        Some(Subcommands::Compare { runs, out }) => super::compare::compare(runs, out),
        Some(Subcommands::Import { tables, out }) => {
            super::import::import(&resolver()?, tables, out)
        }
        Some(Subcommands::Truth { paths, out }) => super::truth::truth(paths, out),
        Some(Subcommands::Report(args)) => super::report::report(&resolver()?, args),
        Some(Subcommands::Export(args)) => super::export::export(&resolver()?, args),
        Some(Subcommands::Serve(args)) => super::serve::serve(&resolver()?, args),
        Some(Subcommands::Record(args)) => super::record::record(&resolver()?, args),
        Some(Subcommands::Sweep(args)) => super::sweep::sweep(&resolver()?, args),
        Some(Subcommands::Merge { runs, out }) => merge_runs(&resolver()?, runs, out),
        Some(Subcommands::Failures { run_dir, jobs }) => {
            super::failures::failures(&resolver()?, run_dir, *jobs)
        }
        Some(Subcommands::Render {
            suite,
            task,
            init,
            out,
        }) => render(&resolver()?, suite, (*task, *init), out),
    }
}

/// Compares a packed file with its checksums and loads it.
fn check_packed(file: &Path) -> Result<ExitCode, EvalError> {
    start_loading_threads()?;
    let packed = bitvla_policies::packed::PackedFile::open(file)?;
    let tensors = packed.verify()?;
    bitvla_policies::BitVla::from_packed(&packed, packed.format()?)?;
    output::print_line(&format!(
        "{}  {tensors} tensors are as they were written",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn pack(dir: &Path, out: &Path, format: WeightFormat) -> Result<ExitCode, EvalError> {
    start_loading_threads()?;
    let staged = StagedFile::beside(out)?;
    bitvla_policies::packed::pack(dir, staged.path(), format)?;
    staged.commit()?;
    let size = std::fs::metadata(out).map_err(EvalError::io(out))?.len();
    output::print_line(&format!("{}  {}", out.display(), format_bytes(size)));
    Ok(ExitCode::SUCCESS)
}

/// Builds the scenes of the tasks once and warns of what was replaced.
pub(super) fn print_notices(loaded: &LoadedSuite, tasks: &[usize]) -> Result<(), EvalError> {
    for notice in loaded.preload_scenes(tasks)? {
        output::note(&format!("warning: {notice}"));
    }
    Ok(())
}

/// Records the first `count` episodes into `out/video`.
pub(super) fn record_videos(
    context: EvalContext<'_>,
    episodes: &[EpisodeActions],
    count: usize,
    out: &Path,
) -> Result<(), EvalError> {
    if count == 0 {
        return Ok(());
    }
    let dir = out.join("video");
    std::fs::create_dir_all(&dir).map_err(EvalError::io(&dir))?;
    for episode in episodes.iter().take(count) {
        let name = format!("task{:02}_init{:02}.gif", episode.task, episode.init);
        record_video(context, episode, &dir.join(&name))?;
        output::note(&dir.join(&name).display().to_string());
    }
    Ok(())
}

fn list(resolver: &AssetResolver) -> Result<ExitCode, EvalError> {
    let assets = resolver.builtin_assets()?;
    let mut text = format!("world version {WORLD_VERSION}\n");
    for name in Suite::names(&assets) {
        list_suite(&mut text, &Suite::load(&assets, &name)?);
    }
    match resolver.checkout()? {
        Some(checkout) => {
            for suite in &SUITES {
                let files = checkout.files(suite)?;
                list_suite(&mut text, &files.outline(resolver.instruction())?);
            }
        }
        None => {
            let names = SUITES.map(|suite| suite.name).join(", ");
            text.push_str(&format!("with --libero DIR: {names}\n"));
        }
    }
    text.push_str("policies\n");
    for entry in registry::entries() {
        let usage = entry.usage();
        let state = match entry.weights {
            None => entry.summary.to_owned(),
            Some(format) => {
                let spec = PolicySpec::new(
                    PolicyName::of_weights(format),
                    PolicyOptions::default(),
                    assets.dir(),
                );
                let place = spec.checkpoint_path();
                let place = place.display();
                match spec.check() {
                    Ok(()) => place.to_string(),
                    Err(_) => format!("no checkpoint at {place}"),
                }
            }
        };
        let lines = wrap(&state, TERMINAL_COLUMNS - USAGE_COLUMNS);
        for (k, line) in lines.iter().enumerate() {
            let usage = if k == 0 { usage.as_str() } else { "" };
            let width = USAGE_COLUMNS - 3;
            text.push_str(&format!("  {usage:width$} {line}\n"));
        }
    }
    output::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Columns before the words about a policy in `list`.
const USAGE_COLUMNS: usize = 26;
/// Columns before the instruction of a task in `list`.
const LIST_INDENT: usize = 6;

fn list_suite(text: &mut String, suite: &Suite) {
    text.push_str(&format!(
        "suite {}, horizon {} control steps\n",
        suite.name, suite.horizon
    ));
    for task in &suite.tasks {
        let states = match task.init_states.len() {
            0 => String::new(),
            stored => format!("  ({stored} initial states)"),
        };
        let words = format!("{}{states}", printable(&task.instruction));
        let lines = wrap(&words, TERMINAL_COLUMNS - LIST_INDENT);
        for (k, line) in lines.iter().enumerate() {
            let id = if k == 0 {
                task.id.to_string()
            } else {
                String::new()
            };
            text.push_str(&format!("  {id:>2}  {line}\n"));
        }
    }
}

/// Opens the suite of a recording as it was recorded.
pub(super) fn recorded_suite(
    resolver: &AssetResolver,
    run_dir: &Path,
    manifest: &RunManifest,
) -> Result<LoadedSuite, EvalError> {
    let resolver = resolver.for_tasks(Some(&manifest.tasks));
    let loaded = resolver.open(&manifest.protocol.suite)?;
    let loaded = loaded.recorded(&manifest.protocol.perturbation, &manifest.tasks)?;
    let suite = (&*loaded.assets, &*loaded.suite);
    check_recorded_with(run_dir, &manifest.protocol, suite, loaded.files.as_ref())?;
    print_notices(&loaded, &manifest.tasks)?;
    Ok(loaded)
}

/// Merges run folders and says which episodes are missing.
fn merge_runs(
    resolver: &AssetResolver,
    runs: &[PathBuf],
    out: &Path,
) -> Result<ExitCode, EvalError> {
    let Some(first) = runs.first() else {
        return Err(EvalError::Input("no run was named".into()));
    };
    let protocol = Journal::protocol_of(first)?;
    let loaded = resolver
        .open(&protocol.suite)?
        .recorded(&protocol.perturbation, &[])?;
    let suite = (&*loaded.assets, &*loaded.suite);
    check_recorded_with(first, &protocol, suite, loaded.files.as_ref())?;
    let merged = merge(loaded.context(protocol.seed), &protocol, runs, out)?;
    super::evaluate::print_losses(&merged.result);
    output::print(&format!("{}\n{}\n", merged.result.summary, out.display()));
    if merged.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let named: Vec<String> = (merged.missing.iter().take(5))
        .map(|(task, init)| format!("task {task} state {init}"))
        .collect();
    let more = if merged.missing.len() > named.len() {
        ", ..."
    } else {
        ""
    };
    output::error(&format!(
        "{} of {} episodes are missing: {}{more}",
        merged.missing.len(),
        merged.missing.len() + merged.result.episodes.len(),
        named.join(", ")
    ));
    Ok(ExitCode::from(1))
}

fn repeat(
    resolver: &AssetResolver,
    run_dir: &Path,
    jobs: Option<usize>,
    (frames, video): (bool, usize),
) -> Result<ExitCode, EvalError> {
    let RunFolder {
        manifest,
        actions: episodes,
        hashes,
        ..
    } = open_run_folder(run_dir)?;
    if episodes.is_empty() {
        return Err(EvalError::Input(format!(
            "{}: found no finished episode, expected at least one to repeat",
            run_dir.display()
        )));
    }
    let loaded = recorded_suite(resolver, run_dir, &manifest)?;
    let context = loaded.context(manifest.protocol.seed);
    let mut done = 0;
    let recording = Recording {
        episodes: &episodes,
        hashes: &hashes,
        frames: RecordedFrames::of(&manifest.protocol).filter(|_| frames),
    };
    let results = replay(
        context,
        &recording,
        jobs.unwrap_or_else(all_cores),
        &mut |_| {
            done += 1;
            if done % 50 == 0 {
                output::note(&format!("replayed {done} of {}", episodes.len()));
            }
        },
    )?;
    let differing: Vec<_> = results.iter().filter(|r| !r.identical()).collect();
    for r in &differing {
        let first = match r.first {
            None => String::new(),
            Some(FirstDifference::Frames { query, step }) => {
                format!(", other frames in query {query}, step {step}")
            }
            Some(other) => match other.step() {
                None => ", other from the settled state on".to_owned(),
                Some(step) => format!(", other from step {step} on"),
            },
        };
        output::print_line(&format!(
            "task {} initial state {}: recorded {:016x}, now {:016x}{first}",
            r.task, r.init, r.recorded, r.now
        ));
    }
    output::print_line(&format!(
        "{} of {} episodes end in the recorded state, bit for bit",
        results.len() - differing.len(),
        results.len()
    ));
    record_videos(context, &episodes, video, run_dir)?;
    Ok(if differing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn render(
    resolver: &AssetResolver,
    suite: &str,
    (task, init): (usize, usize),
    out: &Path,
) -> Result<ExitCode, EvalError> {
    let resolver = resolver.for_tasks(Some(&[task]));
    let loaded = resolver.open(&resolver.suite_name(suite))?;
    let world = loaded.context(0).settled_world(task, init)?;
    print_notices(&loaded, &[task])?;
    let view = CameraRig::new(world.scene())?.render(&world)?;
    std::fs::create_dir_all(out).map_err(EvalError::io(out))?;
    for (camera, frame) in [("agentview", &view.agentview), ("wrist", &view.wrist)] {
        let name = loaded.file_name();
        let name = format!("{name}_task{task:02}_init{init:02}_{camera}.png");
        write_atomically(&out.join(&name), &frame.png_bytes()?)?;
        output::print_line(&out.join(&name).display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}
