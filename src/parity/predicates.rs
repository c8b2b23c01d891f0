//! Predicates on recorded states (fact sheet section 6). Three questions: do the definitions agree
//! when contact and site are those of the recording; do they agree in our world, with our models,
//! sites and contacts, when the objects are put where the recording has them; and do the goals of the
//! recorded episodes hold at the same steps.

use super::reference::{
    self, GraspEpisode, GraspFile, GraspTask, PredicateFile, PredicateRecord, PredicateSample,
};
use super::scenes::{distance_mm, pose, split_joint};
use super::{Context, Section, SectionResult, at_least, plain};
use crate::EvalError;
use bitvla_reports::{Chart, Table};
use bitvla_sim::{ArticulationDesc, World, isometry};
use bitvla_tasks::bddl::{Fact, Place, Predicate, Problem};
use bitvla_tasks::placement;
use bitvla_tasks::predicates::{
    above_site, fact_holds, in_site, joint_state, joints_state, on_object,
};
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};
use std::collections::BTreeMap;

/// How the truth was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Definition,
    World,
    Episode,
}

impl How {
    const ALL: [How; 3] = [How::Definition, How::World, How::Episode];

    fn name(self) -> &'static str {
        match self {
            How::Definition => "definitions, recorded contact and site",
            How::World => "hand-made states in our world",
            How::Episode => "states of recorded episodes in our world",
        }
    }
}

impl How {
    fn short(self) -> &'static str {
        match self {
            How::Definition => "definitions",
            How::World => "hand-made states",
            How::Episode => "episodes",
        }
    }
}

/// What came of one record or episode.
struct Tally {
    order: usize,
    suite: String,
    label: String,
    /// Per way: states compared, states that agree.
    counts: [[usize; 2]; 3],
    /// Rows of the list of disagreements.
    differing: Vec<Vec<String>>,
    /// Largest distance of a site of a fixture from the recorded one, mm.
    site_mm: f64,
}

enum Item<'a> {
    Record(usize, &'a PredicateRecord),
    Episode(usize, &'a GraspTask, &'a GraspEpisode),
}

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let data: PredicateFile = reference::read(ctx.data, "predicates.json")?;
    let grasp: GraspFile = reference::read(ctx.data, "grasp.json")?;
    let mut notes = Vec::new();
    let mut items = Vec::new();
    for record in &data.records {
        if ctx.wanted(
            &record.suite,
            record.task_id,
            Section::Predicates,
            &mut notes,
        )? {
            items.push(Item::Record(items.len(), record));
        }
    }
    for task in &grasp.tasks {
        if ctx.wanted(&task.suite, task.task_id, Section::Predicates, &mut notes)? {
            for episode in task.episodes.iter().take(ctx.plan.episodes) {
                items.push(Item::Episode(items.len(), task, episode));
            }
        }
    }
    let mut all: Vec<Tally> = Vec::new();
    ctx.each(
        Section::Predicates,
        &items,
        |item| match item {
            Item::Record(order, record) => one_record(ctx, *order, record),
            Item::Episode(order, task, episode) => one_episode(ctx, *order, task, episode),
        },
        |t| all.push(t),
    )?;
    all.sort_by_key(|t| t.order);

    let mut differing = Table::new(&[
        "what",
        "suite",
        "task",
        "predicate",
        "state",
        "mujoco",
        "ours",
        "detail",
    ]);
    let mut by_label = Table::new(&["predicate", "states", "agree"]);
    let mut by_suite: BTreeMap<(usize, &str), [usize; 2]> = BTreeMap::new();
    let mut sums: Vec<(String, [usize; 2])> = Vec::new();
    for t in &all {
        for row in &t.differing {
            differing.push(row.iter().cloned());
        }
        for (how, count) in t.counts.iter().enumerate() {
            let sum = by_suite.entry((how, t.suite.as_str())).or_default();
            sum[0] += count[0];
            sum[1] += count[1];
        }
        let (n, agree) = t
            .counts
            .iter()
            .fold((0, 0), |s, c| (s.0 + c[0], s.1 + c[1]));
        match sums.last_mut() {
            Some((label, sum)) if *label == t.label => {
                sum[0] += n;
                sum[1] += agree;
            }
            _ => sums.push((t.label.clone(), [n, agree])),
        }
    }
    for (label, [n, agree]) in sums {
        by_label.push([label.clone(), n.to_string(), agree.to_string()]);
    }
    let bars = by_suite
        .iter()
        .filter(|(_, [n, _])| *n > 0)
        .map(|((how, suite), [n, agree])| {
            let label = format!("{suite}, {}", How::ALL[*how].short());
            (label, 100.0 * *agree as f64 / *n as f64, *how)
        })
        .collect();
    let s = Section::Predicates;
    let mut figures = Vec::new();
    for (k, how) in How::ALL.iter().enumerate() {
        let [n, agree] = all.iter().fold([0, 0], |sum, t| {
            [sum[0] + t.counts[k][0], sum[1] + t.counts[k][1]]
        });
        if n > 0 {
            let share = 100.0 * agree as f64 / n as f64;
            let over = format!("{n} truth values");
            figures.push(at_least(s, how.name(), share, "%", 100.0, &over));
        }
    }
    let site = all.iter().map(|t| t.site_mm).fold(0.0, f64::max);
    figures.push(plain(
        s,
        "sites of fixtures, worst",
        site,
        "mm",
        "recorded site poses",
    ));
    Ok(SectionResult {
        figures,
        tables: vec![
            ("predicates_differing", differing),
            ("predicates", by_label),
        ],
        charts: vec![(
            "predicates",
            "Predicates on recorded states".to_owned(),
            "share of truth values that agree with LIBERO's".to_owned(),
            Chart::Bars {
                top: 100.0,
                unit: "%".to_owned(),
                target: Some(100.0),
                rows: bars,
            },
        )],
        notes,
    })
}

