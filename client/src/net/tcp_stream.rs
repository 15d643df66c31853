//! A TCP connection.

use std::{net::SocketAddr, time::Duration};

use farsock_proto::v1::{self, SocketOption};

use super::{
    connected, connected_messages,
    connection::{Connection, over_connection},
    internet, ip,
};
use crate::{Client, OptionValue, Result, SocketType};

/// A TCP connection of the daemon.
///
/// When it is reset, or times out, the next read or write hears that, as on a local socket: one of them, and once. Another read
/// comes to the end, another write is [`BrokenPipe`](std::io::ErrorKind::BrokenPipe). A read receives what had arrived before it
/// hears anything, a write does not wait for that.
#[derive(Debug)]
pub struct TcpStream {
    connection: Connection,
}

over_connection!(TcpStream, NextCall);
connected_messages!(TcpStream);

impl Client {
    /// A TCP connection to `address`, such as "127.0.0.1:80", in one round trip: see
    /// [`TcpStream::connect`].
    ///
    /// # Errors
    ///
    /// As of [`TcpStream::connect`].
    pub async fn tcp_stream(&self, address: impl Into<v1::Address>) -> Result<TcpStream> {
        TcpStream::connect(self, address).await
    }
}

impl TcpStream {
    /// Creates a TCP socket and connects it, in one round trip. Corresponds to socket(2) and
    /// connect(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::connect`](crate::RemoteSocket::connect).
    pub async fn connect(client: &Client, address: impl Into<v1::Address>) -> Result<Self> {
        let address = address.into();
        let domain = internet(&address);
        let socket = connected(client, domain, SocketType::Stream, address).await?;
        Ok(Self::from_socket(socket))
    }

    /// Tells the address of this end. Corresponds to getsockname(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::socket_name`](crate::RemoteSocket::socket_name).
    pub async fn local_addr(&self) -> Result<SocketAddr> {
        ip(&self.socket().socket_name().await?)
    }

    /// Tells the address of the other end. Corresponds to getpeername(2).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::peer_name`](crate::RemoteSocket::peer_name).
    pub async fn peer_addr(&self) -> Result<SocketAddr> {
        ip(&self.socket().peer_name().await?)
    }

    /// Sends small segments at once (TCP_NODELAY).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::set_option`](crate::RemoteSocket::set_option).
    pub async fn set_nodelay(&self, nodelay: bool) -> Result<()> {
        self.socket()
            .set_option(SocketOption::TcpNodelay, nodelay)
            .await
    }

    /// Whether small segments are sent at once (TCP_NODELAY).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::option`](crate::RemoteSocket::option).
    pub async fn nodelay(&self) -> Result<bool> {
        let value = self.socket().option(SocketOption::TcpNodelay).await?;
        Ok(value == OptionValue::Flag(true))
    }

    /// Lets close wait up to `linger`, in whole seconds, until what was sent is acknowledged; zero
    /// resets the connection; `None`: close does not wait (SO_LINGER).
    ///
    /// # Errors
    ///
    /// As of [`RemoteSocket::set_option`](crate::RemoteSocket::set_option).
    pub async fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        self.socket()
            .set_option(SocketOption::SoLinger, OptionValue::Linger(linger))
            .await
    }
}
