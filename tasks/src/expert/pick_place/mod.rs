//! Pick and place: grasps an object from above, transfers it and sets it down at a target.
//!
//! The phases are approach (to the pregrasp pose), descend, grasp, lift, transfer (as low as the obstacles
//! in between allow, because a stretched arm stalls), lower, release and retreat. A grasp that closed on
//! nothing, or an object that slipped, leads to release, retreat and a new plan in which that grasp costs
//! more.
//!
//! Two families of grasps go through the same phases. A bowl that is stacked on another object is taken by
//! its rim and let down until it makes contact ([`super::rim_grasp`]). Everything else is taken by an
//! antipodal grasp and placed at a height that is known from its shape ([`super::antipodal_grasp`]). The
//! numbers in which the two differ are in [`Tuning`].

mod advance;
mod tuning;

use super::antipodal_grasp::{AntipodalGrasp, GraspQuery};
use super::funnel::Funnel;
use super::grasp::Grasp;
use super::hand_frame::{
    distance_from_line, eef_position, instance_origin, opening_yaw, robot_base, rotation_error,
    shoulder_to_wrist,
};
use super::obstacles::Obstacles;
use super::place_target::PlaceTarget;
use super::rim_grasp::{GraspPreference, Rim, RimGrasp, RimGraspQuery};
use super::servo::{
    GRIPPER_CLOSE, GRIPPER_OPEN, POSTURE_ROTATION, action, braked_translation, limited_lift,
    limited_rotation,
};
use super::skill::{SkillState, StateMachine};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};
use tuning::{ANTIPODAL, RIM, Tuning};

/// Distance of the pregrasp pose behind the grasp point, m.
pub(super) const PREGRASP_DISTANCE: f64 = 0.05;
/// The same for a tilted hand, m: it approaches beside the obstacles that it avoids.
const TILTED_PREGRASP_DISTANCE: f64 = 0.14;
/// z component of the approach above which the hand counts as tilted.
const TILTED: f64 = -0.98;
/// Distance from shoulder to wrist at the grasp point beyond which the hand brakes before it, m.
const NEARLY_STRETCHED: f64 = 0.62;
/// Height above the base of the robot that the hand may always use for an approach, m, and the height
/// above the grasp point or that, at which the approach stays below.
const APPROACH_LEVEL: f64 = 0.188;
const APPROACH_CEILING: f64 = 0.12;
/// Horizontal error at which an approach has arrived, m: least, and most where open fingers have room on both sides of what they close on.
/// A hand that waits to be more exact than it has to be shows a policy an error that the images do not show.
const ARRIVED: f64 = 0.006;
const ROUGHLY_ARRIVED: f64 = 0.015;
/// Distance of either finger from the piece that an open hand keeps, m.
const FINGER_CLEARANCE: f64 = 0.005;
/// Largest component of the rotation while an object that is turned is carried, rad: it would slip.
const CARRIED_ROTATION: f64 = 0.2;
/// Distance between fully opened fingers, m.
pub(super) const FULL_OPENING: f64 = 0.08;
/// Part of the approach that a tilted hand retraces with its object before it lifts it straight up, m.
const TILTED_LIFT: f64 = 0.07;
/// Distance from the line of the approach, m, and orientation error, rad, from which a hand hovers at its full height.
const OUTSIDE: (f64, f64) = (0.04, 0.6);
/// Orientation error up to which a hand comes down to its grasp while it turns, rad: fingers that are about to be beside something have
/// that much room, and a hand that rose to turn and came down again would show a policy both.
const TURNING: f64 = 0.25;
/// Share of its height that a transfer keeps until it ends.
const LOWEST_TRANSFER: f64 = 0.3;
/// Height below that of the transfer from which an object goes across while it rises, slowly at first, m, and that from which it goes across
/// at full speed: a label that changes from "up" to "across" at one height, which images do not show, has no median but standing still.
pub(super) const CROSSING: f64 = 0.06;
const AT_HEIGHT: f64 = 0.01;
/// Distance between the places ahead at which the height of a transfer is evaluated, m.
const LOOKAHEAD_STEP: f64 = 0.02;
/// Height from which an object may be dropped at its target at no cost, m, and the cost in m of each metre more.
const DROP: (f64, f64) = (0.06, 0.3);
/// The same for a bowl, which turns over when one side of it is let go of first.
const BOWL_DROP: (f64, f64) = (0.01, 1.0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// To the pregrasp pose, fingers open.
    Approach,
    /// Along the approach direction to the grasp point.
    Descend,
    /// Close the fingers.
    Grasp,
    /// Up to the height of the transfer.
    Lift,
    /// Across, until the object is over the target.
    Transfer,
    /// Down, to the height of release or until contact.
    Lower,
    /// Open the fingers.
    Release,
    /// Away from the object.
    Retreat,
}

