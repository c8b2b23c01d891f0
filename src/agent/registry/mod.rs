//! The policies of the command line by name: `--policy NAME` or `NAME:ARGUMENT`. A new policy is a
//! file of this folder and one line of [`entries`].

mod checkpoint;
mod expert;
mod onnx;
mod policy_names;
mod queried;
mod random;
mod remote;
mod replay;
mod sanity;
mod zero;

pub use bitvla_policies::checkpoint_files::PACKED_FILE;
pub use checkpoint::memory_of;
pub(crate) use checkpoint::open_checkpoint;
pub use policy_names::PolicyNames;
pub(crate) use remote::API_KEY;
pub use sanity::SanityCheck;

use crate::EvalError;
use crate::action_noise::ActionNoise;
use crate::agent::{AgentFactory, DelayedFactory, SimulatedLatency};
use crate::asset_resolver::file_name;
use bitvla_policies::checkpoint_files::weights_at;
use bitvla_policies::normaliser::suite_keys;
use bitvla_policies::onnx::{OnnxProvider, OnnxRuntimeOptions};
use bitvla_policies::{Engine, WeightFormat};
use bitvla_remote::Protocol;
use bitvla_sim::settings::TimingSettings;
use bitvla_tasks::Suite;
use clap::Args;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use checkpoint::CheckpointFactory;
use expert::ExpertFactory;
use random::RandomFactory;
use remote::RemoteFactory;
use replay::ReplayFactory;
use zero::ZeroFactory;

/// Makes the factory of a policy.
type Build = Box<dyn Fn(&PolicySpec) -> Result<Box<dyn AgentFactory>, EvalError>>;

/// A policy that can be named.
pub struct RegistryEntry {
    /// Word of the command line.
    pub name: &'static str,
    /// Name of the argument behind the colon, if the policy takes one.
    pub argument: Option<&'static str>,
    /// One line for `--help` and `list`.
    pub summary: &'static str,
    /// Weights, for a policy that has a checkpoint.
    pub weights: Option<WeightFormat>,
    /// True for a policy that draws random numbers from the seed of the run.
    pub seeded: bool,
    /// True for a policy that is shown the cameras, and whose answers take time.
    pub observes: bool,
    build: Build,
}

/// All policies: the weight formats of a checkpoint, then those without weights.
pub fn entries() -> Vec<RegistryEntry> {
    let entry = |name, argument, summary, build| RegistryEntry {
        name,
        argument,
        summary,
        weights: None,
        seeded: false,
        observes: false,
        build,
    };
    let formats = WeightFormat::ALL.map(|format| RegistryEntry {
        weights: Some(format),
        observes: true,
        ..entry(
            format.name(),
            None,
            format.description(),
            Box::new(move |spec| Ok(Box::new(CheckpointFactory::new(spec, format)))),
        )
    });
    let remote = |protocol: Protocol, summary| RegistryEntry {
        observes: true,
        ..entry(
            protocol.name(),
            Some("ws://HOST:PORT"),
            summary,
            Box::new(move |spec| {
                let url = spec.policy.argument().unwrap_or_default();
                let (options, words) = (&spec.options, &spec.instructions);
                let factory = RemoteFactory::new(protocol, url, options, words)?;
                Ok(Box::new(factory))
            }),
        )
    };
    let others = [
        RegistryEntry {
            observes: true,
            ..entry(
                "onnx",
                Some("FILE"),
                "ONNX model of `export`, or of others with a mapping beside it, by ONNX Runtime (--ort-lib)",
                Box::new(onnx::factory),
            )
        },
        remote(
            Protocol::OpenPi,
            "Policy server of openpi (WebSocket), or `serve` of this program",
        ),
        remote(
            Protocol::VlaEval,
            "Model server of vla-evaluation-harness (WebSocket), or `serve` of this program",
        ),
        entry(
            "expert",
            None,
            "Scripted expert, which reads the true state of the world instead of images",
            Box::new(|_| Ok(Box::new(ExpertFactory))),
        ),
        entry(
            "zero",
            None,
            "Holds still, gripper open (sanity: 0 % expected)",
            Box::new(|_| Ok(Box::new(ZeroFactory))),
        ),
        RegistryEntry {
            seeded: true,
            ..entry(
                "random",
                None,
                "Uniform random actions, seeded (sanity: 0 % expected)",
                Box::new(|_| Ok(Box::new(RandomFactory))),
            )
        },
        entry(
            "replay",
            Some("RUN_DIR"),
            "Recorded actions of a run folder",
            Box::new(|spec| {
                let dir = spec.policy.argument().map(Path::new).ok_or_else(|| {
                    EvalError::Input("`replay` needs RUN_DIR: `replay:RUN_DIR`".into())
                })?;
                Ok(Box::new(ReplayFactory::open(dir, &spec.assets)?))
            }),
        ),
    ];
    formats.into_iter().chain(others).collect()
}

