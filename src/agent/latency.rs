//! Simulated latency: time runs on in the world while the policy thinks. During a query the arm goes on with the actions of the
//! previous answer that were not to be executed, then holds; the new answer, made from the observation at the beginning of the query, follows.

use super::{
    ActError, Agent, AgentFactory, AgentOutput, AgentState, EpisodeStart, ErasedAgent, StepInput,
};
use crate::EvalError;
use bitvla_policies::PolicyProtocol;
use bitvla_reports::{MemoryReport, QueryOperations, median, read_latency};
use bitvla_tasks::Suite;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Longest latency, ms.
const LONGEST_MS: f64 = 60_000.0;
/// Queries by which a latency is measured, after one that is not counted.
const MEASURED_QUERIES: usize = 7;

/// Declared latency of a policy query.
#[derive(Debug, Clone, PartialEq)]
pub enum SimulatedLatency {
    /// Milliseconds, one number per query of an episode, repeated from the beginning.
    Given {
        /// Text that it was read from.
        name: String,
        /// Latencies, ms.
        ms: Vec<f64>,
    },
    /// The median on this machine, measured before the first episode.
    Measured,
}

impl SimulatedLatency {
    /// The same latency for every query.
    ///
    /// # Errors
    /// In words, if it is not between 0 and a minute.
    pub fn constant(ms: f64) -> Result<SimulatedLatency, String> {
        check_ms(ms)?;
        let name = format!("{ms}");
        Ok(SimulatedLatency::Given { name, ms: vec![ms] })
    }
}

fn check_ms(ms: f64) -> Result<(), String> {
    match (0.0..=LONGEST_MS).contains(&ms) {
        true => Ok(()),
        false => Err(format!("found {ms} ms, expected 0 to {LONGEST_MS}")),
    }
}

impl FromStr for SimulatedLatency {
    type Err = String;

    /// `measured`, a number of milliseconds, or a file: `latency.csv` of a run folder, or one number per line.
    fn from_str(text: &str) -> Result<SimulatedLatency, String> {
        if text == "measured" {
            return Ok(SimulatedLatency::Measured);
        }
        if let Ok(ms) = text.parse() {
            return SimulatedLatency::constant(ms);
        }
        let path = Path::new(text);
        if !path.is_file() {
            return Err("expected milliseconds, `measured`, or a file".to_owned());
        }
        let ms = read_latencies(path)?;
        let name = path.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        Ok(SimulatedLatency::Given { name, ms })
    }
}

/// Latencies of a file, ms.
fn read_latencies(path: &Path) -> Result<Vec<f64>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut ms = Vec::new();
    if text.starts_with("task,") {
        let queries = read_latency(path).map_err(|e| e.to_string())?;
        ms.extend(queries.iter().map(|query| query.total_ms()));
        return match ms.is_empty() {
            true => Err(format!("{}: holds no query", path.display())),
            false => Ok(ms),
        };
    }
    for (number, line) in (1..).zip(text.lines()) {
        let at = |what: String| format!("{}: line {number}: {what}", path.display());
        let value: f64 = (line.trim().parse())
            .map_err(|_| at(format!("found `{line}`, expected a number of milliseconds")))?;
        check_ms(value).map_err(at)?;
        ms.push(value);
    }
    match ms.is_empty() {
        true => Err(format!("{}: holds no number", path.display())),
        false => Ok(ms),
    }
}

impl fmt::Display for SimulatedLatency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SimulatedLatency::Given { name, .. } => f.write_str(name),
            SimulatedLatency::Measured => f.write_str("measured"),
        }
    }
}

/// Median time of a query of the agents of a factory in the world of `start`, ms, rounded to whole control periods, so that
/// two measurements of one machine give the same protocol.
///
/// # Errors
/// If the agent cannot be made or does not answer.
pub(crate) fn measured_latency(
    factory: &dyn AgentFactory,
    start: &EpisodeStart<'_>,
    period_ms: f64,
) -> Result<SimulatedLatency, EvalError> {
    let mut agent = factory.make()?;
    let mut cameras = None;
    let mut times = Vec::new();
    for _ in 0..=MEASURED_QUERIES {
        let mut state = agent.start_episode(start)?;
        let mut input = StepInput {
            world: start.world,
            task: start.task,
            cameras: &mut cameras,
            filter: None,
        };
        let answer = agent.act_in(&mut state, &mut input);
        let answer = answer.map_err(|e| EvalError::Input(format!("--latency measured: {e}")))?;
        if let Some(query) = answer.query {
            times.push(1e3 * query.times.total().as_secs_f64());
        }
    }
    let ms = median(times.get(1..).unwrap_or_default()).unwrap_or(0.0);
    let ms = period_ms * (ms / period_ms).round();
    SimulatedLatency::constant(ms).map_err(EvalError::Input)
}

