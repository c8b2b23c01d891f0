//! Drops models onto the support of an arena, lets them settle, prints where they come to rest and writes the
//! images of both cameras: `settle_models OUT ARENA SIZE CATEGORY[@X,Y[,Z]]...`. Positions are relative to the
//! workspace of the arena, m (Z above the usual drop); without one a model gets a place in a grid. SIZE is the
//! side of the images, pixels; they are mirrored as in the observation of a policy.

use bitvla_sim::panda::RESET_QPOS;
use bitvla_sim::render::Renderer;
use bitvla_sim::{InstanceDesc, SceneDesc, World, isometry};
use bitvla_tasks::Assets;
use nalgebra::Vector3;
use std::{collections::BTreeMap, error::Error, path::Path};

const WAIT: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, out, arena, size, models @ ..] = args.as_slice() else {
        return Err("usage: settle_models OUT ARENA SIZE CATEGORY[@X,Y[,Z]]...".into());
    };
    let size: usize = size.parse()?;
    std::fs::create_dir_all(out)?;
    let assets = Assets::open(&Assets::default_dir())?;
    let arena = assets.arena(arena)?;
    let w = arena.workspace_offset;
    let mut instances = Vec::new();
    for (i, spec) in models.iter().enumerate() {
        let (category, at) = spec.split_once('@').unwrap_or((spec, ""));
        let at: Vec<f64> = (at.split(',').filter(|s| !s.is_empty()))
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let (model, fixed) = assets.model(category)?;
        let placement = &model.placement;
        let x = at.first().copied().unwrap_or(-0.2 + 0.14 * (i / 4) as f64);
        let y = at.get(1).copied().unwrap_or(-0.24 + 0.16 * (i % 4) as f64);
        let rise = at.get(2).copied().unwrap_or(0.0);
        let base = if fixed { arena.fixture_z_offset } else { 0.01 };
        instances.push(InstanceDesc {
            name: format!("{category}_{i}"),
            pose: isometry(
                [
                    w[0] + x,
                    w[1] + y,
                    w[2] + base + rise - placement.bottom_offset,
                ],
                placement.quat_wxyz,
            ),
            model,
            fixed,
            joint_positions: BTreeMap::new(),
        });
    }
    let scene = SceneDesc {
        arena,
        robot: assets.robot()?,
        instances,
    };
    let mut world = World::new(&scene)?;
    world.set_robot_qpos(&RESET_QPOS);
    for _ in 0..40 {
        world.step(&WAIT)?;
    }
    for (i, instance) in scene.instances.iter().enumerate() {
        let now = world.instance_pose(i);
        let turn = now.rotation * instance.pose.rotation.inverse();
        let tilt = (turn * Vector3::z()).z.clamp(-1.0, 1.0);
        println!(
            "{}: z {:.5}, tilt {:.2} deg",
            instance.name,
            now.translation.z,
            libm::acos(tilt).to_degrees()
        );
    }
    let mut renderer = Renderer::new(&scene)?;
    println!("{} triangles", renderer.triangle_count());
    for camera in ["agentview", "eye_in_hand"] {
        let frame = renderer.render(&world.visual_state(), camera, size, size)?;
        (frame.flipped_lr()).write_png(&Path::new(out).join(format!("{camera}.png")))?;
    }
    Ok(())
}
