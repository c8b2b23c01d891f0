//! Steps a world of a shipped suite under the scripted expert and saves what its first camera sees:
//! `cargo run --release --example step_world_and_save_picture -- picture.png`.

use bitvla_sim::render::Renderer;
use bitvla_tasks::{Assets, Expert, Suite};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args().nth(1).unwrap_or("picture.png".into()));

    // A world: task 0 of the suite `spatial` in its first initial state.
    let assets = Assets::open(&Assets::default_dir())?;
    let suite = Suite::load(&assets, "spatial")?;
    let task = &suite.tasks[0];
    let mut world = task.world(&assets, &task.init_states[0])?;

    // Three seconds at 20 control steps per second. An action is a translation, a rotation and the gripper.
    let mut expert = Expert::new(&world, task)?;
    for _ in 0..60 {
        let action: [f64; 7] = expert.act(&world);
        world.step(&action)?;
    }
    let robot = world.observation();
    println!(
        "grip site {:?} m, fingers {:?} m",
        robot.eef_pos, robot.gripper_qpos
    );

    let mut renderer = Renderer::new(world.scene())?;
    let image = renderer.render(&world.visual_state(), "agentview", 512, 512)?;
    image.write_png(&path)?;
    println!("{}", path.display());
    Ok(())
}
