//! What the daemon says, as the driver passes it on.

use std::task::Waker;

use farsock_proto::{Violation, v1};

use super::{
    super::{Hears, Kind, Said, nonsense, tried},
    Flow, State,
    waiting::wake,
};
use crate::{Error, Result, stream};

/// Whom to wake once the lock is released.
type Woken = [Option<Waker>; 2];

impl<K: Kind> Flow<K> {
    /// Takes what the daemon has said. Tells whether it was the first message.
    pub(in crate::flow) fn hear(&self, said: Said<K::In>) -> Result<bool> {
        // Before the lock, and so dropped after it: it may be sockets.
        let mut unwanted = None;
        let mut state = self.lock();
        let first = !state.connection.opened;
        let woken = match said {
            Said::Opened(opened) if first => state.open(&opened),
            _ if first => Err(Violation::new("opened", "is not the first message")),
            Said::Opened(_) => Err(Violation::new("opened", "is said twice")),
            Said::Credit(credit) => state.credit(&credit),
            Said::Item(item, cost) => state.arrive(item, cost, &mut unwanted),
            Said::ReceivingEnded(ended) => {
                let how = self.end_of(ended.error);
                state.end_receiving(ended.offset, how, self.kind.hears())
            }
            Said::SendingEnded(ended) => {
                let how = self.end_of(ended.error);
                state.end_sending(how, self.kind.hears())
            }
            Said::SendFailed(failed) => {
                let why = || self.error_of(failed.error.unwrap_or_default());
                let is_new = state.outbox.failures.add(failed.offset, why);
                let writer = if is_new {
                    state.outbox.writer.take()
                } else {
                    None
                };
                Ok([writer, None])
            }
            Said::Unknown => Ok([None, None]),
        };
        drop(state);
        let woken = woken.map_err(|violation| nonsense::<K>(self.handle, violation))?;
        woken.into_iter().for_each(wake);
        Ok(first)
    }

    fn end_of(&self, error: Option<v1::OperationError>) -> Result<()> {
        error.map_or(Ok(()), |error| Err(self.error_of(error)))
    }

    fn error_of(&self, error: v1::OperationError) -> Error {
        Error::from_status(tried::<K>(self.handle), &stream::status_of(error))
    }
}

impl<K: Kind> State<K> {
    fn open(&mut self, opened: &v1::Opened) -> Result<Woken, Violation> {
        let writer = self.outbox.open(opened.send_offset, opened.send_limit)?;
        self.inbox.receiving.opened(opened.receive_offset)?;
        self.connection.opened = true;
        Ok([self.body.take(), writer])
    }

    fn credit(&mut self, credit: &v1::Credit) -> Result<Woken, Violation> {
        if self.outbox.ended.is_some() {
            return Ok([None, None]);
        }
        let writer = self.outbox.credit(credit)?;
        Ok([self.body.take(), writer])
    }

    /// Nothing more comes. A writer who waits may be the first to hear why.
    fn end_receiving(
        &mut self,
        offset: u64,
        how: Result<()>,
        hears: Option<Hears>,
    ) -> Result<Woken, Violation> {
        let pending = &mut self.pending;
        let how = || pending.receiving_ended(how, hears);
        let reader = self.inbox.end(offset, how)?;
        Ok([reader, self.outbox.writer.take()])
    }

    /// The daemon takes no more.
    fn end_sending(&mut self, how: Result<()>, hears: Option<Hears>) -> Result<Woken, Violation> {
        if self.outbox.ended.is_none() {
            let receiving_has_ended = self.inbox.ended.is_some();
            self.pending.sending_ended(&how, hears, receiving_has_ended);
        }
        Ok([self.outbox.end(how), None])
    }

    /// Keeps what has arrived for the user; one who has let go does not want it.
    fn arrive(
        &mut self,
        item: K::In,
        cost: u64,
        unwanted: &mut Option<K::In>,
    ) -> Result<Woken, Violation> {
        if let Err(violation) = self.inbox.receiving.arrived(cost) {
            *unwanted = Some(item);
            return Err(violation);
        }
        if self.released.is_some() {
            *unwanted = Some(item);
            return Ok([None, None]);
        }
        self.inbox.queue.push_back((item, cost));
        Ok([self.inbox.reader.take(), None])
    }
}
