//! Checks of arenas.

use super::checker::{Checker, Item};
use super::model::check_model;
use crate::error::TaskError;
use bitvla_sim::ArenaDesc;
use std::collections::BTreeSet;
use std::path::Path;

/// Checks an arena: its model, cameras, lights and numbers.
pub(crate) fn validate_arena(path: &Path, text: &str, arena: &ArenaDesc) -> Result<(), TaskError> {
    let check = Checker {
        path,
        text,
        table: "model.bodies",
    };
    check_model(&check, &arena.model)?;
    let mut names = BTreeSet::new();
    for (i, camera) in arena.cameras.iter().enumerate() {
        let item = Item::new(
            format!("camera `{}`", camera.name),
            check.line("cameras", i),
        );
        check.unique(&item, &mut names, &camera.name)?;
        check.length(&item, "pos", &camera.pos)?;
        check.quat(&item, camera.quat_wxyz)?;
        if !(camera.fovy_deg > 0.0 && camera.fovy_deg < 180.0) {
            let found = format!("field of view {}", camera.fovy_deg);
            return check.fail(&item, found, "degrees between 0 and 180");
        }
    }
    for (i, light) in arena.lights.iter().enumerate() {
        let item = Item::new(format!("light {i}"), check.line("lights", i));
        check.length(&item, "pos", &light.pos)?;
        check.finite(&item, "dir", &light.dir)?;
        let strengths = [
            light.ambient,
            light.diffuse,
            light.specular,
            light.cutoff_deg,
        ];
        check.finite(&item, "strength", &strengths)?;
        if light.dir.iter().all(|x| *x == 0.0) {
            return check.fail(&item, "direction zero".into(), "a direction");
        }
    }
    let item = Item::new("arena".into(), 1);
    check.length(&item, "workspace_offset", &arena.workspace_offset)?;
    check.length(&item, "robot_base_pos", &arena.robot_base_pos)?;
    check.finite(&item, "headlight", &arena.headlight)?;
    let offsets = [arena.fixture_z_offset, arena.region_site_z];
    check.length(&item, "z offsets", &offsets)
}