/// Radius of the footprint assumed of a bowl, m.
const BOWL_FOOTPRINT: f64 = 0.075;

/// Controller that picks an object and places it at a target.
#[derive(Clone)]
pub(super) struct PickPlace {
    pub(super) object: usize,
    pub(super) target: PlaceTarget,
    base: Point3<f64>,
    tuning: &'static Tuning,
    pub(super) state: SkillState<Phase>,
    pub(super) grasp: Grasp,
    /// Grasp point; from descent to release the position of the hand when the phase began, world frame, m.
    pub(super) grasp_point: Point3<f64>,
    /// All instances but the object and the one that it is to be stacked on.
    pub(super) obstacles: Obstacles,
    /// Origin of the object from the grasp point just after grasping, world frame, m.
    pub(super) held_offset: Vector3<f64>,
    /// Orientation of the hand in the frame of the object just after grasping.
    pub(super) held_orientation: Rotation3<f64>,
    /// Height of the origin of the object before it was lifted, world frame, m.
    pub(super) rest_z: f64,
    /// Height above the goal at which the fingers have clearance to open, m.
    pub(super) release_height: f64,
    /// Horizontal error at which an approach to the planned grasp has arrived, m.
    pub(super) approach_arrived: f64,
    failed: Vec<Grasp>,
}

impl PickPlace {
    /// Plans to place instance `object` at a target.
    pub(super) fn new(world: &World, object: usize, target: PlaceTarget) -> PickPlace {
        let mut skill = PickPlace::without_grasp(world, object, target);
        skill.plan(world);
        skill
    }

    /// The same before a grasp is chosen.
    pub(super) fn without_grasp(world: &World, object: usize, target: PlaceTarget) -> PickPlace {
        let mut skill = PickPlace {
            object,
            tuning: match target {
                PlaceTarget::StackOn(_) => &RIM,
                _ => &ANTIPODAL,
            },
            target,
            base: robot_base(world),
            state: SkillState::new(world, Phase::Approach),
            grasp: Grasp::TopDown,
            grasp_point: Point3::origin(),
            obstacles: Obstacles::default(),
            held_offset: Vector3::zeros(),
            held_orientation: Rotation3::identity(),
            rest_z: 0.0,
            release_height: 0.0,
            approach_arrived: ARRIVED,
            failed: Vec::new(),
        };
        skill.observe_obstacles(world);
        skill
    }

    fn observe_obstacles(&mut self, world: &World) {
        let mut ignored = vec![self.object];
        ignored.extend(self.target.instance_beneath());
        self.obstacles = Obstacles::except(world, &ignored);
    }

    /// Reads the world afresh and chooses a grasp.
    pub(super) fn plan(&mut self, world: &World) {
        self.plan_preferring(world, GraspPreference::LeastTurn);
    }

    /// As [`PickPlace::plan`], with another preference between the grasps of a rim.
    pub(super) fn plan_preferring(&mut self, world: &World, preference: GraspPreference) {
        self.observe_obstacles(world);
        let object = instance_origin(world, self.object);
        (self.grasp, self.grasp_point) = match self.target {
            PlaceTarget::StackOn(base) => {
                let grasp = self.choose_rim_grasp(world, instance_origin(world, base), preference);
                (Grasp::Rim(grasp), object + grasp.offset)
            }
            _ => match self.choose_antipodal_grasp(world) {
                Some(grasp) => (Grasp::Antipodal(grasp), grasp.point),
                None => (Grasp::TopDown, object),
            },
        };
        self.approach_arrived = self.room_beside_grasp().clamp(ARRIVED, ROUGHLY_ARRIVED);
        self.rest_z = object.z;
        self.state.enter(Phase::Approach, eef_position(world));
    }

