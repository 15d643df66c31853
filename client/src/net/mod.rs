//! Sockets in the shape that tokio's have, each over a [`RemoteSocket`].

mod connection;
pub(crate) mod datagrams;
pub(crate) mod halves;
pub(crate) mod tcp_listener;
pub(crate) mod tcp_stream;
pub(crate) mod udp_socket;
pub(crate) mod unix_datagram;
pub(crate) mod unix_listener;
pub(crate) mod unix_stream;

use std::net::SocketAddr;

use farsock_proto::{
    Violation,
    v1::{self, address::Form},
};

use crate::{
    Address, Client, Domain, Error, Protocol, RemoteSocket, Result, SocketOptions, SocketType,
};

/// The longest queue of connections that the kernel keeps for accepts, as std and tokio ask for.
const BACKLOG: i32 = 1_024;

/// The way to the socket under a type.
macro_rules! over_remote_socket {
    ($type:ident) => {
        impl $type {
            /// The socket under it, with every system call and option.
            #[must_use]
            pub fn socket(&self) -> &crate::RemoteSocket {
                &self.socket
            }

            /// Lets the socket under it go on alone.
            #[must_use = "the socket is closed when it is dropped"]
            pub fn into_socket(self) -> crate::RemoteSocket {
                self.socket
            }

            /// Closes it, and returns when the kernel has. Corresponds to close(2).
            ///
            /// # Errors
            ///
            /// As of close(2).
            pub async fn close(self) -> crate::Result<()> {
                self.socket.close().await
            }
        }

        impl AsRef<crate::RemoteSocket> for $type {
            fn as_ref(&self) -> &crate::RemoteSocket {
                &self.socket
            }
        }

        impl crate::AsHandle for $type {
            fn as_handle(&self) -> u64 {
                self.socket.handle()
            }
        }
    };
}
use over_remote_socket;

/// Sends and receives of a connected socket.
macro_rules! connected_messages {
    ($type:ident) => {
        impl $type {
            /// Sends, and tells how many bytes the kernel took: all of them, unless the socket is
            /// non-blocking. Corresponds to send(2).
            ///
            /// # Errors
            ///
            /// As of [`RemoteSocket::send`](crate::RemoteSocket::send).
            pub async fn send(&self, data: impl Into<bytes::Bytes>) -> crate::Result<usize> {
                self.socket().send(data).await
            }

            /// Receives at most `length` bytes; of a stream, none at its end. What else the kernel
            /// tells of a message is [`RemoteSocket::recv`](crate::RemoteSocket::recv)'s. Corresponds
            /// to recv(2).
            ///
            /// # Errors
            ///
            /// As of [`RemoteSocket::recv`](crate::RemoteSocket::recv).
            pub async fn recv(&self, length: usize) -> crate::Result<bytes::Bytes> {
                Ok(self.socket().recv(length).await?.data)
            }
        }
    };
}
use connected_messages;

/// The family of an internet address. What the daemon alone can read is taken for IPv4; it says what
/// is wrong with it.
fn internet(address: &v1::Address) -> Domain {
    let is_v6 = match &address.form {
        Some(Form::Ip(ip)) => ip.host.contains(':'),
        Some(Form::Text(text)) => text.starts_with('['),
        _ => false,
    };
    if is_v6 { Domain::Inet6 } else { Domain::Inet }
}

/// Makes a socket and binds it, and lets it listen if it is to; in one round trip. Tells its address.
async fn bound(
    client: &Client,
    domain: Domain,
    kind: SocketType,
    options: SocketOptions,
    address: v1::Address,
    backlog: Option<i32>,
) -> Result<(RemoteSocket, Address)> {
    let mut pipeline = client.pipeline();
    let socket = pipeline
        .socket_with(domain, kind, Protocol::Default, options)
        .await?;
    let address = {
        let binding = pipeline.then(socket.bind(address));
        let listening = backlog.map(|backlog| pipeline.then(socket.listen(backlog)));
        let address = binding.await?;
        if let Some(listening) = listening {
            listening.await?;
        }
        address
    };
    Ok((socket, address))
}

/// Makes a socket and connects it, in one round trip.
async fn connected(
    client: &Client,
    domain: Domain,
    kind: SocketType,
    address: v1::Address,
) -> Result<RemoteSocket> {
    let mut pipeline = client.pipeline();
    let socket = pipeline.socket(domain, kind, Protocol::Default).await?;
    let connecting = pipeline.then(socket.connect(address));
    connecting.await?;
    Ok(socket)
}

/// An address that must be the internet's.
fn ip(address: &Address) -> Result<SocketAddr> {
    address.as_ip().ok_or_else(|| {
        Error::invalid_request(Violation::new(
            "address",
            format!("{address} is no internet address"),
        ))
    })
}
