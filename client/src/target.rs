//! Where a daemon is: the addresses that clients are given, and how to open a connection there.

use std::{io, path::PathBuf};

use tokio::net::TcpStream;

use farsock_proto::Violation;

/// A daemon's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `unix:///PATH` or `unix:PATH`, the path taken as it is.
    Unix(PathBuf),
    /// `tcp://HOST:PORT`; a name is resolved at each connecting.
    Tcp { host: String, port: u16 },
}

impl Target {
    pub(crate) fn parse(address: &str) -> Result<Self, Violation> {
        let (scheme, rest) = address.split_once(':').ok_or_else(|| {
            invalid(format!(
                "{address:?} has no scheme: write unix:///PATH or tcp://HOST:PORT"
            ))
        })?;
        match scheme {
            "unix" => Self::unix(rest),
            "tcp" => Self::tcp(rest),
            _ => Err(invalid(format!(
                "unknown scheme {scheme:?}: write unix:///PATH or tcp://HOST:PORT"
            ))),
        }
    }

    fn unix(rest: &str) -> Result<Self, Violation> {
        // As gRPC names them: unix://ABSOLUTE or unix:PATH.
        let (path, must_be_absolute) = match rest.strip_prefix("//") {
            Some(path) => (path, true),
            None => (rest, false),
        };
        if path.is_empty() {
            return Err(invalid(
                "the path is missing: write unix:///PATH".to_owned(),
            ));
        }
        if must_be_absolute && !path.starts_with('/') {
            return Err(invalid(format!(
                "unix://{path} has a host: write unix:///{path} for an absolute path, \
                 unix:{path} for a relative one"
            )));
        }
        Ok(Self::Unix(path.into()))
    }

    fn tcp(rest: &str) -> Result<Self, Violation> {
        let wrong = || {
            invalid(format!(
                "tcp:{rest} is not tcp://HOST:PORT (an IPv6 host in brackets, a port of 1-65535)"
            ))
        };
        let (host, port) = rest
            .strip_prefix("//")
            .and_then(|authority| authority.rsplit_once(':'))
            .ok_or_else(wrong)?;
        let port = port
            .parse()
            .ok()
            .filter(|&port| port != 0)
            .ok_or_else(wrong)?;
        let inner = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        if inner.is_empty() || inner.contains(['/', '@', '[', ']']) {
            return Err(wrong());
        }
        Ok(Self::Tcp {
            host: inner.to_owned(),
            port,
        })
    }
}

/// What the daemon sees as `:authority`. A zone cannot stand in it, and says nothing to the other
/// host.
pub(crate) fn tcp_origin(host: &str, port: u16) -> String {
    let host = host.split('%').next().unwrap_or(host);
    if host.contains(':') {
        format!("http://[{host}]:{port}")
    } else {
        format!("http://{host}:{port}")
    }
}

pub(crate) async fn dial_tcp(host: String, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    // Requests are small and each one is waited for.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(unix)]
pub(crate) async fn dial_unix(path: PathBuf) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(not(unix))]
pub(crate) async fn dial_unix(_path: PathBuf) -> io::Result<TcpStream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this host has no unix sockets: use tcp://HOST:PORT",
    ))
}

fn invalid(description: String) -> Violation {
    Violation::new("address", description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Target {
        Target::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn addresses_of_both_kinds_are_understood() {
        let cases = [
            (
                "unix:///run/farsock/farsock.sock",
                Target::Unix("/run/farsock/farsock.sock".into()),
            ),
            (
                "unix:/run/farsock.sock",
                Target::Unix("/run/farsock.sock".into()),
            ),
            ("unix:farsock.sock", Target::Unix("farsock.sock".into())),
            (
                "unix:///with%20percent",
                Target::Unix("/with%20percent".into()),
            ),
            ("tcp://127.0.0.1:7600", tcp("127.0.0.1", 7600)),
            ("tcp://lab-7.example:7600", tcp("lab-7.example", 7600)),
            ("tcp://[::1]:7600", tcp("::1", 7600)),
            ("tcp://[fe80::1%eth0]:7600", tcp("fe80::1%eth0", 7600)),
        ];
        for (address, target) in cases {
            assert_eq!(Target::parse(address), Ok(target), "{address}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_what_would_be_one() {
        let cases = [
            ("", "has no scheme"),
            ("/run/farsock.sock", "has no scheme"),
            ("http://127.0.0.1:7600", "unknown scheme \"http\""),
            ("127.0.0.1:7600", "unknown scheme"),
            ("unix:", "the path is missing"),
            ("unix://", "the path is missing"),
            ("unix://run/farsock.sock", "unix:///run/farsock.sock"),
            ("tcp:127.0.0.1:7600", "is not tcp://HOST:PORT"),
            ("tcp://127.0.0.1", "is not tcp://HOST:PORT"),
            ("tcp://:7600", "is not tcp://HOST:PORT"),
            ("tcp://[]:7600", "is not tcp://HOST:PORT"),
            ("tcp://[::1:7600", "is not tcp://HOST:PORT"),
            ("tcp://::1:7600", "is not tcp://HOST:PORT"),
            ("tcp://host:0", "is not tcp://HOST:PORT"),
            ("tcp://host:65536", "is not tcp://HOST:PORT"),
            ("tcp://host:7600/path", "is not tcp://HOST:PORT"),
            ("tcp://me@host:7600", "is not tcp://HOST:PORT"),
        ];
        for (address, part) in cases {
            let violation = Target::parse(address).expect_err(address);
            assert_eq!(violation.field, "address");
            assert!(violation.description.contains(part), "{violation}");
            assert!(violation.description.contains("://"), "{violation}");
        }
    }

    #[test]
    fn the_authority_has_brackets_and_no_zone() {
        assert_eq!(tcp_origin("127.0.0.1", 1), "http://127.0.0.1:1");
        assert_eq!(tcp_origin("::1", 1), "http://[::1]:1");
        assert_eq!(tcp_origin("fe80::1%eth0", 1), "http://[fe80::1]:1");
    }
}
