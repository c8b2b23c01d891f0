//! Truth values of predicates on recorded states (docs/reference/libero.md, section 6), found in three ways: by the
//! definitions from the recorded contact and site; in this world, with its models, sites and contacts, after the objects
//! are put where the recording has them; and for the goals of the recorded episodes at every step.

use super::{MeasureContext, Measured};
use crate::geometry::{distance_mm, pose};
use crate::recorded_scenes::split_joint;
use crate::reference::{
    GraspEpisode, GraspFile, GraspTask, PredicateFile, PredicateRecord, PredicateSample,
};
use crate::{ParityError, Quantity};
use bitvla_reports::{ReportError, largest, read_json};
use bitvla_sim::{ArticulationDesc, World, isometry};
use bitvla_tasks::bddl::{Predicate, PredicateInstance, Problem, SourceLocation};
use bitvla_tasks::predicates::{
    above_site, in_site, joint_state, joints_state, on_object, predicate_holds,
};
use bitvla_tasks::scene;
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};

const FILE: &str = "predicates.json";

/// Source of a truth value that is compared with the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TruthSource {
    /// Definition of the predicate, from the recorded contact and site.
    Definition,
    /// This world in a hand-made state.
    World,
    /// This world in a state of a recorded episode.
    Episode,
}

impl TruthSource {
    /// All sources in the order of the report.
    pub const ALL: [TruthSource; 3] = [
        TruthSource::Definition,
        TruthSource::World,
        TruthSource::Episode,
    ];

    /// Returns the name of the metric.
    pub fn name(self) -> &'static str {
        match self {
            TruthSource::Definition => "definitions, recorded contact and site",
            TruthSource::World => "hand-made states in our world",
            TruthSource::Episode => "states of recorded episodes in our world",
        }
    }

    /// Returns the name in labels of charts.
    pub fn short_name(self) -> &'static str {
        match self {
            TruthSource::Definition => "definitions",
            TruthSource::World => "hand-made states",
            TruthSource::Episode => "episodes",
        }
    }
}

/// Number of truth values, and of those that agree with the recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub compared: usize,
    pub agreeing: usize,
}

impl Agreement {
    /// Adds another count.
    pub fn add(&mut self, other: Agreement) {
        self.compared += other.compared;
        self.agreeing += other.agreeing;
    }

    /// Agreeing values in percent; `None` where nothing was compared.
    pub fn percent(self) -> Option<f64> {
        (self.compared > 0).then(|| 100.0 * self.agreeing as f64 / self.compared as f64)
    }
}

/// A truth value that differs from the recorded one.
pub(crate) struct Disagreement {
    pub source: TruthSource,
    pub predicate: String,
    /// Index of the sample, or initial state and step of the episode.
    pub state: String,
    pub recorded: bool,
    pub ours: bool,
    pub detail: String,
}

/// Comparison of one record or one episode.
pub(crate) struct PredicateRow {
    pub suite: String,
    pub task: usize,
    /// Suite, task and predicate, or that it is an episode; rows of the same label are adjacent.
    pub label: String,
    /// Counts by [`TruthSource`], in the order of `TruthSource::ALL`.
    pub agreement: [Agreement; 3],
    pub disagreements: Vec<Disagreement>,
    /// Largest distance of a site of a fixture from the recorded one, mm; `None` where no site was compared.
    pub site_mm: Option<f64>,
}

impl PredicateRow {
    fn new(suite: &str, task: usize, label: &str) -> PredicateRow {
        PredicateRow {
            suite: suite.to_owned(),
            task,
            label: format!("{suite} {task} {label}"),
            agreement: [Agreement::default(); 3],
            disagreements: Vec::new(),
            site_mm: None,
        }
    }

    /// Counts a truth value; `describe` gives predicate, state and detail of one that differs.
    fn count(
        &mut self,
        source: TruthSource,
        recorded: bool,
        ours: bool,
        describe: impl FnOnce() -> [String; 3],
    ) {
        let agreement = &mut self.agreement[source as usize];
        agreement.compared += 1;
        if ours == recorded {
            agreement.agreeing += 1;
            return;
        }
        let [predicate, state, detail] = describe();
        self.disagreements.push(Disagreement {
            source,
            predicate,
            state,
            recorded,
            ours,
            detail,
        });
    }
}

