//! recv(2).

use std::time::Duration;

use bytes::Bytes;
use farsock_proto::v1;

use crate::{
    MessageFlags, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::RecvRequest {
    type Response = v1::RecvResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Recv";
    const VERB: &'static str = "recv";
    const CARRIED: Option<Carried<Self>> = carried!(Recv);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// How to receive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecvOptions {
    /// MSG_* flags. Default: none.
    pub flags: MessageFlags,
    /// How long to wait at most; `None` (default): for ever; zero: not at all. Past it:
    /// [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub timeout: Option<Duration>,
}

/// What was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The bytes.
    pub data: Bytes,
    /// Whether a stream or seqpacket peer has ended its side: recv(2) returned 0 for a length over
    /// 0, and this is no empty message.
    pub end_of_stream: bool,
    /// Flags of the received message: TRUNC, OOB, EOR ...
    pub flags: MessageFlags,
    /// The message's whole length in bytes: more than `data` has if it was truncated. If SO_PEEK_OFF
    /// is set (not negative), it is what recv(2) returned for the flags of the call.
    pub full_length: u64,
}

impl RemoteSocket {
    /// Receives at most `length` bytes, from 0 to [`Limits::max_payload_bytes`](crate::Limits).
    /// Corresponds to recv(2).
    ///
    /// # Errors
    ///
    /// As of recv(2): ECONNRESET, ENOTCONN, ECONNREFUSED (UDP); EAGAIN on a non-blocking socket.
    pub async fn recv(&self, length: usize) -> Result<Received> {
        self.recv_with(length, RecvOptions::default()).await
    }

    /// Receives with flags or a limit. Corresponds to recv(2).
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn recv_with(&self, length: usize, options: RecvOptions) -> Result<Received> {
        let request = v1::RecvRequest {
            handle: self.handle,
            length: Some(convert::wire_length(length)),
            flags: options.flags.to_wire(),
            raw_flags: options.flags.raw(),
            timeout: convert::timeout(options.timeout),
            as_text: false,
        };
        self.client
            .ask(request, |response| {
                Ok(Received {
                    data: response.payload.map(Bytes::from).unwrap_or_default(),
                    end_of_stream: response.end_of_stream,
                    flags: convert::flags(&response.flags),
                    full_length: response.full_length,
                })
            })
            .await
    }
}
