//! A checkpoint as a [`Policy`], over any weight format and either engine.

use crate::checkpoint::file_error;
use crate::checkpoint_files::{CheckpointDir, CheckpointFiles, weights_at};
use crate::normaliser::NormaliserChoice;
use crate::packed::PackedFile;
use crate::processor::{ModelInputs, Processor};
use crate::{
    ActionChunk, BitVla, Checkpoint, Config, MemoryLedger, NetworkInput, Observation, PhaseTimes,
    Policy, PolicyError, PolicyProtocol, ScratchBuffers, Threads, VlaNetwork, WeightFormat, memory,
    system,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Library that computes the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// The kernels of this crate, any weight format.
    #[default]
    Native,
    /// candle-core, [`WeightFormat::Full`] only; needs the feature `candle`.
    Candle,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 2] = [Engine::Native, Engine::Candle];

    /// Name as on the command line and in every file.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Native => "native",
            Engine::Candle => "candle",
        }
    }
}

/// Options of opening a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlaOptions {
    /// Weights of the quantisable layers.
    pub format: WeightFormat,
    /// Library that computes.
    pub engine: Engine,
    /// Statistics that normalise state and actions.
    pub normaliser: NormaliserChoice,
    /// Compares every tensor of a packed file with its checksum before it is used; a folder has none and is refused.
    pub verify: bool,
}

impl From<WeightFormat> for VlaOptions {
    /// Native engine, statistics as the checkpoint records them.
    fn from(format: WeightFormat) -> VlaOptions {
        VlaOptions {
            format,
            engine: Engine::Native,
            normaliser: NormaliserChoice::Recorded,
            verify: false,
        }
    }
}

/// A checkpoint that acts.
///
/// ```
/// use bitvla_policies::{Observation, Policy, VlaPolicy, WeightFormat};
///
/// # fn main() -> Result<(), bitvla_policies::PolicyError> {
/// let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/checkpoints/spatial/ternary");
/// let mut policy = VlaPolicy::open(shipped.as_ref(), WeightFormat::Ternary)?;
/// let grey = vec![128u8; 256 * 256 * 3];
/// let chunk = policy.query(&Observation {
///     agentview: &grey,
///     wrist: &grey,
///     proprio: [-0.1, 0.0, 1.0, 3.1, 0.0, 0.0, 0.02, -0.02],
///     instruction: "pick up the black bowl next to the plate and place it on the plate",
/// })?;
/// assert_eq!(chunk.actions.len(), policy.protocol().chunk_length);
/// assert!(chunk.actions.iter().flatten().all(|number| number.is_finite()));
/// # Ok(())
/// # }
/// ```
pub struct VlaPolicy {
    model: Arc<SharedModel>,
    tokens: usize,
    buffers: ScratchBuffers,
}

/// Part that all instances share.
struct SharedModel {
    format: WeightFormat,
    engine: Engine,
    arithmetic: String,
    network: Box<dyn VlaNetwork>,
    processor: Processor,
}

