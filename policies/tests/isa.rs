//! Guarantee: a query and the published image pipeline give the same bits on every instruction set. The test runs itself once per `BITVLA_ISA`.

use bitvla_policies::kernels::Isa;
use bitvla_policies::preprocess::ImagePipeline;
use bitvla_policies::testing::{WORDS, small_config, trained_for, write_random_checkpoint};
use bitvla_policies::{Observation, VlaPolicy, WeightFormat};
use std::path::Path;
use std::process::Command;

/// Prints the bits of actions; called by the other test in a process of its own.
#[test]
fn print_actions() {
    let Some(dir) = std::env::var_os("BITVLA_TEST_CHECKPOINT") else {
        return;
    };
    let frame: Vec<u8> = (0..256 * 256 * 3u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let input = ImagePipeline::Published.apply(&frame, 224);
    let hash = input.iter().fold(0u64, |hash, v| {
        (hash.rotate_left(5) ^ u64::from(v.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    println!("BITS {hash:016x}");
    for format in WeightFormat::ALL {
        let dir = Path::new(&dir).join(format.name());
        let mut policy = VlaPolicy::load(&dir, format).unwrap();
        let proprio = [0.1, 0.0, 1.0, 3.0, 0.1, 0.0, 0.02, -0.02];
        let instruction = "pick up the black bowl next to the plate";
        let observation = Observation {
            agentview: &frame,
            wrist: &frame,
            proprio,
            instruction,
        };
        for action in policy.query(&observation).unwrap().actions {
            let bits: Vec<String> = action
                .iter()
                .map(|v| format!("{:016x}", v.to_bits()))
                .collect();
            println!("BITS {}", bits.join(" "));
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    for format in WeightFormat::ALL {
        let config = trained_for(format, small_config(48, 48, 2, WORDS.len() + 5));
        write_random_checkpoint(&dir.path().join(format.name()), &config, 7).unwrap();
    }
    let run = |isa: Isa| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "print_actions", "--nocapture"])
            .env("BITVLA_ISA", isa.name())
            .env("BITVLA_TEST_CHECKPOINT", dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let bits: Vec<String> = text
            .lines()
            .filter_map(|l| l.split_once("BITS "))
            .map(|(_, b)| b.into())
            .collect();
        assert_eq!(
            bits.len(),
            1 + 8 * WeightFormat::ALL.len(),
            "{isa:?}: {text}"
        );
        bits
    };
    let scalar = run(Isa::Scalar);
    for isa in Isa::available() {
        assert_eq!(run(isa), scalar, "{isa:?}");
    }
}
