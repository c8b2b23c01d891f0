//! Open-loop replay: the actions of scripted pick-and-place episodes recorded in MuJoCo, played from
//! the same initial state here (fact sheet section 12). How many of the episodes that succeeded there
//! succeed here, how far the end effector drifts, and when and where the object was lost.
//!
//! The recording ends in the step in which the goal holds. A world that is one step later has not
//! failed, so [`EXTRA_STEPS`] waiting steps are appended; what they add is told apart.

use super::reference::{self, GraspEpisode, GraspFile};
use super::scenes::{distance_mm, pose};
use super::{Context, Section, SectionResult, at_least, plain};
use crate::EvalError;
use bitvla_reports::{Chart, Line, Table, quantile};
use bitvla_sim::panda::{JointVector, Panda};
use bitvla_sim::{Owner, World};
use bitvla_tasks::bddl::Problem;
use bitvla_tasks::predicates::fact_holds;
use nalgebra::{Isometry3, Vector3};
use std::collections::BTreeMap;

/// Steps of waiting with an open gripper after the recorded actions.
const EXTRA_STEPS: usize = 20;
/// An object further than this from where it was in the recording (in the hand while it is held, on
/// the table otherwise) to the end is lost, mm.
const LOST_MM: f64 = 25.0;
/// A held object has risen by this much when lifting begins, m.
const RISEN: f64 = 0.005;
/// It has moved sideways by this much when carrying begins, m.
const MOVED: f64 = 0.02;
/// Steps after the gripper opens that count as release when another grasp follows.
const RELEASE_STEPS: usize = 15;

/// Part of a pick-and-place episode, by the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Approach,
    Grasp,
    Lift,
    Carry,
    Release,
}

impl Phase {
    const ALL: [Phase; 5] = [
        Phase::Approach,
        Phase::Grasp,
        Phase::Lift,
        Phase::Carry,
        Phase::Release,
    ];

    fn name(self) -> &'static str {
        match self {
            Phase::Approach => "before grasp",
            Phase::Grasp => "grasp",
            Phase::Lift => "lift",
            Phase::Carry => "carry",
            Phase::Release => "release",
        }
    }

    fn held(self) -> bool {
        matches!(self, Phase::Grasp | Phase::Lift | Phase::Carry)
    }
}

/// What came of one episode.
struct Replayed {
    key: (String, usize, String, usize),
    /// Step of success, counted as in the recording; later ones are waiting steps.
    success: Option<usize>,
    recorded_steps: usize,
    drift_mm: Vec<f64>,
    lost: Option<(usize, Phase, String)>,
    /// Truth of the goal's facts at the end.
    truth: Vec<bool>,
    /// First thing the robot touches here, and when.
    touched: Option<(usize, String)>,
    /// Distance of the moved objects from where the recording has them, mm, at its end.
    object_mm: f64,
}

impl Replayed {
    fn outcome(&self) -> usize {
        match (&self.success, &self.lost) {
            (Some(_), _) => 0,
            (None, Some((_, phase, _))) => 1 + *phase as usize,
            (None, None) => 6,
        }
    }
}

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let data: GraspFile = reference::read(ctx.data, "grasp.json")?;
    let mut notes = Vec::new();
    let mut items = Vec::new();
    let mut recorded = 0;
    for task in &data.tasks {
        if !ctx.wanted(&task.suite, task.task_id, Section::Replay, &mut notes)? {
            continue;
        }
        for episode in task.episodes.iter().take(ctx.plan.episodes) {
            recorded += 1;
            if episode.ok {
                items.push((task, episode));
            }
        }
    }
    let mut all: Vec<Replayed> = Vec::new();
    ctx.each(
        Section::Replay,
        &items,
        |(task, episode)| {
            let key = (
                task.suite.clone(),
                task.task_id,
                task.variant.clone(),
                episode.init,
            );
            one(ctx, key, episode)
        },
        |r| all.push(r),
    )?;
    all.sort_by(|a, b| a.key.cmp(&b.key));
    notes.push(format!(
        "of {recorded} recorded episodes the {} that succeeded in MuJoCo are replayed, each with {EXTRA_STEPS} waiting steps appended",
        items.len()
    ));
    Ok(summarise(&all, notes))
}

