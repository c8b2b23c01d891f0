//! Runs the scripted expert and reports success per task:
//!
//! `cargo run --release -p bitvla-tasks --example expert -- --suite goal --tasks 0,3 --episodes 5`
//!
//! | option | meaning |
//! |---|---|
//! | `--suite NAME` | suite, `spatial` by default |
//! | `--tasks I,J` | indices of tasks, all by default |
//! | `--episodes N` | episodes per task, 5 by default |
//! | `--first N` | index of the first stored initial state, 0 by default |
//! | `--seed S` | draws initial states instead of taking stored ones; states beyond the stored ones are drawn anyway |
//! | `--margin M` | widens every range that initial states are drawn from by M metres on each side; with `--seed` |
//! | `--resume N` | makes the expert anew from the world every N control steps |
//! | `--error E` | adds an error to the actions, as a policy has one: normal with the standard deviation E (a third of it for rotations), constant between two experts |
//! | `--reversals` | counts the chunks of actions, of experts made anew, that go up or down at more than half speed and then the other way: labels that contradict each other a few millimetres apart; with `--resume` |
//! | `--grips` | only plans, and counts the first grasps |
//! | `--failures`, `--verbose` | prints the log of failed episodes, or of all |
//! | `--each` | one line of log per control step instead of every 15 |
//!
//! Two threads work on the episodes; results are printed in task order.

use bitvla_sim::World;
use bitvla_tasks::random::SampleStream;
use bitvla_tasks::{
    Assets, Expert, RestingPositions, SETTLE_ACTION, Suite, TaskError, sample_wider_init_state,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of actions of a chunk.
const CHUNK: usize = 8;

#[derive(Clone)]
struct Options {
    suite: String,
    tasks: Option<Vec<usize>>,
    episodes: usize,
    first: usize,
    seed: Option<u64>,
    margin: f64,
    resume: Option<usize>,
    error: f64,
    reversals: bool,
    plan_only: bool,
    failures: bool,
    verbose: bool,
    log_every: usize,
}

/// The value behind an option, read as a number.
fn number<T: std::str::FromStr>(option: &str, value: &str) -> Result<T, String> {
    (value.parse()).map_err(|_| format!("{option}: expected a number, found `{value}`"))
}

impl Options {
    /// Reads the options; an unknown one, one without its value and a malformed number are refused.
    fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options {
            suite: "spatial".to_owned(),
            tasks: None,
            episodes: 5,
            first: 0,
            seed: None,
            margin: 0.0,
            resume: None,
            error: 0.0,
            reversals: false,
            plan_only: false,
            failures: false,
            verbose: false,
            log_every: 15,
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let option = option.as_str();
            let mut value = || args.next().ok_or_else(|| format!("{option} needs a value"));
            match option {
                "--suite" => options.suite = value()?.clone(),
                "--tasks" => {
                    let list = value()?.split(',').map(|word| number(option, word));
                    options.tasks = Some(list.collect::<Result<_, _>>()?);
                }
                "--episodes" => options.episodes = number(option, value()?)?,
                "--first" => options.first = number(option, value()?)?,
                "--seed" => options.seed = Some(number(option, value()?)?),
                "--margin" => options.margin = number(option, value()?)?,
                "--resume" => options.resume = Some(number(option, value()?)?),
                "--error" => options.error = number(option, value()?)?,
                "--reversals" => options.reversals = true,
                "--grips" => options.plan_only = true,
                "--failures" => options.failures = true,
                "--verbose" => options.verbose = true,
                "--each" => options.log_every = 1,
                _ => {
                    return Err(format!(
                        "unknown option `{option}`; they are listed in the source"
                    ));
                }
            }
        }
        Ok(options)
    }
}

struct Outcome {
    success: bool,
    steps: usize,
    /// The last grasp was not the first one.
    retried: bool,
    first_grasp: String,
    /// Number of experts made anew whose next actions go up or down and then the other way, and of all.
    reversals: (usize, usize),
    log: String,
}

/// One line of log: end effector and object in the world frame (m, degrees), fingers (m), joints (rad).
fn log_line(world: &World, expert: &Expert, step: usize) -> String {
    let e = world.eef_pose().translation.vector;
    let object = world.instance_pose(expert.object());
    let b = object.translation.vector;
    let (r, p, y) = object.rotation.euler_angles();
    let g = world.observation().gripper_qpos;
    format!(
        "  {step:3} {:18} eef {:.3} {:.3} {:.3} object {:.3} {:.3} {:.3} rpy {:.0?} fingers {:.4} {:.4} {} q {:.2?}\n",
        expert.phase(),
        e.x,
        e.y,
        e.z,
        b.x,
        b.y,
        b.z,
        [r.to_degrees(), p.to_degrees(), y.to_degrees()],
        g[0],
        g[1],
        expert.plan_summary(),
        &world.robot_state().0.as_slice()[..7]
    )
}

/// The phases and vertical components of the next actions of an expert, if they go up or down at more than half speed, and the other way
/// afterwards; the world is restored.
fn reversal(world: &mut World, mut expert: Expert) -> Result<Option<String>, TaskError> {
    let here = world.snapshot();
    let (mut heights, mut chunk) = (Vec::new(), String::new());
    for _ in 0..CHUNK {
        let action = expert.act(world);
        heights.push(action[2]);
        chunk += &format!("{} {:.1}, ", expert.phase(), action[2]);
        world.step(&action)?;
    }
    world.restore(&here);
    let reverses = (0..CHUNK).any(|i| {
        let first = heights[i];
        first.abs() > 0.5 && heights[i..].iter().any(|z| z * first.signum() < -0.2)
    });
    Ok(reverses.then_some(chunk))
}

