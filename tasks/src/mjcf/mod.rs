//! MJCF, MuJoCo's model files, as the description types of `bitvla-sim`.
//!
//! Semantics are those of MuJoCo 2.3.7 under LIBERO's settings (`docs/reference/libero.md`, section 1) after robosuite 1.4.1
//! has read the file: angles are radians, paths start at the folder of the file, defaults hold for elements that name
//! their class, geoms of an object are of group 0 (they have mass) or 1 (they are drawn), and a geom collides if its
//! `contype` or `conaffinity` is set. An attribute that is not written has MuJoCo's default: that is what `unwrap_or`
//! after an attribute means in these modules. `rules` lists all elements and attributes: each is used, known and without
//! effect, or refused.
//!
//! A file passes through these modules in order: `sources` (what it includes), `document` (XML and default classes),
//! `rules`, `pose`, `asset_section` (meshes, textures, materials), `geom` and `joint`, `collision` (contact shapes and
//! masses), `visual` (drawn shapes), `model` (bodies), `import` (what is read from which file).

mod asset_section;
mod bounded_read;
mod collision;
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
mod rules;
mod sources;
mod tessellation;
mod visual;
mod volume;

pub(crate) use asset_section::TextureOverrides;
pub(crate) use bounded_read::read_text;
pub(crate) use import::{parse_mesh, parse_object, parse_scene, read_visuals};
pub(crate) use model::{ImportOptions, ShownSite};
pub(crate) use notices::Notices;
