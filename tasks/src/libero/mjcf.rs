//! Bodies, joints, geoms and sites of an MJCF file as the description types of `bitvla-sim`.
//!
//! Semantics are MuJoCo's under LIBERO's settings (fact sheet section 1): angles are radians unless the
//! file says otherwise, mass comes from the geoms of group 0, a geom collides if its `contype` or
//! `conaffinity` is set, geoms of group 1 are drawn. Mesh geoms keep the frame that the file gives them.

use super::asset::{Assets, Instead, Material};
use super::geom::Geom;
use super::notice::Notices;
use super::pose::{Angles, explicit, numbers};
use super::visual;
use super::xml::{self, El, File, MAX_DEPTH};
use crate::error::TaskError;
use bitvla_sim::{
    BodyDesc, CollisionDesc, InertiaDesc, JointDesc, JointKind, ModelDesc, PlacementDesc,
    ShapeDesc, SiteDesc, VisibleWhen, VisualDesc, isometry,
};
use nalgebra::{Matrix3, Vector3};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Largest model file, bytes; LIBERO's have at most 20 thousand.
const MAX_TEXT: u64 = 1 << 20;
/// Most vertices that the shapes of a file are drawn with; LIBERO's have at most some hundred thousand.
const MAX_DRAWN: usize = 1_000_000;
/// Positions of a joint without limits stay below this, rad or m.
const FAR: f64 = 1e6;
/// Groups of geoms: of these mass is made, and of those pictures.
const MASS_GROUP: i64 = 0;
const DRAWN_GROUP: i64 = 1;

/// What a file is read as.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted<'w> {
    /// Name of the model.
    pub name: String,
    /// Texture files to take instead of those that the file names.
    pub instead: Instead,
    /// Sites that are drawn while a joint is at or above a position: site, joint, position.
    pub shown_sites: Vec<(&'w str, &'w str, f64)>,
}

struct Reader<'w> {
    angles: Angles,
    assets: Assets,
    notices: &'w Notices,
    wanted: &'w Wanted<'w>,
    model: ModelDesc,
    sites: BTreeSet<String>,
    bodies: BTreeSet<String>,
    /// Whether the file has geoms of the drawn group at all.
    draws: bool,
    drawn_vertices: usize,
}

/// An object or fixture: the body `object` with its parts, renamed `main`, and the placement sites beside it.
pub(crate) fn object(
    path: &Path,
    text: &str,
    wanted: &Wanted,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let doc = xml::document(path, text)?;
    let file = File::new(path, &doc)?;
    let root = file.root();
    let mut reader = Reader::new(&root, path, wanted, notices)?;
    let outer = (root
        .all("worldbody")
        .flat_map(|w| w.all("body").collect::<Vec<_>>())
        .next())
    .ok_or_else(|| root.fail("no <worldbody><body>", "a body around the body `object`"))?;
    let object = (outer.all("body").find(|b| b.own("name") == Some("object")))
        .ok_or_else(|| outer.fail("no body `object`", "a body of that name inside"))?;
    reader.add_body(&object, None, Some("main"), 0)?;
    let site = |name: &str| -> Result<[f64; 3], TaskError> {
        let el = (outer.all("site").find(|s| s.own("name") == Some(name)))
            .ok_or_else(|| outer.fail(format!("no site `{name}`"), "that site"))?;
        Ok(el.vector::<3>("pos")?.unwrap_or_default())
    };
    reader.model.placement = PlacementDesc {
        bottom_offset: site("bottom_site")?[2],
        top_offset: site("top_site")?[2],
        horizontal_radius: site("horizontal_radius_site")?[0],
        ..PlacementDesc::default()
    };
    Ok(reader.model)
}

/// A scene: everything in `<worldbody>`, under one root body `world`.
pub(crate) fn scene(
    path: &Path,
    text: &str,
    wanted: &Wanted,
    notices: &Notices,
    change: impl Fn(&mut ModelDesc) -> Result<(), String>,
) -> Result<(ModelDesc, Vec<bitvla_sim::LightDesc>), TaskError> {
    let doc = xml::document(path, text)?;
    let file = File::new(path, &doc)?;
    let root = file.root();
    let mut reader = Reader::new(&root, path, wanted, notices)?;
    let world =
        (root.all("worldbody").next()).ok_or_else(|| root.fail("no <worldbody>", "a world"))?;
    reader.add_body(&world, None, Some("world"), 0)?;
    let lights = (world.all("light"))
        .map(|l| light(&l))
        .collect::<Result<_, _>>()?;
    change(&mut reader.model).map_err(|found| world.fail(found, "a scene of LIBERO"))?;
    Ok((reader.model, lights))
}

