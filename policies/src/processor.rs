//! Both ends of a query, whatever engine computes between them: camera frames, proprioception and words become what the
//! network is asked; normalised actions become actions of the environment. Everything here is read from the small files
//! of a checkpoint and is described by the protocol.

use crate::checkpoint::file_error;
use crate::checkpoint_files::CheckpointFiles;
use crate::network::check_tokens;
use crate::normalise::{Statistics, gripper_to_env};
use crate::normaliser::{NormaliserChoice, StatisticsTable};
use crate::preprocess::ImagePipeline;
use crate::processor_config::{PROCESSOR_FILE, ProcessorConfig, check_image_processor};
use crate::prompt::PromptBuilder;
use crate::{
    Architecture, CAMERA_SIZE, CAMERAS, Config, Flip, MemoryLedger, Observation, PROPRIO_DIM,
    PolicyError, PolicyProtocol, QuaternionRule,
};

/// Network inputs of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInputs {
    /// Prompt tokens, image and state placeholders among them.
    pub tokens: Vec<u32>,
    /// Normalised images, each 3 x side x side.
    pub images: Vec<Vec<f32>>,
    /// Normalised proprioception (8); empty for a policy that takes none.
    pub proprio: Vec<f32>,
}

/// Preprocessing and postprocessing of a checkpoint.
pub struct Processor {
    /// Prompts and their tokenizer.
    pub prompts: PromptBuilder,
    pipeline: ImagePipeline,
    flip: Flip,
    quaternion_rule: QuaternionRule,
    camera_size: usize,
    image_size: usize,
    images: usize,
    chunk: usize,
    executed: usize,
    key: String,
    proprio: usize,
    statistics: Statistics,
}

impl Processor {
    /// Reads the small files of a checkpoint whose network has this architecture.
    ///
    /// # Errors
    /// Names the file that is missing or does not fit the architecture; [`PolicyError::Normaliser`] where there are no
    /// statistics of the choice.
    pub fn load(
        files: &dyn CheckpointFiles,
        config: &Config,
        architecture: &Architecture,
        choice: &NormaliserChoice,
    ) -> Result<Processor, PolicyError> {
        let file = files.display_path(PROCESSOR_FILE);
        let processor = ProcessorConfig::read(files)?;
        let chunk = architecture.action_chunk;
        let executed = processor.executed_steps.unwrap_or(chunk);
        if executed == 0 || executed > chunk {
            let what = format!("executed_steps {executed}, the network answers with {chunk}");
            return Err(file_error(&file, what));
        }
        if architecture.num_images > CAMERAS.len() {
            let what = format!(
                "num_images {}, the world has {} cameras ({})",
                architecture.num_images,
                CAMERAS.len(),
                CAMERAS.join(", ")
            );
            return Err(file_error(&files.display_path("config.json"), what));
        }
        let proprio = architecture.proprio_dim;
        if proprio != 0 && proprio != PROPRIO_DIM {
            let what = format!(
                "proprio_dim {proprio}, an observation has {PROPRIO_DIM} (0: the policy takes none)"
            );
            return Err(file_error(&files.display_path("config.json"), what));
        }
        if !config.is_published() && files.read(PROCESSOR_FILE)?.is_none() {
            let what = format!(
                "missing, and what it would say is only known for the published model, whose vocabulary has 128264 or 128268 rows, not {}",
                config.text_config.vocab_size
            );
            return Err(file_error(&file, what));
        }
        check_image_processor(files, config)?;
        let camera_size = processor.camera_size.unwrap_or(CAMERA_SIZE);
        if camera_size < architecture.image_size() {
            let what = format!(
                "camera_size {camera_size} is smaller than the image_size {} of the network",
                architecture.image_size()
            );
            return Err(file_error(&file, what));
        }
        let table = StatisticsTable::read(files)?;
        let key = table.choose(choice, processor.unnorm_key.as_deref())?;
        Ok(Processor {
            prompts: PromptBuilder::load(files, config, &processor)?,
            pipeline: ImagePipeline::named(processor.image_pipeline.as_deref(), &file)?,
            flip: processor.flip.unwrap_or_default(),
            quaternion_rule: processor.quaternion_rule.unwrap_or_default(),
            camera_size,
            image_size: architecture.image_size(),
            images: architecture.num_images,
            chunk,
            executed,
            statistics: table.get(key, proprio)?,
            proprio,
            key: key.into(),
        })
    }

