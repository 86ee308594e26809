//! The command line: `serve`, `verify`, `dump`.

use crate::{echo, failure::Failure, inspect, serve, settings};
use clap::{Args, Parser, Subcommand, error::ErrorKind};
use std::path::PathBuf;

/// Executes orders exactly once, journals them, and answers over ZeroMQ and gRPC.
#[derive(Parser)]
#[command(name = "execution-engine", version)]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Serve orders; prints one JSON line on standard output once all listen.
    Serve(ServeArguments),
    /// Execute the journal's inputs again and compare; prints one JSON line.
    Verify(DataDirectory),
    /// Print the journal, one JSON line per record.
    Dump(DataDirectory),
    /// Answer every ExecuteOrder with one canned reply and no engine behind: the floor for benchmarks of gRPC.
    #[command(hide = true)]
    BenchEcho {
        /// Where to listen, HOST:PORT; port 0 is allowed.
        #[arg(long)]
        grpc: String,
    },
}

/// Each argument overrides the same setting of the file.
#[derive(Args, Default)]
pub struct ServeArguments {
    /// TOML file with settings, limits and instruments.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Where requests are served; repeatable; tcp://HOST:PORT or ipc://PATH.
    #[arg(long, value_name = "ENDPOINT")]
    pub zmq: Vec<String>,
    /// Where market data and notices are published.
    #[arg(long = "pub", value_name = "ENDPOINT")]
    pub publish: Option<String>,
    /// Where gRPC is served.
    #[arg(long, value_name = "HOST:PORT")]
    pub grpc: Option<String>,
    /// Where the journal lives; one engine at a time.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// When a record counts as durable: `always` (on the disk) or `os` (in the page cache).
    #[arg(long, value_name = "always|os")]
    pub durability: Option<String>,
    /// How much the journal grows from one snapshot to the next; 0: none are made.
    #[arg(long, value_name = "BYTES")]
    pub snapshot_every_bytes: Option<u64>,
    /// Where journal segments go that no start needs any more; the folder `archive` in DIR where not given.
    #[arg(long, value_name = "DIR")]
    pub archive_dir: Option<PathBuf>,
    /// How long the reactor looks for more without sleeping after a request of the fast path; 0 is never.
    #[arg(long, value_name = "MICROSECONDS")]
    pub spin_us: Option<u64>,
    /// The core that the reactor's thread alone stays on; other threads run where the system puts them.
    #[arg(long, value_name = "CORE")]
    pub pin_core: Option<usize>,
    /// For benchmarks: records when each order passed which stage, and writes it at the end.
    #[arg(long, value_name = "FILE", hide = true)]
    pub stage_times: Option<PathBuf>,
}

#[derive(Args)]
struct DataDirectory {
    /// The engine's data directory.
    directory: PathBuf,
    /// Its archive; the folder `archive` in it where not given.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
}

/// Parses the command line and does what it says.
///
/// # Errors
/// A [`Failure`] with the line to print and the exit code.
pub fn run() -> Result<(), Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report(&error),
    };
    match cli.command {
        Subcommands::Serve(arguments) => serve::serve(settings::load(&arguments)?),
        Subcommands::Verify(at) => inspect::verify(&at.directory, at.archive.as_deref()),
        Subcommands::Dump(at) => inspect::dump(&at.directory, at.archive.as_deref()),
        Subcommands::BenchEcho { grpc } => echo::serve(&grpc),
    }
}

/// Help and version go to standard output; a usage error becomes one line and exit code 2.
fn report(error: &clap::Error) -> Result<(), Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return error.print().map_err(|e| Failure::broken(format!("cannot print the help: {e}")));
    }
    let text = error.to_string();
    let line = text.split("Usage:").next().unwrap_or_default();
    let line = line.split("For more information").next().unwrap_or_default();
    Err(Failure::setup(line.trim_start_matches("error: ")))
}
