//! Planner of the expert: from a goal to the subgoals that make all its predicates hold, in order.

use super::articulation::Articulation;
use super::collision_boxes::root_bounds;
use super::drawer::{MoveDrawer, is_held};
use super::hand_frame::{OPEN_FROM, finger_distance};
use super::insert::Insert;
use super::obstacles::Obstacles;
use super::place_target::{PlaceTarget, aligned};
use super::rim_grasp::Rim;
use super::subgoal::Subgoal;
use crate::bddl;
use crate::bddl::{Predicate, PredicateInstance, Problem};
use crate::error::TaskError;
use crate::predicates::predicate_holds;
use bitvla_sim::{JointKind, ModelDesc, World};
use nalgebra::{Isometry3, Point3, Rotation3, Vector3};

/// Distance by which a drawer is pulled to count as open, m: beyond the threshold of the predicate.
const OPEN_DISTANCE: f64 = 0.154;
/// Distance by which it is pulled to put something in, m: an opening that is wider obstructs the hand beside
/// it. A drawer that is open by [`OPEN_ENOUGH`] is not moved, unless the fingers still hold its handle: it slides back a little when they let go.
const OPEN_TO_PLACE: f64 = 0.135;
const OPEN_ENOUGH: f64 = 0.10;
/// Slope of the shelf on which bottles lie, rad above the horizontal.
const SHELF_SLOPE: f64 = 0.547;
/// Half width below which a site is a slot, which an object has to be turned to fit, m.
const SLOT_HALF_WIDTH: f64 = 0.04;
/// Height to width from which an object counts as a bottle.
const BOTTLE_ASPECT: f64 = 2.0;
/// Least size below which, and other sizes above which, an object counts as flat, m: it is pushed.
const FLAT_HEIGHT: f64 = 0.03;
const FLAT_WIDTH: f64 = 0.09;

/// A subgoal and the predicate that holds once it is achieved; `None` for one that only prepares the next.
#[derive(Debug, Clone)]
pub(super) struct PlanStep {
    pub subgoal: Subgoal,
    pub predicate: Option<PredicateInstance>,
}

fn refuse(problem: &Problem, wanted: &PredicateInstance, why: &str) -> TaskError {
    TaskError::from(bddl::BddlError {
        file: problem.file.clone(),
        location: wanted.location,
        message: format!("the scripted expert cannot do this: {why}"),
    })
}

/// The subgoals that remain in the present state of a world; empty if the goal holds.
///
/// # Errors
/// Fails with the location of a predicate of the goal that no skill achieves.
pub(super) fn plan(world: &World, problem: &Problem) -> Result<Vec<PlanStep>, TaskError> {
    let mut predicates: Vec<&PredicateInstance> = problem.goal.predicates.iter().collect();
    let unknown =
        |f: &&PredicateInstance| !f.predicate.is_placement() && !f.predicate.is_of_joints();
    if let Some(first) = predicates.iter().copied().find(unknown) {
        return Err(refuse(problem, first, "it has no skill for the predicate"));
    }
    if let (false, Some(first)) = (problem.goal.condition.is_conjunction(), predicates.first()) {
        return Err(refuse(problem, first, "the goal has Or or Not"));
    }
    // Containers are opened first and closed last.
    predicates.sort_by_key(|f| match f.predicate {
        Predicate::Open | Predicate::TurnOn => 0,
        Predicate::Close | Predicate::TurnOff => 2,
        _ => 1,
    });
    let mut steps = Vec::new();
    for wanted in predicates {
        let holds = predicate_holds(world, problem, wanted)?;
        if holds && !is_being_inserted(world, problem, wanted) {
            continue;
        }
        let mut subgoals = subgoals(world, problem, wanted)?.into_iter().peekable();
        while let Some(subgoal) = subgoals.next() {
            // All but the last only prepare.
            let predicate = subgoals.peek().is_none().then(|| wanted.clone());
            steps.push(PlanStep { subgoal, predicate });
        }
    }
    Ok(steps)
}

/// True if the object of an insertion is still between the fingers and not far enough in: let go of at the edge it would fall out.
fn is_being_inserted(world: &World, problem: &Problem, wanted: &PredicateInstance) -> bool {
    if wanted.predicate != Predicate::In || finger_distance(world) >= OPEN_FROM {
        return false;
    }
    match subgoals(world, problem, wanted).as_deref() {
        Ok(
            [
                Subgoal::Insert {
                    object,
                    container,
                    site,
                },
            ],
        ) => Insert::new(world, *object, *container, site).is_under_way(world),
        _ => false,
    }
}

