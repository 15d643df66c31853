//! A socket of the daemon; each of its system calls is a file beside this one.

use crate::Client;

pub(crate) mod accept;
mod bind;
mod close;
pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod info;
mod list;
mod listen;
mod name;
mod option;
mod pair;
pub(crate) mod recv;
mod recv_from;
pub(crate) mod recv_messages;
pub(crate) mod send;
pub(crate) mod send_messages;
mod send_to;
mod shutdown;
pub(crate) mod splice;

/// A socket that the daemon owns, by its handle. Its methods are the system calls, by their
/// man-page names.
///
/// All of them take `&self`: put the socket into an [`Arc`](std::sync::Arc) to send and receive at
/// the same time. On one socket, sends take effect in the order in which they reach the daemon, and
/// so do receives and accepts; everything else starts at once.
///
/// A socket that this client created or accepted is closed when it is dropped: best effort, as nobody
/// waits for it, and by the end of its session at the latest. [`close`](Self::close) closes for sure, and tells what the kernel said;
/// [`into_handle`](Self::into_handle) leaves the socket open, as long as its session lives: without
/// one, until somebody closes it.
///
/// Dropping the future of a call that waits ends the wait in the daemon, which has then taken nothing
/// from the socket. If the answer came first, nothing is lost in a session: what an accept or a receive
/// took is given back to the socket, and is what the next accept, receive, splice or stream gets, whoever
/// makes it, and what poll sees. What a call makes on this client after the drop finds it there. Bytes that
/// another receive of the same socket, under way at the same time, has received meanwhile stay that one's;
/// what MSG_TRUNC or a short `length` cut off a message is gone. So a call that is dropped sooner than a round
/// trip takes never receives anything: give it a `timeout` of zero instead. Without a session the answer is lost: an
/// accepted connection then stays in the daemon, where [`Client::sockets`] lists it.
#[derive(Debug)]
pub struct RemoteSocket {
    client: Client,
    handle: u64,
    close_on_drop: bool,
}

impl RemoteSocket {
    /// The handle's number in the daemon: from 1, and never used twice while the daemon lives.
    #[must_use]
    pub fn handle(&self) -> u64 {
        self.handle
    }

    /// The client that the socket is used through.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Lets go of the socket and leaves it open in the daemon; [`Client::adopt`] takes the number
    /// up again.
    #[must_use = "the socket stays open in the daemon, and the number is its only name"]
    pub fn into_handle(mut self) -> u64 {
        self.close_on_drop = false;
        self.handle
    }

    /// A socket that is this client's to close.
    pub(crate) fn owned(client: Client, handle: u64) -> Self {
        Self {
            client,
            handle,
            close_on_drop: true,
        }
    }
}

impl Client {
    /// The socket of a handle that is known by its number: from an earlier run, or received in
    /// SCM_RIGHTS. Asks the daemon nothing, so a handle that does not exist shows at the first
    /// call. Not closed on drop.
    #[must_use]
    pub fn adopt(&self, handle: u64) -> RemoteSocket {
        RemoteSocket {
            client: self.clone(),
            handle,
            close_on_drop: false,
        }
    }
}

impl Drop for RemoteSocket {
    fn drop(&mut self) {
        if self.close_on_drop {
            close::close_unwatched(&self.client, self.handle);
        }
    }
}
