//! What the bridge is compared with: floors, disks and peers for `bench/`. Never part of the wheel.

mod canned;
mod desk;
mod disk;
mod echo;
mod grpc_tls;
mod libzmq;
mod nats;
mod nng_rep;
mod proto;
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
    /// A NATS responder that reads every order and answers with every field of a reply.
    Nats(nats::Arguments),
    /// The same behind an nng REP socket.
    NngRep(nng_rep::Arguments),
    /// gRPC with TLS on both sides, and a canned reply.
    GrpcTls(grpc_tls::Arguments),
}

/// Whatever ends a command early: one line for a person.
pub type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Echo(arguments) => echo::serve(&arguments),
        Command::Disk(arguments) => disk::measure(&arguments),
        Command::ZmqRouter(arguments) => zmq_router::serve(&arguments),
        Command::Nats(arguments) => nats::respond(&arguments),
        Command::NngRep(arguments) => nng_rep::serve(&arguments),
        Command::GrpcTls(arguments) => grpc_tls::serve(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench-peers: {failure}");
            ExitCode::FAILURE
        }
    }
}
