//! Checks of models: bodies and their tree, joints, inertias, shapes, sites, materials.

use super::checker::{Checker, Item, UNIT_TOLERANCE};
use super::shape::check_shape;
use crate::error::TaskError;
use bitvla_sim::{
    ArticulationDesc, BodyDesc, CollisionDesc, InertiaDesc, JointDesc, MAX_INERTIA, MAX_MASS_KG,
    MaterialDesc, ModelDesc, ShapeDesc, VisualDesc,
};
use std::collections::BTreeSet;
use std::path::Path;

/// Most shapes of a model.
const MAX_SHAPES: usize = 4000;

/// Checks a model.
pub(crate) fn validate_model(path: &Path, text: &str, model: &ModelDesc) -> Result<(), TaskError> {
    let check = Checker {
        path,
        text,
        table: "bodies",
    };
    check_model(&check, model)
}

/// Names that have been seen; all of one kind are unique in a model.
#[derive(Default)]
struct SeenNames {
    bodies: BTreeSet<String>,
    joints: BTreeSet<String>,
    sites: BTreeSet<String>,
}

/// Checks a model that is part of a file.
pub(super) fn check_model(check: &Checker, model: &ModelDesc) -> Result<(), TaskError> {
    let whole = Item::new(format!("model `{}`", model.name), 1);
    if model.bodies.is_empty() {
        return check.fail(&whole, "no bodies".into(), "at least one body");
    }
    let p = &model.placement;
    let offsets = [p.bottom_offset, p.top_offset, p.horizontal_radius];
    check.length(&whole, "placement", &offsets)?;
    check.quat(&whole, p.quat_wxyz)?;
    check.finite(&whole, "yaw_range", &p.yaw_range)?;
    if let Some(articulation) = &model.articulation {
        check_articulation(check, &whole, articulation)?;
    }
    for (name, material) in &model.materials {
        check_material(check, name, material)?;
    }
    let shapes = model
        .bodies
        .iter()
        .map(|b| b.collision.len() + b.visual.len());
    let count: usize = shapes.sum();
    if count > MAX_SHAPES {
        let found = format!("{count} shapes");
        return check.fail(&whole, found, &format!("at most {MAX_SHAPES} shapes"));
    }
    let mut seen = SeenNames::default();
    for (i, body) in model.bodies.iter().enumerate() {
        check_body(check, model, i, body, &mut seen)?;
    }
    Ok(())
}

/// Checks that every interval of the joint thresholds has finite ends in order.
fn check_articulation(
    check: &Checker,
    item: &Item,
    articulation: &ArticulationDesc,
) -> Result<(), TaskError> {
    let a = articulation;
    let intervals = [
        ("open", a.open),
        ("close", a.close),
        ("turn_on", a.turn_on),
        ("turn_off", a.turn_off),
        ("sample_open", a.sample_open),
        ("sample_close", a.sample_close),
        ("sample_on", a.sample_on),
        ("sample_off", a.sample_off),
    ];
    for (name, interval) in intervals {
        let Some([low, high]) = interval else {
            continue;
        };
        let what = format!("articulation.{name}");
        check.finite(item, &what, &[low, high])?;
        if low > high {
            let found = format!("{what} [{low}, {high}]");
            return check.fail(item, found, "[low, high] with low <= high");
        }
    }
    Ok(())
}

fn check_material(check: &Checker, name: &str, material: &MaterialDesc) -> Result<(), TaskError> {
    let item = Item::new(format!("material `{name}`"), 1);
    check.finite(&item, "rgb", &material.rgb)?;
    let strengths = [
        material.specular,
        material.shininess,
        material.emission,
        material.alpha,
        material.reflectance,
    ];
    check.finite(&item, "strength", &strengths)?;
    if let Some(texture) = &material.texture {
        check.finite(&item, "colors", texture.colors.as_flattened())?;
        if let Some(repeat) = &texture.repeat {
            check.finite(&item, "repeat", repeat)?;
        }
    }
    Ok(())
}

