//! sendto(2).

use bytes::Bytes;
use farsock_proto::v1::{self, send_to_request::Payload};

use crate::{
    RemoteSocket, Result, SendOptions,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::SendToRequest {
    type Response = v1::SendToResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/SendTo";
    const VERB: &'static str = "sendto";
    const CARRIED: Option<Carried<Self>> = carried!(SendTo);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

impl RemoteSocket {
    /// Sends to an address, and tells how many bytes the kernel took; see [`send`](Self::send).
    /// Corresponds to sendto(2).
    ///
    /// # Errors
    ///
    /// As of sendto(2): ECONNREFUSED (of an earlier datagram), ENETUNREACH, EMSGSIZE, EISCONN;
    /// EAGAIN on a non-blocking socket.
    pub async fn send_to(
        &self,
        data: impl Into<Bytes>,
        address: impl Into<v1::Address>,
    ) -> Result<usize> {
        self.send_to_with(data, address, SendOptions::default())
            .await
    }

    /// Sends to an address, with flags or a limit. Corresponds to sendto(2).
    ///
    /// # Errors
    ///
    /// As of [`send_to`](Self::send_to), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn send_to_with(
        &self,
        data: impl Into<Bytes>,
        address: impl Into<v1::Address>,
        options: SendOptions,
    ) -> Result<usize> {
        let request = v1::SendToRequest {
            handle: self.handle,
            address: Some(address.into()),
            payload: Some(Payload::Data(data.into())),
            flags: options.flags.to_wire(),
            raw_flags: options.flags.raw(),
            timeout: convert::timeout(options.timeout),
        };
        self.client
            .ask(request, |response| {
                convert::number("bytes_sent", response.bytes_sent)
            })
            .await
    }
}
