//! The command line: `bitvla-train all`, `bitvla-train stages`.

use crate::curves;
use crate::recipe::{Kitchen, STAGES, Stage};
use anyhow::{Result, bail};
use bitvla_tasks::{Assets, Suite};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes demonstrations and trains the two checkpoints of bitvla-eval from nothing.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Does every stage; goes on where an interrupted call stopped
    All(AllArgs),
    /// Lists the stages
    Stages,
}

#[derive(Debug, Args)]
struct AllArgs {
    /// Where data sets (about 4 GB), training states and checkpoints go
    #[arg(long, default_value = "data/train", value_name = "DIR")]
    out: PathBuf,
    /// Seed of everything
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; never changes a result [default: all cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Multiplies numbers of episodes and steps: 0.01 shows in a few minutes whether everything works
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,
    /// Folder of suites and models [default: $BITVLA_ASSETS, ./assets or the source's]
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
}

/// Runs the program on its command line.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::All(args) => all(&args),
        Command::Stages => {
            stages();
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn all(args: &AllArgs) -> Result<()> {
    if let Some(name) = &args.until
        && !STAGES.iter().any(|s| s.name() == name)
    {
        let known: Vec<_> = STAGES.iter().map(Stage::name).collect();
        bail!(
            "there is no stage `{name}`; there are: {}",
            known.join(", ")
        );
    }
    if !(args.scale > 0.0 && args.scale.is_finite()) {
        bail!("--scale {} is not a positive number", args.scale);
    }
    let assets = Assets::open(&args.assets.clone().unwrap_or_else(Assets::default_dir))?;
    let suite = Suite::load(&assets, "spatial")?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let kitchen = Kitchen {
        assets: &assets,
        suite: &suite,
        out: &args.out,
        seed: args.seed,
        jobs: args.jobs.unwrap_or_else(cores).max(1),
        scale: args.scale,
    };
    let trained = kitchen.run(&STAGES, args.until.as_deref())?;
    curves::write(&kitchen, &args.out.join("losses"))?;
    for name in trained {
        println!("{}", kitchen.checkpoint_dir(name).display());
    }
    Ok(())
}

fn stages() {
    for stage in STAGES {
        match stage {
            Stage::Collect(c) => println!(
                "{:16} {} episodes driven by {}",
                c.name,
                c.episodes,
                c.driver.unwrap_or("the expert")
            ),
            Stage::Train(t) => println!(
                "{:16} {} steps from {}, {}{}",
                t.name,
                t.steps,
                t.from.unwrap_or("nothing"),
                if t.ternary {
                    "ternary"
                } else {
                    "full precision"
                },
                if t.align {
                    ", aligned to its start"
                } else {
                    ""
                }
            ),
        }
    }
}
