//! Draws an arena with the robot at rest and a few models, without physics, to look at their
//! visuals: `look ASSETS OUT [MODEL@X,Y,Z[,YAW_DEG]]...` writes `agentview.png` and
//! `eye_in_hand.png`, mirrored like the images of the policies.

use bitvla_sim::render::Renderer;
use bitvla_sim::{ArenaDesc, InstanceDesc, JointKind, ModelDesc, SceneDesc, VisualState, isometry};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};

/// Joint positions of the reset pose, and the fingers (fact sheet section 3).
const QPOS: [f64; 9] = [
    0.0,
    -0.161,
    0.0,
    -2.4446,
    0.0,
    2.22675,
    std::f64::consts::FRAC_PI_4,
    0.0208,
    -0.0208,
];

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()).into())
}

fn place(model: &ModelDesc, root: Isometry3<f64>, q: &[f64], state: &mut VisualState) {
    let first = state.poses.len();
    let mut joints = q.iter();
    for (i, b) in model.bodies.iter().enumerate() {
        let parent = b.parent.as_ref().and_then(|p| {
            let at = model.bodies.iter().position(|x| x.name == *p)?;
            Some(state.poses[first + at])
        });
        let mut pose = if i == 0 {
            root
        } else {
            parent.unwrap_or(root) * isometry(b.pos, b.quat_wxyz)
        };
        let mut at = 0.0;
        if let Some(j) = &b.joint {
            at = joints.next().copied().unwrap_or(0.0);
            let axis = Vector3::from(j.axis);
            pose *= match j.kind {
                JointKind::Hinge => Isometry3::from_parts(
                    Translation3::identity(),
                    UnitQuaternion::from_scaled_axis(axis * at),
                ),
                JointKind::Slide => Isometry3::translation(axis.x * at, axis.y * at, axis.z * at),
            };
        }
        state.poses.push(pose);
        state.joint_positions.push(at);
    }
}

/// Processor time of this thread, s (Linux; other threads of a busy machine do not count).
fn busy() -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|s| s.split(' ').next()?.parse::<f64>().ok())
        .unwrap_or(0.0)
        * 1e-9
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, assets, out, models @ ..] = args.as_slice() else {
        return Err("usage: look ASSETS OUT [MODEL@X,Y,Z[,YAW_DEG]]...".into());
    };
    let assets = Path::new(assets);
    let arena: ArenaDesc = read(&assets.join("arenas/table.toml"))?;
    let robot: ModelDesc = read(&assets.join("robots/panda.toml"))?;
    let mut instances = Vec::new();
    for spec in models {
        let (name, at) = spec.split_once('@').ok_or("expected MODEL@X,Y,Z")?;
        let v: Vec<f64> = at.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let (object, fixture) = (
            assets.join(format!("objects/{name}.toml")),
            assets.join(format!("fixtures/{name}.toml")),
        );
        let yaw = v.get(3).copied().unwrap_or(0.0).to_radians();
        instances.push(InstanceDesc {
            name: name.into(),
            model: Arc::new(read(if object.exists() { &object } else { &fixture })?),
            pose: Isometry3::new(Vector3::new(v[0], v[1], v[2]), Vector3::new(0.0, 0.0, yaw)),
            fixed: true,
            joint_positions: BTreeMap::new(),
        });
    }
    let b = arena.robot_base_pos;
    let scene = SceneDesc {
        arena: Arc::new(arena),
        robot: Arc::new(robot),
        instances,
    };
    let mut state = VisualState {
        poses: Vec::new(),
        joint_positions: Vec::new(),
    };
    place(&scene.arena.model, Isometry3::identity(), &[], &mut state);
    place(
        &scene.robot,
        Isometry3::translation(b[0], b[1], b[2]),
        &QPOS,
        &mut state,
    );
    for i in &scene.instances {
        place(&i.model, i.pose, &[], &mut state);
    }
    let mut renderer = Renderer::new(&scene)?;
    println!("{} triangles", renderer.triangle_count());
    for camera in ["agentview", "eye_in_hand"] {
        let size = 256;
        let mut best = f64::MAX;
        for k in 0..20 {
            state.joint_positions[0] = f64::from(k);
            let start = busy();
            let frame = renderer.render(&state, camera, size, size)?;
            best = best.min(busy() - start);
            if k == 0 {
                frame
                    .flipped_lr()
                    .write_png(&Path::new(out).join(format!("{camera}.png")))?;
            }
        }
        println!("{camera}: {:.2} ms (with its shadow map)", best * 1e3);
    }
    Ok(())
}
