//! A unix datagram socket.

use bytes::Bytes;
use farsock_proto::v1;

use super::{bound, connected_messages, datagrams::batches, over_remote_socket};
use crate::{Address, Client, Domain, Protocol, RemoteSocket, Result, SocketOptions, SocketType};

/// A unix datagram socket of the daemon. The kernel loses none of its datagrams: a send waits while
/// the receiver has no room.
#[derive(Debug)]
pub struct UnixDatagram {
    socket: RemoteSocket,
}

over_remote_socket!(UnixDatagram);
connected_messages!(UnixDatagram);
batches!(UnixDatagram);

impl UnixDatagram {
    /// Creates a unix datagram socket and binds it to `address`, such as "unix:/run/a.sock" or
    /// "unix-abstract:name", in one round trip. Corresponds to socket(2) and bind(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::bind`].
    pub async fn bind(client: &Client, address: impl Into<v1::Address>) -> Result<Self> {
        let (domain, kind) = (Domain::Unix, SocketType::Dgram);
        let options = SocketOptions::new();
        let (socket, _) = bound(client, domain, kind, options, address.into(), None).await?;
        Ok(Self { socket })
    }

    /// Creates a unix datagram socket without a name. Corresponds to socket(2).
    ///
    /// # Errors
    ///
    /// As of [`Client::socket`].
    pub async fn unbound(client: &Client) -> Result<Self> {
        let (domain, kind) = (Domain::Unix, SocketType::Dgram);
        let socket = client.socket(domain, kind, Protocol::Default).await?;
        Ok(Self { socket })
    }

    /// Two that are connected with each other. Corresponds to socketpair(2).
    ///
    /// # Errors
    ///
    /// As of [`Client::socket_pair`].
    pub async fn pair(client: &Client) -> Result<(Self, Self)> {
        let (domain, kind) = (Domain::Unix, SocketType::Dgram);
        let (first, second) = client.socket_pair(domain, kind, Protocol::Default).await?;
        Ok((Self { socket: first }, Self { socket: second }))
    }

    /// Sets the peer of sends. Corresponds to connect(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::connect`].
    pub async fn connect(&self, address: impl Into<v1::Address>) -> Result<()> {
        self.socket.connect(address).await.map(drop)
    }

    /// Sends a datagram to an address. Corresponds to sendto(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::send_to`].
    pub async fn send_to(
        &self,
        data: impl Into<Bytes>,
        address: impl Into<v1::Address>,
    ) -> Result<usize> {
        self.socket.send_to(data, address).await
    }

    /// Receives a datagram, of which at most `length` bytes, and its sender's address; of a sender
    /// without a name, none. Corresponds to recvfrom(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::recv_from`].
    pub async fn recv_from(&self, length: usize) -> Result<(Bytes, Option<Address>)> {
        let (received, sender) = self.socket.recv_from(length).await?;
        Ok((received.data, sender))
    }

    /// Tells the address that it is bound to. Corresponds to getsockname(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::socket_name`].
    pub async fn local_addr(&self) -> Result<Address> {
        self.socket.socket_name().await
    }
}
