//! Open-loop replay: the actions of scripted pick-and-place episodes recorded in MuJoCo, played from the same initial state
//! (docs/reference/libero.md, section 12). A row holds whether the goal was reached, the drift of the end effector, and in
//! which phase the object was lost.
//!
//! The recording ends in the step in which the goal holds. A world that is one step later has not failed, so
//! [`EXTRA_STEPS`] waiting steps are appended; successes in them are told apart.

use super::replay_phase::{MOVED, ReplayPhase, moved_by, phases};
use super::{MeasureContext, Measured};
use crate::geometry::{distance_mm, pose};
use crate::reference::{GraspEpisode, GraspFile, GraspTask};
use crate::{ParityError, Quantity};
use bitvla_reports::{ReportError, largest, read_json};
use bitvla_sim::panda::{JointVector, Panda};
use bitvla_sim::{Owner, World};
use bitvla_tasks::SETTLE_ACTION;
use bitvla_tasks::bddl::Problem;
use nalgebra::{Isometry3, Vector3};
use std::path::Path;

/// Steps of waiting with an open gripper after the recorded actions.
const EXTRA_STEPS: usize = 20;
/// Steps of settling at the beginning of a recording, in which the goal is not evaluated.
const SETTLE_STEPS: usize = 10;
/// Distance of a lost object from where it was in the recording (relative to the hand while it is held, in the world
/// otherwise), mm, kept to the end.
const LOST_MM: f64 = 25.0;

/// Suite, task, variant of the script, initial state.
pub(crate) type EpisodeKey = (String, usize, String, usize);

