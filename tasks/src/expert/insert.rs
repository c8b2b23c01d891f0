//! Puts an object into a container that opens to the side (a microwave): the hand approaches level, grasps the
//! object by the part that sticks out towards it (a handle), lifts it over the sill, moves it in and releases it.

use super::funnel::Funnel;
use super::grasp::left_behind;
use super::hand_frame::{
    AROUND, EMPTY, OPEN_FROM, distance_from_line, eef_position, finger_distance, instance_origin,
    orientation, robot_base, rotation_error,
};
use super::obstacles::Obstacles;
use super::servo::{
    GRIPPER_CLOSE, GRIPPER_OPEN, POSTURE_ROTATION, action, braked_translation, limited_rotation,
    limited_translation,
};
use super::skill::{SkillState, StateMachine};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Angle by which the hand points down, rad.
const PITCH: f64 = 0.5;
/// Free height over the sill, m.
const SILL_MARGIN: f64 = 0.018;
/// Angle by which the object is turned away from an open door, rad.
const DOOR_YAW: f64 = 0.25;
/// Depth of the near side of the object behind the edge in the end, m.
const INSIDE: f64 = 0.018;
/// Distance of the pregrasp pose from the grasp point, m.
pub(super) const PREGRASP_DISTANCE: f64 = 0.09;
/// Distance in front of the base at which the hand turns into its posture, m: there the elbow is bent.
const TURNING_DISTANCE: f64 = 0.43;
/// Largest translation component while the object is lifted, moved in and lowered.
const CARRY_SPEED: f64 = 0.6;
/// Largest translation component on the way to the grasp point: a faster hand swings out away from the base, where
/// the arm is nearly stretched.
const ADVANCE_SPEED: f64 = 0.4;
/// Errors of a hand that comes to the grasp point, and of an object that goes into the container.
const APPROACHING: Funnel = Funnel {
    arrived: (0.012, 0.1),
    outside: (0.05, 0.5),
};
const ENTERING: Funnel = Funnel {
    arrived: (0.010, 0.08),
    outside: (0.030, 0.3),
};
/// Height below that over the sill at which an object goes in at full speed, and that from which it does not, m.
const OVER_SILL: (f64, f64) = (0.006, 0.02);
/// Distance from the grasp point at which the fingers close, while the hand goes on to it, m.
const NEAR_ENOUGH: f64 = 0.010;
/// Distance that is left from which the object is inside the opening, m.
pub(super) const IN_OPENING: f64 = 0.06;
/// Distance of the hand from the grasp point at which the object counts as lost, m.
const LOST: f64 = 0.04;
/// Step of a search through the collision shapes, m, and its most steps.
const MARCH_STEP: f64 = 0.002;
const MARCH_STEPS: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Up and back towards the base, turning into the posture.
    Retract,
    /// To the pregrasp pose.
    Align,
    /// To the grasp point.
    Advance,
    /// Close the fingers.
    Grasp,
    /// Up, over the sill.
    Lift,
    /// Across, until the object is in front of the opening.
    Transfer,
    /// In, until the object is inside.
    Insert,
    /// Down, to the floor of the container.
    Lower,
    /// Open the fingers.
    Release,
    /// Back along the way in.
    Retreat,
}

/// Controller that puts an object into a container.
#[derive(Clone)]
pub(super) struct Insert {
    pub(super) object: usize,
    /// Base of the robot, world frame, m.
    base: Point3<f64>,
    pub(super) state: SkillState<Phase>,
    /// Horizontal unit vector into the container, world frame.
    inward: Vector3<f64>,
    /// Unit vector along which the hand points, world frame.
    pub(super) approach: Vector3<f64>,
    /// Orientation of the hand before it turns away from the door, world frame.
    level: Rotation3<f64>,
    /// Grasp point in the frame of the object, m.
    pub(super) grasp: Vector3<f64>,
    /// Height of the origin of the object above its lowest point, m.
    below: f64,
    /// Height of the origin of the object before it was lifted, world frame, m.
    pub(super) rest_z: f64,
    /// Middle of the near edge of the container's floor, world frame, m.
    pub(super) sill: Point3<f64>,
    /// Angle by which the object is turned before it goes in, away from an open door, rad.
    door_yaw: f64,
}

