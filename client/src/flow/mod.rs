//! Bulk data: flows, which carry the bytes of a connection, batches of datagrams, or accepted connections, with explicit
//! credit, and survive the connection to the daemon.
//!
//! Tasks: one for each open flow, its [`driver`]. It begins when a socket's flow is first used, and ends when both
//! directions have ended, when the user has let go of the flow and all that was written is taken, or when the daemon cannot
//! be reached until the session's lease is over. Dropping it with its runtime is safe: the session's lease ends it all.

mod body;
pub(crate) mod bytes;
pub(crate) mod connections;
pub(crate) mod datagrams;
mod driver;
mod shared;
mod state;
mod wire;

use std::sync::Arc;

use ::bytes::Bytes;
use farsock_proto::{Violation, v1};

pub(crate) use self::shared::{Flow, Outgoing};
use self::{shared::Released, state::Item};
use crate::{Error, RemoteSocket, call::Tried};

/// What one of the three RPCs carries, and how.
pub(crate) trait Kind: Sized + Send + Sync + 'static {
    /// The RPC's path.
    const PATH: &'static str;
    /// What errors call it.
    const VERB: &'static str;
    /// How far the daemon may be ahead of the user at first, in the RPC's units.
    const WINDOW: u64;
    /// And at most, of a user who takes faster than it comes.
    const WIDEST: u64 = Self::WINDOW;
    /// How much may wait to be sent, in the RPC's units.
    const BACKLOG: u64;
    /// Whether a response that is just field 1 is a payload, which is passed on in parts.
    const PAYLOADS: bool;
    /// The longest response that is assembled, in bytes.
    const LONGEST: usize;

    /// What the user gave last, and may still grow.
    type Staging: Staging;
    /// What is received; what nobody takes is dropped.
    type In: Send + 'static;
    /// The RPC's response.
    type Response: prost::Message + Default;

    /// Who hears an error that the kernel keeps for the next call, if the daemon's call took it ahead; none: each direction tells
    /// its own.
    fn hears(&self) -> Option<Hears> {
        None
    }

    /// The first message, framed.
    fn open(&self, opening: Opening) -> Bytes;

    /// A credit, framed.
    fn credit(credit: v1::Credit) -> Bytes;

    /// The end of the sending direction, framed.
    fn finish(offset: u64) -> Option<Bytes>;

    /// A part of a payload, and what it costs.
    fn payload(data: Bytes) -> Option<(Self::In, u64)>;

    /// What a response says.
    fn said(&self, response: Self::Response) -> Result<Said<Self::In>, Violation>;
}

/// Who hears an error that the kernel keeps for the next call on a connection (sk_err).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    /// The next call, be it a receive or a send: as of TCP.
    NextCall,
    /// The next receive: a send on a unix socket says EPIPE and leaves the error alone.
    NextReceive,
}

/// What the user gave last.
pub(crate) trait Staging: Default + Send + 'static {
    /// What it becomes.
    type Item: Item + Frames + Send + 'static;

    /// What it costs so far.
    fn cost(&self) -> u64;

    /// Makes an item of it; none if there is nothing.
    fn take(&mut self) -> Option<Self::Item>;
}

/// Nothing: what a direction sends that does not exist.
#[derive(Clone, Debug)]
pub(crate) enum Never {}

impl Item for Never {
    fn cost(&self) -> u64 {
        match *self {}
    }

    fn cut(&mut self, _most: u64) -> Option<Self> {
        match *self {}
    }
}

impl Frames for Never {
    fn frames(self) -> (Bytes, Option<Bytes>) {
        match self {}
    }
}

impl Staging for () {
    type Item = Never;

    fn cost(&self) -> u64 {
        0
    }

    fn take(&mut self) -> Option<Never> {
        None
    }
}

/// How an item goes out: one frame or two.
pub(crate) trait Frames {
    fn frames(self) -> (Bytes, Option<Bytes>);
}

/// What opening says.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) handle: u64,
    pub(crate) stream_id: u64,
    /// Counts the attempts to open it, from 1.
    pub(crate) attempt: u64,
    pub(crate) received: Option<u64>,
    pub(crate) window: u64,
}

/// What the daemon says.
#[derive(Debug)]
pub(crate) enum Said<I> {
    Opened(v1::Opened),
    Credit(v1::Credit),
    /// Something received, and what it costs.
    Item(I, u64),
    ReceivingEnded(v1::ReceivingEnded),
    SendingEnded(v1::SendingEnded),
    SendFailed(v1::SendFailed),
    /// What a newer daemon says.
    Unknown,
}

impl<K: Kind> Flow<K> {
    /// Starts the flow of a socket, on the client's runtime.
    pub(crate) fn start(socket: &RemoteSocket, kind: K) -> Arc<Self> {
        let client = socket.client();
        let flow = Arc::new(Self::new(kind, socket.handle()));
        let way = driver::Way::of(client);
        let settled = client
            .stream()
            .map(|stream| stream.settled(socket.handle()));
        let pump = client.transport().bulk_pump.clone();
        pump.run(driver::drive(Arc::clone(&flow), way, settled));
        flow
    }

    /// Lets go of the flow. It goes on until what was written is taken, and then drops `socket`; at once if there is
    /// nothing to wait for.
    pub(crate) fn release(&self, socket: Option<RemoteSocket>) {
        // Dropped here, outside of the lock, if it is not kept.
        let _dropped = self.let_go(Released { socket });
    }
}

fn tried<K: Kind>(handle: u64) -> Tried {
    Tried {
        verb: K::VERB,
        handle: Some(handle),
    }
}

fn nonsense<K: Kind>(handle: u64, violation: Violation) -> Error {
    Error::invalid_response(tried::<K>(handle), violation)
}
