//! A small server for trying the ZMTP module against any ZeroMQ peer: a ROUTER that echoes every message, and a PUB
//! that sends each echoed message again under the topic `echo`.
//!
//! `cargo run -p bridge-wire --example zmtp_echo` prints both endpoints as one JSON line. One thread a connection:
//! this shows the protocol, not how the engine does I/O.

use bridge_wire::zmtp::{Event, ServerConnection, SocketRole, Subscriptions, ZmtpLimits};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::{error::Error, thread, time::Duration};

type Publishers = Arc<Mutex<Vec<Sender<Vec<u8>>>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let router = TcpListener::bind("127.0.0.1:0")?;
    let publisher = TcpListener::bind("127.0.0.1:0")?;
    println!(r#"{{"zmq":"tcp://{}","pub":"tcp://{}"}}"#, router.local_addr()?, publisher.local_addr()?);
    let subscribers = Publishers::default();
    let joining = Arc::clone(&subscribers);
    thread::spawn(move || {
        for stream in publisher.incoming().flatten() {
            let (sender, receiver) = channel();
            if let Ok(mut all) = joining.lock() {
                all.push(sender);
            }
            thread::spawn(move || report(publish(stream, &receiver)));
        }
    });
    for stream in router.incoming().flatten() {
        let subscribers = Arc::clone(&subscribers);
        thread::spawn(move || report(echo(stream, &subscribers)));
    }
    Ok(())
}

fn report(result: Result<(), Box<dyn Error>>) {
    if let Err(error) = result {
        eprintln!("connection closed: {error}");
    }
}

fn echo(mut stream: TcpStream, subscribers: &Publishers) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut connection = ServerConnection::new(SocketRole::Router, ZmtpLimits::default());
    loop {
        write_all(&mut stream, &mut connection)?;
        if !read_some(&mut stream, &mut connection)? {
            return Ok(());
        }
        while let Some(event) = connection.poll()? {
            let Event::Message(message) = event else { continue };
            let parts: Vec<Vec<u8>> =
                (0..message.count()).filter_map(|index| message.get(index)).map(Vec::from).collect();
            connection.send_parts(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
            if let ([body], Ok(all)) = (&parts[..], subscribers.lock()) {
                all.iter().for_each(|subscriber| drop(subscriber.send(body.clone())));
            }
        }
    }
}

fn publish(mut stream: TcpStream, messages: &Receiver<Vec<u8>>) -> Result<(), Box<dyn Error>> {
    // A short read timeout stands in for epoll: between reads, send what was published.
    stream.set_read_timeout(Some(Duration::from_millis(5)))?;
    let mut connection = ServerConnection::new(SocketRole::Publisher, ZmtpLimits::default());
    let mut wanted = Subscriptions::default();
    loop {
        for body in messages.try_iter() {
            if wanted.matches(b"echo\0") {
                connection.send_parts(&[b"echo\0", &body])?;
            }
        }
        write_all(&mut stream, &mut connection)?;
        if !read_some(&mut stream, &mut connection)? {
            return Ok(());
        }
        while let Some(event) = connection.poll()? {
            match event {
                Event::Subscribe(topic) => wanted.add(topic)?,
                Event::Unsubscribe(topic) => wanted.remove(topic),
                Event::HandshakeDone | Event::Message(_) => {}
            }
        }
    }
}

fn write_all(stream: &mut TcpStream, connection: &mut ServerConnection) -> Result<(), Box<dyn Error>> {
    while connection.pending_output_bytes() > 0 {
        let written = stream.write(connection.output())?;
        connection.advance(written);
    }
    Ok(())
}

/// False once the peer has closed.
fn read_some(stream: &mut TcpStream, connection: &mut ServerConnection) -> Result<bool, Box<dyn Error>> {
    let mut buffer = [0; 64 << 10];
    let read = match stream.read(&mut buffer) {
        Ok(0) => return Ok(false),
        Ok(read) => read,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    if let Err(error) = connection.receive(&buffer[..read]) {
        write_all(stream, connection)?;
        return Err(error.into());
    }
    Ok(true)
}
