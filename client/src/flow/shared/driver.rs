//! The driver's side of a flow: connections come and go, and in the end the flow is over.

use tonic::Status;

use super::{
    super::{Kind, tried},
    Connection, Flow, Released,
    waiting::wake,
};
use crate::Error;

impl<K: Kind> Flow<K> {
    /// Begins a connection, and tells its number.
    pub(in crate::flow) fn connect(&self) -> u64 {
        let mut state = self.lock();
        state.outbox.sending.detached();
        state.connection = Connection {
            number: state.connection.number + 1,
            ..Connection::default()
        };
        state.connection.number
    }

    /// The connection is broken: its body ends.
    pub(in crate::flow) fn disconnect(&self) {
        let mut state = self.lock();
        state.connection.number += 1;
        state.connection.opened = false;
        state.outbox.sending.detached();
        let body = state.body.take();
        drop(state);
        wake(body);
    }

    /// What arrived and was not acknowledged will be.
    pub(in crate::flow) fn acknowledge(&self) {
        let mut state = self.lock();
        if !state.is_unacknowledged() {
            return;
        }
        state.connection.acknowledge = true;
        let body = state.body.take();
        drop(state);
        wake(body);
    }

    /// Whether the socket is to go on without the flow, and the daemon still holds something for it.
    pub(in crate::flow) fn must_return(&self) -> bool {
        let state = self.lock();
        let goes_on = state
            .released
            .as_ref()
            .is_some_and(|released| released.socket.is_none());
        goes_on && state.inbox.receiving.is_unacknowledged()
    }

    /// Ends the request, if neither side has anything more to say. What has arrived is acknowledged before.
    pub(in crate::flow) fn end_if_complete(&self) -> bool {
        let mut state = self.lock();
        if !state.is_complete() {
            return false;
        }
        state.connection.acknowledge = true;
        state.connection.ending = true;
        let body = state.body.take();
        drop(state);
        wake(body);
        true
    }

    /// Whether the user has let go, and how far the socket has taken what was written.
    pub(in crate::flow) fn lingering(&self) -> Option<u64> {
        let state = self.lock();
        state
            .released
            .as_ref()
            .map(|_| state.outbox.sending.taken())
    }

    /// Why the flow is over, from now on.
    pub(in crate::flow) fn give_up(&self, why: Error) {
        self.lock().over.get_or_insert(why);
    }

    /// The driver has ended. Gives back what the user left to it.
    pub(in crate::flow) fn driver_ended(&self, why: Status) -> Option<Released> {
        let mut state = self.lock();
        if !state.have_both_ended() {
            state
                .over
                .get_or_insert_with(|| Error::from_status(tried::<K>(self.handle), &why));
        }
        state.driver_ended = true;
        state.connection.number += 1;
        let released = state.released.take();
        let wakers = [
            state.inbox.reader.take(),
            state.outbox.writer.take(),
            state.body.take(),
        ];
        drop(state);
        wakers.into_iter().for_each(wake);
        self.ended.notify_waiters();
        released
    }
}
