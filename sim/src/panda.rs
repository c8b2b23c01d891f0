//! Kinematics and dynamics of the arm in double precision, from its description (`docs/reference/libero.md`, section
//! 3): poses, grip-site Jacobian, joint-space inertia (composite rigid bodies, armature included) and bias forces
//! (recursive Newton-Euler); Featherstone, "Rigid Body Dynamics Algorithms", chapters 5 and 6.
//!
//! The controller needs the inertia matrix and the bias exactly; Rapier offers neither, and works in single precision.

use crate::description::{JointKind, ModelDesc, isometry};
use crate::error::SimError;
use crate::links::LinkTree;
use nalgebra::{
    Isometry3, Matrix3, Point3, SMatrix, SVector, Translation3, UnitQuaternion, Vector3,
};
use serde::{Deserialize, Serialize};

/// Number of arm joints.
pub const ARM_DOFS: usize = 7;
/// Number of arm joints and fingers.
pub const DOFS: usize = 9;
/// Joint positions after a reset: arm (rad), fingers (m).
pub const RESET_QPOS: [f64; DOFS] = [
    0.0,
    -0.161037389,
    0.0,
    -2.44459747,
    0.0,
    2.2267522,
    std::f64::consts::FRAC_PI_4,
    0.020833,
    -0.020833,
];

/// Gravity and the air around robot and objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSettings {
    /// Gravity along the world's -z, m/s^2.
    pub gravity: f64,
    /// Density of the air, kg/m^3.
    pub air_density: f64,
    /// Dynamic viscosity of the air, Pa s.
    pub air_viscosity: f64,
}

impl Default for EnvironmentSettings {
    fn default() -> Self {
        EnvironmentSettings {
            gravity: 9.81,
            air_density: 1.2,
            air_viscosity: 2e-5,
        }
    }
}

/// One value per degree of freedom: arm joints, then fingers.
pub type JointVector = SVector<f64, DOFS>;
/// Joint-space inertia, kg m^2 (arm) and kg (fingers).
pub type JointMatrix = SMatrix<f64, DOFS, DOFS>;
/// Jacobian of the grip site with respect to the arm joints: linear rows (m/rad), then angular rows, world frame.
pub type SiteJacobian = SMatrix<f64, 6, ARM_DOFS>;

/// Link of the robot, with its joint.
#[derive(Debug, Clone)]
struct RobotLink {
    /// Index of the parent; none for the first link, which is on the base.
    parent: Option<usize>,
    /// Pose in the frame of the parent at joint position zero.
    to_parent: Isometry3<f64>,
    /// Unit axis of the joint in the frame of the link.
    axis: Vector3<f64>,
    /// True for a hinge, false for a slide.
    hinge: bool,
    /// Mass, kg.
    mass: f64,
    /// Centre of mass in the frame of the link, m.
    com: Vector3<f64>,
    /// Inertia about the centre of mass, kg m^2.
    inertia: Matrix3<f64>,
}

/// Box of the same inertia as a described body, from which MuJoCo computes the drag of air.
#[derive(Debug, Clone)]
struct FluidInertiaBox {
    link: usize,
    /// Pose of the principal inertia axes in the frame of the link.
    frame: Isometry3<f64>,
    /// Full side lengths, m.
    sides: [f64; 3],
}

/// The arm with its gripper on a fixed base.
#[derive(Debug, Clone)]
pub struct Panda {
    links: Vec<RobotLink>,
    fluid_boxes: Vec<FluidInertiaBox>,
    base: Isometry3<f64>,
    grip_site: Isometry3<f64>,
    hand: Isometry3<f64>,
    /// Gravity and air; the default unless it is set.
    pub environment: EnvironmentSettings,
    /// Rotor inertia per joint, kg m^2 or kg.
    armature: JointVector,
    /// Viscous damping per joint, N m s/rad or N s/m.
    pub(crate) damping: JointVector,
    /// Dry friction per joint, N m or N.
    pub(crate) friction_loss: JointVector,
    /// Lowest and highest position per joint, rad or m.
    pub(crate) range: [[f64; 2]; DOFS],
    /// Diagonal of the inverse joint-space inertia at joint positions zero, 1/(kg m^2) or 1/kg; scales the soft
    /// constraints.
    pub(crate) inv_weight: JointVector,
}

/// World-frame quantities of one configuration.
#[derive(Debug, Clone)]
pub struct Kinematics {
    /// Pose of each link in the world.
    pub pose: [Isometry3<f64>; DOFS],
    axis: [Vector3<f64>; DOFS],
    com: [Vector3<f64>; DOFS],
    inertia: [Matrix3<f64>; DOFS],
    /// Pose of the grip site in the world.
    pub grip_site: Isometry3<f64>,
    /// Pose of the body `right_hand` in the world.
    pub hand: Isometry3<f64>,
}

