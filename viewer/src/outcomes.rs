//! One line on standard output for each episode that has ended: outcome and final state hash, as `bitvla-eval` records
//! them.

use crate::playback::Termination;
use crate::session::Session;
use bevy::prelude::*;
use std::io::Write;

/// Prints the outcome of every episode once; again if it was continued from a step before its end.
pub fn print_outcomes(session: Res<Session>, mut printed: Local<Vec<u64>>) {
    for episode in &session.episodes {
        let (Some(info), Some(termination)) = (&episode.info, episode.trajectory.termination())
        else {
            printed.retain(|id| *id != episode.id);
            continue;
        };
        let Some(last) = episode.trajectory.steps().last() else {
            continue;
        };
        if printed.contains(&episode.id) {
            continue;
        }
        printed.push(episode.id);
        let outcome = match termination {
            Termination::Success => format!("success at step {}", last.step),
            Termination::Horizon => format!("not reached at step {}", last.step),
            Termination::Error(reason) => format!("error at step {}: {reason}", last.step),
        };
        let intervention = if last.intervened {
            ", intervention"
        } else {
            ""
        };
        // A closed standard output is no error of the viewer.
        let _ = writeln!(
            std::io::stdout(),
            "{} task {} initial state {}, {}: {outcome}, state {:016x}{intervention}",
            info.suite,
            info.task,
            info.init,
            episode.name,
            last.hash
        );
    }
}
