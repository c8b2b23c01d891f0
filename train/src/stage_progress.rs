//! Progress of a stage with an estimate of the time left (a bar on a terminal, plain lines elsewhere), and the time that a
//! stage took over all calls. No result depends on either.

use anyhow::{Context, Result};
use bitvla_reports::write_atomically;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

/// Progress display of one stage.
pub struct StageProgress {
    bar: Option<ProgressBar>,
    title: String,
    total: u64,
    first: u64,
    start: Instant,
    last_line: Instant,
}

impl StageProgress {
    /// Starts the display of a stage at `done` of `total`.
    pub fn new(title: &str, done: u64, total: u64) -> StageProgress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_position(done);
            // A template that cannot be read leaves the style that bars have by default.
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix:>16} {bar:28.cyan/blue} {pos}/{len} · {msg} · {elapsed} gone, {eta} left",
            ) {
                bar.set_style(style);
            }
            bar.set_prefix(title.to_owned());
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        StageProgress {
            bar,
            title: title.to_owned(),
            total,
            first: done,
            start: now,
            last_line: now,
        }
    }

    /// Shows that `done` units are done, with a message.
    pub fn show(&mut self, done: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message.to_owned());
            return;
        }
        if self.last_line.elapsed() < LINE_INTERVAL && done != self.total {
            return;
        }
        self.last_line = Instant::now();
        let per = self.start.elapsed().as_secs_f64() / (done - self.first).max(1) as f64;
        let left = Duration::from_secs_f64(per * self.total.saturating_sub(done) as f64);
        eprintln!(
            "{}: {done} of {}, {message}, {} left",
            self.title,
            self.total,
            HumanDuration(left)
        );
    }

    /// Returns the rate since the start, units per second.
    pub fn rate(&self, done: u64) -> f64 {
        (done - self.first) as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}

impl Drop for StageProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Time that a stage has taken, interrupted calls included; kept in its folder as `seconds`.
pub struct WorkTime {
    path: PathBuf,
    /// Time of earlier calls, s.
    earlier: f64,
    start: Instant,
}

impl WorkTime {
    /// Starts the clock of the stage with this folder.
    ///
    /// # Errors
    /// If the time of earlier calls cannot be read.
    pub fn resume(dir: &Path) -> Result<WorkTime> {
        Ok(WorkTime {
            path: dir.join("seconds"),
            earlier: WorkTime::read(dir)?,
            start: Instant::now(),
        })
    }

    /// Returns the time that the stage with this folder has taken so far, s.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn read(dir: &Path) -> Result<f64> {
        let path = dir.join("seconds");
        if !path.is_file() {
            return Ok(0.0);
        }
        let read = || -> Result<f64> { Ok(std::fs::read_to_string(&path)?.trim().parse()?) };
        read().with_context(|| format!("reading {}", path.display()))
    }

    /// Writes the time so far.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let seconds = self.earlier + self.start.elapsed().as_secs_f64();
        Ok(write_atomically(
            &self.path,
            format!("{seconds:.1}\n").as_bytes(),
        )?)
    }
}
