//! `execution-engine`: serves orders over ZeroMQ and gRPC, verifies and dumps journals.

mod cli;
mod echo;
mod failure;
mod grpc;
mod inspect;
mod logging;
mod proto;
mod reactor;
mod serve;
mod settings;
mod venue_link;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The exit code says it too, if nobody reads standard error.
            let _ = writeln!(io::stderr(), "execution-engine: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
