//! Rehearsal before the first episode of a run: whatever makes every episode of a task fail is found here and stops the
//! program with code 2, before a folder is claimed.

use crate::agent::{AgentFactory, ErasedAgent, StepInput};
use crate::{ActError, CameraRig, EvalContext, EvalError};
use bitvla_policies::CAMERAS;
use bitvla_tasks::in_parallel;

/// Builds world, goal and cameras of each task, lets an agent begin an episode, and asks it once in the first task. A task
/// passes with the first of its initial states 0 to `episodes` - 1 in which all of that works.
///
/// # Errors
/// [`EvalError::Preflight`] with the first reason of a task in which no state works.
pub fn preflight(
    context: EvalContext<'_>,
    factory: &dyn AgentFactory,
    tasks: &[usize],
    episodes: usize,
    jobs: usize,
) -> Result<(), EvalError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let cameras = factory.protocol()?.cameras;
    let asked = tasks.first().copied();
    let rehearse = |agent: &mut Box<dyn ErasedAgent>, task: &usize| {
        let mut first = None;
        for init in 0..episodes {
            let key = (*task, init);
            match rehearse_episode(context, key, &mut **agent, &cameras, asked == Some(*task)) {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        match first {
            None => Ok(()),
            Some(source) => Err(EvalError::Preflight {
                task: *task,
                source: Box::new(source),
            }),
        }
    };
    let ended = in_parallel(tasks, jobs, || factory.make(), rehearse, |()| Ok(()));
    ended.map_err(|error| match error {
        // A panic, for example where a file asks for more memory than there is.
        EvalError::Worker(what) => EvalError::Input(format!(
            "policy `{}` stopped in the rehearsal before the first episode: {what}",
            factory.name()
        )),
        other => other,
    })
}

fn rehearse_episode(
    context: EvalContext<'_>,
    key: (usize, usize),
    agent: &mut dyn ErasedAgent,
    cameras: &[String],
    ask: bool,
) -> Result<(), EvalError> {
    let world = context.settled_world(key.0, key.1)?;
    let task = context.task(key.0)?;
    task.compile_goal(&world)?;
    let mut rig = None;
    if !cameras.is_empty() {
        rig = Some(CameraRig::new(world.scene())?);
        let unknown = |name: &&String| !CAMERAS.contains(&name.as_str());
        if let Some(missing) = cameras.iter().find(unknown) {
            return Err(EvalError::Input(format!(
                "the policy asks for the camera `{missing}`, the world has {}",
                CAMERAS.join(", ")
            )));
        }
    }
    let mut state = agent.start_episode(&context.start(key, &world)?)?;
    if ask {
        let mut input = StepInput {
            world: &world,
            task,
            cameras: &mut rig,
        };
        let answer = agent.act_in(&mut state, &mut input);
        answer.map_err(|error| match error {
            ActError::Eval(error) => error,
            ActError::Policy(error) => error.into(),
            ActError::Action(what) => EvalError::Input(what),
        })?;
    }
    Ok(())
}