enum Item<'a> {
    Record(&'a PredicateRecord),
    Episode(&'a GraspTask, &'a GraspEpisode),
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<Measured<PredicateRow>, ParityError> {
    let data: PredicateFile = read_json(&ctx.data.join(FILE))?;
    let grasp: GraspFile = read_json(&ctx.data.join("grasp.json"))?;
    let quantity = Quantity::Predicates;
    let mut notes = Vec::new();
    let mut items = Vec::new();
    for record in &data.records {
        if ctx.selects(&record.suite, record.task_id, quantity, &mut notes)? {
            items.push(Item::Record(record));
        }
    }
    for task in &grasp.tasks {
        if ctx.selects(&task.suite, task.task_id, quantity, &mut notes)? {
            let episodes = task.episodes.iter().take(ctx.config.episodes);
            items.extend(episodes.map(|e| Item::Episode(task, e)));
        }
    }
    let rows = ctx.map(quantity, &items, |item| match item {
        Item::Record(record) => compare_record(ctx, record),
        Item::Episode(task, episode) => compare_episode(ctx, task, episode),
    })?;
    Ok(Measured { rows, notes })
}

fn compare_record(
    ctx: &MeasureContext<'_>,
    record: &PredicateRecord,
) -> Result<PredicateRow, ParityError> {
    let fact = recorded_predicate(ctx, record)?;
    let predicate = record.predicate.join(" ");
    let mut row = PredicateRow::new(&record.suite, record.task_id, &predicate);
    let problem = ctx.scenes.problem(&record.suite, record.task_id)?;
    let thresholds = thresholds(ctx, problem, record)?;
    let mut world: Option<World> = None;
    for (index, sample) in record.samples.iter().enumerate() {
        let describe = |detail: String| [predicate.clone(), index.to_string(), detail];
        if let Some(ours) = by_definition(fact.predicate, record, sample, thresholds.as_ref()) {
            row.count(TruthSource::Definition, sample.goal, ours, || {
                describe(String::new())
            });
        }
        // Joints are given when a world is built; one world serves all states without any.
        let has_joints = sample.q.is_some() || sample.slide_q.is_some();
        let world = match world.as_mut() {
            Some(world) if !has_joints => world,
            _ => world.insert(world_with_joints(ctx, problem, record, sample)?),
        };
        let site_mm = arrange(world, problem, &fact, record, sample);
        row.site_mm = largest(row.site_mm.into_iter().chain(site_mm));
        let ours = predicate_holds(world, problem, &fact)?;
        row.count(TruthSource::World, sample.goal, ours, || {
            let contact = sample.contact.or(sample.contact_with_parent);
            describe(match (contact, sample.q) {
                (Some(contact), _) => format!("contact in MuJoCo: {contact}"),
                (None, Some(q)) => format!("joint position {q}"),
                (None, None) => String::new(),
            })
        });
    }
    Ok(row)
}

/// Returns the recorded predicate as one of the problem.
fn recorded_predicate(
    ctx: &MeasureContext<'_>,
    record: &PredicateRecord,
) -> Result<PredicateInstance, ParityError> {
    let bad = |what: String| ReportError::format(&ctx.data.join(FILE), what);
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
    Ok(PredicateInstance {
        predicate,
        args: args.to_vec(),
        location: SourceLocation { line: 0, column: 0 },
    })
}

/// Returns the joint thresholds of the model whose joints the record sweeps.
fn thresholds(
    ctx: &MeasureContext<'_>,
    problem: &Problem,
    record: &PredicateRecord,
) -> Result<Option<ArticulationDesc>, ParityError> {
    let Some((instance, _)) = record
        .joints
        .iter()
        .flatten()
        .find_map(|j| split_joint(problem, j))
    else {
        return Ok(None);
    };
    let mut objects = problem.fixtures.iter().chain(&problem.objects);
    let Some(object) = objects.find(|t| t.name == instance) else {
        return Ok(None);
    };
    let (model, _) = ctx.scenes.assets.model(&object.category)?;
    Ok(model.articulation.clone())
}

/// Returns the truth by the definition; `None` where the sample lacks what the definition needs.
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
        // Recorded without a contact are the regions of the arena, which need none.
        _ => above_site(a, &site, half) && sample.contact_with_parent.unwrap_or(true),
    })
}

