//! LIBERO's readers for files that are in memory already: for tests, and for tools that look at one file.
//!
//! A path names the file in errors, and what the file names in turn is looked for beside it.

use super::notice::Notices;
use super::{arenas, mesh, models};
use crate::error::TaskError;
use bitvla_sim::{ArenaDesc, ModelDesc, ShapeDesc};
use std::path::Path;

/// The text of the MJCF file of an object, or of a fixture, of a category.
///
/// # Errors
/// When it is not understood or a collision mesh is missing.
pub fn model(path: &Path, text: &str, category: &str, fixed: bool) -> Result<ModelDesc, TaskError> {
    models::parse(path, text, category, fixed, &Notices::default())
}

/// The text of the MJCF file of an arena, for example `table`.
///
/// # Errors
/// When there is no arena of that name, or the text is not understood.
pub fn arena(path: &Path, text: &str, name: &str) -> Result<ArenaDesc, TaskError> {
    arenas::parse(path, text, name, &Notices::default()).unwrap_or_else(|| {
        Err(TaskError::Unknown {
            kind: "arena",
            name: name.to_owned(),
            known: arenas::names(),
        })
    })
}

/// The bytes of a mesh file, as it is drawn; the ending of the path tells the format: `stl`, `obj` or `msh`.
///
/// # Errors
/// When they are not of that format.
pub fn mesh(path: &Path, bytes: &[u8]) -> Result<ShapeDesc, TaskError> {
    let mesh = mesh::parse(path, bytes)?.shaded();
    Ok(ShapeDesc::Mesh {
        vertices: mesh.vertices,
        triangles: mesh.triangles,
        uv: mesh.uv,
        normals: mesh.normals,
    })
}
