//! Entry points of the import: an object, a scene, the drawn shapes of a robot, or a mesh.

use super::bounded_read::read_text;
use super::document::{MjcfDocument, MjcfElement};
use super::light::read_light;
use super::mesh_formats;
use super::model::{ImportOptions, ModelBuilder};
use super::notices::Notices;
use super::rules::{FileKind, check_element};
use super::sources::MjcfSources;
use crate::error::TaskError;
use bitvla_sim::{LightDesc, ModelDesc, PlacementDesc, ShapeDesc};
use std::path::Path;

/// Imports an object or fixture: the body `object` with its parts, renamed `main`, and the placement sites beside it.
/// What else is in the world of the file has no effect, as robosuite takes only that body; it is said.
pub(crate) fn parse_object(
    path: &Path,
    text: &str,
    options: &ImportOptions,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let sources = MjcfSources::read(path, text)?;
    let docs = sources.parse()?;
    let document = MjcfDocument::new(&sources, &docs, FileKind::Object, notices)?;
    let root = document.root();
    let is_object = |body: &MjcfElement| body.own("name") == Some("object");
    let bodies = || root.all("worldbody").flat_map(|world| world.all("body"));
    let outer = bodies()
        .find(|body| body.all("body").any(|b| is_object(&b)))
        .or_else(|| bodies().next())
        .ok_or_else(|| root.fail("no <worldbody><body>", "a body around the body `object`"))?;
    let object = (outer.all("body").find(is_object))
        .ok_or_else(|| outer.fail("no body `object`", "a body of that name inside"))?;
    check_element(&object, 0)?;
    let beside = (root.all("worldbody").flat_map(|world| world.children()))
        .chain(outer.children())
        .filter(|el| *el != outer && *el != object && el.tag() != "site");
    for el in beside {
        let sentence = format!(
            "<{}> beside the body `object` has no effect, as in LIBERO: robosuite takes only that body",
            el.tag()
        );
        notices.say(&el.place(), &sentence);
    }
    let mut builder = ModelBuilder::new(&root, &object, FileKind::Object, path, options, notices)?;
    builder.add_root(&object, "main")?;
    let site = |name: &str| -> Result<[f64; 3], TaskError> {
        let el = (outer.all("site").find(|s| s.own("name") == Some(name)))
            .ok_or_else(|| outer.fail(format!("no site `{name}`"), "that site"))?;
        Ok(el.vector::<3>("pos")?.unwrap_or_default())
    };
    let mut model = builder.finish(&object)?;
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
    let sources = MjcfSources::read(path, text)?;
    let docs = sources.parse()?;
    let document = MjcfDocument::new(&sources, &docs, FileKind::Scene, notices)?;
    let root = document.root();
    let world = world_body(&root)?;
    let mut model = import_world(&root, &world, FileKind::Scene, path, options, notices)?;
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
    let sources = MjcfSources::read(path, &read_text(path)?)?;
    let docs = sources.parse()?;
    let document = MjcfDocument::new(&sources, &docs, FileKind::Robot, notices)?;
    let root = document.root();
    let world = world_body(&root)?;
    import_world(&root, &world, FileKind::Robot, path, &options, notices)
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
    let mut worlds = root.all("worldbody");
    let world = (worlds.next()).ok_or_else(|| root.fail("no <worldbody>", "a world"))?;
    match worlds.next() {
        Some(second) => Err(second.fail(
            "a second <worldbody>",
            "one, as robosuite reads only the first",
        )),
        None => Ok(world),
    }
}

fn import_world(
    root: &MjcfElement,
    world: &MjcfElement,
    kind: FileKind,
    path: &Path,
    options: &ImportOptions,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let mut builder = ModelBuilder::new(root, world, kind, path, options, notices)?;
    builder.add_root(world, "world")?;
    builder.finish(world)
}
