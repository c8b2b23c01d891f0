//! The Panda as LIBERO shows it: the physics of this project's model with the drawn meshes of robosuite.

use super::mjcf;
use super::notice::Notices;
use crate::error::TaskError;
use bitvla_sim::{ModelDesc, isometry};
use std::path::{Path, PathBuf};

/// Files of robosuite's asset folder, and the bodies of theirs that stand for bodies of ours.
const ARM: &str = "robots/panda/robot.xml";
const GRIPPER: &str = "grippers/panda_gripper.xml";
const MOUNT: &str = "mounts/rethink_mount.xml";
/// Where robosuite puts the mount on the robot base, m: its top offset.
const MOUNT_SHIFT: [f64; 3] = [0.0, 0.0, 0.01];

/// The asset folder of a robosuite checkout or package.
pub(super) fn find(dir: &Path) -> Result<PathBuf, TaskError> {
    let inside = ["robosuite/models/assets", "models/assets", "."];
    (inside.iter().map(|part| dir.join(part)))
        .find(|assets| assets.join(ARM).is_file())
        .ok_or_else(|| {
            let part = format!("robosuite/models/assets/{ARM}");
            super::not_one(dir, &part, "a robosuite checkout or package")
        })
}

/// Our robot, with or without its pedestal, in robosuite's looks if there are any.
pub(super) fn dress(
    ours: &ModelDesc,
    robosuite: Option<&Path>,
    pedestal: bool,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let mut model = ours.clone();
    if !pedestal && let Some(base) = model.bodies.first_mut() {
        base.collision.clear();
        base.visual.clear();
    }
    let Some(assets) = robosuite else {
        return Ok(model);
    };
    for body in &mut model.bodies {
        body.visual.clear();
    }
    model.materials.clear();
    for (part, file) in [ARM, GRIPPER, MOUNT].into_iter().enumerate() {
        if file == MOUNT && !pedestal {
            continue;
        }
        let pictures = mjcf::pictures(&assets.join(file), file, notices)?;
        for (name, material) in &pictures.materials {
            model
                .materials
                .insert(format!("{part}{name}"), material.clone());
        }
        for body in &pictures.bodies {
            let target = if file == MOUNT { "base" } else { &body.name };
            let Some(into) = model.bodies.iter_mut().find(|b| b.name == target) else {
                continue;
            };
            for drawn in &body.visual {
                let mut drawn = drawn.clone();
                drawn.material = format!("{part}{}", drawn.material);
                if file == MOUNT {
                    let moved = isometry(MOUNT_SHIFT, [1.0, 0.0, 0.0, 0.0])
                        * isometry(drawn.pos, drawn.quat_wxyz);
                    drawn.pos = moved.translation.vector.into();
                }
                into.visual.push(drawn);
            }
        }
    }
    Ok(model)
}