    fn choose_rim_grasp(
        &self,
        world: &World,
        target: Point3<f64>,
        preference: GraspPreference,
    ) -> RimGrasp {
        let failed: Vec<f64> = self
            .failed
            .iter()
            .filter_map(|grasp| match grasp {
                Grasp::Rim(grasp) => Some(grasp.angle),
                _ => None,
            })
            .collect();
        RimGraspQuery {
            rim: Rim::of(&world.scene().instances[self.object].model),
            object: instance_origin(world, self.object),
            target,
            base: self.base,
            obstacles: &self.obstacles,
            failed: &failed,
            preference,
        }
        .choose()
    }

    fn choose_antipodal_grasp(&self, world: &World) -> Option<AntipodalGrasp> {
        let failed: Vec<AntipodalGrasp> = self
            .failed
            .iter()
            .filter_map(|grasp| match grasp {
                Grasp::Antipodal(grasp) => Some(*grasp),
                _ => None,
            })
            .collect();
        let bowl = Rim::fits(&world.scene().instances[self.object].model);
        GraspQuery {
            world,
            object: self.object,
            goal: self.goal(world),
            obstacles: &self.obstacles,
            failed: &failed,
            drop: if bowl { BOWL_DROP } else { DROP },
            hand: (eef_position(world), opening_yaw(world)),
        }
        .choose()
    }

    /// Position of the origin of the object at the target, world frame, m.
    pub(super) fn goal(&self, world: &World) -> Point3<f64> {
        self.target.object_goal(world, self.object, &self.obstacles)
    }

    /// Pregrasp position of the hand, world frame, m; and whether the hand is tilted.
    pub(super) fn pregrasp(&self) -> (Point3<f64>, bool) {
        let approach = self.grasp.approach();
        let tilted = approach.z > TILTED;
        let distance = if tilted {
            TILTED_PREGRASP_DISTANCE
        } else {
            PREGRASP_DISTANCE
        };
        (self.grasp_point - approach * distance, tilted)
    }

    /// Position to which a tilted hand at `eef` retraces its approach before it lifts its object straight up, world frame, m; `None` if it points down or is
    /// there.
    pub(super) fn retraces_to(&self, eef: Point3<f64>) -> Option<Point3<f64>> {
        let approach = self.grasp.approach();
        let end = self.grasp_point - approach * TILTED_LIFT;
        (approach.z > TILTED && eef.z < end.z - 0.01).then_some(end)
    }

    /// Opens the fingers and plans again; the grasp costs more from now on.
    fn give_up_grasp(&mut self, eef: Point3<f64>) {
        if !matches!(self.grasp, Grasp::TopDown) {
            self.failed.push(self.grasp);
        }
        self.grasp_point = eef;
        self.state.enter(Phase::Release, eef);
    }

    /// Target orientation of the hand in the current phase, world frame.
    fn orientation(&self, world: &World) -> Rotation3<f64> {
        match (self.state.phase, self.target.orientation()) {
            (Phase::Transfer | Phase::Lower | Phase::Release, Some(wanted)) => {
                wanted * self.held_orientation
            }
            (Phase::Retreat, Some(_)) => world.eef_pose().rotation.to_rotation_matrix(),
            _ => self.grasp.orientation(world),
        }
    }

    /// Angle between the present and the wanted orientation of the hand, rad. A rim is grasped however the
    /// hand is tilted: only the turn about the vertical counts.
    pub(super) fn orientation_error(&self, world: &World) -> f64 {
        let error = rotation_error(world, &self.orientation(world));
        match self.grasp {
            Grasp::Rim(_) => error.z.abs(),
            _ => error.norm(),
        }
    }

    /// Room beside the planned grasp in which the hand may come down, m.
    fn room_beside_grasp(&self) -> f64 {
        match self.grasp {
            // Not on what is near.
            Grasp::Rim(grasp) => {
                (self.obstacles).top_down_clearance(self.grasp_point, grasp.yaw, 0.0)
            }
            Grasp::Antipodal(grasp) => 0.5 * (FULL_OPENING - grasp.thickness) - FINGER_CLEARANCE,
            Grasp::TopDown => ARRIVED,
        }
    }

