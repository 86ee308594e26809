//! Raw echo over TCP and Unix sockets: requests of a fixed size in, replies of a fixed size out, nothing between.

use crate::{
    Failure,
    waiting::{Channel, read_whole, write_whole},
};
use std::{io, net::TcpListener, os::unix::net::UnixListener, path::PathBuf, thread, time::Duration};

/// How to echo.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    tcp: Option<String>,
    /// A Unix socket to listen on as well; must not exist.
    #[arg(long)]
    unix: Option<PathBuf>,
    #[arg(long, default_value_t = 256)]
    request_bytes: usize,
    #[arg(long, default_value_t = 256)]
    reply_bytes: usize,
    /// After a message look for the next without sleeping, for so many microseconds (`--spin` alone: 1000); 0: sleep.
    #[arg(long = "spin", value_name = "US", num_args = 0..=1, default_value_t = 0, default_missing_value = "1000")]
    spin_us: u64,
}

/// Prints a ready line and serves until it is killed; a thread a connection.
///
/// # Errors
/// It cannot listen.
pub fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let work = Work {
        request_bytes: arguments.request_bytes,
        reply_bytes: arguments.reply_bytes,
        spin: Duration::from_micros(arguments.spin_us),
    };
    let tcp = arguments.tcp.as_ref().map(TcpListener::bind).transpose()?;
    let unix = arguments.unix.as_ref().map(UnixListener::bind).transpose()?;
    let bound = tcp.as_ref().map(TcpListener::local_addr).transpose()?;
    println!(
        "{}",
        serde_json::json!({
            "event": "ready",
            "tcp": bound.map(|address| address.to_string()),
            "unix": &arguments.unix,
            "pid": std::process::id(),
        })
    );
    let of_unix = thread::spawn(move || match unix {
        Some(listener) => accept(move || listener.accept().map(|(stream, _)| stream), work),
        None => Ok(()),
    });
    if let Some(listener) = tcp {
        accept(move || listener.accept().map(|(stream, _)| stream), work)?;
    }
    of_unix.join().map_err(|_| "the thread of the Unix socket failed")??;
    Ok(())
}

#[derive(Clone, Copy)]
struct Work {
    request_bytes: usize,
    reply_bytes: usize,
    spin: Duration,
}

fn accept<C: Channel>(next: impl Fn() -> io::Result<C>, work: Work) -> io::Result<()> {
    loop {
        let channel = next()?;
        channel.prepare()?;
        // A connection that breaks ends its thread, and nothing else.
        thread::spawn(move || echo(channel, work));
    }
}

fn echo(mut channel: impl Channel, work: Work) -> io::Result<()> {
    let mut request = vec![0; work.request_bytes];
    let reply = vec![b'r'; work.reply_bytes];
    while read_whole(&mut channel, &mut request, work.spin)? {
        write_whole(&mut channel, &reply)?;
    }
    Ok(())
}