/// Help of `--policy`, with all names.
pub fn policy_help() -> String {
    let mut text = "Policy that drives the robot:\n".to_owned();
    for entry in entries() {
        text.push_str(&format!("- {}: {}\n", entry.usage(), entry.summary));
    }
    text.trim_end().to_owned()
}

impl RegistryEntry {
    /// The word with its argument, as it is typed.
    pub fn usage(&self) -> String {
        match self.argument {
            Some(argument) => format!("{}:{argument}", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// Name of a policy of the registry, with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyName {
    name: &'static str,
    argument: Option<String>,
}

impl PolicyName {
    /// The policy of a weight format.
    pub fn of_weights(format: WeightFormat) -> PolicyName {
        PolicyName {
            name: format.name(),
            argument: None,
        }
    }

    /// Name as in every file, without the argument.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Text behind the colon.
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// Returns true if the policy draws random numbers from the seed of the run.
    pub fn is_seeded(&self) -> bool {
        entries().iter().any(|e| e.name == self.name && e.seeded)
    }

    /// Returns true if the policy is shown the cameras, and its answers take time.
    pub fn observes(&self) -> bool {
        entries().iter().any(|e| e.name == self.name && e.observes)
    }

    /// Weights of the policy; none for one without a checkpoint.
    pub fn weights(&self) -> Option<WeightFormat> {
        WeightFormat::named(self.name)
    }
}

impl Default for PolicyName {
    /// The policy that is evaluated where none is named: `ternary`.
    fn default() -> PolicyName {
        PolicyName::of_weights(WeightFormat::Ternary)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}:{argument}", self.name),
            None => f.write_str(self.name),
        }
    }
}

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(text: &str) -> Result<PolicyName, String> {
        let (word, argument) = match text.split_once(':') {
            Some((word, argument)) => (word, Some(argument.to_owned())),
            None => (text, None),
        };
        let all = entries();
        let Some(entry) = all.iter().find(|entry| entry.name == word) else {
            let names: Vec<String> = all.iter().map(RegistryEntry::usage).collect();
            return Err(format!(
                "there is no policy `{word}`, there are: {}",
                names.join(", ")
            ));
        };
        let given = argument
            .as_ref()
            .is_some_and(|argument| !argument.is_empty());
        match entry.argument {
            Some(wanted) if !given => Err(format!("`{word}` needs {wanted}: `{}`", entry.usage())),
            None if argument.is_some() => Err(format!("`{word}` takes no argument")),
            _ => Ok(PolicyName {
                name: entry.name,
                argument,
            }),
        }
    }
}

