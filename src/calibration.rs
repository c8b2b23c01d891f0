//! Observations of demonstrations, by which post-training quantisation takes its ranges. Their initial states are drawn as those of
//! training: never one of the stored ones.

use crate::{CameraRig, EvalError, proprio, sampled_world};
use bitvla_policies::processor::ModelInputs;
use bitvla_policies::{Observation, Policy, VlaPolicy};
use bitvla_tasks::{Assets, Expert, Suite};

/// First seed of the initial states, far above those of the stored ones and of training.
const FIRST_SEED: u64 = 900_000_000;
/// Control steps between two observations of an episode.
const STRIDE: usize = 8;

/// What the network of a policy is asked in `count` moments of the scripted expert's episodes, task after task.
///
/// # Errors
/// If a world cannot be built, or the policy does not know the suite.
pub(crate) fn demonstrations(
    assets: &Assets,
    suite: &Suite,
    policy: &VlaPolicy,
    count: usize,
) -> Result<Vec<ModelInputs>, EvalError> {
    let protocol = policy.protocol();
    let mut inputs = Vec::with_capacity(count);
    for episode in 0.. {
        let task = &suite.tasks[episode % suite.tasks.len()];
        let mut world = sampled_world(assets, suite, task, FIRST_SEED + episode as u64, 0.0)?;
        let goal = task.compile_goal(&world)?;
        let mut cameras = CameraRig::new(world.scene())?;
        let mut expert = Expert::new(&world, task)?;
        // As many of each task.
        let mut left = count.div_ceil(suite.tasks.len()).min(count - inputs.len());
        for step in 0..suite.horizon {
            if left == 0 || goal.holds(&world) {
                break;
            }
            if step % STRIDE == 0 {
                let looks = (protocol.camera_size, protocol.flip);
                let images = cameras.policy_images(&world, looks)?;
                inputs.push(policy.encode(&Observation {
                    agentview: &images.agentview.rgb,
                    wrist: &images.wrist.rgb,
                    proprio: proprio(&world.observation(), protocol.quaternion_rule),
                    instruction: &task.instruction,
                })?);
                left -= 1;
            }
            world.step(&expert.act(&world))?;
        }
        if inputs.len() >= count {
            break;
        }
    }
    Ok(inputs)
}
