//! Drives the robot and keeps what it saw together with what the expert would do.
//!
//! *Demonstrations*: the expert drives, from initial states of its own (seeds from 1 000 000 on; the stored states
//! of a suite have smaller ones). Now and then somebody else pushes the arm for a few steps; frames are taken only
//! where the next chunk is the expert's own, so the data shows how to come back and never how to go astray.
//!
//! *Corrections* (data set aggregation, Ross et al. 2011): a policy drives; at what it sees, the expert is asked
//! what it would do next: the world is put back after the expert has shown a chunk. In two of three episodes the
//! expert takes over at a random step and finishes.

use crate::frames::{CHUNK, Frame, Tally, shard_path, shrink, write_shard};
use crate::progress::Progress;
use anyhow::{Context, Result};
use bitvla_eval::{
    Agent, CameraImages, CameraRig, EvalError, PolicySpec, SETTLE_ACTION, in_parallel, proprio,
};
use bitvla_policies::{Observation, Policy};
use bitvla_sim::World;
use bitvla_tasks::{Assets, Expert, RestingHeight, Suite, Task, sample_init_state};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// Episodes of a shard.
const SHARD: usize = 50;
/// Control steps between two frames of the expert's own driving.
const STRIDE: usize = 3;
/// Control steps between two frames while a policy drives.
const POLICY_STRIDE: usize = 4;
/// Training seeds start here.
const FIRST_SEED: u64 = 1_000_000;

/// Who drives.
#[derive(Debug, Clone)]
pub enum Who {
    /// The expert, disturbed.
    Expert,
    /// A policy, corrected.
    Policy(PolicySpec),
}

/// A data set to be made.
pub struct Order<'a> {
    /// Models and arenas.
    pub assets: &'a Assets,
    /// Tasks.
    pub suite: &'a Suite,
    /// Name for the progress bar.
    pub name: &'a str,
    /// Who drives.
    pub who: Who,
    /// Episodes, spread evenly over the tasks.
    pub episodes: usize,
    /// Seed; data sets of different seeds share no initial state as long as they have fewer than a million episodes.
    pub seed: u64,
    /// Threads; never changes what is collected.
    pub jobs: usize,
}

/// Makes a data set in `dir`, shard by shard; shards that are there are kept.
///
/// # Errors
/// When the world cannot be built, a policy not loaded or a shard not written.
pub fn collect(order: &Order<'_>, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let shards = order.episodes.div_ceil(SHARD);
    let present = (0..shards)
        .filter(|s| shard_path(dir, *s).is_file())
        .count();
    if present == shards {
        return Ok(());
    }
    let todo: Vec<usize> = (0..order.episodes)
        .filter(|e| !shard_path(dir, e / SHARD).is_file())
        .collect();
    let skipped = order.episodes - todo.len();
    let mut progress = Progress::new(order.name, skipped as u64, order.episodes as u64);
    let (mut done, mut frames, mut all) = (skipped, 0, Tally::default());
    let mut waiting: BTreeMap<usize, BTreeMap<usize, (Vec<Frame>, Tally)>> = BTreeMap::new();
    in_parallel(
        &todo,
        order.jobs,
        || {
            let driver = match &order.who {
                Who::Expert => Agent::Expert,
                Who::Policy(spec) => spec.load()?,
            };
            Ok((Assets::open(order.assets.dir())?, driver))
        },
        |(assets, driver), &episode| {
            let task = &order.suite.tasks[episode % order.suite.tasks.len()];
            let seed = FIRST_SEED * (1 + order.seed) + episode as u64;
            let mut stage = Stage::new(assets, order.suite, task, seed)?;
            let tally = match driver {
                Agent::Expert => stage.demonstrate()?,
                Agent::Model(policy) => stage.correct(policy.as_mut(), episode / SHARD)?,
            };
            Ok((episode, stage.frames, tally))
        },
        |(episode, new, tally)| {
            done += 1;
            frames += new.len();
            all.add(tally);
            let shard = episode / SHARD;
            let entry = waiting.entry(shard).or_default();
            entry.insert(episode, (new, tally));
            let size = SHARD.min(order.episodes - shard * SHARD);
            if entry.len() == size {
                let parts = waiting.remove(&shard).unwrap_or_default();
                let mut whole = (Vec::new(), Tally::default());
                for (part, tally) in parts.into_values() {
                    whole.0.extend(part);
                    whole.1.add(tally);
                }
                write_shard(&shard_path(dir, shard), &whole.0, whole.1)
                    .map_err(|e| EvalError::Input(format!("{e:#}")))?;
            }
            progress.show(
                done as u64,
                &format!(
                    "{frames} frames, {}/{} succeeded",
                    all.successes, all.counted
                ),
            );
            Ok(())
        },
    )?;
    Ok(())
}

