//! Object models, arenas and the robot: read from the asset folder of this project, or from a LIBERO checkout.

pub(crate) mod libero_arenas;
mod libero_dir;
pub(crate) mod libero_models;
mod libero_robot;
mod library;
mod toml_file;
mod validation;

pub use libero_dir::LiberoDir;
pub use library::Assets;
pub(crate) use toml_file::parse_toml;
