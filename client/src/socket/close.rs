//! close(2): in good order, by reset, and unwatched on drop.

use farsock_proto::v1;

use crate::{
    Client, ErrorKind, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
};

impl Rpc for v1::CloseRequest {
    type Response = v1::CloseResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/Close";
    const VERB: &'static str = "close";
    const CARRIED: Option<Carried<Self>> = carried!(Close);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl RemoteSocket {
    /// Closes the socket, ends the calls that wait on it
    /// ([`Reason::HandleClosed`](crate::Reason::HandleClosed)), and returns when the kernel has
    /// closed it: with SO_LINGER set, that may take its time. Adopted sockets are closed as well.
    /// Corresponds to close(2).
    ///
    /// # Errors
    ///
    /// As of close(2); the handle is gone even so.
    pub async fn close(self) -> Result<()> {
        self.end(false).await
    }

    /// Closes the socket; a TCP connection by reset (RST), with what is unsent thrown away.
    /// Corresponds to close(2) with SO_LINGER of 0 seconds.
    ///
    /// # Errors
    ///
    /// As of close(2); the handle is gone even so.
    pub async fn abort(self) -> Result<()> {
        self.end(true).await
    }

    async fn end(mut self, abort: bool) -> Result<()> {
        let handle = self.handle;
        let closing = self.client.call(v1::CloseRequest { handle, abort }).await;
        // A call that was given up, or may not have reached the daemon, leaves the closing to the
        // drop.
        self.close_on_drop &= match &closing {
            Ok(_) => false,
            Err(error) => matches!(
                error.kind(),
                ErrorKind::Unreachable | ErrorKind::DeadlineExceeded
            ),
        };
        closing.map(drop)
    }
}

/// Closes a handle that nobody holds any more.
///
/// On the stream of a session it is one more message. Without one it takes a task of its own, which
/// the client's runtime owns and which ends with the call. Should the runtime end first, the socket
/// stays open, as it would if this process had died.
pub(super) fn close_unwatched(client: &Client, handle: u64) {
    if let Some(stream) = client.stream() {
        return stream.close_unwatched(handle);
    }
    let runtime = client.runtime().clone();
    let client = client.clone();
    runtime.spawn(async move {
        // Nobody is left to tell.
        let _ = client
            .call(v1::CloseRequest {
                handle,
                abort: false,
            })
            .await;
    });
}
