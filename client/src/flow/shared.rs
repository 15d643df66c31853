//! What the user of a flow, its driver and the body of its request share, under one lock.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use ::bytes::Bytes;
use farsock_proto::{Violation, v1};
use tokio::sync::Notify;
use tonic::Status;

use super::{
    Frames, Kind, Opening, Said, Staging, nonsense,
    state::{Receiving, Sending},
    tried,
};
use crate::{Error, RemoteSocket, Result, stream};

/// One flow of a socket.
#[derive(Debug)]
pub(crate) struct Flow<K: Kind> {
    pub(super) kind: K,
    pub(super) handle: u64,
    state: Mutex<State<K>>,
    /// The user has let go.
    pub(super) let_go: Notify,
    /// The driver has ended.
    ended: Notify,
}

struct State<K: Kind> {
    sending: Sending<<K::Staging as Staging>::Item>,
    staging: K::Staging,
    receiving: Receiving,
    /// What has arrived, with its costs.
    queue: VecDeque<(K::In, u64)>,
    /// How the receiving direction ended.
    received_all: Option<Result<()>>,
    /// How the sending direction ended.
    sent_all: Option<Result<()>>,
    /// Why there is no flow any more.
    over: Option<Error>,
    failures: Failures,
    released: Option<Released>,
    driver_ended: bool,
    connection: Connection,
    reader: Option<Waker>,
    writer: Option<Waker>,
    body: Option<Waker>,
}

/// The request of now.
#[derive(Debug, Default)]
struct Connection {
    /// Which it is, from 1; what belongs to an older one has no say.
    number: u64,
    /// Whether the first message was said.
    asked: bool,
    /// Whether the daemon's first message came.
    opened: bool,
    /// An acknowledgement shall go out, however little it says.
    acknowledge: bool,
    /// The request ends.
    ending: bool,
}

/// What the user leaves to the driver.
#[derive(Debug)]
pub(super) struct Released {
    /// To be dropped when all is taken; none if it goes on without the flow.
    pub(super) socket: Option<RemoteSocket>,
}

/// What could not be sent.
#[derive(Debug, Default)]
struct Failures {
    /// Those that the user has not heard of, with where they end: at most as many as the daemon keeps unheard.
    waiting: VecDeque<(u64, Error)>,
    /// Where the last one ends: what the daemon says again is not beyond it.
    last: u64,
    /// Up to where the user has heard of them, and what the daemon knows of that.
    heard: u64,
    told: u64,
}

/// What the body says next.
#[derive(Debug)]
pub(super) enum Next {
    Frames(Bytes, Option<Bytes>),
    End,
    /// There is a newer connection.
    Stale,
}

impl<K: Kind> std::fmt::Debug for State<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("receiving", &self.receiving)
            .field("queued", &self.queue.len())
            .field("unsent", &self.unsent())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl<K: Kind> State<K> {
    fn is_unacknowledged(&self) -> bool {
        self.receiving.is_unacknowledged() || self.failures.heard > self.failures.told
    }

    fn tell(&mut self) -> v1::Credit {
        self.connection.acknowledge = false;
        self.failures.told = self.failures.heard;
        v1::Credit {
            failures_heard: self.failures.told,
            ..self.receiving.tell()
        }
    }

    fn unsent(&self) -> u64 {
        self.sending.unsent() + self.staging.cost()
    }

    /// A failure that the user has not heard of. Once all have been, the daemon is told.
    fn next_failure(&mut self) -> Option<Error> {
        let (offset, failure) = self.failures.waiting.pop_front()?;
        self.failures.heard = offset;
        if self.failures.waiting.is_empty() {
            self.connection.acknowledge = true;
            if let Some(body) = self.body.take() {
                body.wake();
            }
        }
        Some(failure)
    }

    /// Whether the driver need not wait for the socket any more.
    fn is_delivered(&self) -> bool {
        match self.sent_all {
            Some(_) => true,
            None => {
                self.staging.cost() == 0 && self.sending.is_taken() && !self.sending.is_finishing()
            }
        }
    }

    /// Whether neither side has anything more to say.
    fn is_complete(&self) -> bool {
        let both = self.received_all.is_some() && self.sent_all.is_some();
        both || self.released.is_some() && self.is_delivered()
    }
}