fn summarise(all: &[Replayed], notes: Vec<String>) -> SectionResult {
    let n = all.len();
    let over = format!("{n} episodes that succeeded in MuJoCo");
    let share = |k: usize| 100.0 * k as f64 / n as f64;
    let succeeded = all.iter().filter(|r| r.success.is_some()).count();
    let in_time = |r: &&Replayed| r.success.is_some_and(|s| s < r.recorded_steps);
    let in_time = all.iter().filter(in_time).count();
    let s = Section::Replay;
    let mut figures = vec![
        at_least(
            s,
            "replayed episodes that succeed",
            share(succeeded),
            "%",
            80.0,
            &over,
        ),
        plain(
            s,
            "of them within the recorded steps",
            share(in_time),
            "%",
            &over,
        ),
    ];
    for phase in Phase::ALL {
        let lost = all
            .iter()
            .filter(|r| r.success.is_none() && r.lost.as_ref().is_some_and(|l| l.1 == phase))
            .count();
        let name = format!("failed, object lost: {}", phase.name());
        figures.push(plain(s, &name, lost as f64, "", &over));
    }
    let missed = all.iter().filter(|r| r.outcome() == 6).count();
    figures.push(plain(
        s,
        "failed, object not lost",
        missed as f64,
        "",
        &over,
    ));
    let ends: Vec<f64> = all
        .iter()
        .filter_map(|r| r.drift_mm.last().copied())
        .collect();
    for (q, name) in [(0.5, "median"), (0.95, "95th percentile")] {
        let name = format!("drift of the end effector at the end, {name}");
        figures.push(plain(
            s,
            &name,
            quantile(&ends, q).unwrap_or(0.0),
            "mm",
            &over,
        ));
    }

    let mut table = Table::new(&[
        "suite",
        "task",
        "variant",
        "init",
        "steps",
        "success",
        "success_step",
        "lost_step",
        "lost_phase",
        "lost_object",
        "drift_end_mm",
        "drift_max_mm",
        "object_end_mm",
        "touch_step",
        "touches",
        "truth",
    ]);
    let mut drift = Table::new(&["suite", "task", "variant", "init", "step", "drift_mm"]);
    for r in all {
        let (suite, task, variant, init) = &r.key;
        let dash = || "-".to_owned();
        let head = [
            suite.clone(),
            task.to_string(),
            variant.clone(),
            init.to_string(),
        ];
        table.push(head.iter().cloned().chain([
            r.recorded_steps.to_string(),
            u8::from(r.success.is_some()).to_string(),
            r.success.map_or_else(dash, |s| s.to_string()),
            r.lost.as_ref().map_or_else(dash, |l| l.0.to_string()),
            r.lost.as_ref().map_or_else(dash, |l| l.1.name().to_owned()),
            r.lost.as_ref().map_or_else(dash, |l| l.2.clone()),
            format!("{:.3}", r.drift_mm.last().copied().unwrap_or(0.0)),
            format!("{:.3}", r.drift_mm.iter().copied().fold(0.0, f64::max)),
            format!("{:.2}", r.object_mm),
            r.touched.as_ref().map_or_else(dash, |t| t.0.to_string()),
            r.touched.as_ref().map_or_else(dash, |t| t.1.clone()),
            r.truth.iter().map(|t| if *t { '1' } else { '0' }).collect(),
        ]));
        for (step, mm) in r.drift_mm.iter().enumerate() {
            drift.push(
                head.iter()
                    .cloned()
                    .chain([step.to_string(), format!("{mm:.4}")]),
            );
        }
    }
    let mut tasks: BTreeMap<(String, usize), Vec<usize>> = BTreeMap::new();
    for r in all {
        let counts = tasks
            .entry((r.key.0.clone(), r.key.1))
            .or_insert_with(|| vec![0; 7]);
        counts[r.outcome()] += 1;
    }
    let kinds: Vec<String> = std::iter::once("succeeds".to_owned())
        .chain(Phase::ALL.map(|p| format!("lost: {}", p.name())))
        .chain(["not lost".to_owned()])
        .collect();
    let mut by_task = Table::new(&["task", "episodes", "succeed", "lost at"]);
    for ((suite, task), counts) in &tasks {
        let lost: Vec<String> = (1..7)
            .filter(|k| counts[*k] > 0)
            .map(|k| format!("{} {}", counts[k], kinds[k].trim_start_matches("lost: ")))
            .collect();
        by_task.push([
            format!("{suite}:{task}"),
            counts.iter().sum::<usize>().to_string(),
            counts[0].to_string(),
            lost.join(", "),
        ]);
    }
    let lines = all
        .iter()
        .map(|r| Line {
            label: if r.success.is_some() {
                "succeeds here"
            } else {
                "fails here"
            }
            .to_owned(),
            color: if r.success.is_some() { 0 } else { 3 },
            points: (r.drift_mm.iter().enumerate())
                .map(|(i, mm)| [i as f64, *mm])
                .collect(),
        })
        .collect();
    SectionResult {
        figures,
        tables: vec![
            ("replay", by_task),
            ("replay_episodes", table),
            ("replay_drift", drift),
        ],
        charts: vec![
            (
                "replay",
                "Open-loop replay of episodes that succeeded in MuJoCo".to_owned(),
                "what became of the same actions here".to_owned(),
                Chart::Stacked {
                    kinds,
                    rows: tasks
                        .into_iter()
                        .map(|((suite, task), counts)| (format!("{suite} {task}"), counts))
                        .collect(),
                },
            ),
            (
                "replay_drift",
                "Drift of the end effector in open-loop replay".to_owned(),
                "distance from the recorded grip site, one line per episode".to_owned(),
                Chart::Lines {
                    x: "control step, settling included".to_owned(),
                    y: "distance, mm".to_owned(),
                    lines,
                    target: None,
                    top: Some(60.0),
                },
            ),
        ],
        notes,
    }
}

