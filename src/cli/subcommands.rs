//! The subcommands, and the run without one.

use super::jobs::all_cores;
use super::progress::EpisodeProgressBar;
use super::{Cli, RunArgs, Subcommands, window};
use crate::agent::registry::{self, PolicyName, PolicySpec};
use crate::asset_resolver::{self, AssetResolver, LoadedSuite};
use crate::{
    AgentFactory, CameraRig, EvalContext, EvalError, RunFolder, RunPlan, WORLD_VERSION, protocol,
    record_video, replay, run, simulation_protocol,
};
use bitvla_policies::WeightFormat;
use bitvla_reports::{
    EpisodeActions, EpisodeRecord, format_bytes, suites_table, summarise, write_text,
};
use bitvla_tasks::Suite;
use bitvla_tasks::libero::SUITES;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn dispatch(cli: &Cli) -> Result<ExitCode, EvalError> {
    let resolver = || AssetResolver::new(&cli.sources);
    match &cli.command {
        None if cli.run.view => window::live(&cli.sources, &cli.run),
        None => evaluate(&resolver()?, &cli.run),
        Some(Subcommands::Bench(args)) => super::bench::measure(&resolver()?, args),
        Some(Subcommands::Parity(args)) => {
            super::parity::compare(resolver()?.builtin_assets()?, args)
        }
        Some(Subcommands::Pack { dir, out, policy }) => pack(dir, out, *policy),
        Some(Subcommands::List) => list(&resolver()?),
        Some(Subcommands::Replay {
            run_dir,
            view: true,
            ..
        }) => window::recorded(&cli.sources, run_dir),
        Some(Subcommands::Replay {
            run_dir,
            jobs,
            video,
            ..
        }) => repeat(&resolver()?, run_dir, *jobs, *video),
        Some(Subcommands::Render {
            suite,
            task,
            init,
            out,
        }) => render(&resolver()?, suite, (*task, *init), out),
    }
}

fn pack(dir: &Path, out: &Path, format: WeightFormat) -> Result<ExitCode, EvalError> {
    bitvla_policies::packed::pack(dir, out, format)?;
    let size = std::fs::metadata(out).map_err(EvalError::io(out))?.len();
    println!("{}  {}", out.display(), format_bytes(size));
    Ok(ExitCode::SUCCESS)
}