fn check_body(
    check: &Checker,
    model: &ModelDesc,
    index: usize,
    body: &BodyDesc,
    seen: &mut SeenNames,
) -> Result<(), TaskError> {
    let item = Item::new(
        format!("body `{}`", body.name),
        check.line(check.table, index),
    );
    check_parent(check, &item, index, body, &seen.bodies)?;
    check.unique(&item, &mut seen.bodies, &body.name)?;
    check.length(&item, "pos", &body.pos)?;
    check.quat(&item, body.quat_wxyz)?;
    if let Some(joint) = &body.joint {
        check.unique(&item, &mut seen.joints, &joint.name)?;
        check_joint(check, &item, joint)?;
    }
    if let Some(inertia) = &body.inertia {
        check_inertia(check, &item, inertia)?;
    }
    for (k, shape) in body.collision.iter().enumerate() {
        let line = check.line_in_body(index, "collision", k);
        let item = Item::new(format!("collision shape {k} of {}", item.description), line);
        check_collision(check, &item, shape)?;
    }
    for (k, shape) in body.visual.iter().enumerate() {
        let line = check.line_in_body(index, "visual", k);
        let item = Item::new(format!("visual shape {k} of {}", item.description), line);
        check_visual(check, &item, model, shape)?;
    }
    for (k, site) in body.site.iter().enumerate() {
        let line = check.line_in_body(index, "site", k);
        let item = Item::new(
            format!("site `{}` of {}", site.name, item.description),
            line,
        );
        check.unique(&item, &mut seen.sites, &site.name)?;
        check.length(&item, "pos", &site.pos)?;
        check.quat(&item, site.quat_wxyz)?;
        check.not_negative(&item, "half", &site.half)?;
    }
    Ok(())
}

/// Checks that the first body is the root and the parent of every other body comes before it.
fn check_parent(
    check: &Checker,
    item: &Item,
    index: usize,
    body: &BodyDesc,
    earlier: &BTreeSet<String>,
) -> Result<(), TaskError> {
    match &body.parent {
        None if index > 0 => {
            let expected = "the name of an earlier body (only the first body is a root)";
            check.fail(item, "no parent".into(), expected)
        }
        Some(parent) if index == 0 => {
            let found = format!("parent `{parent}`");
            check.fail(item, found, "a first body without a parent")
        }
        Some(parent) if !earlier.contains(parent.as_str()) => {
            let found = format!("parent `{parent}`");
            check.fail(item, found, "the name of an earlier body")
        }
        _ => Ok(()),
    }
}

fn check_joint(check: &Checker, item: &Item, joint: &JointDesc) -> Result<(), TaskError> {
    check.finite(item, "axis", &joint.axis)?;
    check.finite(item, "range", &joint.range)?;
    check.finite(item, "spring_reference", &[joint.spring_reference])?;
    let losses = [
        joint.damping,
        joint.friction_loss,
        joint.armature,
        joint.stiffness,
    ];
    check.not_negative(item, "damping, friction loss, armature, stiffness", &losses)?;
    let length = joint.axis.iter().map(|x| x * x).sum::<f64>().sqrt();
    if (length - 1.0).abs() > UNIT_TOLERANCE {
        return check.fail(item, format!("axis of length {length}"), "a unit axis");
    }
    if joint.range[0] > joint.range[1] {
        let found = format!("joint range {:?}", joint.range);
        return check.fail(item, found, "[low, high] with low <= high");
    }
    Ok(())
}

fn check_inertia(check: &Checker, item: &Item, inertia: &InertiaDesc) -> Result<(), TaskError> {
    check.at_most(item, "mass", "kg", MAX_MASS_KG, &[inertia.mass])?;
    check.not_negative(item, "mass", &[inertia.mass])?;
    check.length(item, "com", &inertia.com)?;
    check.at_most(item, "diagonal", "kg m^2", MAX_INERTIA, &inertia.diagonal)?;
    check.not_negative(item, "diagonal", &inertia.diagonal)?;
    check.quat(item, inertia.quat_wxyz)
}

fn check_collision(check: &Checker, item: &Item, shape: &CollisionDesc) -> Result<(), TaskError> {
    check.length(item, "pos", &shape.pos)?;
    check.quat(item, shape.quat_wxyz)?;
    let values = [shape.friction, shape.density];
    check.not_negative(item, "friction, density", &values)?;
    if matches!(
        shape.shape,
        ShapeDesc::Lathe { .. } | ShapeDesc::Mesh { .. }
    ) {
        let found = "a lathe or mesh, which are only drawn,".to_string();
        return check.fail(item, found, "box, sphere, cylinder, capsule or hull");
    }
    check_shape(check, item, &shape.shape)
}

fn check_visual(
    check: &Checker,
    item: &Item,
    model: &ModelDesc,
    shape: &VisualDesc,
) -> Result<(), TaskError> {
    check.length(item, "pos", &shape.pos)?;
    check.quat(item, shape.quat_wxyz)?;
    check_shape(check, item, &shape.shape)?;
    if !model.materials.contains_key(&shape.material) {
        let found = format!("material `{}`", shape.material);
        return check.fail(item, found, "a name of `materials`");
    }
    if let Some(when) = &shape.visible_when {
        check.finite(item, "visible_when", &[when.at_least])?;
        let is_joint = (model.bodies.iter())
            .filter_map(|body| body.joint.as_ref())
            .any(|joint| joint.name == when.joint);
        if !is_joint {
            let found = format!("joint `{}`", when.joint);
            return check.fail(item, found, "the name of a joint of this model");
        }
    }
    Ok(())
}
