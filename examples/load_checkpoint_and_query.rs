//! Loads a BitVLA checkpoint and asks it for actions.
//!
//! `cargo run --release --example load_checkpoint_and_query -- [CHECKPOINT] [INSTRUCTION]`

use bitvla_policies::{Observation, Policy, PolicyError, VlaPolicy, WeightFormat};

fn main() -> Result<(), PolicyError> {
    let mut words = std::env::args().skip(1);
    let shipped = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/checkpoints/spatial/ternary"
    );
    let checkpoint = words.next().unwrap_or_else(|| shipped.into());
    let instruction = words.next().unwrap_or_else(|| {
        "pick up the black bowl next to the plate and place it on the plate".into()
    });

    let mut policy = VlaPolicy::open(checkpoint.as_ref(), WeightFormat::Ternary)?;
    policy.check_instructions(std::slice::from_ref(&instruction))?;
    let protocol = policy.protocol();
    println!("{protocol:#?}");

    // Frames as the protocol wants them: square RGB, mirrored left to right. Here: nothing to see.
    let grey = vec![128u8; protocol.camera_size * protocol.camera_size * 3];
    let chunk = policy.query(&Observation {
        agentview: &grey,
        wrist: &grey,
        proprio: [-0.1, 0.0, 1.0, 3.1, 0.0, 0.0, 0.02, -0.02],
        instruction: &instruction,
    })?;
    for action in &chunk.actions[..protocol.executed_steps] {
        println!("{action:.3?}");
    }
    println!(
        "answered in {:?}, {} bytes resident",
        chunk.times.total(),
        policy.memory().resident()
    );
    Ok(())
}