/// Options that say how a policy is loaded and computed.
#[derive(Debug, Clone, Args)]
pub struct PolicyOptions {
    /// Folder of a checkpoint as published, or a packed file [default: the one that ships with the assets]
    #[arg(long, value_name = "PATH")]
    pub checkpoint: Option<PathBuf>,
    /// Threads of one policy query; never changes a result
    #[arg(long, default_value_t = 1, value_parser = parse_positive)]
    pub threads: usize,
    /// Library that computes the network: native, or candle for the policy `full`
    #[arg(long, default_value = "native", value_parser = parse_engine, value_name = "native|candle")]
    pub engine: Engine,
    /// Key of the checkpoint's statistics, also for a suite that it does not know [default: the key of the suite]
    #[arg(long, value_name = "KEY")]
    pub normaliser_key: Option<String>,
    /// Compare every tensor of a packed file with its checksum first, which reads the whole file
    #[arg(long)]
    pub verify_checksums: bool,
    /// Replace what the policy sees or is told: camera images black, camera images of the first query, or the instruction of
    /// the next task; a policy that looks and listens fails
    #[arg(long, value_name = "blackout|freeze|instruction")]
    pub sanity: Option<SanityCheck>,
    /// Add Gaussian noise of this standard deviation (in units of actions) to the motions of every answer, drawn from the
    /// observation: a policy that is worse on purpose, for checks of the evaluation
    #[arg(long, value_name = "SIGMA")]
    pub action_noise: Option<ActionNoise>,
    /// Let simulated time run on while the policy thinks: milliseconds a query, the median `measured` on this machine, or a file with
    /// milliseconds (one a line, or latency.csv of a run folder); rounded to whole control steps
    #[arg(long, value_name = "MS|measured|FILE", allow_negative_numbers = true)]
    pub latency: Option<SimulatedLatency>,
    /// Actions of an answer that are executed before the next query, for a policy behind a network [default: what the server
    /// declares; 5 for openpi and 1 for vla-eval where it declares nothing]
    #[arg(long, value_name = "N", value_parser = parse_positive)]
    pub executed_steps: Option<usize>,
    /// Longest wait for the answer of a policy behind a network, after which the episode is an error and the connection is
    /// made anew; a key for the server is read from BITVLA_API_KEY
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub remote_timeout: TimeLimit,
    /// Library of ONNX Runtime for the policy onnx:FILE, for example of PyPI's wheel [default: ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
    /// Execution provider of ONNX Runtime and its options, passed to the library as they are: cpu, cuda, tensorrt, openvino,
    /// coreml, rocm, qnn, xnnpack, onednn, webgpu; for example openvino:device_type=GPU
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]", default_value_t)]
    pub ort_provider: OnnxProvider,
}

impl Default for PolicyOptions {
    /// The shipped checkpoint, one thread, the native engine, the key of the suite.
    fn default() -> PolicyOptions {
        PolicyOptions {
            checkpoint: None,
            threads: 1,
            engine: Engine::Native,
            normaliser_key: None,
            verify_checksums: false,
            sanity: None,
            action_noise: None,
            latency: None,
            executed_steps: None,
            remote_timeout: TimeLimit(Duration::from_secs(60)),
            ort_lib: None,
            ort_provider: OnnxProvider::default(),
        }
    }
}

impl PolicyOptions {
    /// Name of a policy in folders and tables, with what is replaced or added behind it.
    pub(crate) fn policy_name(&self, name: &str) -> String {
        let mut name = name.to_owned();
        if let Some(check) = self.sanity {
            name = format!("{name}-{check}");
        }
        if let Some(noise) = self.action_noise {
            name = format!("{name}-noise-{noise}");
        }
        name
    }

    /// How ONNX Runtime is loaded, and what it computes on.
    pub fn onnx_runtime(&self) -> OnnxRuntimeOptions {
        OnnxRuntimeOptions {
            library: self.ort_lib.clone(),
            provider: self.ort_provider.clone(),
        }
    }

    /// The defaults with another checkpoint: the folder or packed file at `path`.
    pub fn with_checkpoint(path: &Path) -> PolicyOptions {
        PolicyOptions {
            checkpoint: Some(path.to_owned()),
            ..PolicyOptions::default()
        }
    }
}

/// A time limit that is more than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(pub Duration);

