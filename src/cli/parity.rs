//! `bitvla-eval parity`.

use super::subcommands::all_cores;
use super::{ModelsOf, ParityArgs};
use crate::{EvalError, ParityPlan, ParityProgress, Section, parity};
use bitvla_reports::figures_table;
use bitvla_tasks::Assets;
use bitvla_tasks::libero::LiberoDir;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;

pub(super) fn compare(assets: Assets, args: &ParityArgs) -> Result<ExitCode, EvalError> {
    let assets = match args.models {
        ModelsOf::Own => assets,
        ModelsOf::Libero => {
            let libero = LiberoDir::open(&args.libero, args.robosuite.as_deref())?;
            Assets::libero(assets.dir(), libero)?
        }
    };
    let plan = ParityPlan {
        libero: args.libero.clone(),
        reference: args.reference.clone(),
        images: args.images.clone(),
        only: match &args.only {
            Some(only) => only.clone(),
            None => Section::ALL.to_vec(),
        },
        suites: match &args.suites {
            Some(suites) => suites.clone(),
            None => crate::PARITY_SUITES.map(str::to_owned).to_vec(),
        },
        episodes: args.episodes.unwrap_or(usize::MAX),
        exclude: args.exclude.clone(),
        frames: args.frames.then(|| args.out.join("frames")),
        jobs: args.jobs.unwrap_or_else(all_cores),
    };
    let teller = Mutex::new(Teller::new());
    let report = parity(assets, &plan, &args.out, &|p| {
        if let Ok(mut teller) = teller.lock() {
            teller.show(p);
        }
    })?;
    if let Ok(mut teller) = teller.lock() {
        teller.finish();
    }
    println!("\n{}", figures_table(&report.figures));
    for note in &report.notes {
        println!("- {note}");
    }
    println!("\n{}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// A bar per quantity with the time left; a line at its end where there is no terminal.
struct Teller {
    bar: Option<(Section, ProgressBar)>,
    terminal: bool,
}

impl Teller {
    fn new() -> Teller {
        Teller {
            bar: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, p: &ParityProgress) {
        if !self.terminal {
            if p.done == p.total {
                eprintln!("{}: {} of {}", p.section.name(), p.done, p.total);
            }
            return;
        }
        if self.bar.as_ref().is_none_or(|(s, _)| *s != p.section) {
            self.finish();
            let bar = ProgressBar::new(p.total as u64);
            if let Ok(style) = ProgressStyle::with_template(
                "{msg:11} {bar:32.cyan/blue} {pos}/{len} · {elapsed} gone, {eta} left",
            ) {
                bar.set_style(style);
            }
            bar.set_message(p.section.name());
            self.bar = Some((p.section, bar));
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
