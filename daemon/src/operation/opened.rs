//! What the openings of streams have in common: Stream, Datagrams and AcceptMany are operations as far as the opening goes.

use std::sync::Arc;

use super::Context;
use crate::{
    flow::{Line, Opened},
    journal::{Answer, StreamEntry, StreamEvent, StreamKind, What},
    socket::{Socket, Waiting},
};

/// An open stream.
#[derive(Debug)]
pub(crate) struct OpenedStream<F> {
    pub(crate) flow: Arc<F>,
    pub(crate) line: Arc<Line>,
    pub(crate) opened: Opened,
    /// Waits on the socket, which nothing here holds.
    pub(crate) waiting: Waiting,
    /// Writes the opening's end into the journal.
    pub(crate) entry: StreamEntry,
}

impl<F> OpenedStream<F> {
    pub(super) fn new(
        context: &Context,
        socket: &Socket,
        kind: StreamKind,
        (flow, line, opened): (Arc<F>, Arc<Line>, Opened),
    ) -> Self {
        let entry = StreamEntry::new(context, socket.handle(), kind, &line, opened.before);
        Self {
            flow,
            line,
            opened,
            waiting: socket.waiter(),
            entry,
        }
    }

    /// "= 0 (resumed at 5 sent, 7 received)".
    pub(super) fn answer(&self) -> Answer<'_> {
        let resumed = self.line.number() > 1;
        let what = What::Opened {
            resumed,
            took_over: self.line.took_over(),
            send_offset: self.opened.send_offset,
            receive_offset: self.opened.receive_offset,
        };
        let opening = self.line.number();
        Answer::number(0)
            .with_any(resumed.then_some(what))
            .opened(StreamEvent { opening, what })
    }
}
