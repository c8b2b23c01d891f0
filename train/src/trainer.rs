//! One training stage: batches in a seeded order, gradients over lanes, AdamW, a state to resume from, losses.
//!
//! A batch is cut into lanes of four samples. Threads take lanes as they come; sums over lanes and over parameters
//! have a fixed order, so neither the number of threads nor an interruption changes a bit of the result.

use crate::checkpoint::{State, read_state, write_state};
use crate::frames::Frames;
use crate::net::{Item, Losses, Net, Teacher, Workspace};
use crate::optim::{AdamW, Rates, Schedule, clip_scale};
use crate::progress::Progress;
use crate::statistics::target;
use anyhow::{Context, Result};
use bitvla_policies::normalise::Statistics;
use bitvla_policies::preprocess::normalise;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Samples of a lane.
pub const LANE: usize = 4;
/// Parameters that one piece of a reduction holds.
const PIECE: usize = 1 << 15;
/// Steps between two rows of the losses.
const ROW_EVERY: u64 = 20;
/// Steps between two saved states.
const SAVE_EVERY: u64 = 200;
/// Steps between two looks at the validation frames.
const VALIDATE_EVERY: u64 = 400;

/// A row of `losses.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Steps done.
    pub step: u64,
    /// Samples seen.
    pub samples: u64,
    /// Learning rate.
    pub lr: f64,
    /// Mean absolute error of normalised actions over the steps since the last row.
    pub l1: f64,
    /// Layer-wise distance to the teacher's vision tower, without its weight.
    pub aux: f64,
    /// Norm of the gradient before clipping, mean.
    pub norm: f64,
    /// Mean absolute error on frames that were never trained on.
    pub validation: Option<f64>,
}

/// A stage to be trained.
pub struct Order<'a> {
    /// Name for the progress bar.
    pub name: &'a str,
    /// Where state and losses go.
    pub dir: &'a Path,
    /// Network.
    pub net: &'a Net,
    /// Parameters to start from.
    pub start: Vec<f32>,
    /// Frames.
    pub data: &'a Frames,
    /// Frames never trained on.
    pub validation: &'a Frames,
    /// Normalisation.
    pub statistics: &'a Statistics,
    /// Prompt ids by task.
    pub prompts: &'a [Vec<u32>],
    /// Learning rate.
    pub schedule: Schedule,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Samples of a step, a multiple of [`LANE`].
    pub batch: usize,
    /// Limit of the gradient norm.
    pub clip: f64,
    /// Parameters of the full-precision teacher and the weight of the alignment.
    pub teacher: Option<(&'a [f32], f32)>,
    /// Seed of the order of samples.
    pub seed: u64,
    /// Threads; never changes a result.
    pub jobs: usize,
    /// Stop before this step, state saved, as if interrupted.
    pub stop_at: Option<u64>,
}

/// State of a stage.
pub fn state_path(dir: &Path) -> PathBuf {
    dir.join("state.safetensors")
}

/// Losses of a stage.
pub fn losses_path(dir: &Path) -> PathBuf {
    dir.join("losses.csv")
}

#[derive(Default)]
struct Lane {
    ws: Workspace,
    grad: Vec<f32>,
    items: Vec<Item>,
    losses: Losses,
}

