//! The body of a flow's request: what the flow has to say, frame by frame, without copies.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tonic::Status;

use super::{Flow, Kind, shared::Next};

pub(super) struct RequestBody<K: Kind> {
    flow: Arc<Flow<K>>,
    number: u64,
    stream_id: u64,
    /// The payload whose header went out.
    payload: Option<Bytes>,
}

impl<K: Kind> RequestBody<K> {
    /// The body of the flow's request of that number.
    pub(super) fn new(flow: Arc<Flow<K>>, number: u64, stream_id: u64) -> Self {
        Self {
            flow,
            number,
            stream_id,
            payload: None,
        }
    }
}

impl<K: Kind> Body for RequestBody<K> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(payload) = self.payload.take() {
            return Poll::Ready(Some(Ok(Frame::data(payload))));
        }
        let next = self.flow.poll_next(self.number, self.stream_id, context);
        Poll::Ready(match ready!(next) {
            Next::Frames(first, second) => {
                self.payload = second;
                Some(Ok(Frame::data(first)))
            }
            Next::End => None,
            // Not an end in order, which the daemon would take for the client's word.
            Next::Stale => Some(Err(Status::cancelled("the stream was given up"))),
        })
    }
}
