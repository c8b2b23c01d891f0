//! Readers of single LIBERO files that are in memory already, for tests of good and damaged ones.
//!
//! A path names the file in errors; files that it refers to are looked up beside it.

use crate::assets::{libero_arenas, libero_models};
use crate::error::TaskError;
use crate::mjcf::{self, Notices};
use bitvla_sim::{ArenaDesc, ModelDesc, ShapeDesc};
use std::path::Path;

/// Reads the text of the MJCF file of an object of a category, or of a fixture if `fixed`.
///
/// # Errors
/// Fails if it is not understood or a collision mesh is missing.
pub fn model(path: &Path, text: &str, category: &str, fixed: bool) -> Result<ModelDesc, TaskError> {
    libero_models::parse(path, text, category, fixed, &Notices::default())
}

/// Reads the text of the MJCF file of an arena, for example `table`.
///
/// # Errors
/// Fails if there is no arena of that name, or the text is not understood.
pub fn arena(path: &Path, text: &str, name: &str) -> Result<ArenaDesc, TaskError> {
    libero_arenas::parse(path, text, name, &Notices::default())
}

/// Reads the bytes of a mesh file as it is drawn; the ending of the path decides the format: `stl`, `obj` or `msh`.
///
/// # Errors
/// Fails if they are not of that format.
pub fn mesh(path: &Path, bytes: &[u8]) -> Result<ShapeDesc, TaskError> {
    mjcf::parse_mesh(path, bytes)
}