/// A factory whose agents answer late.
pub(crate) struct DelayedFactory {
    inner: Box<dyn AgentFactory>,
    name: String,
    ms: Vec<f64>,
    /// Control period, ms.
    period_ms: f64,
}

impl DelayedFactory {
    /// Delays the agents of a factory; a latency that is to be measured must have been.
    pub(crate) fn new(
        inner: Box<dyn AgentFactory>,
        latency: &SimulatedLatency,
        period_ms: f64,
    ) -> Result<DelayedFactory, EvalError> {
        let SimulatedLatency::Given { name, ms } = latency else {
            return Err(EvalError::Input(
                "--latency measured: there is no world to measure in; name the milliseconds".into(),
            ));
        };
        Ok(DelayedFactory {
            name: format!("{}-latency-{name}", inner.name()),
            inner,
            ms: ms.clone(),
            period_ms,
        })
    }
}

impl AgentFactory for DelayedFactory {
    fn name(&self) -> &str {
        &self.name
    }

    fn arithmetic(&self) -> &str {
        self.inner.arithmetic()
    }

    fn engine(&self) -> &str {
        self.inner.engine()
    }

    fn sanity(&self) -> &str {
        self.inner.sanity()
    }

    fn action_noise(&self) -> f64 {
        self.inner.action_noise()
    }

    fn latency_ms(&self) -> &[f64] {
        &self.ms
    }

    fn threads(&self) -> usize {
        self.inner.threads()
    }

    fn protocol(&self) -> Result<PolicyProtocol, EvalError> {
        self.inner.protocol()
    }

    fn file_hashes(&self) -> Result<BTreeMap<String, String>, EvalError> {
        self.inner.file_hashes()
    }

    fn check_suite(&self, suite: &Suite, tasks: &[usize]) -> Result<(), EvalError> {
        self.inner.check_suite(suite, tasks)
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        let steps = |ms: &f64| (ms / self.period_ms).round() as usize;
        Ok(Box::new(DelayedAgent {
            inner: self.inner.make()?,
            steps: self.ms.iter().map(steps).collect(),
        }))
    }
}

/// An agent whose answers begin some control steps late.
struct DelayedAgent {
    inner: Box<dyn ErasedAgent>,
    /// Control steps of every query, repeated from the beginning.
    steps: Vec<usize>,
}

/// State of an episode of a delayed agent.
#[derive(Clone)]
struct DelayedState {
    inner: AgentState,
    /// Actions of the last answer that were not to be executed.
    rest: Vec<[f64; 7]>,
    /// Gripper command of the last executed action; open at the beginning, as while settling.
    gripper: f64,
    queries: usize,
}

impl Agent for DelayedAgent {
    type State = DelayedState;

    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<DelayedState, EvalError> {
        Ok(DelayedState {
            inner: self.inner.start_episode(start)?,
            rest: Vec::new(),
            gripper: -1.0,
            queries: 0,
        })
    }

