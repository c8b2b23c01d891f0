//! Guarantee: whatever bytes arrive, reading a message ends with a value or with an error that names the place, without a panic and
//! with memory in proportion to the message. `BITVLA_FUZZ_SECS=600 cargo test --release -p bitvla-remote --test fuzz` gives each
//! reader ten minutes.

mod common;

use bitvla_fuzz::{Reader, fuzz};
use bitvla_remote::{MAX_MESSAGE_BYTES, Observation, Protocol, RgbImage};

const ACTIONS: [[f64; 7]; 3] = [[0.5; 7], [-1.0; 7], [1e-3; 7]];

/// Parts of messages: markers of MessagePack with large sizes, keys and types of arrays.
const WORDS: [&[u8]; 16] = [
    &[0xdf, 0xff, 0xff, 0xff, 0xff],
    &[0xdd, 0x00, 0x01, 0x00, 0x00],
    &[0xdb, 0x7f, 0xff, 0xff, 0xff],
    &[0xc6, 0x00, 0x10, 0x00, 0x00],
    &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
    &[0xc4, 0x0b],
    b"__ndarray__",
    b"__image__",
    b"__npgeneric__",
    b"shape",
    b"dtype",
    b"<f2",
    b">f8",
    b"|O",
    b"jpeg",
];

fn observations(protocol: Protocol) -> Vec<Vec<u8>> {
    let small = common::observation(3);
    let bare = Observation {
        wrist: None,
        state: None,
        agentview: RgbImage::new(1, 1, vec![1, 2, 3]).expect("an image"),
        instruction: String::new(),
    };
    let found = [small, bare].map(|o| protocol.encode_observation(&o, 7));
    found.into()
}

fn read(read: impl Fn(&[u8]) -> Result<(), String>, name: &'static str, corpus: &[Vec<u8>]) {
    fuzz(&Reader {
        name,
        corpus,
        words: &WORDS,
        cases: 4000,
        read: &read,
        // A field or a message, then what is wrong with it.
        names_place: &|error| error.contains(": "),
    });
}

#[test]
fn observations_of_openpi() {
    let protocol = Protocol::OpenPi;
    let decode = |bytes: &[u8]| protocol.decode_observation(bytes).map(drop);
    let corpus = observations(protocol);
    read(
        |b| decode(b).map_err(|e| e.to_string()),
        "observation of openpi",
        &corpus,
    );
}

#[test]
fn observations_of_vla_eval() {
    let protocol = Protocol::VlaEval;
    let decode = |bytes: &[u8]| protocol.decode_observation(bytes).map(drop);
    let corpus = observations(protocol);
    read(
        |b| decode(b).map_err(|e| e.to_string()),
        "observation of vla-eval",
        &corpus,
    );
}

#[test]
fn answers_of_openpi() {
    let protocol = Protocol::OpenPi;
    let decode = |bytes: &[u8]| protocol.decode_answer(bytes).map(drop);
    let corpus = [protocol.encode_answer(&ACTIONS, 1)];
    read(
        |b| decode(b).map_err(|e| e.to_string()),
        "answer of openpi",
        &corpus,
    );
}

#[test]
fn answers_of_vla_eval() {
    let protocol = Protocol::VlaEval;
    let decode = |bytes: &[u8]| protocol.decode_answer(bytes).map(drop);
    let corpus = [protocol.encode_answer(&ACTIONS, 1)];
    read(
        |b| decode(b).map_err(|e| e.to_string()),
        "answer of vla-eval",
        &corpus,
    );
}

#[test]
fn a_message_beyond_the_limit_is_refused_unread() {
    let long = vec![0xc0; MAX_MESSAGE_BYTES + 1];
    for protocol in Protocol::ALL {
        let error = protocol.decode_observation(&long).expect_err("too long");
        assert!(error.to_string().contains("at most"), "{error}");
    }
}
