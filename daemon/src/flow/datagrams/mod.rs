//! The stream of a socket whose messages have bounds: its messages both ways.
//!
//! Tasks: one for a flow whose socket did not take all at once, as for bytes; see [`super::sending`].

mod receiving;
mod sending;

use std::{
    future::poll_fn,
    os::fd::AsFd as _,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use farsock_proto::Violation;

pub(crate) use self::{receiving::Shape, sending::Datagram};
use self::{
    receiving::count_drops,
    sending::{Queued, Sending, queued},
};
use super::{
    Credit, Opened, Opening, RETENTION, Tally, any,
    items::{ItemFlow, NextItems, Receiving, lock},
    ledger::Item,
    seat::{Line, Seat},
};
use crate::{
    error::Error,
    operation::{Context as Caller, ReceivedMessage},
    socket::{Socket, Waiting},
    sys::{self, message::Framing, socket::Events},
    table::Handle,
};

/// What a datagram costs beside its payload, and what an error costs.
const OVERHEAD: u64 = 64;
/// A socket's stream of datagrams. Locks are taken in the order of the fields.
#[derive(Debug)]
pub(crate) struct DatagramFlow {
    handle: Handle,
    socket: Weak<Socket>,
    seat: Seat,
    receiving: Mutex<Receiving<ReceivedMessage>>,
    sending: Mutex<Sending>,
    /// Whether the socket had SO_RXQ_OVFL on before: then its user sees it as well.
    counts_drops: bool,
    /// How many datagrams the kernel has dropped, as far as it has told.
    drops: AtomicU32,
    /// As far as the client has heard of it.
    drops_said: AtomicU32,
    /// When to ask the kernel for it.
    looks_at: Mutex<Option<Instant>>,
}

impl DatagramFlow {
    /// The flow of `socket`, opened by a client that has heard of failures up to the offset `failures_heard`.
    pub(crate) fn open(
        caller: &Caller,
        socket: &Arc<Socket>,
        opening: Opening,
        failures_heard: u64,
    ) -> Result<(Arc<Self>, Arc<Line>, Opened), Error> {
        if socket.framing() != Framing::Message {
            let violation = Violation::new("handle", "carries a stream of bytes: open Stream");
            return Err(violation.into());
        }
        let flow = socket.flow.get_or_make(
            |any| match any {
                any::Flow::Datagrams(flow) => Some(flow),
                _ => None,
            },
            || {
                let flow = Arc::new(Self {
                    handle: socket.handle(),
                    socket: Arc::downgrade(socket),
                    seat: Seat::default(),
                    receiving: Mutex::new(Receiving::new(RETENTION, OVERHEAD)),
                    sending: Mutex::default(),
                    counts_drops: count_drops(socket),
                    drops: AtomicU32::new(sys::socket::drops(socket.as_fd()).unwrap_or(0)),
                    drops_said: AtomicU32::new(0),
                    looks_at: Mutex::default(),
                });
                (Arc::clone(&flow), any::Flow::Datagrams(flow))
            },
        );
        let flow = flow.ok_or(Error::StreamInUse(socket.handle()))?;
        let (line, opened) = flow.seat.take(socket, opening, |line| {
            flow.resume(line, opening, failures_heard)
        })?;
        // What waited for failures to be heard goes on.
        flow.go_on(caller, &mut flow.sending());
        Ok((flow, line, opened))
    }

    /// Whether nobody has the stream and nothing is left of it.
    pub(super) fn is_free(&self) -> bool {
        self.seat.is_free()
    }

    fn resume(
        &self,
        line: &Arc<Line>,
        opening: Opening,
        failures_heard: u64,
    ) -> Result<Opened, Error> {
        let mut receiving = self.receiving();
        let mut sending = self.sending();
        let before = tally(&receiving, &sending);
        let receive_offset = receiving
            .open(line, opening, before)
            .map_err(|unknown| self.unknown(unknown.0))?;
        drop(receiving);
        sending.line = Some(Arc::clone(line));
        // As for bytes.
        sending.say = sending.intake.taken() > 0;
        sending.failures.heard(failures_heard);
        sending.failures.again();
        self.drops_said.store(0, Ordering::Relaxed);
        if self.has_unsaid_drops() || sending.say || !sending.failures.is_empty() {
            line.tell();
        }
        let credit = sending.intake.tell();
        Ok(Opened {
            send_offset: credit.received,
            send_limit: credit.limit,
            receive_offset,
            before,
        })
    }

    /// The client has sent `datagrams`: the socket takes what it can, and the rest is queued. One that is invalid takes its place in the
    /// direction like any other, and fails there alone.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        caller: &Caller,
        line: &Arc<Line>,
        datagrams: Vec<Datagram>,
    ) -> Result<(), Error> {
        let queue: Vec<Queued> = datagrams.into_iter().map(queued).collect();
        let mut sending = self.sending();
        if !sending.is_held(line) {
            return Err(Error::StreamTaken(self.handle));
        }
        let cost = queue.iter().map(Item::cost).sum();
        sending
            .intake
            .arrive(cost)
            .map_err(|exceeded| Error::CreditExceeded {
                handle: self.handle,
                end: exceeded.end,
                limit: exceeded.limit,
            })?;
        for datagram in queue {
            if !sending.has_room(&datagram) {
                // What the socket takes makes room.
                self.go_on(caller, &mut sending);
            }
            sending.queue(datagram);
        }
        self.go_on(caller, &mut sending);
        Ok(())
    }

    /// The client says what it has received, grants, and says which failures it has heard.
    pub(crate) fn credit(
        self: &Arc<Self>,
        caller: &Caller,
        line: &Arc<Line>,
        (received, limit): (u64, u64),
        failures_heard: u64,
    ) -> Result<(), Error> {
        {
            let mut receiving = self.receiving();
            if !receiving.is_held(line) {
                return Err(Error::StreamTaken(self.handle));
            }
            receiving
                .credit(line, received, limit)
                .map_err(|unknown| self.unknown(unknown.0))?;
        }
        let mut sending = self.sending();
        sending.failures.heard(failures_heard);
        self.go_on(caller, &mut sending);
        Ok(())
    }

    /// The client has sent nothing for a while: it shall hear what became of what it sent.
    pub(crate) fn rest(&self, line: &Arc<Line>) {
        let mut sending = self.sending();
        if sending.is_held(line) {
            sending.tell_if_untold();
        }
    }

    /// Whether the client has not heard all yet.
    pub(crate) fn is_untold(&self) -> bool {
        self.sending().intake.is_untold()
    }

    /// How many datagrams the kernel has dropped, as far as it has told.
    pub(crate) fn drops(&self) -> u32 {
        let drops = self.drops.load(Ordering::Relaxed);
        self.drops_said.store(drops, Ordering::Relaxed);
        drops
    }

    fn has_unsaid_drops(&self) -> bool {
        self.drops.load(Ordering::Relaxed) != self.drops_said.load(Ordering::Relaxed)
    }

    /// What is to be said to the client next.
    pub(crate) fn poll_next(
        &self,
        caller: &Caller,
        shape: Shape,
        line: &Arc<Line>,
        waiting: &mut Waiting,
        cx: &mut Context<'_>,
    ) -> Poll<NextItems<ReceivedMessage>> {
        self.poll_items(line, waiting, cx, |socket, room, ready| {
            self.receive(caller, shape, socket, room, ready)
        })
    }

    /// The one who has `line` leaves; what is not yet acknowledged stays.
    pub(crate) fn leave(&self, line: &Arc<Line>) {
        {
            let mut receiving = self.receiving();
            let mut sending = self.sending();
            let tally = tally(&receiving, &sending);
            receiving.leave(line, tally);
            if sending.is_held(line) {
                sending.line = None;
            }
        }
        let socket = self.socket.upgrade();
        self.seat.leave(line, socket.as_deref(), || self.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.receiving().is_empty() && self.sending().intake.queued().is_empty()
    }

    /// Sends what is queued, and sees to it that the rest follows.
    fn go_on(self: &Arc<Self>, caller: &Caller, sending: &mut Sending) {
        if sending.pumping || sending.intake.queued().is_empty() {
            return;
        }
        let Some(socket) = self.socket.upgrade() else {
            return;
        };
        if sending.write(caller, &socket) {
            sending.pumping = true;
            self.pump(caller.clone(), socket.waiter());
        }
    }

    /// Sends what is queued whenever the socket takes more, until nothing is.
    fn pump(self: &Arc<Self>, caller: Caller, mut waiting: Waiting) {
        let flow = Arc::clone(self);
        tokio::spawn(async move {
            while poll_fn(|cx| waiting.poll(Some(Events::OUT), cx))
                .await
                .is_ok()
            {
                let Some(socket) = flow.socket.upgrade() else {
                    return;
                };
                let mut sending = flow.sending();
                let before = sending.intake.taken();
                let more = sending.write(&caller, &socket);
                if sending.intake.taken() > before {
                    waiting.was_of_use();
                }
                if !more {
                    sending.pumping = false;
                    // Nothing else may come by which the client would hear of the last of it.
                    sending.tell_if_untold();
                    drop(sending);
                    flow.seat.settle(Some(&socket), || flow.is_empty());
                    return;
                }
            }
        });
    }

    fn unknown(&self, offset: u64) -> Error {
        let handle = self.handle;
        Error::OffsetUnknown { handle, offset }
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        lock(&self.sending)
    }
}

/// What the flow has moved.
fn tally(receiving: &Receiving<ReceivedMessage>, sending: &Sending) -> Tally {
    Tally {
        sent: sending.side(),
        received: receiving.side(),
    }
}

impl ItemFlow for DatagramFlow {
    type Item = ReceivedMessage;

    fn handle(&self) -> Handle {
        self.handle
    }

    fn socket(&self) -> &Weak<Socket> {
        &self.socket
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving<ReceivedMessage>> {
        lock(&self.receiving)
    }

    fn news(&self, line: &Arc<Line>) -> Option<NextItems<ReceivedMessage>> {
        let mut sending = self.sending();
        if !sending.is_held(line) {
            return None;
        }
        if let Some((end, error)) = sending.failures.next() {
            // There may be more.
            line.tell();
            return Some(NextItems::SendFailed(end, error));
        }
        if std::mem::take(&mut sending.say) {
            if self.has_unsaid_drops() {
                line.tell();
            }
            return Some(NextItems::Credit(sending.intake.tell()));
        }
        self.has_unsaid_drops().then_some(NextItems::Dropped)
    }

    fn looks_at(&self) -> Option<Instant> {
        *lock(&self.looks_at)
    }

    fn look(&self, socket: &Socket, line: &Arc<Line>) {
        *lock(&self.looks_at) = None;
        if let Some(drops) = sys::socket::drops(socket.as_fd()) {
            self.count_dropped(drops);
        }
        if self.has_unsaid_drops() {
            line.tell();
        }
    }

    fn last_credit(&self, line: &Arc<Line>) -> Option<Credit> {
        let mut sending = self.sending();
        (sending.is_held(line) && sending.intake.is_untold()).then(|| sending.intake.tell())
    }
}

impl DatagramFlow {
    /// What the client has not heard yet of what it sent.
    pub(crate) fn last_words(&self, line: &Arc<Line>) -> Option<Credit> {
        self.last_credit(line)
    }
}
