//! The log's writer: what is logged goes into a bounded buffer, and a thread writes it.
//!
//! A write can wait for ever (a pipe that nobody reads) and can fail (a full disk, a reader that has ended). Here that concerns the
//! thread alone. What does not fit, or cannot be written, is dropped and counted, and the count is logged as soon as something can be written
//! again. tracing-appender's lossy writer is not used: it drops lines in silence, bounds lines but not bytes, and prints when it cannot end.
//!
//! Threads: one, `farsockd-log`. It ends with [`Writer::finish`], unless it is within a write that does not end: then it is left to the end
//! of the process.

use std::{
    io::{self, Write},
    mem,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use crate::sys;

/// The most bytes that wait to be written. As many again may be on their way to the kernel.
const MOST_WAITING: usize = 1 << 20;

/// The way to the log's thread; clones are the same way.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something waits, or the end has come.
    filled: Condvar,
    /// The thread has written all.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// Lines that were dropped and not reported yet.
    lost: u64,
    writing: bool,
    finished: bool,
}

impl Writer {
    /// Starts the thread that writes to `destination`. `report` logs that so many lines were lost.
    pub(super) fn start<D>(destination: D, report: fn(u64)) -> io::Result<Self>
    where
        D: Write + AsFd + Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("farsockd-log".to_owned());
        let own = Arc::clone(&shared);
        thread.spawn(move || own.write_all(destination, report))?;
        Ok(Self(shared))
    }

    /// Has a line, or several, written. Never waits and never fails: without room it is dropped.
    pub(super) fn write_line(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.len() + line.len() > MOST_WAITING {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Waits until all is written, for at most `limit`.
    pub(super) fn finish(&self, limit: Duration) {
        let mut state = self.0.lock();
        state.finished = true;
        self.0.filled.notify_one();
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        // Whether it ended in time makes no difference to what follows.
        let _ = self.0.idle.wait_timeout_while(state, limit, busy);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: writes what waits until the end.
    fn write_all<D: Write + AsFd>(&self, mut destination: D, report: fn(u64)) {
        let mut batch = Vec::new();
        // Whether the last line written is whole.
        let mut whole = true;
        loop {
            let mut state = self.lock();
            state.writing = false;
            while state.waiting.is_empty() {
                self.idle.notify_all();
                if state.finished {
                    return;
                }
                state = self
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.writing = true;
            batch.clear();
            mem::swap(&mut batch, &mut state.waiting);
            drop(state);

            // What was cut off is no part of the next line.
            whole = whole || write(&mut destination, b"\n") == 1;
            let written = match whole {
                true => write(&mut destination, &batch),
                false => 0,
            };
            let (done, rest) = batch.split_at(written);
            whole = done.last().map_or(whole, |byte| *byte == b'\n');
            let lost = rest.iter().filter(|byte| **byte == b'\n').count();
            let lost = mem::take(&mut self.lock().lost).saturating_add(lost as u64);
            if lost > 0 && rest.is_empty() {
                // A line like any other, for which there is room now.
                report(lost);
            } else {
                self.lock().lost += lost;
            }
        }
    }
}

/// Writes as much as can be written, and returns how much that was.
fn write(destination: &mut (impl Write + AsFd), batch: &[u8]) -> usize {
    let mut written = 0;
    while written < batch.len() {
        match destination.write(&batch[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Another process that has the same open file has made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if sys::process::wait_until_writable(destination.as_fd()).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    written
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// An event on its way: `tracing_subscriber` writes each whole, with one call.
pub(super) struct Line<'a>(&'a Writer);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::{
            fd::{BorrowedFd, OwnedFd},
            unix::net::UnixStream,
        },
        sync::atomic::{AtomicU64, Ordering},
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// A destination that fails as often as it is told to.
    struct Failing {
        failures: u32,
        stream: UnixStream,
    }

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.stream.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl AsFd for Failing {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.stream.as_fd()
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_reported_after_the_next_line_that_can() {
        static REPORTED: AtomicU64 = AtomicU64::new(0);
        let (stream, mut reader) = UnixStream::pair().unwrap();
        let destination = Failing {
            failures: 2,
            stream,
        };
        let writer = Writer::start(destination, |lines| {
            REPORTED.fetch_add(lines, Ordering::SeqCst);
        })
        .unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            writer.write_line(line.as_bytes());
            // Each in a write of its own.
            let state = writer.0.lock();
            let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
            let waited = writer.0.idle.wait_timeout_while(state, LIMIT, busy);
            assert!(!waited.unwrap().1.timed_out());
        }
        writer.finish(LIMIT);
        let mut text = [0; 6];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"three\n");
        assert_eq!(REPORTED.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_reader_that_does_not_read_bounds_what_is_kept_and_gets_all_of_that() {
        static REPORTED: AtomicU64 = AtomicU64::new(0);
        let (stream, mut reader) = UnixStream::pair().unwrap();
        // As if others had done it, who have the same open file.
        stream.set_nonblocking(true).unwrap();
        let destination = std::fs::File::from(OwnedFd::from(stream));
        let writer = Writer::start(destination, |lines| {
            REPORTED.fetch_add(lines, Ordering::SeqCst);
        })
        .unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let all = 8 * MOST_WAITING as u64 / 1024;
        for _ in 0..all {
            writer.write_line(&line);
        }
        assert!(writer.0.lock().waiting.len() <= MOST_WAITING);
        let lost = writer.0.lock().lost;
        assert!(lost > 0);
        let reading = thread::spawn(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            text
        });
        writer.finish(LIMIT);
        drop(writer);
        let text = reading.join().unwrap();
        assert_eq!(text.len() as u64 + lost * 1024, all * 1024);
        assert!(text.chunks(1024).all(|chunk| chunk == line));
        assert_eq!(REPORTED.load(Ordering::SeqCst), lost);
    }
}
