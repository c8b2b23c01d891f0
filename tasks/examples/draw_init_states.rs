//! Draws the stored initial states of a suite: `cargo run --release -p bitvla-tasks --example
//! draw_init_states [SUITE] [COUNT]`. State `i` of task `t` has the seed `1000 t + i`; training must
//! use seeds from 1 000 000 on, so that it never sees them.

use bitvla_tasks::suite::init_path;
use bitvla_tasks::{Assets, InitState, Suite, TaskError, sample_init_state};
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
        lines.push(serde_json::to_string(&state).unwrap_or_default());
    }
    let path = init_path(&dir, id);
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

fn main() -> Result<(), TaskError> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "spatial".into());
    let count = args.next().and_then(|c| c.parse().ok()).unwrap_or(50);
    let dir = Assets::default_dir();
    let suite = Suite::load(&Assets::open(&dir)?, &name)?;
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (suite, dir) = (&suite, &dir);
                scope.spawn(move || {
                    let assets = Assets::open(dir)?;
                    (half..suite.tasks.len())
                        .step_by(2)
                        .try_for_each(|id| draw(&assets, suite, id, count))
                })
            })
            .collect();
        for half in halves {
            if let Ok(result) = half.join() {
                result?;
            }
        }
        Ok(())
    })
}
