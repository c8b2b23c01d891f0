//! A TCP stream whose reads and writes have one deadline together, however slowly the bytes come. Behind it both end with
//! [`ErrorKind::WouldBlock`], after which a WebSocket can go on where it was.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A stream with a deadline; without one it waits for ever.
#[derive(Debug)]
pub(crate) struct DeadlineStream {
    stream: TcpStream,
    deadline: Option<Instant>,
}

impl DeadlineStream {
    pub(crate) fn new(stream: TcpStream) -> DeadlineStream {
        DeadlineStream {
            stream,
            deadline: None,
        }
    }

    /// Sets the deadline of everything that follows.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Time that is left; `None` for no limit.
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline {
            None => Ok(None),
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                // A time-out of zero is none for the system.
                Some(left) if left > Duration::ZERO => Ok(Some(left)),
                _ => Err(ErrorKind::WouldBlock.into()),
            },
        }
    }
}

/// The system reports a time-out of a socket as `WouldBlock` or `TimedOut`.
fn would_block(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::TimedOut => ErrorKind::WouldBlock.into(),
        _ => error,
    }
}

impl Read for DeadlineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(would_block)
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(would_block)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
