//! Bodies of an MJCF file with their joints, geoms and sites as a model description.

use super::asset_section::{MjcfAssets, TextureOverrides};
use super::document::{MAX_DEPTH, MjcfElement};
use super::geom::{Geom, GeomKind, GeomMesh, primitive_volume};
use super::joint::{read_inertial, read_joint};
use super::material::MjcfMaterial;
use super::notices::Notices;
use super::pose::{AngleSettings, inertia_desc, pose_to_desc};
use super::visual::visual_shape;
use crate::error::TaskError;
use bitvla_sim::{
    BodyDesc, CollisionDesc, JointDesc, JointKind, ModelDesc, PlacementDesc, ShapeDesc, SiteDesc,
    VisibleWhen, VisualDesc, isometry,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Most vertices that the shapes of a file are drawn with; LIBERO's have at most some hundred thousand.
const MAX_DRAWN_VERTICES: usize = 1_000_000;
/// Group of the geoms that have mass.
const MASS_GROUP: i64 = 0;
/// Group of the geoms that are drawn.
const DRAWN_GROUP: i64 = 1;
/// Half size of a site that states none, m: MuJoCo's default.
const DEFAULT_SITE_HALF: f64 = 0.005;
/// Colour of a site that states none, RGBA: MuJoCo's default.
const DEFAULT_SITE_RGBA: [f64; 4] = [0.5, 0.5, 0.5, 1.0];

/// Options of the import of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImportOptions<'w> {
    /// Name of the model.
    pub name: String,
    /// Texture files to take instead of those that the file names.
    pub texture_overrides: TextureOverrides,
    /// Sites that are drawn.
    pub shown_sites: Vec<ShownSite<'w>>,
}

/// A site that is drawn while a joint is at or above a position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownSite<'w> {
    /// Name of the site.
    pub site: &'w str,
    /// Name of the joint.
    pub joint: &'w str,
    /// Least joint position, rad or m.
    pub at_least: f64,
}

/// A model under construction: bodies are added from the root on.
pub(super) struct ModelBuilder<'w> {
    angles: AngleSettings,
    assets: MjcfAssets,
    notices: &'w Notices,
    options: &'w ImportOptions<'w>,
    model: ModelDesc,
    site_names: BTreeSet<String>,
    body_names: BTreeSet<String>,
    /// The file has geoms of the drawn group; without any, colliding geoms are drawn.
    has_drawn_group: bool,
    drawn_vertices: usize,
}

impl<'w> ModelBuilder<'w> {
    /// Reads the settings and assets of a file.
    pub fn new(
        root: &MjcfElement,
        path: &Path,
        options: &'w ImportOptions,
        notices: &'w Notices,
    ) -> Result<Self, TaskError> {
        // Only a root folder has no parent, and it is no file with a text.
        let dir = path.parent().unwrap_or(Path::new("."));
        Ok(ModelBuilder {
            angles: AngleSettings::read(root)?,
            assets: MjcfAssets::read(root, dir, &options.texture_overrides, notices)?,
            notices,
            options,
            model: ModelDesc {
                name: options.name.clone(),
                placement: PlacementDesc::default(),
                bodies: Vec::new(),
                materials: BTreeMap::new(),
                articulation: None,
            },
            site_names: BTreeSet::new(),
            body_names: BTreeSet::new(),
            has_drawn_group: has_drawn_group(root, 0)?,
            drawn_vertices: 0,
        })
    }

    /// Adds an element under a name as the root body, and everything in it.
    pub fn add_root(&mut self, el: &MjcfElement, name: &str) -> Result<(), TaskError> {
        self.add_body(el, None, name, 0)
    }

    /// The model.
    pub fn finish(self) -> ModelDesc {
        self.model
    }

