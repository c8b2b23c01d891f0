//! Turns a knob by pushing one end of its bar with closed fingers, from above.

use super::articulation::Articulation;
use super::collision_boxes::collision_boxes;
use super::funnel::Funnel;
use super::hand_frame::{robot_base, rotation_error, symmetric_orientation};
use super::servo::{GRIPPER_CLOSE, action};
use super::skill::{SkillState, StateMachine};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Distance behind the bar at which the fingers come down, m.
pub(super) const BEHIND: f64 = 0.025;
/// Depth of the grasp point below the top of the bar, m: the finger tips reach 9.5 mm deeper.
const DEPTH: f64 = 0.022 - 0.0095;
/// Distance of the fingers from the end of the bar, and half their depth along the push, m.
const FROM_END: f64 = 0.012;
const FINGER_HALF_DEPTH: f64 = 0.010;
/// Height of the first waypoint above that at which the fingers come down, m.
pub(super) const HOVER: f64 = 0.07;
/// Errors with which the hand is above that place, and with which it hovers at its full height.
pub(super) const FUNNEL: Funnel = Funnel {
    arrived: (0.014, 0.2),
    outside: (0.05, 0.6),
};
/// Joint positions beyond which a turn ends, rad: past the thresholds of TurnOn and TurnOff of the stove
/// (`docs/reference/libero.md`, section 6).
const ON: f64 = 0.56;
const OFF: f64 = -0.003;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Above one end of the bar, fingers closed.
    Approach,
    /// Down behind the bar.
    Descend,
    /// Push the end of the bar.
    Turn,
    /// Up. A knob that is not turned far enough is pushed at the other end next.
    Retreat,
}

/// Controller that turns a knob.
#[derive(Clone)]
pub(super) struct TurnKnob {
    knob: Articulation,
    on: bool,
    pub(super) state: SkillState<Phase>,
    /// Sign of the end of the bar that is pushed, along [`Bar::along`].
    pub(super) end: f64,
}

/// The bar of a knob at its present pose, world frame.
#[derive(Clone)]
pub(super) struct Bar {
    /// Centre of the top, m.
    centre: Point3<f64>,
    /// Horizontal unit vector along the bar.
    pub(super) along: Vector3<f64>,
    /// Half sizes along and across the bar, m.
    half_length: f64,
    half_width: f64,
}

impl Bar {
    /// Orientation of a hand that points down and opens along the bar, world frame.
    pub(super) fn orientation(&self) -> Rotation3<f64> {
        symmetric_orientation(-Vector3::z(), self.along)
    }

    /// Share of the full height at which a hand hovers above the place where the fingers come down, 0 to 1.
    fn misalignment(&self, world: &World, eef: Point3<f64>, behind: Point3<f64>) -> f64 {
        let distance = (eef.xy() - behind.xy()).norm();
        FUNNEL.share(distance, rotation_error(world, &self.orientation()).norm())
    }
}

impl TurnKnob {
    /// Plans to turn a knob on or off.
    pub(super) fn new(world: &World, knob: Articulation, on: bool) -> TurnKnob {
        let mut skill = TurnKnob {
            knob,
            on,
            state: SkillState::new(world, Phase::Approach),
            end: 1.0,
        };
        // The end nearer to the robot is easier to reach from behind.
        let bar = skill.bar(world);
        let toward = robot_base(world) - bar.centre;
        skill.end = if bar.along.dot(&toward) < 0.0 {
            -1.0
        } else {
            1.0
        };
        skill
    }

