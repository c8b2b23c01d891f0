//! Operational-space responses: the same actions from the same state, the end effector compared after every control step
//! (docs/reference/libero.md, section 4). The scene is that of the recording, objects included.
//!
//! A sequence counts as free motion up to the step in which the recording has more contacts than its resting scene: from
//! there on the recorded arm touches something.

use super::{MeasureContext, Measured};
use crate::geometry::{angle_deg, distance_mm};
use crate::reference::{RecordedSequence, ResponsesFile};
use crate::{ParityError, Quantity};
use bitvla_reports::{ReportError, largest, read_json};
use bitvla_sim::isometry;
use nalgebra::Vector3;

const FILE: &str = "osc_responses.json";
/// Suite, task and initial state of the recordings.
const SCENE: (&str, usize, usize) = ("libero_spatial", 0, 0);
/// Control steps in which the dropped objects of the scene land and the count of contacts changes.
const LANDING_STEPS: usize = 10;

/// Errors of one sequence, one entry per control step.
pub(crate) struct ResponseErrors {
    /// Name of the sequence.
    pub name: String,
    /// Distance of the end effectors, mm.
    pub position_mm: Vec<f64>,
    /// Angle between the end effectors, degrees.
    pub angle_deg: Vec<f64>,
    /// Larger difference of the two finger positions, mm.
    pub finger_mm: Vec<f64>,
    /// First step in which the recorded arm touches something; `None` for free motion throughout.
    pub first_contact: Option<usize>,
}

impl ResponseErrors {
    /// Number of steps in free motion, at the beginning.
    pub fn free_steps(&self) -> usize {
        self.first_contact.unwrap_or(self.position_mm.len())
    }
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<Measured<ResponseErrors>, ParityError> {
    let data: ResponsesFile = read_json(&ctx.data.join(FILE))?;
    let rows = ctx.map(Quantity::Osc, &data.sequences, |s| play(ctx, s))?;
    let notes = Vec::new();
    Ok(Measured { rows, notes })
}

fn play(ctx: &MeasureContext<'_>, s: &RecordedSequence) -> Result<ResponseErrors, ParityError> {
    let (suite, task, init) = SCENE;
    let mut world = ctx.scenes.world(suite, task, init)?;
    world.set_robot_qpos(&s.start.qpos9);
    let landed = || s.ncon.iter().skip(LANDING_STEPS);
    // A sequence that ends before the objects have landed counts as free motion throughout.
    let touches = |resting: u32| landed().position(|n| *n > resting);
    let first_contact = landed().min().copied().and_then(touches);
    let mut errors = ResponseErrors {
        name: s.name.clone(),
        position_mm: Vec::new(),
        angle_deg: Vec::new(),
        finger_mm: Vec::new(),
        first_contact: first_contact.map(|i| i + LANDING_STEPS),
    };
    for (i, action) in s.actions.iter().enumerate() {
        let (Some(pos), Some([x, y, z, w]), Some(fingers)) = (
            s.obs_eef_pos.get(i),
            s.obs_eef_quat_xyzw.get(i).copied(),
            s.obs_gripper_qpos.get(i),
        ) else {
            let found = format!("`{}` has no observation of step {i}", s.name);
            return Err(ReportError::format(&ctx.data.join(FILE), found).into());
        };
        world.step(action)?;
        let observed = world.observation();
        let [qx, qy, qz, qw] = observed.eef_quat_xyzw;
        let ours = isometry(observed.eef_pos, [qw, qx, qy, qz]);
        let theirs = isometry(*pos, [w, x, y, z]);
        let mm = distance_mm(&ours.translation.vector, &Vector3::from(*pos));
        errors.position_mm.push(mm);
        let angle = angle_deg(&ours.rotation, &theirs.rotation);
        errors.angle_deg.push(angle);
        let finger = |k: usize| (observed.gripper_qpos[k] - fingers[k]).abs() * 1e3;
        let larger = largest([finger(0), finger(1)]).unwrap_or(f64::NAN);
        errors.finger_mm.push(larger);
    }
    Ok(errors)
}