fn one_record(
    ctx: &Context<'_>,
    order: usize,
    record: &PredicateRecord,
) -> Result<Tally, EvalError> {
    let fact = fact_of(ctx, record)?;
    let mut t = Tally {
        order,
        suite: record.suite.clone(),
        label: format!(
            "{} {} {}",
            record.suite,
            record.task_id,
            record.predicate.join(" ")
        ),
        counts: [[0; 2]; 3],
        differing: Vec::new(),
        site_mm: 0.0,
    };
    let problem = ctx.scenes.problem(&record.suite, record.task_id)?;
    let thresholds = thresholds(ctx, problem, record)?;
    let mut world: Option<World> = None;
    for (index, sample) in record.samples.iter().enumerate() {
        let mut compare = |how: How, ours: bool, detail: String| {
            t.counts[how as usize][0] += 1;
            if ours == sample.goal {
                t.counts[how as usize][1] += 1;
                return;
            }
            t.differing.push(vec![
                how.name().to_owned(),
                record.suite.clone(),
                record.task_id.to_string(),
                record.predicate.join(" "),
                index.to_string(),
                sample.goal.to_string(),
                ours.to_string(),
                detail,
            ]);
        };
        if let Some(ours) = by_definition(fact.predicate, record, sample, thresholds.as_ref()) {
            compare(How::Definition, ours, String::new());
        }
        // Joints are given when a world is built; one world serves all states without any.
        let (q, slide) = (sample.q, sample.slide_q);
        if world.is_none() || q.is_some() || slide.is_some() {
            world = Some(world_with_joints(ctx, problem, record, sample)?);
        }
        let Some(world) = world.as_mut() else {
            continue;
        };
        let site_mm = arrange(world, problem, &fact, record, sample);
        t.site_mm = t.site_mm.max(site_mm);
        let ours = fact_holds(world, problem, &fact)?;
        let detail = match (sample.contact.or(sample.contact_with_parent), sample.q) {
            (Some(contact), _) => format!("contact in MuJoCo: {contact}"),
            (None, Some(q)) => format!("joint position {q}"),
            (None, None) => String::new(),
        };
        compare(How::World, ours, detail);
    }
    Ok(t)
}

