//! One training stage: batches in a seeded order, gradients over microbatches, AdamW and Muon, a state to resume from, losses.
//!
//! A batch is cut into microbatches of four samples. Threads take microbatches as they come; sums over microbatches and over
//! parameters have a fixed order, so neither the number of threads nor an interruption changes a bit of the result.

use crate::checkpoint::{TrainingState, read_state, write_state};
use crate::dataset::{FrameDataset, FrameMeta};
use crate::muon::MuonStep;
use crate::net::instruction::{InstructionLoss, directions};
use crate::net::{AuxiliaryLosses, Losses, Net, NetActivations, Teacher, TrainingSample};
use crate::optim::{AdamW, LearningRateSchedule, clip_scale};
use crate::recipe::{ImageAugmentation, OptimisationSettings};
use crate::stage_progress::{StageProgress, WorkTime};
use crate::statistics::normalised_target;
use anyhow::{Context, Result, ensure};
use bitvla_policies::normalise::Statistics;
use bitvla_policies::preprocess::normalise;
use bitvla_reports::write_atomically;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Number of samples of a microbatch.
pub const MICROBATCH_SIZE: usize = 4;
/// Number of parameters of a chunk of a reduction.
const REDUCTION_CHUNK: usize = 1 << 15;
/// Number of steps between two rows of the losses.
const LOG_INTERVAL: u64 = 20;
/// Number of steps between two saved states.
const SAVE_INTERVAL: u64 = 200;
/// Number of steps between two measurements of the validation loss.
const VALIDATION_INTERVAL: u64 = 400;

/// A row of `losses.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Number of steps done.
    pub step: u64,
    /// Number of samples seen.
    pub samples: u64,
    /// Learning rate.
    pub lr: f64,
    /// Mean absolute error of normalised actions over the steps since the last row.
    pub l1: f64,
    /// Layer-wise distance to the teacher's vision tower, without its weight.
    pub aux: f64,
    /// Cross-entropy of the instruction, without its weight; 0 where it is no part of the loss.
    #[serde(default)]
    pub instruction: f64,
    /// Mean norm of the gradient before clipping.
    pub norm: f64,
    /// Mean absolute error on frames that were never trained on; present where it was measured.
    pub validation: Option<f64>,
}

/// Settings of a training stage.
pub struct TrainConfig<'a> {
    /// Name in the progress display.
    pub name: &'a str,
    /// Folder of state and losses.
    pub dir: &'a Path,
    /// Network to train.
    pub net: &'a Net,
    /// Parameters to start from (`Layout::total`).
    pub start: Vec<f32>,
    /// Frames to train on.
    pub data: &'a FrameDataset,
    /// Frames never trained on.
    pub validation: &'a FrameDataset,
    /// Normalisation bounds.
    pub statistics: &'a Statistics,
    /// Token ids of the prompt by task.
    pub prompts: &'a [Vec<u32>],
    /// Schedule of the learning rate.
    pub schedule: LearningRateSchedule,
    /// Samples of a step (a multiple of [`MICROBATCH_SIZE`]), weight decay, clipping and weights of the auxiliary losses.
    pub optimisation: &'a OptimisationSettings,
    /// Random changes of the images.
    pub augmentation: ImageAugmentation,
    /// Parameters of the full-precision teacher (`Layout::total`), if the vision tower is aligned.
    pub teacher: Option<&'a [f32]>,
    /// Seed of the order of samples.
    pub seed: u64,
    /// Number of threads; never changes a result.
    pub jobs: usize,
    /// Step before which to stop with the state saved, as after an interruption; for tests.
    pub stop_at: Option<u64>,
}

/// Returns the path of the state of a stage.
pub fn state_path(dir: &Path) -> PathBuf {
    dir.join("state.safetensors")
}

/// Returns the path of the losses of a stage.
pub fn losses_path(dir: &Path) -> PathBuf {
    dir.join("losses.csv")
}

/// Result of one microbatch.
#[derive(Default)]
struct Microbatch {
    grad: Vec<f32>,
    losses: Losses,
}

/// Buffers of one thread, which microbatches use one after another: one set for each microbatch would be read from main memory, not from a cache.
#[derive(Default)]
struct Workspace {
    activations: NetActivations,
    samples: Vec<TrainingSample>,
}

