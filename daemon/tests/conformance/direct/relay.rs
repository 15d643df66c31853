//! A relay as a local program writes it: two threads, each of which receives of one socket and sends on the other until the end of what it
//! receives, which it passes on, or an error.

use std::{
    fs,
    os::{fd::RawFd, unix::thread::JoinHandleExt as _},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    perform::{check, get_option},
    record,
};
use crate::outcome::{Failure, Moved, Outcome, Value, errno_name};

/// More than any message of a case.
const ROOM: usize = 1 << 20;
/// Interrupts a thread that waits.
const SIGNAL: i32 = libc::SIGUSR1;

/// Relays until both directions have ended.
pub(super) fn relay(first: RawFd, second: RawFd) -> Outcome<RawFd> {
    // SAFETY: no arguments.
    let name = thread_name(unsafe { libc::gettid() });
    // splice(2) looks at both descriptors before anything else.
    for fd in [first, second] {
        // SAFETY: no pointers.
        check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    }
    interruptible();
    let (sender, ends) = mpsc::channel();
    let start = |from, to| Running::start(&name, Direction::new(from, to)?, sender.clone());
    let mut running = vec![start(first, second)?];
    if first != second {
        running.push(start(second, first)?);
    }
    drop(sender);
    for (fd, failed) in ends {
        // Who receives in vain must ask whether the connection can still be sent on: nothing else tells the other thread.
        if failed == Some("recv")
            && let Some(errno) = why_not_writable(fd)?
        {
            let others = running.iter().filter(|other| other.from != fd);
            others.for_each(|other| other.give_up(errno));
        }
    }
    let directions = running.into_iter().map(Running::join);
    Ok(Value::Spliced(directions.collect::<Result<_, _>>()?))
}

/// The name of the threads of the relay that the thread of this id has begun: no longer than the kernel keeps.
fn thread_name(begun_by: i32) -> String {
    format!("relay {begun_by}")
}

/// The ids of the threads of a relay that the thread of this id has begun, once there are `count`.
pub(super) fn threads(begun_by: i32, count: usize) -> Option<Vec<i32>> {
    let name = thread_name(begun_by);
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let ids = tasks.filter_map(|task| {
        let path = task.ok()?.path();
        let own = fs::read_to_string(path.join("comm")).ok()?;
        (own.trim_end() == name).then(|| path.file_name()?.to_str()?.parse().ok())?
    });
    Some(ids.collect()).filter(|ids: &Vec<i32>| ids.len() == count)
}

/// A direction on its thread.
struct Running {
    from: RawFd,
    broken: Arc<AtomicI32>,
    thread: JoinHandle<Result<Moved, Failure>>,
}

impl Running {
    /// `ends` hears of what it received, and which call failed.
    fn start(
        name: &str,
        direction: Direction,
        ends: mpsc::Sender<(RawFd, Option<&'static str>)>,
    ) -> Result<Self, Failure> {
        let (from, broken) = (direction.from, Arc::clone(&direction.broken));
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || {
            let moved = direction.run()?;
            // Whoever waits has given up.
            let _ = ends.send((from, moved.error.as_ref().map(|(call, _)| *call)));
            Ok(moved)
        });
        Ok(Self {
            from,
            broken,
            thread: thread.expect("a thread can be made"),
        })
    }