impl Insert {
    /// Plans to put instance `object` into a site of an instance.
    pub(super) fn new(world: &World, object: usize, container: usize, site: &str) -> Insert {
        // The planner names a site that it has found in the model, so there is a pose.
        let (site, _) = world
            .site_pose(container, site)
            .unwrap_or((world.instance_pose(container), [0.0; 3]));
        let centre = Point3::from(site.translation.vector);
        let origin = instance_origin(world, object);
        // Of the two directions of the site's y axis the one that leads away from the object's side.
        let y = site.rotation * Vector3::y();
        let inward = if (centre - origin).dot(&y) < 0.0 {
            -y
        } else {
            y
        };
        let sill = find_sill(&Obstacles::only(world, container), centre, inward);
        let across = Vector3::z().cross(&inward);
        let bodies = &world.scene().instances[container].model.bodies;
        let hinge = (0..bodies.len())
            .find(|b| bodies[*b].joint.is_some())
            .map(|b| world.rendered_body_pose(container, b).translation.vector - sill.coords);
        let mut skill = Insert {
            object,
            base: robot_base(world),
            state: SkillState::new(world, Phase::Retract),
            inward,
            approach: inward * libm::cos(PITCH) - Vector3::z() * libm::sin(PITCH),
            level: Rotation3::identity(),
            grasp: Vector3::zeros(),
            below: 0.0,
            rest_z: origin.z,
            sill,
            door_yaw: hinge.map_or(0.0, |h| DOOR_YAW.copysign(h.dot(&across))),
        };
        skill.plan(world);
        skill
    }

    /// Chooses the grasp for the present pose of the object.
    fn plan(&mut self, world: &World) {
        let origin = instance_origin(world, self.object);
        let own = Obstacles::only(world, self.object);
        let (low, high) = own.bounding_box();
        let (centre, reach) = self.centre_and_reach(&own);
        let near = centre - self.inward * reach;
        // The uppermost piece on the near side: a handle is held by its corner, which turns least.
        let column = |z: f64| Point3::new(near.x, near.y, z) + self.inward * 0.006;
        let mut z = high.z;
        while z > centre.z && !own.contains(column(z)) {
            z -= MARCH_STEP;
        }
        let grasp = column(z - 0.012) + self.inward * 0.004;
        self.grasp = world.instance_pose(self.object).rotation.inverse() * (grasp - origin);
        self.below = origin.z - low.z;
        self.rest_z = origin.z;
        // The x axis of a level hand points away from the robot: the last joint stays near its middle.
        let across = self.across();
        let out = if across.x < 0.0 { -across } else { across };
        self.level = orientation(self.approach, out);
        self.state.enter(Phase::Retract, eef_position(world));
    }

    /// Horizontal unit vector across the opening, world frame.
    pub(super) fn across(&self) -> Vector3<f64> {
        Vector3::z().cross(&self.inward)
    }

    /// Centre of the bounding box of the object, world frame, and its half size along the way in, m.
    fn centre_and_reach(&self, own: &Obstacles) -> (Point3<f64>, f64) {
        let (low, high) = own.bounding_box();
        let half = 0.5 * (high - low);
        let reach = half.x * self.inward.x.abs() + half.y * self.inward.y.abs();
        (nalgebra::center(&low, &high), reach)
    }

    /// Grasp point at the present pose of the object, world frame, m.
    pub(super) fn grasp_point(&self, world: &World) -> Point3<f64> {
        let pose = world.instance_pose(self.object);
        Point3::from(pose.translation.vector) + pose.rotation * self.grasp
    }

    /// True if the fingers hold the object on its way in.
    pub(super) fn is_under_way(&self, world: &World) -> bool {
        (EMPTY..OPEN_FROM).contains(&finger_distance(world))
            && Obstacles::only(world, self.object).is_about(eef_position(world), AROUND)
            && self.distance_left(world) > IN_OPENING
    }