impl FromStr for TimeLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TimeLimit, Self::Err> {
        let seconds = text.parse::<f64>().ok().filter(|s| *s > 0.0);
        let limit = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        limit
            .map(TimeLimit)
            .ok_or("expected a number of seconds above 0")
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs_f64())
    }
}

/// Parses the name of an engine.
pub(crate) fn parse_engine(text: &str) -> Result<Engine, String> {
    let found = Engine::ALL.into_iter().find(|e| e.name() == text);
    found.ok_or_else(|| format!("there are: {}", Engine::ALL.map(Engine::name).join(", ")))
}

/// Parses a number of at least 1.
pub(crate) fn parse_positive(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

/// Parses a number of at least 0.
pub(crate) fn parse_whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let number = text.parse().ok();
    number.ok_or_else(|| "expected a whole number of at least 0".to_owned())
}

/// Control period of the worlds, ms.
pub(crate) fn control_period_ms() -> f64 {
    1e3 / TimingSettings::default().control_rate_hz()
}

/// Suite whose checkpoint is taken where none is named.
const DEFAULT_SUITE: &str = "spatial";

/// A policy and how it is loaded.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    /// Name.
    pub policy: PolicyName,
    /// How it is loaded and computed.
    pub options: PolicyOptions,
    /// Folder of suites, models and checkpoints.
    pub assets: PathBuf,
    /// Name of the suite whose statistics are used; those that the checkpoint records without one.
    pub suite: Option<String>,
    /// Instructions that will be asked, tokenised once.
    pub instructions: Vec<String>,
}

impl PolicySpec {
    /// Without a suite.
    pub fn new(policy: PolicyName, options: PolicyOptions, assets: &Path) -> PolicySpec {
        PolicySpec {
            policy,
            options,
            assets: assets.to_owned(),
            suite: None,
            instructions: Vec::new(),
        }
    }

    /// For the tasks of a suite: its statistics and its instructions.
    #[must_use]
    pub fn for_suite(mut self, suite: &Suite) -> PolicySpec {
        self.suite = Some(suite.name.clone());
        self.instructions = suite
            .tasks
            .iter()
            .map(|task| task.instruction.clone())
            .collect();
        self
    }

    /// Folder or packed file of the weights: the one that was named, or the one that ships for the suite under
    /// `checkpoints/SUITE`. A folder with a packed file stands for that file.
    pub fn checkpoint_path(&self) -> PathBuf {
        let format = self.policy.weights();
        let shipped = format.map_or(WeightFormat::Full, WeightFormat::checkpoint);
        let shipped = || self.shipped_checkpoints().join(shipped.name());
        let path = self.options.checkpoint.clone().unwrap_or_else(shipped);
        weights_at(&path)
    }

    /// Folder of the checkpoints that ship for the suite, by the first of the names of its statistics.
    fn shipped_checkpoints(&self) -> PathBuf {
        let suite = self.suite.as_deref().unwrap_or(DEFAULT_SUITE);
        let name = suite_keys(suite).first().copied().unwrap_or(suite);
        self.assets.join("checkpoints").join(file_name(name))
    }

    /// Checks that the files of the policy are there, without loading them.
    ///
    /// # Errors
    /// [`EvalError::Input`] with the name of the missing file.
    pub fn check(&self) -> Result<(), EvalError> {
        if self.policy.weights().is_none() {
            let options = &self.options;
            let observes = self.policy.observes();
            let local = observes && !self.is_remote();
            if let Some(noise) = options.action_noise.filter(|_| !local) {
                let what = format!(
                    "--action-noise {noise}: `{}` has no network here",
                    self.policy
                );
                return Err(EvalError::Input(what));
            }
            let option = match (options.engine, options.sanity, &options.latency) {
                (Engine::Native, None, None) => return self.check_executed_steps(),
                (Engine::Native, ..) if observes => return Ok(()),
                (Engine::Native, None, Some(latency)) => format!("--latency {latency}"),
                (Engine::Native, Some(sanity), _) => format!("--sanity {sanity}"),
                (engine, ..) => format!("--engine {}", engine.name()),
            };
            return Err(EvalError::Input(format!(
                "{option}: `{}` has no network",
                self.policy
            )));
        }
        self.check_executed_steps()?;
        let path = self.checkpoint_path();
        let config = path.join("config.json");
        if path.is_file() || config.is_file() {
            return Ok(());
        }
        Err(EvalError::Input(format!(
            "{} is missing: `--policy {}` needs a checkpoint, which bitvla-train makes \
             (`cargo run --release -p bitvla-train`), or name one with --checkpoint DIR",
            config.display(),
            self.policy
        )))
    }