/// Drawn shapes and their materials by body, for robots whose physics come from elsewhere.
pub(crate) fn pictures(path: &Path, name: &str, notices: &Notices) -> Result<ModelDesc, TaskError> {
    let wanted = Wanted {
        name: name.to_owned(),
        ..Wanted::default()
    };
    let text = read_text(path)?;
    let doc = xml::document(path, &text)?;
    let file = File::new(path, &doc)?;
    let root = file.root();
    let mut reader = Reader::new(&root, path, &wanted, notices)?;
    let world =
        (root.all("worldbody").next()).ok_or_else(|| root.fail("no <worldbody>", "a world"))?;
    reader.add_body(&world, None, Some("world"), 0)?;
    Ok(reader.model)
}

/// Text of a model file.
pub(crate) fn read_text(path: &Path) -> Result<String, TaskError> {
    let bytes = read_bytes(path, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        TaskError::Malformed {
            path: path.to_owned(),
            line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
            found: "bytes that are no UTF-8".into(),
            expected: "a text".into(),
        }
    })
}

/// A whole file of at most so many bytes.
pub(crate) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, TaskError> {
    let read = |source| TaskError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(read)?;
    let mut bytes = Vec::new();
    (file.take(most + 1))
        .read_to_end(&mut bytes)
        .map_err(read)?;
    if bytes.len() as u64 > most {
        return Err(TaskError::Binary {
            path: path.to_owned(),
            byte: most,
            found: "more bytes".into(),
            expected: format!("a file of at most {most} bytes"),
        });
    }
    Ok(bytes)
}

fn light(el: &El) -> Result<bitvla_sim::LightDesc, TaskError> {
    let grey = |name: &str, otherwise: f64| -> Result<f64, TaskError> {
        Ok(el
            .vector::<3>(name)?
            .map_or(otherwise, |c| c.iter().sum::<f64>() / 3.0))
    };
    let dir = el.vector::<3>("dir")?.unwrap_or([0.0, 0.0, -1.0]);
    let length = Vector3::from(dir).norm();
    if length < 1e-9 {
        return Err(el.fail(format!("dir {dir:?}"), "a direction"));
    }
    Ok(bitvla_sim::LightDesc {
        pos: el.vector::<3>("pos")?.unwrap_or_default(),
        dir: dir.map(|x| x / length),
        directional: el.flag("directional")?.unwrap_or(false),
        cutoff_deg: el.number("cutoff", 45.0)?,
        ambient: grey("ambient", 0.0)?,
        diffuse: grey("diffuse", 0.7)?,
        specular: grey("specular", 0.3)?,
    })
}

