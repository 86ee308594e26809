//! A NATS responder on the protocol itself (docs.nats.io, "Client Protocol"): one thread, one blocking socket, and
//! nothing between the socket and the order. A client library would only be slower; so NATS cannot complain.

use crate::{Failure, desk::Desk};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// What to answer.
#[derive(clap::Args)]
pub struct Arguments {
    /// The NATS server, `nats://host:port`.
    #[arg(long)]
    server: String,
    /// Where requests are sent to.
    #[arg(long, default_value = "orders")]
    subject: String,
}

const CONNECT: &str = r#"CONNECT {"verbose":false,"pedantic":false,"lang":"rust","version":"0","name":"bench"}"#;

/// Prints a ready line once it is subscribed, and answers until it is killed or the server goes.
///
/// # Errors
/// The server is not there, or does not speak NATS.
pub fn respond(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.server.strip_prefix("nats://").unwrap_or(&arguments.server);
    let mut output = TcpStream::connect(address)?;
    output.set_nodelay(true)?;
    let mut input = BufReader::new(output.try_clone()?);
    write!(output, "{CONNECT}\r\nSUB {} 1\r\nPING\r\n", arguments.subject)?;
    let (mut desk, mut payload, mut reply, mut out) = (Desk::default(), Vec::new(), Vec::new(), Vec::new());
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match Operation::of(&line) {
            Operation::Message { reply_to, bytes } => {
                payload.resize(bytes + LINE_END.len(), 0);
                input.read_exact(&mut payload)?;
                desk.answer(&payload[..bytes], &mut reply)?;
                out.clear();
                write!(out, "PUB {reply_to} {}\r\n", reply.len())?;
                out.extend_from_slice(&reply);
                out.extend_from_slice(LINE_END);
                output.write_all(&out)?;
            }
            Operation::Ping => output.write_all(b"PONG\r\n")?,
            // The answer to our PING: the server answers in order, so the subscription stands.
            Operation::Pong => {
                let (subject, pid) = (&arguments.subject, std::process::id());
                println!("{}", serde_json::json!({"event": "ready", "subject": subject, "pid": pid}));
            }
            Operation::Info => {}
            Operation::Other => return Err(format!("the NATS server says {}", line.trim_end()).into()),
        }
    }
}

const LINE_END: &[u8] = b"\r\n";

/// What a server says, by its first line.
#[derive(PartialEq, Eq, Debug)]
enum Operation<'a> {
    /// `MSG <subject> <sid> <reply-to> <bytes>`: the payload follows.
    Message {
        reply_to: &'a str,
        bytes: usize,
    },
    Ping,
    Pong,
    Info,
    /// An error, or a message that wants no answer.
    Other,
}

impl<'a> Operation<'a> {
    fn of(line: &'a str) -> Self {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("MSG") => match (words.nth(2), words.next().and_then(|text| text.parse().ok())) {
                (Some(reply_to), Some(bytes)) => Self::Message { reply_to, bytes },
                _ => Self::Other,
            },
            Some("PING") => Self::Ping,
            Some("PONG") => Self::Pong,
            Some("INFO") => Self::Info,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn a_request_names_where_its_reply_goes_and_how_long_it_is() {
        let expected = Operation::Message { reply_to: "_INBOX.1.2", bytes: 320 };
        assert_eq!(Operation::of("MSG orders 1 _INBOX.1.2 320\r\n"), expected);
    }

    #[test]
    fn a_message_without_a_reply_subject_is_none_of_ours_and_neither_is_an_error() {
        assert_eq!(Operation::of("MSG orders 1 320\r\n"), Operation::Other);
        assert_eq!(Operation::of("-ERR 'Authorization Violation'\r\n"), Operation::Other);
        assert_eq!(Operation::of("PING\r\n"), Operation::Ping);
    }
}