/// The recorded predicate as a fact of the problem.
fn fact_of(ctx: &Context<'_>, record: &PredicateRecord) -> Result<Fact, EvalError> {
    let bad = |what: String| EvalError::Format {
        path: ctx.data.join("predicates.json"),
        what,
    };
    let (name, args) = record
        .predicate
        .split_first()
        .ok_or_else(|| bad("a record without a predicate".to_owned()))?;
    let predicate = Predicate::from_name(name)
        .filter(|p| p.arity() == args.len())
        .ok_or_else(|| {
            bad(format!(
                "unknown predicate `{}`",
                record.predicate.join(" ")
            ))
        })?;
    Ok(Fact {
        predicate,
        args: args.to_vec(),
        place: Place { line: 0, column: 0 },
    })
}

/// Joint thresholds of the model whose joints the record sweeps.
fn thresholds(
    ctx: &Context<'_>,
    problem: &Problem,
    record: &PredicateRecord,
) -> Result<Option<ArticulationDesc>, EvalError> {
    let Some((instance, _)) = record
        .joints
        .iter()
        .flatten()
        .find_map(|j| split_joint(problem, j))
    else {
        return Ok(None);
    };
    let thing = problem.fixtures.iter().chain(&problem.objects);
    let Some(thing) = thing.into_iter().find(|t| t.name == instance) else {
        return Ok(None);
    };
    Ok(ctx
        .scenes
        .assets
        .model(&thing.category)?
        .0
        .articulation
        .clone())
}

fn by_definition(
    predicate: Predicate,
    record: &PredicateRecord,
    sample: &PredicateSample,
    thresholds: Option<&ArticulationDesc>,
) -> Option<bool> {
    if let (Some(joints), Some(q)) = (&record.joints, sample.q) {
        let one = joint_state(predicate, thresholds?, q)?;
        return Some(joints_state(predicate, &vec![one; joints.len()]));
    }
    let a = Point3::from(sample.obj_pos?);
    if let Some(target) = sample.target_pos {
        return Some(on_object(a, Point3::from(target), sample.contact?));
    }
    let (site, half) = (recorded_site(sample)?, record.site_size?);
    Some(match predicate {
        Predicate::In => in_site(a, &site, half),
        _ => above_site(a, &site, half) && sample.contact_with_parent.unwrap_or(true),
    })
}

fn recorded_site(sample: &PredicateSample) -> Option<Isometry3<f64>> {
    let rotation = Rotation3::from_matrix(&Matrix3::from_row_slice(&sample.site_mat?));
    let at = Vector3::from(sample.site_pos?);
    Some(Isometry3::from_parts(
        at.into(),
        UnitQuaternion::from_rotation_matrix(&rotation),
    ))
}

/// The world of the record's first initial state with the joints of a sample.
fn world_with_joints(
    ctx: &Context<'_>,
    problem: &Problem,
    record: &PredicateRecord,
    sample: &PredicateSample,
) -> Result<World, EvalError> {
    let mut state = ctx.scenes.state(&record.suite, record.task_id, 0)?.clone();
    if let Some(q) = sample.q {
        for name in record.joints.iter().flatten() {
            if let Some((instance, joint)) = split_joint(problem, name) {
                state.joints.entry(instance).or_default().insert(joint, q);
            }
        }
    }
    if let (Some([q]), Some(region)) = (
        sample.slide_q,
        record.predicate.get(2).and_then(|r| problem.region(r)),
    ) {
        // The joint that carries the region.
        let things = problem.fixtures.iter().chain(&problem.objects);
        if let Some(thing) = things.into_iter().find(|t| t.name == region.target) {
            let (model, _) = ctx.scenes.assets.model(&thing.category)?;
            let carrier = model
                .bodies
                .iter()
                .find(|b| b.site.iter().any(|s| s.name == region.local))
                .and_then(|b| b.joint.as_ref());
            if let Some(joint) = carrier {
                let joints = state.joints.entry(region.target.clone()).or_default();
                joints.insert(joint.name.clone(), q);
            }
        }
    }
    Ok(placement::world(&ctx.scenes.assets, problem, &state)?)
}

