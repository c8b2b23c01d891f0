//! The command line: `bitvla-eval [RUN OPTIONS]`, `list`, `replay`, `report` and more. Bad input ends with code 2
//! and one line, anything else that stops the program with code 1.

mod bench;
mod check;
mod child_process;
mod compare;
mod diff;
mod evaluate;
mod export;
mod failures;
mod import;
mod jobs;
mod output;
mod parity;
mod perturbation_sweep;
mod progress;
mod record;
mod repeat_command;
mod report;
mod serve;
mod signals;
mod subcommands;
mod sweep;
mod truth;
mod window;

use crate::agent::registry::{
    PolicyName, PolicyNames, PolicyOptions, TimeLimit, parse_engine, parse_positive, parse_whole,
    policy_help,
};
use crate::{AssetArgs, BenchModel, EvalError, Shard};
use bitvla_parity::Quantity;
use bitvla_policies::kernels::Isa;
use bitvla_policies::{Engine, WeightFormat};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use jobs::all_cores;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Does the 1-bit policy still do the job, how fast is it, and how much memory does it take?
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    sources: AssetArgs,
}

/// Options of a run.
#[derive(Debug, Clone, Args)]
struct RunArgs {
    /// Suite of tasks: spatial, object, goal, long, all four with `all`, one of a LIBERO checkout, or a folder of BDDL files
    #[arg(long, default_value = "spatial", conflicts_with = "bddl")]
    suite: String,
    /// Initial states of the task of --bddl, the same as --init-file
    #[arg(
        long,
        value_name = "FILE",
        requires = "bddl",
        conflicts_with = "init_file"
    )]
    init: Option<PathBuf>,
    #[arg(long, default_value_t, value_name = "NAME[:ARGUMENT],...", help = policy_help())]
    policy: PolicyNames,
    /// Tasks to run, for example 0,3 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TASK,...", value_parser = parse_whole::<usize>, allow_negative_numbers = true)]
    tasks: Option<Vec<usize>>,
    /// Suite and task of those that are not run although they are meant; a sweep fills it in
    #[arg(skip)]
    left_out: Vec<(String, usize)>,
    /// Episodes per task, one per stored initial state [default: 50, or as many as there are]
    #[arg(long, value_parser = parse_positive, allow_negative_numbers = true)]
    episodes: Option<usize>,
    /// Run every N-th episode from number I on, one shard of a run on N machines: 0/8 to 7/8, which `merge` puts together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Seed of what a policy draws at random; refused for a policy that draws nothing [default: 7]
    #[arg(long, value_parser = parse_whole::<u64>, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Worker threads; never changes a result [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    jobs: Option<usize>,
    /// Run folder; an interrupted run goes on when it is named again; holds one per suite with --suite all, and one per policy
    /// beside the comparison with several [default: runs/SUITE-POLICY, runs/SUITE-compare]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write films (GIF) of the first N episodes
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = parse_whole::<usize>)]
    video: usize,
    /// How the policy is loaded and computed
    #[command(flatten)]
    options: PolicyOptions,
    /// Change every episode along an axis (goal, language, layout, object, robot, physics, background, light, camera, noise, sensors,
    /// event), for example camera:yaw=30 or event:kind=target; several times for several axes; or a TOML file of axes; or a case of
    /// LIBERO-PRO (pro:swap); or the ending of a name of LIBERO-plus, for example view_30_0_100_0_0_initstate_12
    #[arg(long, value_name = "AXIS:KEY=VALUE,...|FILE|pro:CASE|NAME")]
    perturb: Vec<String>,
    /// Run the last episode first; never changes a result
    #[arg(long)]
    backwards: bool,
    /// Longest wait for the answer to a query, after which its episode is an error and the run goes on [default: 600]
    #[arg(long, value_name = "SECONDS")]
    query_limit: Option<TimeLimit>,
    /// Open the window on the first of these tasks instead of running them
    #[arg(long)]
    view: bool,
}

impl BenchArgs {
    fn model(&self) -> BenchModel {
        self.model.unwrap_or(BenchModel::BitVla3b)
    }

    /// Checkpoint to measure; `None` for a synthetic network.
    fn checkpoint_path(&self) -> Option<&Path> {
        let weights = (self.weights != "synthetic").then(|| Path::new(&self.weights));
        self.checkpoint.as_deref().or(weights)
    }

    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(all_cores)
    }

    fn dtype(&self) -> &str {
        self.dtype.as_deref().unwrap_or("bf16")
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }
}

impl RunArgs {
    /// Seed of the run.
    fn seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }
}

/// Seed of a run that names none.
const DEFAULT_SEED: u64 = 7;