/// Trains to the end of the schedule and returns the parameters (`Layout::total`); continues from the state in the folder if
/// there is one.
///
/// # Errors
/// If there are no frames, the batch is no multiple of a microbatch, or a file cannot be read or written.
pub fn train(config: TrainConfig<'_>) -> Result<Vec<f32>> {
    std::fs::create_dir_all(config.dir)
        .with_context(|| format!("making {}", config.dir.display()))?;
    ensure!(!config.data.is_empty(), "no frames to train on");
    ensure!(
        config.optimisation.batch.is_multiple_of(MICROBATCH_SIZE),
        "a batch of {} samples is no multiple of {MICROBATCH_SIZE}",
        config.optimisation.batch
    );
    let n = config.start.len();
    let (path, end) = (state_path(config.dir), config.schedule.steps);
    let mut state = if path.is_file() {
        read_state(&path, n)?
    } else {
        TrainingState {
            params: config.start.clone(),
            adam: AdamW::new(n),
            step: 0,
        }
    };
    let mut rows = if state.step > 0 {
        read_losses(&losses_path(config.dir))?
    } else {
        Vec::new()
    };
    rows.retain(|r| r.step <= state.step);
    if state.step >= end {
        return Ok(state.params);
    }
    let mut microbatches: Vec<Mutex<Microbatch>> = (0..config.optimisation.batch / MICROBATCH_SIZE)
        .map(|_| Mutex::new(Microbatch::default()))
        .collect();
    let mut workspaces: Vec<Workspace> = (0..config.jobs).map(|_| Workspace::default()).collect();
    let mut sampler = BatchSampler::new(config.data.len(), config.optimisation.batch, config.seed);
    let (mut effective_weights, mut grad) = (Vec::new(), vec![0.0; n]);
    let mut progress = StageProgress::new(config.name, state.step, end);
    let time = WorkTime::resume(config.dir)?;
    let mut sums = [0.0f64; 4];
    let directions = directions(config.prompts.len(), config.net.config.width);
    let auxiliary = auxiliary_losses(&config, &directions);
    let stop = config.stop_at.unwrap_or(end).min(end);
    while state.step < stop {
        let lr = config.schedule.at(state.step);
        config.net.layout.effective_weights(
            &state.params,
            config.net.quant,
            &mut effective_weights,
        );
        let indices = sampler.batch(state.step).to_vec();
        let step = (state.step, &indices[..]);
        let losses = forward_backward(
            &config,
            &effective_weights,
            step,
            auxiliary,
            &mut microbatches,
            &mut workspaces,
        );
        let norm = reduce(&mut microbatches, &mut grad, config.jobs);
        let scale = clip_scale(norm, config.optimisation.gradient_norm);
        update(&config, &mut state, &grad, lr, scale);
        state.step += 1;
        for (s, v) in sums
            .iter_mut()
            .zip([losses.l1, losses.aux, losses.instruction, norm])
        {
            *s += v;
        }
        if state.step.is_multiple_of(LOG_INTERVAL) || state.step == end {
            let since = state.step - rows.last().map_or(0, |r: &LossRow| r.step);
            let [l1, aux, instruction, norm] = sums.map(|s| s / since.max(1) as f64);
            sums = [0.0; 4];
            let measured = state.step.is_multiple_of(VALIDATION_INTERVAL) || state.step == end;
            rows.push(LossRow {
                step: state.step,
                samples: state.step * config.optimisation.batch as u64,
                lr,
                l1,
                aux,
                instruction,
                norm,
                validation: measured.then(|| validate(&config, &state.params)).flatten(),
            });
            let seen = rows.iter().rev().find_map(|r| r.validation);
            let rate = progress.rate(state.step) * config.optimisation.batch as f64;
            let seen = seen.map_or(String::new(), |v| format!(", validation {v:.4}"));
            progress.show(
                state.step,
                &format!("L1 {l1:.4}{seen}, {rate:.0} samples/s"),
            );
        }
        if state.step.is_multiple_of(SAVE_INTERVAL) || state.step == stop {
            write_losses(&losses_path(config.dir), &rows)?;
            write_state(&path, &state)?;
            time.save()?;
        }
    }
    Ok(state.params)
}

/// The losses beside the error of the actions that the recipe asks for.
fn auxiliary_losses<'a>(config: &TrainConfig<'a>, directions: &'a [f32]) -> AuxiliaryLosses<'a> {
    let optimisation = config.optimisation;
    AuxiliaryLosses {
        teacher: config.teacher.map(|params| Teacher {
            params,
            weight: optimisation.alignment,
        }),
        instruction: (optimisation.instruction > 0.0).then_some(InstructionLoss {
            directions,
            weight: optimisation.instruction,
        }),
    }
}

