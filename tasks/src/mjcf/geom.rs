//! Geoms of an MJCF file: type, sizes, pose, contact and mass parameters, material.

use super::asset_section::MjcfAssets;
use super::document::MjcfElement;
use super::material::MjcfMaterial;
use super::mesh::TriMesh;
use super::notices::Notices;
use super::pose::{read_pose, rotation_from_z};
use super::tessellation::ellipsoid_points;
use crate::error::TaskError;
use bitvla_sim::{MAX_LENGTH_METRES, ShapeDesc};
use nalgebra::{Isometry3, Vector3};
use std::f64::consts::PI;
use std::path::PathBuf;
use std::sync::Arc;

/// Density of a geom that states none, kg/m^3: MuJoCo's default.
const DEFAULT_DENSITY: f64 = 1000.0;
/// Sliding friction of a geom that states none: MuJoCo's default.
const DEFAULT_FRICTION: f64 = 1.0;
/// Colour of a geom without material and colour, RGBA: MuJoCo's default.
const DEFAULT_RGBA: [f64; 4] = [0.5, 0.5, 0.5, 1.0];
/// Half the thickness of the box that stands for a plane in contacts, m.
const PLANE_HALF_DEPTH: f64 = 0.1;
/// Half sizes of a plane without end, m.
const INFINITE_PLANE_HALF: f64 = 10.0;

/// Type of a geom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GeomKind {
    Box,
    Sphere,
    Capsule,
    Cylinder,
    Ellipsoid,
    Plane,
    Mesh,
}

impl GeomKind {
    /// Reads the attribute `type`.
    pub fn read(el: &MjcfElement) -> Result<GeomKind, TaskError> {
        Ok(match el.get("type")?.unwrap_or("sphere") {
            "box" => GeomKind::Box,
            "sphere" => GeomKind::Sphere,
            "capsule" => GeomKind::Capsule,
            "cylinder" => GeomKind::Cylinder,
            "ellipsoid" => GeomKind::Ellipsoid,
            "plane" => GeomKind::Plane,
            "mesh" => GeomKind::Mesh,
            other => {
                let known = "box, sphere, capsule, cylinder, ellipsoid, plane or mesh";
                return Err(el.fail(format!("type `{other}`"), known));
            }
        })
    }

    /// Number of sizes that have to be above zero.
    fn sizes(self) -> usize {
        match self {
            GeomKind::Box | GeomKind::Ellipsoid => 3,
            GeomKind::Capsule | GeomKind::Cylinder => 2,
            GeomKind::Sphere => 1,
            GeomKind::Plane | GeomKind::Mesh => 0,
        }
    }
}

/// The mesh of a geom.
#[derive(Debug, Clone)]
pub(super) struct GeomMesh {
    /// The file.
    pub path: PathBuf,
    /// Its mesh; `None` if the file is missing.
    pub mesh: Option<Arc<TriMesh>>,
}

/// A geom as read.
#[derive(Debug, Clone)]
pub(super) struct Geom {
    /// Name, if it has one.
    pub name: Option<String>,
    /// Type.
    pub kind: GeomKind,
    /// Pose in the frame of its body, m.
    pub pose: Isometry3<f64>,
    /// Sizes as MuJoCo means them for the type, m; zero where none is written.
    pub size: [f64; 3],
    /// Mesh of a geom of type mesh.
    pub mesh: Option<GeomMesh>,
    /// Group, which decides whether it has mass and whether it is drawn.
    pub group: i64,
    /// Collision bits, `contype` and `conaffinity`.
    pub bits: [u32; 2],
    /// Sliding friction.
    pub friction: f64,
    /// Density, kg/m^3.
    pub density: f64,
    /// Mass, kg, where the file states it.
    pub mass: Option<f64>,
    /// Material.
    pub material: MjcfMaterial,
    /// Colour and opacity, 0..1.
    pub rgba: [f64; 4],
}

impl Geom {
    /// Reads a geom and the mesh that it names.
    pub fn read(
        el: &MjcfElement,
        assets: &mut MjcfAssets,
        notices: &Notices,
    ) -> Result<Geom, TaskError> {
        let kind = GeomKind::read(el)?;
        let (pose, size) = read_pose_and_size(el, kind)?;
        let mesh = match kind {
            GeomKind::Mesh => Some(assets.mesh(el, el.need("mesh")?, notices)?),
            _ => None,
        };
        let (material, rgba) = read_material(el, assets)?;
        let friction = el.numbers("friction", 3)?.and_then(|f| f.first().copied());
        let friction = friction.unwrap_or(DEFAULT_FRICTION);
        let density = el.number("density", DEFAULT_DENSITY)?;
        let mass = el.vector::<1>("mass")?.map(|m| m[0]);
        if friction < 0.0 || density < 0.0 || mass.is_some_and(|m| m < 0.0) {
            return Err(el.fail(
                "a negative friction, density or mass",
                "numbers of 0 or more",
            ));
        }
        let bits = [
            collision_bits(el, "contype")?,
            collision_bits(el, "conaffinity")?,
        ];
        if kind != GeomKind::Mesh && el.get("mesh")?.is_some() {
            let found = format!("a mesh of a {kind:?}").to_lowercase();
            return Err(el.fail(
                found,
                "type mesh: fitting a primitive to a mesh is not supported",
            ));
        }
        Ok(Geom {
            name: el.own("name").map(str::to_owned),
            kind,
            pose,
            size,
            mesh: mesh.map(|asset| GeomMesh {
                path: asset.path,
                mesh: asset.mesh,
            }),
            group: el.whole("group", 0)?,
            bits,
            friction,
            density,
            mass,
            material,
            rgba,
        })
    }

