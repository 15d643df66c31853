//! Bulk data of one socket: what StreamService moves, and what is kept of it until the other side has it.
//!
//! A flow hangs on its socket, survives a broken connection, and ends with the socket. It knows nothing of gRPC. Offsets, credit and
//! retention are pure state machines ([`ledger`]); [`seat`] says who has the stream.
//!
//! No flow holds its socket: who waits long must not keep it from being closed.

mod accepts;
mod any;
mod buffer;
mod bytes;
mod datagrams;
mod items;
mod ledger;
mod receiving;
mod seat;
mod sending;
mod tally;

use crate::error::Error;

pub(crate) use self::{
    accepts::AcceptFlow,
    any::Slot,
    buffer::HEADROOM,
    bytes::{ByteFlow, Next},
    datagrams::{Datagram, DatagramFlow, Shape},
    items::{Arrived, NextItems},
    ledger::Credit,
    seat::Line,
    tally::{Half, Side, Tally},
};

/// The most that a direction towards the client keeps until it is acknowledged, in the call's units.
const RETENTION: u64 = 4 << 20;
/// How far a client may be ahead of its socket.
const WINDOW: u64 = 1 << 20;

/// How a client opens a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) stream_id: u64,
    /// Counts the client's attempts under that id, from 1; 0 if it does not count them.
    pub(crate) attempt: u64,
    pub(crate) received: Option<u64>,
    pub(crate) window: u64,
}

/// Where an opened stream goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) send_offset: u64,
    pub(crate) send_limit: u64,
    pub(crate) receive_offset: u64,
    /// What the flow had moved before.
    pub(crate) before: Tally,
}

/// The end of a direction.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) offset: u64,
    pub(crate) error: Option<Error>,
}

impl Ending {
    /// As the journal tells it.
    fn half(&self) -> Half {
        self.error
            .as_ref()
            .map_or(Half::Shut, |error| Half::Failed(error.name()))
    }

    /// Whether the socket was not connected, which may change.
    fn is_unconnected(&self) -> bool {
        matches!(&self.error, Some(Error::Kernel { source, .. }) if source.kind() == std::io::ErrorKind::NotConnected)
    }
}
