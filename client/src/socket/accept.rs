//! accept(2).

use std::time::Duration;

use farsock_proto::v1;

use crate::{
    Address, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::AcceptRequest {
    type Response = v1::AcceptResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Accept";
    const VERB: &'static str = "accept";
    const CARRIED: Option<Carried<Self>> = carried!(Accept);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// How to accept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptOptions {
    /// Whether calls on the new socket end in EAGAIN instead of waiting (SOCK_NONBLOCK). Default:
    /// no; not inherited.
    pub nonblocking: bool,
    /// How long to wait at most; `None` (default): for ever; zero: not at all. Past it:
    /// [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub timeout: Option<Duration>,
}

impl RemoteSocket {
    /// Waits for the next connection of a listening socket: the connected socket, and its peer's
    /// address. Corresponds to accept(2).
    ///
    /// # Errors
    ///
    /// As of accept(2): EINVAL on a socket that does not listen, ECONNABORTED, EMFILE; EAGAIN on a
    /// non-blocking socket.
    pub async fn accept(&self) -> Result<(Self, Address)> {
        self.accept_with(AcceptOptions::default()).await
    }

    /// Waits for the next connection, with a limit or for a non-blocking socket. Corresponds to
    /// accept4(2).
    ///
    /// # Errors
    ///
    /// As of [`accept`](Self::accept), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn accept_with(&self, options: AcceptOptions) -> Result<(Self, Address)> {
        let request = v1::AcceptRequest {
            new_handle: 0,
            handle: self.handle,
            nonblocking: options.nonblocking,
            timeout: convert::timeout(options.timeout),
        };
        self.client
            .ask(request, |response| {
                // First the socket, so that it is closed if the rest of the answer makes no sense.
                let socket = Self::owned(self.client.clone(), response.handle);
                let peer = convert::address("peer_address", response.peer_address)?;
                Ok((socket, peer))
            })
            .await
    }
}
