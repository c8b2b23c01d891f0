//! Draws the stored initial states of a suite, or of one of its tasks: `cargo run --release -p bitvla-tasks --example
//! draw_init_states -- SUITE [COUNT [TASK]]`. State `i` of task `t` has the seed `1000 t + i`; training
//! uses seeds from 1 000 000 on, so that it never starts from them.

use bitvla_tasks::suite::init_states_path;
use bitvla_tasks::{Assets, InitState, Suite, TaskError, sample_init_state};
use std::error::Error;
use std::io::Write;

fn rounded(mut state: InitState) -> InitState {
    let round = |v: &mut f64| *v = (*v * 1e9).round() / 1e9;
    state.objects.values_mut().flatten().for_each(round);
    state.fixtures.values_mut().flatten().for_each(round);
    state
        .joints
        .values_mut()
        .flat_map(|j| j.values_mut())
        .for_each(round);
    state.robot_qpos.iter_mut().for_each(round);
    state
}

fn draw(assets: &Assets, suite: &Suite, id: usize, count: usize) -> Result<(), TaskError> {
    let dir = assets.dir().join("suites").join(&suite.name);
    let mut lines = Vec::new();
    for i in 0..count {
        let seed = 1000 * id as u64 + i as u64;
        let state = rounded(sample_init_state(assets, &suite.tasks[id].problem, seed)?);
        lines.push(serde_json::to_string(&state).expect("numbers and names"));
    }
    let path = init_states_path(&dir, id);
    let read = |source| TaskError::Read {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(dir.join("init")).map_err(read)?;
    let mut file = std::fs::File::create(&path).map_err(read)?;
    write!(file, "[\n{}\n]\n", lines.join(",\n")).map_err(read)?;
    println!("{} states in {}", lines.len(), path.display());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: draw_init_states SUITE [COUNT [TASK]]";
    let name = args.next().ok_or(usage)?;
    let count = args.next().map_or(Ok(50), |count| count.parse())?;
    let task: Option<usize> = args.next().map(|task| task.parse()).transpose()?;
    let dir = Assets::default_dir();
    let suite = Suite::load(&Assets::open(&dir)?, &name)?;
    let tasks: Vec<usize> = (0..suite.tasks.len())
        .filter(|id| task.is_none_or(|task| task == *id))
        .collect();
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (suite, dir, tasks) = (&suite, &dir, &tasks);
                scope.spawn(move || {
                    let assets = Assets::open(dir)?;
                    (tasks.iter().skip(half).step_by(2))
                        .try_for_each(|id| draw(&assets, suite, *id, count))
                })
            })
            .collect();
        for half in halves {
            half.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}
