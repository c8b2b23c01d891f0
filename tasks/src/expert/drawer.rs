//! Opens a drawer by its handle, or pushes it closed. The hand approaches from the front, tilted down and
//! turned away from the robot, its fingers above and below the handle bar; for closing the fingers are closed.

use super::articulation::Articulation;
use super::collision_boxes::collision_boxes;
use super::funnel::Funnel;
use super::hand_frame::{
    EMPTY, distance_from_line, eef_position, finger_distance, rotation_error, symmetric_orientation,
};
use super::servo::{GRIPPER_CLOSE, GRIPPER_OPEN, POSTURE_ROTATION, action, limited_rotation};
use super::skill::{SkillState, StateMachine};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Angle by which the hand points down, rad.
const PITCH: f64 = 0.45;
/// Angle by which a hand that opens a drawer is turned away from the direction of the drawer, rad. One that closes it points straight at it: it
/// does not touch what stands beside.
const OPENING_YAW: f64 = 0.35;
/// Distance of the pregrasp pose in front of the handle, and its height above it, m.
pub(super) const PREGRASP_DISTANCE: f64 = 0.09;
const PREGRASP_HEIGHT: f64 = 0.01;
/// Errors with which the hand advances along the line to the handle, and with which it stays at the pregrasp pose: to grasp it, and to push
/// the front of the drawer somewhere near it.
const GRASPING: Funnel = Funnel {
    arrived: (0.016, 0.12),
    outside: (0.06, 0.5),
};
const PUSHING: Funnel = Funnel {
    arrived: (0.055, 0.45),
    outside: (0.12, 0.9),
};
/// Distance before the middle of the bar at which the fingers begin to close, m: the hand goes on meanwhile.
const AT_BAR: f64 = 0.012;
/// Half size from which a shape of the drawer may be its handle, m.
const HANDLE_HALF_WIDTH: f64 = 0.02;
/// Joint position beyond which a drawer that is pushed is closed, m.
const CLOSED: f64 = 0.004;
/// Distance from the handle within which the fingers hold it, m.
pub(super) const AT_HANDLE: f64 = 0.025;
/// Distance between fingers above which they have not closed on the bar of a handle yet, m.
const AROUND_BAR: f64 = 0.03;
/// Largest translation component in the pulling direction.
const PULL_SPEED: f64 = 0.6;
/// Translation component per metre between the hand and the middle of the bar, while it pulls, 1/m.
const CENTRING_GAIN: f64 = 60.0;

/// Phases; closing skips the grasp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Up, above the height of the handle.
    Rise,
    /// To the pregrasp pose.
    Align,
    /// To the handle.
    Advance,
    /// Close the fingers on the bar.
    Grasp,
    /// Move the drawer.
    Drive,
    /// Open the fingers.
    Release,
    /// Back and up.
    Retreat,
}

/// Motion of the drawer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Motion {
    /// Open by a distance, m.
    Open(f64),
    Close,
}

/// True if the fingers are closed on a handle.
pub(super) fn is_held(world: &World, handle: Point3<f64>) -> bool {
    let opening = finger_distance(world);
    (handle - eef_position(world)).norm() < AT_HANDLE && opening > EMPTY && opening < AROUND_BAR
}

/// Controller that opens or closes a drawer.
#[derive(Clone)]
pub(super) struct MoveDrawer {
    pub(super) drawer: Articulation,
    motion: Motion,
    pub(super) state: SkillState<Phase>,
    /// Orientation of the hand and the direction it points in, world frame.
    pub(super) orientation: Rotation3<f64>,
    pub(super) approach: Vector3<f64>,
}

impl MoveDrawer {
    /// Plans to open a drawer by `distance`, m.
    pub(super) fn open(world: &World, drawer: Articulation, distance: f64) -> MoveDrawer {
        MoveDrawer::new(world, drawer, Motion::Open(distance))
    }

    /// Plans to close a drawer.
    pub(super) fn close(world: &World, drawer: Articulation) -> MoveDrawer {
        MoveDrawer::new(world, drawer, Motion::Close)
    }

    fn new(world: &World, drawer: Articulation, motion: Motion) -> MoveDrawer {
        let mut skill = MoveDrawer {
            drawer,
            motion,
            state: SkillState::new(world, Phase::Rise),
            orientation: Rotation3::identity(),
            approach: -Vector3::z(),
        };
        skill.plan(world);
        skill
    }

    pub(super) fn opens(&self) -> bool {
        self.motion != Motion::Close
    }

    /// Unit vector along which the drawer opens, world frame. The planner makes this subgoal for sliding
    /// joints only.
    fn outward(&self, world: &World) -> Vector3<f64> {
        self.drawer
            .opening_direction(world)
            .unwrap_or_else(Vector3::x)
    }

    /// Centre of the handle, the wide shape that sticks out farthest, world frame, m. A drawer without one
    /// is pushed and pulled at its origin.
    pub(super) fn handle(&self, world: &World) -> Point3<f64> {
        let Articulation { instance, body } = self.drawer;
        let out = self.outward(world);
        let mut best: Option<(f64, Point3<f64>)> = None;
        for shape in collision_boxes(world, instance, body) {
            let r = shape.pose.rotation.to_rotation_matrix();
            let reach = (r.matrix().transpose() * out).abs().dot(&shape.half)
                + shape.pose.translation.vector.dot(&out);
            let wide = shape.half.amax() > HANDLE_HALF_WIDTH;
            if wide && best.as_ref().is_none_or(|(r, _)| reach > *r) {
                best = Some((reach, shape.centre()));
            }
        }
        let origin = world.rendered_body_pose(instance, body).translation.vector;
        best.map_or(Point3::from(origin), |(_, p)| p)
    }