impl<'w> Reader<'w> {
    fn new(
        root: &El,
        path: &Path,
        wanted: &'w Wanted,
        notices: &'w Notices,
    ) -> Result<Self, TaskError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        Ok(Reader {
            angles: Angles::read(root)?,
            assets: Assets::read(root, dir, &wanted.instead, notices)?,
            notices,
            wanted,
            model: ModelDesc {
                name: wanted.name.clone(),
                placement: PlacementDesc::default(),
                bodies: Vec::new(),
                materials: BTreeMap::new(),
                articulation: None,
            },
            sites: BTreeSet::new(),
            bodies: BTreeSet::new(),
            draws: has_drawn(root, 0)?,
            drawn_vertices: 0,
        })
    }

    fn add_body(
        &mut self,
        el: &El,
        parent: Option<String>,
        rename: Option<&str>,
        depth: usize,
    ) -> Result<(), TaskError> {
        if depth > MAX_DEPTH {
            return Err(el.fail("bodies in bodies", "fewer levels"));
        }
        let wished = rename.or(el.own("name")).unwrap_or("body").to_owned();
        let name = unused(&mut self.bodies, wished);
        let mut body = BodyDesc {
            name: name.clone(),
            parent,
            pos: [0.0; 3],
            quat_wxyz: [1.0, 0.0, 0.0, 0.0],
            joint: None,
            inertia: None,
            collision: Vec::new(),
            visual: Vec::new(),
            site: Vec::new(),
        };
        if body.parent.is_some() {
            // The root stands where its instance is put.
            let pose = self.angles.pose(el)?;
            (body.pos, body.quat_wxyz) = numbers(&pose);
        }
        let mut joints = el.children().filter(|c| c.tag() == "joint");
        if let Some(joint) = joints.next() {
            if let Some(second) = joints.next() {
                return Err(second.fail("a second joint of its body", "one joint per body"));
            }
            if body.parent.is_none() {
                return Err(joint.fail("a joint of the root", "joints of bodies inside only"));
            }
            self.joint(&joint, &mut body)?;
        }
        if let Some(inertial) = el.all("inertial").next() {
            body.inertia = Some(self.inertial(&inertial)?);
        }
        let index = self.model.bodies.len();
        self.model.bodies.push(body);
        let geoms: Vec<Geom> = (el.all("geom"))
            .map(|g| Geom::read(&g, &self.angles, &mut self.assets, self.notices))
            .collect::<Result<_, _>>()?;
        for (geom, el) in geoms.iter().zip(el.all("geom")) {
            self.add_collision(index, geom, &el)?;
        }
        let mut stand_in = true;
        for (geom, el) in geoms.iter().zip(el.all("geom")) {
            self.add_picture(index, geom, &geoms, &mut stand_in, &el)?;
        }
        for (k, site) in el.all("site").enumerate() {
            self.add_site(index, k, &site)?;
        }
        for child in el.all("body") {
            self.add_body(&child, Some(name.clone()), None, depth + 1)?;
        }
        Ok(())
    }

    /// Puts a joint on a body. A hinge beside the origin gets a body of its own at the hinge.
    fn joint(&mut self, el: &El, body: &mut BodyDesc) -> Result<(), TaskError> {
        let kind = match el.get("type")?.unwrap_or("hinge") {
            "hinge" => JointKind::Hinge,
            "slide" => JointKind::Slide,
            other => return Err(el.fail(format!("type `{other}`"), "hinge or slide")),
        };
        let axis = Vector3::from(el.vector::<3>("axis")?.unwrap_or([0.0, 0.0, 1.0]));
        if axis.norm() < 1e-10 {
            return Err(el.fail("axis of length 0", "a direction"));
        }
        let range = el.vector::<2>("range")?;
        let limited = el.flag("limited")?.unwrap_or(range.is_some());
        let unit = if self.angles.degrees && kind == JointKind::Hinge {
            std::f64::consts::PI / 180.0
        } else {
            1.0
        };
        let range = match range {
            Some(range) if limited => range.map(|x| x * unit),
            None if limited => return Err(el.fail("no range", "a range, as it is limited")),
            _ => [-FAR, FAR],
        };
        if range[0] > range[1] {
            return Err(el.fail(format!("range {range:?}"), "low and high"));
        }
        let losses = [
            el.number("damping", 0.0)?,
            el.number("frictionloss", 0.0)?,
            el.number("armature", 0.0)?,
        ];
        if losses.iter().any(|x| *x < 0.0) {
            let found = format!("damping, frictionloss, armature {losses:?}");
            return Err(el.fail(found, "numbers of 0 or more"));
        }
        let joint = JointDesc {
            name: el.need("name")?.to_owned(),
            kind,
            axis: axis.normalize().into(),
            range,
            damping: losses[0],
            friction_loss: losses[1],
            armature: losses[2],
        };
        let known = self.model.bodies.iter().filter_map(|b| b.joint.as_ref());
        if known.into_iter().any(|j| j.name == joint.name) {
            return Err(el.fail("a second joint of that name", "unique names"));
        }
        let at = el.vector::<3>("pos")?.unwrap_or_default();
        if kind == JointKind::Slide || at == [0.0; 3] {
            body.joint = Some(joint);
            return Ok(());
        }
        let pose = isometry(body.pos, body.quat_wxyz) * isometry(at, [1.0, 0.0, 0.0, 0.0]);
        let (pos, quat_wxyz) = numbers(&pose);
        let name = unused(&mut self.bodies, format!("{}_{}", body.name, joint.name));
        self.model.bodies.push(BodyDesc {
            name: name.clone(),
            parent: body.parent.replace(name),
            pos,
            quat_wxyz,
            joint: Some(joint),
            inertia: None,
            collision: Vec::new(),
            visual: Vec::new(),
            site: Vec::new(),
        });
        (body.pos, body.quat_wxyz) = (at.map(|x| -x), [1.0, 0.0, 0.0, 0.0]);
        Ok(())
    }

    fn inertial(&self, el: &El) -> Result<InertiaDesc, TaskError> {
        let mass = el.number("mass", -1.0)?;
        if mass < 0.0 {
            return Err(el.fail("no mass of 0 or more", "a mass"));
        }
        let pose = self.angles.pose(el)?;
        let (com, quat_wxyz) = numbers(&pose);
        if let Some([xx, yy, zz, xy, xz, yz]) = el.vector::<6>("fullinertia")? {
            let full = Matrix3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz);
            return Ok(explicit(mass, com.into(), full));
        }
        let diagonal = el.vector::<3>("diaginertia")?.unwrap_or_default();
        if diagonal.iter().any(|x| *x < 0.0) {
            let found = format!("diaginertia {diagonal:?}");
            return Err(el.fail(found, "numbers of 0 or more"));
        }
        Ok(InertiaDesc {
            mass,
            com,
            diagonal,
            quat_wxyz,
        })
    }

    fn add_collision(&mut self, index: usize, geom: &Geom, el: &El) -> Result<(), TaskError> {
        let weighs = geom.group == MASS_GROUP && geom.kind != "plane";
        if !geom.collides && !weighs {
            return Ok(());
        }
        let (shape, offset) = match geom.shape() {
            Some(shape) => shape,
            None => {
                let path = geom
                    .mesh
                    .as_ref()
                    .map(|(path, _)| path.display().to_string());
                return Err(el.fail(
                    format!("`{}`, which is not there,", path.unwrap_or_default()),
                    "the mesh file of a collision shape",
                ));
            }
        };
        let pose = geom.pose * offset;
        let (pos, quat_wxyz) = numbers(&pose);
        let mut density = if weighs { geom.density } else { 0.0 };
        let volume = visual::volume(&shape);
        if weighs && volume.is_none() {
            // A shape whose mass the simulation does not know: its inertia is written down.
            self.add_weight(index, geom, el)?;
            density = 0.0;
        } else if let (true, Some(mass), Some(volume)) = (weighs, geom.mass, volume) {
            density = mass / volume;
        }
        if geom.collides {
            self.model.bodies[index].collision.push(CollisionDesc {
                name: geom.name.clone(),
                shape,
                pos,
                quat_wxyz,
                friction: geom.friction,
                density,
            });
        } else if density > 0.0 && self.model.bodies[index].inertia.is_none() {
            return Err(el.fail(
                "a geom of group 0 that does not collide",
                "mass of colliding geoms",
            ));
        }
        Ok(())
    }

    /// Mass of a mesh geom, as a body welded to its own.
    fn add_weight(&mut self, index: usize, geom: &Geom, el: &El) -> Result<(), TaskError> {
        if self.model.bodies[index].inertia.is_some() {
            return Ok(());
        }
        let solid = geom
            .mesh
            .as_ref()
            .and_then(|(_, mesh)| mesh.as_ref()?.solid());
        let solid = solid.ok_or_else(|| el.fail("a mesh without volume", "a closed mesh"))?;
        let density = geom.mass.map_or(geom.density, |m| m / solid.volume);
        let (pos, quat_wxyz) = numbers(&geom.pose);
        let parent = self.model.bodies[index].name.clone();
        let name = unused(&mut self.bodies, format!("{parent}_weight"));
        self.model.bodies.push(BodyDesc {
            name,
            parent: Some(parent),
            pos,
            quat_wxyz,
            joint: None,
            inertia: Some(explicit(
                density * solid.volume,
                solid.com,
                solid.inertia * density,
            )),
            collision: Vec::new(),
            visual: Vec::new(),
            site: Vec::new(),
        });
        Ok(())
    }

    /// Draws a geom; one whose mesh is missing is drawn by the collision shapes of its body.
    fn add_picture(
        &mut self,
        index: usize,
        geom: &Geom,
        all: &[Geom],
        stand_in: &mut bool,
        el: &El,
    ) -> Result<(), TaskError> {
        let shown = if self.draws {
            geom.group == DRAWN_GROUP
        } else {
            geom.collides
        };
        if !shown || geom.rgba[3] <= 0.0 {
            return Ok(());
        }
        if let Some((_, None)) = geom.mesh {
            if !std::mem::take(stand_in) {
                // Another missing mesh has brought these shapes already.
                return Ok(());
            }
            for other in all.iter().filter(|g| g.collides && g.group == MASS_GROUP) {
                let plain = Geom {
                    material: geom.material.dull(),
                    rgba: geom.rgba,
                    ..other.clone()
                };
                self.push_picture(index, &plain, el)?;
            }
            return Ok(());
        }
        self.push_picture(index, geom, el)
    }

    fn push_picture(&mut self, index: usize, geom: &Geom, el: &El) -> Result<(), TaskError> {
        let Some(shape) = visual::drawn(geom) else {
            return Ok(());
        };
        if let ShapeDesc::Mesh { vertices, .. } = &shape {
            self.drawn_vertices += vertices.len();
        }
        if self.drawn_vertices > MAX_DRAWN {
            let expected = format!("at most {MAX_DRAWN} drawn vertices in a file");
            return Err(el.fail("another drawn shape", &expected));
        }
        let flat = matches!(geom.kind.as_str(), "box" | "plane");
        let desc = geom.material.desc(geom.rgba, flat);
        let known = self.model.materials.iter().find(|(_, d)| **d == desc);
        let material = match known {
            Some((name, _)) => name.clone(),
            None => {
                let name = format!("m{:02}", self.model.materials.len());
                self.model.materials.insert(name.clone(), desc);
                name
            }
        };
        let (pos, quat_wxyz) = numbers(&geom.pose);
        self.model.bodies[index].visual.push(VisualDesc {
            shape,
            pos,
            quat_wxyz,
            material,
            visible_when: None,
        });
        Ok(())
    }

    fn add_site(&mut self, index: usize, k: usize, el: &El) -> Result<(), TaskError> {
        let pose = self.angles.pose(el)?;
        let (pos, quat_wxyz) = numbers(&pose);
        let given = el.numbers("size", 3)?.unwrap_or_default();
        let half = [0, 1, 2].map(|k| given.get(k).copied().unwrap_or(0.005));
        if half.iter().any(|x| *x < 0.0) {
            return Err(el.fail(format!("size {half:?}"), "sizes of 0 or more"));
        }
        let name = match el.own("name") {
            Some(name) => name.to_owned(),
            None => format!("site{index}_{k}"),
        };
        if !self.sites.insert(name.clone()) {
            return Err(el.fail("a second site of that name", "unique names"));
        }
        if let Some((_, joint, at_least)) = (self.wanted.shown_sites.iter()).find(|s| s.0 == name) {
            let rgba = el.vector::<4>("rgba")?.unwrap_or([0.5, 0.5, 0.5, 1.0]);
            let geom = Geom {
                name: None,
                kind: el.get("type")?.unwrap_or("sphere").to_owned(),
                pose,
                size: half,
                mesh: None,
                group: DRAWN_GROUP,
                collides: false,
                friction: 0.0,
                density: 0.0,
                mass: None,
                material: Material::plain(rgba),
                rgba,
            };
            self.push_picture(index, &geom, el)?;
            if let Some(picture) = self.model.bodies[index].visual.last_mut() {
                picture.visible_when = Some(VisibleWhen {
                    joint: (*joint).to_owned(),
                    at_least: *at_least,
                });
            }
        }
        self.model.bodies[index].site.push(SiteDesc {
            name,
            pos,
            quat_wxyz,
            half,
        });
        Ok(())
    }
}

fn has_drawn(el: &El, depth: usize) -> Result<bool, TaskError> {
    if depth > MAX_DEPTH + 2 {
        return Err(el.fail("elements in elements", "fewer levels"));
    }
    for child in el.children() {
        match child.tag() {
            "geom" if child.whole("group", 0)? == DRAWN_GROUP => return Ok(true),
            "worldbody" | "body" if has_drawn(&child, depth + 1)? => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// A name that is not taken yet.
fn unused(taken: &mut BTreeSet<String>, wished: String) -> String {
    let mut name = wished.clone();
    let mut k = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wished}_{k}");
        k += 1;
    }
    name
}
