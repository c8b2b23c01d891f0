//! `<light>` elements.

use super::document::MjcfElement;
use crate::error::TaskError;
use bitvla_sim::LightDesc;
use nalgebra::Vector3;

/// Reads a light. Colours become their mean: this renderer's lights are grey.
pub(super) fn read_light(el: &MjcfElement) -> Result<LightDesc, TaskError> {
    let grey = |name: &str, default: f64| -> Result<f64, TaskError> {
        Ok(el
            .vector::<3>(name)?
            .map_or(default, |c| c.iter().sum::<f64>() / 3.0))
    };
    if el.flag("active")? == Some(false) {
        return Err(el.fail("active=\"false\"", "a light that is on"));
    }
    let dir = el.vector::<3>("dir")?.unwrap_or([0.0, 0.0, -1.0]);
    let length = Vector3::from(dir).norm();
    if length < 1e-9 {
        return Err(el.fail(format!("dir {dir:?}"), "a direction"));
    }
    Ok(LightDesc {
        pos: el.vector::<3>("pos")?.unwrap_or_default(),
        dir: dir.map(|x| x / length),
        directional: el.flag("directional")?.unwrap_or(false),
        cutoff_deg: el.number("cutoff", 45.0)?,
        ambient: grey("ambient", 0.0)?,
        diffuse: grey("diffuse", 0.7)?,
        specular: grey("specular", 0.3)?,
    })
}
