//! Draws an arena with the robot in its reset posture and a few models, without physics, to check their appearance:
//! `render_models ASSETS OUT [MODEL@X,Y,Z[,YAW_DEG]]...` writes `agentview.png` and `eye_in_hand.png`, flipped like the
//! images of the policies.

use bitvla_sim::panda::RESET_QPOS;
use bitvla_sim::render::Renderer;
use bitvla_sim::{ArenaDesc, InstanceDesc, JointKind, ModelDesc, SceneDesc, VisualState, isometry};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Adds the bodies of a model, root at a world pose, joints at positions `q` in order and at 0 beyond them.
fn add_model(
    model: &ModelDesc,
    root: Isometry3<f64>,
    q: &[f64],
    state: &mut VisualState,
) -> Result<(), Box<dyn Error>> {
    let first = state.poses.len();
    let mut positions = q.iter();
    for b in &model.bodies {
        let mut pose = match &b.parent {
            None => root,
            Some(name) => {
                let parent = (model.bodies.iter().position(|x| x.name == *name))
                    .ok_or_else(|| format!("{}: no body {name}", model.name))?;
                state.poses[first + parent] * isometry(b.pos, b.quat_wxyz)
            }
        };
        let mut position = 0.0;
        if let Some(joint) = &b.joint {
            position = positions.next().copied().unwrap_or(0.0);
            let axis = Vector3::from(joint.axis) * position;
            pose *= match joint.kind {
                JointKind::Hinge => Isometry3::from_parts(
                    Translation3::identity(),
                    UnitQuaternion::from_scaled_axis(axis),
                ),
                JointKind::Slide => Isometry3::translation(axis.x, axis.y, axis.z),
            };
        }
        state.poses.push(pose);
        state.joint_positions.push(position);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, assets, out, models @ ..] = args.as_slice() else {
        return Err("usage: render_models ASSETS OUT [MODEL@X,Y,Z[,YAW_DEG]]...".into());
    };
    let assets = Path::new(assets);
    let arena: ArenaDesc = read(&assets.join("arenas/table.toml"))?;
    let robot: ModelDesc = read(&assets.join("robots/panda.toml"))?;
    let mut instances = Vec::new();
    for spec in models {
        let (name, pose) = spec.split_once('@').ok_or("expected MODEL@X,Y,Z")?;
        let v: Vec<f64> = pose.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let [x, y, z, ref yaw @ ..] = v[..] else {
            return Err("expected MODEL@X,Y,Z".into());
        };
        let (object, fixture) = (
            assets.join(format!("objects/{name}.toml")),
            assets.join(format!("fixtures/{name}.toml")),
        );
        let yaw = yaw.first().copied().unwrap_or(0.0).to_radians();
        instances.push(InstanceDesc {
            name: name.into(),
            model: Arc::new(read(if object.exists() { &object } else { &fixture })?),
            pose: Isometry3::new(Vector3::new(x, y, z), Vector3::new(0.0, 0.0, yaw)),
            fixed: true,
            joint_positions: BTreeMap::new(),
        });
    }
    let base = isometry(arena.robot_base_pos, [1.0, 0.0, 0.0, 0.0]);
    let scene = SceneDesc {
        arena: Arc::new(arena),
        robot: Arc::new(robot),
        instances,
    };
    let mut state = VisualState {
        poses: Vec::new(),
        joint_positions: Vec::new(),
    };
    add_model(&scene.arena.model, Isometry3::identity(), &[], &mut state)?;
    add_model(&scene.robot, base, &RESET_QPOS, &mut state)?;
    for i in &scene.instances {
        add_model(&i.model, i.pose, &[], &mut state)?;
    }
    let mut renderer = Renderer::new(&scene)?;
    println!("{} triangles", renderer.triangle_count());
    for camera in ["agentview", "eye_in_hand"] {
        let path = Path::new(out).join(format!("{camera}.png"));
        let image = renderer.render(&state, camera, 256, 256)?;
        image.flipped_lr().write_png(&path)?;
        println!("{}", path.display());
    }
    Ok(())
}