impl Panda {
    /// Reads the arm from its description; `base` is the pose of its root body in the world.
    ///
    /// # Errors
    /// [`SimError::InvalidRobot`] for a model that is not seven hinges in series with two slides on the last link, or
    /// that lacks the site `grip_site` or the body `right_hand` there.
    pub fn new(model: &ModelDesc, base: Isometry3<f64>) -> Result<Panda, SimError> {
        let invalid = |reason: &str| SimError::InvalidRobot {
            model: model.name.clone(),
            reason: reason.into(),
        };
        let tree = LinkTree::new(model)?;
        if tree.links.len() != DOFS + 1 {
            return Err(invalid(&format!(
                "{} jointed bodies, expected 7 arm joints and 2 fingers",
                tree.links.len() - 1
            )));
        }
        let mut links = Vec::with_capacity(DOFS);
        let mut armature = JointVector::zeros();
        let mut damping = JointVector::zeros();
        let mut friction_loss = JointVector::zeros();
        let mut range = [[0.0; 2]; DOFS];
        for (i, c) in tree.links[1..].iter().enumerate() {
            let joint = c
                .joint
                .as_ref()
                .ok_or_else(|| invalid("a body without joint"))?;
            let hinge = joint.kind == JointKind::Hinge;
            if hinge != (i < ARM_DOFS) {
                return Err(invalid("expected 7 hinges, then 2 slides"));
            }
            let parent = c.parent.and_then(|p| p.checked_sub(1));
            let expected = if i == 0 {
                None
            } else {
                Some((i - 1).min(ARM_DOFS - 1))
            };
            if parent != expected {
                return Err(invalid(
                    "expected a serial arm with two fingers on its last link",
                ));
            }
            armature[i] = joint.armature;
            damping[i] = joint.damping;
            friction_loss[i] = joint.friction_loss;
            range[i] = joint.range;
            links.push(RobotLink {
                parent,
                to_parent: c.to_parent,
                axis: Vector3::from(joint.axis),
                hinge,
                mass: c.mass,
                com: c.com,
                inertia: c.inertia,
            });
        }
        let mut fluid_boxes = Vec::new();
        for (body, (tree_link, at)) in model.bodies.iter().zip(&tree.of_body) {
            if let (Some(link), Some(i)) = (tree_link.checked_sub(1), &body.inertia) {
                let [a, b, c] = i.diagonal;
                let side = |sum: f64| libm::sqrt(sum.max(1e-15) / i.mass * 6.0);
                fluid_boxes.push(FluidInertiaBox {
                    link,
                    frame: at * isometry(i.com, i.quat_wxyz),
                    sides: [side(b + c - a), side(a + c - b), side(a + b - c)],
                });
            }
        }
        let on_last_link = |body: usize| -> Option<Isometry3<f64>> {
            let (tree_link, at) = tree.of_body[body];
            (tree_link == ARM_DOFS).then_some(at)
        };
        let (site_body, site) = model
            .bodies
            .iter()
            .enumerate()
            .find_map(|(b, body)| Some((b, body.site.iter().find(|s| s.name == "grip_site")?)))
            .ok_or_else(|| invalid("no site grip_site"))?;
        let hand_body = model
            .bodies
            .iter()
            .position(|b| b.name == "right_hand")
            .ok_or_else(|| invalid("no body right_hand"))?;
        let grip_site = on_last_link(site_body)
            .ok_or_else(|| invalid("site grip_site is not on the last link of the arm"))?
            * isometry(site.pos, site.quat_wxyz);
        let hand = on_last_link(hand_body)
            .ok_or_else(|| invalid("body right_hand is not on the last link of the arm"))?;
        let mut panda = Panda {
            links,
            fluid_boxes,
            base,
            grip_site,
            hand,
            environment: EnvironmentSettings::default(),
            armature,
            damping,
            friction_loss,
            range,
            inv_weight: JointVector::zeros(),
        };
        let kin = panda.kinematics(&JointVector::zeros());
        let inverse = panda
            .mass_matrix(&kin)
            .try_inverse()
            .ok_or_else(|| invalid("the inertia matrix is singular"))?;
        panda.inv_weight = inverse.diagonal();
        Ok(panda)
    }