    /// Checks that the prompt of an instruction fits a network.
    ///
    /// # Errors
    /// Names tokenizer and instruction: too many tokens, or one outside of the vocabulary.
    pub fn check_prompt(&self, words: &str, network: &Architecture) -> Result<(), PolicyError> {
        let tokens = self.prompts.ids(words)?;
        let places = (network.patches(), usize::from(network.proprio_dim > 0));
        check_tokens(&tokens, network, places).map_err(|what| {
            let what = format!("prompt for `{words}`: {what}");
            file_error(self.prompts.path(), what)
        })
    }

    /// Network inputs of an observation.
    ///
    /// # Errors
    /// In the name of `policy`, when a frame has another size or the proprioception is not finite.
    pub fn encode(
        &self,
        policy: &str,
        observation: &Observation<'_>,
    ) -> Result<ModelInputs, PolicyError> {
        let fail = |what: String| {
            Err(PolicyError::Query {
                policy: policy.into(),
                what,
            })
        };
        let expected = self.camera_size * self.camera_size * 3;
        let frames = observation.frames();
        if let Some(frame) = frames.iter().find(|frame| frame.len() != expected) {
            let what = format!("frame of {} bytes, expected {expected}", frame.len());
            return fail(what);
        }
        if observation.proprio.iter().any(|v| !v.is_finite()) {
            let what = format!("proprioception {:?} is not finite", observation.proprio);
            return fail(what);
        }
        let images = frames.iter().take(self.images);
        let state = self
            .statistics
            .proprio
            .normalise(&observation.proprio[..self.proprio]);
        Ok(ModelInputs {
            images: images
                .map(|frame| self.pipeline.apply(frame, self.image_size))
                .collect(),
            tokens: self.prompts.ids(observation.instruction)?,
            proprio: state.into_iter().map(|v| v as f32).collect(),
        })
    }

    /// Actions in environment convention of normalised ones (chunk x 7).
    ///
    /// # Errors
    /// In the name of `policy`, when an action is not finite.
    pub fn decode(&self, policy: &str, normalised: &[f32]) -> Result<Vec<[f64; 7]>, PolicyError> {
        let action = |normalised: &[f32; 7]| {
            let raw = self
                .statistics
                .action
                .unnormalise(&normalised.map(f64::from));
            let mut action = [0f64; 7];
            action.copy_from_slice(&raw);
            action[6] = gripper_to_env(raw[6]);
            match action.iter().all(|v| v.is_finite()) {
                true => Ok(action),
                false => Err(PolicyError::Query {
                    policy: policy.into(),
                    what: format!("action {action:?} is not finite"),
                }),
            }
        };
        normalised.as_chunks::<7>().0.iter().map(action).collect()
    }

    /// Protocol of a policy with these inputs and outputs and the weights of `ledger`.
    pub fn protocol(&self, ledger: &MemoryLedger) -> PolicyProtocol {
        let protocol = PolicyProtocol {
            cameras: CAMERAS[..self.images]
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            camera_size: self.camera_size,
            network_image_size: self.image_size,
            flip: self.flip,
            jpeg_round_trip: self.pipeline.jpeg_round_trip(),
            crop: self.pipeline.crop().describe(),
            resize_filter: self.pipeline.resize_filter().name().into(),
            quaternion_rule: self.quaternion_rule,
            normaliser_key: self.key.clone(),
            chunk_length: self.chunk,
            executed_steps: self.executed,
            ..PolicyProtocol::default()
        };
        protocol.with_precision(ledger)
    }
}