    /// Share of the full height at which a hand hovers above the grasp point, or of the distance at which a tilted one stays from it, 0 to 1.
    fn misalignment(&self, world: &World, eef: Point3<f64>) -> f64 {
        let funnel = Funnel {
            arrived: (self.approach_arrived, TURNING),
            outside: OUTSIDE,
        };
        funnel.share(self.distance_across(eef), self.orientation_error(world))
    }

    /// Distance of the hand from the line along which it approaches the grasp point, m; a hand that points down approaches it vertically.
    fn distance_across(&self, eef: Point3<f64>) -> f64 {
        match self.pregrasp() {
            (_, false) => (eef.xy() - self.grasp_point.xy()).norm(),
            (_, true) => distance_from_line(eef, self.grasp_point, self.grasp.approach()),
        }
    }

    /// Target position of the hand in the current phase, world frame, m.
    fn waypoint(&self, world: &World, eef: Point3<f64>, goal: Point3<f64>) -> Point3<f64> {
        let object = instance_origin(world, self.object);
        let to = goal - object;
        match self.state.phase {
            Phase::Approach => {
                let level = self.base.z + APPROACH_LEVEL;
                let ceiling = self.grasp_point.z.max(level) + APPROACH_CEILING;
                let (point, hover) = match self.pregrasp() {
                    (pregrasp, true) => {
                        let back = pregrasp - self.grasp_point;
                        (self.grasp_point + back * self.misalignment(world, eef), 0.0)
                    }
                    (_, false) => {
                        let hover = PREGRASP_DISTANCE * self.misalignment(world, eef);
                        (self.grasp_point, hover)
                    }
                };
                self.obstacles.approach_waypoint(eef, point, hover, ceiling)
            }
            Phase::Descend | Phase::Grasp | Phase::Release => self.grasp_point,
            Phase::Lift => self.lift_waypoint(world, eef, goal),
            Phase::Transfer => {
                let height = self.transfer_height(world, object, goal);
                if let Grasp::Rim(_) = self.grasp {
                    return Point3::new(eef.x + to.x, eef.y + to.y, eef.z - object.z + height);
                }
                let lack = height - object.z;
                // Up before across, in proportion.
                let slow = ((CROSSING - lack) / (CROSSING - AT_HEIGHT)).clamp(0.0, 1.0);
                let across = Vector3::new(to.x, to.y, 0.0) * slow;
                eef + across + Vector3::z() * lack
            }
            Phase::Lower => {
                let down = if self.target.has_resting_height() {
                    (to.z + self.release_height).clamp(-0.02, 0.0) - 0.004
                } else {
                    -0.02
                };
                Point3::new(eef.x + to.x, eef.y + to.y, eef.z + down)
            }
            Phase::Retreat => match self.grasp {
                Grasp::Rim(_) => self.grasp_point + Vector3::z() * 0.10,
                _ => {
                    let back = -(world.eef_pose().rotation * Vector3::z());
                    self.grasp_point + (back + Vector3::z()).normalize() * 0.12
                }
            },
        }
    }

    /// Straight up to the height of the transfer; a tilted hand first retraces its approach. Recorded episodes
    /// depend on the order of the sums.
    fn lift_waypoint(&self, world: &World, eef: Point3<f64>, goal: Point3<f64>) -> Point3<f64> {
        let object = instance_origin(world, self.object);
        let height = self.transfer_height(world, object, goal);
        if let Grasp::Rim(_) = self.grasp {
            let z = eef.z - object.z + height;
            return Point3::new(self.grasp_point.x, self.grasp_point.y, z);
        }
        if let Some(end) = self.retraces_to(eef) {
            return eef + (end - eef).normalize() * 0.05;
        }
        Point3::new(eef.x, eef.y, eef.z + height - object.z)
    }

