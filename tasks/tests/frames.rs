//! Guarantee: the images of the scenes of the spatial suite are pinned to the byte: all tasks, both cameras,
//! at the start and while the arm moves (world version 3).

use bitvla_sim::render::Renderer;
use bitvla_tasks::{Assets, Expert, Suite, TaskError};
use sha2::{Digest, Sha256};

#[test]
fn both_cameras_show_the_pinned_bytes() -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "spatial")?;
    let mut hash = Sha256::new();
    for task in &suite.tasks {
        let mut world = task.world(&assets, &task.init_states[0])?;
        let mut renderer = Renderer::new(world.scene())?;
        let mut expert = Expert::new(&world, task)?;
        for step in 0..=90 {
            if step % 30 == 0 {
                let state = world.visual_state();
                for camera in ["agentview", "eye_in_hand"] {
                    hash.update(&renderer.render(&state, camera, 256, 256)?.rgb);
                }
            }
            let action = expert.act(&world);
            world.step(&action)?;
        }
    }
    let digest: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        digest,
        "0124aa960bf415ccb0f2be32e965e2d859b598cf51dc8a76cac223b00ee94ec7"
    );
    Ok(())
}
