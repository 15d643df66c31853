//! connect(2).

use std::time::Duration;

use farsock_proto::v1;

use crate::{
    Address, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::ConnectRequest {
    type Response = v1::ConnectResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Connect";
    const VERB: &'static str = "connect";
    const CARRIED: Option<Carried<Self>> = carried!(Connect);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// How to connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// How long to wait at most; `None` (default): as long as the kernel does; zero: not at all.
    /// Past it: [`Reason::TimedOut`](crate::Reason::TimedOut), and the socket goes on connecting,
    /// unless it is a unix socket.
    pub timeout: Option<Duration>,
}

impl RemoteSocket {
    /// Connects the socket, or sets a datagram socket's peer ([`Address::Unspecified`] dissolves
    /// it), and tells the local address it has now, if the kernel does. Corresponds to connect(2),
    /// and getsockname(2) for the answer.
    ///
    /// Ended early, it leaves the socket connecting: another connect says EALREADY, and poll and
    /// SO_ERROR tell the end. A unix socket waits for room in the listener's queue before it begins:
    /// ended early, it is not connecting.
    ///
    /// # Errors
    ///
    /// As of connect(2): ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, EISCONN; EINPROGRESS on a
    /// non-blocking socket.
    pub async fn connect(&self, address: impl Into<v1::Address>) -> Result<Option<Address>> {
        self.connect_with(address, ConnectOptions::default()).await
    }

    /// Connects the socket, with a limit.
    ///
    /// # Errors
    ///
    /// As of [`connect`](Self::connect), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn connect_with(
        &self,
        address: impl Into<v1::Address>,
        options: ConnectOptions,
    ) -> Result<Option<Address>> {
        let request = v1::ConnectRequest {
            handle: self.handle,
            address: Some(address.into()),
            timeout: convert::timeout(options.timeout),
        };
        self.client
            .ask(request, |response| {
                convert::optional_address("local_address", response.local_address)
            })
            .await
    }
}
