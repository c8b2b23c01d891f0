//! Phases in which failed episodes ended: the recorded actions of a run are repeated, and the first predicate of the goal that
//! does not hold at the end says how far the robot got with it.

use crate::{EvalContext, EvalError};
use bitvla_reports::EpisodeActions;
use bitvla_sim::World;
use bitvla_tasks::bddl::{Predicate, PredicateInstance};
use bitvla_tasks::in_parallel;

/// Way below which a thing counts as not moved: m for an object and a slide, rad for a hinge.
const MOVED: f64 = 0.005;
/// Height by which an object has risen once it is lifted, m.
const LIFTED: f64 = 0.02;

/// Last phase that a failed episode reached with the object or joint of a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailurePhase {
    /// The object or joint stayed where it was.
    NotMoved,
    /// The object moved but was never lifted, or the joint moved but not far enough.
    Moved,
    /// The object was lifted and is in the closed gripper at the end.
    Held,
    /// The object was lifted and is let go elsewhere.
    Released,
    /// The predicate names no object or joint that could be followed.
    Unknown,
}

impl FailurePhase {
    /// All of them, in the order of a table.
    pub const ALL: [FailurePhase; 5] = [
        FailurePhase::NotMoved,
        FailurePhase::Moved,
        FailurePhase::Held,
        FailurePhase::Released,
        FailurePhase::Unknown,
    ];

    /// Heading of a table.
    pub fn name(self) -> &'static str {
        match self {
            FailurePhase::NotMoved => "not moved",
            FailurePhase::Moved => "moved, not lifted",
            FailurePhase::Held => "held at the end",
            FailurePhase::Released => "released elsewhere",
            FailurePhase::Unknown => "other",
        }
    }
}

/// A failed episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEpisode {
    /// Index of the task.
    pub task: usize,
    /// Index of the initial state.
    pub init: usize,
    /// Number of predicates of the goal that hold at the end, and of all.
    pub holding: (usize, usize),
    /// The first predicate that does not hold, as in the task file.
    pub predicate: String,
    /// Last phase that was reached with its object or joint.
    pub phase: FailurePhase,
}

/// Repeats episodes that did not reach their goal over `jobs` threads; results in order of task and initial state.
///
/// # Errors
/// If a world cannot be built or refuses an action, or a goal cannot be looked up.
pub fn failure_phases(
    context: EvalContext<'_>,
    failed: &[EpisodeActions],
    jobs: usize,
) -> Result<Vec<FailedEpisode>, EvalError> {
    let mut found = Vec::with_capacity(failed.len());
    in_parallel(
        failed,
        jobs,
        || Ok(()),
        |(), episode| follow(context, episode),
        |one| {
            found.push(one);
            Ok::<_, EvalError>(())
        },
    )?;
    found.sort_by_key(|one| (one.task, one.init));
    Ok(found)
}

/// What is followed through an episode for one predicate.
enum Followed {
    /// Instance of an object; its first height and position, and the largest height.
    Object {
        instance: usize,
        start: [f64; 3],
        top: f64,
        moved: f64,
    },
    /// Joints of a fixture: instance, name, first position; the largest way of any.
    Joints {
        joints: Vec<(usize, String, f64)>,
        moved: f64,
    },
    Nothing,
}

impl Followed {
    fn new(world: &World, predicate: &PredicateInstance) -> Followed {
        let Some(name) = predicate.args.first() else {
            return Followed::Nothing;
        };
        let scene = world.scene();
        if let Some(instance) = scene.instance(name) {
            let joint_predicate = matches!(
                predicate.predicate,
                Predicate::Open | Predicate::Close | Predicate::TurnOn | Predicate::TurnOff
            );
            if !joint_predicate {
                let start: [f64; 3] = world.instance_pose(instance).translation.vector.into();
                return Followed::Object {
                    instance,
                    start,
                    top: start[2],
                    moved: 0.0,
                };
            }
        }
        // A region is named after its fixture.
        let instances = scene.instances.iter().enumerate();
        let fixture = instances.filter(|(_, instance)| name.starts_with(&instance.name));
        let joints = fixture.flat_map(|(i, instance)| {
            let joints = instance
                .model
                .bodies
                .iter()
                .filter_map(|b| b.joint.as_ref());
            joints.filter_map(move |joint| {
                Some((i, joint.name.clone(), world.joint_position(i, &joint.name)?))
            })
        });
        let joints: Vec<_> = joints.collect();
        match joints.is_empty() {
            true => Followed::Nothing,
            false => Followed::Joints { joints, moved: 0.0 },
        }
    }

    fn observe(&mut self, world: &World) {
        match self {
            Followed::Object {
                instance,
                start,
                top,
                moved,
            } => {
                let now = world.instance_pose(*instance).translation.vector;
                *top = top.max(now.z);
                *moved = moved.max((now - nalgebra::Vector3::from(*start)).norm());
            }
            Followed::Joints { joints, moved } => {
                for (instance, name, start) in joints {
                    let now = world.joint_position(*instance, name).unwrap_or(*start);
                    *moved = moved.max((now - *start).abs());
                }
            }
            Followed::Nothing => {}
        }
    }

    fn phase(&self, world: &World, closed: bool) -> FailurePhase {
        match self {
            Followed::Nothing => FailurePhase::Unknown,
            Followed::Joints { moved, .. } | Followed::Object { moved, .. } if *moved < MOVED => {
                FailurePhase::NotMoved
            }
            Followed::Joints { .. } => FailurePhase::Moved,
            Followed::Object {
                instance,
                start,
                top,
                ..
            } => {
                let now = world.instance_pose(*instance).translation.z;
                if top - start[2] < LIFTED {
                    FailurePhase::Moved
                } else if closed && now - start[2] >= LIFTED {
                    FailurePhase::Held
                } else {
                    FailurePhase::Released
                }
            }
        }
    }
}

fn follow(context: EvalContext<'_>, episode: &EpisodeActions) -> Result<FailedEpisode, EvalError> {
    let mut world = context.settled_world(episode.task, episode.init)?;
    let task = context.task(episode.task)?;
    let goal = task.compile_goal(&world)?;
    let predicates = &task.problem.goal.predicates;
    let mut followed: Vec<Followed> = (predicates.iter())
        .map(|predicate| Followed::new(&world, predicate))
        .collect();
    for action in &episode.actions {
        world.step(action)?;
        for one in &mut followed {
            one.observe(&world);
        }
    }
    let truth = goal.truth(&world);
    let closed = episode.actions.last().is_some_and(|action| action[6] > 0.0);
    let first = truth.iter().position(|holds| !holds);
    let (predicate, phase) = match first {
        Some(i) => (words(&predicates[i]), followed[i].phase(&world, closed)),
        None => (String::new(), FailurePhase::Unknown),
    };
    Ok(FailedEpisode {
        task: episode.task,
        init: episode.init,
        holding: (truth.iter().filter(|holds| **holds).count(), truth.len()),
        predicate,
        phase,
    })
}

/// A predicate as in a task file.
fn words(instance: &PredicateInstance) -> String {
    format!("{:?} {}", instance.predicate, instance.args.join(" "))
}
