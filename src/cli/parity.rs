//! `bitvla-eval parity`.

use super::jobs::all_cores;
use super::{ModelsOf, ParityArgs, output};
use crate::EvalError;
use bitvla_parity::{ParityConfig, ParityProgress, Quantity, SUITES, run_parity};
use bitvla_reports::metrics_table;
use bitvla_tasks::Assets;
use bitvla_tasks::libero::LiberoDir;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Compares, prints the metrics and returns code 1 if a target is missed or was not measured.
pub(super) fn compare(assets: Assets, args: &ParityArgs) -> Result<ExitCode, EvalError> {
    let assets = match args.models {
        ModelsOf::Own => assets,
        ModelsOf::Libero => {
            let libero = LiberoDir::open(&args.libero, args.robosuite.as_deref())?;
            Assets::libero(assets.dir(), libero)?
        }
    };
    let config = ParityConfig {
        libero: args.libero.clone(),
        reference: args.reference.clone(),
        images: args.images.clone(),
        quantities: match &args.only {
            Some(only) => only.clone(),
            None => Quantity::ALL.to_vec(),
        },
        suites: match &args.suites {
            Some(suites) => suites.clone(),
            None => SUITES.map(str::to_owned).to_vec(),
        },
        episodes: args.episodes.unwrap_or(usize::MAX),
        exclude: args.exclude.clone(),
        frames: args.frames.then(|| args.out.join("frames")),
        jobs: args.jobs.unwrap_or_else(all_cores),
    };
    let bars = Mutex::new(QuantityBars::new());
    // Bars hold nothing that a panic of another thread could leave half done.
    let lock = || bars.lock().unwrap_or_else(PoisonError::into_inner);
    let report = run_parity(assets, &config, &args.out, &|p| lock().show(p))?;
    lock().finish();
    output::print_line(&format!("\n{}", metrics_table(&report.metrics)));
    for note in &report.notes {
        output::print_line(&format!("- {note}"));
    }
    output::print_line(&format!("\n{}", args.out.display()));
    let failures = report.failures();
    for failure in &failures {
        output::note(failure);
    }
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

/// Progress bar per quantity with the time left; a line at its end where there is no terminal.
struct QuantityBars {
    bar: Option<(Quantity, ProgressBar)>,
    terminal: bool,
}

impl QuantityBars {
    fn new() -> QuantityBars {
        QuantityBars {
            bar: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, p: &ParityProgress) {
        if !self.terminal {
            if p.done == p.total {
                output::note(&format!("{}: {} of {}", p.quantity, p.done, p.total));
            }
            return;
        }
        if self.bar.as_ref().is_none_or(|(q, _)| *q != p.quantity) {
            self.finish();
            let bar = ProgressBar::new(p.total as u64);
            // A template that cannot be read leaves the style that bars have by default.
            if let Ok(style) = ProgressStyle::with_template(
                "{msg:11} {bar:32.cyan/blue} {pos}/{len} · {elapsed} gone, {eta} left",
            ) {
                bar.set_style(style);
            }
            bar.set_message(p.quantity.name());
            self.bar = Some((p.quantity, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(p.done as u64);
        }
    }

    fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish();
        }
    }
}
