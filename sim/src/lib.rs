//! The simulated world of bitvla-eval: a Franka Panda with operational-space control among
//! table-top objects on Rapier, and the cameras its policies look through.
//!
//! The crate knows bodies, joints, contacts and pixels; it knows neither tasks nor policies.

pub mod description;
pub mod error;
pub mod joint_constraints;
pub mod links;
pub mod osc;
pub mod panda;
pub mod render;
pub mod settings;
pub mod world;

pub use description::*;
pub use error::SimError;
pub use settings::{SimulationProtocol, SimulationSettings};
pub use world::{BodyPoint, Contact, PointSpring, RobotObservation, Snapshot, World};
