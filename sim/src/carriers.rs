//! From a tree of described bodies to the rigid bodies that move: welded bodies are merged into the
//! nearest ancestor that has a joint, as MuJoCo does for its mass matrix and its contact filter.

use crate::description::{BodyDesc, InertiaDesc, JointDesc, ModelDesc, ShapeDesc, isometry};
use crate::error::SimError;
use nalgebra::{Isometry3, Matrix3, Vector3};
use rapier3d::parry::shape::{ConvexPolyhedron, Shape};

/// A rigid body made of one jointed (or root) body and everything welded to it.
#[derive(Debug, Clone)]
pub struct Carrier {
    /// Index of the body whose frame this is.
    pub body: usize,
    /// Carrier it hangs on, none for the root.
    pub parent: Option<usize>,
    /// Pose in the parent carrier's frame at joint position zero.
    pub to_parent: Isometry3<f64>,
    /// Its joint, none for the root.
    pub joint: Option<JointDesc>,
    /// Mass, kg.
    pub mass: f64,
    /// Centre of mass in the carrier frame, m.
    pub com: Vector3<f64>,
    /// Inertia about the centre of mass, axes of the carrier frame, kg m^2.
    pub inertia: Matrix3<f64>,
}

/// All carriers of a model and where each described body sits on them.
#[derive(Debug, Clone)]
pub struct CarrierTree {
    /// Carriers, parents first; the first one is the root.
    pub carriers: Vec<Carrier>,
    /// Per body: its carrier and its pose in the frame of that carrier.
    pub of_body: Vec<(usize, Isometry3<f64>)>,
}

/// Mass, centre of mass and inertia about it.
#[derive(Debug, Clone, Copy)]
struct Lump {
    mass: f64,
    com: Vector3<f64>,
    inertia: Matrix3<f64>,
}

impl Lump {
    const NONE: Lump = Lump {
        mass: 0.0,
        com: Vector3::new(0.0, 0.0, 0.0),
        inertia: Matrix3::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    };

    fn moved(self, by: &Isometry3<f64>) -> Lump {
        let r = by.rotation.to_rotation_matrix();
        Lump {
            mass: self.mass,
            com: by * nalgebra::Point3::from(self.com) - nalgebra::Point3::origin(),
            inertia: r * self.inertia * r.transpose(),
        }
    }

    fn plus(self, other: Lump) -> Lump {
        let mass = self.mass + other.mass;
        if mass <= 0.0 {
            return self;
        }
        let com = (self.com * self.mass + other.com * other.mass) / mass;
        let about = |l: Lump| {
            let d = l.com - com;
            l.inertia + (Matrix3::identity() * d.dot(&d) - d * d.transpose()) * l.mass
        };
        Lump {
            mass,
            com,
            inertia: about(self) + about(other),
        }
    }
}

impl CarrierTree {
    /// Merges the bodies of a model.
    pub fn new(model: &ModelDesc) -> Result<CarrierTree, SimError> {
        let bad = |what: String| SimError::BadModel {
            model: model.name.clone(),
            what,
        };
        let mut carriers: Vec<Carrier> = Vec::new();
        let mut of_body: Vec<(usize, Isometry3<f64>)> = Vec::new();
        let mut lumps: Vec<Lump> = Vec::new();
        for (index, body) in model.bodies.iter().enumerate() {
            let local = isometry(body.pos, body.quat_wxyz);
            let (carrier, offset) = match &body.parent {
                None if index == 0 => {
                    carriers.push(carrier(index, None, Isometry3::identity(), None));
                    lumps.push(Lump::NONE);
                    (0, Isometry3::identity())
                }
                None => return Err(bad(format!("body {} has no parent", body.name))),
                Some(name) => {
                    let parent = model.bodies[..index]
                        .iter()
                        .position(|b| &b.name == name)
                        .ok_or_else(|| {
                            bad(format!("parent {name} of {} is not before it", body.name))
                        })?;
                    let (on, at) = of_body[parent];
                    match &body.joint {
                        None => (on, at * local),
                        Some(joint) => {
                            let new = carrier(index, Some(on), at * local, Some(joint.clone()));
                            carriers.push(new);
                            lumps.push(Lump::NONE);
                            (carriers.len() - 1, Isometry3::identity())
                        }
                    }
                }
            };
            let lump = body_lump(body).map_err(bad)?;
            lumps[carrier] = lumps[carrier].plus(lump.moved(&offset));
            of_body.push((carrier, offset));
        }
        if carriers.is_empty() {
            return Err(bad("it has no bodies".into()));
        }
        for (c, l) in carriers.iter_mut().zip(lumps) {
            (c.mass, c.com, c.inertia) = (l.mass, l.com, l.inertia);
        }
        Ok(CarrierTree { carriers, of_body })
    }
}

fn carrier(
    body: usize,
    parent: Option<usize>,
    to_parent: Isometry3<f64>,
    joint: Option<JointDesc>,
) -> Carrier {
    Carrier {
        body,
        parent,
        to_parent,
        joint,
        mass: 0.0,
        com: Vector3::zeros(),
        inertia: Matrix3::zeros(),
    }
}

/// Explicit inertia if there is one, else the sum over the collision shapes (overlaps count twice).
fn body_lump(body: &BodyDesc) -> Result<Lump, String> {
    if let Some(i) = &body.inertia {
        return Ok(explicit_lump(i));
    }
    let mut sum = Lump::NONE;
    for shape in &body.collision {
        if shape.density > 0.0 {
            let lump = shape_lump(&shape.shape, shape.density)
                .ok_or_else(|| format!("a collision shape of {} has no volume", body.name))?;
            sum = sum.plus(lump.moved(&isometry(shape.pos, shape.quat_wxyz)));
        }
    }
    Ok(sum)
}

fn explicit_lump(i: &InertiaDesc) -> Lump {
    let r = isometry([0.0; 3], i.quat_wxyz)
        .rotation
        .to_rotation_matrix();
    Lump {
        mass: i.mass,
        com: Vector3::from(i.com),
        inertia: r * Matrix3::from_diagonal(&Vector3::from(i.diagonal)) * r.transpose(),
    }
}

fn shape_lump(shape: &ShapeDesc, density: f64) -> Option<Lump> {
    use std::f64::consts::PI;
    let at_origin = |mass: f64, diagonal: [f64; 3]| Lump {
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
            Lump {
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
