//! Evaluates a policy of one's own: `cargo run --release --example evaluate_own_policy`. Two episodes of the first spatial
//! task; the table says 0 of 2, because lifting the hand solves nothing.

use bitvla_eval::*;

/// Lifts the hand, then holds still.
struct Lift;

impl Agent for Lift {
    /// Steps so far; copies continue independently of each other.
    type State = usize;

    fn start(&mut self, _: &EpisodeStart<'_>) -> Result<usize, EvalError> {
        Ok(0)
    }

    fn act(&mut self, steps: &mut usize, _: &mut StepInput<'_>) -> Result<AgentOutput, ActError> {
        *steps += 1;
        let dz = if *steps < 20 { 1.0 } else { 0.0 };
        Ok(AgentOutput::single([0.0, 0.0, dz, 0.0, 0.0, 0.0, -1.0]))
    }
}

struct LiftFactory;

impl AgentFactory for LiftFactory {
    fn name(&self) -> &str {
        "lift"
    }

    fn make(&self) -> Result<Box<dyn ErasedAgent>, EvalError> {
        Ok(Box::new(Lift))
    }
}

fn main() -> Result<(), EvalError> {
    let loaded = AssetResolver::new(&AssetArgs::default())?.open("spatial")?;
    let outcomes = evaluate(loaded.context(7), &LiftFactory, &[(0, 0), (0, 1)], 2)?;
    let rows: Vec<_> = outcomes.into_iter().map(|o| o.record).collect();
    let (tasks, all) = bitvla_reports::summarise(&rows);
    println!("{}", bitvla_reports::success_table(&tasks, &all));
    Ok(())
}
