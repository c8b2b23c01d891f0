//! `bitvla-view`. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bitvla_viewer::app::main()
}