/// Returns the recorded pose of the site, world frame.
fn recorded_site(sample: &PredicateSample) -> Option<Isometry3<f64>> {
    let rotation = Rotation3::from_matrix(&Matrix3::from_row_slice(&sample.site_mat?));
    let at = Vector3::from(sample.site_pos?);
    Some(Isometry3::from_parts(
        at.into(),
        UnitQuaternion::from_rotation_matrix(&rotation),
    ))
}

/// Builds the world of the first initial state with the joints of a sample.
fn world_with_joints(
    ctx: &MeasureContext<'_>,
    problem: &Problem,
    record: &PredicateRecord,
    sample: &PredicateSample,
) -> Result<World, ParityError> {
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
        let mut objects = problem.fixtures.iter().chain(&problem.objects);
        if let Some(object) = objects.find(|t| t.name == region.target) {
            let (model, _) = ctx.scenes.assets.model(&object.category)?;
            let site_joint = model
                .bodies
                .iter()
                .find(|b| b.site.iter().any(|s| s.name == region.local))
                .and_then(|b| b.joint.as_ref());
            if let Some(joint) = site_joint {
                let joints = state.joints.entry(region.target.clone()).or_default();
                joints.insert(joint.name.clone(), q);
            }
        }
    }
    Ok(scene::build_world(&ctx.scenes.assets, problem, &state)?)
}

/// Puts object and target where the sample has them; returns the distance of a site that cannot be moved from the recorded
/// one, mm.
fn arrange(
    world: &mut World,
    problem: &Problem,
    fact: &PredicateInstance,
    record: &PredicateRecord,
    sample: &PredicateSample,
) -> Option<f64> {
    let find = |world: &World, name: &str| world.scene().instance(name);
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
    let recorded = recorded_site(sample)?;
    let region = second.and_then(|n| problem.region(n))?;
    let owner = find(world, &region.target)?;
    let (found, _) = world.site_pose(owner, &region.local)?;
    if world.scene().instances[owner].fixed {
        let (ours, theirs) = (found.translation.vector, recorded.translation.vector);
        return Some(distance_mm(&ours, &theirs));
    }
    // The owner goes where its site is as recorded.
    let local = world.instance_pose(owner).inverse() * found;
    world.set_instance_pose(owner, &(recorded * local.inverse()));
    world.update_contacts_and_sensors();
    None
}

/// Compares the goal of a recorded episode at every step, objects put where the recording has them.
fn compare_episode(
    ctx: &MeasureContext<'_>,
    task: &GraspTask,
    episode: &GraspEpisode,
) -> Result<PredicateRow, ParityError> {
    let problem = ctx.scenes.problem(&task.suite, task.task_id)?;
    let mut world = ctx.scenes.world(&task.suite, task.task_id, episode.init)?;
    let mut row = PredicateRow::new(&task.suite, task.task_id, "episodes");
    let objects = ctx.recorded_objects(&world, episode)?;
    let goal = problem.compile_goal(&world)?;
    for (step, recorded) in episode.goal.iter().enumerate() {
        for (i, _, poses) in &objects {
            if let Some(p) = poses.get(step) {
                world.set_instance_pose(*i, &pose(p));
            }
        }
        world.update_contacts_and_sensors();
        let truth = goal.truth(&world);
        if truth.len() != recorded.len() {
            let what = format!(
                "{} task {}, initial state {}, step {step}: found {} truth values, expected {} as the goal has predicates",
                task.suite,
                task.task_id,
                episode.init,
                recorded.len(),
                truth.len()
            );
            return Err(ReportError::format(&ctx.data.join("grasp.json"), what).into());
        }
        for ((fact, ours), recorded) in problem.goal.predicates.iter().zip(truth).zip(recorded) {
            row.count(TruthSource::Episode, *recorded != 0, ours, || {
                [
                    format!("{:?} {}", fact.predicate, fact.args.join(" ")),
                    format!("init {} step {step} ({})", episode.init, task.variant),
                    String::new(),
                ]
            });
        }
    }
    Ok(row)
}
