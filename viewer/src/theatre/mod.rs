//! The simulation side of the window, without any window: an actor steps a world in a thread of its own
//! and reports what happened; a track keeps it. Nothing here draws, and nothing that looks changes what
//! happens: an episode that nobody touched ends in the same state as in `bitvla-eval`.

mod actor;
mod inset;
mod moment;
mod regions;
mod track;

pub use actor::{Cast, Order, Pace, Play, Report, start};
pub use inset::{InsetPainter, Picture};
pub use moment::{Asked, Ending, Moment, Opening};
pub use regions::{Region, goal_regions};
pub use track::{Mark, MarkKind, Track};
