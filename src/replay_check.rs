//! Check that a recording is reproduced: steps the recorded actions of a run folder without any policy and compares the
//! final states bit for bit, and where hashes were kept, every state and, if asked, the frames of every query.

use crate::observation::CameraRig;
use crate::{EvalContext, EvalError, FirstDifference, frame_hash};
use bitvla_perturbations::ImageFilter;
use bitvla_policies::Flip;
use bitvla_reports::{EpisodeActions, EpisodeHashes, EvalProtocol};
use bitvla_sim::World;
use bitvla_tasks::in_parallel;

/// A recording.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// Actions of its episodes.
    pub episodes: &'a [EpisodeActions],
    /// Hashes of their states and frames in order of task and initial state; episodes without are compared by their final states.
    pub hashes: &'a [EpisodeHashes],
    /// How the frames were drawn; `None` compares no frames.
    pub frames: Option<RecordedFrames>,
}

/// Size and orientation of recorded frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedFrames {
    camera_size: usize,
    flip: Flip,
}

impl RecordedFrames {
    /// Reads them from a protocol; `None` for a policy without cameras, or with a sanity check that replaces its images.
    pub fn of(protocol: &EvalProtocol) -> Option<RecordedFrames> {
        let replaced = protocol.sanity != "none";
        if protocol.cameras.is_empty() || replaced {
            return None;
        }
        let flips = [Flip::None, Flip::LeftRight].into_iter();
        let mut known = flips.filter(|flip| flip.describe() == protocol.flip);
        Some(RecordedFrames {
            camera_size: protocol.camera_size,
            flip: known.next()?,
        })
    }

    /// Side of the images, pixels.
    pub(crate) fn side(self) -> usize {
        self.camera_size
    }

    /// True if the policy gets them mirrored.
    pub(crate) fn is_mirrored(self) -> bool {
        self.flip == Flip::LeftRight
    }
}

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
    /// First state or frames that are other ones; `None` if all that were kept are the same.
    pub first: Option<FirstDifference>,
}

impl ReplayResult {
    /// Returns true if every bit of the final state is the same, and all states and frames that were kept.
    pub fn identical(&self) -> bool {
        self.recorded == self.now && self.first.is_none()
    }
}

/// Replays episodes over `jobs` threads; results in order of task and initial state.
///
/// # Errors
/// If a world cannot be built or drawn, or refuses an action.
pub fn replay(
    context: EvalContext<'_>,
    recording: &Recording<'_>,
    jobs: usize,
    progress: &mut dyn FnMut(&ReplayResult),
) -> Result<Vec<ReplayResult>, EvalError> {
    let mut results = Vec::with_capacity(recording.episodes.len());
    in_parallel(
        recording.episodes,
        jobs,
        || Ok(()),
        |(): &mut (), episode| replay_episode(context, recording, episode),
        |replayed| {
            progress(&replayed);
            results.push(replayed);
            Ok(())
        },
    )?;
    results.sort_by_key(|r| (r.task, r.init));
    Ok(results)
}

fn replay_episode(
    context: EvalContext<'_>,
    recording: &Recording<'_>,
    episode: &EpisodeActions,
) -> Result<ReplayResult, EvalError> {
    let key = (episode.task, episode.init);
    let at = (recording.hashes).binary_search_by_key(&key, |h| (h.task, h.init));
    let kept = at.ok().map(|at| &recording.hashes[at]);
    let mut frames = FrameCheck {
        setup: recording.frames,
        kept: kept.map_or(&[][..], |kept| &kept.frames),
        next: 0,
        cameras: None,
        filter: (context.perturbation_of(key.0)).and_then(|p| p.image_filter(context.key(key))),
    };
    let mut world = context.settled_world(key.0, key.1)?;
    let mut now = EpisodeHashes::new(key.0, key.1);
    now.push_state(world.state_hash());
    let mut first = None;
    let other = |now: &EpisodeHashes, at: usize| {
        kept.is_some_and(|kept| kept.states.get(at) != now.states.get(at))
    };
    if other(&now, 0) {
        first = Some(FirstDifference::SettledState);
    }
    for (step, action) in episode.actions.iter().enumerate() {
        if first.is_none()
            && let Some(query) = frames.differ(&world, step)?
        {
            first = Some(FirstDifference::Frames { query, step });
        }
        world.step(action)?;
        now.push_state(world.state_hash());
        if first.is_none() && other(&now, step + 1) {
            first = Some(FirstDifference::State { step });
        }
    }
    Ok(ReplayResult {
        task: episode.task,
        init: episode.init,
        recorded: episode.state_hash,
        now: world.state_hash(),
        first,
    })
}

/// Draws the frames of an episode again.
struct FrameCheck<'a> {
    setup: Option<RecordedFrames>,
    kept: &'a [bitvla_reports::FrameHash],
    /// Number of the next query.
    next: usize,
    cameras: Option<CameraRig>,
    /// Perturbation of the frames.
    filter: Option<ImageFilter>,
}

impl FrameCheck<'_> {
    /// Number of the query of this step, if its frames are other ones now.
    fn differ(&mut self, world: &World, step: usize) -> Result<Option<usize>, EvalError> {
        let (Some(setup), Some(kept)) = (self.setup, self.kept.get(self.next)) else {
            return Ok(None);
        };
        if kept.step as usize != step {
            return Ok(None);
        }
        let query = self.next;
        self.next += 1;
        let cameras = CameraRig::prepared(&mut self.cameras, world)?;
        let mut images = cameras.policy_images(world, (setup.camera_size, setup.flip))?;
        if let Some(filter) = &mut self.filter {
            images.perturb(filter, (step, world.event_happened()));
        }
        Ok((frame_hash(&images) != kept.hash).then_some(query))
    }
}
