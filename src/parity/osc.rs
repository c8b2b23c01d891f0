//! Operational-space responses: the same actions from the same state, the end effector compared after
//! every control step (fact sheet section 4). The scene is that of the recording, objects included.
//!
//! A sequence counts as free motion up to the step where the recording has more contacts than its
//! resting scene: from there on the recorded arm touches something.

use super::reference::{self, Responses, Sequence};
use super::scenes::{angle_deg, distance_mm};
use super::{Context, Section, SectionResult, at_most, plain};
use crate::EvalError;
use bitvla_reports::{Chart, Line, Table, median, number};
use bitvla_sim::isometry;
use nalgebra::Vector3;

/// Suite, task and initial state of the recordings.
const SCENE: (&str, usize, usize) = ("libero_spatial", 0, 0);
/// Control steps in which the dropped objects of the scene land and the count of contacts moves.
const LANDING: usize = 10;

/// Target in free motion.
const FREE_MM: f64 = 3.0;
const FREE_DEG: f64 = 0.5;

/// Errors of one sequence.
struct Errors {
    name: String,
    mm: Vec<f64>,
    degrees: Vec<f64>,
    finger_mm: Vec<f64>,
    /// First step in which the recorded arm touches something.
    contact: Option<usize>,
}

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let data: Responses = reference::read(ctx.data, "osc_responses.json")?;
    let mut all = Vec::new();
    let items: Vec<usize> = (0..data.sequences.len()).collect();
    ctx.each(
        Section::Osc,
        &items,
        |i| one(ctx, &data.sequences[*i]).map(|e| (*i, e)),
        |r| all.push(r),
    )?;
    all.sort_by_key(|(i, _)| *i);

    let mut table = Table::new(&[
        "sequence",
        "step",
        "contact",
        "position_mm",
        "angle_deg",
        "finger_mm",
    ]);
    let mut summary = Table::new(&[
        "sequence",
        "steps",
        "free steps",
        "max mm",
        "last mm",
        "max deg",
        "max finger mm",
    ]);
    let (mut free_mm, mut free_deg) = (Vec::new(), Vec::new());
    let (mut touch_mm, mut touch_deg) = (Vec::new(), Vec::new());
    let mut inside = 0;
    let (mut mm_lines, mut deg_lines) = (Vec::new(), Vec::new());
    for (_, e) in &all {
        let free = e.contact.unwrap_or(e.mm.len());
        for step in 0..e.mm.len() {
            table.push([
                e.name.clone(),
                step.to_string(),
                u8::from(step >= free).to_string(),
                format!("{:.4}", e.mm[step]),
                format!("{:.4}", e.degrees[step]),
                format!("{:.4}", e.finger_mm[step]),
            ]);
        }
        free_mm.extend(&e.mm[..free]);
        free_deg.extend(&e.degrees[..free]);
        touch_mm.extend(&e.mm[free..]);
        touch_deg.extend(&e.degrees[free..]);
        inside +=
            usize::from(most(&e.mm[..free]) <= FREE_MM && most(&e.degrees[..free]) <= FREE_DEG);
        summary.push([
            e.name.clone(),
            e.mm.len().to_string(),
            free.to_string(),
            number(most(&e.mm)),
            number(e.mm.last().copied().unwrap_or(0.0)),
            number(most(&e.degrees)),
            number(most(&e.finger_mm)),
        ]);
        for (values, lines) in [(&e.mm, &mut mm_lines), (&e.degrees, &mut deg_lines)] {
            let points: Vec<[f64; 2]> = values
                .iter()
                .enumerate()
                .map(|(i, v)| [i as f64, *v])
                .collect();
            let cut = free.min(points.len());
            lines.push(Line {
                label: "free motion".to_owned(),
                color: 0,
                points: points[..cut].to_vec(),
            });
            if cut < points.len() {
                lines.push(Line {
                    label: "after a contact".to_owned(),
                    color: 3,
                    points: points[cut.saturating_sub(1)..].to_vec(),
                });
            }
        }
    }
    let outside = |e: &Errors| {
        let free = e.contact.unwrap_or(e.mm.len());
        let far = |i: &usize| e.mm[*i] > FREE_MM || e.degrees[*i] > FREE_DEG;
        (0..free).find(far)
    };
    let notes = all
        .iter()
        .filter_map(|(_, e)| Some((e, outside(e)?)))
        .map(|(e, step)| {
            format!(
                "osc: `{}` leaves {FREE_MM} mm or {FREE_DEG} degree at step {step}",
                e.name
            )
        })
        .collect();
    let s = Section::Osc;
    let over = format!("{} sequences, {} free steps", all.len(), free_mm.len());
    let mut figures = vec![
        at_most(
            s,
            "free motion, position, worst",
            most(&free_mm),
            "mm",
            FREE_MM,
            &over,
        ),
        at_most(
            s,
            "free motion, angle, worst",
            most(&free_deg),
            "degree",
            FREE_DEG,
            &over,
        ),
        plain(
            s,
            "free motion, position, median",
            median(&free_mm).unwrap_or(0.0),
            "mm",
            &over,
        ),
        plain(
            s,
            "free motion, angle, median",
            median(&free_deg).unwrap_or(0.0),
            "degree",
            &over,
        ),
        plain(
            s,
            "sequences inside both throughout",
            inside as f64,
            "",
            &over,
        ),
    ];
    if !touch_mm.is_empty() {
        let over = format!("{} steps after a contact", touch_mm.len());
        figures.push(plain(
            s,
            "with contact, position, worst",
            most(&touch_mm),
            "mm",
            &over,
        ));
        figures.push(plain(
            s,
            "with contact, angle, worst",
            most(&touch_deg),
            "degree",
            &over,
        ));
    }
    let fingers: Vec<f64> = all.iter().flat_map(|(_, e)| e.finger_mm.clone()).collect();
    figures.push(plain(
        s,
        "finger position, worst",
        most(&fingers),
        "mm",
        &over,
    ));
    let chart = |y: &str, lines, target| Chart::Lines {
        x: "control step".to_owned(),
        y: y.to_owned(),
        lines,
        target: Some(target),
        top: None,
    };
    let subtitle = "one line per recorded sequence of actions".to_owned();
    Ok(SectionResult {
        figures,
        tables: vec![("osc_steps", table), ("osc", summary)],
        charts: vec![
            (
                "osc_position",
                "End effector against MuJoCo: position".to_owned(),
                subtitle.clone(),
                chart("distance, mm", mm_lines, FREE_MM),
            ),
            (
                "osc_angle",
                "End effector against MuJoCo: orientation".to_owned(),
                subtitle,
                chart("angle, degrees", deg_lines, FREE_DEG),
            ),
        ],
        notes,
    })
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn one(ctx: &Context<'_>, s: &Sequence) -> Result<Errors, EvalError> {
    let (suite, task, init) = SCENE;
    let mut world = ctx.scenes.world(suite, task, init)?;
    world.set_robot_qpos(&s.start.qpos9);
    let resting = s.ncon.iter().skip(LANDING).min().copied().unwrap_or(0);
    let touches = |n: &u32| *n > resting;
    let mut e = Errors {
        name: s.name.clone(),
        mm: Vec::new(),
        degrees: Vec::new(),
        finger_mm: Vec::new(),
        contact: (s.ncon.iter().skip(LANDING).position(touches)).map(|i| i + LANDING),
    };
    for (i, action) in s.actions.iter().enumerate() {
        let (Some(pos), Some([x, y, z, w]), Some(fingers)) = (
            s.obs_eef_pos.get(i),
            s.obs_eef_quat_xyzw.get(i).copied(),
            s.obs_gripper_qpos.get(i),
        ) else {
            return Err(EvalError::Format {
                path: ctx.data.join("osc_responses.json"),
                what: format!("`{}` has no observation of step {i}", s.name),
            });
        };
        world.step(action)?;
        let seen = world.observation();
        let [qx, qy, qz, qw] = seen.eef_quat_xyzw;
        let ours = isometry(seen.eef_pos, [qw, qx, qy, qz]);
        let theirs = isometry(*pos, [w, x, y, z]);
        e.mm.push(distance_mm(&ours.translation.vector, &Vector3::from(*pos)));
        e.degrees.push(angle_deg(&ours.rotation, &theirs.rotation));
        let finger = |k: usize| (seen.gripper_qpos[k] - fingers[k]).abs() * 1e3;
        e.finger_mm.push(finger(0).max(finger(1)));
    }
    Ok(e)
}
