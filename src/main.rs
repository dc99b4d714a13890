//! Edge: the one binary; the command line decides which role it plays.

/// A call makes some fifty small blocks; the system's allocator spends a sixth of its CPU on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    faregate::cli::run()
}
