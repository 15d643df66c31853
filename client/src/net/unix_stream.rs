//! A unix stream connection.

use farsock_proto::v1;

use super::{
    connected, connected_messages,
    connection::{Connection, over_connection},
};
use crate::{Address, Client, Domain, Protocol, Result, SocketType};

/// A unix stream connection of the daemon.
///
/// When the peer has closed it with unread bytes, the next read after all that had arrived is
/// [`ConnectionReset`](std::io::ErrorKind::ConnectionReset), once, and another comes to the end; each write is
/// [`BrokenPipe`](std::io::ErrorKind::BrokenPipe), as on a local socket.
#[derive(Debug)]
pub struct UnixStream {
    connection: Connection,
}

over_connection!(UnixStream, NextReceive);
connected_messages!(UnixStream);

impl UnixStream {
    /// Creates a unix stream socket and connects it to `address`, such as "unix:/run/a.sock", in one
    /// round trip. Corresponds to socket(2) and connect(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::connect`](crate::RemoteSocket::connect).
    pub async fn connect(client: &Client, address: impl Into<v1::Address>) -> Result<Self> {
        let (domain, kind) = (Domain::Unix, SocketType::Stream);
        let socket = connected(client, domain, kind, address.into()).await?;
        Ok(Self::from_socket(socket))
    }

    /// Two that are connected with each other. Corresponds to socketpair(2).
    ///
    /// # Errors
    ///
    /// As of [`Client::socket_pair`].
    pub async fn pair(client: &Client) -> Result<(Self, Self)> {
        let (domain, kind) = (Domain::Unix, SocketType::Stream);
        let (first, second) = client.socket_pair(domain, kind, Protocol::Default).await?;
        Ok((Self::from_socket(first), Self::from_socket(second)))
    }

    /// Tells the address of this end. Corresponds to getsockname(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::socket_name`](crate::RemoteSocket::socket_name).
    pub async fn local_addr(&self) -> Result<Address> {
        self.socket().socket_name().await
    }

    /// Tells the address of the other end. Corresponds to getpeername(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::peer_name`](crate::RemoteSocket::peer_name).
    pub async fn peer_addr(&self) -> Result<Address> {
        self.socket().peer_name().await
    }
}
