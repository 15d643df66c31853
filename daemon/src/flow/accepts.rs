//! The stream of a listening socket: its connections.

use std::{
    os::fd::AsFd as _,
    sync::{Arc, Mutex, MutexGuard, Weak, atomic::Ordering},
    task::{Context, Poll},
};

use farsock_proto::socket::Domain;

use super::{
    Credit, Opened, Opening, Tally, any,
    items::{BATCH, ItemFlow, NextItems, Receiving, Taken, lock},
    seat::{Line, Seat},
};
use crate::{
    engine::Engine,
    error::{Call, Error},
    journal::Entry,
    operation::{Accept, AcceptMany, Accepted, Context as Caller, Operation as _},
    socket::{Connection, Fault, Socket, Waiting},
    sys::{self, socket::Events},
    table::Handle,
};

/// How many connections may wait for acknowledgement.
const MOST: u64 = 65_536;

/// A socket's stream of connections.
#[derive(Debug)]
pub(crate) struct AcceptFlow {
    handle: Handle,
    socket: Weak<Socket>,
    seat: Seat,
    receiving: Mutex<Receiving<Accepted>>,
}

impl AcceptFlow {
    /// The flow of `socket`, opened.
    pub(crate) fn open(
        socket: &Arc<Socket>,
        opening: Opening,
    ) -> Result<(Arc<Self>, Arc<Line>, Opened), Error> {
        let flow = socket.flow.get_or_make(
            |any| match any {
                any::Flow::Accepts(flow) => Some(flow),
                _ => None,
            },
            || {
                let flow = Arc::new(Self {
                    handle: socket.handle(),
                    socket: Arc::downgrade(socket),
                    seat: Seat::default(),
                    receiving: Mutex::new(Receiving::new(MOST, 1)),
                });
                (Arc::clone(&flow), any::Flow::Accepts(flow))
            },
        );
        let flow = flow.ok_or(Error::StreamInUse(socket.handle()))?;
        let (line, (receive_offset, before)) = flow.seat.take(socket, opening, |line| {
            let mut receiving = flow.receiving();
            let before = tally(&receiving);
            let opened = receiving.open(line, opening, before);
            let offset = opened.map_err(|unknown| flow.unknown(unknown.0))?;
            Ok((offset, before))
        })?;
        let opened = Opened {
            send_offset: 0,
            send_limit: 0,
            receive_offset,
            before,
        };
        Ok((flow, line, opened))
    }

    /// Whether nobody has the stream and nothing is left of it.
    pub(super) fn is_free(&self) -> bool {
        self.seat.is_free()
    }

    /// The client says what it has received, and grants.
    pub(crate) fn credit(&self, line: &Arc<Line>, received: u64, limit: u64) -> Result<(), Error> {
        let mut receiving = self.receiving();
        if !receiving.is_held(line) {
            return Err(Error::StreamTaken(self.handle));
        }
        receiving
            .credit(line, received, limit)
            .map_err(|unknown| self.unknown(unknown.0))
    }

