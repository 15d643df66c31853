//! The flow of a listening socket: connections.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::bytes::Bytes;
use farsock_proto::{
    Violation,
    v1::{
        self, AcceptManyRequest, AcceptManyResponse, accept_many_request::Message as Request,
        accept_many_response::Message as Response,
    },
};
use tokio_stream::Stream;

use super::{Flow, Kind, Opening, Said, tried, wire};
use crate::{Address, Client, Error, RemoteSocket, Result, convert, stream};

/// Connections of a listening socket.
#[derive(Debug)]
pub(crate) struct Connections {
    client: Client,
    listener: u64,
}

/// A connection, and its peer's address.
type Accepted = Result<(RemoteSocket, Address)>;

impl Kind for Connections {
    const PATH: &'static str = "/farsock.v1.StreamService/AcceptMany";
    const VERB: &'static str = "accept";
    const WINDOW: u64 = 64;
    const BACKLOG: u64 = 0;
    const PAYLOADS: bool = false;
    const LONGEST: usize = 1 << 20;
    type Staging = ();
    type In = VecDeque<Accepted>;
    type Response = AcceptManyResponse;

    fn open(&self, opening: Opening) -> Bytes {
        request(Request::Open(v1::OpenAcceptMany {
            handle: opening.handle,
            stream_id: opening.stream_id,
            attempt: opening.attempt,
            received: opening.received,
            window: opening.window,
            nonblocking: false,
        }))
    }

    fn credit(credit: v1::Credit) -> Bytes {
        request(Request::Credit(credit))
    }

    fn finish(_offset: u64) -> Option<Bytes> {
        None
    }

    fn payload(_data: Bytes) -> Option<(Self::In, u64)> {
        None
    }

    fn said(&self, response: AcceptManyResponse) -> Result<Said<Self::In>, Violation> {
        Ok(match response.message {
            Some(Response::Accepted(accepted)) => {
                let error = accepted.error.map(|error| {
                    let tried = tried::<Self>(self.listener);
                    Err(Error::from_status(tried, &stream::status_of(error)))
                });
                let connections = accepted.connections.into_iter();
                let items: VecDeque<_> = connections
                    .map(|connection| self.accepted(connection))
                    .chain(error)
                    .collect();
                let cost = items.len() as u64;
                Said::Item(items, cost)
            }
            Some(Response::Opened(opened)) => Said::Opened(opened),
            None => Said::Unknown,
        })
    }
}

impl Connections {
    fn accepted(&self, connection: v1::AcceptedConnection) -> Accepted {
        // First the socket, so that it is closed if the rest makes no sense.
        let socket = RemoteSocket::owned(self.client.clone(), connection.handle);
        let peer = convert::address("connections.peer_address", connection.peer_address).map_err(
            |violation| Error::invalid_response(tried::<Self>(self.listener), violation),
        )?;
        Ok((socket, peer))
    }
}

fn request(message: Request) -> Bytes {
    wire::framed(&AcceptManyRequest {
        message: Some(message),
    })
}

/// Connections as they come, each made into what is wanted. Ends after the error that ended the flow.
pub(crate) struct Incoming<F> {
    flow: Arc<Flow<Connections>>,
    make: F,
    is_over: bool,
}

impl<F> Incoming<F> {
    pub(crate) fn new(listener: &RemoteSocket, make: F) -> Self {
        let kind = Connections {
            client: listener.client().clone(),
            listener: listener.handle(),
        };
        Self {
            flow: Flow::start(listener, kind),
            make,
            is_over: false,
        }
    }
}

impl<F, T> Stream for Incoming<F>
where
    F: FnMut((RemoteSocket, Address)) -> Result<T> + Unpin,
{
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let taken = self.flow.poll_receive(context, |queue| {
            let Some((items, cost)) = queue.front_mut() else {
                return (None, 0);
            };
            let item = items.pop_front();
            *cost = items.len() as u64;
            if items.is_empty() {
                queue.pop_front();
            }
            let taken = item.is_some().into();
            (item, taken)
        });
        Poll::Ready(match ready!(taken) {
            Ok(Some(Some(Ok(accepted)))) => Some((self.make)(accepted)),
            // The next connection may be accepted again.
            Ok(Some(Some(Err(error)))) => Some(Err(error)),
            Ok(Some(None) | None) => None,
            Err(error) => {
                self.is_over = true;
                Some(Err(error))
            }
        })
    }
}

impl<F> Drop for Incoming<F> {
    fn drop(&mut self) {
        self.flow.release(None);
    }
}
