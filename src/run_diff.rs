//! Differences of two runs: for every episode the first point at which they part, from the hashes of states and frames that a run
//! keeps. Within a control step the frames come first, then the action, then the state that it leads to.

use crate::RunFolder;
use bitvla_reports::{EpisodeActions, EpisodeHashes, EpisodeRecord};
use std::collections::BTreeSet;

/// First point at which two runs of an episode differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstDifference {
    /// The settled state: other models, initial states or physics.
    SettledState,
    /// The frames of a query, in the same state: another renderer or other camera settings.
    Frames {
        /// Number of the query, from 0.
        query: usize,
        /// Control step that it was made for, from 0.
        step: usize,
    },
    /// The action of a control step, after the same frames and states: another policy, or other arithmetic.
    Action {
        /// Control step, from 0.
        step: usize,
    },
    /// The state after a control step, after the same action: other physics.
    State {
        /// Control step, from 0.
        step: usize,
    },
    /// One of the two ended before this control step, after the same states: another success rule, horizon or an error.
    End {
        /// Control step, from 0.
        step: usize,
    },
    /// A field of the row alone: success, number of queries or error.
    Row,
}

impl FirstDifference {
    /// Kind of the difference, for a count.
    pub fn kind(&self) -> &'static str {
        match self {
            FirstDifference::SettledState => "settled state",
            FirstDifference::Frames { .. } => "frames",
            FirstDifference::Action { .. } => "action",
            FirstDifference::State { .. } => "state",
            FirstDifference::End { .. } => "end",
            FirstDifference::Row => "row",
        }
    }

    /// Control step, where there is one.
    pub fn step(&self) -> Option<usize> {
        match *self {
            FirstDifference::Frames { step, .. }
            | FirstDifference::Action { step }
            | FirstDifference::State { step }
            | FirstDifference::End { step } => Some(step),
            FirstDifference::SettledState | FirstDifference::Row => None,
        }
    }
}

/// An episode whose two results differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeDifference {
    /// Row in the first run.
    pub first: EpisodeRecord,
    /// Row in the second run.
    pub second: EpisodeRecord,
    /// Point at which they part.
    pub at: FirstDifference,
}

/// Differences of two runs.
#[derive(Debug, Clone)]
pub struct RunDiff {
    /// Fields of the protocols that differ, with both values.
    pub protocol: Vec<String>,
    /// Episodes that both runs have.
    pub shared: usize,
    /// Those of them that differ, in order of task and initial state.
    pub episodes: Vec<EpisodeDifference>,
    /// Task and initial state of episodes that the second run lacks.
    pub only_first: Vec<(usize, usize)>,
    /// Task and initial state of episodes that the first run lacks.
    pub only_second: Vec<(usize, usize)>,
    /// True if a run keeps no hashes, so that only actions and final states are compared.
    pub without_hashes: bool,
}

impl RunDiff {
    /// Compares two runs.
    pub fn of(first: &RunFolder, second: &RunFolder) -> RunDiff {
        let keys = |run: &RunFolder| -> BTreeSet<(usize, usize)> {
            run.episodes.iter().map(EpisodeRecord::key).collect()
        };
        let (in_first, in_second) = (keys(first), keys(second));
        let shared: Vec<_> = in_first.intersection(&in_second).copied().collect();
        let mut episodes = Vec::new();
        for key in &shared {
            if let (Some(first), Some(second)) =
                (Episode::find(first, *key), Episode::find(second, *key))
                && let Some(at) = first_difference(&first, &second)
            {
                episodes.push(EpisodeDifference {
                    first: first.row.clone(),
                    second: second.row.clone(),
                    at,
                });
            }
        }
        let keeps = |run: &RunFolder| run.hashes.len() == run.actions.len();
        RunDiff {
            protocol: (first.manifest.protocol).differences(&second.manifest.protocol),
            shared: shared.len(),
            episodes,
            only_first: in_first.difference(&in_second).copied().collect(),
            only_second: in_second.difference(&in_first).copied().collect(),
            without_hashes: !keeps(first) || !keeps(second),
        }
    }

    /// Returns true if both runs have the same episodes with the same bits.
    pub fn identical(&self) -> bool {
        self.episodes.is_empty() && self.only_first.is_empty() && self.only_second.is_empty()
    }
}

/// What is kept of an episode.
struct Episode<'a> {
    row: &'a EpisodeRecord,
    actions: Option<&'a EpisodeActions>,
    hashes: Option<&'a EpisodeHashes>,
}