/// For the user.
impl<K: Kind> Flow<K> {
    pub(super) fn new(kind: K, handle: u64) -> Self {
        Self {
            kind,
            handle,
            state: Mutex::new(State {
                sending: Sending::default(),
                staging: K::Staging::default(),
                receiving: Receiving::new(K::WINDOW, K::WIDEST),
                queue: VecDeque::new(),
                received_all: None,
                sent_all: None,
                over: None,
                failures: Failures::default(),
                released: None,
                driver_ended: false,
                connection: Connection::default(),
                reader: None,
                writer: None,
                body: None,
            }),
            let_go: Notify::new(),
            ended: Notify::new(),
        }
    }

    pub(crate) fn kind(&self) -> &K {
        &self.kind
    }

    /// Takes of what has arrived, by `take`, which tells what it cost and is given a queue that is not empty; none at the
    /// end. Errors come after all that arrived before them, and again each time.
    pub(crate) fn poll_receive<T>(
        &self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut VecDeque<(K::In, u64)>) -> (T, u64),
    ) -> Poll<Result<Option<T>>> {
        let mut state = self.lock();
        if state.queue.is_empty() {
            if let Some(ended) = &state.received_all {
                return Poll::Ready(ended.clone().map(|()| None));
            }
            if let Some(over) = &state.over {
                return Poll::Ready(Err(over.clone()));
            }
            state.receiving.waited();
            keep(&mut state.reader, context);
            return Poll::Pending;
        }
        let (taken, cost) = take(&mut state.queue);
        state.receiving.consumed(cost);
        let body = if state.receiving.is_credit_due() {
            state.body.take()
        } else {
            None
        };
        drop(state);
        wake(body);
        Poll::Ready(Ok(Some(taken)))
    }

    /// Gives what there is room for, by `give`, which is told how much may wait and whether something does; none if this
    /// side has ended its direction.
    pub(crate) fn poll_send<T>(
        &self,
        context: &mut Context<'_>,
        give: impl FnOnce(&mut Outgoing<'_, K>) -> T,
    ) -> Poll<Result<Option<T>>> {
        let mut state = self.lock();
        match &state.sent_all {
            Some(Err(error)) => return Poll::Ready(Err(error.clone())),
            Some(Ok(())) => return Poll::Ready(Ok(None)),
            None => {}
        }
        if let Some(over) = &state.over {
            return Poll::Ready(Err(over.clone()));
        }
        if state.sending.is_finishing() {
            return Poll::Ready(Ok(None));
        }
        if let Some(failure) = state.next_failure() {
            return Poll::Ready(Err(failure));
        }
        let unsent = state.unsent();
        if unsent >= K::BACKLOG {
            keep(&mut state.writer, context);
            return Poll::Pending;
        }
        let State {
            sending, staging, ..
        } = &mut *state;
        let given = give(&mut Outgoing {
            room: K::BACKLOG - unsent,
            staging,
            sending,
        });
        let body = state.body.take();
        drop(state);
        wake(body);
        Poll::Ready(Ok(Some(given)))
    }

    /// Ends the sending direction, after all that was given.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.sending.finish();
        let body = state.body.take();
        drop(state);
        wake(body);
    }

    /// Whether the sending direction has ended.
    pub(crate) fn poll_finished(&self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        if let Some(ended) = &state.sent_all {
            return Poll::Ready(ended.clone());
        }
        if let Some(over) = &state.over {
            return Poll::Ready(Err(over.clone()));
        }
        keep(&mut state.writer, context);
        Poll::Pending
    }

    /// Whether the socket has taken all that was given, or could not.
    pub(crate) fn poll_taken(&self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        if let Some(failure) = state.next_failure() {
            return Poll::Ready(Err(failure));
        }
        if state.staging.cost() == 0 && state.sending.is_taken() {
            return Poll::Ready(Ok(()));
        }
        if let Some(over) = &state.over {
            return Poll::Ready(Err(over.clone()));
        }
        keep(&mut state.writer, context);
        Poll::Pending
    }

    /// Lets go; returns what is to be dropped now.
    pub(super) fn let_go(&self, released: Released) -> Option<Released> {
        let mut state = self.lock();
        // Dropped outside of the lock: it may be sockets.
        let _untaken = std::mem::take(&mut state.queue);
        state.receiving.close();
        if state.driver_ended {
            return Some(released);
        }
        let before = state.released.replace(released);
        drop(state);
        self.let_go.notify_one();
        before
    }

    /// Waits until the driver has ended.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Before the look, so that no end comes between.
            ended.as_mut().enable();
            if self.lock().driver_ended {
                return;
            }
            ended.await;
        }
    }
}

