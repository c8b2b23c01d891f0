//! Check that a recording is reproduced: steps the recorded actions of a run folder without any policy and compares the
//! final states bit for bit, and where the hashes of all states were kept, each of them.

use crate::{EvalContext, EvalError};
use bitvla_reports::{EpisodeActions, EpisodeHashes};
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
    /// Number of the first state that is another one: 0 for the settled state, k for that after k control steps. `None` if all
    /// that were kept are the same.
    pub parts_at: Option<usize>,
}

impl ReplayResult {
    /// Returns true if every bit of the final state is the same, and every state that was kept.
    pub fn identical(&self) -> bool {
        self.recorded == self.now && self.parts_at.is_none()
    }
}

/// Replays episodes over `jobs` threads; results in order of task and initial state. `hashes` are those of the states, in the same
/// order of task and initial state; episodes without are compared by their final states.
///
/// # Errors
/// If a world cannot be built or refuses an action.
pub fn replay(
    context: EvalContext<'_>,
    (episodes, hashes): (&[EpisodeActions], &[EpisodeHashes]),
    jobs: usize,
    progress: &mut dyn FnMut(&ReplayResult),
) -> Result<Vec<ReplayResult>, EvalError> {
    let mut results = Vec::with_capacity(episodes.len());
    let one = |(): &mut (), episode: &EpisodeActions| -> Result<ReplayResult, EvalError> {
        let key = (episode.task, episode.init);
        let mut world = context.settled_world(key.0, key.1)?;
        let mut now = EpisodeHashes::new(key.0, key.1);
        now.push_state(world.state_hash());
        for action in &episode.actions {
            world.step(action)?;
            now.push_state(world.state_hash());
        }
        let at = hashes.binary_search_by_key(&key, |h| (h.task, h.init));
        let kept = at.map_or(&[][..], |at| &hashes[at].states);
        Ok(ReplayResult {
            task: episode.task,
            init: episode.init,
            recorded: episode.state_hash,
            now: world.state_hash(),
            parts_at: kept.iter().zip(&now.states).position(|(a, b)| a != b),
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
