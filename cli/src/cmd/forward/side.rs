//! The two sides of a forward, this host and the daemon's: each can listen and connect.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use farsock_client::{Client, SocketType};
use tokio::net;

use super::{
    listener::{Listener, Refused},
    spec::{Bind, Listen, Target},
};
use crate::{
    exit::Failure,
    traffic::{
        dial::{self, Dialing},
        duplex::{self, Stream},
    },
};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Here,
    There,
}

impl Side {
    /// Listens; the first of the listeners is the one to name.
    pub(super) async fn listen(
        self,
        client: &Client,
        listen: &Listen,
    ) -> Result<Vec<Listener>, Failure> {
        let (bind, port) = match listen {
            Listen::Unix(path) => return Ok(vec![self.listen_unix(client, path).await?]),
            Listen::Tcp { bind, port } => (bind, *port),
        };
        let at = async |address| Listener::bind(self, client, address).await;
        match bind {
            Bind::Loopback => {
                let first = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
                let first = at(first).await.map_err(|refused| refused.failure)?;
                // Who says "localhost" may mean either, and is not to find somebody else there.
                let second = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), first.port());
                match at(second).await {
                    Ok(second) => Ok(vec![first, second]),
                    Err(refused) if refused.no_such_address || port == 0 => Ok(vec![first]),
                    Err(refused) => Err(refused.failure),
                }
            }
            Bind::Any => {
                let both = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
                match at(both).await {
                    Ok(listener) => Ok(vec![listener]),
                    Err(Refused {
                        no_such_address: true,
                        ..
                    }) => {
                        let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
                        let listener = at(v4).await.map_err(|refused| refused.failure)?;
                        Ok(vec![listener])
                    }
                    Err(refused) => Err(refused.failure),
                }
            }
            Bind::Host(host) => {
                let address = self.address(client, host, port).await?;
                let listener = at(address).await.map_err(|refused| refused.failure)?;
                Ok(vec![listener])
            }
        }
    }

    /// Connects. Names mean what they mean on this side.
    pub(super) async fn connect(
        self,
        client: &Client,
        dialing: &Dialing,
        target: &Target,
    ) -> Result<Stream, Failure> {
        let failed = |error: io::Error| Failure::Local(format!("connect {target}: {error}"));
        match (self, target) {
            (Self::There, Target::Tcp { host, port }) => {
                let dialed = dialing.tcp(client, host, &port.to_string()).await?;
                Ok(dialed.stream)
            }
            (Self::There, Target::Unix(path)) => dial::unix(client, path).await,
            (Self::Here, Target::Tcp { host, port }) => {
                let stream = net::TcpStream::connect((host.as_str(), *port)).await;
                Ok(duplex::tcp_here(stream.map_err(failed)?))
            }
            (Self::Here, Target::Unix(path)) => {
                let stream = net::UnixStream::connect(path).await.map_err(failed)?;
                Ok(duplex::unix_here(stream))
            }
        }
    }

    async fn listen_unix(self, client: &Client, path: &str) -> Result<Listener, Failure> {
        match self {
            Self::Here => Listener::unix_here(path),
            Self::There => Listener::unix_there(client, path).await,
        }
    }

    /// The first address of a host to listen at.
    async fn address(self, client: &Client, host: &str, port: u16) -> Result<SocketAddr, Failure> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let first = match self {
            Self::Here => net::lookup_host((host, port))
                .await
                .map_err(|error| Failure::Local(format!("resolve {host}: {error}")))?
                .next(),
            Self::There => {
                let (dialing, port) = (Dialing::default(), port.to_string());
                let addresses = dialing.resolve(client, host, &port, SocketType::Stream);
                addresses.await?.into_iter().next()
            }
        };
        first.ok_or_else(|| Failure::Local(format!("resolve {host}: no address")))
    }
}
