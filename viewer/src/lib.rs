//! A window onto bitvla-eval: what the robot does, and why it failed.
//!
//! Three rooms. [`theatre`] plays episodes in threads of their own and knows no window; [`stage`] draws them
//! in 3D; [`desk`] holds panels, timeline, plots, keys and files. [`pane`] is what the three share: which
//! episodes are on show and where on their timeline the clock is.

pub mod app;
pub mod args;
pub mod desk;
pub mod library;
pub mod measure;
pub mod offscreen;
pub mod pane;
pub mod preflight;
pub mod stage;
pub mod theatre;