/// Options of a measurement.
#[derive(Debug, Args)]
struct BenchArgs {
    /// Sizes of a synthetic network [default: bitvla-3b]
    #[arg(long, value_enum)]
    model: Option<BenchModel>,
    /// `synthetic` (seeded), or a checkpoint folder or packed file
    #[arg(long, default_value = "synthetic", value_name = "synthetic|PATH")]
    weights: String,
    /// Checkpoint folder or packed file to measure; the same as `--weights PATH`
    #[arg(long, value_name = "PATH", conflicts_with = "weights")]
    checkpoint: Option<PathBuf>,
    /// Policy with weights: ternary, full, int8, int4, nf4, ptq-ternary, ternary-int8-head
    #[arg(long, default_value_t, value_name = "NAME")]
    policy: PolicyName,
    /// Libraries that compute the network, measured one after the other and printed side by side: native, candle (policy
    /// `full` only)
    #[arg(long, default_value = "native", value_parser = parse_engine, value_delimiter = ',', value_name = "ENGINE,...")]
    engine: Vec<Engine>,
    /// Instruction sets of the kernels, each measured in a process of its own and printed side by side with their ratio; the
    /// names are those of `BITVLA_ISA` [default: the fastest of this processor]
    #[arg(long, value_parser = Isa::from_name, value_delimiter = ',', conflicts_with = "engine", value_name = "ISA,...")]
    isa: Vec<Isa>,
    /// Encoding of synthetic weights that are not quantised [default: bf16]
    #[arg(long, value_parser = ["bf16", "f32"])]
    dtype: Option<String>,
    /// Threads of a query [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    threads: Option<usize>,
    /// Queries that are timed, after one that is not
    #[arg(long, default_value_t = 3, value_parser = parse_positive)]
    queries: usize,
    /// Seed of synthetic weights [default: 7]
    #[arg(long, value_parser = parse_whole::<u64>, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Folder for packed synthetic weights and the report
    #[arg(long, default_value = "runs/bench", value_name = "DIR")]
    out: PathBuf,
    /// Measures this packed file in this process
    #[arg(long, hide = true, value_name = "FILE")]
    packed: Option<PathBuf>,
}

/// Whose models of objects, fixtures and arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ModelsOf {
    /// The checkout's.
    Libero,
    /// Those that ship with this program; tasks that need others are left out.
    Own,
}