/// Where the user gives.
pub(crate) struct Outgoing<'a, K: Kind> {
    /// How much may wait beside what does.
    pub(crate) room: u64,
    pub(crate) staging: &'a mut K::Staging,
    sending: &'a mut Sending<<K::Staging as Staging>::Item>,
}

impl<K: Kind> Outgoing<'_, K> {
    /// Whether something waits already.
    pub(crate) fn is_busy(&self) -> bool {
        self.sending.unsent() > 0
    }

    /// Makes an item of what was staged.
    pub(crate) fn seal(&mut self) {
        if let Some(item) = self.staging.take() {
            self.sending.push(item);
        }
    }

    /// Gives an item, after what was staged.
    pub(crate) fn push(&mut self, item: <K::Staging as Staging>::Item) {
        self.seal();
        self.sending.push(item);
    }
}

/// For the body of a request.
impl<K: Kind> Flow<K> {
    pub(super) fn poll_next(
        &self,
        number: u64,
        stream_id: u64,
        context: &mut Context<'_>,
    ) -> Poll<Next> {
        let mut state = self.lock();
        if state.connection.number != number {
            return Poll::Ready(Next::Stale);
        }
        if !state.connection.asked {
            state.connection.asked = true;
            let (received, window) = state.receiving.opening();
            let opening = Opening {
                handle: self.handle,
                stream_id,
                received,
                window,
            };
            return Poll::Ready(Next::Frames(self.kind.open(opening), None));
        }
        if !state.connection.opened {
            keep(&mut state.body, context);
            return Poll::Pending;
        }
        let acknowledge = state.connection.acknowledge && state.is_unacknowledged();
        if acknowledge || state.receiving.is_credit_due() {
            return Poll::Ready(Next::Frames(K::credit(state.tell()), None));
        }
        if state.sending.unsent() == 0
            && state.sending.has_credit()
            && let Some(item) = state.staging.take()
        {
            state.sending.push(item);
        }
        if let Some(item) = state.sending.next() {
            let writer = if state.unsent() <= K::BACKLOG / 2 {
                state.writer.take()
            } else {
                None
            };
            drop(state);
            wake(writer);
            let (first, second) = item.frames();
            return Poll::Ready(Next::Frames(first, second));
        }
        if state.staging.cost() == 0
            && let Some(end) = state.sending.finish_now()
            && let Some(message) = K::finish(end)
        {
            return Poll::Ready(Next::Frames(message, None));
        }
        if state.connection.ending {
            return Poll::Ready(Next::End);
        }
        keep(&mut state.body, context);
        Poll::Pending
    }
}

/// For the driver.
impl<K: Kind> Flow<K> {
    /// Begins a connection, and tells its number.
    pub(super) fn connect(&self) -> u64 {
        let mut state = self.lock();
        state.sending.detached();
        state.connection = Connection {
            number: state.connection.number + 1,
            ..Connection::default()
        };
        state.connection.number
    }

    /// The connection is broken: its body ends.
    pub(super) fn disconnect(&self) {
        let mut state = self.lock();
        state.connection.number += 1;
        state.connection.opened = false;
        state.sending.detached();
        let body = state.body.take();
        drop(state);
        wake(body);
    }