/// Runs forward and backward pass of all microbatches of a step, given with its frames; returns the losses of the batch.
fn forward_backward(
    config: &TrainConfig<'_>,
    effective_weights: &[f32],
    (step, indices): (u64, &[usize]),
    auxiliary: AuxiliaryLosses<'_>,
    microbatches: &mut [Mutex<Microbatch>],
    workspaces: &mut [Workspace],
) -> Losses {
    let batch = config.optimisation.batch;
    for_each_parallel(microbatches, workspaces, |i, microbatch, workspace| {
        let Microbatch { grad, losses } = microbatch;
        let Workspace {
            activations,
            samples,
        } = workspace;
        let first = i * MICROBATCH_SIZE;
        let (data, indices) = (config.data, &indices[first..first + MICROBATCH_SIZE]);
        let place = step.wrapping_mul(batch as u64) + first as u64;
        fill_samples(config, indices, data, Some(place), samples);
        grad.resize(effective_weights.len(), 0.0);
        grad.fill(0.0);
        *losses = config.net.train(
            effective_weights,
            samples,
            batch,
            auxiliary,
            activations,
            grad,
        );
    });
    let mut all = Losses::default();
    for microbatch in microbatches.iter_mut() {
        let l = exclusive(microbatch).losses;
        all.l1 += l.l1;
        all.aux += l.aux;
        all.instruction += l.instruction;
    }
    all
}

/// Makes normalised samples of the frames at `indices`; their images are augmented if `place` is given, the number of
/// samples that the stage has seen before.
fn fill_samples(
    config: &TrainConfig<'_>,
    indices: &[usize],
    frames: &FrameDataset,
    place: Option<u64>,
    samples: &mut Vec<TrainingSample>,
) {
    samples.resize_with(indices.len(), TrainingSample::default);
    for (n, (sample, &i)) in samples.iter_mut().zip(indices).enumerate() {
        let mut images = Cow::Borrowed(frames.images(i));
        if let Some(place) = place.filter(|_| !config.augmentation.is_none()) {
            let seed = (config.seed << 40).wrapping_add(place + n as u64);
            config.augmentation.apply(images.to_mut(), seed);
        }
        let meta = frames.meta(i);
        fill_sample(sample, meta, &images, config.statistics, config.prompts);
    }
}

/// Makes the normalised sample of a frame and its images, as in [`FrameDataset::images`]; `prompts` are token ids by task.
pub fn fill_sample(
    sample: &mut TrainingSample,
    meta: &FrameMeta,
    images: &[u8],
    statistics: &Statistics,
    prompts: &[Vec<u32>],
) {
    sample.task = meta.task;
    sample.images.clear();
    for image in images.chunks_exact(images.len() / 2) {
        sample.images.extend(normalise(image));
    }
    sample.prompt.clone_from(&prompts[meta.task]);
    let state = statistics.proprio.normalise(&meta.proprio);
    sample.proprio = state.into_iter().map(|v| v as f32).collect();
    sample.target = normalised_target(statistics, &meta.actions);
}

/// Returns the mean absolute error over the validation frames; `None` for no frames.
fn validate(config: &TrainConfig<'_>, params: &[f32]) -> Option<f64> {
    let mut effective_weights = Vec::new();
    config
        .net
        .layout
        .effective_weights(params, config.net.quant, &mut effective_weights);
    let frames: Vec<usize> = (0..config.validation.len()).collect();
    let groups: Vec<&[usize]> = frames.chunks(MICROBATCH_SIZE).collect();
    let mut microbatches: Vec<Mutex<(f64, usize)>> =
        groups.iter().map(|_| Mutex::default()).collect();
    let mut workspaces: Vec<Workspace> = (0..config.jobs).map(|_| Workspace::default()).collect();
    for_each_parallel(&microbatches, &mut workspaces, |i, sum, workspace| {
        let Workspace {
            activations,
            samples,
        } = workspace;
        fill_samples(config, groups[i], config.validation, None, samples);
        let answers = config.net.predict(&effective_weights, samples, activations);
        for (a, t) in answers.iter().zip(samples.iter().flat_map(|i| &i.target)) {
            sum.0 += f64::from((a - t).abs());
            sum.1 += 1;
        }
    });
    let (mut sum, mut n) = (0.0, 0);
    for microbatch in &mut microbatches {
        let (s, k) = *exclusive(microbatch);
        sum += s;
        n += k;
    }
    (n > 0).then(|| sum / n as f64)
}

/// Calls `work` once per item, from a thread for each workspace.
fn for_each_parallel<T: Send, W: Send>(
    items: &[Mutex<T>],
    workspaces: &mut [W],
    work: impl Fn(usize, &mut T, &mut W) + Sync,
) {
    let (next, work) = (AtomicUsize::new(0), &work);
    let next = &next;
    std::thread::scope(|scope| {
        for workspace in workspaces.iter_mut().take(items.len()) {
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(i) else {
                        break;
                    };
                    // Each item is taken once, so no panic can have poisoned it before.
                    work(
                        i,
                        &mut item.lock().unwrap_or_else(PoisonError::into_inner),
                        workspace,
                    );
                }
            });
        }
    });
}

