//! Bodies of an MJCF file with their joints, geoms and sites as a model description.

use super::asset_section::{MjcfAssets, TextureOverrides};
use super::collision::{MASS_GROUP, first_weightless};
use super::document::{MAX_DEPTH, MjcfElement};
use super::geom::{Geom, GeomKind, GeomMesh};
use super::joint::{read_inertial, read_joint};
use super::material::MjcfMaterial;
use super::notices::Notices;
use super::pose::{pose_to_desc, read_pose};
use super::rules::FileKind;
use super::visual::visual_shape;
use crate::error::TaskError;
use bitvla_sim::{
    BodyDesc, JointDesc, JointKind, ModelDesc, ShapeDesc, SiteDesc, VisibleWhen, VisualDesc,
};
use nalgebra::{Isometry3, Translation3, Vector3};
use std::collections::BTreeSet;
use std::path::Path;

/// Most geoms of a file; LIBERO's have at most a hundred.
const MAX_GEOMS: usize = 1000;
/// Most vertices that the shapes of a file are drawn with; LIBERO's have at most some hundred thousand.
const MAX_DRAWN_VERTICES: usize = 1_000_000;
/// Group of the geoms that are drawn: robosuite hides group 0.
const DRAWN_GROUP: i64 = 1;
/// Another group that MuJoCo draws unless it is told not to.
const ALSO_DRAWN_GROUP: i64 = 2;
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
    /// The root moves freely, so that it needs a mass.
    pub is_free: bool,
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
    kind: FileKind,
    assets: MjcfAssets,
    pub(super) notices: &'w Notices,
    options: &'w ImportOptions<'w>,
    pub(super) model: ModelDesc,
    site_names: BTreeSet<String>,
    pub(super) body_names: BTreeSet<String>,
    /// The file has geoms of the drawn group; without any, colliding geoms are drawn.
    has_drawn_group: bool,
    drawn_vertices: usize,
    read_geoms: usize,
}

impl<'w> ModelBuilder<'w> {
    /// Reads the assets of a file; bodies are added from `start`.
    pub fn new(
        root: &MjcfElement,
        start: &MjcfElement,
        kind: FileKind,
        path: &Path,
        options: &'w ImportOptions,
        notices: &'w Notices,
    ) -> Result<Self, TaskError> {
        // Only a root folder has no parent, and it is no file with a text.
        let dir = path.parent().unwrap_or(Path::new("."));
        Ok(ModelBuilder {
            kind,
            assets: MjcfAssets::read(root, dir, &options.texture_overrides, notices)?,
            notices,
            options,
            model: ModelDesc::empty(&options.name),
            site_names: BTreeSet::new(),
            body_names: BTreeSet::new(),
            has_drawn_group: has_drawn_group(start, kind)?,
            drawn_vertices: 0,
            read_geoms: 0,
        })
    }

    /// Adds an element under a name as the root body, and everything in it.
    pub fn add_root(&mut self, el: &MjcfElement, name: &str) -> Result<(), TaskError> {
        self.add_body(el, None, name, Vector3::zeros(), 0)
    }

    /// The model. Fails at the element around it if a part moves and has no mass.
    pub fn finish(self, el: &MjcfElement) -> Result<ModelDesc, TaskError> {
        // The physics of a robot come from elsewhere.
        let weightless = match self.kind {
            FileKind::Robot => None,
            _ => first_weightless(&self.model, self.options.is_free),
        };
        if let Some(name) = weightless {
            let found = format!("body `{name}`, which moves and has no mass,");
            return Err(el.fail(found, "an <inertial> or geoms of group 0 with volume"));
        }
        Ok(self.model)
    }

    /// Adds a body; `shift` is the origin of the parent's element in the frame of the parent, m.
    fn add_body(
        &mut self,
        el: &MjcfElement,
        parent: Option<String>,
        wanted_name: &str,
        shift: Vector3<f64>,
        depth: usize,
    ) -> Result<(), TaskError> {
        if depth > MAX_DEPTH {
            return Err(el.fail("bodies in bodies", "fewer levels"));
        }
        let name = unused_name(&mut self.body_names, wanted_name.to_owned());
        let mut body = BodyDesc::new(name.clone(), parent);
        // The root has the pose of its instance.
        let mut pose = match body.parent {
            Some(_) => shifted(read_pose(el)?, shift),
            None => Isometry3::identity(),
        };
        let mut shift = Vector3::zeros();
        let mut joints = el.all("joint");
        if let Some(joint) = joints.next() {
            if let Some(second) = joints.next() {
                return Err(second.fail("a second joint of its body", "one joint per body"));
            }
            if body.parent.is_none() {
                return Err(joint.fail("a joint of the root", "joints of bodies inside only"));
            }
            (body.joint, shift) = self.read_joint_of(&joint, &mut pose)?;
        }
        if body.parent.is_some() {
            (body.pos, body.quat_wxyz) = pose_to_desc(&pose);
        }
        let mut inertials = el.all("inertial");
        if let Some(inertial) = inertials.next() {
            if let Some(second) = inertials.next() {
                return Err(second.fail("a second <inertial>", "one per body"));
            }
            let mut inertia = read_inertial(&inertial)?;
            inertia.com = (Vector3::from(inertia.com) + shift).into();
            body.inertia = Some(inertia);
        }
        let index = self.model.bodies.len();
        self.model.bodies.push(body);
        let mut geoms = Vec::new();
        for el in el.all("geom") {
            if let Some(mut geom) = self.read_geom(&el)? {
                geom.pose = shifted(geom.pose, shift);
                geoms.push((geom, el));
            }
        }
        for (geom, el) in &geoms {
            self.add_collision(index, geom, el)?;
        }
        let mut has_substitute = false;
        for (geom, el) in &geoms {
            self.add_visual(index, geom, &geoms, &mut has_substitute, el)?;
        }
        for (k, site) in el.all("site").enumerate() {
            self.add_site(index, k, shift, &site)?;
        }
        for child in el.all("body") {
            let child_name = child.own("name").unwrap_or("body");
            self.add_body(&child, Some(name.clone()), child_name, shift, depth + 1)?;
        }
        Ok(())
    }

