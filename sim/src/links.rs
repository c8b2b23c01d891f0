//! Kinematic tree of a model: welded bodies are merged into the link of the nearest ancestor that has a joint, as MuJoCo
//! does for its mass matrix and its contact filter.

use crate::description::{BodyDesc, InertiaDesc, JointDesc, ModelDesc, ShapeDesc, isometry};
use crate::error::SimError;
use nalgebra::{Isometry3, Matrix3, Vector3};
use rapier3d::parry::shape::{ConvexPolyhedron, Shape};

/// Link of a kinematic tree: one jointed (or root) body and everything welded to it.
#[derive(Debug, Clone)]
pub struct Link {
    /// Index of the body whose frame is that of the link.
    pub body: usize,
    /// Index of the parent link, none for the root.
    pub parent: Option<usize>,
    /// Pose in the frame of the parent link at joint position zero.
    pub to_parent: Isometry3<f64>,
    /// Joint to the parent, none for the root.
    pub joint: Option<JointDesc>,
    /// Mass, kg.
    pub mass: f64,
    /// Centre of mass in the link frame, m.
    pub com: Vector3<f64>,
    /// Inertia about the centre of mass, axes of the link frame, kg m^2.
    pub inertia: Matrix3<f64>,
}

impl Link {
    /// Returns true if the link can move in the world; the root of a `fixed` model cannot.
    pub fn moves(&self, fixed: bool) -> bool {
        self.joint.is_some() || !fixed
    }
}

/// All links of a model, and the pose of each described body on them.
#[derive(Debug, Clone)]
pub struct LinkTree {
    /// Links, parents first; the first one is the root.
    pub links: Vec<Link>,
    /// Per body: its link and its pose in the frame of that link.
    pub of_body: Vec<(usize, Isometry3<f64>)>,
}

/// Mass (kg), centre of mass (m) and inertia about it (kg m^2), in one frame.
#[derive(Debug, Clone, Copy)]
struct MassProperties {
    mass: f64,
    com: Vector3<f64>,
    inertia: Matrix3<f64>,
}

impl MassProperties {
    const ZERO: MassProperties = MassProperties {
        mass: 0.0,
        com: Vector3::new(0.0, 0.0, 0.0),
        inertia: Matrix3::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    };

    /// The same body in another frame, in which the old frame has the pose `by`.
    fn transformed(self, by: &Isometry3<f64>) -> MassProperties {
        let r = by.rotation.to_rotation_matrix();
        MassProperties {
            mass: self.mass,
            com: by * nalgebra::Point3::from(self.com) - nalgebra::Point3::origin(),
            inertia: r * self.inertia * r.transpose(),
        }
    }

    /// Mass properties of two bodies welded together.
    fn combined_with(self, other: MassProperties) -> MassProperties {
        let mass = self.mass + other.mass;
        if mass <= 0.0 {
            return self;
        }
        let com = (self.com * self.mass + other.com * other.mass) / mass;
        let about = |l: MassProperties| {
            let d = l.com - com;
            l.inertia + (Matrix3::identity() * d.dot(&d) - d * d.transpose()) * l.mass
        };
        MassProperties {
            mass,
            com,
            inertia: about(self) + about(other),
        }
    }
}

impl LinkTree {
    /// Merges the bodies of a model.
    ///
    /// # Errors
    /// [`SimError::InvalidModel`] for a model without bodies, a body whose parent is not listed before it, and a collision
    /// shape that has a density and no volume.
    pub fn new(model: &ModelDesc) -> Result<LinkTree, SimError> {
        let invalid = |reason: String| SimError::InvalidModel {
            model: model.name.clone(),
            reason,
        };
        let mut links: Vec<Link> = Vec::new();
        let mut of_body: Vec<(usize, Isometry3<f64>)> = Vec::new();
        let mut mass_properties: Vec<MassProperties> = Vec::new();
        for (index, body) in model.bodies.iter().enumerate() {
            let local = isometry(body.pos, body.quat_wxyz);
            let (link, offset) = match &body.parent {
                None if index == 0 => {
                    links.push(link(index, None, Isometry3::identity(), None));
                    mass_properties.push(MassProperties::ZERO);
                    (0, Isometry3::identity())
                }
                None => return Err(invalid(format!("body {} has no parent", body.name))),
                Some(name) => {
                    let parent = model.bodies[..index]
                        .iter()
                        .position(|b| &b.name == name)
                        .ok_or_else(|| {
                            invalid(format!("parent {name} of {} is not before it", body.name))
                        })?;
                    let (on, at) = of_body[parent];
                    match &body.joint {
                        None => (on, at * local),
                        Some(joint) => {
                            let new = link(index, Some(on), at * local, Some(joint.clone()));
                            links.push(new);
                            mass_properties.push(MassProperties::ZERO);
                            (links.len() - 1, Isometry3::identity())
                        }
                    }
                }
            };
            let part = body_mass_properties(body).map_err(invalid)?;
            mass_properties[link] = mass_properties[link].combined_with(part.transformed(&offset));
            of_body.push((link, offset));
        }
        if links.is_empty() {
            return Err(invalid("it has no bodies".into()));
        }
        for (c, l) in links.iter_mut().zip(mass_properties) {
            (c.mass, c.com, c.inertia) = (l.mass, l.com, l.inertia);
        }
        Ok(LinkTree { links, of_body })
    }
}

