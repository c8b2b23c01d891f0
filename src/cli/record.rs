//! `record`: episodes of the scripted expert, or of another policy, as a data set to train from.

use super::jobs::all_cores;
use super::output;
use crate::EvalError;
use crate::agent::registry::{
    PolicyName, PolicyOptions, PolicySpec, control_period_ms, parse_positive, parse_whole,
};
use crate::asset_resolver::AssetResolver;
use crate::dataset_recording::{RecordingPlan, RecordingProgress, record as record_episodes};
use bitvla_datasets::{DatasetFormat, DatasetInfo};
use bitvla_policies::CAMERA_SIZE;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Largest side of recorded images, pixels.
const MAX_SIDE: usize = 2048;

/// Parses the name of a format.
fn parse_format(text: &str) -> Result<DatasetFormat, String> {
    let found = DatasetFormat::ALL
        .into_iter()
        .find(|format| format.name() == text);
    found.ok_or_else(|| {
        let names = DatasetFormat::ALL.map(DatasetFormat::name).join(", ");
        format!("there are: {names}")
    })
}

/// Parses the side of images.
fn parse_side(text: &str) -> Result<usize, String> {
    let side = text
        .parse()
        .ok()
        .filter(|side| (8..=MAX_SIDE).contains(side));
    side.ok_or_else(|| format!("expected 8 to {MAX_SIDE} pixels"))
}

/// Options of a recording.
#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// Suite of tasks
    #[arg(long, default_value = "spatial", value_name = "NAME")]
    suite: String,
    /// Policy that acts; its failures are left out
    #[arg(long, default_value = "expert", value_name = "NAME")]
    policy: PolicyName,
    /// Folder of a checkpoint as published, or a packed file [default: the one that ships for the suite]
    #[arg(long, value_name = "PATH")]
    checkpoint: Option<PathBuf>,
    /// Tasks to record, for example 0,3 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TASK,...", value_parser = parse_whole::<usize>)]
    tasks: Option<Vec<usize>>,
    /// Episodes per task, from initial states that are never among the stored ones
    #[arg(long, default_value_t = 50, value_parser = parse_positive, value_name = "N")]
    episodes: usize,
    /// Format: LeRobot 3.0 (parquet, PNG images), or one HDF5 file per task as LIBERO ships its demonstrations
    #[arg(long, default_value = "lerobot", value_parser = parse_format, value_name = "lerobot|hdf5")]
    format: DatasetFormat,
    /// Side of the images, pixels
    #[arg(long, default_value_t = CAMERA_SIZE, value_parser = parse_side, value_name = "PIXELS")]
    size: usize,
    /// Number of the recording: two of different numbers share no initial state
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1_000_000), value_name = "N")]
    seed: u64,
    /// Worker threads; never changes a byte [default: all cores]
    #[arg(long, value_parser = parse_positive, value_name = "N")]
    jobs: Option<usize>,
    /// Folder of the data set, which must not hold one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Records a data set and says how fast.
pub(super) fn record(resolver: &AssetResolver, args: &RecordArgs) -> Result<ExitCode, EvalError> {
    let loaded = resolver
        .for_tasks(args.tasks.as_deref())
        .open(&resolver.suite_name(&args.suite))?;
    let options = PolicyOptions {
        checkpoint: args.checkpoint.clone(),
        ..PolicyOptions::default()
    };
    let spec = PolicySpec::new(args.policy.clone(), options, loaded.assets.dir());
    let factory = spec.for_suite(&loaded.suite).factory()?;
    let tasks = args.tasks.clone();
    let tasks = tasks.unwrap_or_else(|| (0..loaded.suite.tasks.len()).collect());
    factory.check_suite(&loaded.suite, &tasks)?;
    let context = loaded.context(args.seed);
    for task in &tasks {
        context.task(*task)?;
    }
    let plan = RecordingPlan {
        format: args.format,
        info: DatasetInfo {
            suite: loaded.suite.name.clone(),
            side: args.size,
            rate_hz: (1e3 / control_period_ms()).round() as u32,
            made_by: format!(
                "bitvla-eval {}, world version {}, policy {}, seed {}",
                env!("CARGO_PKG_VERSION"),
                crate::WORLD_VERSION,
                factory.name(),
                args.seed
            ),
        },
        tasks,
        episodes: args.episodes,
        seed: args.seed,
        jobs: args.jobs.unwrap_or_else(all_cores),
    };
    let total = plan.tasks.len() * plan.episodes;
    let began = Instant::now();
    let mut shown = 0;
    let rate = |progress: RecordingProgress| {
        progress.steps as f64 / began.elapsed().as_secs_f64().max(1e-3)
    };
    let done = record_episodes(context, &*factory, &plan, &args.out, &mut |progress| {
        // Some twenty lines for a whole recording.
        if progress.episodes == total || progress.episodes >= shown + total.div_ceil(20) {
            shown = progress.episodes;
            let left = began.elapsed().as_secs_f64() * (total - shown) as f64 / shown.max(1) as f64;
            output::note(&format!(
                "{shown} of {total} episodes, {} steps, {:.0} steps a second, {left:.0} s left",
                progress.steps,
                rate(progress)
            ));
        }
        Ok(())
    })?;
    output::print_line(&format!(
        "{}: {} of {total} episodes, {} steps of two {side} x {side} images, {:.0} steps a second",
        args.out.display(),
        done.successes,
        done.steps,
        rate(done),
        side = args.size
    ));
    Ok(ExitCode::SUCCESS)
}
