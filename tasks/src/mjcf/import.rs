//! Entry points of the import: an object, a scene, the drawn shapes of a robot, or a mesh.

use super::bounded_read::read_text;
use super::document::{MjcfDocument, MjcfElement, parse_xml};
use super::light::read_light;
use super::mesh_formats;
use super::model::{ImportOptions, ModelBuilder};
use super::notices::Notices;
use crate::error::TaskError;
use bitvla_sim::{LightDesc, ModelDesc, PlacementDesc, ShapeDesc};
use std::path::Path;

/// Imports an object or fixture: the body `object` with its parts, renamed `main`, and the placement sites beside it.
pub(crate) fn parse_object(
    path: &Path,
    text: &str,
    options: &ImportOptions,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let xml = parse_xml(path, text)?;
    let document = MjcfDocument::new(path, &xml)?;
    let root = document.root();
    let mut builder = ModelBuilder::new(&root, path, options, notices)?;
    let outer = (root.all("worldbody"))
        .find_map(|world| world.all("body").next())
        .ok_or_else(|| root.fail("no <worldbody><body>", "a body around the body `object`"))?;
    let object = (outer.all("body").find(|b| b.own("name") == Some("object")))
        .ok_or_else(|| outer.fail("no body `object`", "a body of that name inside"))?;
    builder.add_root(&object, "main")?;
    let site = |name: &str| -> Result<[f64; 3], TaskError> {
        let el = (outer.all("site").find(|s| s.own("name") == Some(name)))
            .ok_or_else(|| outer.fail(format!("no site `{name}`"), "that site"))?;
        Ok(el.vector::<3>("pos")?.unwrap_or_default())
    };
    let mut model = builder.finish();
    model.placement = PlacementDesc {
        bottom_offset: site("bottom_site")?[2],
        top_offset: site("top_site")?[2],
        horizontal_radius: site("horizontal_radius_site")?[0],
        ..PlacementDesc::default()
    };
    Ok(model)
}

/// Imports a scene: everything in `<worldbody>` under one root body `world`, and its lights. `adjust` changes the model
/// as LIBERO does in Python; the error it returns is reported at `<worldbody>`.
pub(crate) fn parse_scene(
    path: &Path,
    text: &str,
    options: &ImportOptions,
    notices: &Notices,
    adjust: impl Fn(&mut ModelDesc) -> Result<(), String>,
) -> Result<(ModelDesc, Vec<LightDesc>), TaskError> {
    let xml = parse_xml(path, text)?;
    let document = MjcfDocument::new(path, &xml)?;
    let root = document.root();
    let world = world_body(&root)?;
    let mut model = import_world(&root, &world, path, options, notices)?;
    let lights = (world.all("light"))
        .map(|l| read_light(&l))
        .collect::<Result<_, _>>()?;
    adjust(&mut model).map_err(|found| world.fail(found, "a scene of LIBERO"))?;
    Ok((model, lights))
}

/// Reads the drawn shapes and materials of a file by body, for robots whose physics come from elsewhere.
pub(crate) fn read_visuals(
    path: &Path,
    name: &str,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let options = ImportOptions {
        name: name.to_owned(),
        ..ImportOptions::default()
    };
    let text = read_text(path)?;
    let xml = parse_xml(path, &text)?;
    let document = MjcfDocument::new(path, &xml)?;
    let root = document.root();
    import_world(&root, &world_body(&root)?, path, &options, notices)
}

/// Imports the bytes of a mesh file as it is drawn; the ending of the path decides the format.
pub(crate) fn parse_mesh(path: &Path, bytes: &[u8]) -> Result<ShapeDesc, TaskError> {
    let mesh = mesh_formats::parse_mesh(path, bytes)?.shaded();
    Ok(ShapeDesc::Mesh {
        vertices: mesh.vertices,
        triangles: mesh.triangles,
        uv: mesh.uv,
        normals: mesh.normals,
    })
}

fn world_body<'f, 'a>(root: &MjcfElement<'f, 'a>) -> Result<MjcfElement<'f, 'a>, TaskError> {
    (root.all("worldbody").next()).ok_or_else(|| root.fail("no <worldbody>", "a world"))
}

fn import_world(
    root: &MjcfElement,
    world: &MjcfElement,
    path: &Path,
    options: &ImportOptions,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let mut builder = ModelBuilder::new(root, path, options, notices)?;
    builder.add_root(world, "world")?;
    Ok(builder.finish())
}
