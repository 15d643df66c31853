//! send(2).

use std::time::Duration;

use bytes::Bytes;
use farsock_proto::v1::{self, send_request::Payload};

use crate::{
    MessageFlags, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::SendRequest {
    type Response = v1::SendResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Send";
    const VERB: &'static str = "send";
    const CARRIED: Option<Carried<Self>> = carried!(Send);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// How to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// MSG_* flags. Default: none.
    pub flags: MessageFlags,
    /// How long to wait at most; `None` (default): for ever; zero: not at all. Past it:
    /// [`Reason::TimedOut`](crate::Reason::TimedOut), unless some of a stream's bytes are sent.
    pub timeout: Option<Duration>,
}

impl RemoteSocket {
    /// Sends on a connected socket, and tells how many bytes the kernel took: all of them, unless
    /// the socket is non-blocking. At most [`Limits::max_payload_bytes`](crate::Limits).
    /// Corresponds to send(2).
    ///
    /// `data` is anything that becomes [`Bytes`] (a `Vec`, a `String`, a `&'static` slice) and is
    /// not copied; for a borrowed slice give [`Bytes::copy_from_slice`].
    ///
    /// # Errors
    ///
    /// As of send(2): EPIPE, ECONNRESET, ENOTCONN, EMSGSIZE; EAGAIN on a non-blocking socket.
    pub async fn send(&self, data: impl Into<Bytes>) -> Result<usize> {
        self.send_with(data, SendOptions::default()).await
    }

    /// Sends with flags or a limit. Corresponds to send(2).
    ///
    /// # Errors
    ///
    /// As of [`send`](Self::send), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn send_with(&self, data: impl Into<Bytes>, options: SendOptions) -> Result<usize> {
        let request = v1::SendRequest {
            handle: self.handle,
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