fn one(
    ctx: &Context<'_>,
    key: (String, usize, String, usize),
    episode: &GraspEpisode,
) -> Result<Replayed, EvalError> {
    let problem = ctx.scenes.problem(&key.0, key.1)?;
    let mut world = ctx.scenes.world(&key.0, key.1, episode.init)?;
    let base = bitvla_sim::isometry(world.scene().arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]);
    let panda = Panda::new(&world.scene().robot, base)?;
    // Objects that the recording follows and moves, by index of the instance.
    let moved: Vec<(usize, &String, &Vec<[f64; 7]>)> = episode
        .obj
        .iter()
        .filter_map(|(name, poses)| {
            let i = world.scene().instance(name)?;
            let settled = poses.get(9)?;
            let went = poses.last().is_some_and(|p| far(p, settled) > MOVED);
            went.then_some((i, name, poses))
        })
        .collect();
    let phases: Vec<Vec<Phase>> = moved
        .iter()
        .map(|(_, _, poses)| phases(episode, poses))
        .collect();
    let phase_at = |k: usize, step: usize| {
        let of_object: Option<&Vec<Phase>> = phases.get(k);
        of_object
            .and_then(|p| p.get(step))
            .copied()
            .unwrap_or(Phase::Release)
    };
    // Per object: since when it has been away from where it should be.
    let mut away: Vec<Option<usize>> = vec![None; moved.len()];
    let steps = episode.action.len();
    let mut r = Replayed {
        key,
        success: None,
        recorded_steps: steps,
        drift_mm: Vec::new(),
        lost: None,
        truth: Vec::new(),
        touched: None,
        object_mm: 0.0,
    };
    for step in 0..steps + EXTRA_STEPS {
        let action = episode.action.get(step).unwrap_or(&crate::SETTLE_ACTION);
        world.step(action)?;
        if r.touched.is_none() {
            r.touched = touched(&world).map(|name| (step, name));
        }
        if let Some(theirs) = episode.eef_pos.get(step) {
            let eef = late_grip_site(&world, &panda);
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
                r.object_mm = r.object_mm.max(distance_mm(&ours, &want));
                let off = if phase_at(k, step).held() {
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
        if step >= 10 {
            r.truth = truth(&world, problem)?;
            if r.truth.iter().all(|t| *t) {
                r.success = Some(step);
                break;
            }
        }
    }
    r.lost = (away.iter().enumerate())
        .filter_map(|(k, since)| since.map(|step| (step, phase_at(k, step), moved[k].1.clone())))
        .min();
    Ok(r)
}

/// What the robot touches.
fn touched(world: &World) -> Option<String> {
    let instances = world.scene().instances.iter().enumerate();
    instances
        .map(|(i, instance)| (Owner::Instance(i), instance.name.as_str()))
        .chain([(Owner::Arena, "arena")])
        .find(|(owner, _)| world.in_contact(Owner::Robot, *owner))
        .map(|(_, name)| name.to_owned())
}

fn truth(world: &World, problem: &Problem) -> Result<Vec<bool>, EvalError> {
    let facts = problem.goal.facts.iter();
    facts
        .map(|fact| Ok(fact_holds(world, problem, fact)?))
        .collect()
}

/// Grip site at the instant of the recording: the start of the last physics step.
fn late_grip_site(world: &World, panda: &Panda) -> Isometry3<f64> {
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

fn far(a: &[f64; 7], b: &[f64; 7]) -> f64 {
    (pose(a).translation.vector - pose(b).translation.vector).norm()
}

/// The phase of each recorded step for one object. A cycle is closing and opening of the gripper;
/// those that do not move the object are approach.
fn phases(episode: &GraspEpisode, poses: &[[f64; 7]]) -> Vec<Phase> {
    let steps = episode.action.len();
    let mut out = vec![Phase::Approach; steps];
    let closed = |t: usize| episode.action[t][6] > 0.0;
    let mut t = 0;
    while t < steps {
        if !closed(t) {
            t += 1;
            continue;
        }
        let close = t;
        while t < steps && closed(t) {
            t += 1;
        }
        let (Some(from), Some(to)) = (poses.get(close), poses.get(t.min(steps - 1))) else {
            break;
        };
        if far(from, to) < MOVED {
            continue;
        }
        let mut phase = Phase::Grasp;
        for (s, slot) in out.iter_mut().enumerate().take(t).skip(close) {
            let p = &poses[s.min(poses.len() - 1)];
            if phase == Phase::Grasp && p[2] > from[2] + RISEN {
                phase = Phase::Lift;
            }
            if phase == Phase::Lift && libm::hypot(p[0] - from[0], p[1] - from[1]) > MOVED {
                phase = Phase::Carry;
            }
            *slot = phase;
        }
        let again = (t..steps).any(closed);
        let end = if again {
            (t + RELEASE_STEPS).min(steps)
        } else {
            steps
        };
        out[t..end].fill(Phase::Release);
    }
    out
}
