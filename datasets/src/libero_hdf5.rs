//! HDF5 files as LIBERO ships its demonstrations (robomimic's layout): one file per task, `data/demo_N/{actions, dones, rewards, robot_states,
//! obs/...}`; images are MuJoCo's buffers, bottom row first.

use crate::{DatasetError, DatasetInfo, DatasetWriter, RecordedEpisode, RecordedStep};
use hdf5_pure::{AttrValue, File, FileBuilder};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Bytes of an RGB image turned by 180 degrees: from the orientation of policies to MuJoCo's buffer.
pub(crate) fn turned(rgb: &[u8]) -> Vec<u8> {
    rgb.as_chunks::<3>()
        .0
        .iter()
        .rev()
        .flatten()
        .copied()
        .collect()
}

/// A writer of a folder of files.
pub(crate) struct LiberoWriter {
    dir: PathBuf,
    info: DatasetInfo,
    task: Option<TaskFile>,
    /// Indices of the tasks that have a file.
    done: Vec<usize>,
}

/// The file of a task.
struct TaskFile {
    path: PathBuf,
    task: usize,
    file: File,
    demos: usize,
    /// Control steps of all of them.
    total: usize,
}

impl LiberoWriter {
    pub(crate) fn create(dir: &Path, info: &DatasetInfo) -> Result<LiberoWriter, DatasetError> {
        std::fs::create_dir_all(dir).map_err(DatasetError::io(dir))?;
        Ok(LiberoWriter {
            dir: dir.to_owned(),
            info: info.clone(),
            task: None,
            done: Vec::new(),
        })
    }

    /// Begins the file of the episode's task.
    fn begin(&mut self, episode: &RecordedEpisode) -> Result<TaskFile, DatasetError> {
        let (task, problem) = (episode.task, &episode.problem);
        if self.done.contains(&task) {
            return Err(DatasetError::Episode(format!(
                "found an episode of task {task} behind those of another one, expected them together"
            )));
        }
        // As LIBERO names its files.
        let name = episode
            .instruction
            .replace(|c: char| !c.is_alphanumeric(), "_");
        let path = self.dir.join(format!("{name}_demo.hdf5"));
        if path.exists() {
            return Err(DatasetError::file(&path)(
                "exists already; choose another folder",
            ));
        }
        let text = |text: String| AttrValue::String(text);
        let mut builder = FileBuilder::new();
        let mut data = builder.create_group("data");
        let language =
            json!({ "problem_name": problem, "language_instruction": episode.instruction });
        let environment = json!({
            "type": 1, "env_name": problem,
            "env_kwargs": { "control_freq": self.info.rate_hz, "camera_heights": self.info.side, "camera_widths": self.info.side,
                            "robots": ["Panda"], "controller": "OSC_POSE" },
        });
        data.set_attr("problem_info", text(language.to_string()));
        data.set_attr("env_args", text(environment.to_string()));
        data.set_attr("env_name", text(problem.clone()));
        data.set_attr("macros_image_convention", text("opengl".into()));
        data.set_attr(
            "tag",
            text(format!("{}, suite {}", self.info.made_by, self.info.suite)),
        );
        builder.add_group(data.finish());
        builder.write(&path).map_err(DatasetError::file(&path))?;
        let file = File::open_rw(&path).map_err(DatasetError::file(&path))?;
        Ok(TaskFile {
            path,
            task,
            file,
            demos: 0,
            total: 0,
        })
    }

    /// Writes the end of the present file.
    fn end(&mut self) -> Result<(), DatasetError> {
        let Some(task) = self.task.take() else {
            return Ok(());
        };
        let close = || -> Result<(), hdf5_pure::Error> {
            let data = task.file.group("data")?;
            data.set_attr("num_demos", AttrValue::I64(task.demos as i64))?;
            data.set_attr("total", AttrValue::I64(task.total as i64))?;
            task.file.commit()
        };
        close().map_err(DatasetError::file(&task.path))?;
        self.done.push(task.task);
        Ok(())
    }
}

impl TaskFile {
    fn add(&mut self, episode: &RecordedEpisode, side: usize) -> Result<(), hdf5_pure::Error> {
        let steps = &episode.steps;
        let (n, side) = (steps.len() as u64, side as u64);
        let root = self.file.root();
        let demo = format!("data/demo_{}", self.demos);
        root.create_group_with(&demo, |group| {
            group.set_attr("num_samples", AttrValue::I64(n as i64));
            group.set_attr("init_state_seed", AttrValue::I64(episode.seed as i64));
        })?;
        root.create_group(&format!("{demo}/obs"))?;
        let numbers = |name: &str, width: u64, of: &dyn Fn(&RecordedStep) -> Vec<f64>| {
            let values: Vec<f64> = steps.iter().flat_map(of).collect();
            let made = root.create_dataset(&format!("{demo}/{name}"), |set| {
                set.with_f64_data(&values).with_shape(&[n, width]);
            });
            made.map(drop)
        };
        numbers("actions", 7, &|s| s.action.to_vec())?;
        numbers("robot_states", 9, &|s| {
            [&s.robot.fingers[..], &s.robot.position, &quaternion_wxyz(s)].concat()
        })?;
        numbers("obs/ee_pos", 3, &|s| s.robot.position.to_vec())?;
        numbers("obs/ee_ori", 3, &|s| s.robot.rotation.to_vec())?;
        numbers("obs/ee_states", 6, &|s| {
            [s.robot.position, s.robot.rotation].concat()
        })?;
        numbers("obs/gripper_states", 2, &|s| s.robot.fingers.to_vec())?;
        numbers("obs/joint_states", 7, &|s| s.robot.joints.to_vec())?;
        for (camera, name) in ["obs/agentview_rgb", "obs/eye_in_hand_rgb"]
            .into_iter()
            .enumerate()
        {
            let bytes: Vec<u8> = steps
                .iter()
                .flat_map(|s| s.images[camera].bytes.iter().copied())
                .collect();
            root.create_dataset(&format!("{demo}/{name}"), |set| {
                set.with_u8_data(&bytes).with_shape(&[n, side, side, 3]);
            })?;
        }
        // The goal holds after the last step of a success.
        let mut last = vec![0u8; steps.len()];
        if let Some(end) = last.last_mut() {
            *end = u8::from(episode.success);
        }
        for name in ["dones", "rewards"] {
            root.create_dataset(&format!("{demo}/{name}"), |set| {
                set.with_u8_data(&last);
            })?;
        }
        self.file.commit()?;
        self.demos += 1;
        self.total += steps.len();
        Ok(())
    }
}

/// Orientation with the real part first, as `robot_states` has it.
fn quaternion_wxyz(step: &RecordedStep) -> [f64; 4] {
    let [x, y, z, w] = step.robot.quaternion;
    [w, x, y, z]
}

impl DatasetWriter for LiberoWriter {
    fn add(&mut self, episode: &RecordedEpisode) -> Result<(), DatasetError> {
        if self
            .task
            .as_ref()
            .is_some_and(|task| task.task != episode.task)
        {
            self.end()?;
        }
        let side = self.info.side;
        if self.task.is_none() {
            self.task = Some(self.begin(episode)?);
        }
        match &mut self.task {
            Some(task) => {
                let added = task.add(episode, side);
                added.map_err(DatasetError::file(&task.path))
            }
            None => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), DatasetError> {
        self.end()?;
        match self.done.is_empty() {
            true => Err(DatasetError::Episode(
                "found no episode to write, expected one at least".into(),
            )),
            false => Ok(()),
        }
    }
}
