//! Runs the scripted expert: `cargo run --release -p bitvla-tasks --example expert -- [--suite S] --tasks 0,3
//! --episodes 5 [--seed S] [--verbose]`. Two threads; results are printed in task order. With
//! `--seed S` states are drawn afresh instead of taken from the stored ones;
//! `--grips` only plans and counts the grips chosen.

use bitvla_tasks::{Assets, Expert, Suite, TaskError, sample_init_state};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Outcome {
    success: bool,
    steps: usize,
    retried: bool,
    first: String,
    log: String,
}

fn episode(
    assets: &Assets,
    suite: &Suite,
    id: usize,
    i: usize,
    seed: Option<u64>,
) -> Result<Outcome, TaskError> {
    let task = &suite.tasks[id];
    let init = match (seed, task.init_states.get(i)) {
        (None, Some(state)) => state.clone(),
        (s, _) => sample_init_state(assets, &task.problem, s.unwrap_or(0) + i as u64)?,
    };
    let mut world = task.world(assets, &init)?;
    for _ in 0..suite.settle_steps {
        world.step(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])?;
    }
    let mut expert = Expert::new(&world, task)?;
    let first = expert.plan_summary();
    let mut log = String::new();
    let mut phase = String::new();
    let every = if std::env::args().any(|a| a == "--each") {
        1
    } else {
        15
    };
    if std::env::args().any(|a| a == "--grips") {
        return Ok(Outcome {
            success: true,
            steps: 0,
            retried: false,
            first,
            log,
        });
    }
    let line = |world: &bitvla_sim::World, expert: &Expert, step: usize| {
        let e = world.eef_pose().translation.vector;
        let b = world.instance_pose(expert.object()).translation.vector;
        let g = world.observation().gripper_qpos;
        format!(
            "  {step:3} {:14} eef {:.3} {:.3} {:.3} object {:.3} {:.3} {:.3} rpy {:.0?} fingers {:.4} {:.4} {} q {:.2?}\n",
            expert.phase(),
            e.x,
            e.y,
            e.z,
            b.x,
            b.y,
            b.z,
            {
                let (r, p, y) = world.instance_pose(expert.object()).rotation.euler_angles();
                [r.to_degrees(), p.to_degrees(), y.to_degrees()]
            },
            g[0],
            g[1],
            expert.plan_summary(),
            &world.robot_state().0.as_slice()[..7]
        )
    };
    for step in 1..=suite.horizon {
        let action = expert.act(&world);
        if phase != expert.phase() || step % every == 0 {
            log += &line(&world, &expert, step);
            phase = expert.phase();
        }
        world.step(&action)?;
        if task.goal().holds(&world, task)? {
            return Ok(Outcome {
                success: true,
                steps: step,
                retried: !expert.plan_summary().contains("try 0"),
                first,
                log,
            });
        }
    }
    Ok(Outcome {
        success: false,
        steps: suite.horizon,
        retried: true,
        first,
        log,
    })
}

fn main() -> Result<(), TaskError> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1))
            .cloned()
    };
    let verbose = args.iter().any(|a| a == "--verbose");
    let dir = Assets::default_dir();
    let name = value("--suite").unwrap_or_else(|| "spatial".to_owned());
    let suite = Suite::load(&Assets::open(&dir)?, &name)?;
    let tasks: Vec<usize> = value("--tasks")
        .map(|t| t.split(',').filter_map(|x| x.parse().ok()).collect())
        .unwrap_or_else(|| (0..suite.tasks.len()).collect());
    let episodes: usize = value("--episodes")
        .and_then(|e| e.parse().ok())
        .unwrap_or(5);
    let first: usize = value("--first").and_then(|e| e.parse().ok()).unwrap_or(0);
    let seed: Option<u64> = value("--seed").and_then(|e| e.parse().ok());
    let jobs: Vec<(usize, usize)> = tasks
        .iter()
        .flat_map(|t| (first..first + episodes).map(move |i| (*t, i)))
        .collect();
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<(usize, Result<Outcome, TaskError>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| -> Result<Vec<_>, TaskError> {
                    let assets = Assets::open(&dir)?;
                    let mut done = Vec::new();
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let Some(&(t, i)) = jobs.get(n) else {
                            return Ok(done);
                        };
                        done.push((n, episode(&assets, &suite, t, i, seed)));
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .filter_map(|w| w.join().ok()?.ok())
            .flatten()
            .collect()
    });
    outcomes.sort_by_key(|(n, _)| *n);
    let mut all = 0;
    for t in &tasks {
        let mut steps = Vec::new();
        let mut failed = Vec::new();
        let mut retried = 0;
        let mut angles = std::collections::BTreeMap::new();
        for (n, outcome) in &outcomes {
            let (task, i) = jobs[*n];
            if task != *t {
                continue;
            }
            if let Ok(o) = outcome {
                retried += usize::from(o.retried);
                *angles.entry(o.first.clone()).or_insert(0usize) += 1;
            }
            match outcome {
                Ok(o) if o.success => steps.push(o.steps),
                Ok(_) => failed.push(i),
                Err(e) => println!("task {t} episode {i}: {e}"),
            }
            if let Ok(o) = outcome
                && (verbose || (!o.success && args.iter().any(|a| a == "--failures")))
            {
                println!(
                    "task {t} episode {i} success {} steps {}\n{}",
                    o.success, o.steps, o.log
                );
            }
        }
        steps.sort_unstable();
        all += steps.len();
        let median = steps.get(steps.len() / 2).copied().unwrap_or(0);
        let last = steps.last().copied().unwrap_or(0);
        println!(
            "task {t}: {} of {episodes}, median {median}, longest {last} steps, failed {failed:?}, {retried} retried, grips {angles:?}",
            steps.len()
        );
    }
    println!("all: {all} of {}", jobs.len());
    Ok(())
}
