//! Asks an ONNX model that has a mapping beside it (docs/onnx.md) once, and prints its actions:
//!
//! ```text
//! cargo run --release --example ask_onnx_policy -- MODEL.onnx AGENTVIEW.rgb WRIST.rgb "INSTRUCTION" STATE...
//! ```
//!
//! The frames are raw RGB bytes, row by row, of the side that the mapping says is rendered, in its orientation; the state is the proprioception of
//! eight numbers.

use bitvla_policies::onnx::{MappedOnnxPolicy, OnnxFile, OnnxRuntimeOptions};
use bitvla_policies::{Observation, Policy};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, agentview, wrist, instruction, state @ ..] = arguments.as_slice() else {
        return Err("expected MODEL.onnx AGENTVIEW.rgb WRIST.rgb INSTRUCTION STATE...".into());
    };
    let state: Vec<f64> = state.iter().map(|x| x.parse()).collect::<Result<_, _>>()?;
    let proprio: [f64; 8] = state.try_into().map_err(|found: Vec<f64>| {
        format!("found a state of {} numbers, expected 8", found.len())
    })?;
    let file = OnnxFile::read(Path::new(model))?;
    let mut policy = MappedOnnxPolicy::open(&file, &OnnxRuntimeOptions::default(), 1)?;
    let answer = policy.query(&Observation {
        agentview: &std::fs::read(agentview)?,
        wrist: &std::fs::read(wrist)?,
        proprio,
        instruction,
    })?;
    for action in answer.actions {
        println!("{}", action.map(|x| x.to_string()).join(" "));
    }
    Ok(())
}
