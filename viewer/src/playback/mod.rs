//! Playback of episodes without a window: a worker thread steps the world and emits events, a trajectory records them.
//!
//! Observing an episode does not change it: without intervention it ends in the same state as in `bitvla-eval`.

mod action_source;
mod camera_renderer;
mod episode_worker;
mod goal_regions;
mod messages;
mod step_state;
mod trajectory;

pub use camera_renderer::{CameraImageRenderer, RenderedImages};
pub use episode_worker::WorkerHandle;
pub use goal_regions::{GoalRegion, goal_regions};
pub use messages::{Command, ControlSource, EpisodeRequest, Event, Pacing, Recording};
pub use step_state::{CONTROL_HZ, EpisodeInfo, StepState, Termination, TracedQuery};
pub use trajectory::{Marker, MarkerKind, Trajectory};
