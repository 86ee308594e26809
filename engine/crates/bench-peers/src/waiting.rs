//! How a peer waits for bytes: spinning for a while, as the engine does, then asleep.

use std::{
    io,
    net::TcpStream,
    os::fd::AsFd,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// A stream of bytes that can be made non-blocking.
pub trait Channel: io::Read + io::Write + AsFd + Send + 'static {
    /// Small messages leave at once; reads and writes never wait.
    ///
    /// # Errors
    /// The system refuses.
    fn prepare(&self) -> io::Result<()>;
}

impl Channel for TcpStream {
    fn prepare(&self) -> io::Result<()> {
        self.set_nodelay(true)?;
        self.set_nonblocking(true)
    }
}

impl Channel for UnixStream {
    fn prepare(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }
}

/// Fills `message` from a non-blocking channel: looks again for `spin` since it last saw bytes, then sleeps in poll.
/// `false`: the other side has closed.
///
/// # Errors
/// The connection broke.
pub fn read_whole(channel: &mut impl Channel, message: &mut [u8], spin: Duration) -> io::Result<bool> {
    let mut filled = 0;
    let mut awake_until = None;
    while filled < message.len() {
        match channel.read(&mut message[filled..]) {
            Ok(0) => return Ok(false),
            Ok(count) => (filled, awake_until) = (filled + count, None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // The clock is read only where nothing came: it costs less than the read that found nothing.
                let until = *awake_until.get_or_insert_with(|| Instant::now() + spin);
                if spin.is_zero() || Instant::now() >= until {
                    sleep_until(channel, rustix::event::PollFlags::IN)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes all of `message` to a non-blocking channel.
///
/// # Errors
/// The connection broke.
pub fn write_whole(channel: &mut impl Channel, mut message: &[u8]) -> io::Result<()> {
    while !message.is_empty() {
        match channel.write(message) {
            Ok(count) => message = &message[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep_until(channel, rustix::event::PollFlags::OUT)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn sleep_until(channel: &impl Channel, event: rustix::event::PollFlags) -> io::Result<()> {
    match rustix::event::poll(&mut [rustix::event::PollFd::new(channel, event)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
