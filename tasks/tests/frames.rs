//! Guarantee: the images of the scenes of the spatial suite are pinned to the byte: all tasks, both cameras,
//! at the start and while the arm moves by a fixed series of actions (world version 3).

use bitvla_sim::render::Renderer;
use bitvla_tasks::{Assets, Suite, TaskError};
use sha2::{Digest, Sha256};

/// Where the arm goes: down and to the left, then across with a turn, then down with the fingers closing.
const ACTIONS: [[f64; 7]; 3] = [
    [0.3, -0.4, -0.8, 0.0, 0.0, 0.0, -1.0],
    [0.2, 0.9, -0.1, 0.1, 0.2, -0.5, -1.0],
    [-0.2, -0.3, -0.6, 0.0, -0.3, 0.4, 1.0],
];

#[test]
fn both_cameras_show_the_pinned_bytes() -> Result<(), TaskError> {
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "spatial")?;
    let mut hash = Sha256::new();
    for task in &suite.tasks {
        let mut world = task.world(&assets, &task.init_states[0])?;
        let mut renderer = Renderer::new(world.scene())?;
        for step in 0..=90 {
            if step % 30 == 0 {
                let state = world.visual_state();
                for camera in ["agentview", "eye_in_hand"] {
                    hash.update(&renderer.render(&state, camera, 256, 256)?.rgb);
                }
            }
            world.step(&ACTIONS[(step / 30).min(2)])?;
        }
    }
    let digest: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        digest,
        "f6c5e78223a281fab912e13afaf557bee52cf298d27df1564554eff906036520"
    );
    Ok(())
}
