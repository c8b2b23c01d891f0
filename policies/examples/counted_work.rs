//! Work whose instructions are counted under emulation (`tests/arm_instructions.sh`): the difference of two numbers of repeats is that of the work alone.
//!
//! `counted_work ternary ROWS OUTPUTS INPUTS REPEATS` multiplies with packed ternary weights; `counted_work query CHECKPOINT REPEATS` queries a
//! policy. `BITVLA_ISA` chooses the kernels.

use bitvla_policies::kernels::quant::QuantisedRows;
use bitvla_policies::kernels::{Isa, PackedTernary, ternary_gemm};
use bitvla_policies::{Observation, Policy, VlaPolicy, WeightFormat};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ternary", rows, outputs, inputs, repeats] => {
            let (rows, n, k): (usize, usize, usize) =
                (rows.parse()?, outputs.parse()?, inputs.parse()?);
            let codes: Vec<i8> = (0..n * k).map(|i| (i * 7 % 3) as i8 - 1).collect();
            let weights = PackedTernary::pack(n, k, &codes);
            let x: Vec<f32> = (0..rows * k).map(|i| (i % 251) as f32 - 125.0).collect();
            let x = QuantisedRows::new(&x, k);
            let mut out = Vec::new();
            for _ in 0..repeats.parse()? {
                ternary_gemm(Isa::active(), &x, &weights, &mut out);
            }
            let sum: i64 = out.iter().map(|v| i64::from(*v)).sum();
            println!("{} {sum}", Isa::active().name());
        }
        ["query", checkpoint, repeats] => {
            let mut policy = VlaPolicy::open(checkpoint.as_ref(), WeightFormat::Ternary)?;
            let side = policy.protocol().camera_size;
            let grey = vec![128u8; side * side * 3];
            let mut first = Vec::new();
            for _ in 0..repeats.parse()? {
                let chunk = policy.query(&Observation {
                    agentview: &grey,
                    wrist: &grey,
                    proprio: [-0.1, 0.0, 1.0, 3.1, 0.0, 0.0, 0.02, -0.02],
                    instruction: "pick up the black bowl next to the plate and place it on the plate",
                })?;
                first = chunk.actions;
            }
            println!("{} {:?}", Isa::active().name(), first.first());
        }
        _ => {
            return Err(
                "expected `ternary ROWS OUTPUTS INPUTS REPEATS` or `query CHECKPOINT REPEATS`"
                    .into(),
            );
        }
    }
    Ok(())
}