    /// Least height above the goal at which the opening hand touches nothing, m; zero where the object is
    /// lowered until contact, and for a hand that is far from pointing down.
    pub(super) fn clear_release_height(
        &self,
        world: &World,
        eef: Point3<f64>,
        object: Point3<f64>,
        goal: Point3<f64>,
    ) -> f64 {
        if !self.target.has_resting_height() {
            return 0.0;
        }
        let hand = match self.target.orientation() {
            Some(wanted) => wanted * self.held_orientation,
            None => self.grasp.orientation(world),
        };
        if (hand * Vector3::z()).z > -0.6 {
            return 0.0;
        }
        let rest = eef + (goal - object);
        self.obstacles.lowest_free_height(rest, &hand, 0.004)
    }

    /// Target height of the origin of the carried object at `object`, given the obstacles on the way
    /// to the goal, world frame, m.
    pub(super) fn transfer_height(
        &self,
        world: &World,
        object: Point3<f64>,
        goal: Point3<f64>,
    ) -> f64 {
        let (radius, below) = self.footprint(world, object);
        let to = goal.xy() - object.xy();
        let distance = to.norm();
        if distance < self.tuning.lookahead_ends {
            // As in the approach: lower the nearer it is.
            let arrived = self.tuning.transfer_arrived;
            let share = (distance - arrived) / (self.tuning.lookahead_ends - arrived);
            return goal.z + self.tuning.goal_margin * share.clamp(LOWEST_TRANSFER, 1.0);
        }
        let mut z = goal.z + self.tuning.goal_margin;
        for i in 0..=self.tuning.lookahead {
            let ahead = (LOOKAHEAD_STEP * f64::from(i)).min(distance);
            let p = object.xy() + to * (ahead / distance.max(1e-9));
            if let Some(h) = self.obstacles.surface_height(p.x, p.y, radius) {
                z = z.max(h + below + self.tuning.obstacle_margin);
            }
        }
        z
    }

    /// Radius around the origin of the object in which obstacles count, and height of the origin above the
    /// lowest point of the object, m. The origin of a bowl is at its bottom.
    fn footprint(&self, world: &World, object: Point3<f64>) -> (f64, f64) {
        if let Grasp::Rim(_) = self.grasp {
            return (BOWL_FOOTPRINT, 0.0);
        }
        let (low, high) = Obstacles::only(world, self.object).bounding_box();
        let half_diagonal = 0.5 * libm::hypot(high.x - low.x, high.y - low.y);
        (half_diagonal + 0.02, object.z - low.z)
    }
}

impl StateMachine for PickPlace {
    type Phase = Phase;
    const NAME: &'static str = "place";
    const END: (Phase, usize) = (Phase::Retreat, 10);

    fn state(&self) -> &SkillState<Phase> {
        &self.state
    }

    fn grasp_summary(&self) -> String {
        format!("[{}, try {}]", self.grasp.summary(), self.failed.len())
    }

    fn step(&mut self, world: &World) -> [f64; 7] {
        let eef = self.state.observe(world);
        let goal = self.goal(world);
        self.advance(world, eef, goal);
        let waypoint = self.waypoint(world, eef, goal);
        let mut a = self.state.servo.translation(eef, waypoint);
        if self.state.phase == Phase::Lift && self.grasp.is_thin() {
            a.z = limited_lift(a.z, eef.z - self.grasp_point.z);
        }
        if self.state.phase == Phase::Lower {
            a.z = a.z.clamp(-self.tuning.lower_speed, self.tuning.lower_speed);
        }
        let mut rotation = rotation_error(world, &self.orientation(world));
        if self.state.phase == Phase::Approach
            && !matches!(self.grasp, Grasp::Rim(_))
            && shoulder_to_wrist(self.base, self.grasp_point) > NEARLY_STRETCHED
        {
            a = braked_translation(a, (waypoint - eef).norm());
            rotation = limited_rotation(rotation, POSTURE_ROTATION);
        }
        if self.state.phase == Phase::Transfer && self.target.orientation().is_some() {
            rotation = limited_rotation(rotation, CARRIED_ROTATION);
        }
        let gripper = match self.state.phase {
            Phase::Grasp | Phase::Lift | Phase::Transfer | Phase::Lower => GRIPPER_CLOSE,
            _ => GRIPPER_OPEN,
        };
        action(a, rotation, gripper)
    }
}
