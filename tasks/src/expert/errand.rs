//! From a goal to errands: what has to be done, in which order, for all its facts to hold.

use super::drawer::outward;
use super::obstacles::Obstacles;
use super::rim_grasp::Rim;
use super::spot::{Spot, aligned};
use crate::bddl::{Fact, Predicate, Problem};
use crate::predicates::fact_holds;
use crate::{TaskError, bddl};
use bitvla_sim::{JointKind, World};
use nalgebra::{Point3, Rotation3, Vector3};

/// How far a drawer is pulled to count as open, m: beyond the threshold of the predicate.
const OPEN: f64 = 0.154;
/// How far it is pulled to put something in: wider, it stands in the way of the hand beside it, m.
const FOR_PUTTING: f64 = 0.135;

/// One thing to do.
#[derive(Debug, Clone)]
pub(super) enum Errand {
    /// Put a hollow object on another one, taking it by its rim.
    Rim { object: usize, target: usize },
    /// Put an object somewhere, taking it from above.
    Put { object: usize, spot: Spot },
    /// Put an object into something that opens to the side.
    Insert {
        object: usize,
        instance: usize,
        site: String,
    },
    /// Push a flat object to a place.
    Push { object: usize, to: Point3<f64> },
    /// Pull a drawer open or push it closed.
    Drawer {
        instance: usize,
        body: usize,
        open: bool,
        /// How far it is pulled open, m.
        far: f64,
    },
    /// Turn a knob on or off.
    Knob {
        instance: usize,
        body: usize,
        on: bool,
    },
    /// Push a door closed.
    Door { instance: usize, body: usize },
}

/// An errand and the fact that says when it is done; `None` for one that only prepares the next.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub errand: Errand,
    pub fact: Option<Fact>,
}

fn refuse(problem: &Problem, fact: &Fact, why: &str) -> TaskError {
    TaskError::from(bddl::BddlError {
        file: problem.file.clone(),
        place: fact.place,
        message: format!("the scripted expert cannot do this: {why}"),
    })
}

/// All errands of a problem from the present state of its world on.
pub(super) fn plan(world: &World, problem: &Problem) -> Result<Vec<Step>, TaskError> {
    let mut facts: Vec<&Fact> = problem.goal.facts.iter().collect();
    // What opens first, what closes last.
    facts.sort_by_key(|f| match f.predicate {
        Predicate::Open | Predicate::TurnOn => 0,
        Predicate::On | Predicate::In => 1,
        Predicate::Close | Predicate::TurnOff => 2,
    });
    let mut steps = Vec::new();
    for fact in facts {
        if fact_holds(world, problem, fact)? {
            continue;
        }
        for errand in errands(world, problem, fact)? {
            steps.push(Step {
                errand,
                fact: Some(fact.clone()),
            });
        }
        // All but the last only prepare.
        let last = steps.len().saturating_sub(1);
        for step in &mut steps[..last] {
            if step.fact.as_ref() == Some(fact) {
                step.fact = None;
            }
        }
    }
    Ok(steps)
}

fn errands(world: &World, problem: &Problem, fact: &Fact) -> Result<Vec<Errand>, TaskError> {
    let index = |name: &str| world.scene().instance(name);
    let name = |i: usize| fact.args.get(i).map(String::as_str).unwrap_or_default();
    if fact.predicate.arity() == 1 {
        return articulate(world, problem, fact).map(|e| vec![e]);
    }
    let object = index(name(0)).ok_or_else(|| refuse(problem, fact, "there is no such object"))?;
    let Some(region) = problem.region(name(1)) else {
        let target =
            index(name(1)).ok_or_else(|| refuse(problem, fact, "there is no such object"))?;
        let model = &world.scene().instances[object].model;
        return Ok(vec![if Rim::round(model) {
            Errand::Rim { object, target }
        } else {
            let spot = Spot::Object(target);
            Errand::Put { object, spot }
        }]);
    };
    if problem.is_support(&region.target) {
        return on_support(world, problem, fact, object, &region.ranges).map(|e| vec![e]);
    }
    let instance =
        index(&region.target).ok_or_else(|| refuse(problem, fact, "nothing carries the region"))?;
    let model = world.scene().instances[instance].model.clone();
    let body = model
        .bodies
        .iter()
        .position(|b| b.site.iter().any(|s| s.name == region.local))
        .ok_or_else(|| refuse(problem, fact, "the model has no such site"))?;
    let mut out = Vec::new();
    let hinge = model
        .bodies
        .iter()
        .any(|b| b.joint.as_ref().is_some_and(|j| j.kind == JointKind::Hinge));
    if fact.predicate == Predicate::In && hinge {
        return Ok(vec![Errand::Insert {
            object,
            instance,
            site: region.local.clone(),
        }]);
    }
    if let (Predicate::In, Some(joint)) = (fact.predicate, &model.bodies[body].joint) {
        let q = world.joint_position(instance, &joint.name).unwrap_or(0.0);
        if joint.kind == JointKind::Slide && q.abs() < 0.10 {
            out.push(Errand::Drawer {
                instance,
                body,
                open: true,
                far: FOR_PUTTING,
            });
        }
    }
    let mut spot = site_spot(world, problem, fact, (object, instance), &region.local);
    if let (Spot::Site { shift, .. }, Predicate::In) = (&mut spot, fact.predicate)
        && let Some(outward) = outward(world, instance, body)
    {
        // By the front of the drawer: furniture overhangs its back.
        let (low, high) = Obstacles::only(world, object).corners();
        let half = 0.5 * (high - low).dot(&outward.abs());
        let room = world
            .site_pose(instance, &region.local)
            .map_or(0.0, |(pose, size)| {
                (pose.rotation * Vector3::from(size))
                    .abs()
                    .dot(&outward.abs())
            });
        *shift += outward * (room - half - 0.002).max(0.0);
    }
    out.push(Errand::Put { object, spot });
    Ok(out)
}

