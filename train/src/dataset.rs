//! Data set of training frames, kept in safetensors shards that are written whole or not at all.

use anyhow::{Context, Result, bail, ensure};
use bitvla_policies::preprocess::resize_area;
use bitvla_reports::write_atomically;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Number of actions of a chunk.
pub const CHUNK: usize = 8;
/// Side of a stored image, pixels; the input size of the network that ships.
pub const IMAGE_SIZE: usize = 112;
/// Number of bytes of the two stored images of a frame.
pub const IMAGE_BYTES: usize = 2 * IMAGE_SIZE * IMAGE_SIZE * 3;

/// Observation of one control step with the next actions of the expert.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingFrame {
    /// Agentview, then eye-in-hand, (2, IMAGE_SIZE, IMAGE_SIZE, 3), flipped as in the observation of a policy,
    /// area-averaged.
    pub images: Vec<u8>,
    /// Proprioception, as in an observation, (8): m, rad, m.
    pub proprio: [f64; 8],
    /// The expert's next actions, (CHUNK, 7), in environment convention: gripper -1 open, 1 closed.
    pub actions: [[f64; 7]; CHUNK],
    /// Index of the task among those of all suites of the recipe.
    pub task: u8,
}

/// Returns both camera images, each (256, 256, 3), at the stored size, (2, IMAGE_SIZE, IMAGE_SIZE, 3), area-averaged.
pub fn downscale_images(agentview: &[u8], wrist: &[u8]) -> Vec<u8> {
    let from = bitvla_policies::CAMERA_SIZE;
    let mut images = resize_area(agentview, from, IMAGE_SIZE);
    images.extend(resize_area(wrist, from, IMAGE_SIZE));
    images
}

/// Outcomes of the episodes of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EpisodeCounts {
    /// Number of episodes.
    pub episodes: usize,
    /// Number of episodes that count for the success rate.
    pub counted: usize,
    /// Number of successes among those.
    pub successes: usize,
}

impl EpisodeCounts {
    /// Adds the counts of another shard or episode.
    pub fn add(&mut self, other: EpisodeCounts) {
        self.episodes += other.episodes;
        self.counted += other.counted;
        self.successes += other.successes;
    }
}

/// Outcomes by index of the task among those of all suites of the recipe.
pub type TaskCounts = BTreeMap<u8, EpisodeCounts>;

/// Returns the outcomes of the episodes of a folder of shards by task.
///
/// # Errors
/// Names the shard that cannot be read or lacks them.
pub fn task_counts(dir: &Path) -> Result<TaskCounts> {
    let mut all = TaskCounts::new();
    for path in (0..).map(|index| shard_path(dir, index)) {
        if !path.is_file() {
            break;
        }
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let rows = counts_of_shard(&bytes).with_context(|| path.display().to_string())?;
        for (task, counts) in rows {
            all.entry(task).or_default().add(counts);
        }
    }
    Ok(all)
}

fn counts_of_shard(bytes: &[u8]) -> Result<Vec<(u8, EpisodeCounts)>> {
    let file = SafeTensors::deserialize(bytes)?;
    let table = file.tensor("tally_by_task")?;
    let (numbers, _) = table.data().as_chunks::<8>();
    let (rows, rest) = numbers.as_chunks::<4>();
    ensure!(
        table.dtype() == Dtype::I64 && rest.is_empty(),
        "tensor `tally_by_task` is {:?} with {} entries, expected rows of 4 I64",
        table.dtype(),
        numbers.len()
    );
    let number = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes);
    rows.iter()
        .map(|[task, episodes, counted, successes]| {
            let counts = EpisodeCounts {
                episodes: usize::try_from(number(episodes))?,
                counted: usize::try_from(number(counted))?,
                successes: usize::try_from(number(successes))?,
            };
            Ok((u8::try_from(number(task))?, counts))
        })
        .collect()
}

/// Frames in memory: images, one buffer per shard, apart from the rest.
#[derive(Debug, Default)]
pub struct FrameDataset {
    /// Index of the first frame and images of every shard.
    shards: Vec<(usize, Vec<u8>)>,
    meta: Vec<FrameMeta>,
    /// Outcomes of the episodes they are from.
    pub counts: EpisodeCounts,
}

/// Frame without its images.
#[derive(Debug, Clone)]
pub struct FrameMeta {
    /// As in [`TrainingFrame`].
    pub proprio: [f64; 8],
    /// As in [`TrainingFrame`].
    pub actions: [[f64; 7]; CHUNK],
    /// As in [`TrainingFrame`].
    pub task: usize,
}

