//! What a flow has moved, for the journal. Nothing is counted for it per chunk: bytes are what the offsets say.

/// Both directions, over the flow's life or an opening's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// From the client to the socket.
    pub(crate) sent: Side,
    /// From the socket to the client.
    pub(crate) received: Side,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Side {
    /// Bytes of payload.
    pub(crate) bytes: u64,
    /// Datagrams, or connections.
    pub(crate) items: u64,
    /// Those that could not be sent, or errors that came instead.
    pub(crate) failed: u64,
    /// What is queued for the socket, or not acknowledged by the client, in the units of the call.
    pub(crate) left: u64,
    /// How the direction has ended, if it has.
    pub(crate) ended: Option<Half>,
}

/// The end of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// In order: the client's shutdown, or the peer's.
    Shut,
    /// With the error of that name.
    Failed(&'static str),
}

impl Tally {
    /// What was moved since it was `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            sent: self.sent.since(before.sent),
            received: self.received.since(before.received),
        }
    }
}

impl Side {
    fn since(self, before: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(before.bytes),
            items: self.items.saturating_sub(before.items),
            failed: self.failed.saturating_sub(before.failed),
            ..self
        }
    }
}