    /// Returns true if the geom takes part in contacts.
    pub fn collides(&self) -> bool {
        self.bits != [0; 2]
    }

    /// Shape for contacts and its pose in the frame of the geom; `None` if its mesh is missing.
    pub fn shape(&self) -> Option<(ShapeDesc, Isometry3<f64>)> {
        let [a, b, c] = self.size;
        let shape = match self.kind {
            GeomKind::Box => ShapeDesc::Box { half: [a, b, c] },
            GeomKind::Sphere => ShapeDesc::Sphere { radius: a },
            GeomKind::Capsule => ShapeDesc::Capsule {
                radius: a,
                half_height: b,
            },
            GeomKind::Cylinder => ShapeDesc::Cylinder {
                radius: a,
                half_height: b,
            },
            GeomKind::Ellipsoid => ShapeDesc::Hull {
                points: ellipsoid_points([a, b, c]),
            },
            GeomKind::Plane => {
                let half = [plane_half(a), plane_half(b), PLANE_HALF_DEPTH];
                let below = Isometry3::translation(0.0, 0.0, -PLANE_HALF_DEPTH);
                return Some((ShapeDesc::Box { half }, below));
            }
            GeomKind::Mesh => {
                let mesh = self.mesh.as_ref()?.mesh.as_ref()?;
                let points = mesh.vertices.iter().map(|p| p.map(f64::from)).collect();
                ShapeDesc::Hull { points }
            }
        };
        Some((shape, Isometry3::identity()))
    }
}

/// Half size of a plane, m; a written size of zero means without end.
pub(super) fn plane_half(size: f64) -> f64 {
    if size > 0.0 {
        size
    } else {
        INFINITE_PLANE_HALF
    }
}

/// Volume of a primitive, m^3; `None` for a hull.
pub(super) fn primitive_volume(shape: &ShapeDesc) -> Option<f64> {
    Some(match shape {
        ShapeDesc::Box { half: [x, y, z] } => 8.0 * x * y * z,
        ShapeDesc::Sphere { radius } => 4.0 / 3.0 * PI * radius * radius * radius,
        ShapeDesc::Cylinder {
            radius,
            half_height,
        } => 2.0 * PI * radius * radius * half_height,
        ShapeDesc::Capsule {
            radius,
            half_height,
        } => PI * radius * radius * (2.0 * half_height + 4.0 / 3.0 * radius),
        _ => return None,
    })
}

/// Reads 32 collision bits; MuJoCo's default is the lowest.
fn collision_bits(el: &MjcfElement, name: &str) -> Result<u32, TaskError> {
    let value = el.whole(name, 1)?;
    u32::try_from(value).or_else(|_| {
        // MuJoCo keeps them in a signed number.
        let signed = i32::try_from(value);
        signed
            .map(i32::cast_unsigned)
            .map_err(|_| el.fail(format!("{name}=\"{value}\""), "32 bits"))
    })
}

fn read_pose_and_size(
    el: &MjcfElement,
    kind: GeomKind,
) -> Result<(Isometry3<f64>, [f64; 3]), TaskError> {
    let size = el.numbers("size", 3)?.unwrap_or_default();
    let mut pose = read_pose(el)?;
    let mut size = [0, 1, 2].map(|k| size.get(k).copied().unwrap_or(0.0));
    if let Some([a, b, c, d, e, f]) = el.vector::<6>("fromto")? {
        let (from, to) = (Vector3::new(a, b, c), Vector3::new(d, e, f));
        let along = to - from;
        if along.norm() < 1e-10 {
            return Err(el.fail("fromto of length 0", "two points"));
        }
        let half = 0.5 * along.norm();
        // MuJoCo points z from the second end to the first.
        pose = Isometry3::from_parts(
            ((from + to) * 0.5).into(),
            rotation_from_z((from - to).normalize()),
        );
        match kind {
            GeomKind::Capsule | GeomKind::Cylinder => size[1] = half,
            GeomKind::Box | GeomKind::Ellipsoid => size = [size[0], size[0], half],
            GeomKind::Sphere | GeomKind::Plane | GeomKind::Mesh => {
                let found = format!("fromto of a {kind:?}").to_lowercase();
                return Err(el.fail(found, "capsule, cylinder, box or ellipsoid"));
            }
        }
    }
    if size[..kind.sizes()].iter().any(|x| *x <= 0.0) {
        let found = format!("size {size:?} of a {kind:?}").to_lowercase();
        return Err(el.fail(found, "sizes above 0"));
    }
    let lengths = size.iter().chain(pose.translation.vector.iter());
    if lengths.copied().any(|x| x.abs() > MAX_LENGTH_METRES) {
        let found = format!("size {size:?} at {:?}", pose.translation.vector.as_slice());
        return Err(el.fail(found, &format!("lengths of at most {MAX_LENGTH_METRES} m")));
    }
    Ok((pose, size))
}

/// Material and colour of a geom; a colour of its own wins over that of the material.
fn read_material(
    el: &MjcfElement,
    assets: &MjcfAssets,
) -> Result<(MjcfMaterial, [f64; 4]), TaskError> {
    let material = match el.get("material")? {
        None => None,
        Some(name) => Some(
            (assets.materials.get(name).cloned())
                .ok_or_else(|| el.fail(format!("material `{name}`"), "a material of <asset>"))?,
        ),
    };
    let rgba = match (&material, el.vector::<4>("rgba")?) {
        (_, Some(rgba)) => rgba,
        (Some(material), None) => material.rgba,
        (None, None) => DEFAULT_RGBA,
    };
    Ok((material.unwrap_or_else(|| MjcfMaterial::plain(rgba)), rgba))
}