impl VlaPolicy {
    /// Reads a checkpoint folder or a packed file; a folder with a packed file stands for that file.
    ///
    /// # Errors
    /// Names the file, and the tensor where it is about one.
    pub fn load(
        path: &Path,
        options: impl Into<VlaOptions>,
    ) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(Box::new(VlaPolicy::open(path, options)?))
    }

    /// The same with its type.
    ///
    /// # Errors
    /// As [`VlaPolicy::load`].
    pub fn open(path: &Path, options: impl Into<VlaOptions>) -> Result<VlaPolicy, PolicyError> {
        let options = options.into();
        let path = &weights_at(path);
        if options.engine == Engine::Candle {
            return VlaPolicy::open_candle(path, &options);
        }
        if path.is_file() {
            return VlaPolicy::open_packed(&PackedFile::open(path)?, &options);
        }
        if options.verify {
            let what =
                "a folder carries no checksums: only a packed file can be compared with them";
            return Err(file_error(path, what));
        }
        let checkpoint = VlaPolicy::load_checkpoint(path, options.format)?;
        let network = BitVla::new(&checkpoint, options.format)?;
        let config = checkpoint.config();
        VlaPolicy::assemble(Box::new(network), config, &CheckpointDir(path), &options)
    }

    /// Reads the directory of a checkpoint that can act in a weight format and fits the memory.
    pub(crate) fn load_checkpoint(
        path: &Path,
        format: WeightFormat,
    ) -> Result<Checkpoint, PolicyError> {
        let checkpoint = Checkpoint::load(path)?;
        checkpoint.require_action()?;
        let (config, file) = (checkpoint.config(), path.join("config.json"));
        config
            .check_format(format)
            .map_err(|what| file_error(&file, what))?;
        memory::check(config, format, system::available_bytes(), &file)?;
        Ok(checkpoint)
    }

    #[cfg(feature = "candle")]
    fn open_candle(path: &Path, options: &VlaOptions) -> Result<VlaPolicy, PolicyError> {
        use crate::candle_engine::CandleVla;
        if options.format != WeightFormat::Full {
            let what = format!(
                "engine `candle` computes with the stored weights only: policy `full`, not `{}`",
                options.format.name()
            );
            return Err(file_error(path, what));
        }
        if path.is_file() {
            let what = "engine `candle` reads the files of a checkpoint folder, not a packed file";
            return Err(file_error(path, what));
        }
        let checkpoint = VlaPolicy::load_checkpoint(path, options.format)?;
        let network = CandleVla::new(&checkpoint)?;
        VlaPolicy::assemble(
            Box::new(network),
            checkpoint.config(),
            &CheckpointDir(path),
            options,
        )
    }

    #[cfg(not(feature = "candle"))]
    fn open_candle(path: &Path, options: &VlaOptions) -> Result<VlaPolicy, PolicyError> {
        let what = format!("engine `{}` is not built in", options.engine.name());
        Err(file_error(path, what))
    }

    /// Opens a file that [`crate::onnx::export_onnx`] wrote, with the small files of the checkpoint beside it; ONNX Runtime computes.
    ///
    /// # Errors
    /// Names the file; see [`crate::onnx::OnnxVla::open`].
    #[cfg(feature = "onnx")]
    pub fn open_onnx(
        file: &crate::onnx::OnnxFile,
        normaliser: NormaliserChoice,
        runtime: &crate::onnx::OnnxRuntimeOptions,
    ) -> Result<VlaPolicy, PolicyError> {
        let dir = file.dir();
        let config = Config::read(&dir.join("config.json"))?;
        let network = crate::onnx::OnnxVla::open(file, &config, runtime)?;
        let options = VlaOptions {
            normaliser,
            ..WeightFormat::Full.into()
        };
        VlaPolicy::assemble(Box::new(network), &config, &CheckpointDir(dir), &options)
    }

    fn open_packed(packed: &PackedFile, options: &VlaOptions) -> Result<VlaPolicy, PolicyError> {
        if options.verify {
            packed.verify()?;
        }
        let network = BitVla::from_packed(packed, options.format)?;
        let text = packed.file("config.json");
        let text = text.ok_or_else(|| file_error(packed.path(), "holds no config.json"))?;
        let config = Config::parse(text, packed.path())?;
        let fits = config.check_format(options.format);
        fits.map_err(|what| file_error(&packed.display_path("config.json"), what))?;
        VlaPolicy::assemble(Box::new(network), &config, packed, options)
    }

    fn assemble(
        network: Box<dyn VlaNetwork>,
        config: &Config,
        files: &dyn CheckpointFiles,
        options: &VlaOptions,
    ) -> Result<VlaPolicy, PolicyError> {
        let processor =
            Processor::load(files, config, network.architecture(), &options.normaliser)?;
        // A prompt that is too long without any words is found now and not in the first query.
        processor.check_prompt("", network.architecture())?;
        let model = SharedModel {
            format: options.format,
            engine: options.engine,
            arithmetic: network.arithmetic(),
            processor,
            network,
        };
        Ok(VlaPolicy {
            model: Arc::new(model),
            tokens: 0,
            buffers: ScratchBuffers::default(),
        })
    }

    /// Turns instructions that will be asked into token ids now.
    ///
    /// # Errors
    /// Fails if the tokenizer cannot be read, or a prompt does not fit the network: too many tokens, or one outside of the
    /// vocabulary.
    pub fn prepare(&self, instructions: &[String]) -> Result<(), PolicyError> {
        let (processor, network) = (&self.model.processor, &self.model.network);
        processor.prompts.prepare(instructions)?;
        let mut instructions = instructions.iter();
        instructions.try_for_each(|words| processor.check_prompt(words, network.architecture()))
    }

    /// What the network is asked for an observation.
    ///
    /// # Errors
    /// As [`Policy::query`].
    pub fn encode(&self, observation: &Observation<'_>) -> Result<ModelInputs, PolicyError> {
        let name = self.model.format.name();
        self.model.processor.encode(name, observation)
    }

    /// Words of an instruction that the checkpoint's tokenizer does not know; what the network does with them is
    /// meaningless.
    ///
    /// # Errors
    /// Fails if the tokenizer cannot be read.
    pub fn unknown_words(&self, instruction: &str) -> Result<Vec<String>, PolicyError> {
        self.model.processor.prompts.unknown_words(instruction)
    }

    /// Refuses instructions with [`VlaPolicy::unknown_words`].
    ///
    /// # Errors
    /// [`PolicyError::Vocabulary`] with the first such instruction and its words.
    pub fn check_instructions(&self, instructions: &[String]) -> Result<(), PolicyError> {
        let prompts = &self.model.processor.prompts;
        let mut instructions = instructions.iter();
        instructions.try_for_each(|instruction| prompts.check_words(instruction))
    }

    /// Another instance over the same weights, with buffers and threads of its own.
    pub fn for_worker(&self, threads: Threads) -> VlaPolicy {
        VlaPolicy {
            model: Arc::clone(&self.model),
            tokens: 0,
            buffers: ScratchBuffers::new(threads),
        }
    }

    /// Works with these threads from now on.
    pub fn set_threads(&mut self, threads: Threads) {
        self.buffers.threads = threads;
    }

    /// Tokens of the last query, those of the actions included.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The network.
    pub fn network(&self) -> &dyn VlaNetwork {
        &*self.model.network
    }

    /// Library that computes.
    pub fn engine(&self) -> Engine {
        self.model.engine
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
        let SharedModel {
            format,
            network,
            processor,
            ..
        } = &*self.model;
        let inputs = processor.encode(format.name(), observation)?;
        self.tokens = inputs.tokens.len() + network.architecture().placeholders() + 1;
        let mut times = PhaseTimes {
            preprocessing: start.elapsed(),
            ..PhaseTimes::default()
        };
        let prompt = NetworkInput {
            tokens: &inputs.tokens,
            images: &inputs.images,
            proprio: &inputs.proprio,
        };
        let normalised = network.forward(&mut self.buffers, prompt, &mut times, &mut |_, _| {})?;
        let start = Instant::now();
        let actions = processor.decode(format.name(), &normalised)?;
        times.head += start.elapsed();
        Ok(ActionChunk { actions, times })
    }

    fn memory(&self) -> MemoryLedger {
        self.model.network.ledger(&self.buffers)
    }

    fn protocol(&self) -> PolicyProtocol {
        self.model.processor.protocol(&self.memory())
    }
}
