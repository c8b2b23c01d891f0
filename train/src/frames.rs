//! Training frames and the files they are kept in: safetensors shards that are written whole or not at all.

use anyhow::{Context, Result, bail, ensure};
use bitvla_policies::preprocess::resize_area;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Actions of a chunk.
pub const CHUNK: usize = 8;
/// Side of a stored image, pixels: the input size of the network that ships.
pub const SIDE: usize = 112;
/// Bytes of the two stored images of a frame.
pub const IMAGE_BYTES: usize = 2 * SIDE * SIDE * 3;

/// What a policy saw at one moment and what the expert does next.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Agentview, then eye-in-hand, each SIDE x SIDE x 3 as policies see them, area-averaged.
    pub images: Vec<u8>,
    /// Proprioception, as in an observation: m, rad, m.
    pub proprio: [f64; 8],
    /// The expert's next actions in environment convention.
    pub actions: [[f64; 7]; CHUNK],
    /// Index of the task in its suite.
    pub task: u8,
}

/// Both camera images at the stored size.
pub fn shrink(agentview: &[u8], wrist: &[u8]) -> Vec<u8> {
    let from = bitvla_policies::CAMERA_SIZE;
    let mut images = resize_area(agentview, from, SIDE);
    images.extend(resize_area(wrist, from, SIDE));
    images
}

/// What came of the episodes of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Episodes driven.
    pub episodes: usize,
    /// Episodes that count for the rate of success.
    pub counted: usize,
    /// Successes among those.
    pub successes: usize,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Tally) {
        self.episodes += other.episodes;
        self.counted += other.counted;
        self.successes += other.successes;
    }
}

/// Frames in memory.
#[derive(Debug, Default)]
pub struct Frames {
    images: Vec<u8>,
    rest: Vec<Rest>,
    /// What came of the episodes they are from.
    pub tally: Tally,
}

/// A frame without its images.
#[derive(Debug, Clone)]
pub struct Rest {
    /// As in [`Frame`].
    pub proprio: [f64; 8],
    /// As in [`Frame`].
    pub actions: [[f64; 7]; CHUNK],
    /// As in [`Frame`].
    pub task: usize,
}

impl Frames {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Both images of a frame.
    pub fn images(&self, i: usize) -> &[u8] {
        &self.images[i * IMAGE_BYTES..(i + 1) * IMAGE_BYTES]
    }

    /// The numbers of a frame.
    pub fn rest(&self, i: usize) -> &Rest {
        &self.rest[i]
    }

    /// The numbers of all frames.
    pub fn rests(&self) -> &[Rest] {
        &self.rest
    }

    /// Reads all shards of a folder, in order of their names.
    ///
    /// # Errors
    /// Names the shard that cannot be read or is not one.
    pub fn read(dir: &Path) -> Result<Frames> {
        let mut all = Frames::default();
        all.append(dir)?;
        ensure!(!all.is_empty(), "{} holds no frames", dir.display());
        Ok(all)
    }

    /// Adds the shards of another folder.
    ///
    /// # Errors
    /// As [`Frames::read`].
    pub fn append(&mut self, dir: &Path) -> Result<()> {
        let mut index = 0;
        while shard_path(dir, index).is_file() {
            let path = shard_path(dir, index);
            self.read_shard(&path)
                .with_context(|| format!("{} is not a shard of frames", path.display()))?;
            index += 1;
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
        let n = images.shape().first().copied().unwrap_or(0);
        let wanted = [n, 2, SIDE, SIDE, 3];
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
        ensure!(tasks.data().len() == n, "tensor `task` has not {n} entries");
        self.images.extend_from_slice(images.data());
        for i in 0..n {
            let mut rest = Rest {
                proprio: [0.0; 8],
                actions: [[0.0; 7]; CHUNK],
                task: usize::from(tasks.data()[i]),
            };
            rest.proprio.copy_from_slice(&proprio[8 * i..8 * i + 8]);
            let from = &actions[7 * CHUNK * i..7 * CHUNK * (i + 1)];
            for (to, from) in rest.actions.iter_mut().zip(from.chunks_exact(7)) {
                to.copy_from_slice(from);
            }
            self.rest.push(rest);
        }
        let tally = numbers_of(tensor("tally", Dtype::I64)?.data());
        let [episodes, counted, successes] = tally[..] else {
            bail!("tensor `tally` has {} entries, expected 3", tally.len());
        };
        self.tally.add(Tally {
            episodes,
            counted,
            successes,
        });
        Ok(())
    }
}

fn numbers_of(bytes: &[u8]) -> Vec<usize> {
    let (chunks, _) = bytes.as_chunks::<8>();
    chunks
        .iter()
        .map(|b| i64::from_le_bytes(*b).max(0) as usize)
        .collect()
}

/// Where a shard lies.
pub fn shard_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("{index:03}.safetensors"))
}

