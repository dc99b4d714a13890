//! Edge: parse arguments, pick a role, print the error chain, set the exit code.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
