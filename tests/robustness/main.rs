//! Guarantees of a run under bad input and bad luck, by running the program on small inputs: whatever makes every episode fail
//! is found before the first one; what was measured over nothing is never a success; a result is only taken for what its
//! files say; nobody else's file is written over; closed and full streams, signals and a second process cost no finished
//! episode. One module per subject; each test is named after what it guarantees.

mod damage;
mod inputs;
mod journal;
mod latency;
mod options;
mod preflight;
mod replay;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod streams;
#[path = "../common/program.rs"]
mod support;
