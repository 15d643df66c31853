//! A relay between two sockets.

use std::time::Duration;

use farsock_proto::{Violation, v1};

use crate::{
    AsHandle, Error, RemoteSocket, Result,
    call::{Carried, Rpc, Tried, carried},
    convert, stream,
};

impl Rpc for v1::SpliceRequest {
    type Response = v1::SpliceResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Splice";
    const VERB: &'static str = "splice";
    const CARRIED: Option<Carried<Self>> = carried!(Splice);

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// How to relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpliceOptions {
    /// How long to relay at most; `None` (default): until both directions have ended; zero: what is
    /// there, without waiting. Past it: [`Reason::TimedOut`](crate::Reason::TimedOut), as the error
    /// of the directions that have not ended, or of the call if nothing was moved.
    pub timeout: Option<Duration>,
}

/// What became of a relay.
#[derive(Clone, Debug)]
pub struct Spliced {
    /// What was received of the first socket and sent on the second.
    pub first_to_second: SplicedDirection,
    /// What was received of the second socket and sent on the first; `None` if they are the same.
    pub second_to_first: Option<SplicedDirection>,
}

/// What became of one direction of a relay.
#[derive(Clone, Debug)]
pub struct SplicedDirection {
    /// How many bytes it has moved: received, and taken by the other socket.
    pub bytes: u64,
    /// How many more bytes were received that the other socket has not taken. They are lost.
    pub undelivered: u64,
    /// What ended it; `None`: the end of the stream, which was passed on.
    pub error: Option<Error>,
}

impl RemoteSocket {
    /// Relays between this socket and another within the daemon, so that the bytes do not come here:
    /// what is received of each is sent on the other, until both directions have ended. The end of a
    /// stream is passed on, and the other direction goes on. Corresponds to recv(2) and send(2), in
    /// blocking mode however the sockets are; or to splice(2), where the kernel can.
    ///
    /// `other` is a socket, a stream of any kind, or a handle; the socket itself sends back what it
    /// receives. Sends and receives on either queue behind the relay. Dropping the future ends it:
    /// what it has received by then is sent as far as the other socket takes it at once.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if one socket carries bytes and the other
    /// messages; EMFILE if the daemon's host has no pipe to give. Errors of the sockets are their
    /// direction's: [`SplicedDirection::error`].
    pub async fn splice(&self, other: &impl AsHandle) -> Result<Spliced> {
        self.splice_with(other, SpliceOptions::default()).await
    }

    /// Relays with a limit.
    ///
    /// # Errors
    ///
    /// As of [`splice`](Self::splice), and [`Reason::TimedOut`](crate::Reason::TimedOut) if nothing
    /// was moved.
    pub async fn splice_with(
        &self,
        other: &impl AsHandle,
        options: SpliceOptions,
    ) -> Result<Spliced> {
        let request = v1::SpliceRequest {
            first: self.handle,
            second: other.as_handle(),
            timeout: convert::timeout(options.timeout),
        };
        let tried = Tried::of(&request);
        self.client
            .ask(request, |response| {
                let first = response
                    .first_to_second
                    .ok_or_else(|| Violation::new("first_to_second", "is absent"))?;
                Ok(Spliced {
                    first_to_second: direction(tried, first),
                    second_to_first: response.second_to_first.map(|wire| direction(tried, wire)),
                })
            })
            .await
    }
}

fn direction(tried: Tried, wire: v1::SplicedDirection) -> SplicedDirection {
    SplicedDirection {
        bytes: wire.bytes,
        undelivered: wire.undelivered,
        error: wire
            .error
            .map(|error| Error::from_status(tried, &stream::status_of(error))),
    }
}