/// Options of a comparison with MuJoCo.
#[derive(Debug, Args)]
struct ParityArgs {
    /// A LIBERO checkout: its BDDL files and models
    #[arg(long, value_name = "DIR")]
    libero: PathBuf,
    /// Folder of the recorded MuJoCo runs (JSON)
    #[arg(long, value_name = "DIR")]
    reference: PathBuf,
    /// Folder of the recorded images [default: `images` beside the runs]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// A robosuite checkout or package, for the looks of the robot
    #[arg(long, value_name = "DIR")]
    robosuite: Option<PathBuf>,
    /// Whose models the scenes are made of
    #[arg(long, value_enum, default_value = "libero")]
    models: ModelsOf,
    /// Folder of the report
    #[arg(long, default_value = "runs/parity", value_name = "DIR")]
    out: PathBuf,
    /// Quantities to compare [default: all]
    #[arg(long, value_parser = quantities(), value_delimiter = ',', value_name = "QUANTITY,...")]
    only: Option<Vec<Quantity>>,
    /// Suites to look at, for example libero_spatial [default: all four]
    #[arg(long, value_delimiter = ',', value_name = "SUITE,...")]
    suites: Option<Vec<String>>,
    /// Episodes of each task at most [default: all that are recorded]
    #[arg(long, value_parser = parse_positive)]
    episodes: Option<usize>,
    /// Object categories whose pixels do not count in the comparison of images
    #[arg(long, value_delimiter = ',', value_name = "CATEGORY,...")]
    exclude: Vec<String>,
    /// Also write our camera images
    #[arg(long)]
    frames: bool,
    /// Worker threads; never changes a result [default: all cores]
    #[arg(long, value_parser = parse_positive)]
    jobs: Option<usize>,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Lists suites, tasks and policies
    List,
    /// Repeats the recorded actions of a run and compares the final states bit for bit
    Replay {
        /// The run folder
        run_dir: PathBuf,
        /// Worker threads [default: all cores]
        #[arg(long, value_parser = parse_positive)]
        jobs: Option<usize>,
        /// Also draw the frames of every query again and compare them
        #[arg(long)]
        frames: bool,
        /// Write films (GIF) of the first N episodes
        #[arg(long, default_value_t = 0, value_name = "N", value_parser = parse_whole::<usize>)]
        video: usize,
        /// Open the window on the run instead
        #[arg(long)]
        view: bool,
    },
    /// Compares success, latency and memory with a committed baseline; exit codes: 0 held or improved, 1 regressed, 3 more episodes are needed
    Check(check::CheckArgs),
    /// Compares runs of several policies on the same initial states with the first of them
    Compare {
        /// Run folders, or folders of them (`--suite all`); LABEL=DIR gives a run another name than its policy's
        #[arg(required = true, num_args = 2.., value_name = "[LABEL=]RUN_DIR")]
        runs: Vec<String>,
        /// Folder of tables and plots
        #[arg(long, default_value = "runs/compare", value_name = "DIR")]
        out: PathBuf,
    },
    /// Makes run folders of tables of episodes that another program ran in another simulator, for `compare`, `report` and `truth`
    Import {
        /// Tables (CSV) with the columns world, policy, suite, task, init, success, steps, and queries if it is known
        #[arg(required = true, value_name = "TABLE")]
        tables: Vec<PathBuf>,
        /// Folder of the runs, by world, policy and suite
        #[arg(long, default_value = "runs/imported", value_name = "DIR")]
        out: PathBuf,
    },
    /// Compares success here with success in another simulator on the same initial states: correlation, rank violations, flips
    Truth {
        /// Run folders of this program, and episodes in other worlds: tables (CSV) or imported runs; LABEL=DIR gives a run
        /// another name than its policy's
        #[arg(required = true, num_args = 2.., value_name = "[LABEL=]RUN_DIR|TABLE")]
        paths: Vec<String>,
        /// Folder of tables and plot
        #[arg(long, default_value = "runs/truth", value_name = "DIR")]
        out: PathBuf,
    },
    /// Finds the first step at which the episodes of two runs part, and every field in which their protocols differ; exit code 1
    /// if an episode differs
    Diff(diff::DiffArgs),
    /// Writes one self-contained report about runs: HTML, Markdown, or results in the schema of vla-evaluation-harness
    Report(report::ReportArgs),
    /// Puts run folders of the same protocol together, such as shards; an episode that two of them have must be the same
    Merge {
        /// Run folders
        #[arg(required = true, value_name = "RUN_DIR")]
        runs: Vec<PathBuf>,
        /// Folder of the merged run
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Records episodes of the scripted expert, or of another policy, as a data set of LeRobot or in HDF5
    Record(record::RecordArgs),
    /// Runs policies with several simulated latencies, or under perturbations of growing strength, and plots their success
    Sweep(sweep::SweepArgs),
    /// Counts the failed episodes of a run by the phase in which they ended
    Failures {
        /// The run folder
        run_dir: PathBuf,
        /// Worker threads [default: all cores]
        #[arg(long, value_parser = parse_positive)]
        jobs: Option<usize>,
    },
    /// Writes a checkpoint folder as one packed file, which starts at once, or checks such a file
    Pack {
        /// Checkpoint folder as published
        #[arg(required_unless_present = "check", requires = "out")]
        dir: Option<PathBuf>,
        /// The file to write
        out: Option<PathBuf>,
        /// Compare every tensor of a packed file with its checksum, and write nothing
        #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "out", "policy"])]
        check: Option<PathBuf>,
        /// Weight format: ternary, full, int8, int4, nf4, ptq-ternary, ternary-int8-head
        #[arg(long, default_value = "ternary", value_name = "NAME")]
        policy: WeightFormat,
    },
    /// Writes a checkpoint as an ONNX file, in float or in int8
    Export(export::ExportArgs),
    /// Serves a checkpoint over WebSocket, to LIBERO in MuJoCo, a robot or another instance of this program
    Serve(serve::ServeArgs),
    /// Measures latency and memory of one query at the size of a published model
    Bench(BenchArgs),
    /// Compares our world with recorded MuJoCo runs, quantity by quantity
    Parity(ParityArgs),
    /// Writes what both cameras see of a settled initial state as PNG
    Render {
        /// Suite of tasks
        #[arg(long, default_value = "spatial")]
        suite: String,
        /// Task
        #[arg(long, default_value_t = 0, value_parser = parse_whole::<usize>)]
        task: usize,
        /// Initial state
        #[arg(long, default_value_t = 0, value_parser = parse_whole::<usize>)]
        init: usize,
        /// Folder for the images
        #[arg(long, default_value = ".", value_name = "DIR")]
        out: PathBuf,
    },
}

impl Cli {
    /// Options that name folders and files, with those of a run among them.
    fn sources(&self) -> AssetArgs {
        let mut sources = self.sources.clone();
        sources.init_file = sources.init_file.or_else(|| self.run.init.clone());
        sources
    }
}

/// Returns the parser of the names of quantities.
fn quantities() -> impl TypedValueParser<Value = Quantity> {
    let names = Quantity::ALL.map(|q| PossibleValue::new(q.name()).help(q.description()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Quantity>())
}

/// Reads a command line. Options of a run say nothing to the other commands and are refused before their names; those
/// that name folders may stand on either side.
fn parse(words: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(words)?;
    if let Some(name) = matches.subcommand_name() {
        let run = RunArgs::augment_args(clap::Command::new("run"));
        let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        if let Some(option) = run.get_arguments().find(|a| given(a.get_id().as_str())) {
            let option = option.get_long().unwrap_or_default();
            let what = format!(
                "`--{option}` before `{name}` belongs to a run: put options of `{name}` behind it"
            );
            return Err(command.error(ErrorKind::ArgumentConflict, what));
        }
    }
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Runs the program on its command line.
pub fn main() -> ExitCode {
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let checked = Isa::check_environment().map_err(EvalError::Input);
    let code = checked
        .and_then(|()| subcommands::dispatch(&cli))
        .unwrap_or_else(|error| {
            output::error(&error.to_string());
            ExitCode::from(error.exit_code())
        });
    output::finish(code)
}
