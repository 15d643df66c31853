//! recvfrom(2).

use bytes::Bytes;
use farsock_proto::v1;

use crate::{
    Address, Received, RecvOptions, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::RecvFromRequest {
    type Response = v1::RecvFromResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/RecvFrom";
    const VERB: &'static str = "recvfrom";
    const CARRIED: Option<Carried<Self>> = carried!(RecvFrom);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

impl RemoteSocket {
    /// Receives at most `length` bytes, and tells the sender's address, if the kernel does: of a
    /// connected stream and of an unbound unix sender it tells none. Corresponds to recvfrom(2).
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    pub async fn recv_from(&self, length: usize) -> Result<(Received, Option<Address>)> {
        self.recv_from_with(length, RecvOptions::default()).await
    }

    /// Receives with flags or a limit. Corresponds to recvfrom(2).
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn recv_from_with(
        &self,
        length: usize,
        options: RecvOptions,
    ) -> Result<(Received, Option<Address>)> {
        let request = v1::RecvFromRequest {
            handle: self.handle,
            length: Some(convert::wire_length(length)),
            flags: options.flags.to_wire(),
            raw_flags: options.flags.raw(),
            timeout: convert::timeout(options.timeout),
            as_text: false,
        };
        self.client
            .ask(request, |response| {
                let sender = convert::optional_address("address", response.address)?;
                let received = Received {
                    data: response.payload.map(Bytes::from).unwrap_or_default(),
                    end_of_stream: response.end_of_stream,
                    flags: convert::flags(&response.flags),
                    full_length: response.full_length,
                };
                Ok((received, sender))
            })
            .await
    }
}
