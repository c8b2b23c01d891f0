//! Demonstrations, behaviour cloning and quantize-then-distill.

// The program prints the folders that it made and the list of stages.
#![allow(clippy::print_stdout)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
