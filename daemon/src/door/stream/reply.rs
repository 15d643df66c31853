//! What the daemon says on a stream: the body of a response.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tonic::Status;

use crate::{
    door::status,
    flow::Line,
    journal::{StreamEntry, StreamOutcome},
    listener::calls::Companion,
};

/// One call's direction to the client.
pub(super) trait Speaker: Send + Unpin + 'static {
    /// What to say next: a frame, and one that follows it at once; or how the call ends.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Bytes, Option<Bytes>), Status>>;

    /// What is to be said when the client has ended its side.
    fn last_words(&mut self) -> Option<Bytes>;

    /// The call is over.
    fn leave(&mut self);
}

/// How a client's side of a call ended.
#[derive(Debug, Default)]
pub(super) struct Heard {
    ended: AtomicBool,
    outcome: Mutex<Option<Status>>,
}

impl Heard {
    /// The client has said all, or what cannot be accepted.
    pub(super) fn end(&self, outcome: Result<(), Status>, line: &Line) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
        self.ended.store(true, Ordering::Release);
        line.wake();
    }

    fn take(&self) -> Option<Result<(), Status>> {
        self.ended.load(Ordering::Acquire).then(|| {
            let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.take().map_or(Ok(()), Err)
        })
    }
}

/// The response's body: polled by the connection as far as the client takes it.
pub(super) struct Reply<S: Speaker> {
    speaker: S,
    heard: Arc<Heard>,
    /// The journal's, until it has ended.
    entry: Option<StreamEntry>,
    /// Reads the client's side.
    _reader: Companion,
    /// What is said before anything else.
    pending: Option<Bytes>,
    /// How it ends, once it does.
    outcome: Option<Result<(), Status>>,
    over: bool,
}

impl<S: Speaker> Reply<S> {
    /// A body that says `first`, then what `speaker` says, until that ends or the client's side has, which `reader` reads.
    pub(super) fn new(
        first: Bytes,
        speaker: S,
        heard: Arc<Heard>,
        reader: Companion,
        entry: StreamEntry,
    ) -> Self {
        Self {
            speaker,
            heard,
            entry: Some(entry),
            _reader: reader,
            pending: Some(first),
            outcome: None,
            over: false,
        }
    }
}

impl<S: Speaker> http_body::Body for Reply<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Some(frame) = this.pending.take() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if this.outcome.is_none() {
            let frame = match this.heard.take() {
                Some(Ok(())) => {
                    this.outcome = Some(Ok(()));
                    this.speaker.last_words()
                }
                Some(Err(refused)) => {
                    this.outcome = Some(Err(refused));
                    this.speaker.last_words()
                }
                None => match ready!(this.poll_speaker(cx)) {
                    Ok(frame) => Some(frame),
                    Err(status) => {
                        this.outcome = Some(Err(status));
                        None
                    }
                },
            };
            if let Some(frame) = frame {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
        }
        this.over = true;
        let (status, outcome) = match this.outcome.take() {
            Some(Err(status)) => {
                let outcome = status::outcome(&status);
                (status, outcome)
            }
            _ => (Status::ok(""), StreamOutcome::Finished),
        };
        this.leave(outcome);
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(match status.add_header(&mut trailers) {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(status) => Err(status),
        }))
    }
}

impl<S: Speaker> Reply<S> {
    /// Asks the speaker. The end of the client's side, which wakes whom the speaker has had listen, may come meanwhile.
    fn poll_speaker(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Status>> {
        let polled = self.speaker.poll(cx);
        if polled.is_pending() && self.heard.ended.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        }
        let (frame, next) = ready!(polled)?;
        self.pending = next;
        Poll::Ready(Ok(frame))
    }
}

impl<S: Speaker> Reply<S> {
    /// The call is over, and has ended like this.
    fn leave(&mut self, outcome: StreamOutcome) {
        self.speaker.leave();
        if let Some(entry) = self.entry.take() {
            entry.end(outcome);
        }
    }
}

impl<S: Speaker> Drop for Reply<S> {
    fn drop(&mut self) {
        self.leave(StreamOutcome::Abandoned);
    }
}
