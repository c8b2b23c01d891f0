//! The command line of bitvla-eval.

fn main() -> std::process::ExitCode {
    bitvla_eval::cli::main()
}