fn link(
    body: usize,
    parent: Option<usize>,
    to_parent: Isometry3<f64>,
    joint: Option<JointDesc>,
) -> Link {
    Link {
        body,
        parent,
        to_parent,
        joint,
        mass: 0.0,
        com: Vector3::zeros(),
        inertia: Matrix3::zeros(),
    }
}

/// Declared inertia of a body if there is one, else the sum over its collision shapes (overlaps count twice).
fn body_mass_properties(body: &BodyDesc) -> Result<MassProperties, String> {
    if let Some(i) = &body.inertia {
        return Ok(declared_mass_properties(i));
    }
    let mut sum = MassProperties::ZERO;
    for shape in &body.collision {
        if shape.density > 0.0 {
            let part = shape_mass_properties(&shape.shape, shape.density)
                .ok_or_else(|| format!("a collision shape of {} has no volume", body.name))?;
            sum = sum.combined_with(part.transformed(&isometry(shape.pos, shape.quat_wxyz)));
        }
    }
    Ok(sum)
}

fn declared_mass_properties(i: &InertiaDesc) -> MassProperties {
    let r = isometry([0.0; 3], i.quat_wxyz)
        .rotation
        .to_rotation_matrix();
    MassProperties {
        mass: i.mass,
        com: Vector3::from(i.com),
        inertia: r * Matrix3::from_diagonal(&Vector3::from(i.diagonal)) * r.transpose(),
    }
}

/// Mass properties of a shape of a density (kg/m^3) in its own frame; none for a shape without volume.
fn shape_mass_properties(shape: &ShapeDesc, density: f64) -> Option<MassProperties> {
    use std::f64::consts::PI;
    let at_origin = |mass: f64, diagonal: [f64; 3]| MassProperties {
        mass,
        com: Vector3::zeros(),
        inertia: Matrix3::from_diagonal(&Vector3::from(diagonal)),
    };
    Some(match shape {
        ShapeDesc::Box { half: [x, y, z] } => {
            let m = 8.0 * x * y * z * density;
            at_origin(
                m,
                [
                    m / 3.0 * (y * y + z * z),
                    m / 3.0 * (x * x + z * z),
                    m / 3.0 * (x * x + y * y),
                ],
            )
        }
        ShapeDesc::Sphere { radius: r } => {
            let m = 4.0 / 3.0 * PI * r * r * r * density;
            at_origin(m, [0.4 * m * r * r; 3])
        }
        ShapeDesc::Cylinder {
            radius: r,
            half_height: h,
        } => {
            let m = 2.0 * PI * r * r * h * density;
            let side = m * (r * r / 4.0 + h * h / 3.0);
            at_origin(m, [side, side, m * r * r / 2.0])
        }
        ShapeDesc::Capsule {
            radius: r,
            half_height: h,
        } => {
            let tube = 2.0 * PI * r * r * h * density;
            let caps = 4.0 / 3.0 * PI * r * r * r * density;
            let side =
                tube * (r * r / 4.0 + h * h / 3.0) + caps * (0.4 * r * r + h * h + 0.75 * r * h);
            at_origin(
                tube + caps,
                [side, side, tube * r * r / 2.0 + caps * 0.4 * r * r],
            )
        }
        ShapeDesc::Hull { points } => {
            let points: Vec<_> = points
                .iter()
                .map(|p| rapier3d::math::Vector::new(p[0] as f32, p[1] as f32, p[2] as f32))
                .collect();
            let props =
                ConvexPolyhedron::from_convex_hull(&points)?.mass_properties(density as f32);
            let i = props.reconstruct_inertia_matrix().to_cols_array();
            MassProperties {
                mass: f64::from(props.mass()),
                com: Vector3::new(
                    f64::from(props.local_com.x),
                    f64::from(props.local_com.y),
                    f64::from(props.local_com.z),
                ),
                inertia: Matrix3::from_iterator(i.iter().map(|v| f64::from(*v))),
            }
        }
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. } => return None,
    })
}
