//! Records the pinned episodes of the world for the player of a report, with the hash of every state and of the frames of every eighth step, as
//! `tests/replay.py` plays them in node and in browsers: `cargo run --release --example record_pinned_episodes -- FOLDER`.

use bitvla_eval::{CameraRig, EvalContext, ReplayRecord, SuitePerturbation, frame_hash};
use bitvla_policies::{CAMERA_SIZE, Flip};
use bitvla_reports::{EpisodeHashes, FrameHash, REPLAY_WORKER, ReplayEpisode, read_actions};
use bitvla_tasks::suite::BUILTIN_SUITES;
use bitvla_tasks::{Assets, Suite};
use serde_json::json;
use std::error::Error;
use std::path::PathBuf;

/// Control steps between two queries.
const CHUNK: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("expected a folder")?);
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/world");
    let assets = Assets::open(&Assets::default_dir())?;
    let mut record = ReplayRecord::new(&assets)?;
    for name in BUILTIN_SUITES {
        record.add_suite(&assets, name)?;
        let suite = Suite::load(&assets, name)?;
        let context = EvalContext {
            assets: &assets,
            suite: &suite,
            seed: 0,
            libero: None,
            perturbation: &SuitePerturbation::None,
        };
        for actions in read_actions(&golden.join(format!("{name}.actions.bin")))? {
            let (task, init) = (actions.task, actions.init);
            let mut world = context.settled_world(task, init)?;
            let mut cameras = CameraRig::new(world.scene())?;
            let mut hashes = EpisodeHashes::new(task, init);
            hashes.push_state(world.state_hash());
            for (step, action) in actions.actions.iter().enumerate() {
                if step % CHUNK == 0 {
                    let images = cameras.render(&world)?.for_policy(Flip::LeftRight);
                    hashes.frames.push(FrameHash {
                        step: step as u32,
                        hash: frame_hash(&images),
                    });
                }
                world.step(action)?;
                hashes.push_state(world.state_hash());
            }
            assert_eq!(world.state_hash(), actions.state_hash, "{name} {task}");
            record.add_episode(ReplayEpisode {
                label: "pinned".into(),
                suite: name.into(),
                instruction: suite.tasks[task].instruction.clone(),
                outcome: "succeeded",
                spec: json!({ "suite": name, "task": task, "row": init, "key": [0, task, init] }),
                actions,
                hashes,
                side: CAMERA_SIZE,
                mirrored: true,
            });
        }
    }
    let replay = record.finish()?;
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("record.json"), replay.record()?)?;
    std::fs::write(out.join("module.txt"), replay.module_text())?;
    std::fs::write(out.join("worker.js"), REPLAY_WORKER)?;
    Ok(())
}