    /// Takes what the daemon has said. Tells whether it was the first message.
    pub(super) fn hear(&self, said: Said<K::In>) -> Result<bool> {
        let mut state = self.lock();
        let first = !state.connection.opened;
        let nonsense = |violation| nonsense::<K>(self.handle, violation);
        if first {
            let Said::Opened(opened) = said else {
                return Err(nonsense(Violation::new(
                    "opened",
                    "is not the first message",
                )));
            };
            state
                .sending
                .opened(opened.send_offset, opened.send_limit)
                .map_err(nonsense)?;
            state
                .receiving
                .opened(opened.receive_offset)
                .map_err(nonsense)?;
            state.connection.opened = true;
            if state.sent_all.is_some() {
                state.sending.abandon();
            }
            let body = state.body.take();
            // What had been sent counts as unsent until here: there may be room again.
            let writer = state.writer.take();
            drop(state);
            wake(body);
            wake(writer);
            return Ok(true);
        }
        match said {
            Said::Opened(_) => return Err(nonsense(Violation::new("opened", "is said twice"))),
            Said::Credit(credit) => {
                if state.sent_all.is_none() {
                    state.sending.credit(&credit).map_err(nonsense)?;
                    let body = state.body.take();
                    let writer = if state.sending.is_taken() {
                        state.writer.take()
                    } else {
                        None
                    };
                    drop(state);
                    wake(body);
                    wake(writer);
                }
            }
            Said::Item(item, cost) => {
                state.receiving.arrived(cost).map_err(nonsense)?;
                if state.released.is_some() {
                    // Dropped outside of the lock: it may be sockets.
                    drop(state);
                    drop(item);
                    return Ok(false);
                }
                state.queue.push_back((item, cost));
                let reader = state.reader.take();
                drop(state);
                wake(reader);
            }
            Said::ReceivingEnded(ended) => {
                if ended.offset != state.receiving.received() {
                    let what = format!("{} is not where it was", ended.offset);
                    return Err(nonsense(Violation::new("receiving_ended.offset", what)));
                }
                let end = self.end_of(ended.error);
                state.received_all.get_or_insert(end);
                let reader = state.reader.take();
                drop(state);
                wake(reader);
            }
            Said::SendingEnded(ended) => {
                let end = self.end_of(ended.error);
                state.sent_all.get_or_insert(end);
                state.staging.take();
                state.sending.abandon();
                let writer = state.writer.take();
                drop(state);
                wake(writer);
            }
            Said::SendFailed(failed) => {
                if failed.offset > state.failures.last {
                    state.failures.last = failed.offset;
                    let error = self.error_of(failed.error.unwrap_or_default());
                    state.failures.waiting.push_back((failed.offset, error));
                    let writer = state.writer.take();
                    drop(state);
                    wake(writer);
                }
            }
            Said::Unknown => {}
        }
        Ok(false)
    }

    fn end_of(&self, error: Option<v1::OperationError>) -> Result<()> {
        error.map_or(Ok(()), |error| Err(self.error_of(error)))
    }

    fn error_of(&self, error: v1::OperationError) -> Error {
        Error::from_status(tried::<K>(self.handle), &stream::status_of(error))
    }

    /// What arrived and was not acknowledged will be.
    pub(super) fn acknowledge(&self) {
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
    pub(super) fn must_return(&self) -> bool {
        let state = self.lock();
        let goes_on = state
            .released
            .as_ref()
            .is_some_and(|released| released.socket.is_none());
        goes_on && state.receiving.is_unacknowledged()
    }

    /// Ends the request, if neither side has anything more to say. What has arrived is acknowledged before.
    pub(super) fn end_if_complete(&self) -> bool {
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
    pub(super) fn lingering(&self) -> Option<u64> {
        let state = self.lock();
        state.released.as_ref().map(|_| state.sending.taken())
    }

    /// Why the flow is over, from now on.
    pub(super) fn give_up(&self, why: Error) {
        self.lock().over.get_or_insert(why);
    }

    /// The driver has ended. Gives back what the user left to it.
    pub(super) fn driver_ended(&self, why: Status) -> Option<Released> {
        let mut state = self.lock();
        let complete = state.received_all.is_some() && state.sent_all.is_some();
        if !complete {
            state
                .over
                .get_or_insert_with(|| Error::from_status(tried::<K>(self.handle), &why));
        }
        state.driver_ended = true;
        state.connection.number += 1;
        let released = state.released.take();
        let wakers = [state.reader.take(), state.writer.take(), state.body.take()];
        drop(state);
        wakers.into_iter().for_each(wake);
        self.ended.notify_waiters();
        released
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
