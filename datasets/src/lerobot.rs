//! LeRobot data sets, version 3.0: `data/` with one row per control step, `meta/` with the features, statistics, tasks and episodes. Images are PNG,
//! inside the rows.

use crate::parquet_table::{Column, ParquetFile};
use crate::statistics::{FeatureStatistics, PixelCounts};
use crate::{DatasetError, DatasetInfo, DatasetWriter, EncodedImage, RecordedEpisode};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Version of the format.
const VERSION: &str = "v3.0";
/// Size at which a data file is followed by another one, MB.
const FILE_MB: usize = 100;
/// Most files of a folder.
const FILES_PER_CHUNK: usize = 1000;
/// Image features: those of LIBERO's data sets.
const IMAGES: [&str; 2] = ["observation.images.image", "observation.images.image2"];
const STATE: &str = "observation.state";
const ACTION: &str = "action";
/// Components of the state.
const STATE_NAMES: [&str; 8] = [
    "x",
    "y",
    "z",
    "rx",
    "ry",
    "rz",
    "finger_left",
    "finger_right",
];
/// Components of an action.
const ACTION_NAMES: [&str; 7] = ["x", "y", "z", "rx", "ry", "rz", "gripper"];
/// Row indices.
const INDICES: [&str; 4] = ["frame_index", "episode_index", "index", "task_index"];

/// A square RGB image as PNG, without loss.
pub(crate) fn encode_png(rgb: &[u8], side: usize) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive);
    let side = u32::try_from(side).unwrap_or(0);
    let written = encoder.write_image(rgb, side, side, ExtendedColorType::Rgb8);
    written.map_err(|e| {
        DatasetError::Episode(format!(
            "an image of {} bytes and side {side}: {e}",
            rgb.len()
        ))
    })?;
    Ok(bytes)
}

/// Number of a file: folder, file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct FilePlace {
    chunk: usize,
    file: usize,
}

impl FilePlace {
    fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!(
            "chunk-{:03}/file-{:03}.parquet",
            self.chunk, self.file
        ))
    }

    fn next(self) -> FilePlace {
        match self.file + 1 < FILES_PER_CHUNK {
            true => FilePlace {
                file: self.file + 1,
                ..self
            },
            false => FilePlace {
                chunk: self.chunk + 1,
                file: 0,
            },
        }
    }
}

/// Row of the table of episodes.
struct EpisodeRow {
    place: FilePlace,
    /// First row, and the row behind the last one.
    rows: [usize; 2],
    instruction: String,
    statistics: Vec<(String, FeatureStatistics)>,
}

/// A writer of a folder.
pub(crate) struct LeRobotWriter {
    dir: PathBuf,
    info: DatasetInfo,
    place: FilePlace,
    data: Option<ParquetFile>,
    /// Instructions by task index.
    tasks: Vec<String>,
    episodes: Vec<EpisodeRow>,
    /// Numbers of all frames by feature, for the statistics of the whole.
    numbers: Vec<(&'static str, Vec<Vec<f64>>)>,
    pixels: [PixelCounts; 2],
    frames: usize,
}

impl LeRobotWriter {
    pub(crate) fn create(dir: &Path, info: &DatasetInfo) -> Result<LeRobotWriter, DatasetError> {
        let meta = dir.join("meta/info.json");
        if meta.exists() {
            return Err(DatasetError::file(&meta)(
                "exists already; choose another folder",
            ));
        }
        std::fs::create_dir_all(dir).map_err(DatasetError::io(dir))?;
        let features = [STATE, ACTION, "timestamp"].into_iter().chain(INDICES);
        Ok(LeRobotWriter {
            dir: dir.to_owned(),
            info: info.clone(),
            place: FilePlace::default(),
            data: None,
            tasks: Vec::new(),
            episodes: Vec::new(),
            numbers: features.map(|name| (name, Vec::new())).collect(),
            pixels: Default::default(),
            frames: 0,
        })
    }

