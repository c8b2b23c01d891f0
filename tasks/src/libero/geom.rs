//! Geoms of an MJCF file: type, sizes, pose, what they collide and weigh, and how they look.

use super::asset::{Assets, Mapping, Material};
use super::mesh::TriMesh;
use super::notice::Notices;
use super::pose::{Angles, from_z};
use super::visual;
use super::xml::El;
use crate::error::TaskError;
use bitvla_sim::ShapeDesc;
use nalgebra::{Isometry3, Vector3};
use std::sync::Arc;

/// Density of a geom that states none, kg/m^3.
const DENSITY: f64 = 1000.0;
/// Half the thickness of a plane, m.
const PLANE_DEPTH: f64 = 0.1;
/// Half sizes of a plane without end, m.
const PLANE_REACH: f64 = 10.0;

/// A geom as read.
#[derive(Debug, Clone)]
pub(crate) struct Geom {
    /// Name, if it has one.
    pub name: Option<String>,
    /// MuJoCo's name of the type.
    pub kind: String,
    /// Pose in the body.
    pub pose: Isometry3<f64>,
    /// Sizes as MuJoCo means them for the type.
    pub size: [f64; 3],
    /// File, and mesh if the file is there.
    pub mesh: Option<(std::path::PathBuf, Option<Arc<TriMesh>>)>,
    /// Group: 0 weighs, 1 is drawn.
    pub group: i64,
    /// Whether it touches anything.
    pub collides: bool,
    /// Sliding friction.
    pub friction: f64,
    /// Density, kg/m^3.
    pub density: f64,
    /// Mass, kg, where it is written.
    pub mass: Option<f64>,
    /// Surface.
    pub material: Material,
    /// Colour and opacity, 0..1.
    pub rgba: [f64; 4],
}

impl Geom {
    /// Reads a geom and the mesh that it names.
    pub fn read(
        el: &El,
        angles: &Angles,
        assets: &mut Assets,
        notices: &Notices,
    ) -> Result<Geom, TaskError> {
        let kind = el.get("type")?.unwrap_or("sphere").to_owned();
        let size = el.numbers("size", 3)?.unwrap_or_default();
        let mut pose = angles.pose(el)?;
        let mut size = [0, 1, 2].map(|k| size.get(k).copied().unwrap_or(0.0));
        if let Some([a, b, c, d, e, f]) = el.vector::<6>("fromto")? {
            let (from, to) = (Vector3::new(a, b, c), Vector3::new(d, e, f));
            let along = to - from;
            if along.norm() < 1e-10 {
                return Err(el.fail("fromto of length 0", "two points"));
            }
            let half = 0.5 * along.norm();
            // MuJoCo points z from the second end to the first.
            pose =
                Isometry3::from_parts(((from + to) * 0.5).into(), from_z((from - to).normalize()));
            match kind.as_str() {
                "capsule" | "cylinder" => size[1] = half,
                "box" | "ellipsoid" => size = [size[0], size[0], half],
                other => {
                    return Err(el.fail(
                        format!("fromto of a {other}"),
                        "capsule, cylinder, box or ellipsoid",
                    ));
                }
            }
        }
        let mesh = match kind.as_str() {
            "mesh" => {
                let name = el.need("mesh")?;
                let asset = assets.mesh(el, name, notices)?;
                Some((asset.path, asset.mesh))
            }
            _ => None,
        };
        let needed = match kind.as_str() {
            "box" | "ellipsoid" => 3,
            "capsule" | "cylinder" => 2,
            "sphere" => 1,
            "plane" | "mesh" => 0,
            other => {
                let known = "box, sphere, capsule, cylinder, ellipsoid, plane or mesh";
                return Err(el.fail(format!("type `{other}`"), known));
            }
        };
        if size[..needed].iter().any(|x| *x <= 0.0) {
            let found = format!("size {size:?} of a {kind}");
            return Err(el.fail(found, "sizes above 0"));
        }
        let material =
            match el.get("material")? {
                None => None,
                Some(name) => Some((assets.materials.get(name).cloned()).ok_or_else(|| {
                    el.fail(format!("material `{name}`"), "a material of <asset>")
                })?),
            };
        // A colour of its own wins over that of the material.
        let own = el.vector::<4>("rgba")?;
        let rgba = match (&material, own) {
            (_, Some(rgba)) => rgba,
            (Some(material), None) => material.rgba,
            (None, None) => [0.5, 0.5, 0.5, 1.0],
        };
        let friction = el.numbers("friction", 3)?.and_then(|f| f.first().copied());
        let density = el.number("density", DENSITY)?;
        let mass = el.vector::<1>("mass")?.map(|m| m[0]);
        let friction = friction.unwrap_or(1.0);
        if friction < 0.0 || density < 0.0 || mass.is_some_and(|m| m < 0.0) {
            return Err(el.fail(
                "a negative friction, density or mass",
                "numbers of 0 or more",
            ));
        }
        Ok(Geom {
            name: el.own("name").map(str::to_owned),
            kind,
            pose,
            size,
            mesh,
            group: el.whole("group", 0)?,
            collides: el.whole("contype", 1)? != 0 || el.whole("conaffinity", 1)? != 0,
            friction,
            density,
            mass,
            material: material.unwrap_or_else(|| Material::plain(rgba)),
            rgba,
        })
    }

    /// Shape for collisions and its pose in the frame of the geom; `None` if its mesh is missing.
    pub fn shape(&self) -> Option<(ShapeDesc, Isometry3<f64>)> {
        let here = Isometry3::identity();
        let [a, b, c] = self.size;
        Some(match self.kind.as_str() {
            "box" => (ShapeDesc::Box { half: [a, b, c] }, here),
            "sphere" => (ShapeDesc::Sphere { radius: a }, here),
            "capsule" => (
                ShapeDesc::Capsule {
                    radius: a,
                    half_height: b,
                },
                here,
            ),
            "cylinder" => (
                ShapeDesc::Cylinder {
                    radius: a,
                    half_height: b,
                },
                here,
            ),
            "plane" => {
                let reach = |x: f64| if x > 0.0 { x } else { PLANE_REACH };
                (
                    ShapeDesc::Box {
                        half: [reach(a), reach(b), PLANE_DEPTH],
                    },
                    Isometry3::translation(0.0, 0.0, -PLANE_DEPTH),
                )
            }
            "ellipsoid" => (
                ShapeDesc::Hull {
                    points: visual::ellipsoid_points([a, b, c]),
                },
                here,
            ),
            _ => {
                let mesh = self.mesh.as_ref()?.1.as_ref()?;
                let points = mesh.vertices.iter().map(|p| p.map(f64::from)).collect();
                (ShapeDesc::Hull { points }, here)
            }
        })
    }

    /// How the texture lies, if there is one.
    pub fn mapping(&self) -> Option<Mapping> {
        self.material.mapping()
    }
}
