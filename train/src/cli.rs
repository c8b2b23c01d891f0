//! The command line: `bitvla-train all`, `bitvla-train stages`, `bitvla-train install`.

use anyhow::{Result, bail, ensure};
use bitvla_tasks::{Assets, Suite};
use bitvla_train::install::install;
use bitvla_train::loss_curves::write_loss_curves;
use bitvla_train::pipeline::PipelineConfig;
use bitvla_train::recipe::{Recipe, StageWork, TrainedWeights};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes demonstrations and trains the checkpoints of bitvla-eval from nothing.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Runs every stage of a recipe; goes on where an interrupted call stopped
    All(AllArgs),
    /// Lists the stages of a recipe
    Stages(RecipeArgs),
    /// Puts finished checkpoints, with their training cards, where they ship
    Install(InstallArgs),
}

#[derive(Debug, Args)]
struct RecipeArgs {
    /// Suite that is learned: spatial, object, goal, long, or all four by one network with `all`
    #[arg(long, default_value = "spatial")]
    suite: String,
    /// Recipe (TOML) in place of the suite's own
    #[arg(long, value_name = "FILE", conflicts_with = "suite")]
    recipe: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Folder of data sets (4 to 10 GB), training states and checkpoints [default: data/train/SUITE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of everything
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; never changes a result [default: all cores]
    #[arg(long)]
    jobs: Option<usize>,
    /// Multiplies numbers of episodes and steps: 0.01 shows in a few minutes whether everything works
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Adds the stages of the ablation: ternary without alignment, ternary from scratch
    #[arg(long)]
    ablation: bool,
    /// Folder of suites and models [default: $BITVLA_ASSETS, ./assets or the source's]
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AllArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,
}

#[derive(Debug, Args)]
struct InstallArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Folder of the suite's checkpoints [default: checkpoints/SUITE of the assets]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Runs the program on its command line.
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Subcommands::All(args) => run_all(&args),
        Subcommands::Stages(args) => list_stages(&args),
        Subcommands::Install(args) => run_install(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

impl RecipeArgs {
    fn load(&self) -> Result<Recipe> {
        match &self.recipe {
            Some(path) => Recipe::read(path),
            None => Recipe::named(&self.suite),
        }
    }
}

/// What a run of the pipeline borrows.
struct LoadedRun {
    assets: Assets,
    recipe: Recipe,
    suites: Vec<Suite>,
    out: PathBuf,
}

impl LoadedRun {
    fn new(args: &RunArgs) -> Result<LoadedRun> {
        ensure!(
            args.scale > 0.0 && args.scale.is_finite(),
            "--scale {} is not a positive number",
            args.scale
        );
        let recipe = args.recipe.load()?;
        let assets = Assets::open(&args.assets.clone().unwrap_or_else(Assets::default_dir))?;
        let suites = (recipe.suites.iter()).map(|name| Suite::load(&assets, name));
        let suites = suites.collect::<Result<_, _>>()?;
        let default_out = || PathBuf::from("data/train").join(recipe.name());
        Ok(LoadedRun {
            out: args.out.clone().unwrap_or_else(default_out),
            assets,
            recipe,
            suites,
        })
    }

    fn config(&self, args: &RunArgs) -> PipelineConfig<'_> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        PipelineConfig {
            assets: &self.assets,
            recipe: &self.recipe,
            suites: &self.suites,
            out: &self.out,
            seed: args.seed,
            jobs: args.jobs.unwrap_or_else(cores).max(1),
            scale: args.scale,
            ablation: args.ablation,
        }
    }
}

fn run_all(args: &AllArgs) -> Result<()> {
    let loaded = LoadedRun::new(&args.run)?;
    let config = loaded.config(&args.run);
    if let Some(name) = &args.until {
        let known: Vec<_> = config.stages().map(|(_, s)| s.name.as_str()).collect();
        if !known.contains(&name.as_str()) {
            bail!(
                "there is no stage `{name}`; there are: {}",
                known.join(", ")
            );
        }
    }
    let trained = config.run(args.until.as_deref())?;
    write_loss_curves(&config, &loaded.out.join("losses"))?;
    for name in trained {
        println!("{}", config.checkpoint_dir(name).display());
    }
    Ok(())
}

fn run_install(args: &InstallArgs) -> Result<()> {
    let loaded = LoadedRun::new(&args.run)?;
    let shipped = loaded.assets.dir().join("checkpoints");
    let shipped = shipped.join(loaded.recipe.name());
    let to = args.to.as_ref().unwrap_or(&shipped);
    for dir in install(&loaded.config(&args.run), to)? {
        println!("{}", dir.display());
    }
    Ok(())
}

fn list_stages(args: &RecipeArgs) -> Result<()> {
    for stage in args.load()?.stages {
        let about = match stage.work() {
            StageWork::Collect(c) => format!(
                "{} episodes{} driven by {}",
                c.episodes,
                match (&c.tasks, c.hardest) {
                    (Some(tasks), _) => format!(" of tasks {tasks:?}"),
                    (None, Some(count)) => format!(" of the {count} hardest tasks"),
                    (None, None) => String::new(),
                },
                c.policy.as_deref().unwrap_or("the expert")
            ),
            StageWork::Train(t) => format!(
                "{} steps from {}, {}{}",
                t.steps,
                match (&t.from, &t.from_suite) {
                    (Some(stage), _) => stage.clone(),
                    (None, Some(suite)) => format!("the checkpoint of {suite}"),
                    (None, None) => "fresh parameters".to_owned(),
                },
                match t.weights {
                    TrainedWeights::Ternary => "ternary",
                    TrainedWeights::Full => "full precision",
                },
                if t.align {
                    ", aligned with its start"
                } else {
                    ""
                }
            ),
        };
        let ablation = if stage.ablation { " (ablation)" } else { "" };
        println!("{:18} {about}{ablation}", stage.name);
    }
    Ok(())
}
