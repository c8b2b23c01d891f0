//! The command line of `bitvla-view`.

use bitvla_eval::{AssetArgs, PolicyName, PolicyOptions};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// See what the robot does and why it failed.
///
/// Without a run folder an episode is played live; with one its recorded episodes are shown; with two, episodes from the
/// same initial state side by side. F1 in the window lists all keys.
#[derive(Debug, Clone, Parser)]
#[command(version, name = "bitvla-view")]
pub struct Args {
    /// Run folder of bitvla-eval, or two of the same suite to compare
    #[arg(value_name = "RUN_DIR", num_args = 0..=2)]
    pub runs: Vec<PathBuf>,
    /// Suite of tasks
    #[arg(long)]
    pub suite: Option<String>,
    /// Task; with run folders, the episode to open first
    #[arg(long)]
    pub task: Option<usize>,
    /// Initial state; with run folders, the episode to open first
    #[arg(long)]
    pub init: Option<usize>,
    /// Policy that controls the robot
    #[arg(long, value_name = "NAME[:ARGUMENT]")]
    pub policy: Option<PolicyName>,
    /// Policy of a second episode from the same initial state, shown beside it
    #[arg(long, value_name = "POLICY")]
    pub versus: Option<PolicyName>,
    /// How policies are loaded and computed
    #[command(flatten)]
    pub options: PolicyOptions,
    /// Change a live episode along an axis, for example camera:yaw=30, as `bitvla-eval --perturb`; several times for several axes
    #[arg(long, value_name = "AXIS:KEY=VALUE,...|FILE|NAME")]
    pub perturb: Vec<String>,
    /// Seed of a live episode [default: 7]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Multiple of real time
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Wait for play
    #[arg(long)]
    pub paused: bool,
    /// Width and height of the window, for example 1920x1080
    #[arg(long, default_value = "1280x720", value_parser = size, value_name = "WxH")]
    pub size: (u32, u32),
    /// Most frames a second; fewer leave more of a small machine to the simulation [default: 60, 20 without a GPU]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=240))]
    pub fps: Option<u16>,
    /// Rendering quality
    #[arg(long, value_enum, default_value = "auto")]
    pub quality: Quality,
    /// Draw as fast as possible for so many seconds, print the frames per second and leave
    #[arg(long, value_name = "SECS", value_parser = secs)]
    pub measure: Option<f64>,
    /// Measure without a display, into a picture that is kept as offscreen.png among the captures
    #[arg(long, requires = "measure")]
    pub offscreen: bool,
    /// Answer each line `status` on standard input with one line on standard output that describes the last drawn frame
    #[arg(long)]
    pub status_on_stdin: bool,
    /// Folder for screenshots and clips
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub captures: PathBuf,
    /// Folders of suites and models
    #[command(flatten)]
    pub sources: AssetArgs,
}

/// Rendering quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Quality {
    /// High on a GPU; without one medium up to 1280x720 and low above.
    Auto,
    /// Simple light, small shadows, one sample per pixel.
    Low,
    /// The same with four samples per pixel.
    Medium,
    /// Physically based light, large shadows, four samples per pixel.
    High,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.05..=20.0).contains(&speed) => Ok(speed),
        Ok(speed) => Err(format!("{speed} is not between 0.05 and 20")),
        Err(error) => Err(error.to_string()),
    }
}

fn secs(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(secs) if (1.0..=600.0).contains(&secs) => Ok(secs),
        Ok(secs) => Err(format!("{secs} is not between 1 and 600")),
        Err(error) => Err(error.to_string()),
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((w, h)) if (640..=7680).contains(&w) && (400..=4320).contains(&h) => Ok((w, h)),
        Some((w, h)) => Err(format!("{w}x{h} is not between 640x400 and 7680x4320")),
        None => Err("expected WIDTHxHEIGHT, for example 1280x720".into()),
    }
}
