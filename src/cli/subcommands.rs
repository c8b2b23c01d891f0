//! What each command does.

use super::progress::Bar;
use super::{Cli, RunArgs, Subcommands, window};
use crate::asset_resolver::{self, AssetResolver, LoadedSuite};
use crate::{
    CameraRig, EvalContext, EvalError, PolicyKind, PolicySpec, RunFolder, RunPlan, WORLD_VERSION,
    protocol, record_video, replay, run,
};
use bitvla_reports::{
    EpisodeActions, EpisodeRecord, format_bytes, suites_table, summarise, write_text,
};
use bitvla_tasks::Suite;
use bitvla_tasks::libero::SUITES;
use clap::ValueEnum;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn dispatch(cli: &Cli) -> Result<ExitCode, EvalError> {
    let sources = || AssetResolver::new(&cli.sources);
    match &cli.command {
        None if cli.run.view => window::live(&cli.sources, &cli.run),
        None => evaluate(&sources()?, &cli.run),
        Some(Subcommands::Bench(args)) => super::bench::measure(args),
        Some(Subcommands::Parity(args)) => super::parity::compare(sources()?.own()?, args),
        Some(Subcommands::Pack { dir, out, policy }) => pack(dir, out, *policy),
        Some(Subcommands::List) => list(&sources()?),
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
        }) => repeat(&sources()?, run_dir, *jobs, *video),
        Some(Subcommands::Render {
            suite,
            task,
            init,
            out,
        }) => render(&sources()?, suite, (*task, *init), out),
    }
}

fn pack(dir: &Path, out: &Path, policy: PolicyKind) -> Result<ExitCode, EvalError> {
    let Some(format) = policy.format() else {
        return Err(EvalError::Input("the expert has no weights to pack".into()));
    };
    bitvla_policies::packed::pack(dir, out, format)?;
    let size = std::fs::metadata(out).map_err(EvalError::io(out))?.len();
    println!("{}  {}", out.display(), format_bytes(size));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn evaluate(sources: &AssetResolver, args: &RunArgs) -> Result<ExitCode, EvalError> {
    let suites = sources.open_all(&args.suite)?;
    let whole = asset_resolver::file_name(&args.suite);
    let default_out = || PathBuf::from(format!("runs/{whole}-{}", args.policy.name()));
    let out = args.out.clone().unwrap_or_else(default_out);
    if let [suite] = suites.as_slice() {
        run_suite(suite, args, &out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    let mut episodes = Vec::new();
    for suite in &suites {
        let result = run_suite(suite, args, &out.join(suite.file_name()))?;
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

/// Runs one suite into a folder of its own.
fn run_suite(
    loaded: &LoadedSuite,
    args: &RunArgs,
    out: &Path,
) -> Result<Vec<EpisodeRecord>, EvalError> {
    let (assets, suite) = (&loaded.assets, &loaded.suite);
    let mut policy = PolicySpec::new(args.policy, args.checkpoint.as_deref(), assets.dir());
    policy.threads = args.threads;
    policy.instructions = suite
        .tasks
        .iter()
        .map(|task| task.instruction.clone())
        .collect();
    policy.check()?;
    let plan = RunPlan {
        tasks: match &args.tasks {
            Some(tasks) => tasks.clone(),
            None => (0..suite.tasks.len()).collect(),
        },
        episodes: args.episodes,
        jobs: args.jobs.unwrap_or_else(all_cores),
        backwards: args.backwards,
    };
    loaded.preload_scenes(&plan.tasks)?;
    let context = loaded.context(args.seed);
    let protocol = protocol(assets, suite, &policy, args.seed, loaded.files.as_ref())?;
    let mut bar = Bar::new();
    let result = run(context, &policy, &plan, &protocol, out, &mut |p| {
        bar.show(p)
    })?;
    bar.finish();
    print!("\n{}", result.summary);
    films(context, &result.actions, args.video, out)?;
    println!("\n{}", out.display());
    Ok(result.episodes)
}

/// Films the first `count` episodes into `out/video`.
fn films(
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

fn list(sources: &AssetResolver) -> Result<ExitCode, EvalError> {
    let assets = sources.own()?;
    let mut text = format!("world version {WORLD_VERSION}\n");
    for name in Suite::names(&assets) {
        list_suite(&mut text, &Suite::load(&assets, &name)?);
    }
    match sources.checkout()? {
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
    for kind in PolicyKind::value_variants() {
        let policy = PolicySpec::new(*kind, None, assets.dir());
        let state = match policy.check() {
            Ok(()) if *kind == PolicyKind::Expert => "scripted".to_owned(),
            Ok(()) => policy.checkpoint.display().to_string(),
            Err(_) => format!("no checkpoint at {}", policy.checkpoint.display()),
        };
        text.push_str(&format!("  {:11} {state}\n", kind.name()));
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
    sources: &AssetResolver,
    run_dir: &Path,
    jobs: Option<usize>,
    video: usize,
) -> Result<ExitCode, EvalError> {
    let RunFolder {
        manifest,
        actions: episodes,
        ..
    } = RunFolder::open(run_dir)?;
    let loaded = sources.open(&manifest.protocol.suite)?;
    loaded.preload_scenes(&manifest.tasks)?;
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
    films(context, &episodes, video, run_dir)?;
    Ok(if differing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn render(
    sources: &AssetResolver,
    suite: &str,
    (task, init): (usize, usize),
    out: &Path,
) -> Result<ExitCode, EvalError> {
    let loaded = sources.open(suite)?;
    let world = loaded.context(0).settled_world(task, init)?;
    loaded.preload_scenes(&[task])?;
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