/// Puts object and target where the sample has them; returns by how much a site that cannot be moved
/// is away from the recorded one, mm.
fn arrange(
    world: &mut World,
    problem: &Problem,
    fact: &Fact,
    record: &PredicateRecord,
    sample: &PredicateSample,
) -> f64 {
    let find = |world: &World, name: &str| world.scene().instance(name);
    let mut site_mm = 0.0;
    let pair = |pos: Option<[f64; 3]>, quat: Option<[f64; 4]>| Some(isometry(pos?, quat?));
    if let (Some(at), Some(i)) = (
        pair(sample.obj_pos, sample.obj_quat_wxyz),
        find(world, &fact.args[0]),
    ) {
        world.set_instance_pose(i, &at);
    }
    let second = record.predicate.get(2);
    if let (Some(at), Some(i)) = (
        pair(sample.target_pos, sample.target_quat_wxyz),
        second.and_then(|n| find(world, n)),
    ) {
        world.set_instance_pose(i, &at);
    }
    world.update_contacts_and_sensors();
    let region = second.and_then(|n| problem.region(n));
    if let (Some(wanted), Some(region)) = (recorded_site(sample), region)
        && let Some(owner) = find(world, &region.target)
        && let Some((found, _)) = world.site_pose(owner, &region.local)
    {
        if world.scene().instances[owner].fixed {
            site_mm = distance_mm(&found.translation.vector, &wanted.translation.vector);
        } else {
            // The carrier goes where its site is as recorded.
            let local = world.instance_pose(owner).inverse() * found;
            world.set_instance_pose(owner, &(wanted * local.inverse()));
            world.update_contacts_and_sensors();
        }
    }
    site_mm
}

/// Goal of a recorded episode at every step, objects put where the recording has them.
fn one_episode(
    ctx: &Context<'_>,
    order: usize,
    task: &GraspTask,
    episode: &GraspEpisode,
) -> Result<Tally, EvalError> {
    let problem = ctx.scenes.problem(&task.suite, task.task_id)?;
    let mut world = ctx.scenes.world(&task.suite, task.task_id, episode.init)?;
    let mut t = Tally {
        order,
        suite: task.suite.clone(),
        label: format!("{} {} episodes", task.suite, task.task_id),
        counts: [[0; 2]; 3],
        differing: Vec::new(),
        site_mm: 0.0,
    };
    let objects: Vec<(usize, &Vec<[f64; 7]>)> = episode
        .obj
        .iter()
        .filter_map(|(name, poses)| {
            let i = world.scene().instance(name)?;
            Some((i, poses))
        })
        .collect();
    for (step, recorded) in episode.goal.iter().enumerate() {
        for (i, poses) in &objects {
            if let Some(p) = poses.get(step) {
                world.set_instance_pose(*i, &pose(p));
            }
        }
        world.update_contacts_and_sensors();
        for (fact, wanted) in problem.goal.facts.iter().zip(recorded) {
            let ours = fact_holds(&world, problem, fact)?;
            let wanted = *wanted != 0;
            t.counts[How::Episode as usize][0] += 1;
            if ours == wanted {
                t.counts[How::Episode as usize][1] += 1;
                continue;
            }
            t.differing.push(vec![
                How::Episode.name().to_owned(),
                task.suite.clone(),
                task.task_id.to_string(),
                format!("{:?} {}", fact.predicate, fact.args.join(" ")),
                format!("init {} step {step} ({})", episode.init, task.variant),
                wanted.to_string(),
                ours.to_string(),
                String::new(),
            ]);
        }
    }
    Ok(t)
}
