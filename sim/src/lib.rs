//! Simulation of a robot arm at a table: a Franka Panda under operational-space control among objects, drawers, doors
//! and knobs on Rapier, and a deterministic CPU renderer for its cameras.
//!
//! A [`SceneDesc`] describes an arena, a robot and instances of models as plain data (TOML under `assets/`, or made by
//! an importer). [`World`] builds the physics from it, steps it at 20 Hz with seven-component actions, answers with a
//! [`RobotObservation`], contacts and poses, saves and restores its state bit for bit, and declares the settings that
//! it runs with ([`World::protocol`]). [`render::Renderer`] draws a [`VisualState`] of the same scene: the same bytes
//! on any machine. The crate knows bodies, joints, contacts and pixels; it knows neither tasks nor policies.

// Tests may unwrap and print; library code returns errors and leaves printing to the program.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod description;
pub mod error;
mod joint_constraints;
pub mod links;
pub mod osc;
pub mod panda;
pub mod render;
pub mod settings;
pub mod world;

pub use description::*;
pub use error::SimError;
pub use settings::{SimulationProtocol, SimulationSettings};
pub use world::{
    BodyPoint, Contact, JointHandle, PointSpring, RobotObservation, SceneEvent, SiteHandle,
    Snapshot, World,
};
