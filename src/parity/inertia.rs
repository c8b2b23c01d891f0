//! Inertia: mass, centre of mass and inertia of every body that moves, ours against the compiled
//! MuJoCo models (fact sheet sections 1 and 3, OBJECTS.md). Bodies welded together are merged on both
//! sides.

use super::reference::{self, ModelRecord, ObjectsFile};
use super::{Context, Section, SectionResult, plain};
use crate::EvalError;
use bitvla_reports::{Chart, Table, number};
use bitvla_sim::links::{Link, LinkTree};
use bitvla_sim::{BodyDesc, InertiaDesc, JointDesc, JointKind, ModelDesc};
use bitvla_tasks::TaskError;

/// Bodies of the pedestal: welded to the world, so their inertia acts on nothing.
const PEDESTAL: &str = "mount0_";

pub(super) fn run(ctx: &Context<'_>) -> Result<SectionResult, EvalError> {
    let objects: ObjectsFile = reference::read(ctx.data, "objects.json")?;
    let robot: ModelRecord = reference::read(ctx.data, "robot.json")?;
    let mut table = Table::new(&[
        "model",
        "body",
        "moves",
        "mass_kg",
        "mujoco_kg",
        "mass_percent",
        "com_mm",
        "inertia_percent",
    ]);
    let mut notes = Vec::new();
    let mut worst = [0.0f64; 3];
    let (mut compared, mut rows) = (0, Vec::new());
    for (category, record) in &objects.objects {
        let (model, fixed) = match ctx.scenes.assets.model(category) {
            Ok(found) => found,
            Err(TaskError::Unknown { .. }) => {
                notes.push(format!("no model of `{category}`: not compared"));
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        let theirs = merged(category, record, None)?;
        let ours = LinkTree::new(&model)?;
        let errors = compare(category, &ours, &theirs, fixed, &mut table, &mut notes);
        rows.push((category.clone(), errors));
        compared += 1;
    }
    let theirs = merged("panda", &robot, Some(PEDESTAL))?;
    let ours = LinkTree::new(&*ctx.scenes.assets.robot()?)?;
    let errors = compare("panda", &ours, &theirs, true, &mut table, &mut notes);
    rows.push(("panda".to_owned(), errors));
    for (_, e) in &rows {
        for k in 0..3 {
            worst[k] = worst[k].max(e[k]);
        }
    }
    let s = Section::Inertia;
    let over = format!("{compared} models and the robot, bodies that move");
    let inside = rows
        .iter()
        .filter(|(_, e)| e[0] <= 1.0 && e[1] <= 1.0 && e[2] <= 5.0)
        .count();
    let figures = vec![
        plain(s, "mass, relative, worst", worst[0], "%", &over),
        plain(s, "centre of mass, worst", worst[1], "mm", &over),
        plain(s, "inertia, relative, worst", worst[2], "%", &over),
        plain(
            s,
            "models within 1 %, 1 mm and 5 %",
            inside as f64,
            &format!("of {}", rows.len()),
            &over,
        ),
    ];
    let groups = [(0, "mass, %"), (1, "centre of mass, mm"), (2, "inertia, %")];
    let groups = groups
        .map(|(k, name)| (name.to_owned(), rows.iter().map(|r| r.1[k]).collect()))
        .to_vec();
    Ok(SectionResult {
        figures,
        tables: vec![("inertia", table)],
        charts: vec![(
            "inertia",
            "Mass, centre of mass and inertia against MuJoCo's models".to_owned(),
            "share of models whose worst moving body is at most this far away".to_owned(),
            Chart::Cumulative {
                x: "relative error, %; distance, mm".to_owned(),
                groups,
                target: None,
                low: 1e-4,
            },
        )],
        notes,
    })
}

/// The recorded bodies as carriers. Fixtures and the robot stand on the world.
fn merged(name: &str, record: &ModelRecord, skip: Option<&str>) -> Result<LinkTree, EvalError> {
    let mut bodies = Vec::new();
    let mut hinges = record.joints.iter();
    for b in &record.bodies {
        if skip.is_some_and(|prefix| b.name.starts_with(prefix)) {
            continue;
        }
        let root = bodies.is_empty();
        // Robot joints are listed without their bodies, in the order of the links that have one.
        let joint = if record.joints.iter().any(|j| j.body.is_some()) {
            record
                .joints
                .iter()
                .find(|j| j.body.as_ref() == Some(&b.name))
        } else if jointed(&b.name) {
            hinges.next()
        } else {
            None
        };
        let joint = joint.filter(|j| j.kind != "free").map(|j| JointDesc {
            name: j.name.clone(),
            kind: if j.kind == "slide" {
                JointKind::Slide
            } else {
                JointKind::Hinge
            },
            axis: j.axis,
            range: j.range,
            damping: j.damping,
            friction_loss: j.frictionloss,
            armature: j.armature,
        });
        bodies.push(BodyDesc {
            name: b.name.clone(),
            parent: (!root).then(|| b.parent.clone()),
            pos: if root { [0.0; 3] } else { b.pos },
            quat_wxyz: if root {
                [1.0, 0.0, 0.0, 0.0]
            } else {
                b.quat_wxyz
            },
            joint,
            inertia: Some(InertiaDesc {
                mass: b.mass,
                com: b.ipos,
                diagonal: b.inertia_diag,
                quat_wxyz: b.iquat_wxyz,
            }),
            collision: Vec::new(),
            visual: Vec::new(),
            site: Vec::new(),
        });
    }
    Ok(LinkTree::new(&ModelDesc {
        name: format!("{name} (recorded)"),
        placement: Default::default(),
        bodies,
        materials: Default::default(),
        articulation: None,
    })?)
}

/// Links of the recorded robot that have a joint: link1 to link7 and the fingers.
fn jointed(body: &str) -> bool {
    let link = body.strip_prefix("robot0_link");
    link.is_some_and(|n| n != "0")
        || body == "gripper0_leftfinger"
        || body == "gripper0_rightfinger"
}

/// Adds a row per body; returns the worst errors of those that move: mass %, centre mm, inertia %.
fn compare(
    name: &str,
    ours: &LinkTree,
    theirs: &LinkTree,
    fixed: bool,
    table: &mut Table,
    notes: &mut Vec<String>,
) -> [f64; 3] {
    let mut worst = [0.0f64; 3];
    if ours.links.len() != theirs.links.len() {
        notes.push(format!(
            "{name}: {} bodies that move on their own, MuJoCo's has {}",
            ours.links.len(),
            theirs.links.len()
        ));
        return [f64::INFINITY; 3];
    }
    let joint = |c: &Link| {
        c.joint
            .as_ref()
            .map(|j| j.name.trim_start_matches('@').to_owned())
    };
    for (k, mine) in ours.links.iter().enumerate() {
        // Joints are matched by name, in any order; the robot's names differ and keep theirs.
        let wanted = joint(mine);
        let same = theirs.links.iter().find(|c| joint(c) == wanted);
        let theirs = same.unwrap_or(&theirs.links[k]);
        let moves = mine.joint.is_some() || !fixed;
        let mass = 100.0 * (mine.mass - theirs.mass).abs() / theirs.mass.max(1e-9);
        let com = (mine.com - theirs.com).norm() * 1e3;
        let inertia =
            100.0 * (mine.inertia - theirs.inertia).norm() / theirs.inertia.norm().max(1e-15);
        if moves {
            for (w, e) in worst.iter_mut().zip([mass, com, inertia]) {
                *w = w.max(e);
            }
        }
        table.push([
            name.to_owned(),
            wanted.unwrap_or_else(|| "root".to_owned()),
            u8::from(moves).to_string(),
            format!("{:.6}", mine.mass),
            format!("{:.6}", theirs.mass),
            number(mass),
            number(com),
            number(inertia),
        ]);
    }
    worst
}
