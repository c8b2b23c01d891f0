//! Contacts: the cases of `parity/data/contacts.json` played in this world, and what the field `findings` of that file says of
//! each, here and in MuJoCo. All cases of the selected suites are played, whatever the largest number of episodes: their
//! bounds hold for this set. `tests/mujoco_contacts.py` recorded the cases.
//!
//! Poses of objects are those of the start of the last physics step, finger positions and the grip site those of the sensors,
//! joints of fixtures those of the end of the step; the recording has the same instants.

use super::contact_cases::{CASES, Case, CaseKind, Reading, read_cases};
use super::{MeasureContext, Measured};
use crate::geometry::{angle_deg, distance_mm, pose};
use crate::recorded_scenes::split_joint;
use crate::{ParityError, Quantity};
use bitvla_reports::ReportError;
use bitvla_sim::World;
use bitvla_tasks::{InitState, SETTLE_ACTION, scene};
use nalgebra::{Isometry3, Vector3};
use std::path::Path;

/// Control steps of waiting before the actions of a case.
const SETTLE_STEPS: usize = 10;
const BOWL: &str = "akita_black_bowl_1";
const RAMEKIN: &str = "glazed_rim_porcelain_ramekin_1";
const TOP_DRAWER: &str = "wooden_cabinet_1_top_level";
const MIDDLE_DRAWER: &str = "wooden_cabinet_1_middle_level";
/// Way up to which an object counts as one that stays, here and in MuJoCo, mm.
const STAYS: f64 = 1.0;
/// Step of the rim pinch up to which the hand pulls the drawer; later steps hold the bowl.
const PULL_STEP: usize = 84;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ContactProperty {
    /// Angle between the vertical axis of an object and the vertical, degrees.
    Tilt,
    /// Horizontal distance of two objects less that in the initial state, mm.
    Offset,
    /// Horizontal distance from the initial state, mm, of an object that moves; the difference is that of the displacements as
    /// vectors.
    Way,
    /// The same of an object that stays.
    Rest,
    /// Height above the origin of the world, mm.
    Height,
    /// Sum of the distances of the fingers from the closed position, mm.
    Aperture,
    /// Distance from the grip site, mm; the difference is that of the vectors.
    Position,
    /// Angle from the initial state, degrees; the difference is the angle between both orientations.
    Angle,
    /// Position of the top drawer that the hand pulls, mm.
    PulledDrawer,
    /// Position of the top drawer that the hand pushes against its frame, mm.
    TopDrawer,
    /// Position of the middle drawer whose handle slips, mm.
    MiddleDrawer,
}

impl ContactProperty {
    /// Returns the name in tables, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            ContactProperty::Tilt => "tilt, degree",
            ContactProperty::Offset => "offset, mm",
            ContactProperty::Way => "way, mm",
            ContactProperty::Rest => "way of an object that stays, mm",
            ContactProperty::Height => "height, mm",
            ContactProperty::Aperture => "aperture, mm",
            ContactProperty::Position => "from grip site, mm",
            ContactProperty::Angle => "angle, degree",
            ContactProperty::PulledDrawer => "pulled drawer, mm",
            ContactProperty::TopDrawer => "top drawer, mm",
            ContactProperty::MiddleDrawer => "middle drawer, mm",
        }
    }
}

/// A property of one case after one step, here and in MuJoCo.
pub(crate) struct ContactRow {
    pub kind: CaseKind,
    /// Suite, task, initial state.
    pub key: (String, usize, usize),
    /// Control steps since the initial state, settling included.
    pub step: usize,
    /// Instance, full joint name, or `fingers`.
    pub object: String,
    pub property: ContactProperty,
    pub here: f64,
    pub mujoco: f64,
    pub difference: f64,
}

