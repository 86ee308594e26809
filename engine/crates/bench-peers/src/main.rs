//! What the bridge is compared with: floors, disks and peers for `bench/`. Never part of the wheel.

mod canned;
mod disk;
mod echo;
mod libzmq;
mod waiting;
mod zmq_router;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Raw echo: takes requests of a fixed size and sends replies of another; the floor of every round trip.
    Echo(echo::Arguments),
    /// Measures write, fdatasync, and one hand-over to a thread and back, each alone; prints JSON.
    Disk(disk::Arguments),
    /// A libzmq ROUTER that answers every ExecuteOrder with one canned reply.
    ZmqRouter(zmq_router::Arguments),
}

/// Whatever ends a command early: one line for a person.
pub type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Echo(arguments) => echo::serve(&arguments),
        Command::Disk(arguments) => disk::measure(&arguments),
        Command::ZmqRouter(arguments) => zmq_router::serve(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench-peers: {failure}");
            ExitCode::FAILURE
        }
    }
}