/// Trains to the end of the schedule and returns the parameters; goes on from the state in the folder if there is one.
///
/// # Errors
/// When a file cannot be read or written.
pub fn train(order: Order<'_>) -> Result<Vec<f32>> {
    std::fs::create_dir_all(order.dir)
        .with_context(|| format!("making {}", order.dir.display()))?;
    let n = order.start.len();
    let (path, end) = (state_path(order.dir), order.schedule.steps);
    let mut state = if path.is_file() {
        read_state(&path, n)?
    } else {
        State {
            params: order.start.clone(),
            adam: AdamW::new(n),
            step: 0,
        }
    };
    let mut rows = if state.step > 0 {
        read_losses(&losses_path(order.dir))?
    } else {
        Vec::new()
    };
    rows.retain(|r| r.step <= state.step);
    if state.step >= end {
        return Ok(state.params);
    }
    let mut lanes: Vec<Mutex<Lane>> = (0..order.batch / LANE)
        .map(|_| Mutex::new(Lane::default()))
        .collect();
    let mut batches = Batches::new(order.data.len(), order.batch, order.seed);
    let (mut eff, mut grad) = (Vec::new(), vec![0.0; n]);
    let mut progress = Progress::new(order.name, state.step, end);
    let mut sums = [0.0f64; 3];
    let stop = order.stop_at.unwrap_or(end).min(end);
    while state.step < stop {
        let lr = order.schedule.at(state.step);
        order
            .net
            .layout
            .effective(&state.params, order.net.quant, &mut eff);
        let picked = batches.get(state.step).to_vec();
        let losses = forward_backward(&order, &eff, &picked, &mut lanes);
        let norm = reduce(&mut lanes, &mut grad, order.jobs);
        let scale = clip_scale(norm, order.clip);
        update(&mut state, &grad, lr, order.decay, scale, order.jobs);
        state.step += 1;
        for (s, v) in sums.iter_mut().zip([losses.l1, losses.aux, norm]) {
            *s += v;
        }
        if state.step.is_multiple_of(ROW_EVERY) || state.step == end {
            let since = state.step - rows.last().map_or(0, |r: &LossRow| r.step);
            let [l1, aux, norm] = sums.map(|s| s / since.max(1) as f64);
            sums = [0.0; 3];
            let look = state.step.is_multiple_of(VALIDATE_EVERY) || state.step == end;
            rows.push(LossRow {
                step: state.step,
                samples: state.step * order.batch as u64,
                lr,
                l1,
                aux,
                norm,
                validation: look.then(|| validate(&order, &state.params)),
            });
            let seen = rows.iter().rev().find_map(|r| r.validation);
            let rate = progress.rate(state.step) * order.batch as f64;
            let seen = seen.map_or(String::new(), |v| format!(", validation {v:.4}"));
            progress.show(
                state.step,
                &format!("L1 {l1:.4}{seen}, {rate:.0} samples/s"),
            );
        }
        if state.step.is_multiple_of(SAVE_EVERY) || state.step == stop {
            write_losses(&losses_path(order.dir), &rows)?;
            write_state(&path, &state)?;
        }
    }
    Ok(state.params)
}

/// Runs all lanes; returns the losses of the batch.
fn forward_backward(
    order: &Order<'_>,
    eff: &[f32],
    picked: &[usize],
    lanes: &mut [Mutex<Lane>],
) -> Losses {
    let teacher = order
        .teacher
        .map(|(params, weight)| Teacher { params, weight });
    in_lanes(lanes, order.jobs, |i, lane| {
        let Lane {
            ws,
            grad,
            items,
            losses,
        } = lane;
        fill(order, &picked[i * LANE..(i + 1) * LANE], order.data, items);
        grad.resize(eff.len(), 0.0);
        grad.fill(0.0);
        *losses = order.net.train(eff, items, order.batch, teacher, ws, grad);
    });
    let mut all = Losses::default();
    for lane in lanes.iter_mut() {
        let l = unlocked(lane).losses;
        all.l1 += l.l1;
        all.aux += l.aux;
    }
    all
}

/// Makes samples of frames.
fn fill(order: &Order<'_>, picked: &[usize], frames: &Frames, items: &mut Vec<Item>) {
    items.resize_with(picked.len(), Item::default);
    for (item, &i) in items.iter_mut().zip(picked) {
        let rest = frames.rest(i);
        item.images.clear();
        for image in frames.images(i).chunks_exact(frames.images(i).len() / 2) {
            item.images.extend(normalise(image));
        }
        item.prompt.clone_from(&order.prompts[rest.task]);
        let state = order.statistics.proprio.normalise(&rest.proprio);
        item.proprio = state.into_iter().map(|v| v as f32).collect();
        item.target = target(order.statistics, &rest.actions);
    }
}

