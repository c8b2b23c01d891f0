//! Rehearsal before the first episode of a run: whatever makes every episode of a task fail is found here and stops the
//! program with code 2, before a folder is claimed.

use crate::agent::{AgentFactory, ErasedAgent, StepInput};
use crate::query_watch::QueryWatch;
use crate::{ActError, CameraRig, EvalContext, EvalError, RunContext, RunPlan};
use bitvla_policies::CAMERAS;
use bitvla_tasks::in_parallel;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Time between two looks at a rehearsal.
const POLL: Duration = Duration::from_millis(20);

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
    preflight_watched(
        (context, factory),
        tasks,
        (episodes, jobs),
        &QueryWatch::default(),
    )
}

/// As [`preflight`] for the tasks of a plan, which a policy that does not answer its query within the limit of the plan does not pass.
///
/// # Errors
/// As [`preflight`].
pub(crate) fn preflight_within(
    run: &RunContext,
    tasks: &[usize],
    plan: &RunPlan,
) -> Result<(), EvalError> {
    let watch = Arc::new(QueryWatch::default());
    let (send, receive) = mpsc::channel();
    let (own, own_watch, own_tasks) = (run.clone(), Arc::clone(&watch), tasks.to_vec());
    let size = (plan.episodes, plan.jobs);
    let rehearse = move || {
        let policy = (own.episodes(), &*own.factory);
        preflight_watched(policy, &own_tasks, size, &own_watch)
    };
    let spawned = std::thread::Builder::new().spawn({
        let rehearse = rehearse.clone();
        move || send.send(rehearse())
    });
    if spawned.is_err() {
        // Without a thread nobody can look at the clock.
        return rehearse();
    }
    loop {
        match receive.recv_timeout(POLL) {
            Ok(ended) => return ended,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(EvalError::Worker("in the rehearsal".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some((task, _)) = watch.abandon(plan.query_limit) {
            let what = late(&*run.factory, plan.query_limit);
            let source = Box::new(EvalError::Input(what));
            return Err(EvalError::Preflight { task, source });
        }
    }
}

/// Sentence about a policy that does not answer.
pub(crate) fn late(factory: &dyn AgentFactory, limit: Duration) -> String {
    format!(
        "policy `{}` has not answered a query within {} s (--query-limit)",
        factory.name(),
        limit.as_secs_f64()
    )
}

fn preflight_watched(
    (context, factory): (EvalContext<'_>, &dyn AgentFactory),
    tasks: &[usize],
    (episodes, jobs): (usize, usize),
    watch: &QueryWatch,
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
            let watch = (asked == Some(*task)).then_some(watch);
            match rehearse_episode(context, key, &mut **agent, &cameras, watch) {
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
    watch: Option<&QueryWatch>,
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
    if let Some(watch) = watch {
        watch.begin(key);
        let mut input = StepInput {
            world: &world,
            task,
            cameras: &mut rig,
            filter: None,
        };
        let answer = watch.during(|| agent.act_in(&mut state, &mut input));
        answer.map_err(|error| match error {
            ActError::Eval(error) => error,
            ActError::Policy(error) => error.into(),
            ActError::Action(what) => EvalError::Input(what),
        })?;
    }
    Ok(())
}