impl FrameDataset {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.meta.len()
    }

    /// Returns true if there is no frame.
    pub fn is_empty(&self) -> bool {
        self.meta.is_empty()
    }

    /// Returns both images of a frame, (2, IMAGE_SIZE, IMAGE_SIZE, 3).
    pub fn images(&self, i: usize) -> &[u8] {
        let shard = self.shards.partition_point(|(first, _)| *first <= i) - 1;
        let (first, images) = &self.shards[shard];
        &images[(i - first) * IMAGE_BYTES..(i - first + 1) * IMAGE_BYTES]
    }

    /// Returns a frame without its images.
    pub fn meta(&self, i: usize) -> &FrameMeta {
        &self.meta[i]
    }

    /// Returns all frames without their images.
    pub fn metas(&self) -> &[FrameMeta] {
        &self.meta
    }

    /// Reads the shards of a folder as [`FrameDataset::append`] does; at least one must hold frames.
    ///
    /// # Errors
    /// Names the shard that cannot be read or is malformed, or the folder without frames.
    pub fn read(dir: &Path) -> Result<FrameDataset> {
        let mut all = FrameDataset::default();
        all.append(dir)?;
        ensure!(!all.is_empty(), "{} holds no frames", dir.display());
        Ok(all)
    }

    /// Adds the shards of another folder: 000, 001 and so on without a gap; none is no error.
    ///
    /// # Errors
    /// Names the shard that cannot be read, is malformed, or is missing before a later one.
    pub fn append(&mut self, dir: &Path) -> Result<()> {
        let mut index = 0;
        while shard_path(dir, index).is_file() {
            let path = shard_path(dir, index);
            self.read_shard(&path)
                .with_context(|| format!("{} is not a shard of frames", path.display()))?;
            index += 1;
        }
        let later = (index + 1..=MAX_SHARD).find(|&later| shard_path(dir, later).is_file());
        if let Some(later) = later {
            bail!(
                "{} is missing, but {} is there",
                shard_path(dir, index).display(),
                shard_path(dir, later).display()
            );
        }
        Ok(())
    }

    fn read_shard(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let tensor = |name: &str, dtype: Dtype| -> Result<TensorView<'_>> {
            let t = file.tensor(name)?;
            ensure!(
                t.dtype() == dtype,
                "tensor `{name}` is {:?}, expected {dtype:?}",
                t.dtype()
            );
            Ok(t)
        };
        let images = tensor("images", Dtype::U8)?;
        // A tensor without dimensions fails the comparison of shapes.
        let n = images.shape().first().copied().unwrap_or(0);
        let wanted = [n, 2, IMAGE_SIZE, IMAGE_SIZE, 3];
        ensure!(
            images.shape() == wanted,
            "tensor `images` is {:?}, expected {wanted:?}",
            images.shape()
        );
        let numbers = |name: &str, per: usize| -> Result<Vec<f64>> {
            let t = tensor(name, Dtype::F64)?;
            let (chunks, _) = t.data().as_chunks::<8>();
            ensure!(
                chunks.len() == n * per,
                "tensor `{name}` has {} numbers, expected {}",
                chunks.len(),
                n * per
            );
            Ok(chunks.iter().map(|b| f64::from_le_bytes(*b)).collect())
        };
        let (proprio, actions) = (numbers("proprio", 8)?, numbers("actions", 7 * CHUNK)?);
        let tasks = tensor("task", Dtype::U8)?;
        ensure!(
            tasks.data().len() == n,
            "tensor `task` has {} entries, expected {n}",
            tasks.data().len()
        );
        self.shards.push((self.meta.len(), images.data().to_vec()));
        for i in 0..n {
            let mut meta = FrameMeta {
                proprio: [0.0; 8],
                actions: [[0.0; 7]; CHUNK],
                task: usize::from(tasks.data()[i]),
            };
            meta.proprio.copy_from_slice(&proprio[8 * i..8 * i + 8]);
            let from = &actions[7 * CHUNK * i..7 * CHUNK * (i + 1)];
            for (to, from) in meta.actions.iter_mut().zip(from.chunks_exact(7)) {
                to.copy_from_slice(from);
            }
            self.meta.push(meta);
        }
        let (tally, _) = tensor("tally", Dtype::I64)?.data().as_chunks::<8>();
        let [episodes, counted, successes] = tally else {
            bail!("tensor `tally` has {} entries, expected 3", tally.len());
        };
        let count = |bytes: &[u8; 8]| usize::try_from(i64::from_le_bytes(*bytes));
        self.counts.add(EpisodeCounts {
            episodes: count(episodes)?,
            counted: count(counted)?,
            successes: count(successes)?,
        });
        Ok(())
    }
}