    fn json(&self, name: &str, value: &Value) -> Result<(), DatasetError> {
        let path = self.dir.join("meta").join(name);
        let text = serde_json::to_string_pretty(value).map_err(DatasetError::file(&path))?;
        std::fs::create_dir_all(self.dir.join("meta")).map_err(DatasetError::io(&path))?;
        std::fs::write(&path, text + "\n").map_err(DatasetError::io(&path))
    }

    /// `meta/tasks.parquet`: a table of pandas whose index is the instruction.
    fn write_tasks(&self) -> Result<(), DatasetError> {
        let index = |name: &str, kind: &str, numpy: &str| json!({ "name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": null });
        let pandas = json!({
            "index_columns": ["task"],
            "column_indexes": [],
            "columns": [index("task_index", "int64", "int64"), index("task", "unicode", "object")],
            "attributes": {},
            "creator": { "library": "bitvla-eval", "version": env!("CARGO_PKG_VERSION") },
            "pandas_version": "2.0.0",
        });
        let columns = [
            (
                "task_index".to_owned(),
                Column::Int64((0..self.tasks.len() as i64).collect()),
            ),
            ("task".to_owned(), Column::Text(self.tasks.clone())),
        ];
        let path = self.dir.join("meta/tasks.parquet");
        let mut file = ParquetFile::create(&path, &columns, &[("pandas", pandas.to_string())])?;
        file.add(&columns)?;
        file.finish()
    }

    /// `meta/episodes`: where the rows of each episode are, its instruction and its statistics.
    fn write_episodes(&self) -> Result<(), DatasetError> {
        let integers = |of: &dyn Fn(usize, &EpisodeRow) -> usize| {
            let values = self
                .episodes
                .iter()
                .enumerate()
                .map(|(i, row)| of(i, row) as i64);
            Column::Int64(values.collect())
        };
        let mut columns = vec![
            ("episode_index".to_owned(), integers(&|i, _| i)),
            (
                "tasks".to_owned(),
                Column::TextList(
                    self.episodes
                        .iter()
                        .map(|row| vec![row.instruction.clone()])
                        .collect(),
                ),
            ),
            (
                "length".to_owned(),
                integers(&|_, row| row.rows[1] - row.rows[0]),
            ),
            (
                "data/chunk_index".to_owned(),
                integers(&|_, row| row.place.chunk),
            ),
            (
                "data/file_index".to_owned(),
                integers(&|_, row| row.place.file),
            ),
            (
                "dataset_from_index".to_owned(),
                integers(&|_, row| row.rows[0]),
            ),
            (
                "dataset_to_index".to_owned(),
                integers(&|_, row| row.rows[1]),
            ),
        ];
        let features = self.episodes.first().map_or(&[][..], |row| &row.statistics);
        for (f, (feature, first)) in features.iter().enumerate() {
            for (s, (name, _)) in first.values.iter().enumerate() {
                let values = self
                    .episodes
                    .iter()
                    .map(|row| row.statistics[f].1.values[s].1.clone());
                let values = values.collect();
                let column = match IMAGES.contains(&feature.as_str()) {
                    true => Column::Float64Channels(values),
                    false => Column::Float64List(values),
                };
                columns.push((format!("stats/{feature}/{name}"), column));
            }
            let counts = self
                .episodes
                .iter()
                .map(|row| vec![row.statistics[f].1.count as i64]);
            columns.push((
                format!("stats/{feature}/count"),
                Column::Int64List(counts.collect()),
            ));
        }
        for name in ["chunk_index", "file_index"] {
            columns.push((format!("meta/episodes/{name}"), integers(&|_, _| 0)));
        }
        let path = FilePlace::default().path(&self.dir.join("meta/episodes"));
        let mut file = ParquetFile::create(&path, &columns, &[])?;
        file.add(&columns)?;
        file.finish()
    }

