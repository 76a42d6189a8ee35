//! Parses the command line, calls one command, and turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser;
use larder::cli::{Cli, with_two_dashes};
use larder::commands::{self, Exit};
use tracing_subscriber::EnvFilter;

/// Evaluation makes and drops many small values: a fifth of the processor time of a large configuration was the C library's
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = with_two_dashes(std::env::args_os());
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(commands::explain(&error, &arguments) as u8),
    };
    let filter = EnvFilter::try_from_env("LARDER_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(Exit::Error as u8),
    };
    ExitCode::from(runtime.block_on(commands::run(cli)) as u8)
}