/// Largest index of a shard: its file name has three digits.
const MAX_SHARD: usize = 999;

/// Returns the path of a shard.
pub fn shard_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("{index:03}.safetensors"))
}

/// Writes a shard whole or not at all, so that a shard that exists is complete.
///
/// # Errors
/// If the file cannot be written.
pub fn write_shard(path: &Path, frames: &[TrainingFrame], by_task: &TaskCounts) -> Result<()> {
    let n = frames.len();
    let images: Vec<u8> = frames.iter().flat_map(|f| &f.images).copied().collect();
    let bytes = |values: &mut dyn Iterator<Item = f64>| -> Vec<u8> {
        values.flat_map(f64::to_le_bytes).collect()
    };
    let proprio = bytes(&mut frames.iter().flat_map(|f| f.proprio));
    let actions = bytes(&mut frames.iter().flat_map(|f| f.actions.into_iter().flatten()));
    let tasks: Vec<u8> = frames.iter().map(|f| f.task).collect();
    let mut counts = EpisodeCounts::default();
    by_task.values().for_each(|of_task| counts.add(*of_task));
    let numbers = |values: &[usize]| -> Vec<u8> {
        let bytes = values.iter().map(|&v| (v as i64).to_le_bytes());
        bytes.flatten().collect()
    };
    let tally = numbers(&[counts.episodes, counts.counted, counts.successes]);
    let rows = by_task
        .iter()
        .map(|(task, c)| numbers(&[usize::from(*task), c.episodes, c.counted, c.successes]));
    let tally_by_task: Vec<u8> = rows.flatten().collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data);
    let views = [
        (
            "images",
            view(Dtype::U8, &[n, 2, IMAGE_SIZE, IMAGE_SIZE, 3], &images)?,
        ),
        ("proprio", view(Dtype::F64, &[n, 8], &proprio)?),
        ("actions", view(Dtype::F64, &[n, CHUNK, 7], &actions)?),
        ("task", view(Dtype::U8, &[n], &tasks)?),
        ("tally", view(Dtype::I64, &[3], &tally)?),
        (
            "tally_by_task",
            view(Dtype::I64, &[by_task.len(), 4], &tally_by_task)?,
        ),
    ];
    let bytes = safetensors::serialize(views, None::<HashMap<_, _>>)?;
    Ok(write_atomically(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    //! Guarantee: a shard is read back as it was written, and a truncated one is refused by name.
    use super::*;

    #[test]
    fn shards_keep_their_frames() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let frame = |k: u8| TrainingFrame {
            images: (0..IMAGE_BYTES)
                .map(|i| (i as u8).wrapping_mul(k))
                .collect(),
            proprio: std::array::from_fn(|i| f64::from(k) + i as f64 / 3.0),
            actions: std::array::from_fn(|c| std::array::from_fn(|i| (c * 7 + i) as f64 * 0.01)),
            task: k,
        };
        let counts = EpisodeCounts {
            episodes: 2,
            counted: 2,
            successes: 1,
        };
        let by_task = TaskCounts::from([(3, counts), (7, counts)]);
        write_shard(&shard_path(dir.path(), 0), &[frame(3), frame(5)], &by_task)?;
        write_shard(&shard_path(dir.path(), 1), &[frame(7)], &by_task)?;
        let read = task_counts(dir.path())?;
        assert_eq!(
            (read.len(), read[&7].episodes, read[&7].successes),
            (2, 4, 2)
        );
        let all = FrameDataset::read(dir.path())?;
        assert_eq!((all.len(), all.counts.episodes), (3, 8));
        for (i, k) in [3, 5, 7].into_iter().enumerate() {
            assert_eq!(all.images(i), frame(k).images);
            assert_eq!(all.meta(i).proprio, frame(k).proprio);
            assert_eq!(all.meta(i).actions, frame(k).actions);
            assert_eq!(all.meta(i).task, usize::from(k));
        }
        let path = shard_path(dir.path(), 1);
        let bytes = std::fs::read(&path)?;
        std::fs::write(&path, &bytes[..bytes.len() - 9])?;
        let error = format!("{:#}", FrameDataset::read(dir.path()).unwrap_err());
        assert!(error.contains("001.safetensors"), "{error}");
        Ok(())
    }
}
