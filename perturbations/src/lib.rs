//! Perturbations of episodes as seeded data: where the camera looks from, how the arm begins, what the images suffer, where objects lie, how the light
//! falls, how surfaces look, what is asked for and in which words, how bodies and commands behave, and what happens in mid-episode.
//!
//! A [`Perturbation`] is a list of axes, at most one of each, that is composed into an episode in a fixed order: goal, words, layout, object, posture of
//! the arm, physics, background, light, camera, noise, sensors, event. It is parsed from words (`camera:yaw=30`) or from a TOML file, and an episode stays a
//! function of its inputs: everything random is drawn by [`Draws`] from (seed, task, initial state, axis, control step), never from a clock or the
//! order of work. Axes and magnitudes follow LIBERO-plus, LIBERO-PRO and LIBERO-MAX where those state them.
//!
//! ```
//! use bitvla_perturbations::Perturbation;
//!
//! let perturbation = Perturbation::parse(&["camera:yaw=30", "noise:kind=fog,level=4"])?;
//! assert_eq!(perturbation.to_string(), "camera:yaw=30.0 noise:kind=fog,level=4");
//! assert!(Perturbation::parse(&["camera:jaw=30"]).is_err());
//! # Ok::<(), bitvla_perturbations::PerturbationError>(())
//! ```

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod action_filter;
mod background;
mod camera;
mod draws;
mod error;
mod event;
mod goal;
mod image_filter;
mod language;
mod layout;
mod light;
pub mod noise;
mod object;
mod physics;
mod plus_names;
mod pro_cases;
mod robot;
mod spec;
mod target;

pub use action_filter::ActionFilter;
pub use background::{BackgroundChange, Surfaces};
pub use camera::CameraChange;
pub use draws::{Draws, EpisodeKey};
pub use error::PerturbationError;
pub use event::{EventChange, EventKind};
pub use goal::GoalChange;
pub use image_filter::{CameraSelection, ImageFilter, SensorFault};
pub use language::InstructionChange;
pub use layout::LayoutChange;
pub use light::LightChange;
pub use noise::{ImageNoise, NoiseKind};
pub use object::ObjectChange;
pub use physics::{PhysicsChange, ValueOrRange};
pub use plus_names::PlusName;
pub use pro_cases::{PRO_CASES, ProCase, pro_case};
pub use robot::PostureChange;
pub use spec::{AXES, LEVELLED, LEVELS, Perturbation, swept_axes};