    /// Distance that the object still has to go in, m.
    pub(super) fn distance_left(&self, world: &World) -> f64 {
        let own = Obstacles::only(world, self.object);
        let (centre, reach) = self.centre_and_reach(&own);
        (self.sill - centre).dot(&self.inward) + reach + INSIDE
    }

    /// Height of the origin of the object on its way over the sill, world frame, m.
    pub(super) fn carry_height(&self) -> f64 {
        self.sill.z + self.below + SILL_MARGIN
    }

    /// Target orientation of the hand in the current phase, world frame.
    pub(super) fn orientation(&self) -> Rotation3<f64> {
        let yaw = match self.state.phase {
            Phase::Transfer | Phase::Insert | Phase::Lower | Phase::Release | Phase::Retreat => {
                self.door_yaw
            }
            _ => 0.0,
        };
        Rotation3::from_axis_angle(&Vector3::z_axis(), yaw) * self.level
    }

    fn advance(&mut self, world: &World, eef: Point3<f64>, object: Point3<f64>) {
        let n = self.state.steps;
        let grasp_point = self.grasp_point(world);
        let error = rotation_error(world, &self.orientation()).norm();
        let lost = (grasp_point - eef).norm() > LOST;
        match self.state.phase {
            Phase::Retract => {
                let near = eef.x < self.base.x + TURNING_DISTANCE + 0.05;
                if (near && error < 0.2) || n > 60 {
                    self.state.enter(Phase::Align, eef);
                }
            }
            Phase::Align => {
                if self.misalignment(world, eef) == 0.0 || n > 80 {
                    self.state.enter(Phase::Advance, eef);
                }
            }
            Phase::Advance => {
                let there = (grasp_point - eef).norm() < NEAR_ENOUGH;
                if there || self.state.stalled(4, 8) || n > 40 {
                    self.state.enter(Phase::Grasp, eef);
                }
            }
            Phase::Grasp => {
                if n > 12 {
                    self.state.enter(Phase::Lift, eef);
                }
            }
            Phase::Lift => {
                let rise = eef.z - self.state.start.z;
                if left_behind(object.z, self.rest_z, rise) {
                    self.state.enter(Phase::Release, eef);
                } else if object.z > self.carry_height() - 0.006 || n > 40 {
                    self.state.enter(Phase::Transfer, eef);
                }
            }
            Phase::Transfer => {
                if lost {
                    self.state.enter(Phase::Release, eef);
                } else if self.obstruction(world, object) == 0.0 || n > 50 {
                    self.state.enter(Phase::Insert, eef);
                }
            }
            Phase::Insert => {
                if lost {
                    self.state.enter(Phase::Release, eef);
                } else if self.distance_left(world) < 0.004 || self.state.stalled(5, 10) || n > 60 {
                    self.state.enter(Phase::Lower, eef);
                }
            }
            Phase::Lower => {
                let low = object.z < self.sill.z + self.below + 0.008;
                if low || self.state.stalled(2, 3) || n > 8 {
                    self.state.enter(Phase::Release, eef);
                }
            }
            Phase::Release => {
                if n > 7 {
                    self.state.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 16 {
                    self.plan(world);
                }
            }
        }
    }

    /// Share of the distance of the pregrasp pose at which the hand stays from the grasp point, 0 to 1.
    pub(super) fn misalignment(&self, world: &World, eef: Point3<f64>) -> f64 {
        let across = distance_from_line(eef, self.grasp_point(world), self.approach);
        let angle = rotation_error(world, &self.orientation()).norm();
        APPROACHING.share(across, angle)
    }

    /// Share of its way in that a held object does not go, because it is beside the opening, below the sill or turned, 0 to 1.
    pub(super) fn obstruction(&self, world: &World, object: Point3<f64>) -> f64 {
        let off = (self.sill - object).dot(&self.across()).abs();
        let angle = rotation_error(world, &self.orientation()).norm();
        let lack = self.carry_height() - object.z;
        let below = ((lack - OVER_SILL.0) / (OVER_SILL.1 - OVER_SILL.0)).clamp(0.0, 1.0);
        ENTERING.share(off, angle).max(below)
    }

    /// Target position of the hand in the current phase, world frame, m.
    fn waypoint(&self, world: &World, eef: Point3<f64>, object: Point3<f64>) -> Point3<f64> {
        let grasp_point = self.grasp_point(world);
        let pregrasp = grasp_point - self.approach * PREGRASP_DISTANCE;
        let height = self.carry_height();
        let start = self.state.start;
        let across = self.across();
        let off = (self.sill - object).dot(&across);
        match self.state.phase {
            Phase::Retract => Point3::new(
                self.base.x + TURNING_DISTANCE,
                0.5 * pregrasp.y,
                pregrasp.z + 0.14,
            ),
            Phase::Align => grasp_point + (pregrasp - grasp_point) * self.misalignment(world, eef),
            Phase::Advance | Phase::Grasp => grasp_point,
            Phase::Release => start,
            Phase::Lift => Point3::new(start.x, start.y, eef.z + height - object.z),
            Phase::Transfer | Phase::Insert => {
                let left = self.distance_left(world).min(0.03);
                let free = match self.state.phase {
                    Phase::Insert => 1.0,
                    _ => 1.0 - self.obstruction(world, object),
                };
                eef + across * off
                    + Vector3::z() * (height - object.z)
                    + self.inward * (left * free)
            }
            Phase::Lower => eef - Vector3::z() * 0.015,
            Phase::Retreat => {
                let back = self.orientation() * Vector3::z();
                let level = Vector3::new(back.x, back.y, 0.0).normalize();
                start - level * 0.16 + Vector3::z() * 0.02
            }
        }
    }
}

impl StateMachine for Insert {
    type Phase = Phase;
    const NAME: &'static str = "insert";
    const END: (Phase, usize) = (Phase::Retreat, 14);

