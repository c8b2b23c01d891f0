//! What each command does.

use super::progress::Bar;
use super::{Cli, Command, RunArgs};
use crate::{
    EvalError, Eyes, PolicyKind, PolicySpec, RunPlan, Stage, protocol, record_video, replay, run,
};
use bitvla_reports::{EpisodeActions, bytes_in_words, read_actions, read_card};
use bitvla_tasks::{Assets, Suite};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn dispatch(cli: &Cli) -> Result<ExitCode, EvalError> {
    let assets = || open_assets(cli);
    match &cli.command {
        None => evaluate(&assets()?, &cli.run),
        Some(Command::Bench(args)) => super::measure::measure(args),
        Some(Command::Parity(args)) => super::parity::compare(assets()?, args),
        Some(Command::Pack { dir, out, policy }) => pack(dir, out, *policy),
        Some(Command::List) => list(&assets()?),
        Some(Command::Replay {
            run_dir,
            jobs,
            video,
        }) => repeat(&assets()?, run_dir, *jobs, *video),
        Some(Command::Render {
            suite,
            task,
            init,
            out,
        }) => render(&assets()?, suite, (*task, *init), out),
    }
}

fn pack(dir: &Path, out: &Path, policy: PolicyKind) -> Result<ExitCode, EvalError> {
    let Some(format) = policy.format() else {
        return Err(EvalError::Input("the expert has no weights to pack".into()));
    };
    bitvla_policies::packed::pack(dir, out, format)?;
    let size = std::fs::metadata(out).map_err(EvalError::io(out))?.len();
    println!("{}  {}", out.display(), bytes_in_words(size));
    Ok(ExitCode::SUCCESS)
}

fn open_assets(cli: &Cli) -> Result<Assets, EvalError> {
    let dir = cli.assets.clone().unwrap_or_else(Assets::default_dir);
    if !dir.join("suites").is_dir() {
        return Err(EvalError::Input(format!(
            "{} is missing: name the folder of suites, models and checkpoints with --assets DIR",
            dir.join("suites").display()
        )));
    }
    Ok(Assets::open(&dir)?)
}

/// Names of the suites that ship, in order.
fn suites(assets: &Assets) -> Result<Vec<String>, EvalError> {
    let dir = assets.dir().join("suites");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(EvalError::io(&dir))? {
        let entry = entry.map_err(EvalError::io(&dir))?;
        if entry.path().join("suite.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn load_suite(assets: &Assets, name: &str) -> Result<Suite, EvalError> {
    let known = suites(assets)?;
    if known.iter().any(|k| k == name) {
        return Ok(Suite::load(assets, name)?);
    }
    Err(EvalError::Input(format!(
        "there is no suite `{name}`; {} has: {}",
        assets.dir().join("suites").display(),
        known.join(", ")
    )))
}

pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn evaluate(assets: &Assets, args: &RunArgs) -> Result<ExitCode, EvalError> {
    let suite = load_suite(assets, &args.suite)?;
    let mut policy = PolicySpec::new(args.policy, args.checkpoint.as_deref(), assets.dir());
    policy.threads = args.threads;
    policy.instructions = suite
        .tasks
        .iter()
        .map(|task| task.instruction.clone())
        .collect();
    policy.check()?;
    let stage = Stage {
        assets,
        suite: &suite,
        seed: args.seed,
    };
    let plan = RunPlan {
        tasks: match &args.tasks {
            Some(tasks) => tasks.clone(),
            None => (0..suite.tasks.len()).collect(),
        },
        episodes: args.episodes,
        jobs: args.jobs.unwrap_or_else(all_cores),
        backwards: args.backwards,
    };
    let default_out = || PathBuf::from(format!("runs/{}-{}", args.suite, args.policy.name()));
    let out = args.out.clone().unwrap_or_else(default_out);
    let protocol = protocol(assets, &suite, &policy, args.seed)?;
    let mut bar = Bar::new();
    let result = run(stage, &policy, &plan, &protocol, &out, &mut |p| bar.show(p))?;
    bar.finish();
    print!("\n{}", result.summary);
    films(stage, &result.actions, args.video, &out)?;
    println!("\n{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Films the first `count` episodes into `out/video`.
fn films(
    stage: Stage<'_>,
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
        record_video(stage, episode, &dir.join(&name))?;
        eprintln!("{}", dir.join(&name).display());
    }
    Ok(())
}

fn list(assets: &Assets) -> Result<ExitCode, EvalError> {
    for name in suites(assets)? {
        let suite = Suite::load(assets, &name)?;
        println!("suite {name}, horizon {} control steps", suite.horizon);
        for task in &suite.tasks {
            println!(
                "  {:>2}  {}  ({} initial states)",
                task.id,
                task.instruction,
                task.init_states.len()
            );
        }
    }
    println!("policies");
    for kind in PolicyKind::value_variants() {
        let policy = PolicySpec::new(*kind, None, assets.dir());
        let state = match policy.check() {
            Ok(()) if *kind == PolicyKind::Expert => "scripted".to_owned(),
            Ok(()) => policy.checkpoint.display().to_string(),
            Err(_) => format!("no checkpoint at {}", policy.checkpoint.display()),
        };
        println!("  {:11} {state}", kind.name());
    }
    Ok(ExitCode::SUCCESS)
}

fn repeat(
    assets: &Assets,
    run_dir: &Path,
    jobs: Option<usize>,
    video: usize,
) -> Result<ExitCode, EvalError> {
    let card_path = run_dir.join("run.json");
    if !card_path.is_file() {
        return Err(EvalError::Input(format!(
            "{} is missing: not the folder of a finished run",
            card_path.display()
        )));
    }
    let card = read_card(&card_path)?;
    let episodes = read_actions(&run_dir.join("actions.bin"))?;
    let suite = load_suite(assets, &card.protocol.suite)?;
    let stage = Stage {
        assets,
        suite: &suite,
        seed: card.protocol.seed,
    };
    let mut done = 0;
    let results = replay(
        stage,
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
    films(stage, &episodes, video, run_dir)?;
    Ok(if differing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn render(
    assets: &Assets,
    suite: &str,
    (task, init): (usize, usize),
    out: &Path,
) -> Result<ExitCode, EvalError> {
    let suite = load_suite(assets, suite)?;
    let stage = Stage {
        assets,
        suite: &suite,
        seed: 0,
    };
    let world = stage.settled_world(task, init)?;
    let view = Eyes::new(world.scene())?.look(&world)?;
    std::fs::create_dir_all(out).map_err(EvalError::io(out))?;
    for (camera, frame) in [("agentview", &view.agentview), ("wrist", &view.wrist)] {
        let name = format!("{}_task{task:02}_init{init:02}_{camera}.png", suite.name);
        frame.write_png(&out.join(&name))?;
        println!("{}", out.join(&name).display());
    }
    Ok(ExitCode::SUCCESS)
}