    fn act(
        &mut self,
        state: &mut DelayedState,
        input: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        let answer = self.inner.act_in(&mut state.inner, input)?;
        if answer.query.is_none() || self.steps.is_empty() {
            return Ok(answer);
        }
        let late = self.steps[state.queries % self.steps.len()];
        state.queries += 1;
        let AgentOutput {
            actions,
            executed,
            query,
        } = answer;
        let executed = executed.min(actions.len());
        let (now, rest) = actions.split_at(executed);
        let mut delayed: Vec<[f64; 7]> = state.rest.iter().copied().take(late).collect();
        let gripper = delayed.last().map_or(state.gripper, |action| action[6]);
        delayed.resize(late, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, gripper]);
        state.gripper = now.last().map_or(gripper, |action| action[6]);
        state.rest = rest.to_vec();
        delayed.extend_from_slice(now);
        Ok(AgentOutput {
            executed: delayed.len(),
            actions: delayed,
            query,
        })
    }

    fn end(&mut self, state: &mut DelayedState, success: bool) {
        self.inner.end_episode(&mut state.inner, success);
    }

    fn memory(&self) -> MemoryReport {
        self.inner.memory_report()
    }

    fn operations(&self) -> Option<QueryOperations> {
        self.inner.query_operations()
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: during a query the rest of the previous answer is executed, then the arm holds with the gripper as it was; the
    //! latencies of a list follow each other and begin again.
    use super::*;
    use crate::agent::QueryTrace;
    use crate::observation::CameraImages;
    use crate::{AssetArgs, AssetResolver};
    use bitvla_policies::PhaseTimes;
    use std::time::Duration;

    /// Answers with the actions 10 n + 1, 10 n + 2, 10 n + 3, of which two are executed.
    struct Counting;

    impl Agent for Counting {
        type State = f64;

        fn start(&mut self, _: &EpisodeStart<'_>) -> Result<f64, EvalError> {
            Ok(0.0)
        }

        fn act(&mut self, n: &mut f64, input: &mut StepInput<'_>) -> Result<AgentOutput, ActError> {
            *n += 10.0;
            let protocol = PolicyProtocol {
                camera_size: 8,
                ..PolicyProtocol::default()
            };
            let images: CameraImages = input.observe(&protocol)?.images;
            Ok(AgentOutput {
                actions: [1.0, 2.0, 3.0]
                    .map(|k| [*n + k, 0.0, 0.0, 0.0, 0.0, 0.0, *n])
                    .to_vec(),
                executed: 2,
                query: Some(QueryTrace {
                    images,
                    render: Duration::ZERO,
                    times: PhaseTimes::default(),
                    processor: None,
                }),
            })
        }
    }

    #[test]
    fn the_arm_goes_on_and_then_holds() {
        let loaded = AssetResolver::new(&AssetArgs::default()).unwrap();
        let loaded = loaded.open("spatial").unwrap();
        let context = loaded.context(7);
        let world = context.settled_world(0, 0).unwrap();
        let start = context.start((0, 0), &world).unwrap();
        let mut agent = DelayedAgent {
            inner: Box::new(Counting),
            steps: vec![1, 3],
        };
        let mut state = Agent::start(&mut agent, &start).unwrap();
        let mut cameras = None;
        let mut answers = Vec::new();
        for _ in 0..3 {
            let mut input = StepInput {
                world: &world,
                task: start.task,
                cameras: &mut cameras,
                filter: None,
            };
            let answer = agent.act(&mut state, &mut input).unwrap();
            assert_eq!(answer.executed, answer.actions.len());
            let short = answer.actions.iter().map(|a| (a[0], a[6]));
            answers.push(short.collect::<Vec<_>>());
        }
        // One step late, open; three steps late, of which one is left over; one step late again.
        assert_eq!(answers[0], [(0.0, -1.0), (11.0, 10.0), (12.0, 10.0)]);
        let held = (0.0, 10.0);
        assert_eq!(
            answers[1],
            [(13.0, 10.0), held, held, (21.0, 20.0), (22.0, 20.0)]
        );
        assert_eq!(answers[2], [(23.0, 20.0), (31.0, 30.0), (32.0, 30.0)]);
    }

    #[test]
    fn latencies_are_numbers_or_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = dir.path().join("robot.txt");
            std::fs::write(&path, text).unwrap();
            path.display().to_string().parse::<SimulatedLatency>()
        };
        let given = |name: &str, ms: &[f64]| {
            Ok(SimulatedLatency::Given {
                name: name.to_owned(),
                ms: ms.to_vec(),
            })
        };
        assert_eq!("100".parse(), given("100", &[100.0]));
        assert_eq!("measured".parse(), Ok(SimulatedLatency::Measured));
        assert_eq!(file("20\n30.5\n"), given("robot", &[20.0, 30.5]));
        for (found, words) in [
            ("-1".parse::<SimulatedLatency>(), "expected 0 to"),
            ("fast".parse(), "expected milliseconds"),
            (file("20\nx\n"), "line 2: found `x`"),
            (file("20\n-3\n"), "line 2: found -3"),
            (file(""), "no number"),
        ] {
            assert!(found.clone().unwrap_err().contains(words), "{found:?}");
        }
    }
}