    /// `meta/stats.json`: statistics of all frames.
    fn write_statistics(&self) -> Result<(), DatasetError> {
        let mut all = Map::new();
        for (name, frames) in &self.numbers {
            let statistics = FeatureStatistics::of_numbers(frames);
            let values = statistics
                .values
                .iter()
                .map(|(n, v)| ((*n).to_owned(), json!(v)));
            let mut entry: Map<String, Value> = values.collect();
            entry.insert("count".into(), json!([statistics.count]));
            all.insert((*name).to_owned(), Value::Object(entry));
        }
        for (name, pixels) in IMAGES.iter().zip(&self.pixels) {
            let statistics = FeatureStatistics::of_pixels(pixels, self.frames as u64);
            let channels = |v: &[f64]| v.iter().map(|x| json!([[x]])).collect::<Vec<_>>();
            let values = statistics
                .values
                .iter()
                .map(|(n, v)| ((*n).to_owned(), json!(channels(v))));
            let mut entry: Map<String, Value> = values.collect();
            entry.insert("count".into(), json!([statistics.count]));
            all.insert((*name).to_owned(), Value::Object(entry));
        }
        self.json("stats.json", &Value::Object(all))
    }

    /// Numbers of the frames of an episode by feature, in the order of `self.numbers`.
    fn numbers_of(&self, episode: &RecordedEpisode, task: usize) -> Vec<Vec<Vec<f64>>> {
        let (steps, number) = (&episode.steps, self.episodes.len() as f64);
        let rate = f64::from(self.info.rate_hz);
        let frame =
            |of: &dyn Fn(usize) -> Vec<f64>| (0..steps.len()).map(of).collect::<Vec<Vec<f64>>>();
        vec![
            frame(&|i| steps[i].robot.proprioception().to_vec()),
            frame(&|i| steps[i].action.to_vec()),
            frame(&|i| vec![i as f64 / rate]),
            frame(&|i| vec![i as f64]),
            frame(&|_| vec![number]),
            frame(&|i| vec![(self.frames + i) as f64]),
            frame(&|_| vec![task as f64]),
        ]
    }
}

/// Features, as `info.json` and the reader of Hugging Face's `datasets` describe them.
fn features(side: usize) -> (Value, Value) {
    let (mut info, mut reader) = (Map::new(), Map::new());
    for name in IMAGES {
        info.insert(
            name.into(),
            json!({ "dtype": "image", "shape": [side, side, 3], "names": ["height", "width", "channels"] }),
        );
        reader.insert(name.into(), json!({ "_type": "Image" }));
    }
    for (name, names) in [(STATE, &STATE_NAMES[..]), (ACTION, &ACTION_NAMES[..])] {
        info.insert(
            name.into(),
            json!({ "dtype": "float32", "shape": [names.len()], "names": names }),
        );
        let element = json!({ "dtype": "float32", "_type": "Value" });
        reader.insert(
            name.into(),
            json!({ "feature": element, "length": names.len(), "_type": "List" }),
        );
    }
    let mut number = |name: &str, dtype: &str| {
        info.insert(
            name.into(),
            json!({ "dtype": dtype, "shape": [1], "names": null }),
        );
        reader.insert(name.into(), json!({ "dtype": dtype, "_type": "Value" }));
    };
    number("timestamp", "float32");
    for name in INDICES {
        number(name, "int64");
    }
    (Value::Object(info), Value::Object(reader))
}

/// Columns of the rows of an episode: images, then the numbers of `features`.
fn columns_of(
    episode: &RecordedEpisode,
    features: &[(&str, &Vec<Vec<f64>>)],
) -> Vec<(String, Column)> {
    let mut columns: Vec<(String, Column)> = Vec::new();
    for (camera, name) in IMAGES.iter().enumerate() {
        let bytes = episode
            .steps
            .iter()
            .map(|step| step.images[camera].bytes.clone());
        columns.push(((*name).to_owned(), Column::Image(bytes.collect())));
    }
    for (name, frames) in features {
        let first = || frames.iter().map(|frame| frame[0]);
        let column = match *name {
            STATE | ACTION => {
                let floats = frames
                    .iter()
                    .map(|frame| frame.iter().map(|x| *x as f32).collect());
                Column::Float32List(floats.collect())
            }
            "timestamp" => Column::Float32(first().map(|x| x as f32).collect()),
            _ => Column::Int64(first().map(|x| x as i64).collect()),
        };
        columns.push(((*name).to_owned(), column));
    }
    columns
}

impl DatasetWriter for LeRobotWriter {
    fn add(&mut self, episode: &RecordedEpisode) -> Result<(), DatasetError> {
        let known = self
            .tasks
            .iter()
            .position(|task| *task == episode.instruction);
        let task = known.unwrap_or_else(|| {
            self.tasks.push(episode.instruction.clone());
            self.tasks.len() - 1
        });
        let numbers = self.numbers_of(episode, task);
        let named: Vec<(&str, &Vec<Vec<f64>>)> = self
            .numbers
            .iter()
            .map(|(name, _)| *name)
            .zip(&numbers)
            .collect();
        let columns = columns_of(episode, &named);
        if self
            .data
            .as_ref()
            .is_some_and(|data| data.bytes() >= FILE_MB << 20)
        {
            if let Some(full) = self.data.take() {
                full.finish()?;
            }
            self.place = self.place.next();
        }
        let data = match &mut self.data {
            Some(data) => data,
            none => {
                let path = self.place.path(&self.dir.join("data"));
                let (_, reader) = features(self.info.side);
                let features = json!({ "info": { "features": reader } }).to_string();
                none.insert(ParquetFile::create(
                    &path,
                    &columns,
                    &[("huggingface", features)],
                )?)
            }
        };
        data.add(&columns)?;
        let mut statistics: Vec<(String, FeatureStatistics)> = Vec::new();
        for (camera, name) in IMAGES.iter().enumerate() {
            let mut pixels = PixelCounts::default();
            let images = episode.steps.iter().map(|step| &step.images[camera]);
            images.for_each(|EncodedImage { counts, .. }| pixels.add(counts));
            self.pixels[camera].add(&pixels);
            let of_episode = FeatureStatistics::of_pixels(&pixels, episode.steps.len() as u64);
            statistics.push(((*name).to_owned(), of_episode));
        }
        for ((name, all), frames) in self.numbers.iter_mut().zip(numbers) {
            statistics.push(((*name).to_owned(), FeatureStatistics::of_numbers(&frames)));
            all.extend(frames);
        }
        let rows = [self.frames, self.frames + episode.steps.len()];
        self.frames = rows[1];
        self.episodes.push(EpisodeRow {
            place: self.place,
            rows,
            instruction: episode.instruction.clone(),
            statistics,
        });
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), DatasetError> {
        let Some(data) = self.data.take() else {
            return Err(DatasetError::Episode(
                "found no episode to write, expected one at least".into(),
            ));
        };
        data.finish()?;
        self.write_tasks()?;
        self.write_episodes()?;
        self.write_statistics()?;
        let (features, _) = features(self.info.side);
        // Written last: a folder without it is no data set.
        self.json(
            "info.json",
            &json!({
                "codebase_version": VERSION,
                "robot_type": "panda",
                "total_episodes": self.episodes.len(),
                "total_frames": self.frames,
                "total_tasks": self.tasks.len(),
                "chunks_size": FILES_PER_CHUNK,
                "data_files_size_in_mb": FILE_MB,
                "video_files_size_in_mb": 500,
                "fps": self.info.rate_hz,
                "splits": { "train": format!("0:{}", self.episodes.len()) },
                "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
                "video_path": null,
                "features": features,
                "made_by": self.info.made_by,
            }),
        )
    }
}
