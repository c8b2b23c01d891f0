//! Collection of data sets: the robot acts, and its observations are stored with the next actions of the expert.
//!
//! *Demonstrations*: the expert acts, from initial states of its own (seeds from 1 000 000 on; the stored states of a suite
//! have smaller ones). At times a disturbance is added to its actions for a few steps, from which it recovers.
//!
//! *Corrections* (data set aggregation, Ross et al. 2011): a policy acts. In two of three episodes the expert takes over at a random step and
//! finishes, or, with `interventions`, takes turns with the policy.
//!
//! All observations have labels of one kind: the actions of an expert that is made anew from what the world shows, after which the world is restored. The expert that
//! acts remembers how long it has waited and what it has planned; labels that depended on it would contradict those of corrections in states that look the
//! same.

use crate::dataset::{
    CHUNK, EpisodeCounts, TaskCounts, TrainingFrame, downscale_images, shard_path, write_shard,
};
use crate::recipe::CollectionSettings;
use crate::stage_progress::{StageProgress, WorkTime};
use crate::stall::StallDetector;
use anyhow::{Context, Result, ensure};
use bitvla_eval::{
    ActionChunkExecutor, CameraImages, CameraRig, Decision, EpisodeStart, ErasedAgent, EvalError,
    PolicySpec, in_parallel, proprio, sampled_world,
};
use bitvla_policies::{Flip, QuaternionRule};
use bitvla_sim::World;
use bitvla_tasks::predicates::CompiledGoal;
use bitvla_tasks::{Assets, Expert, RestingPositions, Suite, Task};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;

/// Least number of control steps that a policy acts before the expert intervenes, unless it stands still, and the number that it stays below.
const POLICY_TURN: (usize, usize) = (16, 136);
/// Largest number of chunks of actions that the expert acts before it hands back to the policy.
const EXPERT_CHUNKS: usize = 6;
/// Number of episodes of a shard.
const EPISODES_PER_SHARD: usize = 50;
/// First seed of training states.
const FIRST_SEED: u64 = 1_000_000;

/// Returns the seed of the initial state of an episode of a data set, 1 000 000 at least. The stored states of the suites have
/// smaller ones (`tasks/examples/draw_init_states.rs`).
pub fn training_seed(data_set_seed: u64, episode: usize) -> u64 {
    FIRST_SEED * (1 + data_set_seed) + episode as u64
}

/// Source of the executed actions.
#[derive(Debug, Clone)]
pub enum DataSource {
    /// The expert, with disturbances.
    Expert,
    /// A policy, labelled by the expert.
    Policy(Box<PolicySpec>),
}

/// Settings of a data set to collect.
pub struct CollectConfig<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// Suites with the tasks.
    pub suites: &'a [Suite],
    /// Taking of frames.
    pub settings: &'a CollectionSettings,
    /// Name in the progress display.
    pub name: &'a str,
    /// Source of the executed actions.
    pub source: DataSource,
    /// Number of episodes, spread evenly over the tasks.
    pub episodes: usize,
    /// Indices among the tasks of all suites; every task if absent.
    pub tasks: Option<Vec<usize>>,
    /// Seed; data sets of different seeds share no initial state as long as they have fewer than a million episodes.
    pub seed: u64,
    /// Width that is added on each side to every range that fixtures and objects are drawn from, m.
    pub placement_margin: f64,
    /// Number of threads; never changes a frame.
    pub jobs: usize,
}