    /// What is to be said to the client next. New sockets belong to whom the listening one belongs to.
    pub(crate) fn poll_next(
        &self,
        caller: &Caller,
        nonblocking: bool,
        line: &Arc<Line>,
        waiting: &mut Waiting,
        cx: &mut Context<'_>,
    ) -> Poll<NextItems<Accepted>> {
        self.poll_items(line, waiting, cx, |listener, room, ready| {
            let mut accepted = Vec::new();
            let most = BATCH.min(usize::try_from(room).unwrap_or(BATCH));
            while accepted.len() < most {
                let entry = self.entry(caller, nonblocking);
                let fault = match accept(&caller.engine, listener, nonblocking) {
                    Ok(one) => {
                        if let Some(entry) = entry {
                            entry.end(Ok(Accept::answer(&one)));
                        }
                        accepted.push((1, one));
                        continue;
                    }
                    Err(fault) if !accepted.is_empty() => {
                        // What has come counts, and the answer is the next one's.
                        listener.defer_fault(&fault);
                        Entry::forget(entry);
                        break;
                    }
                    Err(Fault::Kernel(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        if !ready.contains(Events::RDHUP)
                            || listener.kind().domain() != Domain::Unix
                        {
                            Entry::forget(entry);
                            return Taken::Nothing;
                        }
                        // Its reading side was shut down: a blocking accept ends.
                        sys::errno::invalid().into()
                    }
                    // Without a connection there is nothing to run out for.
                    Err(fault) if is_short(&fault) && !has_connection(listener) => {
                        Entry::forget(entry);
                        return Taken::Nothing;
                    }
                    Err(fault) => fault,
                };
                let error = fault.on(Call::on("accept", self.handle));
                if let Some(entry) = entry {
                    entry.end(Err(&error));
                }
                return Taken::Failed(error);
            }
            Taken::Items(accepted)
        })
    }

    /// The journal's entry of one accept4(2), which reads as Accept's does. Most often nobody watches.
    fn entry(&self, caller: &Caller, nonblocking: bool) -> Option<Box<Entry>> {
        let call = Accept {
            handle: self.handle,
            nonblocking,
            timeout: None,
            new_handle: 0,
        };
        let entry = caller.engine.journal.begin(caller, &call)?;
        Some(entry.of(AcceptMany::VERB))
    }

    /// The one who has `line` leaves; what is not yet acknowledged stays.
    pub(crate) fn leave(&self, line: &Arc<Line>) {
        {
            let mut receiving = self.receiving();
            let tally = tally(&receiving);
            receiving.leave(line, tally);
        }
        let socket = self.socket.upgrade();
        self.seat
            .leave(line, socket.as_deref(), || self.receiving().is_empty());
    }

    fn unknown(&self, offset: u64) -> Error {
        let handle = self.handle;
        Error::OffsetUnknown { handle, offset }
    }
}

impl ItemFlow for AcceptFlow {
    type Item = Accepted;

    fn handle(&self) -> Handle {
        self.handle
    }

    fn socket(&self) -> &Weak<Socket> {
        &self.socket
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving<Accepted>> {
        lock(&self.receiving)
    }

    fn news(&self, _line: &Arc<Line>) -> Option<NextItems<Accepted>> {
        None
    }

    fn last_credit(&self, _line: &Arc<Line>) -> Option<Credit> {
        None
    }
}

/// What the flow has moved.
fn tally(receiving: &Receiving<Accepted>) -> Tally {
    Tally {
        received: receiving.side(),
        ..Tally::default()
    }
}

/// One connection.
fn accept(engine: &Engine, listener: &Arc<Socket>, nonblocking: bool) -> Result<Accepted, Fault> {
    listener.take_deferred()?;
    // Room comes first: once the kernel has given the connection away it must be kept.
    let room = engine.table.reserve().map_err(Fault::Refused)?;
    listener.stay_nonblocking()?;
    let Connection { fd, peer, .. } = listener.accept_now(listener.as_fd())?;
    let ownership = (listener.owner(), listener.session().cloned());
    let make = |handle| Socket::new(engine, handle, ownership, fd, listener.kind(), nonblocking);
    let socket = engine.place(room, None, make).map_err(Fault::Refused)?;
    socket.inherit(listener);
    let counters = &listener.counters;
    counters
        .connections_accepted
        .fetch_add(1, Ordering::Relaxed);
    Ok(Accepted {
        handle: socket.handle(),
        peer,
    })
}

/// Whether something has run out: descriptors, memory, or what one of the daemon's limits allows.
fn is_short(fault: &Fault) -> bool {
    match fault {
        Fault::Kernel(error) => sys::errno::is_shortage(error),
        fault => matches!(fault, Fault::Refused(Error::QuotaExceeded { .. })),
    }
}

fn has_connection(listener: &Socket) -> bool {
    let ready = sys::socket::poll_one(listener.as_fd(), Events::IN);
    ready.is_ok_and(|ready| ready.contains(Events::IN))
}
