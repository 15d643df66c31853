//! A TCP socket that waits for connections.

use std::net::SocketAddr;

use farsock_proto::v1::{self, SocketOption};

use tokio_stream::Stream;

use super::{BACKLOG, bound, internet, ip, over_remote_socket};
use crate::{
    Client, RemoteSocket, Result, SocketOptions, SocketType, TcpStream, flow::connections::Incoming,
};

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
        let options = SocketOptions::new().option(SocketOption::SoReuseaddr, true);
        Self::bind_with(client, address, options).await
    }

    /// As [`bind`](Self::bind), but with these options alone, set before it is bound. The kernel gives SO_LINGER and many others to the
    /// connections that are accepted.
    ///
    /// # Errors
    ///
    /// As of [`bind`](Self::bind), and those of the first option that fails.
    pub async fn bind_with(
        client: &Client,
        address: impl Into<v1::Address>,
        options: SocketOptions,
    ) -> Result<Self> {
        let address = address.into();
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

    /// The connections, one after the other, accepted ahead: for many of them, where [`accept`](Self::accept) would cost a round
    /// trip each. Corresponds to accept(2), again and again.
    ///
    /// Up to 64 connections wait here to be taken; each comes exactly once, even if the connection to the daemon breaks. Errors of
    /// accept(2), such as EMFILE, are items, and do not end it. It ends after the error that no connection can follow, such as
    /// [`Reason::HandleClosed`](crate::Reason::HandleClosed) when the listener is closed.
    ///
    /// While it is there, [`accept`](Self::accept) is refused as [`Reason::StreamInUse`](crate::Reason::StreamInUse), and for a
    /// moment longer when it was dropped; that closes the connections that were accepted and not taken.
    pub fn incoming(
        &self,
    ) -> impl Stream<Item = Result<(TcpStream, SocketAddr)>> + Send + Unpin + use<> {
        Incoming::new(&self.socket, |(socket, peer)| {
            Ok((TcpStream::from_socket(socket), ip(&peer)?))
        })
    }

    /// The address that it is bound to, with the port that the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
