//! The oracle's world: the kernel, called directly. A call that waits has a thread of its own.
#![allow(
    unsafe_code,
    reason = "the oracle shares no line with the daemon, its system calls least of all"
)]

mod address;
mod control;
mod namespace;
mod perform;
mod receive;
mod record;
mod relay;
mod stamps;

use std::{
    collections::HashMap,
    fs,
    os::fd::RawFd,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

use farsock_client::Address;

pub(crate) use namespace::within;
pub(crate) use perform::EVENTS;
pub(crate) use stamps::keep_on as keep_time_stamps_on;

use crate::{
    call::{Call, Slot},
    outcome::{Failure, Outcome},
    world::{self, DEADLINE, World},
};

/// Far above any descriptor that is open.
const NO_SOCKET: RawFd = 1 << 24;

/// Sockets of this process, called by libc.
pub(crate) struct Direct {
    place: world::Place,
    sockets: HashMap<Slot, RawFd>,
    started: HashMap<usize, Started>,
}

/// A call on its own thread.
struct Started {
    thread: Arc<AtomicI32>,
    outcome: mpsc::Receiver<Outcome<RawFd>>,
}

impl Direct {
    pub(crate) fn new(place: world::Place) -> Self {
        Self {
            place,
            sockets: HashMap::new(),
            started: HashMap::new(),
        }
    }

    async fn resolve(&mut self, call: Call) -> Call<RawFd, Address> {
        let Self { place, sockets, .. } = self;
        let socket = |slot| sockets.get(&slot).copied().unwrap_or(NO_SOCKET);
        call.resolve(socket, async |address| {
            let now = address
                .slot()
                .and_then(|slot| perform::local_address(*sockets.get(&slot)?).ok()?);
            place.address(address, now)
        })
        .await
    }

    /// Keeps the sockets that a call made, and forgets the one that it closed.
    fn settle(&mut self, outcome: Outcome<RawFd>, makes: &[Slot]) -> Outcome {
        let value = outcome?;
        for (slot, fd) in makes.iter().zip(value.made()) {
            self.sockets.insert(*slot, *fd);
        }
        let extra: Vec<RawFd> = value
            .made()
            .into_iter()
            .skip(makes.len())
            .copied()
            .collect();
        for fd in extra {
            let _ = perform::close(fd, false);
        }
        let slots: HashMap<RawFd, Slot> =
            self.sockets.iter().map(|(slot, fd)| (*fd, *slot)).collect();
        Ok(value.map(&mut self.place.names, |fd| {
            slots.get(&fd).copied().unwrap_or(Slot::NONE)
        }))
    }
}

impl World for Direct {
    async fn call(&mut self, call: Call, makes: &[Slot]) -> Outcome {
        // A call that should return, but does not, must not hang the suite: it runs beside its deadline like the others.
        const TAG: usize = usize::MAX;
        self.start(TAG, call).await;
        self.finish(TAG, makes).await
    }

    async fn start(&mut self, tag: usize, call: Call) {
        let closed = match &call {
            Call::Close { socket, .. } => Some(*socket),
            _ => None,
        };
        let call = self.resolve(call).await;
        if let Some(slot) = closed {
            self.sockets.remove(&slot);
        }
        let (sender, outcome) = mpsc::channel();
        let id = Arc::new(AtomicI32::new(0));
        let own = Arc::clone(&id);
        thread::Builder::new()
            .name("direct call".to_owned())
            .spawn(move || {
                // SAFETY: no arguments.
                own.store(unsafe { libc::gettid() }, Ordering::Release);
                // Whoever waits may have given up.
                let _ = sender.send(perform::perform(call));
            })
            .expect("a thread can be made");
        self.started.insert(
            tag,
            Started {
                thread: id,
                outcome,
            },
        );
    }

    async fn waits(&mut self, tag: usize, call: &Call) -> Result<(), String> {
        let started = self.started.get(&tag).ok_or("nothing was started")?;
        let limit = Instant::now() + DEADLINE;
        let mut seen = 0;
        loop {
            match started.outcome.try_recv() {
                Err(mpsc::TryRecvError::Empty) => {}
                Ok(outcome) => return Err(format!("it has ended: {outcome:?}")),
                Err(mpsc::TryRecvError::Disconnected) => return Err("it has panicked".to_owned()),
            }
            // Asleep twice in a row: a lock that is held for an instant is no wait.
            let thread = started.thread.load(Ordering::Acquire);
            let asleep = match call {
                Call::Splice(first, second) => {
                    let count = if first == second { 1 } else { 2 };
                    relay::threads(thread, count)
                        .is_some_and(|threads| threads.into_iter().all(sleeps))
                }
                _ => sleeps(thread),
            };
            seen = if asleep { seen + 1 } else { 0 };
            if seen == 2 {
                return Ok(());
            }
            if Instant::now() > limit {
                return Err("it neither waits nor ends".to_owned());
            }
            world::a_moment().await;
        }
    }

    async fn finish(&mut self, tag: usize, makes: &[Slot]) -> Outcome {
        let started = self
            .started
            .remove(&tag)
            .ok_or_else(|| Failure::Other("nothing was started".to_owned()))?;
        let outcome = started
            .outcome
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| Err(Failure::Other(format!("no answer: {error}"))));
        self.settle(outcome, makes)
    }

    async fn end(&mut self) {
        for (_, fd) in self.sockets.drain() {
            let _ = perform::close(fd, false);
        }
    }
}

/// Whether the thread is asleep within a system call that may wait for a socket.
fn sleeps(thread: i32) -> bool {
    let read = |name| fs::read_to_string(format!("/proc/self/task/{thread}/{name}"));
    // "PID (NAME) STATE ...", and the name may hold anything.
    let asleep = read("stat").is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('S'))
    });
    // "NUMBER ARGUMENTS...", or "running". Where it cannot be read the state has to do.
    let in_socket_call = read("syscall").map_or(true, |line| {
        line.split_once(' ')
            .and_then(|(number, _)| number.parse().ok())
            .is_some_and(|number: i64| WAITING_CALLS.contains(&number))
    });
    asleep && in_socket_call
}

/// The calls of [`perform`] that may wait.
const WAITING_CALLS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_close,
];

/// User and group of this process.
pub(crate) fn user_and_group() -> (u32, u32) {
    // SAFETY: no arguments, and they cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// A call that does not wait, by real names.
pub(crate) fn at_once(call: Call<RawFd, Address>) -> Outcome<RawFd> {
    perform::perform(call)
}

/// Whether this kernel, for this user, creates such a socket.
pub(crate) fn creates(domain: i32, kind: i32, protocol: i32) -> bool {
    let kind = crate::call::Kind::new(domain, kind, protocol);
    match perform::perform(Call::Socket(kind)) {
        Ok(value) => {
            for fd in value.made() {
                let _ = perform::close(*fd, false);
            }
            true
        }
        Err(_) => false,
    }
}
