//! Inertia: mass, centre of mass and inertia of every body that moves, against the compiled MuJoCo models
//! (docs/reference/libero.md, sections 1 and 3, docs/reference/libero-objects.md). Bodies that are welded together are
//! merged on both sides.

use super::{MeasureContext, Measured};
use crate::ParityError;
use crate::recorded_scenes::is_unknown;
use crate::reference::{ModelRecord, ObjectsFile};
use bitvla_reports::{largest, read_json};
use bitvla_sim::links::{Link, LinkTree};
use bitvla_sim::{BodyDesc, InertiaDesc, JointDesc, JointKind, ModelDesc};

/// Bodies of the pedestal: welded to the world, so their inertia acts on nothing.
const PEDESTAL: &str = "mount0_";
/// Smallest divisors of relative errors, kg and kg m²: a recorded zero gives a huge error instead of NaN.
const LEAST_MASS: f64 = 1e-9;
const LEAST_INERTIA: f64 = 1e-15;

/// Comparison of one body.
pub(crate) struct BodyErrors {
    /// Name of its joint, `root` for the first body of a model.
    pub name: String,
    /// False for one that is welded to the world.
    pub moves: bool,
    pub mass_kg: f64,
    pub recorded_mass_kg: f64,
    /// Relative error of the mass, %.
    pub mass_percent: f64,
    /// Distance of the centres of mass, mm.
    pub com_mm: f64,
    /// Relative error of the inertia (Frobenius norm), %.
    pub inertia_percent: f64,
}

/// Comparison of one model.
pub(crate) struct ModelErrors {
    /// Category, or `panda`.
    pub name: String,
    /// One per body; `None` where the models have different numbers of bodies that move on their own.
    pub bodies: Option<Vec<BodyErrors>>,
}

impl ModelErrors {
    /// Largest errors of the bodies that move: mass (%), centre of mass (mm), inertia (%); zero for a model none of whose
    /// bodies moves, infinite where the bodies do not correspond.
    pub fn worst(&self) -> [f64; 3] {
        let Some(bodies) = &self.bodies else {
            return [f64::INFINITY; 3];
        };
        let moving = || bodies.iter().filter(|b| b.moves);
        let worst = |f: fn(&BodyErrors) -> f64| match moving().next() {
            Some(_) => largest(moving().map(f)).unwrap_or(f64::NAN),
            None => 0.0,
        };
        [
            worst(|b| b.mass_percent),
            worst(|b| b.com_mm),
            worst(|b| b.inertia_percent),
        ]
    }
}

pub(crate) fn measure(ctx: &MeasureContext<'_>) -> Result<Measured<ModelErrors>, ParityError> {
    let objects: ObjectsFile = read_json(&ctx.data.join("objects.json"))?;
    let robot: ModelRecord = read_json(&ctx.data.join("robot.json"))?;
    let assets = &ctx.scenes.assets;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let mut add = |name: &str, ours: &LinkTree, theirs: &LinkTree, fixed: bool| {
        let (found, recorded) = (ours.links.len(), theirs.links.len());
        let same = found == recorded;
        if !same {
            notes.push(format!(
                "{name}: {found} bodies that move on their own, MuJoCo's has {recorded}"
            ));
        }
        rows.push(ModelErrors {
            name: name.to_owned(),
            bodies: same.then(|| compare(ours, theirs, fixed)),
        });
    };
    let mut unknown = Vec::new();
    for (category, record) in &objects.objects {
        let found = assets.model(category);
        let Ok((model, fixed)) = found else {
            is_unknown(found)?;
            unknown.push(format!("no model of `{category}`: not compared"));
            continue;
        };
        let theirs = recorded_tree(category, record, None)?;
        add(category, &LinkTree::new(&model)?, &theirs, fixed);
    }
    let theirs = recorded_tree("panda", &robot, Some(PEDESTAL))?;
    let ours = LinkTree::new(&*assets.robot()?)?;
    add("panda", &ours, &theirs, true);
    notes.splice(0..0, unknown);
    Ok(Measured { rows, notes })
}

/// Builds the tree of the recorded bodies; the first body is the root, at the origin.
fn recorded_tree(
    name: &str,
    record: &ModelRecord,
    skip: Option<&str>,
) -> Result<LinkTree, ParityError> {
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
        } else if has_joint(&b.name) {
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
            stiffness: 0.0,
            spring_reference: 0.0,
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

/// Returns true for the links of the recorded robot that have a joint: link1 to link7 and the fingers.
fn has_joint(body: &str) -> bool {
    let link = body.strip_prefix("robot0_link");
    link.is_some_and(|n| n != "0")
        || body == "gripper0_leftfinger"
        || body == "gripper0_rightfinger"
}

/// Compares two trees with the same number of bodies; the roots of `fixed` models are welded to the world.
fn compare(ours: &LinkTree, theirs: &LinkTree, fixed: bool) -> Vec<BodyErrors> {
    let joint = |c: &Link| {
        c.joint
            .as_ref()
            .map(|j| j.name.trim_start_matches('@').to_owned())
    };
    let pairs = ours.links.iter().enumerate().map(|(k, mine)| {
        // Joints are matched by name, in any order; those of the robot have other names and the same order.
        let name = joint(mine);
        let same = theirs.links.iter().find(|c| joint(c) == name);
        let theirs = same.unwrap_or(&theirs.links[k]);
        let (mass, inertia) = (mine.mass - theirs.mass, mine.inertia - theirs.inertia);
        BodyErrors {
            name: name.unwrap_or_else(|| "root".to_owned()),
            moves: mine.moves(fixed),
            mass_kg: mine.mass,
            recorded_mass_kg: theirs.mass,
            mass_percent: 100.0 * mass.abs() / theirs.mass.max(LEAST_MASS),
            com_mm: (mine.com - theirs.com).norm() * 1e3,
            inertia_percent: 100.0 * inertia.norm() / theirs.inertia.norm().max(LEAST_INERTIA),
        }
    });
    pairs.collect()
}
