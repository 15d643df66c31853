//! A UDP socket.

use std::net::SocketAddr;

use bytes::Bytes;
use farsock_proto::{Violation, v1};

use super::{bound, connected_messages, datagrams::batches, internet, ip, over_remote_socket};
use crate::{
    Client, Error, RemoteSocket, Result, SocketOptions, SocketType,
    call::{Rpc, Tried},
};

/// A UDP socket of the daemon.
#[derive(Debug)]
pub struct UdpSocket {
    socket: RemoteSocket,
}

over_remote_socket!(UdpSocket);
connected_messages!(UdpSocket);
batches!(UdpSocket);

impl UdpSocket {
    /// Creates a UDP socket and binds it to `address`, such as "127.0.0.1:0", in one round trip.
    /// Corresponds to socket(2) and bind(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::bind`].
    pub async fn bind(client: &Client, address: impl Into<v1::Address>) -> Result<Self> {
        let address = address.into();
        let domain = internet(&address);
        let options = SocketOptions::new();
        let (socket, _) = bound(client, domain, SocketType::Dgram, options, address, None).await?;
        Ok(Self { socket })
    }

    /// Sets the peer of sends and receives. Corresponds to connect(2).
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

    /// Receives a datagram, of which at most `length` bytes, and its sender's address. Corresponds to
    /// recvfrom(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::recv_from`].
    pub async fn recv_from(&self, length: usize) -> Result<(Bytes, SocketAddr)> {
        let (received, sender) = self.socket.recv_from(length).await?;
        let sender = sender.and_then(|sender| sender.as_ip()).ok_or_else(|| {
            let tried = Tried {
                verb: v1::RecvFromRequest::VERB,
                handle: Some(self.socket.handle()),
            };
            Error::invalid_response(tried, Violation::new("address", "is no internet address"))
        })?;
        Ok((received.data, sender))
    }

    /// Tells the address that it is bound to. Corresponds to getsockname(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::socket_name`].
    pub async fn local_addr(&self) -> Result<SocketAddr> {
        ip(&self.socket.socket_name().await?)
    }

    /// Tells its peer. Corresponds to getpeername(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::peer_name`].
    pub async fn peer_addr(&self) -> Result<SocketAddr> {
        ip(&self.socket.peer_name().await?)
    }
}