    fn add_body(
        &mut self,
        el: &MjcfElement,
        parent: Option<String>,
        wanted_name: &str,
        depth: usize,
    ) -> Result<(), TaskError> {
        if depth > MAX_DEPTH {
            return Err(el.fail("bodies in bodies", "fewer levels"));
        }
        let name = unused_name(&mut self.body_names, wanted_name.to_owned());
        let mut body = empty_body(name.clone(), parent);
        if body.parent.is_some() {
            // The root has the pose of its instance.
            let pose = self.angles.pose(el)?;
            (body.pos, body.quat_wxyz) = pose_to_desc(&pose);
        }
        let mut joints = el.all("joint");
        if let Some(joint) = joints.next() {
            if let Some(second) = joints.next() {
                return Err(second.fail("a second joint of its body", "one joint per body"));
            }
            if body.parent.is_none() {
                return Err(joint.fail("a joint of the root", "joints of bodies inside only"));
            }
            self.add_joint(&joint, &mut body)?;
        }
        if let Some(inertial) = el.all("inertial").next() {
            body.inertia = Some(read_inertial(&inertial, &self.angles)?);
        }
        let index = self.model.bodies.len();
        self.model.bodies.push(body);
        let geoms: Vec<Geom> = (el.all("geom"))
            .map(|g| Geom::read(&g, &self.angles, &mut self.assets, self.notices))
            .collect::<Result<_, _>>()?;
        for (geom, el) in geoms.iter().zip(el.all("geom")) {
            self.add_collision(index, geom, &el)?;
        }
        let mut has_substitute = false;
        for (geom, el) in geoms.iter().zip(el.all("geom")) {
            self.add_visual(index, geom, &geoms, &mut has_substitute, &el)?;
        }
        for (k, site) in el.all("site").enumerate() {
            self.add_site(index, k, &site)?;
        }
        for child in el.all("body") {
            let child_name = child.own("name").unwrap_or("body");
            self.add_body(&child, Some(name.clone()), child_name, depth + 1)?;
        }
        Ok(())
    }

    /// Adds a joint to a body. A hinge beside the origin of the body gets a body of its own at the hinge.
    fn add_joint(&mut self, el: &MjcfElement, body: &mut BodyDesc) -> Result<(), TaskError> {
        let (joint, at): (JointDesc, [f64; 3]) = read_joint(el, &self.angles)?;
        let mut known = (self.model.bodies.iter()).filter_map(|b| b.joint.as_ref());
        if known.any(|j| j.name == joint.name) {
            return Err(el.fail("a second joint of that name", "unique names"));
        }
        if joint.kind == JointKind::Slide || at == [0.0; 3] {
            body.joint = Some(joint);
            return Ok(());
        }
        let pose = isometry(body.pos, body.quat_wxyz) * isometry(at, [1.0, 0.0, 0.0, 0.0]);
        let name = unused_name(
            &mut self.body_names,
            format!("{}_{}", body.name, joint.name),
        );
        let mut hinge = empty_body(name.clone(), body.parent.replace(name));
        (hinge.pos, hinge.quat_wxyz) = pose_to_desc(&pose);
        hinge.joint = Some(joint);
        self.model.bodies.push(hinge);
        (body.pos, body.quat_wxyz) = (at.map(|x| -x), [1.0, 0.0, 0.0, 0.0]);
        Ok(())
    }

