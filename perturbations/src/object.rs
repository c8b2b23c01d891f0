//! Another look or size of the object that a task is about.

use crate::PerturbationError;
use crate::target::Target;
use bitvla_sim::{InstanceDesc, ModelDesc, SceneDesc, ShapeDesc};
use bitvla_tasks::Task;
use bitvla_tasks::extent::lowest_point;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Variants of LIBERO-PRO's bowl (red, white, yellow, bigger): colour and factor of size.
const VARIANTS: [(Option<[f64; 3]>, Option<f64>); 4] = [
    (Some([0.75, 0.10, 0.10]), None),
    (Some([0.92, 0.92, 0.90]), None),
    (Some([0.90, 0.75, 0.10]), None),
    (None, Some(1.2)),
];

/// The object that a task is about, in another colour or size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectChange {
    /// One of four: red, white, yellow, a fifth bigger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<u8>,
    /// Colour in place of all colours and textures, sRGB 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paint: Option<[f64; 3]>,
    /// Factor of all lengths; the density stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
}

impl ObjectChange {
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(variant) = self.variant.filter(|v| usize::from(*v) >= VARIANTS.len()) {
            return Err(format!(
                "variant: found {variant}, expected 0 to {}",
                VARIANTS.len() - 1
            ));
        }
        if self.variant.is_some() && (self.paint.is_some() || self.scale.is_some()) {
            return Err("found variant and paint or scale, expected one of them".to_owned());
        }
        let unit = |v: &f64| (0.0..=1.0).contains(v);
        if let Some(paint) = self.paint.filter(|paint| !paint.iter().all(unit)) {
            return Err(format!("paint: found {paint:?}, expected three of 0 to 1"));
        }
        if let Some(scale) = self.scale.filter(|v| !(0.3..=2.0).contains(v)) {
            return Err(format!("scale: found {scale}, expected 0.3 to 2"));
        }
        match *self == ObjectChange::default() {
            true => Err("found nothing, expected variant, paint or scale".to_owned()),
            false => Ok(()),
        }
    }

    /// True if the object gets another size.
    pub(crate) fn changes_size(&self) -> bool {
        let of_variant = self.variant.and_then(|v| VARIANTS[usize::from(v)].1);
        self.scale.or(of_variant).is_some()
    }

    /// Changes the model of the target; a resized one stands where it stood.
    ///
    /// # Errors
    /// If the task is about no movable object.
    pub(crate) fn apply(
        &self,
        task: &Task,
        scene: &mut SceneDesc,
    ) -> Result<(), PerturbationError> {
        let target = Target::of(task).filter(|target| target.is_movable);
        let found = target.and_then(|target| scene.instance(&target.instance));
        let Some(instance) = found.map(|i| &mut scene.instances[i]) else {
            return Err(PerturbationError::Task {
                task: task.id,
                what: "object: found a goal about no movable object".to_owned(),
            });
        };
        let (paint, scale) = match self.variant {
            Some(variant) => VARIANTS[usize::from(variant)],
            None => (self.paint, self.scale),
        };
        if let Some(paint) = paint {
            let model = Arc::make_mut(&mut instance.model);
            for material in model.materials.values_mut() {
                material.rgb = paint;
                material.texture = None;
            }
        }
        if let Some(scale) = scale {
            resize_in_place(instance, scale);
        }
        Ok(())
    }
}

/// Multiplies all lengths of an instance, which stands where it stood.
pub(crate) fn resize_in_place(instance: &mut InstanceDesc, factor: f64) {
    let [i, j, k, w] = instance.pose.rotation.coords.into();
    let bottom = |model: &ModelDesc| lowest_point(model, [w, i, j, k]);
    let before = bottom(&instance.model);
    resize(Arc::make_mut(&mut instance.model), factor);
    instance.pose.translation.z += before - bottom(&instance.model);
}

/// Multiplies all lengths of a model; masses and moments grow as those of a body of the same density.
fn resize(model: &mut ModelDesc, factor: f64) {
    let by = |v: &mut [f64; 3]| *v = v.map(|x| x * factor);
    let placement = &mut model.placement;
    placement.bottom_offset *= factor;
    placement.top_offset *= factor;
    placement.horizontal_radius *= factor;
    for body in &mut model.bodies {
        by(&mut body.pos);
        if let Some(inertia) = &mut body.inertia {
            let cube = factor * factor * factor;
            inertia.mass *= cube;
            by(&mut inertia.com);
            inertia.diagonal = inertia.diagonal.map(|m| m * cube * factor * factor);
        }
        for shape in &mut body.collision {
            by(&mut shape.pos);
            resize_shape(&mut shape.shape, factor);
        }
        for shape in &mut body.visual {
            by(&mut shape.pos);
            resize_shape(&mut shape.shape, factor);
        }
        for site in &mut body.site {
            by(&mut site.pos);
            by(&mut site.half);
        }
    }
}

fn resize_shape(shape: &mut ShapeDesc, factor: f64) {
    match shape {
        ShapeDesc::Box { half } => *half = half.map(|x| x * factor),
        ShapeDesc::Sphere { radius } => *radius *= factor,
        ShapeDesc::Cylinder {
            radius,
            half_height,
        }
        | ShapeDesc::Capsule {
            radius,
            half_height,
        } => {
            *radius *= factor;
            *half_height *= factor;
        }
        ShapeDesc::Hull { points } => {
            for point in points {
                *point = point.map(|x| x * factor);
            }
        }
        ShapeDesc::Lathe { profile, .. } => {
            for point in profile {
                *point = point.map(|x| x * factor);
            }
        }
        ShapeDesc::Mesh { vertices, .. } => {
            for vertex in vertices {
                *vertex = vertex.map(|x| x * factor as f32);
            }
        }
    }
}
