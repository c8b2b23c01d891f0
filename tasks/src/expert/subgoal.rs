//! Subgoals, and the skill that achieves each.

use super::articulation::Articulation;
use super::door::CloseDoor;
use super::drawer::MoveDrawer;
use super::insert::Insert;
use super::knob::TurnKnob;
use super::pick_place::PickPlace;
use super::place_target::PlaceTarget;
use super::push::Push;
use super::skill::Skill;
use bitvla_sim::World;
use nalgebra::Point3;

/// Goal of one skill. Objects and containers are indices of instances in the scene.
#[derive(Debug, Clone)]
pub(super) enum Subgoal {
    /// Pick an object up from above and place it.
    PickPlace { object: usize, target: PlaceTarget },
    /// Put an object into a site of a container that opens to the side.
    Insert {
        object: usize,
        container: usize,
        site: String,
    },
    /// Push a flat object to a point of the support (world frame, m).
    Push { object: usize, to: Point3<f64> },
    /// Pull a drawer open by a distance, m.
    OpenDrawer { drawer: Articulation, distance: f64 },
    /// Push a drawer closed.
    CloseDrawer { drawer: Articulation },
    /// Turn a knob on or off.
    TurnKnob { knob: Articulation, on: bool },
    /// Push a door closed.
    CloseDoor { door: Articulation },
}

impl Subgoal {
    /// The instance that it moves or articulates.
    pub(super) fn instance(&self) -> usize {
        match self {
            Subgoal::PickPlace { object, .. }
            | Subgoal::Insert { object, .. }
            | Subgoal::Push { object, .. } => *object,
            Subgoal::OpenDrawer { drawer: joint, .. }
            | Subgoal::CloseDrawer { drawer: joint }
            | Subgoal::TurnKnob { knob: joint, .. }
            | Subgoal::CloseDoor { door: joint } => joint.instance,
        }
    }

    /// The skill that achieves it, planned for the present state of the world.
    pub(super) fn start(&self, world: &World) -> Box<dyn Skill> {
        match self {
            Subgoal::PickPlace { object, target } => {
                Box::new(PickPlace::new(world, *object, target.clone()))
            }
            Subgoal::Insert {
                object,
                container,
                site,
            } => Box::new(Insert::new(world, *object, *container, site)),
            Subgoal::Push { object, to } => Box::new(Push::new(world, *object, *to)),
            Subgoal::OpenDrawer { drawer, distance } => {
                Box::new(MoveDrawer::open(world, *drawer, *distance))
            }
            Subgoal::CloseDrawer { drawer } => Box::new(MoveDrawer::close(world, *drawer)),
            Subgoal::TurnKnob { knob, on } => Box::new(TurnKnob::new(world, *knob, *on)),
            Subgoal::CloseDoor { door } => Box::new(CloseDoor::new(world, *door)),
        }
    }
}