/// The subgoals that make one predicate hold.
fn subgoals(
    world: &World,
    problem: &Problem,
    wanted: &PredicateInstance,
) -> Result<Vec<Subgoal>, TaskError> {
    if wanted.predicate.arity() == 1 {
        return articulate(world, problem, wanted).map(|s| vec![s]);
    }
    let instance = |i: usize| {
        let name = wanted.args.get(i).map(String::as_str).unwrap_or_default();
        world.scene().instance(name)
    };
    let object = instance(0).ok_or_else(|| refuse(problem, wanted, "there is no such object"))?;
    let region = wanted.args.get(1).and_then(|name| problem.region(name));
    let Some(region) = region else {
        let base = instance(1).ok_or_else(|| refuse(problem, wanted, "there is no such object"))?;
        let target = if Rim::fits(&world.scene().instances[object].model) {
            PlaceTarget::StackOn(base)
        } else {
            PlaceTarget::OnTop(base)
        };
        return Ok(vec![Subgoal::PickPlace { object, target }]);
    };
    if problem.is_support(&region.target) {
        return on_support(world, problem, wanted, object, &region.ranges).map(|s| vec![s]);
    }
    let container = world
        .scene()
        .instance(&region.target)
        .ok_or_else(|| refuse(problem, wanted, "nothing carries the region"))?;
    let bodies = &world.scene().instances[container].model.bodies;
    let body = bodies
        .iter()
        .position(|b| b.site.iter().any(|s| s.name == region.local))
        .ok_or_else(|| refuse(problem, wanted, "the model has no such site"))?;
    let hinged = bodies
        .iter()
        .any(|b| b.joint.as_ref().is_some_and(|j| j.kind == JointKind::Hinge));
    if wanted.predicate == Predicate::In && hinged {
        return Ok(vec![Subgoal::Insert {
            object,
            container,
            site: region.local.clone(),
        }]);
    }
    let mut out = Vec::new();
    let drawer = Articulation {
        instance: container,
        body,
    };
    let outward = drawer
        .opening_direction(world)
        .filter(|_| wanted.predicate == Predicate::In);
    if outward.is_some() {
        let distance = OPEN_TO_PLACE;
        let handle = MoveDrawer::open(world, drawer, distance).handle(world);
        let enough = if is_held(world, handle) {
            distance
        } else {
            OPEN_ENOUGH
        };
        if drawer.position(world).abs() < enough {
            out.push(Subgoal::OpenDrawer { drawer, distance });
        }
    }
    let mut target = site_target(world, problem, wanted, (object, container), &region.local);
    if let (PlaceTarget::Site { offset, .. }, Some(outward)) = (&mut target, outward) {
        *offset += front_of_drawer(world, object, container, &region.local, outward);
    }
    out.push(Subgoal::PickPlace { object, target });
    Ok(out)
}

/// Offset from the middle of a site in a drawer to a place by its front, world frame, m: furniture
/// overhangs its back.
fn front_of_drawer(
    world: &World,
    object: usize,
    container: usize,
    site: &str,
    outward: Vector3<f64>,
) -> Vector3<f64> {
    let (low, high) = Obstacles::only(world, object).bounding_box();
    let half = 0.5 * (high - low).dot(&outward.abs());
    // The caller has found the site in the model, so there is a pose.
    let depth = world
        .site_pose(container, site)
        .map_or(0.0, |(pose, size)| {
            (pose.rotation * Vector3::from(size))
                .abs()
                .dot(&outward.abs())
        });
    outward * (depth - half - 0.002).max(0.0)
}

/// A target over or in a site; objects that share it are placed beside each other, and an object for a slot is
/// turned to fit.
fn site_target(
    world: &World,
    problem: &Problem,
    wanted: &PredicateInstance,
    (object, instance): (usize, usize),
    site: &str,
) -> PlaceTarget {
    let sharing: Vec<&PredicateInstance> = problem
        .goal
        .predicates
        .iter()
        .filter(|f| f.args.get(1) == wanted.args.get(1) && f.predicate == wanted.predicate)
        .collect();
    // The caller has found the site in the model, so there is a pose.
    let (pose, half) = world
        .site_pose(instance, site)
        .unwrap_or((Isometry3::identity(), [0.0; 3]));
    // Half sizes along the axes of the world.
    let extent = (pose.rotation.to_rotation_matrix().matrix().abs()) * Vector3::from(half);
    let mut offset = Vector3::zeros();
    if let (2, Some(k)) = (sharing.len(), sharing.iter().position(|f| *f == wanted)) {
        // The farther place first.
        let by = (extent.x - 0.029).min(0.05);
        offset.x = if k == 0 { by } else { -by };
    }
    let now = world.instance_pose(object).rotation;
    let (low, high) = Obstacles::only(world, object).bounding_box();
    let aspect = (high.z - low.z) / (high.x - low.x).max(high.y - low.y);
    let normal = pose.rotation * Vector3::z();
    let mut orientation = None;
    let mut centred = false;
    if wanted.predicate == Predicate::On && normal.z.abs() < 0.9 && aspect > BOTTLE_ASPECT {
        // A bottle for a sloping shelf: it lies up the slope, beside the middle post.
        orientation = Some(lying(&now.to_rotation_matrix(), normal));
        offset.x -= 0.05;
    } else if wanted.predicate == Predicate::In && extent.x.min(extent.y) < SLOT_HALF_WIDTH {
        // A slot: along its narrow side, by the centre of the object.
        let axis = if extent.x < extent.y {
            Vector3::x()
        } else {
            Vector3::y()
        };
        orientation = Some(aligned(&now, axis));
        centred = true;
    }
    PlaceTarget::Site {
        instance,
        site: site.to_owned(),
        offset,
        centred,
        orientation,
    }
}