fn evaluate(resolver: &AssetResolver, args: &RunArgs) -> Result<ExitCode, EvalError> {
    let suites = resolver.open_all(&args.suite)?;
    let whole = asset_resolver::file_name(&args.suite);
    let default_out = || PathBuf::from(format!("runs/{whole}-{}", args.policy.name()));
    let out = args.out.clone().unwrap_or_else(default_out);
    if let [suite] = suites.as_slice() {
        let factory = checked_factory(suite, args)?;
        run_suite(suite, &*factory, args, &out)?;
        return Ok(ExitCode::SUCCESS);
    }
    check_all(&suites, args)?;
    let mut rows = Vec::new();
    let mut episodes = Vec::new();
    for suite in &suites {
        let factory = checked_factory(suite, args)?;
        let result = run_suite(suite, &*factory, args, &out.join(suite.file_name()))?;
        rows.push((suite.suite.name.clone(), summarise(&result).1));
        episodes.extend(result);
    }
    let title = format!(
        "{}, {}, world version {WORLD_VERSION}",
        args.suite,
        args.policy.name()
    );
    let table = suites_table(&rows, &summarise(&episodes).1);
    let summary = format!("{title}\n\n{table}");
    write_text(&out.join("summary.txt"), &summary)?;
    print!("\n{summary}");
    println!("\n{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Tasks that the arguments ask for.
fn planned_tasks(loaded: &LoadedSuite, args: &RunArgs) -> Vec<usize> {
    match &args.tasks {
        Some(tasks) => tasks.clone(),
        None => (0..loaded.suite.tasks.len()).collect(),
    }
}

/// Factory of the policy, which knows the suite.
fn checked_factory(
    loaded: &LoadedSuite,
    args: &RunArgs,
) -> Result<Box<dyn AgentFactory>, EvalError> {
    let assets = loaded.assets.dir();
    let spec = PolicySpec::with_options(args.policy.clone(), &args.options, assets)
        .for_suite(&loaded.suite);
    let factory = spec.factory()?;
    factory.check_suite(&loaded.suite, &planned_tasks(loaded, args))?;
    Ok(factory)
}

/// Refuses a run of several suites before its first episode, with all suites that the policy does not know.
fn check_all(suites: &[LoadedSuite], args: &RunArgs) -> Result<(), EvalError> {
    let mut refused = Vec::new();
    for loaded in suites {
        match checked_factory(loaded, args) {
            Ok(_) => {}
            Err(EvalError::UnknownSuite { suite, source, .. }) => refused.push((suite, source)),
            Err(other) => return Err(other),
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = refused
        .iter()
        .map(|(suite, reason)| format!("`{suite}`: {reason}"))
        .collect();
    Err(EvalError::Input(format!(
        "policy `{}` does not know {} of {} suites: {}; --normaliser-key KEY uses the statistics of another suite all the same",
        args.policy,
        refused.len(),
        suites.len(),
        reasons.join("; ")
    )))
}

/// Runs one suite into a folder of its own.
fn run_suite(
    loaded: &LoadedSuite,
    factory: &dyn AgentFactory,
    args: &RunArgs,
    out: &Path,
) -> Result<Vec<EpisodeRecord>, EvalError> {
    let plan = RunPlan {
        tasks: planned_tasks(loaded, args),
        episodes: args.episodes,
        jobs: args.jobs.unwrap_or_else(all_cores),
        backwards: args.backwards,
    };
    preload_scenes(loaded, &plan.tasks)?;
    let context = loaded.context(args.seed);
    let simulation = simulation_protocol(context, &plan.tasks)?;
    let protocol = protocol(context, factory, &simulation, loaded.files.as_ref())?;
    let mut bar = EpisodeProgressBar::new();
    let result = run(context, factory, &plan, &protocol, out, &mut |p| {
        bar.show(p);
    })?;
    bar.finish();
    print!("\n{}", result.summary);
    record_videos(context, &result.actions, args.video, out)?;
    println!("\n{}", out.display());
    Ok(result.episodes)
}

/// Builds the scenes of the tasks once and warns of what was replaced.
fn preload_scenes(loaded: &LoadedSuite, tasks: &[usize]) -> Result<(), EvalError> {
    for notice in loaded.preload_scenes(tasks)? {
        eprintln!("warning: {notice}");
    }
    Ok(())
}

/// Records the first `count` episodes into `out/video`.
fn record_videos(
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
        eprintln!("{}", dir.join(&name).display());
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
                list_suite(&mut text, &checkout.outline(suite)?);
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
                let spec = PolicySpec::new(PolicyName::of_weights(format), None, assets.dir());
                let place = spec.checkpoint_path();
                let place = place.display();
                match spec.check() {
                    Ok(()) => place.to_string(),
                    Err(_) => format!("no checkpoint at {place}"),
                }
            }
        };
        text.push_str(&format!(
            "  {usage:14} {state}
"
        ));
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(EvalError::io(Path::new("standard output"))(error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

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
        text.push_str(&format!("  {:>2}  {}{states}\n", task.id, task.instruction));
    }
}

fn repeat(
    resolver: &AssetResolver,
    run_dir: &Path,
    jobs: Option<usize>,
    video: usize,
) -> Result<ExitCode, EvalError> {
    let RunFolder {
        manifest,
        actions: episodes,
        ..
    } = RunFolder::open(run_dir)?;
    let loaded = resolver.open(&manifest.protocol.suite)?;
    preload_scenes(&loaded, &manifest.tasks)?;
    let context = loaded.context(manifest.protocol.seed);
    let mut done = 0;
    let results = replay(
        context,
        &episodes,
        jobs.unwrap_or_else(all_cores),
        &mut |_| {
            done += 1;
            if done % 50 == 0 {
                eprintln!("replayed {done} of {}", episodes.len());
            }
        },
    )?;
    let differing: Vec<_> = results.iter().filter(|r| !r.identical()).collect();
    for r in &differing {
        println!(
            "task {} initial state {}: recorded {:016x}, now {:016x}",
            r.task, r.init, r.recorded, r.now
        );
    }
    println!(
        "{} of {} episodes end in the recorded state, bit for bit",
        results.len() - differing.len(),
        results.len()
    );
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
    let loaded = resolver.open(suite)?;
    let world = loaded.context(0).settled_world(task, init)?;
    preload_scenes(&loaded, &[task])?;
    let view = CameraRig::new(world.scene())?.render(&world)?;
    std::fs::create_dir_all(out).map_err(EvalError::io(out))?;
    for (camera, frame) in [("agentview", &view.agentview), ("wrist", &view.wrist)] {
        let name = loaded.file_name();
        let name = format!("{name}_task{task:02}_init{init:02}_{camera}.png");
        frame.write_png(&out.join(&name))?;
        println!("{}", out.join(&name).display());
    }
    Ok(ExitCode::SUCCESS)
}