/// Returns the content of a mutex that no other thread holds. A panic of a worker ends the stage before this is called.
fn exclusive<T>(item: &mut Mutex<T>) -> &mut T {
    item.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// Sums the gradients of all microbatches in their order into `grad`; returns the norm of the sum.
fn reduce(microbatches: &mut [Mutex<Microbatch>], grad: &mut [f32], jobs: usize) -> f64 {
    let parts: Vec<&[f32]> = microbatches
        .iter_mut()
        .map(|l| &exclusive(l).grad[..])
        .collect();
    let mut chunks: Vec<Mutex<(&mut [f32], f64)>> = grad
        .chunks_mut(REDUCTION_CHUNK)
        .map(|chunk| Mutex::new((chunk, 0.0)))
        .collect();
    for_each_parallel(&chunks, &mut vec![(); jobs], |i, (chunk, squares), ()| {
        chunk.fill(0.0);
        for part in &parts {
            crate::net::linear::add(&part[i * REDUCTION_CHUNK..][..chunk.len()], chunk);
        }
        *squares = chunk.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
    });
    let squares: f64 = chunks.iter_mut().map(|p| exclusive(p).1).sum();
    squares.sqrt()
}

/// Updates all parameters with one step of AdamW, or of Muon where the recipe asks for it.
fn update(config: &TrainConfig<'_>, state: &mut TrainingState, grad: &[f32], lr: f64, scale: f32) {
    let OptimisationSettings {
        weight_decay, muon, ..
    } = *config.optimisation;
    let adam = state.adam.begin(lr, weight_decay);
    let matrices = MuonStep::new(lr, weight_decay);
    let AdamW { m, v, .. } = &mut state.adam;
    let (mut params, mut m, mut v) = (&mut state.params[..], &mut m[..], &mut v[..]);
    let slots: Vec<Mutex<_>> = (config.net.layout.slots.iter())
        .map(|slot| {
            let n = slot.len();
            let parts = [&mut params, &mut m, &mut v].map(|rest| take_first(rest, n));
            Mutex::new((slot, parts))
        })
        .collect();
    for_each_parallel(
        &slots,
        &mut vec![(); config.jobs],
        |_, (slot, [p, m, v]), ()| {
            let g = &grad[slot.range()];
            match slot.hidden_matrix().filter(|_| muon) {
                Some(shape) => matrices.apply(shape, p, g, scale, m),
                None => adam.apply(p, g, scale, m, v),
            }
        },
    );
}

/// Takes the first `n` numbers off a slice.
fn take_first<'a>(rest: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let (first, others) = std::mem::take(rest).split_at_mut(n);
    *rest = others;
    first
}

/// Frames of every step: a new seeded permutation for every epoch.
struct BatchSampler {
    /// Number of frames, not zero.
    n: usize,
    batch_size: usize,
    seed: u64,
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl BatchSampler {
    fn new(n: usize, batch_size: usize, seed: u64) -> BatchSampler {
        BatchSampler {
            n,
            batch_size,
            seed,
            epoch: None,
            order: Vec::new(),
        }
    }

    /// Returns the indices of the frames of a step.
    fn batch(&mut self, step: u64) -> &[usize] {
        let batches_per_epoch = (self.n / self.batch_size).max(1) as u64;
        let epoch = step / batches_per_epoch;
        if self.epoch != Some(epoch) {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(1_000_003) + epoch);
            self.order = (0..self.n).collect();
            for i in (1..self.n).rev() {
                self.order
                    .swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
            }
            // Fewer frames than a batch are seen several times in it.
            while self.order.len() < self.batch_size {
                self.order.extend_from_within(..self.n);
            }
            self.epoch = Some(epoch);
        }
        let at = (step % batches_per_epoch) as usize * self.batch_size;
        &self.order[at..at + self.batch_size]
    }
}

/// Reads the losses of a stage.
///
/// # Errors
/// Names the file.
pub fn read_losses(path: &Path) -> Result<Vec<LossRow>> {
    let read = || -> Result<Vec<LossRow>> {
        let rows = csv::Reader::from_path(path)?.into_deserialize();
        Ok(rows.collect::<Result<_, _>>()?)
    };
    read().with_context(|| format!("reading {}", path.display()))
}

fn write_losses(path: &Path, rows: &[LossRow]) -> Result<()> {
    let write = || -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.serialize(row)?;
        }
        Ok(write_atomically(path, &writer.into_inner()?)?)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