/// One episode being collected.
struct Stage<'a> {
    suite: &'a Suite,
    task: &'a Task,
    world: World,
    eyes: CameraRig,
    rng: ChaCha8Rng,
    frames: Vec<Frame>,
    rest: RestingHeight,
}

/// Somebody who pushes the arm for a while.
struct Push {
    from: usize,
    until: usize,
    offset: [f64; 7],
}

impl<'a> Stage<'a> {
    fn new(
        assets: &Assets,
        suite: &'a Suite,
        task: &'a Task,
        seed: u64,
    ) -> Result<Stage<'a>, EvalError> {
        let init = sample_init_state(assets, &task.problem, seed)?;
        let mut world = task.world(assets, &init)?;
        for _ in 0..suite.settle_steps {
            world.step(&SETTLE_ACTION)?;
        }
        Ok(Stage {
            rest: RestingHeight::new(&world, task)?,
            eyes: CameraRig::new(world.scene())?,
            suite,
            task,
            world,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x5eed_0000_0000_0000),
            frames: Vec::new(),
        })
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    fn step(&mut self, action: &[f64; 7]) -> Result<(), EvalError> {
        self.world.step(action)?;
        self.rest.observe(&self.world);
        Ok(())
    }

    fn resumed(&self) -> Result<Expert, EvalError> {
        Ok(Expert::resume_knowing(&self.world, self.task, &self.rest)?)
    }

    fn look(&mut self) -> Result<CameraImages, EvalError> {
        Ok(self.eyes.render(&self.world)?.for_policy())
    }

    fn frame(&mut self) -> Result<Frame, EvalError> {
        let view = self.look()?;
        Ok(self.frame_of(&view))
    }

    fn frame_of(&self, view: &CameraImages) -> Frame {
        Frame {
            images: shrink(&view.agentview.rgb, &view.wrist.rgb),
            proprio: proprio(&self.world.observation()),
            actions: [[0.0; 7]; CHUNK],
            task: self.task.id as u8,
        }
    }

    /// The pushes of an episode.
    fn pushes(&mut self) -> Vec<Push> {
        let mut pushes = Vec::new();
        let mut step = 0;
        loop {
            step += 6 + self.below(70);
            if step >= self.suite.horizon {
                return pushes;
            }
            let length = 2 + self.below(7);
            let mut offset = [0.0; 7];
            for v in &mut offset[..3] {
                *v = 2.0 * self.uniform() - 1.0;
            }
            if self.uniform() < 0.3 {
                for v in &mut offset[3..6] {
                    *v = 0.4 * (2.0 * self.uniform() - 1.0);
                }
            }
            // Sometimes the gripper is told the opposite.
            offset[6] = if self.uniform() < 0.12 { 1.0 } else { 0.0 };
            pushes.push(Push {
                from: step,
                until: step + length,
                offset,
            });
            step += length;
        }
    }

    /// The expert drives to the end, pushed; frames are kept when it succeeds.
    fn demonstrate(&mut self) -> Result<Tally, EvalError> {
        // A third of the episodes is left alone.
        let pushes = if self.uniform() < 0.33 {
            Vec::new()
        } else {
            self.pushes()
        };
        let expert = Expert::new(&self.world, self.task)?;
        let success = self.drive(expert, self.suite.horizon, &pushes)?;
        if !success {
            self.frames.clear();
        }
        Ok(Tally {
            episodes: 1,
            counted: 1,
            successes: usize::from(success),
        })
    }

    /// Lets an expert act for up to `steps` control steps, and one chunk beyond success; adds frames whose
    /// chunk is free of pushes.
    fn drive(
        &mut self,
        mut expert: Expert,
        steps: usize,
        pushes: &[Push],
    ) -> Result<bool, EvalError> {
        let phase = self.below(STRIDE);
        let mut open: VecDeque<(usize, Frame)> = VecDeque::new();
        let mut end = None;
        for step in 0..steps + CHUNK {
            let pushed = |from: usize, until: usize| {
                pushes.iter().find(|p| p.from < until && from < p.until)
            };
            if end.is_none()
                && step < steps
                && step % STRIDE == phase
                && pushed(step, step + CHUNK).is_none()
            {
                let frame = self.frame()?;
                open.push_back((step, frame));
            }
            let mut action = expert.act(&self.world);
            for (start, frame) in &mut open {
                frame.actions[step - *start] = action;
            }
            while open
                .front()
                .is_some_and(|(start, _)| step + 1 - start == CHUNK)
            {
                self.frames.extend(open.pop_front().map(|(_, f)| f));
            }
            if let Some(push) = pushed(step, step + 1) {
                for (a, o) in action.iter_mut().zip(&push.offset[..6]) {
                    *a = (*a + o).clamp(-1.0, 1.0);
                }
                if push.offset[6] > 0.0 {
                    action[6] = -action[6];
                }
            }
            self.step(&action)?;
            if end.is_none() && self.task.goal().holds(&self.world, self.task)? {
                end = Some(step + 1 + CHUNK);
            }
            if end.is_some_and(|end| step + 1 >= end) {
                break;
            }
        }
        Ok(end.is_some())
    }

    /// What the expert does next from here, as the actions of a frame; the world is put back.
    fn advice(&mut self) -> Result<[[f64; 7]; CHUNK], EvalError> {
        let here = self.world.snapshot();
        let mut expert = self.resumed()?;
        let mut actions = [[0.0; 7]; CHUNK];
        for action in &mut actions {
            *action = expert.act(&self.world);
            self.world.step(action)?;
        }
        self.world.restore(&here);
        Ok(actions)
    }

    /// A policy drives and is corrected; `turn` decides together with the draw whether the expert takes over.
    fn correct(&mut self, policy: &mut dyn Policy, turn: usize) -> Result<Tally, EvalError> {
        let horizon = self.suite.horizon;
        let alone = (turn + self.task.id).is_multiple_of(3);
        let takeover = if alone {
            horizon
        } else {
            8 + self.below(horizon / 2)
        };
        let mut chunk: VecDeque<[f64; 7]> = VecDeque::new();
        let mut success = false;
        for step in 0..takeover {
            if step % POLICY_STRIDE == 0 || chunk.is_empty() {
                let view = self.look()?;
                if chunk.is_empty() {
                    let answer = policy.query(&Observation {
                        agentview: &view.agentview.rgb,
                        wrist: &view.wrist.rgb,
                        proprio: proprio(&self.world.observation()),
                        instruction: &self.task.instruction,
                    })?;
                    chunk.extend(answer.actions);
                }
                let mut frame = self.frame_of(&view);
                frame.actions = self.advice()?;
                self.frames.push(frame);
            }
            let Some(action) = chunk.pop_front() else {
                break;
            };
            self.step(&action)?;
            if self.task.goal().holds(&self.world, self.task)? {
                success = true;
                break;
            }
        }
        if !success && !alone {
            let kept = self.frames.len();
            let expert = self.resumed()?;
            if !self.drive(expert, horizon, &[])? {
                self.frames.truncate(kept);
            }
        }
        Ok(Tally {
            episodes: 1,
            counted: usize::from(alone),
            successes: usize::from(alone && success),
        })
    }
}