    /// Adds the contact shape and the mass of a geom.
    fn add_collision(
        &mut self,
        index: usize,
        geom: &Geom,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        let has_mass = geom.group == MASS_GROUP && geom.kind != GeomKind::Plane;
        if !geom.collides && !has_mass {
            return Ok(());
        }
        let Some((shape, offset)) = geom.shape() else {
            // Only the shape of a mesh can be missing.
            let path = geom.mesh.as_ref().map(|m| m.path.display().to_string());
            let found = format!("`{}`, which is not there,", path.unwrap_or_default());
            return Err(el.fail(found, "the mesh file of a collision shape"));
        };
        let (pos, quat_wxyz) = pose_to_desc(&(geom.pose * offset));
        let density = match (has_mass, primitive_volume(&shape), geom.mass) {
            (false, ..) => 0.0,
            (true, None, _) => {
                // The simulation does not compute the mass of a hull, so its inertia is stated.
                self.add_mesh_inertia(index, geom, el)?;
                0.0
            }
            (true, Some(volume), Some(mass)) => mass / volume,
            (true, Some(_), None) => geom.density,
        };
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

    /// Adds the mass of a mesh geom, as a body welded to that of the geom; none if the file states the inertia of the body.
    fn add_mesh_inertia(
        &mut self,
        index: usize,
        geom: &Geom,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        if self.model.bodies[index].inertia.is_some() {
            return Ok(());
        }
        let solid = (geom.mesh.as_ref())
            .and_then(|m| m.mesh.as_ref()?.volume_properties())
            .ok_or_else(|| el.fail("a mesh without volume", "a closed mesh"))?;
        let density = geom.mass.map_or(geom.density, |m| m / solid.volume);
        let parent = self.model.bodies[index].name.clone();
        let name = unused_name(&mut self.body_names, format!("{parent}_weight"));
        let mut weight = empty_body(name, Some(parent));
        (weight.pos, weight.quat_wxyz) = pose_to_desc(&geom.pose);
        weight.inertia = Some(inertia_desc(
            density * solid.volume,
            solid.com,
            solid.inertia * density,
        ));
        self.model.bodies.push(weight);
        Ok(())
    }

    /// Adds the drawn shape of a geom. Where a mesh is missing, the collision shapes of its body are drawn, once.
    fn add_visual(
        &mut self,
        index: usize,
        geom: &Geom,
        all: &[Geom],
        has_substitute: &mut bool,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        let is_drawn = if self.has_drawn_group {
            geom.group == DRAWN_GROUP
        } else {
            geom.collides
        };
        if !is_drawn || geom.rgba[3] <= 0.0 {
            return Ok(());
        }
        if let Some(GeomMesh { mesh: None, .. }) = geom.mesh {
            if std::mem::replace(has_substitute, true) {
                return Ok(());
            }
            for other in all.iter().filter(|g| g.collides && g.group == MASS_GROUP) {
                let substitute = Geom {
                    material: geom.material.without_reflectance(),
                    rgba: geom.rgba,
                    ..other.clone()
                };
                self.push_visual(index, &substitute, None, el)?;
            }
            return Ok(());
        }
        self.push_visual(index, geom, None, el)
    }

    fn push_visual(
        &mut self,
        index: usize,
        geom: &Geom,
        visible_when: Option<VisibleWhen>,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        let Some(shape) = visual_shape(geom) else {
            return Ok(());
        };
        if let ShapeDesc::Mesh { vertices, .. } = &shape {
            self.drawn_vertices += vertices.len();
        }
        if self.drawn_vertices > MAX_DRAWN_VERTICES {
            let expected = format!("at most {MAX_DRAWN_VERTICES} drawn vertices in a file");
            return Err(el.fail("another drawn shape", &expected));
        }
        let flat = matches!(geom.kind, GeomKind::Box | GeomKind::Plane);
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
        let (pos, quat_wxyz) = pose_to_desc(&geom.pose);
        self.model.bodies[index].visual.push(VisualDesc {
            shape,
            pos,
            quat_wxyz,
            material,
            visible_when,
        });
        Ok(())
    }

    fn add_site(&mut self, index: usize, k: usize, el: &MjcfElement) -> Result<(), TaskError> {
        let pose = self.angles.pose(el)?;
        let (pos, quat_wxyz) = pose_to_desc(&pose);
        let given = el.numbers("size", 3)?.unwrap_or_default();
        let half = [0, 1, 2].map(|k| given.get(k).copied().unwrap_or(DEFAULT_SITE_HALF));
        if half.iter().any(|x| *x < 0.0) {
            return Err(el.fail(format!("size {half:?}"), "sizes of 0 or more"));
        }
        let name = match el.own("name") {
            Some(name) => name.to_owned(),
            None => format!("site{index}_{k}"),
        };
        if !self.site_names.insert(name.clone()) {
            return Err(el.fail("a second site of that name", "unique names"));
        }
        let shown = self.options.shown_sites.iter().find(|s| s.site == name);
        if let Some(shown) = shown.copied() {
            let rgba = el.vector::<4>("rgba")?.unwrap_or(DEFAULT_SITE_RGBA);
            let geom = Geom {
                name: None,
                kind: GeomKind::read(el)?,
                pose,
                size: half,
                mesh: None,
                group: DRAWN_GROUP,
                collides: false,
                friction: 0.0,
                density: 0.0,
                mass: None,
                material: MjcfMaterial::plain(rgba),
                rgba,
            };
            let visible_when = VisibleWhen {
                joint: shown.joint.to_owned(),
                at_least: shown.at_least,
            };
            self.push_visual(index, &geom, Some(visible_when), el)?;
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

fn empty_body(name: String, parent: Option<String>) -> BodyDesc {
    BodyDesc {
        name,
        parent,
        pos: [0.0; 3],
        quat_wxyz: [1.0, 0.0, 0.0, 0.0],
        joint: None,
        inertia: None,
        collision: Vec::new(),
        visual: Vec::new(),
        site: Vec::new(),
    }
}

fn has_drawn_group(el: &MjcfElement, depth: usize) -> Result<bool, TaskError> {
    if depth > MAX_DEPTH + 2 {
        return Err(el.fail("elements in elements", "fewer levels"));
    }
    for child in el.children() {
        match child.tag() {
            "geom" if child.whole("group", 0)? == DRAWN_GROUP => return Ok(true),
            "worldbody" | "body" if has_drawn_group(&child, depth + 1)? => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// Takes a name that is not taken yet: the wanted one, or that with a number.
fn unused_name(taken: &mut BTreeSet<String>, wanted: String) -> String {
    let mut name = wanted.clone();
    let mut k = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{k}");
        k += 1;
    }
    name
}
