//! Check that a recording is reproduced: steps the recorded actions of a run folder without any policy and compares the
//! final states bit for bit.

use crate::{EvalContext, EvalError};
use bitvla_reports::EpisodeActions;
use bitvla_tasks::in_parallel;

/// One replayed episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayResult {
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Hash of the final state that was recorded.
    pub recorded: u64,
    /// Hash of the final state now.
    pub now: u64,
}

impl ReplayResult {
    /// Returns true if every bit of the final state is the same.
    pub fn identical(&self) -> bool {
        self.recorded == self.now
    }
}

/// Replays episodes over `jobs` threads; results in order of task and initial state.
///
/// # Errors
/// If a world cannot be built or refuses an action.
pub fn replay(
    context: EvalContext<'_>,
    episodes: &[EpisodeActions],
    jobs: usize,
    progress: &mut dyn FnMut(&ReplayResult),
) -> Result<Vec<ReplayResult>, EvalError> {
    let mut results = Vec::with_capacity(episodes.len());
    let one = |(): &mut (), episode: &EpisodeActions| -> Result<ReplayResult, EvalError> {
        let mut world = context.settled_world(episode.task, episode.init)?;
        for action in &episode.actions {
            world.step(action)?;
        }
        Ok(ReplayResult {
            task: episode.task,
            init: episode.init,
            recorded: episode.state_hash,
            now: world.state_hash(),
        })
    };
    in_parallel(
        episodes,
        jobs,
        || Ok(()),
        one,
        |replayed| {
            progress(&replayed);
            results.push(replayed);
            Ok(())
        },
    )?;
    results.sort_by_key(|r| (r.task, r.init));
    Ok(results)
}
