//! Edge: the one binary; the command line decides which role it plays.

fn main() -> std::process::ExitCode {
    faregate::cli::run()
}
