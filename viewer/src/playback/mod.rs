//! The simulation side of the window, without any window: an actor steps a world in a thread of its own
//! and reports what happened; a track keeps it. Nothing here draws, and nothing that looks changes what
//! happens: an episode that nobody touched ends in the same state as in `bitvla-eval`.

mod camera_renderer;
mod episode_worker;
mod goal_regions;
mod step_state;
mod trajectory;

pub use camera_renderer::{CameraImageRenderer, RenderedImages};
pub use episode_worker::{Command, ControlSource, EpisodeRequest, Event, Pacing, spawn_worker};
pub use goal_regions::{GoalRegion, goal_regions};
pub use step_state::{EpisodeInfo, PolicyQuery, StepState, Termination};
pub use trajectory::{Marker, MarkerKind, Trajectory};
