//! The network as a [`Policy`], over any weight format.

use crate::checkpoint::file_error;
use crate::folder::{Dir, Folder};
use crate::normalise::{Statistics, gripper_to_env};
use crate::packed::Packed;
use crate::preprocess::ImagePipeline;
use crate::prompt::{PROCESSOR_FILE, ProcessorConfig, Prompter};
use crate::{
    ActionChunk, BitVla, CAMERA_SIZE, Checkpoint, Config, MemoryLedger, Observation, PhaseTimes,
    Policy, PolicyError, Prompt, Threads, WeightFormat, Workspace,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A checkpoint that acts.
pub struct VlaPolicy {
    model: Arc<Model>,
    tokens: usize,
    work: Workspace,
}

/// What all workers share.
struct Model {
    format: WeightFormat,
    arithmetic: String,
    network: BitVla,
    prompter: Prompter,
    pipeline: ImagePipeline,
    statistics: Statistics,
}

impl VlaPolicy {
    /// Reads a checkpoint folder or a packed file.
    ///
    /// # Errors
    /// Names the file, and the tensor where it is about one.
    pub fn load(path: &Path, format: WeightFormat) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(Box::new(VlaPolicy::open(path, format)?))
    }

    /// The same with its type.
    ///
    /// # Errors
    /// As [`VlaPolicy::load`].
    pub fn open(path: &Path, format: WeightFormat) -> Result<VlaPolicy, PolicyError> {
        if path.is_file() {
            return VlaPolicy::open_packed(&Packed::open(path)?, format);
        }
        let checkpoint = Checkpoint::load(path)?;
        checkpoint.require_action()?;
        let network = BitVla::new(&checkpoint, format)?;
        VlaPolicy::of(network, checkpoint.config(), &Dir(path), format)
    }

    fn open_packed(packed: &Packed, format: WeightFormat) -> Result<VlaPolicy, PolicyError> {
        let (network, packed_as) = BitVla::of_packed(packed)?;
        if packed_as != format {
            let what = format!(
                "packed as {}, wanted as {}",
                packed_as.name(),
                format.name()
            );
            return Err(file_error(packed.path(), what));
        }
        let text = packed.file("config.json");
        let text = text.ok_or_else(|| file_error(packed.path(), "holds no config.json"))?;
        let config = Config::parse(text, packed.path())?;
        VlaPolicy::of(network, &config, packed, format)
    }

    fn of(
        network: BitVla,
        config: &Config,
        folder: &dyn Folder,
        format: WeightFormat,
    ) -> Result<VlaPolicy, PolicyError> {
        let processor = ProcessorConfig::read(folder)?;
        let model = Model {
            format,
            arithmetic: network.arithmetic(),
            pipeline: ImagePipeline::named(
                processor.image_pipeline.as_deref(),
                &folder.place(PROCESSOR_FILE),
            )?,
            prompter: Prompter::load(folder, config, &processor)?,
            statistics: Statistics::read(folder, processor.unnorm_key.as_deref())?,
            network,
        };
        Ok(VlaPolicy {
            model: Arc::new(model),
            tokens: 0,
            work: Workspace::default(),
        })
    }

    /// Turns instructions that will be asked into token ids now.
    ///
    /// # Errors
    /// When the tokenizer cannot be read.
    pub fn prepare(&self, instructions: &[String]) -> Result<(), PolicyError> {
        self.model.prompter.prepare(instructions)
    }

    /// Another instance over the same weights, with buffers and threads of its own.
    pub fn another(&self, threads: Threads) -> VlaPolicy {
        VlaPolicy {
            model: Arc::clone(&self.model),
            tokens: 0,
            work: Workspace::new(threads),
        }
    }

    /// Works with these threads from now on.
    pub fn set_threads(&mut self, threads: Threads) {
        self.work.threads = threads;
    }

    /// Tokens of the last query, those of the actions included.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The network.
    pub fn network(&self) -> &BitVla {
        &self.model.network
    }

    fn fail<T>(&self, what: String) -> Result<T, PolicyError> {
        Err(PolicyError::Query {
            policy: self.model.format.name().into(),
            what,
        })
    }
}

impl Policy for VlaPolicy {
    fn name(&self) -> &str {
        self.model.format.name()
    }

    fn arithmetic(&self) -> &str {
        &self.model.arithmetic
    }

    fn query(&mut self, observation: &Observation<'_>) -> Result<ActionChunk, PolicyError> {
        let start = Instant::now();
        let expected = CAMERA_SIZE * CAMERA_SIZE * 3;
        let cameras = [observation.agentview, observation.wrist];
        if let Some(frame) = cameras.iter().find(|frame| frame.len() != expected) {
            return self.fail(format!(
                "frame of {} bytes, expected {expected}",
                frame.len()
            ));
        }
        if observation.proprio.iter().any(|v| !v.is_finite()) {
            return self.fail(format!(
                "proprioception {:?} is not finite",
                observation.proprio
            ));
        }
        let config = self.model.network.architecture();
        if config.num_images > cameras.len() {
            return self.fail(format!(
                "the checkpoint wants {} images, there are 2",
                config.num_images
            ));
        }
        let size = config.image_size();
        let images: Vec<Vec<f32>> = cameras
            .iter()
            .take(config.num_images)
            .map(|frame| self.model.pipeline.apply(frame, size))
            .collect();
        let prompt = self.model.prompter.ids(observation.instruction)?;
        self.tokens = prompt.len() + config.placeholders() + 1;
        let state = self
            .model
            .statistics
            .proprio
            .normalise(&observation.proprio);
        let state: Vec<f32> = state.into_iter().map(|v| v as f32).collect();
        let mut times = PhaseTimes {
            preprocessing: start.elapsed(),
            ..PhaseTimes::default()
        };
        let asked = Prompt {
            tokens: &prompt,
            images: &images,
            proprio: &state,
        };
        let normalised =
            self.model
                .network
                .forward(&mut self.work, asked, &mut times, &mut |_, _| {})?;
        let start = Instant::now();
        let mut actions = Vec::with_capacity(normalised.len() / 7);
        for action in normalised.as_chunks::<7>().0 {
            let wide: Vec<f64> = action.iter().map(|&v| f64::from(v)).collect();
            let raw = self.model.statistics.action.unnormalise(&wide);
            let mut action = [0f64; 7];
            action.copy_from_slice(&raw);
            action[6] = gripper_to_env(raw[6]);
            if action.iter().any(|v| !v.is_finite()) {
                return self.fail(format!("action {action:?} is not finite"));
            }
            actions.push(action);
        }
        times.head += start.elapsed();
        Ok(ActionChunk { actions, times })
    }

    fn memory(&self) -> MemoryLedger {
        self.model.network.ledger(&self.work)
    }
}
