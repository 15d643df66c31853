//! What a client says on a stream: the body of a request, frame by frame.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use farsock_proto::Violation;
use http_body::Body as _;
use tonic::{Status, body::Body};

use super::frames::{Event, Frames};
use crate::door::status;

/// After how long without more from the client it is told what became of the last it sent, though that was little.
pub(super) const IDLE: Duration = Duration::from_millis(20);

/// A request's body, taken apart.
#[derive(Debug)]
pub(super) struct Requests {
    body: Body,
    frames: Frames,
    frame: Bytes,
}

impl Requests {
    pub(super) fn new(body: Body, frames: Frames) -> Self {
        Self {
            body,
            frames,
            frame: Bytes::new(),
        }
    }

    /// The next event; none at the end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Status>> {
        loop {
            if let Some(event) = self.frames.next(&mut self.frame)? {
                return Poll::Ready(Ok(Some(event)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)?) {
                Some(frame) => {
                    // Trailers of a request say nothing.
                    self.frame = frame.into_data().unwrap_or_default();
                }
                None if self.frames.is_between() => return Poll::Ready(Ok(None)),
                None => {
                    return Poll::Ready(Err(status::invalid(&Violation::new(
                        "",
                        "the request ends within a message".to_owned(),
                    ))));
                }
            }
        }
    }

    /// [`Self::poll`], awaited.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Status> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The first message.
    pub(super) async fn first(&mut self) -> Result<Bytes, Status> {
        match self.next().await? {
            Some(Event::Message(message)) => Ok(message),
            _ => Err(not_open()),
        }
    }

    /// Reads on to the end, so that what the client still sends takes nothing of the connection's window.
    pub(super) async fn drain(mut self) {
        while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// The first message opens nothing.
pub(super) fn not_open() -> Status {
    status::invalid(&Violation::new("open", "must be the first message"))
}

/// A later message that says nothing that can be said there.
pub(super) fn not_now(message: &'static str) -> Status {
    status::invalid(&Violation::new(message, "has no place here"))
}

#[cfg(test)]
mod tests {
    use http_body::Frame;

    use super::*;

    /// A body of so many frames, all of which lie ready.
    struct Many(usize);

    impl http_body::Body for Many {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.checked_sub(1).map(|left| {
                self.0 = left;
                Ok(Frame::data(Bytes::from_static(&[0; 5])))
            }))
        }
    }

    #[tokio::test]
    async fn what_is_read_in_vain_is_not_read_in_one_go() {
        let requests = Requests::new(Body::new(Many(100_000)), Frames::of_messages());
        let mut draining = tokio_test::task::spawn(requests.drain());
        assert!(draining.poll().is_pending());
        // It only waits for its turn.
        draining.await;
    }
}