    /// Poses of all links at joint positions `q` (rad, m).
    pub fn kinematics(&self, q: &JointVector) -> Kinematics {
        let mut k = Kinematics {
            pose: [Isometry3::identity(); DOFS],
            axis: [Vector3::zeros(); DOFS],
            com: [Vector3::zeros(); DOFS],
            inertia: [Matrix3::zeros(); DOFS],
            grip_site: Isometry3::identity(),
            hand: Isometry3::identity(),
        };
        for (i, link) in self.links.iter().enumerate() {
            let parent = link.parent.map_or(self.base, |p| k.pose[p]);
            let joint = if link.hinge {
                let (s, c) = (libm::sin(q[i] * 0.5), libm::cos(q[i] * 0.5));
                let v = link.axis * s;
                Isometry3::from_parts(
                    Translation3::identity(),
                    UnitQuaternion::new_unchecked(nalgebra::Quaternion::new(c, v.x, v.y, v.z)),
                )
            } else {
                Isometry3::from_parts(
                    Translation3::from(link.axis * q[i]),
                    UnitQuaternion::identity(),
                )
            };
            let pose = parent * link.to_parent * joint;
            let r = *pose.rotation.to_rotation_matrix().matrix();
            k.pose[i] = pose;
            k.axis[i] = r * link.axis;
            k.com[i] = (pose * Point3::from(link.com)).coords;
            k.inertia[i] = r * link.inertia * r.transpose();
        }
        k.grip_site = k.pose[ARM_DOFS - 1] * self.grip_site;
        k.hand = k.pose[ARM_DOFS - 1] * self.hand;
        k
    }

    /// Jacobian of the grip site, world frame (see [`SiteJacobian`]).
    pub fn jacobian(&self, k: &Kinematics) -> SiteJacobian {
        let mut j = SiteJacobian::zeros();
        let p = k.grip_site.translation.vector;
        for i in 0..ARM_DOFS {
            let lin = k.axis[i].cross(&(p - k.pose[i].translation.vector));
            j.fixed_view_mut::<3, 1>(0, i).copy_from(&lin);
            j.fixed_view_mut::<3, 1>(3, i).copy_from(&k.axis[i]);
        }
        j
    }

    /// Joint-space inertia with armature, kg m^2 (arm) and kg (fingers).
    pub fn mass_matrix(&self, k: &Kinematics) -> JointMatrix {
        // Composite bodies: mass, first moment and inertia about the world origin of each subtree.
        let mut mass = [0.0; DOFS];
        let mut moment = [Vector3::zeros(); DOFS];
        let mut about_origin = [Matrix3::zeros(); DOFS];
        for i in (0..DOFS).rev() {
            let link = &self.links[i];
            let c = k.com[i];
            mass[i] += link.mass;
            moment[i] += c * link.mass;
            about_origin[i] +=
                k.inertia[i] + (Matrix3::identity() * c.dot(&c) - c * c.transpose()) * link.mass;
            if let Some(p) = link.parent {
                (mass[p], moment[p], about_origin[p]) = (
                    mass[p] + mass[i],
                    moment[p] + moment[i],
                    about_origin[p] + about_origin[i],
                );
            }
        }
        let mut m = JointMatrix::from_diagonal(&self.armature);
        for j in 0..DOFS {
            // Momentum of the subtree for unit velocity of joint j, about the world origin.
            let (w, v0) = self.unit_twist(k, j);
            let linear = v0 * mass[j] + w.cross(&moment[j]);
            let angular = about_origin[j] * w + moment[j].cross(&v0);
            let mut i = j;
            loop {
                let (wi, vi) = self.unit_twist(k, i);
                let value = wi.dot(&angular) + vi.dot(&linear);
                m[(i, j)] += value;
                if i != j {
                    m[(j, i)] += value;
                }
                match self.links[i].parent {
                    Some(p) => i = p,
                    None => break,
                }
            }
        }
        m
    }

    /// Angular velocity, and velocity of the point at the world origin, for unit joint velocity.
    fn unit_twist(&self, k: &Kinematics, i: usize) -> (Vector3<f64>, Vector3<f64>) {
        if self.links[i].hinge {
            (k.axis[i], k.pose[i].translation.vector.cross(&k.axis[i]))
        } else {
            (Vector3::zeros(), k.axis[i])
        }
    }

