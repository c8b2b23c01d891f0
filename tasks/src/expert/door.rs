//! Pushes a hinged door shut with closed fingers that reach down behind its upper edge.

use super::articulation::Articulation;
use super::collision_boxes::collision_boxes;
use super::hand_frame::{rotation_error, symmetric_orientation};
use super::servo::{GRIPPER_CLOSE, action, limited_rotation};
use super::skill::{SkillState, StateMachine};
use bitvla_sim::World;
use nalgebra::{Point3, Rotation3, Vector3};

/// Depth of the grasp point below the upper edge, m: the hand stays above it.
const DEPTH: f64 = 0.022;
/// Share of the width of the door at which it is pushed, from the hinge.
const SHARE: f64 = 0.72;
/// Distance from the middle of the panel to the middle of the fingers that touch it, m.
const CONTACT_DISTANCE: f64 = 0.024;
/// Further distance at which the fingers come down, m.
pub(super) const BEHIND: f64 = 0.035;
/// Height of the hand above the upper edge on the way across, m.
pub(super) const HOVER: f64 = 0.07;
/// Joint position below the upper limit from which the door is shut, rad.
const SHUT_MARGIN: f64 = 0.003;
/// Largest component of the rotation on the way across, rad.
const CROSSING_ROTATION: f64 = 0.2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Up, above the door.
    Rise,
    /// Over to its outer side.
    Cross,
    /// Down behind the upper edge.
    Descend,
    /// Push until the door is shut.
    Push,
    /// Up and back.
    Retreat,
}

/// Controller that closes a door.
#[derive(Clone)]
pub(super) struct CloseDoor {
    door: Articulation,
    pub(super) state: SkillState<Phase>,
}

/// The panel of a door at its present pose, world frame.
#[derive(Clone)]
pub(super) struct Panel {
    /// Point of the upper edge at which it is pushed, m.
    pub(super) edge: Point3<f64>,
    /// Unit vector in which that point moves when the door shuts.
    pub(super) push: Vector3<f64>,
    /// Horizontal unit vector from the hinge along the panel.
    pub(super) along: Vector3<f64>,
}

impl Panel {
    /// Grasp point of fingers that touch the panel, m.
    pub(super) fn contact(&self) -> Point3<f64> {
        self.edge - self.push * CONTACT_DISTANCE - Vector3::z() * DEPTH
    }

    /// Orientation of a hand that points down and opens along the panel.
    pub(super) fn orientation(&self) -> Rotation3<f64> {
        symmetric_orientation(-Vector3::z(), self.along)
    }
}

impl CloseDoor {
    /// Plans to close a door.
    pub(super) fn new(world: &World, door: Articulation) -> CloseDoor {
        CloseDoor {
            door,
            state: SkillState::new(world, Phase::Rise),
        }
    }

    /// The panel: the widest shape of the door. A door without collision shapes has it at the hinge.
    pub(super) fn panel(&self, world: &World) -> Panel {
        let Articulation { instance, body } = self.door;
        let hinge = Point3::from(world.rendered_body_pose(instance, body).translation.vector);
        let mut panel = Panel {
            edge: hinge,
            push: Vector3::y(),
            along: Vector3::x(),
        };
        let mut widest = 0.0;
        for shape in collision_boxes(world, instance, body) {
            if shape.half.amax() <= widest {
                continue;
            }
            widest = shape.half.amax();
            let centre = shape.centre();
            let mut along = centre - hinge;
            along.z = 0.0;
            let half_width = along.norm().max(1e-6);
            let along = along / half_width;
            let p = centre + along * ((2.0 * SHARE - 1.0) * half_width);
            panel = Panel {
                edge: Point3::new(p.x, p.y, shape.top()),
                push: Vector3::z().cross(&along) * self.closing_sense(world),
                along,
            };
        }
        panel
    }

    /// Sign of the rotation about the vertical that closes the door: towards the joint limit nearer to
    /// zero. The planner makes this subgoal for hinged bodies only.
    fn closing_sense(&self, world: &World) -> f64 {
        let joint = self.door.joint(world);
        let (low, high) = joint.map_or((0.0, 0.0), |j| (j.range[0], j.range[1]));
        let axis = joint.map_or(1.0, |j| j.axis[2]);
        let sense = if low.abs() > high.abs() { axis } else { -axis };
        sense.signum()
    }

    fn advance(&mut self, world: &World, eef: Point3<f64>, panel: &Panel) {
        let n = self.state.steps;
        let behind = panel.contact() - panel.push * BEHIND;
        match self.state.phase {
            Phase::Rise => {
                if eef.z > panel.edge.z + HOVER - 0.01 || n > 40 {
                    self.state.enter(Phase::Cross, eef);
                }
            }
            Phase::Cross => {
                let turned = rotation_error(world, &panel.orientation()).norm() < 0.1;
                if ((eef.xy() - behind.xy()).norm() < 0.012 && turned) || n > 80 {
                    self.state.enter(Phase::Descend, eef);
                }
            }
            Phase::Descend => {
                if (eef.z - behind.z).abs() < 0.008 || self.state.stalled(4, 6) || n > 30 {
                    self.state.enter(Phase::Push, eef);
                }
            }
            Phase::Push => {
                let q = self.door.position(world);
                let shut = self
                    .door
                    .joint(world)
                    .is_some_and(|j| q > j.range[1] - SHUT_MARGIN);
                if shut || self.state.stalled(8, 20) || n > 110 {
                    self.state.enter(Phase::Retreat, eef);
                }
            }
            Phase::Retreat => {
                if n > 10 {
                    self.state.enter(Phase::Rise, eef);
                }
            }
        }
    }

    /// Target position of the hand in the current phase, world frame, m.
    fn waypoint(&self, panel: &Panel) -> Point3<f64> {
        let contact = panel.contact();
        let behind = contact - panel.push * BEHIND;
        let over = panel.edge.z + HOVER;
        let start = self.state.start;
        match self.state.phase {
            Phase::Rise => Point3::new(start.x, start.y, over + 0.01),
            Phase::Cross => Point3::new(behind.x, behind.y, over + 0.005),
            Phase::Descend => behind,
            Phase::Push => contact + panel.push * 0.05,
            Phase::Retreat => start + Vector3::z() * 0.09 - panel.push * 0.03,
        }
    }
}

impl StateMachine for CloseDoor {
    type Phase = Phase;
    const NAME: &'static str = "door";
    const END: (Phase, usize) = (Phase::Retreat, 8);

    fn state(&self) -> &SkillState<Phase> {
        &self.state
    }

    fn step(&mut self, world: &World) -> [f64; 7] {
        let eef = self.state.observe(world);
        let panel = self.panel(world);
        self.advance(world, eef, &panel);
        let waypoint = self.waypoint(&panel);
        let a = self.state.servo.translation(eef, waypoint);
        let rotation = rotation_error(world, &panel.orientation());
        // A hand that arrives level rises without turning and turns on the way across.
        let rotation = match self.state.phase {
            Phase::Rise => rotation * 0.0,
            Phase::Cross => limited_rotation(rotation, CROSSING_ROTATION),
            _ => rotation,
        };
        action(a, rotation, GRIPPER_CLOSE)
    }
}