/// Rows with the kinds of cases that the selected suites have.
pub(crate) struct ContactRows {
    pub measured: Measured<ContactRow>,
    pub kinds: Vec<CaseKind>,
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<ContactRows, ParityError> {
    let cases = read_cases()?;
    let mut notes = Vec::new();
    let mut items = Vec::new();
    let mut kinds = Vec::new();
    for case in &cases {
        if !ctx.config.suites.contains(&case.suite) {
            continue;
        }
        if !kinds.contains(&case.kind) {
            kinds.push(case.kind);
        }
        if ctx.selects(&case.suite, case.task, Quantity::Contacts, &mut notes)? {
            items.push(case);
        }
    }
    kinds.sort();
    let rows = ctx.map(Quantity::Contacts, &items, |case| play(ctx, case))?;
    let mut rows: Vec<ContactRow> = rows.into_iter().flatten().collect();
    // Stable: within a case the order of steps and properties stays.
    rows.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
    Ok(ContactRows {
        measured: Measured { rows, notes },
        kinds,
    })
}

fn play(ctx: &MeasureContext<'_>, case: &Case) -> Result<Vec<ContactRow>, ParityError> {
    let mut state = (ctx.scenes.state(&case.suite, case.task, case.init)?).clone();
    state.fixtures.extend(case.fixtures.clone());
    let problem = ctx.scenes.problem(&case.suite, case.task)?;
    let mut world = scene::build_world(&ctx.scenes.assets, problem, &state)?;
    let mut rows = Vec::new();
    let settling = std::iter::repeat_n(&SETTLE_ACTION, SETTLE_STEPS);
    for (i, action) in settling.chain(case.actions.list()).enumerate() {
        world.step(action)?;
        if let Some(recorded) = case.mujoco.iter().find(|r| r.step == i + 1) {
            let mut reader = Comparison {
                case,
                problem,
                state: &state,
                world: &world,
                recorded,
                rows: &mut rows,
            };
            reader.compare()?;
        }
    }
    Ok(rows)
}

/// One case after one step.
struct Comparison<'a> {
    case: &'a Case,
    problem: &'a bitvla_tasks::bddl::Problem,
    state: &'a InitState,
    world: &'a World,
    recorded: &'a Reading,
    rows: &'a mut Vec<ContactRow>,
}

