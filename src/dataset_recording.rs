//! Recording of data sets: a policy acts from initial states of its own, and every control step is kept with its camera images.

use crate::agent::{AgentFactory, EpisodeStart, ErasedAgent};
use crate::{ActionChunkExecutor, CameraRig, EvalContext, EvalError, in_parallel, sampled_world};
use bitvla_datasets::{
    DatasetFormat, DatasetInfo, DatasetWriter, EncodedImage, RecordedEpisode, RecordedStep,
    RobotState,
};
use bitvla_policies::{Flip, QuaternionRule};
use bitvla_tasks::{Assets, Task};
use std::collections::BTreeMap;
use std::path::Path;

/// First seed of the initial states, far above those of the stored ones, of training and of calibration.
const FIRST_SEED: u64 = 2_000_000_000;
/// Seeds between those of two recordings.
const SEEDS: u64 = 1_000_000;

/// What is recorded.
pub(crate) struct RecordingPlan {
    /// Format of the data set.
    pub format: DatasetFormat,
    /// What its episodes share.
    pub info: DatasetInfo,
    /// Indices of the tasks.
    pub tasks: Vec<usize>,
    /// Episodes of each task.
    pub episodes: usize,
    /// Number of the recording: two of different numbers share no initial state.
    pub seed: u64,
    /// Threads; never change a byte.
    pub jobs: usize,
}

/// How far a recording is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordingProgress {
    /// Episodes that ended.
    pub episodes: usize,
    /// Those among them that reached the goal, and are in the data set.
    pub successes: usize,
    /// Control steps in the data set.
    pub steps: usize,
}

/// Records episodes task after task into `dir`; those that do not reach the goal are left out. `show` is told the progress.
///
/// # Errors
/// If a world cannot be built, the policy cannot act, or a file cannot be written; if no episode reached the goal.
pub(crate) fn record(
    context: EvalContext<'_>,
    factory: &dyn AgentFactory,
    plan: &RecordingPlan,
    dir: &Path,
    show: &mut dyn FnMut(RecordingProgress) -> Result<(), EvalError>,
) -> Result<RecordingProgress, EvalError> {
    let mut writer = plan.format.writer(dir, &plan.info)?;
    let todo: Vec<(usize, usize)> = (plan.tasks.iter())
        .flat_map(|task| std::iter::repeat_n(*task, plan.episodes))
        .enumerate()
        .collect();
    let mut progress = RecordingProgress::default();
    // Episodes that wait for earlier ones.
    let mut waiting: BTreeMap<usize, RecordedEpisode> = BTreeMap::new();
    let mut next = 0;
    in_parallel(
        &todo,
        plan.jobs,
        || Ok::<_, EvalError>((Assets::open(context.assets.dir())?, factory.make()?)),
        |(assets, agent), &(number, task)| {
            let seed = FIRST_SEED + SEEDS * plan.seed + number as u64;
            let episode = record_episode((context, assets), (task, seed), &mut **agent, plan)?;
            Ok((number, episode))
        },
        |(number, episode)| {
            waiting.insert(number, episode);
            while let Some(episode) = waiting.remove(&next) {
                next += 1;
                progress.episodes += 1;
                if episode.success {
                    progress.successes += 1;
                    progress.steps += episode.steps.len();
                    writer.add(&episode)?;
                }
            }
            show(progress)
        },
    )?;
    if progress.successes == 0 {
        return Err(EvalError::Input(format!(
            "none of {} episodes of `{}` reached the goal: there is nothing to record",
            progress.episodes,
            factory.name()
        )));
    }
    DatasetWriter::finish(writer)?;
    Ok(progress)
}

/// One episode of a task, up to success or the horizon.
fn record_episode(
    (context, assets): (EvalContext<'_>, &Assets),
    (task, seed): (usize, u64),
    agent: &mut dyn ErasedAgent,
    plan: &RecordingPlan,
) -> Result<RecordedEpisode, EvalError> {
    let known: &Task = context.task(task)?;
    let mut world = sampled_world(assets, context.suite, known, seed, 0.0)?;
    let goal = known.compile_goal(&world)?;
    let start = EpisodeStart::new((context.suite, known), 0, seed, &world);
    let mut executor = ActionChunkExecutor::start(agent, &start)?;
    let mut cameras = CameraRig::new(world.scene())?;
    let mut shown = None;
    let side = plan.info.side;
    let mut episode = RecordedEpisode {
        task,
        problem: known.problem.name.clone(),
        instruction: known.instruction.clone(),
        seed,
        steps: Vec::new(),
        success: false,
    };
    for _ in 0..context.suite.horizon {
        let images = cameras.policy_images(&world, (side, Flip::default()))?;
        let encode = |rgb: &[u8]| EncodedImage::new(plan.format, rgb, side);
        let images = [encode(&images.agentview.rgb)?, encode(&images.wrist.rgb)?];
        let observed = world.observation();
        let decision = executor.decide(agent, &mut shown, &world, known);
        let action = decision?.action;
        episode.steps.push(RecordedStep {
            images,
            robot: RobotState {
                position: observed.eef_pos,
                rotation: QuaternionRule::default().axis_angle(observed.eef_quat_xyzw),
                quaternion: observed.eef_quat_xyzw,
                joints: observed.joint_pos,
                fingers: observed.gripper_qpos,
            },
            action,
        });
        world.step(&action)?;
        if goal.holds(&world) {
            episode.success = true;
            break;
        }
    }
    executor.end(agent, episode.success);
    Ok(episode)
}