fn episode(
    assets: &Assets,
    suite: &Suite,
    options: &Options,
    (task, i): (usize, usize),
) -> Result<Outcome, TaskError> {
    let task = &suite.tasks[task];
    let init = match (options.seed, task.init_states.get(i)) {
        (None, Some(state)) => state.clone(),
        (seed, _) => {
            let seed = seed.unwrap_or(0) + i as u64;
            sample_wider_init_state(assets, &task.problem, seed, options.margin)?
        }
    };
    let mut world = task.world(assets, &init)?;
    for _ in 0..suite.settle_steps {
        world.step(&SETTLE_ACTION)?;
    }
    let mut expert = Expert::new(&world, task)?;
    let mut outcome = Outcome {
        success: options.plan_only,
        steps: 0,
        retried: false,
        first_grasp: expert.plan_summary(),
        reversals: (0, 0),
        log: String::new(),
    };
    let mut phase = String::new();
    let mut rest = RestingPositions::new(&world);
    let goal = task.compile_goal(&world)?;
    let mut random = SampleStream::new(i as u64);
    let mut error = [0.0; 6];
    while outcome.steps < suite.horizon && !outcome.success {
        if options
            .resume
            .is_some_and(|n| outcome.steps.is_multiple_of(n.max(1)))
        {
            expert = Expert::resume_knowing(&world, task, &rest)?;
            if options.reversals {
                outcome.reversals.1 += 1;
                if let Some(chunk) = reversal(&mut world, expert.clone())? {
                    outcome.reversals.0 += 1;
                    outcome.log += &format!("  {:3} reverses: {chunk}\n", outcome.steps);
                }
            }
            for (component, e) in error.iter_mut().enumerate() {
                let share = if component < 3 { 1.0 } else { 1.0 / 3.0 };
                *e = share * options.error * random.normal();
            }
        }
        let mut action = expert.act(&world);
        if options.error > 0.0 {
            for (a, e) in action.iter_mut().zip(&error) {
                *a = (*a + e).clamp(-1.0, 1.0);
            }
        }
        outcome.steps += 1;
        if phase != expert.phase() || outcome.steps.is_multiple_of(options.log_every) {
            outcome.log += &log_line(&world, &expert, outcome.steps);
            phase = expert.phase();
        }
        world.step(&action)?;
        rest.observe(&world);
        outcome.success = goal.holds(&world);
    }
    let grasp = expert.plan_summary();
    outcome.retried = !grasp.is_empty() && !grasp.contains("try 0");
    Ok(outcome)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::parse(&args)?;
    let dir = Assets::default_dir();
    let suite = Suite::load(&Assets::open(&dir)?, &options.suite)?;
    let count = suite.tasks.len();
    let tasks = match &options.tasks {
        Some(tasks) => tasks.clone(),
        None => (0..count).collect(),
    };
    if let Some(task) = tasks.iter().find(|task| **task >= count) {
        return Err(format!(
            "suite `{}` has {count} tasks, so there is no task {task}",
            suite.name
        )
        .into());
    }
    let jobs: Vec<(usize, usize)> = tasks
        .iter()
        .flat_map(|t| (options.first..options.first + options.episodes).map(move |i| (*t, i)))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<_>, TaskError> {
        let assets = Assets::open(&dir)?;
        let mut done = Vec::new();
        while let Some(&job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((job, episode(&assets, &suite, &options, job)));
        }
        Ok(done)
    };
    let mut outcomes: Vec<((usize, usize), Result<Outcome, TaskError>)> = Vec::new();
    std::thread::scope(|scope| -> Result<(), TaskError> {
        for worker in [scope.spawn(work), scope.spawn(work)] {
            match worker.join() {
                Ok(done) => outcomes.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    outcomes.sort_by_key(|(job, _)| *job);
    let mut all = 0;
    for t in &tasks {
        all += report(&options, *t, &outcomes);
    }
    println!("all: {all} of {}", jobs.len());
    Ok(())
}

/// Result of the episode of a task and initial state.
type EpisodeResult = ((usize, usize), Result<Outcome, TaskError>);

/// Prints the episodes of a task. Returns the number of successes.
fn report(options: &Options, task: usize, outcomes: &[EpisodeResult]) -> usize {
    let mut steps = Vec::new();
    let mut failed = Vec::new();
    let mut retried = 0;
    let (mut reversed, mut made) = (0, 0);
    let mut grasps = BTreeMap::new();
    for ((_, i), outcome) in outcomes.iter().filter(|((t, _), _)| *t == task) {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(e) => {
                println!("task {task} episode {i}: {e}");
                continue;
            }
        };
        retried += usize::from(outcome.retried);
        reversed += outcome.reversals.0;
        made += outcome.reversals.1;
        *grasps.entry(&outcome.first_grasp).or_insert(0usize) += 1;
        if outcome.success {
            steps.push(outcome.steps);
        } else {
            failed.push(i);
        }
        if options.verbose || (options.failures && !outcome.success) {
            println!(
                "task {task} episode {i} success {} steps {}\n{}",
                outcome.success, outcome.steps, outcome.log
            );
        }
    }
    if options.reversals {
        println!("task {task}: {reversed} of {made} chunks reverse");
    }
    steps.sort_unstable();
    let successes = steps.len();
    let median = steps.get(successes / 2).copied().unwrap_or(0);
    let longest = steps.last().copied().unwrap_or(0);
    println!(
        "task {task}: {successes} of {}, median {median}, longest {longest} steps, failed {failed:?}, {retried} retried, grasps {grasps:?}",
        options.episodes
    );
    successes
}