    /// Joint forces (N m and N) that balance gravity, Coriolis and centrifugal terms at joint velocities `qd` (rad/s,
    /// m/s): MuJoCo's `qfrc_bias`.
    pub fn bias(&self, k: &Kinematics, qd: &JointVector) -> JointVector {
        let mut omega = [Vector3::zeros(); DOFS];
        let mut alpha = [Vector3::zeros(); DOFS];
        let mut accel = [Vector3::zeros(); DOFS];
        let mut force = [Vector3::zeros(); DOFS];
        let mut torque = [Vector3::zeros(); DOFS];
        for (i, link) in self.links.iter().enumerate() {
            let o = k.pose[i].translation.vector;
            let (wp, ap, acc, r) = match link.parent {
                None => (
                    Vector3::zeros(),
                    Vector3::zeros(),
                    Vector3::new(0.0, 0.0, self.environment.gravity),
                    Vector3::zeros(),
                ),
                Some(p) => (
                    omega[p],
                    alpha[p],
                    accel[p],
                    o - k.pose[p].translation.vector,
                ),
            };
            let rate = k.axis[i] * qd[i];
            accel[i] = acc + ap.cross(&r) + wp.cross(&wp.cross(&r));
            if link.hinge {
                omega[i] = wp + rate;
                alpha[i] = ap + wp.cross(&rate);
            } else {
                omega[i] = wp;
                alpha[i] = ap;
                accel[i] += wp.cross(&rate) * 2.0;
            }
            let c = k.com[i] - o;
            let a_com = accel[i] + alpha[i].cross(&c) + omega[i].cross(&omega[i].cross(&c));
            force[i] = a_com * link.mass;
            torque[i] = k.inertia[i] * alpha[i]
                + omega[i].cross(&(k.inertia[i] * omega[i]))
                + c.cross(&force[i]);
        }
        self.to_joint_forces(k, force, torque)
    }

    /// Joint forces (N m and N) of air drag at joint velocities `qd` (rad/s, m/s), by MuJoCo's model of a box with the
    /// inertia of each body (`docs/reference/libero.md`, section 1, medium). The light finger tips have a large described
    /// inertia, so this reaches several N m when the hand turns.
    pub fn drag(&self, k: &Kinematics, qd: &JointVector) -> JointVector {
        use std::f64::consts::PI;
        let EnvironmentSettings {
            air_density: density,
            air_viscosity: viscosity,
            ..
        } = self.environment;
        let mut omega = [Vector3::zeros(); DOFS];
        let mut speed = [Vector3::zeros(); DOFS];
        for (i, link) in self.links.iter().enumerate() {
            if let Some(p) = link.parent {
                let r = k.pose[i].translation.vector - k.pose[p].translation.vector;
                omega[i] = omega[p];
                speed[i] = speed[p] + omega[p].cross(&r);
            }
            let rate = k.axis[i] * qd[i];
            if link.hinge {
                omega[i] += rate;
            } else {
                speed[i] += rate;
            }
        }
        let mut force = [Vector3::zeros(); DOFS];
        let mut torque = [Vector3::zeros(); DOFS];
        for fluid_box in &self.fluid_boxes {
            let FluidInertiaBox { link, .. } = *fluid_box;
            let pose = k.pose[link] * fluid_box.frame;
            let arm = pose.translation.vector - k.pose[link].translation.vector;
            let w = pose.rotation.inverse() * omega[link];
            let v = pose.rotation.inverse() * (speed[link] + omega[link].cross(&arm));
            let [a, b, c] = fluid_box.sides;
            let diameter = (a + b + c) / 3.0;
            let fourth = |x: f64| x * x * x * x;
            let rotational = [
                a * (fourth(b) + fourth(c)),
                b * (fourth(a) + fourth(c)),
                c * (fourth(a) + fourth(b)),
            ];
            let face = [b * c, a * c, a * b];
            let n = Vector3::from_fn(|i, _| {
                -PI * diameter * diameter * diameter * viscosity * w[i]
                    - density * rotational[i] * w[i].abs() * w[i] / 64.0
            });
            let f = Vector3::from_fn(|i, _| {
                -3.0 * PI * diameter * viscosity * v[i]
                    - 0.5 * density * face[i] * v[i].abs() * v[i]
            });
            let f = pose.rotation * f;
            force[link] += f;
            torque[link] += pose.rotation * n + arm.cross(&f);
        }
        self.to_joint_forces(k, force, torque)
    }

    /// Joint forces equivalent to a force (N) and a torque (N m) at the origin of each link, world frame.
    fn to_joint_forces(
        &self,
        k: &Kinematics,
        mut force: [Vector3<f64>; DOFS],
        mut torque: [Vector3<f64>; DOFS],
    ) -> JointVector {
        let mut out = JointVector::zeros();
        for i in (0..DOFS).rev() {
            let link = &self.links[i];
            out[i] = k.axis[i].dot(if link.hinge { &torque[i] } else { &force[i] });
            if let Some(p) = link.parent {
                let r = k.pose[i].translation.vector - k.pose[p].translation.vector;
                let (f, n) = (force[i], torque[i]);
                force[p] += f;
                torque[p] += n + r.cross(&f);
            }
        }
        out
    }
}
