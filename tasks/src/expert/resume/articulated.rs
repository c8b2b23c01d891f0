//! Inference of the phase of the skills that move drawers, knobs and doors.

use super::{HandState, OPEN_FROM, RIM_OPENING, TURNED, angle_to, stalled_steps};
use crate::expert::door::{self, CloseDoor};
use crate::expert::drawer::{self, MoveDrawer};
use crate::expert::hand_frame::EMPTY;
use crate::expert::knob::{self, TurnKnob};
use bitvla_sim::{Owner, World};

/// Distance beyond the middle of the handle up to which the hand advances, m.
const BEYOND_HANDLE: f64 = 0.02;
/// Distance from the pregrasp pose within which a hand that stands still has arrived, m.
const NEARLY_ARRIVED: f64 = 0.07;
/// Steps in the advance that are assumed of a hand that is under way.
const ADVANCED_STEPS: usize = 8;
/// Distance before the handle from which closed fingers push the drawer, and distance aside, m.
const PUSHING: (f64, f64) = (0.022, 0.055);
/// Height over the pregrasp pose that a hand needs at a horizontal distance beyond the first number, m, the slope of the
/// increase and its largest value.
const CLEARANCE: (f64, f64, f64) = (0.04, 0.25, 0.07);
/// Distance from the handle within which a hand that touches the drawer pushes it, m.
const TOUCHING: f64 = 0.06;
/// Horizontal distance from the place where fingers come down within which they do, m.
const ABOVE: f64 = 0.014;
/// Height over that place up to which they push, m.
const LOW: f64 = 0.015;

/// Puts a skill that moves a drawer into the phase that the world is in.
pub(super) fn infer_drawer(world: &World, skill: &mut MoveDrawer) {
    use drawer::Phase;
    let hand = HandState::observe(world);
    skill.state.servo.last_eef = hand.eef;
    let handle = skill.handle(world);
    let turned = angle_to(world, &skill.orientation);
    let (along, across) = hand.along_line(handle, skill.approach);
    let at_handle = (handle - hand.eef).norm() < drawer::AT_HANDLE;
    let pregrasp = skill.pregrasp(handle);
    let on_line = along < drawer::PREGRASP_DISTANCE && along > -BEYOND_HANDLE;
    // Not every pregrasp pose in front of a drawer that is to be closed can be reached exactly: there the hand goes on as it is.
    let arrived =
        !skill.opens() && stalled_steps(world) > 0 && (pregrasp - hand.eef).norm() < NEARLY_ARRIVED;
    let advancing = arrived || (on_line && skill.misalignment(world, hand.eef, handle) == 0.0);
    let at_front = along < PUSHING.0 && across < PUSHING.1 && turned < 2.0 * TURNED;
    let touching = (handle - hand.eef).norm() < TOUCHING
        && world.in_contact(Owner::Robot, Owner::Instance(skill.drawer.instance));
    // Fingers that have not closed on the bar yet close, whichever way they move.
    let gripping = hand.opening < OPEN_FROM && hand.opening > EMPTY;
    let pushing = at_front || touching;
    let driving = if skill.opens() {
        drawer::is_held(world, handle)
    } else {
        pushing
    };
    if driving {
        begin(skill, Phase::Drive, 0, &hand);
    } else if skill.opens() && at_handle && gripping {
        begin(skill, Phase::Grasp, hand.closed_steps(), &hand);
    } else if advancing && (!skill.opens() || hand.opening > OPEN_FROM) {
        begin(skill, Phase::Advance, ADVANCED_STEPS, &hand);
    } else {
        let distance = (pregrasp.xy() - hand.eef.xy()).norm();
        let (from, slope, most) = CLEARANCE;
        let needed = pregrasp.z - 0.01 + (slope * (distance - from)).clamp(0.0, most);
        // On its way along the line the hand need not rise.
        if hand.eef.z > needed || (on_line && across < from) {
            begin(skill, Phase::Align, 0, &hand);
        }
    }
}

fn begin(skill: &mut MoveDrawer, phase: drawer::Phase, steps: usize, hand: &HandState) {
    skill.state.enter(phase, hand.eef);
    skill.state.steps = steps;
}

/// Puts a skill that turns a knob into the phase that the world is in.
pub(super) fn infer_knob(world: &World, skill: &mut TurnKnob) {
    use knob::Phase;
    let hand = HandState::observe(world);
    skill.state.servo.last_eef = hand.eef;
    let bar = skill.bar(world);
    let first = skill.end;
    let closed = hand.opening < RIM_OPENING[1];
    let turned = angle_to(world, &bar.orientation()) < knob::FUNNEL.arrived.1;
    // The end that was planned is considered first.
    for end in [first, -first] {
        skill.end = end;
        let (behind, push) = skill.contact(world, &bar, knob::BEHIND);
        let (touching, _) = skill.contact(world, &bar, 0.0);
        let from = hand.eef - behind;
        let aside = from - push * from.dot(&push);
        let aside = aside.xy().norm();
        let before = (touching - hand.eef).dot(&push);
        let low = hand.eef.z < behind.z + LOW;
        if closed && low && aside < 0.02 && before < 2.0 * knob::BEHIND && before > -0.01 {
            skill.state.enter(Phase::Turn, hand.eef);
            return;
        }
        if closed && turned && from.xy().norm() < knob::FUNNEL.arrived.0 {
            skill.state.enter(Phase::Descend, hand.eef);
            return;
        }
    }
    skill.end = first;
}

/// Puts a skill that closes a door into the phase that the world is in.
pub(super) fn infer_door(world: &World, skill: &mut CloseDoor) {
    use door::Phase;
    let hand = HandState::observe(world);
    skill.state.servo.last_eef = hand.eef;
    let panel = skill.panel(world);
    let contact = panel.contact();
    let behind = contact - panel.push * door::BEHIND;
    let turned = angle_to(world, &panel.orientation());
    let before = (contact - hand.eef).dot(&panel.push);
    let aside = (contact - hand.eef).dot(&panel.along).abs();
    let low = hand.eef.z < contact.z + LOW;
    let over = panel.edge.z + door::HOVER;
    if low
        && turned < 3.0 * TURNED
        && before > -0.015
        && before < 2.0 * door::BEHIND
        && aside < 0.05
    {
        skill.state.enter(Phase::Push, hand.eef);
        skill.state.servo.stalled_steps = 0;
    } else if turned < TURNED && (behind.xy() - hand.eef.xy()).norm() < ABOVE && !low {
        skill.state.enter(Phase::Descend, hand.eef);
    } else if hand.eef.z > over - 0.02 {
        skill.state.enter(Phase::Cross, hand.eef);
    }
}