impl Comparison<'_> {
    fn compare(&mut self) -> Result<(), ParityError> {
        match self.case.kind {
            CaseKind::Plate => self.ways(),
            CaseKind::Ramekin => self.ramekin(),
            CaseKind::Stove => {
                let (ours, theirs) = self.poses(BOWL)?;
                let height = |p: &Isometry3<f64>| 1e3 * p.translation.vector.z;
                self.push_numbers(
                    BOWL,
                    ContactProperty::Height,
                    height(&ours),
                    height(&theirs),
                );
                Ok(())
            }
            CaseKind::Pinch if self.recorded.step <= PULL_STEP => {
                self.drawer(TOP_DRAWER, ContactProperty::PulledDrawer)
            }
            CaseKind::Pinch => self.pinch(),
            CaseKind::Drawer => {
                self.drawer(TOP_DRAWER, ContactProperty::TopDrawer)?;
                self.drawer(MIDDLE_DRAWER, ContactProperty::MiddleDrawer)
            }
        }
    }

    /// Ways of every bowl and of the plate.
    fn ways(&mut self) -> Result<(), ParityError> {
        let recorded = self.recorded;
        let is_compared = |name: &&String| name.contains("bowl") || name.starts_with("plate");
        for name in recorded.objects.keys().filter(is_compared) {
            let start = self.start(name)?;
            let (ours, theirs) = self.poses(name)?;
            let way = |p: &Isometry3<f64>| horizontal(&(p.translation.vector - start));
            let (ours, theirs) = (way(&ours), way(&theirs));
            let lengths = [ours.norm() * 1e3, theirs.norm() * 1e3];
            let property = match lengths.iter().all(|mm| *mm <= STAYS) {
                true => ContactProperty::Rest,
                false => ContactProperty::Way,
            };
            self.push(name, property, lengths, distance_mm(&ours, &theirs));
        }
        Ok(())
    }

    fn ramekin(&mut self) -> Result<(), ParityError> {
        let (ours, theirs) = self.poses(BOWL)?;
        let tilt = |p: &Isometry3<f64>| {
            let up = p.rotation * Vector3::z();
            libm::atan2(libm::hypot(up.x, up.y), up.z).to_degrees()
        };
        self.push_numbers(BOWL, ContactProperty::Tilt, tilt(&ours), tilt(&theirs));
        let (our_ramekin, their_ramekin) = self.poses(RAMEKIN)?;
        let between =
            |a: &Vector3<f64>, b: &Vector3<f64>| distance_mm(&horizontal(a), &horizontal(b));
        let start = between(&self.start(BOWL)?, &self.start(RAMEKIN)?);
        let offset = |bowl: &Isometry3<f64>, ramekin: &Isometry3<f64>| {
            between(&bowl.translation.vector, &ramekin.translation.vector) - start
        };
        let (ours, theirs) = (offset(&ours, &our_ramekin), offset(&theirs, &their_ramekin));
        self.push_numbers(BOWL, ContactProperty::Offset, ours, theirs);
        Ok(())
    }

    fn pinch(&mut self) -> Result<(), ParityError> {
        let (ours, theirs) = self.poses(BOWL)?;
        let seen = self.world.observation();
        let aperture = |fingers: [f64; 2]| 1e3 * (fingers[0] - fingers[1]);
        let (here, mujoco) = (aperture(seen.gripper_qpos), aperture(self.recorded.fingers));
        self.push_numbers("fingers", ContactProperty::Aperture, here, mujoco);
        let from_grip =
            |p: &Isometry3<f64>, grip: [f64; 3]| p.translation.vector - Vector3::from(grip);
        let here = from_grip(&ours, seen.eef_pos);
        let mujoco = from_grip(&theirs, self.recorded.grip_site);
        self.push(
            BOWL,
            ContactProperty::Position,
            [here.norm() * 1e3, mujoco.norm() * 1e3],
            distance_mm(&here, &mujoco),
        );
        let start = self.start_pose(BOWL)?;
        let angle = |p: &Isometry3<f64>| angle_deg(&p.rotation, &start.rotation);
        let between = angle_deg(&ours.rotation, &theirs.rotation);
        self.push(
            BOWL,
            ContactProperty::Angle,
            [angle(&ours), angle(&theirs)],
            between,
        );
        Ok(())
    }

    fn drawer(&mut self, name: &str, property: ContactProperty) -> Result<(), ParityError> {
        let ours = split_joint(self.problem, name).and_then(|(instance, joint)| {
            let i = self.world.scene().instance(&instance)?;
            self.world.joint_position(i, &joint)
        });
        let theirs = self.recorded.joints.get(name);
        let (ours, theirs) = ours
            .zip(theirs)
            .ok_or_else(|| self.missing("joint", name))?;
        self.push_numbers(name, property, 1e3 * ours, 1e3 * theirs);
        Ok(())
    }

    /// Poses of an object here and in MuJoCo.
    fn poses(&self, name: &str) -> Result<(Isometry3<f64>, Isometry3<f64>), ParityError> {
        let ours = (self.world.scene())
            .instance(name)
            .map(|i| self.world.instance_pose(i));
        let theirs = self.recorded.objects.get(name).map(pose);
        Ok(ours
            .zip(theirs)
            .ok_or_else(|| self.missing("object", name))?)
    }

    fn start_pose(&self, name: &str) -> Result<Isometry3<f64>, ParityError> {
        let found = self.state.objects.get(name).map(pose);
        Ok(found.ok_or_else(|| self.missing("object", name))?)
    }

    fn start(&self, name: &str) -> Result<Vector3<f64>, ParityError> {
        Ok(self.start_pose(name)?.translation.vector)
    }

    fn missing(&self, kind: &str, name: &str) -> ReportError {
        let Case {
            suite, task, init, ..
        } = self.case;
        let what = format!(
            "{suite} task {task}, initial state {init}, step {}: found no {kind} `{name}`, expected it in the scene, the initial \
             state and the recording",
            self.recorded.step
        );
        ReportError::format(Path::new(CASES), what)
    }

    fn push_numbers(&mut self, object: &str, property: ContactProperty, here: f64, mujoco: f64) {
        self.push(object, property, [here, mujoco], (here - mujoco).abs());
    }

    fn push(
        &mut self,
        object: &str,
        property: ContactProperty,
        [here, mujoco]: [f64; 2],
        difference: f64,
    ) {
        self.rows.push(ContactRow {
            kind: self.case.kind,
            key: (self.case.suite.clone(), self.case.task, self.case.init),
            step: self.recorded.step,
            object: object.to_owned(),
            property,
            here,
            mujoco,
            difference,
        });
    }
}

fn horizontal(v: &Vector3<f64>) -> Vector3<f64> {
    Vector3::new(v.x, v.y, 0.0)
}