    /// What it sends on is broken, whatever it receives.
    fn give_up(&self, errno: i32) {
        self.broken.store(errno, Ordering::Release);
        while !self.thread.is_finished() {
            // SAFETY: the thread has not been joined.
            unsafe { libc::pthread_kill(self.thread.as_pthread_t(), SIGNAL) };
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn join(self) -> Result<Moved, Failure> {
        self.thread
            .join()
            .unwrap_or_else(|_panic| Err(Failure::Other("the relay panicked".to_owned())))
    }
}

struct Direction {
    from: RawFd,
    to: RawFd,
    kind: i32,
    /// Why `to` cannot be sent on, once that is known; 0 until then.
    broken: Arc<AtomicI32>,
}

impl Direction {
    fn new(from: RawFd, to: RawFd) -> Result<Self, Failure> {
        Ok(Self {
            from,
            to,
            kind: type_of(from)?,
            broken: Arc::default(),
        })
    }

    fn run(&self) -> Result<Moved, Failure> {
        let mut buffer = vec![0; ROOM];
        let (mut bytes, mut undelivered) = (0, 0);
        let error = loop {
            let (taken, ended) = match self.receive(&mut buffer) {
                Ok(received) => received,
                Err(error) => break Some(error),
            };
            if ended {
                // SAFETY: no pointers.
                let ended = unsafe { libc::shutdown(self.to, libc::SHUT_WR) };
                break (ended < 0).then(|| ("shutdown", errno()));
            }
            let (sent, outcome) = self.send(&buffer[..taken]);
            bytes += sent;
            if let Err(errno) = outcome {
                undelivered = taken - sent;
                break Some(("send", errno));
            }
        };
        Ok(Moved {
            bytes,
            undelivered,
            error: error.map(|(call, errno)| (call, errno_name(errno))),
        })
    }

    /// Receives, and says whether this is the end of the stream. An empty datagram is one, and so is an empty record.
    fn receive(&self, buffer: &mut [u8]) -> Result<(usize, bool), (&'static str, i32)> {
        loop {
            match self.broken.load(Ordering::Acquire) {
                0 => {}
                errno => return Err(("send", errno)),
            }
            let ends = match record::has_records(self.from) {
                true => record::comes_end(self.from, 0).ok(),
                false => Some(false),
            };
            let taken = match ends {
                // SAFETY: the pointer and the length are those of one buffer, which outlives the call.
                Some(_) => unsafe {
                    libc::recv(self.from, buffer.as_mut_ptr().cast(), buffer.len(), 0)
                },
                // Its error is what the receive would have ended with, and is still in errno.
                None => -1,
            };
            match usize::try_from(taken) {
                Ok(taken) => {
                    let ends = ends == Some(true) || taken == 0 && self.kind == libc::SOCK_STREAM;
                    return Ok((taken, ends));
                }
                Err(_) => match errno() {
                    libc::EINTR => {}
                    libc::EAGAIN if is_nonblocking(self.from) => wait(self.from, libc::POLLIN),
                    errno => return Err(("recv", errno)),
                },
            }
        }
    }

    /// Sends all of it, or as much as goes.
    fn send(&self, data: &[u8]) -> (usize, Result<(), i32>) {
        let mut sent = 0;
        loop {
            let rest = &data[sent..];
            let (pointer, flags) = (rest.as_ptr().cast(), libc::MSG_NOSIGNAL);
            // SAFETY: the pointer and the length are those of one slice, which outlives the call.
            let taken = unsafe { libc::send(self.to, pointer, rest.len(), flags) };
            match usize::try_from(taken) {
                Ok(taken) => sent += taken,
                Err(_) => match errno() {
                    libc::EINTR => {}
                    libc::EAGAIN if is_nonblocking(self.to) => wait(self.to, libc::POLLOUT),
                    errno => return (sent, Err(errno)),
                },
            }
            if taken >= 0 && sent == data.len() {
                return (sent, Ok(()));
            }
        }
    }
}

/// The errno that a send would end with. On a stream one of nothing asks for it; elsewhere that is a message, unless the connection is
/// over.
fn why_not_writable(fd: RawFd) -> Result<Option<i32>, Failure> {
    let mut entry = libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    };
    // SAFETY: the kernel writes one entry.
    check(unsafe { libc::poll(&raw mut entry, 1, 0) })?;
    if type_of(fd)? != libc::SOCK_STREAM && entry.revents & libc::POLLHUP == 0 {
        return Ok(None);
    }
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: there are no bytes to point to.
    let sent = unsafe { libc::send(fd, ptr::null(), 0, flags) };
    Ok((sent < 0 && errno() != libc::EAGAIN).then(errno))
}

/// Whether EAGAIN is one to wait for: otherwise it is a time limit's.
fn is_nonblocking(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags & libc::O_NONBLOCK != 0
}

fn wait(fd: RawFd, events: i16) {
    let mut entry = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: the kernel writes one entry. The next call on the descriptor tells what came of it.
    unsafe { libc::poll(&raw mut entry, 1, -1) };
}

fn type_of(fd: RawFd) -> Result<i32, Failure> {
    let value = get_option(fd, libc::SOL_SOCKET, libc::SO_TYPE, 4)?;
    Ok(i32::from_ne_bytes(*value.first_chunk().expect("an int")))
}

/// The signal does nothing but end a wait with EINTR.
fn interruptible() {
    extern "C" fn nothing(_signal: i32) {}
    // SAFETY: all-zero is a valid sigaction: no flags, SA_RESTART least of all, and no signal blocked.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
    // SAFETY: the handler does nothing, which it may do at any time.
    unsafe { libc::sigaction(SIGNAL, &raw const action, ptr::null_mut()) };
}

fn errno() -> i32 {
    let error = std::io::Error::last_os_error();
    error.raw_os_error().expect("the kernel has just said no")
}