/// Orientation of an upright object tilted until its axis lies along a slope, foot downhill; `normal` is
/// the z axis of the site, world frame.
fn lying(now: &Rotation3<f64>, normal: Vector3<f64>) -> Rotation3<f64> {
    let horizontal = Vector3::new(normal.x, normal.y, 0.0).normalize();
    // The site of the shelf has its z axis uphill.
    let uphill = if normal.z < 0.0 {
        -horizontal
    } else {
        horizontal
    };
    let axis = uphill * libm::cos(SHELF_SLOPE) + Vector3::z() * libm::sin(SHELF_SLOPE);
    // Undefined only for opposite vectors, and the axis points up.
    let tilt = Rotation3::rotation_between(&Vector3::z(), &axis).unwrap_or_default();
    tilt * now
}

/// Pushes a flat object to the middle of the first range of a region of the support, places any other
/// there.
fn on_support(
    world: &World,
    problem: &Problem,
    wanted: &PredicateInstance,
    object: usize,
    ranges: &[[f64; 4]],
) -> Result<Subgoal, TaskError> {
    let Some([x0, y0, x1, y1]) = ranges.first() else {
        return Err(refuse(problem, wanted, "the region has no range"));
    };
    let w = world.scene().arena.workspace_offset;
    let (low, _) = Obstacles::only(world, object).bounding_box();
    let to = Point3::new(0.5 * (x0 + x1) + w[0], 0.5 * (y0 + y1) + w[1], low.z);
    let flat = is_flat(&world.scene().instances[object].model);
    Ok(if flat {
        Subgoal::Push { object, to }
    } else {
        let target = PlaceTarget::SupportPoint(to);
        Subgoal::PickPlace { object, target }
    })
}

/// True if an object is flat, however it lies.
fn is_flat(model: &ModelDesc) -> bool {
    let (low, high) = root_bounds(model);
    let mut size = [high.x - low.x, high.y - low.y, high.z - low.z];
    size.sort_by(f64::total_cmp);
    size[0] < FLAT_HEIGHT && size[1] > FLAT_WIDTH
}

/// Open, Close, TurnOn and TurnOff.
fn articulate(
    world: &World,
    problem: &Problem,
    wanted: &PredicateInstance,
) -> Result<Subgoal, TaskError> {
    let first = wanted.args.first().map(String::as_str).unwrap_or_default();
    let region = problem.region(first);
    let owner = region.map_or(first, |r| r.target.as_str());
    let instance = world
        .scene()
        .instance(owner)
        .ok_or_else(|| refuse(problem, wanted, "there is no such fixture"))?;
    let bodies = &world.scene().instances[instance].model.bodies;
    let body = bodies
        .iter()
        .position(|b| {
            b.joint.is_some() && region.is_none_or(|r| b.site.iter().any(|s| s.name == r.local))
        })
        .ok_or_else(|| refuse(problem, wanted, "there is no joint to move"))?;
    let kind = bodies[body].joint.as_ref().map(|j| j.kind);
    let joint = Articulation { instance, body };
    match (wanted.predicate, kind) {
        (Predicate::Open, Some(JointKind::Slide)) => Ok(Subgoal::OpenDrawer {
            drawer: joint,
            distance: OPEN_DISTANCE,
        }),
        (Predicate::Close, Some(JointKind::Slide)) => Ok(Subgoal::CloseDrawer { drawer: joint }),
        (Predicate::TurnOn | Predicate::TurnOff, Some(JointKind::Hinge)) => Ok(Subgoal::TurnKnob {
            knob: joint,
            on: wanted.predicate == Predicate::TurnOn,
        }),
        (Predicate::Close, Some(JointKind::Hinge)) => Ok(Subgoal::CloseDoor { door: joint }),
        _ => Err(refuse(problem, wanted, "it has no way to move this joint")),
    }
}