    /// The tallest shape of the knob, taken as a bar; a bar of usual size over the origin of the body where
    /// no shape has two horizontal axes.
    pub(super) fn bar(&self, world: &World) -> Bar {
        let Articulation { instance, body } = self.knob;
        let pose = world.rendered_body_pose(instance, body);
        let mut bar = Bar {
            centre: Point3::from(pose.translation.vector),
            along: Vector3::x(),
            half_length: 0.04,
            half_width: 0.012,
        };
        let mut highest = f64::NEG_INFINITY;
        for shape in collision_boxes(world, instance, body) {
            let top = shape.top();
            if top <= highest {
                continue;
            }
            highest = top;
            // The longest horizontal axis of the shape.
            let r = shape.pose.rotation.to_rotation_matrix();
            let mut axes: Vec<(f64, Vector3<f64>)> = (0..3)
                .map(|i| (shape.half[i], Vector3::from(r.matrix().column(i))))
                .filter(|(_, axis)| axis.z.abs() < 0.7)
                .collect();
            axes.sort_by(|a, b| b.0.total_cmp(&a.0));
            if let [long, short, ..] = axes[..] {
                let centre = shape.centre();
                bar = Bar {
                    centre: Point3::new(centre.x, centre.y, top),
                    along: Vector3::new(long.1.x, long.1.y, 0.0).normalize(),
                    half_length: long.0,
                    half_width: short.0,
                };
            }
        }
        bar
    }

    /// Grasp point of closed fingers that push the end of the bar from a distance `behind` its face (m), and
    /// the unit vector of the push; world frame.
    pub(super) fn contact(
        &self,
        world: &World,
        bar: &Bar,
        behind: f64,
    ) -> (Point3<f64>, Vector3<f64>) {
        // The planner makes this subgoal for hinged bodies only.
        let axis = self.knob.joint(world).map_or(1.0, |j| j.axis[2]);
        let sense = if self.on { axis } else { -axis };
        let arm = bar.along * self.end;
        let push = Vector3::z().cross(&arm) * sense.signum();
        let point = bar.centre + arm * (bar.half_length - FROM_END)
            - push * (bar.half_width + FINGER_HALF_DEPTH + behind)
            - Vector3::z() * DEPTH;
        (point, push)
    }

    fn advance(&mut self, world: &World, eef: Point3<f64>, bar: &Bar, behind: Point3<f64>) {
        let n = self.state.steps;
        match self.state.phase {
            Phase::Approach => {
                let above = bar.misalignment(world, eef, behind) == 0.0;
                if above && n > 2 || n > 70 {
                    self.state.enter(Phase::Descend, eef);
                }
            }
            Phase::Descend => {
                if (eef - behind).norm() < 0.006 || self.state.stalled(4, 6) || n > 30 {
                    self.state.enter(Phase::Turn, eef);
                }
            }
            Phase::Turn => {
                let q = self.knob.position(world);
                let arrived = if self.on { q > ON } else { q < OFF };
                if arrived || n > 90 {
                    self.state.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 10 {
                    self.end = -self.end;
                    self.state.enter(Phase::Approach, eef);
                }
            }
        }
    }

    /// Target position of the hand in the current phase, world frame, m.
    fn waypoint(
        &self,
        world: &World,
        eef: Point3<f64>,
        bar: &Bar,
        behind: Point3<f64>,
    ) -> Point3<f64> {
        match self.state.phase {
            Phase::Approach => {
                behind + Vector3::z() * (HOVER * bar.misalignment(world, eef, behind))
            }
            Phase::Descend => behind,
            Phase::Turn => {
                let (touch, push) = self.contact(world, bar, 0.0);
                touch + push * 0.05
            }
            Phase::Retreat => self.state.start + Vector3::z() * 0.08,
        }
    }
}

impl StateMachine for TurnKnob {
    type Phase = Phase;
    const NAME: &'static str = "knob";
    const END: (Phase, usize) = (Phase::Retreat, 8);

    fn state(&self) -> &SkillState<Phase> {
        &self.state
    }

    fn step(&mut self, world: &World) -> [f64; 7] {
        let eef = self.state.observe(world);
        let bar = self.bar(world);
        let (behind, _) = self.contact(world, &bar, BEHIND);
        self.advance(world, eef, &bar, behind);
        let waypoint = self.waypoint(world, eef, &bar, behind);
        let a = self.state.servo.translation(eef, waypoint);
        action(a, rotation_error(world, &bar.orientation()), GRIPPER_CLOSE)
    }
}