/// Writes a shard; a shard that is there is complete.
///
/// # Errors
/// When the file cannot be written.
pub fn write_shard(path: &Path, frames: &[Frame], tally: Tally) -> Result<()> {
    let n = frames.len();
    let images: Vec<u8> = frames.iter().flat_map(|f| &f.images).copied().collect();
    let bytes = |values: &mut dyn Iterator<Item = f64>| -> Vec<u8> {
        values.flat_map(f64::to_le_bytes).collect()
    };
    let proprio = bytes(&mut frames.iter().flat_map(|f| f.proprio));
    let actions = bytes(&mut frames.iter().flat_map(|f| f.actions.into_iter().flatten()));
    let tasks: Vec<u8> = frames.iter().map(|f| f.task).collect();
    let tally: Vec<u8> = [tally.episodes, tally.counted, tally.successes]
        .iter()
        .flat_map(|&v| (v as i64).to_le_bytes())
        .collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data);
    let views = [
        ("images", view(Dtype::U8, &[n, 2, SIDE, SIDE, 3], &images)?),
        ("proprio", view(Dtype::F64, &[n, 8], &proprio)?),
        ("actions", view(Dtype::F64, &[n, CHUNK, 7], &actions)?),
        ("task", view(Dtype::U8, &[n], &tasks)?),
        ("tally", view(Dtype::I64, &[3], &tally)?),
    ];
    write_whole(path, &safetensors::serialize(views, None::<HashMap<_, _>>)?)
}

/// Writes a file under another name and renames it, so that it is there whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, bytes)
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    //! Guarantee: what is read from a shard is what was written, and a cut shard is refused by name.
    use super::*;

    #[test]
    fn shards_keep_their_frames() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let frame = |k: u8| Frame {
            images: (0..IMAGE_BYTES)
                .map(|i| (i as u8).wrapping_mul(k))
                .collect(),
            proprio: std::array::from_fn(|i| f64::from(k) + i as f64 / 3.0),
            actions: std::array::from_fn(|c| std::array::from_fn(|i| (c * 7 + i) as f64 * 0.01)),
            task: k,
        };
        let tally = Tally {
            episodes: 2,
            counted: 2,
            successes: 1,
        };
        write_shard(&shard_path(dir.path(), 0), &[frame(3), frame(5)], tally)?;
        write_shard(&shard_path(dir.path(), 1), &[frame(7)], tally)?;
        let all = Frames::read(dir.path())?;
        assert_eq!((all.len(), all.tally.episodes), (3, 4));
        for (i, k) in [3, 5, 7].into_iter().enumerate() {
            assert_eq!(all.images(i), frame(k).images);
            assert_eq!(all.rest(i).proprio, frame(k).proprio);
            assert_eq!(all.rest(i).actions, frame(k).actions);
            assert_eq!(all.rest(i).task, usize::from(k));
        }
        let path = shard_path(dir.path(), 1);
        let bytes = std::fs::read(&path)?;
        std::fs::write(&path, &bytes[..bytes.len() - 9])?;
        let error = format!("{:#}", Frames::read(dir.path()).unwrap_err());
        assert!(error.contains("001.safetensors"), "{error}");
        Ok(())
    }
}
