//! MJCF, MuJoCo's model files, as the description types of `bitvla-sim`.
//!
//! Semantics are MuJoCo's under LIBERO's settings (`docs/reference/libero.md`, section 1): angles are radians unless the
//! file says otherwise, mass comes from the geoms of group 0, a geom collides if its `contype` or `conaffinity` is set,
//! geoms of group 1 are drawn. Mesh geoms keep the frame that the file gives them. An attribute that is not written has
//! MuJoCo's default: that is what `unwrap_or` after an attribute means in these modules.
//!
//! A file passes through these modules in order: `document` (XML and default classes), `pose`, `asset_section` (meshes,
//! textures, materials), `geom` and `joint`, `visual` (drawn shapes), `model` (bodies), `import` (what is read from
//! which file).

mod asset_section;
mod bounded_read;
mod document;
mod geom;
mod import;
mod joint;
mod light;
mod material;
mod mesh;
mod mesh_formats;
mod model;
mod notices;
mod pose;
mod tessellation;
mod visual;

pub(crate) use asset_section::TextureOverrides;
pub(crate) use bounded_read::read_text;
pub(crate) use import::{parse_mesh, parse_object, parse_scene, read_visuals};
pub(crate) use model::{ImportOptions, ShownSite};
pub(crate) use notices::Notices;