    /// Reads a geom; none if robosuite deletes it from an object, which is said.
    fn read_geom(&mut self, el: &MjcfElement) -> Result<Option<Geom>, TaskError> {
        let group = el.whole("group", 0)?;
        if self.kind == FileKind::Object && ![MASS_GROUP, DRAWN_GROUP].contains(&group) {
            let sentence = format!(
                "the geom of group {group} is left out, as in LIBERO: robosuite deletes the geoms of an object that are \
                 of no group 0 or 1"
            );
            self.notices.say(&el.place(), &sentence);
            return Ok(None);
        }
        if self.read_geoms >= MAX_GEOMS {
            return Err(el.fail(
                "another geom",
                &format!("at most {MAX_GEOMS} geoms in a file"),
            ));
        }
        self.read_geoms += 1;
        Ok(Some(Geom::read(el, &mut self.assets, self.notices)?))
    }

    /// Reads the joint of a body and moves the pose of the body in that of its parent to the frame of the joint, at joint
    /// position zero. Returns the joint and the origin of the body's element in that frame, m.
    fn read_joint_of(
        &self,
        el: &MjcfElement,
        pose: &mut Isometry3<f64>,
    ) -> Result<(Option<JointDesc>, Vector3<f64>), TaskError> {
        let joint = read_joint(el)?;
        let mut known = (self.model.bodies.iter()).filter_map(|b| b.joint.as_ref());
        if known.any(|j| j.name == joint.desc.name) {
            return Err(el.fail("a second joint of that name", "unique names"));
        }
        let mut shift = Vector3::zeros();
        if joint.desc.kind == JointKind::Hinge && joint.at != [0.0; 3] {
            *pose *= Translation3::from(Vector3::from(joint.at));
            shift = -Vector3::from(joint.at);
        }
        if joint.to_zero != Isometry3::identity() {
            *pose *= joint.to_zero;
        }
        Ok((Some(joint.desc), shift))
    }

    /// Adds the drawn shape of a geom. Where a mesh is missing, the collision shapes of its body are drawn, once.
    fn add_visual(
        &mut self,
        index: usize,
        geom: &Geom,
        all: &[(Geom, MjcfElement)],
        has_substitute: &mut bool,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        let is_drawn = if self.has_drawn_group {
            is_drawn_group(geom.group, self.kind)
        } else {
            geom.collides()
        };
        if !is_drawn || geom.rgba[3] <= 0.0 {
            return Ok(());
        }
        if let Some(GeomMesh { mesh: None, .. }) = geom.mesh {
            if std::mem::replace(has_substitute, true) {
                return Ok(());
            }
            let others = all.iter().map(|(other, _)| other);
            for other in others.filter(|g| g.collides() && g.group == MASS_GROUP) {
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

    fn add_site(
        &mut self,
        index: usize,
        k: usize,
        shift: Vector3<f64>,
        el: &MjcfElement,
    ) -> Result<(), TaskError> {
        let pose = shifted(read_pose(el)?, shift);
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
                bits: [0; 2],
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

/// Pose of something in a body whose element has its origin at `shift`.
fn shifted(mut pose: Isometry3<f64>, shift: Vector3<f64>) -> Isometry3<f64> {
    if shift != Vector3::zeros() {
        pose.translation.vector += shift;
    }
    pose
}

fn is_drawn_group(group: i64, kind: FileKind) -> bool {
    group == DRAWN_GROUP || (group == ALSO_DRAWN_GROUP && kind != FileKind::Object)
}

/// Returns true if a geom of an element or of a body inside is drawn by its group. Depth has been checked with the file.
fn has_drawn_group(el: &MjcfElement, kind: FileKind) -> Result<bool, TaskError> {
    for child in el.children() {
        match child.tag() {
            "geom" if is_drawn_group(child.whole("group", 0)?, kind) => return Ok(true),
            "body" if has_drawn_group(&child, kind)? => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// Takes a name that is not taken yet: the wanted one, or that with a number.
pub(super) fn unused_name(taken: &mut BTreeSet<String>, wanted: String) -> String {
    let mut name = wanted.clone();
    let mut k = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}_{k}");
        k += 1;
    }
    name
}