    /// True for a policy behind a network.
    fn is_remote(&self) -> bool {
        Protocol::ALL
            .map(Protocol::name)
            .contains(&self.policy.name())
    }

    /// Refuses another number of executed actions than that of a checkpoint.
    fn check_executed_steps(&self) -> Result<(), EvalError> {
        match self.options.executed_steps {
            Some(steps) if !self.is_remote() => Err(EvalError::Input(format!(
                "--executed-steps {steps}: `{}` is no policy behind a network",
                self.policy
            ))),
            _ => Ok(()),
        }
    }

    /// Factory of the policy's agents.
    ///
    /// # Errors
    /// If files of the policy are missing.
    pub fn factory(&self) -> Result<Box<dyn AgentFactory>, EvalError> {
        self.check()?;
        let all = entries();
        let entry = all.iter().find(|entry| entry.name == self.policy.name());
        let entry = entry.ok_or_else(|| {
            EvalError::Input(format!("there is no policy `{}`", self.policy.name()))
        })?;
        let factory = (entry.build)(self)?;
        match &self.options.latency {
            None => Ok(factory),
            Some(latency) => Ok(Box::new(DelayedFactory::new(
                factory,
                latency,
                control_period_ms(),
            )?)),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: every policy is found by its name, and a word that is none is refused with all names; the checkpoint that
    //! ships is the one of the suite, packed if it is.
    use super::*;

    #[test]
    fn checkpoints_are_found_by_suite() {
        let assets = tempfile::tempdir().expect("a temporary folder");
        let path = |policy: &str, suite: Option<&str>| {
            let name = policy.parse().expect("a policy");
            let mut spec = PolicySpec::new(name, PolicyOptions::default(), assets.path());
            spec.suite = suite.map(str::to_owned);
            let path = spec.checkpoint_path();
            let inside = path.strip_prefix(assets.path().join("checkpoints"));
            inside.expect("a shipped one").display().to_string()
        };
        assert_eq!(path("full", Some("goal")), "goal/full");
        assert_eq!(path("int4", Some("libero:10")), "long/full");
        assert_eq!(path("ternary", Some("libero:object")), "object/ternary");
        assert_eq!(path("ternary", None), "spatial/ternary");
        let folder = assets.path().join("checkpoints/object/ternary");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(PACKED_FILE), "").expect("a file");
        assert_eq!(
            path("ternary", Some("object")),
            format!("object/ternary/{PACKED_FILE}")
        );
    }

    #[test]
    fn every_policy_is_found_by_its_name() {
        for entry in entries() {
            let name: PolicyName = entry.usage().parse().expect("a policy");
            assert_eq!((name.name(), name.argument()), (entry.name, entry.argument));
            assert_eq!(name.to_string(), entry.usage());
            assert_eq!(name.weights(), entry.weights);
        }
    }

    #[test]
    fn other_words_are_refused() {
        let error = |text: &str| text.parse::<PolicyName>().expect_err("no policy");
        assert!(error("lunar").contains("ternary") && error("lunar").contains("replay:RUN_DIR"));
        assert!(error("replay").contains("RUN_DIR") && error("replay:").contains("RUN_DIR"));
        assert!(error("expert:now").contains("no argument"));
    }
}