/// Mean absolute error over the validation frames.
fn validate(order: &Order<'_>, params: &[f32]) -> f64 {
    let mut eff = Vec::new();
    order
        .net
        .layout
        .effective(params, order.net.quant, &mut eff);
    let frames: Vec<usize> = (0..order.validation.len()).collect();
    let groups: Vec<&[usize]> = frames.chunks(LANE).collect();
    let mut lanes: Vec<Mutex<(f64, usize)>> = groups.iter().map(|_| Mutex::default()).collect();
    in_lanes(&mut lanes, order.jobs, |i, sum| {
        let mut ws = Workspace::default();
        let mut items = Vec::new();
        fill(order, groups[i], order.validation, &mut items);
        let answers = order.net.predict(&eff, &items, &mut ws);
        for (a, t) in answers.iter().zip(items.iter().flat_map(|i| &i.target)) {
            sum.0 += f64::from((a - t).abs());
            sum.1 += 1;
        }
    });
    let (mut sum, mut n) = (0.0, 0);
    for lane in &mut lanes {
        let (s, k) = *unlocked(lane);
        sum += s;
        n += k;
    }
    sum / n.max(1) as f64
}

/// Calls `work` once per lane from `jobs` threads.
fn in_lanes<T: Send>(lanes: &mut [Mutex<T>], jobs: usize, work: impl Fn(usize, &mut T) + Sync) {
    let next = AtomicUsize::new(0);
    let lanes = &*lanes;
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(lanes.len()) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(lane) = lanes.get(i) else {
                        break;
                    };
                    if let Ok(mut lane) = lane.lock() {
                        work(i, &mut lane);
                    }
                }
            });
        }
    });
}

fn unlocked<T>(lane: &mut Mutex<T>) -> &mut T {
    lane.get_mut().unwrap_or_else(|poison| poison.into_inner())
}

/// Sums the gradients of all lanes in their order; returns the norm of the sum.
fn reduce(lanes: &mut [Mutex<Lane>], grad: &mut [f32], jobs: usize) -> f64 {
    let parts: Vec<&[f32]> = lanes.iter_mut().map(|l| &unlocked(l).grad[..]).collect();
    let mut pieces: Vec<Mutex<(&mut [f32], f64)>> = grad
        .chunks_mut(PIECE)
        .map(|piece| Mutex::new((piece, 0.0)))
        .collect();
    in_lanes(&mut pieces, jobs, |i, (piece, squares)| {
        piece.fill(0.0);
        for part in &parts {
            crate::net::ops::add(&part[i * PIECE..][..piece.len()], piece);
        }
        *squares = piece.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
    });
    let squares: f64 = pieces.iter_mut().map(|p| unlocked(p).1).sum();
    squares.sqrt()
}

fn update(state: &mut State, grad: &[f32], lr: f64, decay: f64, scale: f32, jobs: usize) {
    let rates: Rates = state.adam.begin(lr, decay);
    let AdamW { m, v, .. } = &mut state.adam;
    let mut pieces: Vec<Mutex<_>> = state
        .params
        .chunks_mut(PIECE)
        .zip(m.chunks_mut(PIECE))
        .zip(v.chunks_mut(PIECE))
        .zip(grad.chunks(PIECE))
        .map(Mutex::new)
        .collect();
    in_lanes(&mut pieces, jobs, |_, (((p, m), v), g)| {
        rates.apply(p, g, scale, m, v);
    });
}

/// Which frames a step sees: a new seeded permutation for every pass over the data.
struct Batches {
    n: usize,
    batch: usize,
    seed: u64,
    pass: Option<u64>,
    order: Vec<usize>,
}

impl Batches {
    fn new(n: usize, batch: usize, seed: u64) -> Batches {
        Batches {
            n,
            batch,
            seed,
            pass: None,
            order: Vec::new(),
        }
    }

    fn get(&mut self, step: u64) -> &[usize] {
        let per_pass = (self.n / self.batch).max(1) as u64;
        let pass = step / per_pass;
        if self.pass != Some(pass) {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(1_000_003) + pass);
            self.order = (0..self.n).collect();
            for i in (1..self.n).rev() {
                self.order
                    .swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
            }
            // Fewer frames than a batch are seen several times in it.
            while self.order.len() < self.batch {
                self.order.extend_from_within(..self.n);
            }
            self.pass = Some(pass);
        }
        let at = (step % per_pass) as usize * self.batch;
        &self.order[at..at + self.batch]
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
        let mut writer = csv::Writer::from_path(path)?;
        for row in rows {
            writer.serialize(row)?;
        }
        Ok(writer.flush()?)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