    fn state(&self) -> &SkillState<Phase> {
        &self.state
    }

    fn step(&mut self, world: &World) -> [f64; 7] {
        let eef = self.state.observe(world);
        let object = instance_origin(world, self.object);
        self.advance(world, eef, object);
        let waypoint = self.waypoint(world, eef, object);
        let mut a = self.state.servo.translation(eef, waypoint);
        let phase = self.state.phase;
        if matches!(phase, Phase::Insert | Phase::Lower | Phase::Lift) {
            a = a.map(|v| v.clamp(-CARRY_SPEED, CARRY_SPEED));
        }
        a = match phase {
            Phase::Align => braked_translation(a, (waypoint - eef).norm()),
            Phase::Advance => limited_translation(a, ADVANCE_SPEED),
            _ => a,
        };
        let rotation = rotation_error(world, &self.orientation());
        let rotation = match phase {
            Phase::Retract | Phase::Align => limited_rotation(rotation, POSTURE_ROTATION),
            _ => rotation,
        };
        let gripper = match phase {
            Phase::Grasp | Phase::Lift | Phase::Transfer | Phase::Insert | Phase::Lower => {
                GRIPPER_CLOSE
            }
            _ => GRIPPER_OPEN,
        };
        action(a, rotation, gripper)
    }
}

/// Middle of the near edge of the floor of a container, world frame, m: from a point inside down to the
/// floor, to both side walls, and out to the edge of the floor. A search that meets no wall ends after
/// [`MARCH_STEPS`] steps.
fn find_sill(walls: &Obstacles, inside: Point3<f64>, inward: Vector3<f64>) -> Point3<f64> {
    let across = Vector3::z().cross(&inward);
    let march = |from: Point3<f64>, step: Vector3<f64>, until_wall: bool| {
        let mut p = from;
        for _ in 0..MARCH_STEPS {
            if walls.contains(p) == until_wall {
                break;
            }
            p += step;
        }
        p
    };
    let floor = march(inside, Vector3::z() * -MARCH_STEP, true);
    let left = march(inside, across * MARCH_STEP, true);
    let right = march(inside, across * -MARCH_STEP, true);
    let middle = nalgebra::center(&left, &right);
    let under = Point3::new(middle.x, middle.y, floor.z - 0.004);
    let edge = march(under, inward * -MARCH_STEP, false);
    Point3::new(edge.x, edge.y, floor.z)
}