    pub(super) fn pregrasp(&self, handle: Point3<f64>) -> Point3<f64> {
        handle - self.approach * PREGRASP_DISTANCE + Vector3::z() * PREGRASP_HEIGHT
    }

    fn plan(&mut self, world: &World) {
        let out = self.outward(world);
        // Away from the robot along the front.
        let along = Vector3::z().cross(&out);
        let away = if along.x < 0.0 { -along } else { along };
        let yaw = if self.opens() { OPENING_YAW } else { 0.0 };
        let level = -out * libm::cos(yaw) + away * libm::sin(yaw);
        self.approach = level * libm::cos(PITCH) - Vector3::z() * libm::sin(PITCH);
        // Fingers above and below the bar to pull it; side by side to push, because there may be little height.
        let opening = if self.opens() {
            Vector3::z()
        } else {
            Vector3::z().cross(&self.approach)
        };
        self.orientation = symmetric_orientation(self.approach, opening);
        self.state.enter(Phase::Rise, eef_position(world));
    }

    fn advance(&mut self, world: &World, eef: Point3<f64>, handle: Point3<f64>) {
        let n = self.state.steps;
        let pregrasp = self.pregrasp(handle);
        match self.state.phase {
            Phase::Rise => {
                if eef.z > pregrasp.z + 0.08 || n > 20 {
                    self.state.enter(Phase::Align, eef);
                }
            }
            Phase::Align => {
                if self.misalignment(world, eef, handle) == 0.0
                    || self.state.stalled(10, 25)
                    || n > 70
                {
                    self.state.enter(Phase::Advance, eef);
                }
            }
            Phase::Advance => {
                let left = (handle - eef).dot(&self.approach);
                let (near, next) = if self.opens() {
                    (AT_BAR, Phase::Grasp)
                } else {
                    (0.016, Phase::Drive)
                };
                if left < near || self.state.stalled(4, 8) || n > 40 {
                    self.state.enter(next, eef);
                }
            }
            Phase::Grasp => {
                if n > 12 {
                    self.state.enter(Phase::Drive, eef);
                }
            }
            Phase::Drive => {
                let q = self.drawer.position(world);
                let arrived = match self.motion {
                    Motion::Open(distance) => q < -distance,
                    Motion::Close => q > CLOSED,
                };
                let lost = self.opens() && (handle - eef).norm() > 0.03;
                if arrived || lost || self.state.stalled(8, 15) || n > 60 {
                    self.state.enter(Phase::Release, eef);
                }
            }
            Phase::Release => {
                if n > if self.opens() { 7 } else { 1 } {
                    self.state.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 14 {
                    self.plan(world);
                }
            }
        }
    }

    /// Share of the distance of the pregrasp pose at which the hand stays from the handle, 0 to 1.
    pub(super) fn misalignment(&self, world: &World, eef: Point3<f64>, handle: Point3<f64>) -> f64 {
        let across = distance_from_line(eef, handle, self.approach);
        let funnel = if self.opens() { GRASPING } else { PUSHING };
        funnel.share(across, rotation_error(world, &self.orientation).norm())
    }

    /// Target position of the hand in the current phase, world frame, m.
    fn waypoint(&self, world: &World, eef: Point3<f64>, handle: Point3<f64>) -> Point3<f64> {
        let out = self.outward(world);
        let pregrasp = self.pregrasp(handle);
        let start = self.state.start;
        match self.state.phase {
            Phase::Rise => Point3::new(start.x, start.y, start.z.max(pregrasp.z + 0.10)),
            Phase::Align => handle + (pregrasp - handle) * self.misalignment(world, eef, handle),
            Phase::Advance | Phase::Grasp if self.opens() => handle,
            Phase::Advance => handle - self.approach * 0.01,
            Phase::Grasp | Phase::Release => start,
            Phase::Drive if self.opens() => eef + out * 0.04,
            Phase::Drive => {
                let to = handle - eef;
                eef - out * 0.03 + (to - out * out.dot(&to)) * 0.5
            }
            Phase::Retreat => start - self.approach * 0.08 + Vector3::z() * 0.08,
        }
    }
}

impl StateMachine for MoveDrawer {
    type Phase = Phase;
    const NAME: &'static str = "drawer";
    const END: (Phase, usize) = (Phase::Retreat, 14);

    fn state(&self) -> &SkillState<Phase> {
        &self.state
    }

    fn step(&mut self, world: &World) -> [f64; 7] {
        let eef = self.state.observe(world);
        let handle = self.handle(world);
        self.advance(world, eef, handle);
        let waypoint = self.waypoint(world, eef, handle);
        let mut a = self.state.servo.translation(eef, waypoint);
        if self.state.phase == Phase::Drive && self.opens() {
            // Straight out, and back to the middle of the bar where the fingers slip along it.
            let out = self.outward(world);
            let off = handle - eef;
            let off = off - out * out.dot(&off);
            a = out * PULL_SPEED + off * CENTRING_GAIN;
        }
        let rotation = rotation_error(world, &self.orientation);
        let rotation = match self.state.phase {
            Phase::Rise => Vector3::zeros(),
            Phase::Align => limited_rotation(rotation, POSTURE_ROTATION),
            _ => rotation,
        };
        let gripper = match (self.motion, self.state.phase) {
            (Motion::Open(_), Phase::Grasp | Phase::Drive) | (Motion::Close, _) => GRIPPER_CLOSE,
            _ => GRIPPER_OPEN,
        };
        action(a, rotation, gripper)
    }
}
