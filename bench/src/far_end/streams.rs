//! The far end of a connection: where bytes go, or where they come from.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{Answer, PATIENCE, sources};
use crate::{
    Failure,
    pattern::{CHUNK, Pattern, Tally},
};

/// Takes data connections.
pub(super) struct Streams {
    listener: TcpListener,
    pattern: Pattern,
    /// The last one that was read to its end: it stays open, so that who relayed it can be looked at while it still lives.
    last: Option<TcpStream>,
    /// How many bytes of the flood have been written.
    flooded: Arc<AtomicU64>,
}

impl Streams {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            pattern: Pattern::new(),
            last: None,
            flooded: Arc::default(),
        }
    }

    /// Where they are taken.
    pub(super) fn address(&self) -> Result<Answer, Failure> {
        Ok(Answer::Address(self.listener.local_addr()?))
    }

    /// Reads the next to its end.
    pub(super) fn sink(&mut self) -> Result<Answer, Failure> {
        let mut stream = self.accept()?;
        let mut tally = Tally::default();
        read_to_end(&mut stream, |bytes| tally.add(bytes))?;
        self.last = Some(stream);
        Ok(Answer::Arrived(tally.arrived()))
    }

    /// Sends the pattern to the next.
    pub(super) fn source(&mut self, bytes: u64) -> Result<Answer, Failure> {
        let mut stream = self.accept()?;
        for chunk in self.pattern.chunks(bytes) {
            stream.write_all(&chunk)?;
        }
        stream.shutdown(Shutdown::Write)?;
        read_to_end(&mut stream, |_| {})?;
        Ok(Answer::Done)
    }

    /// Floods the next, until it is closed.
    pub(super) fn flood(&mut self, length: usize) -> Result<Answer, Failure> {
        let mut stream = self.accept()?;
        stream.set_nodelay(true)?;
        // It waits for as long as nobody reads.
        stream.set_write_timeout(None)?;
        let message = vec![0xf1; length];
        self.flooded = Arc::default();
        let flooded = Arc::clone(&self.flooded);
        thread::spawn(move || {
            while stream.write_all(&message).is_ok() {
                flooded.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        Ok(Answer::Done)
    }

    /// Floods the next so many, each until it is closed.
    pub(super) fn sources(&mut self, count: usize) -> Result<Answer, Failure> {
        self.flooded = Arc::default();
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(self.accept()?);
        }
        sources::start(streams, Arc::clone(&self.flooded))?;
        Ok(Answer::Done)
    }

    /// How far the flood has come.
    pub(super) fn flooded(&self) -> Answer {
        Answer::Written(self.flooded.load(Ordering::Relaxed))
    }

    fn accept(&mut self) -> io::Result<TcpStream> {
        self.last = None;
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// Reads until the other side has ended its direction.
pub(crate) fn read_to_end(stream: &mut TcpStream, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => each(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
