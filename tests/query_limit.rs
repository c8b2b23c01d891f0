//! Guarantee: a policy that does not answer costs the episode in which it happens, which is marked as an error with its reason and
//! counted apart; the run goes on and ends, and the next call tries that episode again. A policy that does not answer its first
//! query at all is refused before a folder is claimed.
#![allow(clippy::unwrap_used)]

use bitvla_eval::{
    ActError, Agent, AgentFactory, AgentOutput, AssetArgs, AssetResolver, EpisodeStart,
    ErasedAgent, EvalError, RunContext, RunPlan, RunResult, StepInput, protocol, run,
    simulation_protocol,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Holds still, and for ever in one episode.
struct Hanging {
    /// Task and initial state.
    episode: Option<(usize, usize)>,
}

impl Agent for Hanging {
    type State = (usize, usize);

    fn start(&mut self, start: &EpisodeStart<'_>) -> Result<Self::State, EvalError> {
        Ok((start.task.id, start.init))
    }

    fn act(
        &mut self,
        episode: &mut Self::State,
        _: &mut StepInput<'_>,
    ) -> Result<AgentOutput, ActError> {
        while self.episode == Some(*episode) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        Ok(AgentOutput::single([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]))
    }
}

impl AgentFactory for Hanging {
    fn name(&self) -> &str {
        "hanging"
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(Hanging {
            episode: self.episode,
        }))
    }
}

/// Three initial states of task 0 with two workers, half a second per query.
fn evaluate(hangs_in: Option<(usize, usize)>, out: &Path) -> Result<RunResult, EvalError> {
    let loaded = AssetResolver::new(&AssetArgs::default())?.open("spatial")?;
    let context = RunContext {
        loaded: Arc::new(loaded),
        seed: 7,
        factory: Arc::new(Hanging { episode: hangs_in }),
    };
    let plan = RunPlan {
        jobs: 2,
        query_limit: Duration::from_millis(500),
        ..RunPlan::new(vec![0], 3)
    };
    let simulation = simulation_protocol(context.episodes(), &[0])?;
    let card = protocol(context.episodes(), &*context.factory, &simulation)?;
    run(&context, &plan, &card, out, &mut |_| ())
}

#[test]
fn a_policy_that_hangs_costs_one_episode() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let result = evaluate(Some((0, 1)), &out).unwrap();
    let errors: Vec<_> = result
        .episodes
        .iter()
        .map(|row| row.error.as_str())
        .collect();
    assert_eq!((errors[0], errors[2]), ("", ""));
    let words = "policy `hanging` has not answered a query within 0.5 s";
    assert!(errors[1].starts_with(words), "{}", errors[1]);
    assert_eq!((result.progress.done, result.progress.errors), (3, 1));
    assert!(result.summary.contains("error"), "{}", result.summary);

    let again = evaluate(None, &out).unwrap();
    assert_eq!((again.progress.resumed, again.progress.errors), (2, 0));
    assert!(
        again
            .episodes
            .iter()
            .all(|row| row.completed() && !row.success)
    );
}

#[test]
fn a_policy_that_never_answers_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let error = evaluate(Some((0, 0)), &out).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    assert!(
        text.starts_with("task 0 cannot be run: policy `hanging`"),
        "{text}"
    );
    assert!(!out.exists());
}
