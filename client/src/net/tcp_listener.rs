//! A TCP socket that waits for connections.

use std::net::SocketAddr;

use farsock_proto::v1::{self, SocketOption};

use super::{BACKLOG, bound, internet, ip, over_remote_socket};
use crate::{Client, RemoteSocket, Result, SocketOptions, SocketType, TcpStream};

/// A TCP socket of the daemon that waits for connections.
#[derive(Debug)]
pub struct TcpListener {
    socket: RemoteSocket,
    local: SocketAddr,
}

over_remote_socket!(TcpListener);

impl Client {
    /// A TCP socket that waits for connections at `address`, such as "127.0.0.1:0", in one round
    /// trip: see [`TcpListener::bind`].
    ///
    /// # Errors
    ///
    /// As of [`TcpListener::bind`].
    pub async fn tcp_listener(&self, address: impl Into<v1::Address>) -> Result<TcpListener> {
        TcpListener::bind(self, address).await
    }
}

impl TcpListener {
    /// Creates a TCP socket with SO_REUSEADDR, as std and tokio do, binds it to `address`, and lets
    /// up to 1,024 connections wait for an accept; in one round trip. Corresponds to socket(2),
    /// bind(2) and listen(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::bind`] and [`RemoteSocket::listen`].
    pub async fn bind(client: &Client, address: impl Into<v1::Address>) -> Result<Self> {
        let address = address.into();
        let options = SocketOptions::new().option(SocketOption::SoReuseaddr, true);
        let domain = internet(&address);
        let kind = SocketType::Stream;
        let (socket, local) = bound(client, domain, kind, options, address, Some(BACKLOG)).await?;
        let local = ip(&local)?;
        Ok(Self { socket, local })
    }

    /// Waits for the next connection, and tells its peer. Corresponds to accept(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::accept`].
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.socket.accept().await?;
        Ok((TcpStream::from_socket(socket), ip(&peer)?))
    }

    /// The address that it is bound to, with the port that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
