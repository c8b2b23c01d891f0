//! A progress bar with success so far and time left; plain lines where there is no terminal.

use super::output;
use crate::RunProgress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

pub(super) struct EpisodeProgressBar {
    bar: Option<ProgressBar>,
    terminal: bool,
    printed_tenths: usize,
}

impl EpisodeProgressBar {
    pub(super) fn new() -> EpisodeProgressBar {
        EpisodeProgressBar {
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            printed_tenths: 0,
        }
    }

    pub(super) fn show(&mut self, p: &RunProgress) {
        let message = match p.errors {
            0 => format!("{}/{} succeeded", p.successes, p.done),
            n => format!("{}/{} succeeded, {n} harness errors", p.successes, p.done),
        };
        if !self.terminal {
            // Every tenth of the way is enough for a log.
            let tenth = (10 * p.done).checked_div(p.total).unwrap_or(10);
            if tenth > self.printed_tenths {
                self.printed_tenths = tenth;
                output::note(&format!("{} of {} episodes, {message}", p.done, p.total));
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(p.total as u64).with_position(p.resumed as u64);
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:32.cyan/blue} {pos}/{len} episodes · {msg} · {elapsed} gone, {eta} left",
            ) {
                bar.set_style(style);
            }
            bar.reset_eta();
            bar
        });
        bar.set_position(p.done as u64);
        bar.set_message(message);
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