/// Collects a data set into `dir`, shard by shard; present shards are kept.
///
/// # Errors
/// If the world cannot be built, a policy not loaded or a shard not written.
pub fn collect(config: &CollectConfig<'_>, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let shards = config.episodes.div_ceil(EPISODES_PER_SHARD);
    let present = (0..shards)
        .filter(|s| shard_path(dir, *s).is_file())
        .count();
    if present == shards {
        return Ok(());
    }
    let todo: Vec<usize> = (0..config.episodes)
        .filter(|e| !shard_path(dir, e / EPISODES_PER_SHARD).is_file())
        .collect();
    let skipped = config.episodes - todo.len();
    let mut progress = StageProgress::new(config.name, skipped as u64, config.episodes as u64);
    let time = WorkTime::resume(dir)?;
    let tasks = selected_tasks(config.suites, config.tasks.as_deref())?;
    let (mut done, mut frames, mut counts) = (skipped, 0, EpisodeCounts::default());
    // Episodes by number that wait for the rest of their shard.
    let mut waiting: BTreeMap<usize, BTreeMap<usize, CollectedEpisode>> = BTreeMap::new();
    let factory = match &config.source {
        DataSource::Expert => None,
        DataSource::Policy(spec) => Some(spec.factory()?),
    };
    in_parallel(
        &todo,
        config.jobs,
        || {
            let agent = factory.as_ref().map(|factory| factory.make()).transpose()?;
            Ok((Assets::open(config.assets.dir())?, agent))
        },
        |(assets, agent), &episode| {
            let seed = training_seed(config.seed, episode);
            let task = tasks[episode % tasks.len()];
            let mut collector = EpisodeCollector::new(assets, config, task, seed)?;
            let of_episode = match agent {
                None => collector.demonstrate()?,
                Some(agent) => collector.run_policy(&mut **agent, episode, config.seed)?,
            };
            Ok(((episode, task.0 as u8), collector.frames, of_episode))
        },
        |((episode, task), new, of_episode)| {
            done += 1;
            frames += new.len();
            counts.add(of_episode);
            let shard = episode / EPISODES_PER_SHARD;
            let entry = waiting.entry(shard).or_default();
            entry.insert(episode, (new, task, of_episode));
            let size = EPISODES_PER_SHARD.min(config.episodes - shard * EPISODES_PER_SHARD);
            if entry.len() == size {
                // The entry was filled above.
                let parts = waiting.remove(&shard).unwrap_or_default();
                let mut whole = (Vec::new(), TaskCounts::new());
                for (part, task, of_episode) in parts.into_values() {
                    whole.0.extend(part);
                    whole.1.entry(task).or_default().add(of_episode);
                }
                write_shard(&shard_path(dir, shard), &whole.0, &whole.1)
                    .and_then(|()| time.save())
                    .map_err(|e| EvalError::Input(format!("{e:#}")))?;
            }
            progress.show(
                done as u64,
                &format!(
                    "{frames} frames, {}/{} succeeded",
                    counts.successes, counts.counted
                ),
            );
            Ok::<_, EvalError>(())
        },
    )?;
    Ok(())
}

/// Frames of an episode, index of its task, and its outcome.
type CollectedEpisode = (Vec<TrainingFrame>, u8, EpisodeCounts);

/// Returns the tasks with these indices among those of all suites, each with its index; every task without indices.
fn selected_tasks<'a>(
    suites: &'a [Suite],
    indices: Option<&[usize]>,
) -> Result<Vec<(usize, (&'a Suite, &'a Task))>> {
    let all: Vec<_> = (suites.iter())
        .flat_map(|suite| suite.tasks.iter().map(move |task| (suite, task)))
        .enumerate()
        .collect();
    let Some(indices) = indices else {
        return Ok(all);
    };
    ensure!(!indices.is_empty(), "the list of tasks is empty");
    (indices.iter())
        .map(|&i| {
            let found = all.get(i).copied();
            found.with_context(|| format!("there is no task {i}: the recipe has {}", all.len()))
        })
        .collect()
}

/// Collection of one episode.
struct EpisodeCollector<'a> {
    settings: &'a CollectionSettings,
    suite: &'a Suite,
    task: &'a Task,
    /// Index of the task among those of all suites.
    task_index: usize,
    goal: CompiledGoal,
    world: World,
    cameras: CameraRig,
    rng: ChaCha8Rng,
    frames: Vec<TrainingFrame>,
    rest: RestingPositions,
}

/// Offset that is added to the actions of some steps.
struct ActionDisturbance {
    /// First step.
    from: usize,
    /// Step after the last one.
    until: usize,
    /// Offset of translation and rotation in action units; a positive seventh entry inverts the gripper.
    offset: [f64; 7],
}

