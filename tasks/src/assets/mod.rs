//! Object models, arenas and the robot: read from the asset folder of this project, or from a LIBERO checkout.

mod files;
#[cfg(feature = "libero")]
pub(crate) mod libero_arenas;
#[cfg(feature = "libero")]
mod libero_dir;
#[cfg(not(feature = "libero"))]
#[path = "no_libero.rs"]
mod libero_dir;
#[cfg(feature = "libero")]
pub(crate) mod libero_models;
#[cfg(feature = "libero")]
mod libero_robot;
mod library;
mod toml_file;
mod validation;

pub(crate) use files::AssetFiles;
pub use libero_dir::LiberoDir;
pub use library::Assets;
pub(crate) use toml_file::parse_toml;
