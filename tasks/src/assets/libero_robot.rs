//! The Panda as LIBERO shows it: the physics of this project's model with the drawn meshes of robosuite.

use crate::error::TaskError;
use crate::mjcf::{self, Notices};
use bitvla_sim::{ModelDesc, isometry};
use std::path::{Path, PathBuf};

/// Body of our robot that is its pedestal.
const PEDESTAL: &str = "mount";
/// Files of robosuite's asset folder whose bodies have the names of ours; the mount belongs to the pedestal.
const ARM: &str = "robots/panda/robot.xml";
const GRIPPER: &str = "grippers/panda_gripper.xml";
const MOUNT: &str = "mounts/rethink_mount.xml";
/// Position of the mount in the frame of the pedestal, m: its top offset in robosuite.
const MOUNT_OFFSET: [f64; 3] = [0.0, 0.0, 0.01];

/// Finds the asset folder of a robosuite checkout or package.
pub(super) fn find_assets(dir: &Path) -> Result<PathBuf, TaskError> {
    let inside = ["robosuite/models/assets", "models/assets", "."];
    (inside.iter().map(|part| dir.join(part)))
        .find(|assets| assets.join(ARM).is_file())
        .ok_or_else(|| {
            let part = format!("robosuite/models/assets/{ARM}");
            TaskError::wrong_folder(dir, &part, "a robosuite checkout or package")
        })
}

/// Our robot, with or without its pedestal, drawn with robosuite's meshes if there are any.
pub(super) fn robot(
    ours: &ModelDesc,
    robosuite: Option<&Path>,
    pedestal: bool,
    notices: &Notices,
) -> Result<ModelDesc, TaskError> {
    let mut model = if pedestal {
        ours.clone()
    } else {
        ours.without_subtree(PEDESTAL)
    };
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
        let visuals = mjcf::read_visuals(&assets.join(file), file, notices)?;
        for (name, material) in &visuals.materials {
            model
                .materials
                .insert(format!("{part}{name}"), material.clone());
        }
        for body in &visuals.bodies {
            if body.visual.is_empty() {
                continue;
            }
            let target = if file == MOUNT { PEDESTAL } else { &body.name };
            let into = (model.bodies.iter_mut().find(|b| b.name == target)).ok_or_else(|| {
                TaskError::Folder {
                    path: assets.join(file),
                    found: format!("a drawn body `{}` that our robot lacks", body.name),
                    expected: "the robot of robosuite 1.4.1".into(),
                }
            })?;
            for visual in &body.visual {
                let mut visual = visual.clone();
                visual.material = format!("{part}{}", visual.material);
                if file == MOUNT {
                    let moved = isometry(MOUNT_OFFSET, [1.0, 0.0, 0.0, 0.0])
                        * isometry(visual.pos, visual.quat_wxyz);
                    visual.pos = moved.translation.vector.into();
                }
                into.visual.push(visual);
            }
        }
    }
    Ok(model)
}