impl<'a> EpisodeCollector<'a> {
    fn new(
        assets: &Assets,
        config: &CollectConfig<'a>,
        (task_index, (suite, task)): (usize, (&'a Suite, &'a Task)),
        seed: u64,
    ) -> Result<EpisodeCollector<'a>, EvalError> {
        let world = sampled_world(assets, suite, task, seed, config.placement_margin)?;
        Ok(EpisodeCollector {
            rest: RestingPositions::new(&world),
            cameras: CameraRig::new(world.scene())?,
            goal: task.compile_goal(&world)?,
            settings: config.settings,
            suite,
            task,
            task_index,
            world,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x5eed_0000_0000_0000),
            frames: Vec::new(),
        })
    }

    /// Draws a number, uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws an index, uniform in 0..n.
    fn uniform_below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    /// Executes an action.
    fn step(&mut self, action: &[f64; 7]) -> Result<(), EvalError> {
        self.world.step(action)?;
        self.rest.observe(&self.world);
        Ok(())
    }

    /// Returns an expert that continues from the present state.
    fn resumed_expert(&self) -> Result<Expert, EvalError> {
        Ok(Expert::resume_knowing(&self.world, self.task, &self.rest)?)
    }

    /// Renders both cameras, flipped as in the observation of a policy.
    fn render(&mut self) -> Result<CameraImages, EvalError> {
        Ok(self
            .cameras
            .render(&self.world)?
            .for_policy(Flip::default()))
    }

    /// Returns the present observation, labels still zero.
    fn frame(&mut self) -> Result<TrainingFrame, EvalError> {
        let images = self.render()?;
        Ok(self.frame_of(&images))
    }

    /// Returns the observation with these images, labels still zero.
    fn frame_of(&self, images: &CameraImages) -> TrainingFrame {
        TrainingFrame {
            images: downscale_images(&images.agentview.rgb, &images.wrist.rgb),
            proprio: proprio(&self.world.observation(), QuaternionRule::default()),
            actions: [[0.0; 7]; CHUNK],
            task: self.task_index as u8,
        }
    }

    /// Draws the disturbances of an episode.
    fn draw_disturbances(&mut self) -> Vec<ActionDisturbance> {
        let mut disturbances = Vec::new();
        let mut step = 0;
        loop {
            step += 6 + self.uniform_below(70);
            if step >= self.suite.horizon {
                return disturbances;
            }
            let length = 2 + self.uniform_below(7);
            let mut offset = [0.0; 7];
            for v in &mut offset[..3] {
                *v = 2.0 * self.uniform() - 1.0;
            }
            if self.uniform() < 0.3 {
                for v in &mut offset[3..6] {
                    *v = 0.4 * (2.0 * self.uniform() - 1.0);
                }
            }
            offset[6] = if self.uniform() < 0.12 { 1.0 } else { 0.0 };
            disturbances.push(ActionDisturbance {
                from: step,
                until: step + length,
                offset,
            });
            step += length;
        }
    }

    /// Runs the expert to the end, with disturbances; frames are kept if it succeeds.
    fn demonstrate(&mut self) -> Result<EpisodeCounts, EvalError> {
        let disturbances = if self.uniform() < self.settings.undisturbed {
            Vec::new()
        } else {
            self.draw_disturbances()
        };
        let success = self.run_expert(self.suite.horizon, &disturbances)?;
        if !success {
            self.frames.clear();
        }
        Ok(EpisodeCounts {
            episodes: 1,
            counted: 1,
            successes: usize::from(success),
        })
    }

    /// Runs the expert for up to `steps` control steps, until success; adds frames with their labels. Returns true if the goal was
    /// reached. The expert is made anew for every chunk of actions, as the labels are: what it does is what they say.
    fn run_expert(
        &mut self,
        steps: usize,
        disturbances: &[ActionDisturbance],
    ) -> Result<bool, EvalError> {
        let stride = self.settings.expert_stride;
        let phase = self.uniform_below(stride);
        let mut expert = self.resumed_expert()?;
        for step in 0..steps {
            if step % CHUNK == 0 {
                expert = self.resumed_expert()?;
            }
            if step % stride == phase {
                let mut frame = self.frame()?;
                frame.actions = self.expert_labels()?;
                self.frames.push(frame);
            }
            let mut action = expert.act(&self.world);
            let disturbance = disturbances
                .iter()
                .find(|d| (d.from..d.until).contains(&step));
            if let Some(disturbance) = disturbance {
                for (a, o) in action.iter_mut().zip(&disturbance.offset[..6]) {
                    *a = (*a + o).clamp(-1.0, 1.0);
                }
                if disturbance.offset[6] > 0.0 {
                    action[6] = -action[6];
                }
            }
            self.step(&action)?;
            if self.goal.holds(&self.world) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the next actions of the expert, the labels of a frame; the world is restored.
    fn expert_labels(&mut self) -> Result<[[f64; 7]; CHUNK], EvalError> {
        let here = self.world.snapshot();
        let mut expert = self.resumed_expert()?;
        let mut actions = [[0.0; 7]; CHUNK];
        for action in &mut actions {
            *action = expert.act(&self.world);
            self.world.step(action)?;
        }
        self.world.restore(&here);
        Ok(actions)
    }

    /// Runs a policy and labels its observations; the shard of the episode and the task decide whether the expert takes
    /// over.
    fn run_policy(
        &mut self,
        agent: &mut dyn ErasedAgent,
        episode: usize,
        seed: u64,
    ) -> Result<EpisodeCounts, EvalError> {
        let horizon = self.suite.horizon;
        let shard = episode / EPISODES_PER_SHARD;
        let policy_only = (shard + self.task.id).is_multiple_of(3);
        let of = (episode, seed);
        let success = if policy_only {
            self.policy_turn(agent, of, (horizon, false))?.1
        } else if self.settings.interventions {
            self.take_turns(agent, of)?;
            false
        } else {
            let takeover_step = 8 + self.uniform_below(horizon / 2);
            let success = self.policy_turn(agent, of, (takeover_step, false))?.1;
            if !success {
                let kept = self.frames.len();
                if !self.run_expert(horizon, &[])? {
                    self.frames.truncate(kept);
                }
            }
            success
        };
        Ok(EpisodeCounts {
            episodes: 1,
            counted: usize::from(policy_only),
            successes: usize::from(policy_only && success),
        })
    }

    /// Lets the policy act, and the expert for some chunks when the policy stands still or has acted for a while, in turns until
    /// success: so the policy comes to every part of a task, and its frames are not all of one place where it stands.
    fn take_turns(
        &mut self,
        agent: &mut dyn ErasedAgent,
        of: (usize, u64),
    ) -> Result<(), EvalError> {
        let mut left = self.suite.horizon;
        while left > 0 {
            let turn = POLICY_TURN.0 + self.uniform_below(POLICY_TURN.1 - POLICY_TURN.0);
            let (steps, success) = self.policy_turn(agent, of, (turn.min(left), true))?;
            left -= steps;
            let turn = (CHUNK * (1 + self.uniform_below(EXPERT_CHUNKS))).min(left);
            if success || self.run_expert(turn, &[])? {
                break;
            }
            left -= turn;
        }
        Ok(())
    }

    /// Runs the policy for up to `steps` control steps, until success and, if asked for, until the hand stands still; adds frames with their labels, with
    /// interventions none while the hand stands still. Returns the number of steps and true if the goal was reached.
    fn policy_turn(
        &mut self,
        agent: &mut dyn ErasedAgent,
        (episode, seed): (usize, u64),
        (steps, until_stalled): (usize, bool),
    ) -> Result<(usize, bool), EvalError> {
        let start = EpisodeStart::new((self.suite, self.task), episode, seed, &self.world);
        let mut executor = ActionChunkExecutor::start(agent, &start)?;
        let mut cameras = None;
        let mut stall = StallDetector::default();
        let mut stalled = false;
        for step in 0..steps {
            let decision = executor.decide(agent, &mut cameras, &self.world, self.task);
            let Decision { action, query } = decision.map_err(EvalError::from)?;
            if (step % self.settings.policy_stride == 0 || query.is_some()) && !stalled {
                let images = match query {
                    Some(query) => query.images,
                    None => self.render()?,
                };
                let mut frame = self.frame_of(&images);
                frame.actions = self.expert_labels()?;
                self.frames.push(frame);
            }
            self.step(&action)?;
            if self.goal.holds(&self.world) {
                return Ok((step + 1, true));
            }
            stalled = self.settings.interventions && stall.observe(&self.world);
            if stalled && until_stalled {
                return Ok((step + 1, false));
            }
        }
        Ok((steps, false))
    }
}
