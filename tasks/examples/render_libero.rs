//! Renders the first stored initial state of LIBERO's tasks from LIBERO's own files:
//! `render_libero DATA LIBERO OUT [ROBOSUITE] [SUITE...]`, where DATA holds suites.json and
//! init_states.json of the LIBERO recordings. Images are mirrored as in the observation of a policy.

use bitvla_sim::render::Renderer;
use bitvla_tasks::bddl::Problem;
use bitvla_tasks::libero::{LiberoDir, LiberoSuites};
use bitvla_tasks::{Assets, InitState, scene};
use serde_json::Value;
use std::error::Error;
use std::path::Path;

fn numbers<const N: usize>(v: &Value) -> [f64; N] {
    std::array::from_fn(|k| v[k].as_f64().unwrap_or(f64::NAN))
}

fn poses(v: &Value) -> std::collections::BTreeMap<String, [f64; 7]> {
    (v.as_object().into_iter().flatten())
        .map(|(name, pose)| (name.clone(), numbers(pose)))
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [data, dir, out] = [0, 1, 2].map(|k| args.get(k).map(Path::new));
    let (Some(data), Some(dir), Some(out)) = (data, dir, out) else {
        return Err("usage: render_libero DATA LIBERO OUT [ROBOSUITE] [SUITE...]".into());
    };
    let robosuite = args.get(3).map(Path::new).filter(|p| p.is_dir());
    let libero = LiberoDir::open(dir, robosuite)?;
    let bddl = LiberoSuites::open(dir)?.root().join("bddl_files");
    let assets = Assets::libero(&Assets::default_dir(), libero)?;
    let read = |name: &str| -> Result<Value, Box<dyn Error>> {
        Ok(serde_json::from_str(&std::fs::read_to_string(
            data.join(name),
        )?)?)
    };
    let states = read("init_states.json")?;
    std::fs::create_dir_all(out)?;
    for (suite, tasks) in states["suites"].as_object().into_iter().flatten() {
        if args.len() > 4 && !args[4..].contains(suite) {
            continue;
        }
        for (id, task) in tasks.as_object().into_iter().flatten() {
            let name = task["name"].as_str().unwrap_or("");
            let file = std::fs::read_dir(bddl.join(suite))?
                .flatten()
                .map(|e| e.path())
                .find(|p| {
                    p.file_stem()
                        .is_some_and(|s| s.to_string_lossy().ends_with(name))
                })
                .ok_or_else(|| format!("no BDDL file for {name}"))?;
            let text = std::fs::read_to_string(&file)?;
            let problem = Problem::parse(&file.display().to_string(), &text)?;
            let state = &task["states"][0];
            let mut init = InitState {
                objects: poses(&state["objects"]),
                fixtures: poses(&state["fixtures"]),
                ..InitState::default()
            };
            let [a, b, c, d, e, f, g] = numbers(&state["robot_qpos"]);
            let [l, r] = numbers(&state["gripper_qpos"]);
            init.robot_qpos = [a, b, c, d, e, f, g, l, r];
            for (joint, q) in state["joints"].as_object().into_iter().flatten() {
                let owner = problem.fixtures.iter().find(|t| joint.starts_with(&t.name));
                if let (Some(owner), Some(q)) = (owner, q.as_f64()) {
                    let local = joint[owner.name.len() + 1..].to_owned();
                    init.joints
                        .entry(owner.name.clone())
                        .or_default()
                        .insert(local, q);
                }
            }
            let world = scene::build_world(&assets, &problem, &init)?;
            let begin = std::time::Instant::now();
            let mut renderer = Renderer::new(world.scene())?;
            let made = begin.elapsed();
            let begin = std::time::Instant::now();
            for (camera, theirs) in [
                ("agentview", "agentview"),
                ("eye_in_hand", "robot0_eye_in_hand"),
            ] {
                let frame = renderer.render(&world.visual_state(), camera, 256, 256)?;
                let name = format!("{suite}_{id}_{theirs}_init0.png");
                frame.flipped_lr().write_png(&out.join(name))?;
            }
            println!(
                "{suite} {id}: {} triangles, made in {made:.0?}, two images in {:.0?}",
                renderer.triangle_count(),
                begin.elapsed()
            );
        }
    }
    for notice in assets.notices() {
        println!("{notice}");
    }
    Ok(())
}