/// Comparison of one episode.
pub(crate) struct ReplayRow {
    pub key: EpisodeKey,
    /// Step of success, counted as in the recording; later ones are waiting steps.
    pub success: Option<usize>,
    pub recorded_steps: usize,
    /// Distance of the end effector from the recorded one after each recorded step, mm.
    pub drift_mm: Vec<f64>,
    /// Step, phase and name of the object that was lost first.
    pub lost: Option<(usize, ReplayPhase, String)>,
    /// Truth of the predicates of the goal at the end.
    pub truth: Vec<bool>,
    /// Step of the robot's first contact and the name of the other side.
    pub first_contact: Option<(usize, String)>,
    /// Largest distance of a moved object from the recorded one at the end of the recording, mm.
    pub object_mm: f64,
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<Measured<ReplayRow>, ParityError> {
    let path = ctx.data.join("grasp.json");
    let data: GraspFile = read_json(&path)?;
    let mut notes = Vec::new();
    let mut items = Vec::new();
    let mut recorded = 0;
    for task in &data.tasks {
        if !ctx.selects(&task.suite, task.task_id, Quantity::Replay, &mut notes)? {
            continue;
        }
        for episode in task.episodes.iter().take(ctx.config.episodes) {
            recorded += 1;
            check_lengths(&path, task, episode)?;
            if episode.ok {
                items.push((task, episode));
            }
        }
    }
    let mut rows = ctx.map(Quantity::Replay, &items, |(task, episode)| {
        let (suite, variant) = (task.suite.clone(), task.variant.clone());
        replay(ctx, (suite, task.task_id, variant, episode.init), episode)
    })?;
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    notes.push(format!(
        "of {recorded} recorded episodes the {} that succeeded in MuJoCo are replayed, each with {EXTRA_STEPS} waiting steps appended",
        items.len()
    ));
    Ok(Measured { rows, notes })
}

/// Refuses an episode without actions, or with fewer observations than actions: what was not recorded cannot be compared.
fn check_lengths(path: &Path, task: &GraspTask, episode: &GraspEpisode) -> Result<(), ReportError> {
    let (actions, positions) = (episode.action.len(), episode.eef_pos.len());
    if actions > 0 && positions >= actions {
        return Ok(());
    }
    let what = format!(
        "{} task {}, initial state {}: found {actions} actions and {positions} positions of the end effector, expected as \
         many of both, and at least one",
        task.suite, task.task_id, episode.init
    );
    Err(ReportError::format(path, what))
}

fn replay(
    ctx: &MeasureContext<'_>,
    key: EpisodeKey,
    episode: &GraspEpisode,
) -> Result<ReplayRow, ParityError> {
    let problem = ctx.scenes.problem(&key.0, key.1)?;
    let mut world = ctx.scenes.world(&key.0, key.1, episode.init)?;
    let base = bitvla_sim::isometry(world.scene().arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]);
    let panda = Panda::new(&world.scene().robot, base)?;
    let mut moved = ctx.recorded_objects(&world, episode)?;
    moved.retain(
        |(_, _, poses)| match (poses.get(SETTLE_STEPS - 1), poses.last()) {
            (Some(settled), Some(last)) => moved_by(last, settled) > MOVED,
            // A recording that ends while objects settle moves none.
            _ => false,
        },
    );
    let phases: Vec<Vec<ReplayPhase>> = moved
        .iter()
        .map(|(_, _, poses)| phases(episode, poses))
        .collect();
    // The waiting steps after the recording belong to the release.
    let phase_at = |k: usize, step: usize| {
        let of_object: Option<&Vec<ReplayPhase>> = phases.get(k);
        of_object
            .and_then(|p| p.get(step))
            .copied()
            .unwrap_or(ReplayPhase::Release)
    };
    // Per object: step since which it has been away from its recorded pose.
    let mut away: Vec<Option<usize>> = vec![None; moved.len()];
    let steps = episode.action.len();
    let mut r = ReplayRow {
        key,
        success: None,
        recorded_steps: steps,
        drift_mm: Vec::new(),
        lost: None,
        truth: Vec::new(),
        first_contact: None,
        object_mm: 0.0,
    };
    for step in 0..steps + EXTRA_STEPS {
        let action = episode.action.get(step).unwrap_or(&SETTLE_ACTION);
        world.step(action)?;
        if r.first_contact.is_none() {
            r.first_contact = contact_of_robot(&world).map(|name| (step, name));
        }
        if let Some(theirs) = episode.eef_pos.get(step) {
            let eef = observed_grip_site(&world, &panda);
            let theirs = Vector3::from(*theirs);
            r.drift_mm
                .push(distance_mm(&eef.translation.vector, &theirs));
            r.object_mm = 0.0;
            for (k, (i, _, poses)) in moved.iter().enumerate() {
                let Some(recorded) = poses.get(step) else {
                    continue;
                };
                let (ours, want) = (
                    world.instance_pose(*i).translation.vector,
                    pose(recorded).translation.vector,
                );
                let distances = [r.object_mm, distance_mm(&ours, &want)];
                r.object_mm = largest(distances).unwrap_or(f64::NAN);
                let off = if phase_at(k, step).is_held() {
                    let ours = ours - eef.translation.vector;
                    distance_mm(&ours, &(want - theirs))
                } else {
                    distance_mm(&ours, &want)
                };
                if off <= LOST_MM {
                    away[k] = None;
                } else if away[k].is_none() {
                    away[k] = Some(step);
                }
            }
        }
        if step >= SETTLE_STEPS {
            r.truth = truth(&world, problem)?;
            if r.truth.iter().all(|t| *t) {
                r.success = Some(step);
                break;
            }
        }
    }
    r.lost = (away.iter().enumerate())
        .filter_map(|(k, since)| since.map(|step| (step, phase_at(k, step), moved[k].1.to_owned())))
        .min();
    Ok(r)
}

/// Returns the name of an instance that the robot touches, or the arena.
fn contact_of_robot(world: &World) -> Option<String> {
    let instances = world.scene().instances.iter().enumerate();
    instances
        .map(|(i, instance)| (Owner::Instance(i), instance.name.as_str()))
        .chain([(Owner::Arena, "arena")])
        .find(|(owner, _)| world.in_contact(Owner::Robot, *owner))
        .map(|(_, name)| name.to_owned())
}

/// Returns the truth of every predicate of the goal.
fn truth(world: &World, problem: &Problem) -> Result<Vec<bool>, ParityError> {
    Ok(problem.compile_goal(world)?.truth(world))
}

/// Returns the grip site at the instant of the recording: the start of the last physics step.
fn observed_grip_site(world: &World, panda: &Panda) -> Isometry3<f64> {
    let seen = world.observation();
    let q = JointVector::from_fn(|i, _| {
        if i < 7 {
            seen.joint_pos[i]
        } else {
            seen.gripper_qpos[i - 7]
        }
    });
    panda.kinematics(&q).grip_site
}