/// A place over or in a site; objects that share it stand beside each other, and what has to fit is
/// turned to fit.
fn site_spot(
    world: &World,
    problem: &Problem,
    fact: &Fact,
    (object, instance): (usize, usize),
    site: &str,
) -> Spot {
    let sharing: Vec<&Fact> = problem
        .goal
        .facts
        .iter()
        .filter(|f| f.args.get(1) == fact.args.get(1) && f.predicate == fact.predicate)
        .collect();
    let (pose, half) = world
        .site_pose(instance, site)
        .unwrap_or((nalgebra::Isometry3::identity(), [0.0; 3]));
    // Half sizes along the axes of the world.
    let extent = (pose.rotation.to_rotation_matrix().matrix().abs()) * Vector3::from(half);
    let mut shift = Vector3::zeros();
    if let (2, Some(k)) = (sharing.len(), sharing.iter().position(|f| *f == fact)) {
        // The farther place first.
        let by = (extent.x - 0.029).min(0.05);
        shift.x = if k == 0 { by } else { -by };
    }
    let now = world.instance_pose(object).rotation;
    let (low, high) = Obstacles::only(world, object).corners();
    let tall = (high.z - low.z) / (high.x - low.x).max(high.y - low.y);
    let normal = pose.rotation * Vector3::z();
    let mut turn = None;
    let mut middle = false;
    if fact.predicate == Predicate::On && normal.z.abs() < 0.9 && tall > 2.0 {
        // A bottle for a sloping shelf: it lies up the slope, beside the middle post.
        turn = Some(lying(&now.to_rotation_matrix(), normal));
        shift.x -= 0.05;
    } else if fact.predicate == Predicate::In && extent.x.min(extent.y) < 0.04 {
        // A slot: along its narrow side, by the middle of the object.
        let axis = if extent.x < extent.y {
            Vector3::x()
        } else {
            Vector3::y()
        };
        turn = Some(aligned(&now, axis));
        middle = true;
    }
    Spot::Site {
        instance,
        site: site.to_owned(),
        shift,
        middle,
        turn,
    }
}

/// An upright object leant over until its axis lies along a slope, foot downhill; `normal` is the z axis
/// of the site.
fn lying(now: &Rotation3<f64>, normal: Vector3<f64>) -> Rotation3<f64> {
    let flat = Vector3::new(normal.x, normal.y, 0.0).normalize();
    // The site of the shelf has its z axis uphill.
    let up = if normal.z < 0.0 { -flat } else { flat };
    let slope = 0.547; // rad above the horizontal
    let axis = up * libm::cos(slope) + Vector3::z() * libm::sin(slope);
    let lean = Rotation3::rotation_between(&Vector3::z(), &axis).unwrap_or_default();
    lean * now
}

fn on_support(
    world: &World,
    problem: &Problem,
    fact: &Fact,
    object: usize,
    ranges: &[[f64; 4]],
) -> Result<Errand, TaskError> {
    let Some([x0, y0, x1, y1]) = ranges.first() else {
        return Err(refuse(problem, fact, "the region has no range"));
    };
    let w = world.scene().arena.workspace_offset;
    let (low, high) = Obstacles::only(world, object).corners();
    let to = Point3::new(0.5 * (x0 + x1) + w[0], 0.5 * (y0 + y1) + w[1], low.z);
    let flat = high.z - low.z < 0.03 && (high.x - low.x).min(high.y - low.y) > 0.09;
    Ok(if flat {
        Errand::Push { object, to }
    } else {
        let spot = Spot::Point(to);
        Errand::Put { object, spot }
    })
}

/// Open, Close, TurnOn and TurnOff.
fn articulate(world: &World, problem: &Problem, fact: &Fact) -> Result<Errand, TaskError> {
    let first = fact.args.first().map(String::as_str).unwrap_or_default();
    let region = problem.region(first);
    let owner = region.map_or(first, |r| r.target.as_str());
    let instance = world
        .scene()
        .instance(owner)
        .ok_or_else(|| refuse(problem, fact, "there is no such fixture"))?;
    let bodies = &world.scene().instances[instance].model.bodies;
    let body = bodies
        .iter()
        .position(|b| {
            b.joint.is_some() && region.is_none_or(|r| b.site.iter().any(|s| s.name == r.local))
        })
        .ok_or_else(|| refuse(problem, fact, "there is no joint to move"))?;
    let kind = bodies[body].joint.as_ref().map(|j| j.kind);
    match (fact.predicate, kind) {
        (Predicate::Open | Predicate::Close, Some(JointKind::Slide)) => Ok(Errand::Drawer {
            instance,
            body,
            open: fact.predicate == Predicate::Open,
            far: OPEN,
        }),
        (Predicate::TurnOn | Predicate::TurnOff, Some(JointKind::Hinge)) => Ok(Errand::Knob {
            instance,
            body,
            on: fact.predicate == Predicate::TurnOn,
        }),
        (Predicate::Close, Some(JointKind::Hinge)) => Ok(Errand::Door { instance, body }),
        _ => Err(refuse(problem, fact, "it has no way to move this joint")),
    }
}

/// The instance an errand is about.
pub(super) fn subject(errand: &Errand) -> usize {
    match errand {
        Errand::Rim { object, .. }
        | Errand::Put { object, .. }
        | Errand::Insert { object, .. }
        | Errand::Push { object, .. } => *object,
        Errand::Drawer { instance, .. }
        | Errand::Knob { instance, .. }
        | Errand::Door { instance, .. } => *instance,
    }
}
