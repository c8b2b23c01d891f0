//! The command line: `bitvla-train all`, `bitvla-train stages`.

use anyhow::{Result, bail};
use bitvla_tasks::{Assets, Suite};
use bitvla_train::loss_curves::write_loss_curves;
use bitvla_train::pipeline::{PipelineConfig, PipelineStage, STAGES};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes demonstrations and trains the two checkpoints of bitvla-eval from nothing.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Runs every stage; goes on where an interrupted call stopped
    All(AllArgs),
    /// Lists the stages
    Stages,
}

#[derive(Debug, Args)]
struct AllArgs {
    /// Folder of data sets (about 4 GB), training states and checkpoints
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
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Subcommands::All(args) => run_all(&args),
        Subcommands::Stages => {
            list_stages();
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

fn run_all(args: &AllArgs) -> Result<()> {
    if let Some(name) = &args.until
        && !STAGES.iter().any(|s| s.name() == name)
    {
        let known: Vec<_> = STAGES.iter().map(PipelineStage::name).collect();
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
    let config = PipelineConfig {
        assets: &assets,
        suite: &suite,
        out: &args.out,
        seed: args.seed,
        jobs: args.jobs.unwrap_or_else(cores).max(1),
        scale: args.scale,
    };
    let trained = config.run(&STAGES, args.until.as_deref())?;
    write_loss_curves(&config, &args.out.join("losses"))?;
    for name in trained {
        println!("{}", config.checkpoint_dir(name).display());
    }
    Ok(())
}

fn list_stages() {
    for stage in STAGES {
        match stage {
            PipelineStage::Collect(c) => println!(
                "{:16} {} episodes driven by {}",
                c.name,
                c.episodes,
                c.policy_stage.unwrap_or("the expert")
            ),
            PipelineStage::Train(t) => println!(
                "{:16} {} steps from {}, {}{}",
                t.name,
                t.steps,
                t.init_from.unwrap_or("nothing"),
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