impl<'a> Episode<'a> {
    fn find(run: &'a RunFolder, key: (usize, usize)) -> Option<Episode<'a>> {
        let row = run.episodes.binary_search_by_key(&key, EpisodeRecord::key);
        Some(Episode {
            row: &run.episodes[row.ok()?],
            actions: run.actions_of(key),
            hashes: run.hashes_of(key),
        })
    }
}

/// First point at which two results of an episode differ; `None` if they are the same. The names of policy and arithmetic do not
/// count.
fn first_difference(a: &Episode<'_>, b: &Episode<'_>) -> Option<FirstDifference> {
    let parts =
        (a.actions.zip(b.actions)).and_then(|(first, second)| match a.hashes.zip(b.hashes) {
            Some(hashes) => with_hashes((first, second), hashes),
            None => without_hashes(first, second),
        });
    parts.or_else(|| {
        let fields = |row: &EpisodeRecord| {
            let error = row.error.clone();
            (
                row.success,
                row.steps,
                row.queries,
                row.state_hash.clone(),
                error,
            )
        };
        (fields(a.row) != fields(b.row)).then_some(FirstDifference::Row)
    })
}

fn with_hashes(
    (first, second): (&EpisodeActions, &EpisodeActions),
    (a, b): (&EpisodeHashes, &EpisodeHashes),
) -> Option<FirstDifference> {
    if a.states.first() != b.states.first() {
        return Some(FirstDifference::SettledState);
    }
    let mut queries = a.frames.iter().zip(&b.frames).enumerate().peekable();
    for step in 0..first.actions.len().max(second.actions.len()) {
        let (Some(ours), Some(theirs)) = (first.actions.get(step), second.actions.get(step)) else {
            return Some(FirstDifference::End { step });
        };
        while let Some((query, (x, y))) =
            queries.next_if(|(_, (x, y))| x.step.min(y.step) as usize == step)
        {
            if x.step == y.step && x.hash != y.hash {
                return Some(FirstDifference::Frames { query, step });
            }
        }
        if ours.map(f64::to_bits) != theirs.map(f64::to_bits) {
            return Some(FirstDifference::Action { step });
        }
        if a.states.get(step + 1) != b.states.get(step + 1) {
            return Some(FirstDifference::State { step });
        }
    }
    (first.state_hash != second.state_hash).then(|| FirstDifference::State {
        step: first.actions.len().saturating_sub(1),
    })
}

fn without_hashes(first: &EpisodeActions, second: &EpisodeActions) -> Option<FirstDifference> {
    let steps = (first.actions.len(), second.actions.len());
    if let Some(step) = first.parts_from(second) {
        return Some(match step < steps.0.min(steps.1) {
            true => FirstDifference::Action { step },
            false => FirstDifference::End { step },
        });
    }
    (first.state_hash != second.state_hash).then_some(FirstDifference::State {
        step: steps.0.saturating_sub(1),
    })
}

#[cfg(test)]
mod tests {
    //! Guarantee: the first difference of an episode is named by its kind and step, whatever differs after it.
    use super::*;
    use bitvla_reports::FrameHash;

    fn episode() -> (EpisodeActions, EpisodeHashes) {
        let actions = EpisodeActions {
            task: 0,
            init: 0,
            state_hash: 13,
            actions: (0..3).map(|i| [f64::from(i); 7]).collect(),
        };
        let mut hashes = EpisodeHashes::new(0, 0);
        for state in 10..14 {
            hashes.push_state(state);
        }
        hashes.frames = vec![
            FrameHash { step: 0, hash: 5 },
            FrameHash { step: 2, hash: 6 },
        ];
        (actions, hashes)
    }

    /// First difference between the episode and its copy after `change`.
    fn parted(change: impl Fn(&mut EpisodeActions, &mut EpisodeHashes)) -> Option<FirstDifference> {
        let ((a, x), (mut b, mut y)) = (episode(), episode());
        change(&mut b, &mut y);
        with_hashes((&a, &b), (&x, &y))
    }

    #[test]
    fn the_first_difference_is_found() {
        assert_eq!(parted(|_, _| ()), None);
        assert_eq!(
            parted(|_, h| h.states[0] = 0),
            Some(FirstDifference::SettledState)
        );
        assert_eq!(
            parted(|a, h| {
                h.frames[1].hash = 0;
                a.actions[2][0] = 9.0;
                h.states[3] = 0;
            }),
            Some(FirstDifference::Frames { query: 1, step: 2 })
        );
        assert_eq!(
            parted(|a, h| {
                a.actions[1][6] = 9.0;
                h.states[2] = 0;
            }),
            Some(FirstDifference::Action { step: 1 })
        );
        assert_eq!(
            parted(|_, h| h.states[2] = 0),
            Some(FirstDifference::State { step: 1 })
        );
        assert_eq!(
            parted(|a, h| {
                a.actions.truncate(2);
                h.states.truncate(3);
            }),
            Some(FirstDifference::End { step: 2 })
        );
    }

    #[test]
    fn a_final_state_that_differs_only_in_its_long_hash_is_a_difference() {
        let last = FirstDifference::State { step: 2 };
        assert_eq!(parted(|a, _| a.state_hash = 14), Some(last));
        // A zero of another sign is another action.
        let zero = FirstDifference::Action { step: 0 };
        assert_eq!(parted(|a, _| a.actions[0][0] = -0.0), Some(zero));
    }

    #[test]
    fn without_hashes_actions_and_the_end_are_compared() {
        let (a, _) = episode();
        let mut b = a.clone();
        assert_eq!(without_hashes(&a, &b), None);
        b.state_hash = 1;
        assert_eq!(
            without_hashes(&a, &b),
            Some(FirstDifference::State { step: 2 })
        );
    }
}
