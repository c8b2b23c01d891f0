//! Guarantee: for any bytes in any file of a checkpoint, or in a packed file, the loader returns a policy or an error that names
//! the file; a policy that was loaded answers a query or says why not. Nothing panics, allocates more than 1 GB or takes more than
//! 10 s.
//!
//! `BITVLA_FUZZ_SECS=600 cargo test --release -p bitvla-policies --test fuzz -- --nocapture` gives each reader 600 s.

mod support;

use bitvla_fuzz::{Reader, fuzz};
use bitvla_policies::packed::pack;
use bitvla_policies::testing::{
    WORDS, small_config, trained_for, write_random_checkpoint, write_tiny_checkpoint,
};
use bitvla_policies::torch_checkpoint::{self, FloatType};
use bitvla_policies::{Observation, Policy, VlaPolicy, WeightFormat};
use std::path::Path;
use support::{Tensor, torch_file};
use tempfile::TempDir;

/// Inputs of a normal test run for a file of a folder, which is loaded whole each time.
const CASES: u32 = 1024;

/// JSON that means something to one of the readers, and numbers at the ends of their ranges.
const JSON: &[&[u8]] = &[
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b"1e-30",
    b"4294967295",
    b"18446744073709551615",
    b"1000000000",
    b"[]",
    b"{}",
    b"\"\"",
    b"[[[[[[[[",
    b"\\ud800",
    b"\xff",
    b",",
    b"\"rope_theta\": 10000.0,",
    b"\"num_hidden_layers\": 100000000,",
    b"\"mask\": [1, 0, 1, 1, 1, 1, 0],",
];

fn checkpoint() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    write_tiny_checkpoint(dir.path()).expect("a checkpoint");
    dir
}

/// Opens a policy and asks it once.
fn load_and_ask(path: &Path, format: WeightFormat) -> Result<(), String> {
    let mut policy = VlaPolicy::open(path, format).map_err(|e| e.to_string())?;
    let frame = vec![90u8; 256 * 256 * 3];
    let observation = Observation {
        agentview: &frame,
        wrist: &frame,
        proprio: [0.0, 0.1, 1.0, 3.0, 0.0, 0.0, 0.02, -0.02],
        instruction: "pick up the black bowl",
    };
    // An answer that is not finite, or a prompt that does not fit, is an error of the query.
    let _ = policy.query(&observation);
    Ok(())
}

/// Damages one file of a checkpoint folder.
fn fuzz_file(name: &'static str, words: &[&[u8]]) {
    let dir = checkpoint();
    let path = dir.path().join(name);
    let good = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    fuzz(&Reader {
        name,
        corpus: &[good],
        words,
        cases: CASES,
        read: &|bytes| {
            std::fs::write(&path, bytes).expect("written");
            load_and_ask(dir.path(), WeightFormat::Ternary)
        },
        names_place: &|error| error.contains(&dir.path().display().to_string()),
    });
}

#[test]
fn config() {
    fuzz_file("config.json", JSON);
}

#[test]
fn statistics() {
    fuzz_file("dataset_statistics.json", JSON);
}

#[test]
fn processor() {
    fuzz_file("processor_config.json", JSON);
}

#[test]
fn chat_templates() {
    let dir = checkpoint();
    std::fs::write(dir.path().join("processor_config.json"), "{}").expect("written");
    let path = dir.path().join("chat_template.jinja");
    let good = "{% for m in messages %}{% generation %}{{ m.role }}: {{ m.content }}{% endgeneration %}{% endfor %}";
    fuzz(&Reader {
        name: "chat templates",
        corpus: &[good.into()],
        words: &[
            b"{% for i in range(99999) %}",
            b"{% endfor %}",
            b"{% if not not not not m %}",
            b"{{ 1+1+1+1+1 }}",
            b"{{ m.b.b.b|upper|upper }}",
            b"{% raw %}",
            b"{{ strftime_now('%d') }}",
            b"{{ '%99999999999d'|format(1) }}",
            b"{% set s = m.content ~ m.content %}",
            b"{% break %}",
            b"{{ m|indent(99999999) }}",
        ],
        cases: CASES,
        read: &|bytes| {
            std::fs::write(&path, bytes).expect("written");
            load_and_ask(dir.path(), WeightFormat::Ternary)
        },
        names_place: &|error| error.contains(&dir.path().display().to_string()),
    });
}

#[test]
fn tokenizer() {
    fuzz_file("tokenizer.json", JSON);
}

#[test]
fn safetensors() {
    fuzz_file(
        "model.safetensors",
        &[
            b"\"data_offsets\":[0,0]",
            b"\"shape\":[18446744073709551615,2]",
            b"\"dtype\":\"U8\"",
            b"\"dtype\":\"BF16\"",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\xc0\x7f",
        ],
    );
}

#[test]
fn torch_files() {
    let tensor = Tensor {
        name: "model.fc1.weight".into(),
        dtype: FloatType::F32,
        shape: vec![3, 5],
        bytes: (0..60).collect(),
    };
    fuzz(&Reader {
        name: "torch files",
        corpus: &[torch_file(&[tensor])],
        words: &[
            b"\xff\xff\xff\xff",
            b"cos\nsystem\n",
            b"(X\x04\0\0\0echo",
            b"R.",
            b"q\x00h\x00",
            b"PK\x01\x02",
            b"PK\x05\x06",
        ],
        cases: 16 * CASES,
        read: &|bytes| {
            let read = torch_checkpoint::tensors(Path::new("head.pt"), bytes);
            read.map(drop).map_err(|e| e.to_string())
        },
        names_place: &|error| error.contains("head.pt"),
    });
}

#[test]
fn packed_files() {
    let dir = checkpoint();
    let path = dir.path().join("tiny.packed");
    for format in [WeightFormat::Ternary, WeightFormat::Int4] {
        let config = trained_for(format, small_config(32, 32, 1, WORDS.len() + 5));
        write_random_checkpoint(dir.path(), &config, 1).expect("a checkpoint");
        pack(dir.path(), &path, format).expect("packed");
        let good = std::fs::read(&path).expect("readable");
        let damaged = dir.path().join("damaged.packed");
        fuzz(&Reader {
            name: "packed files",
            corpus: &[good],
            words: &[
                b"\"data_offsets\":[0,0]",
                b"\"shape\":[18446744073709551615,2]",
                b"\"version\":\"9\"",
                b"\xff\xff\xff\xff",
                b"\0\0\xc0\x7f",
            ],
            cases: CASES,
            read: &|bytes| {
                std::fs::write(&damaged, bytes).expect("written");
                load_and_ask(&damaged, format)
            },
            names_place: &|error| error.contains("damaged.packed"),
        });
    }
}
