//! Where the daemon listens, as people write it: `unix:///path` or `tcp://127.0.0.1:7600`.

use std::{
    env, fmt,
    net::SocketAddr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{config::serde_by_text, sys::process};

/// The longest path of a unix socket: sun_path less its closing NUL.
const MAX_PATH: usize = 107;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum ListenAddress {
    /// `unix:///path`: a unix socket at an absolute path of at most 107 bytes.
    Unix(PathBuf),
    /// `tcp://127.0.0.1:7600`, `tcp://[::1]:7600`: a loopback address and a port; port 0 lets the kernel choose.
    Tcp(SocketAddr),
}

/// Why a text is no place to listen at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// Neither form.
    #[error(
        "{0:?} is neither unix:///PATH nor tcp://ADDRESS:PORT (addresses are numeric, IPv6 in brackets)"
    )]
    Malformed(String),
    /// More than one.
    #[error(
        "{0:?} has several addresses: give each by itself, in a configuration file as an array"
    )]
    Several(String),
    /// A unix path that is not absolute.
    #[error(
        "{0:?} has no absolute path: it takes three slashes, as in unix:///run/farsock/farsock.sock"
    )]
    RelativePath(String),
    /// The abstract namespace has no permissions: every process in the network namespace could connect.
    #[error("{0:?} is an abstract unix socket, which any process could connect to; give a path")]
    Abstract(String),
    /// The kernel's limit.
    #[error("the path of {0:?} is longer than {MAX_PATH} bytes")]
    PathTooLong(String),
    /// NUL ends a path in the kernel.
    #[error("the path of {0:?} has a NUL byte")]
    PathWithNul(String),
    /// Without TLS, anyone on the network could use the daemon.
    #[error(
        "{0} is not a loopback address: without TLS, which farsockd does not have yet, anyone on the network could use the \
         daemon; listen on tcp://127.0.0.1:{port} or tcp://[::1]:{port} and reach it through a tunnel such as ssh -L",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
}

impl ListenAddress {
    /// The default: for root /run/farsock/farsock.sock, for others farsock/farsock.sock in $XDG_RUNTIME_DIR; `None` if that is
    /// not set to an absolute path of bearable length.
    #[must_use]
    pub fn default_unix() -> Option<Self> {
        default_unix_of(
            process::effective_uid(),
            env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).as_deref(),
        )
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = || text.to_owned();
        if text.contains(",unix:") || text.contains(",tcp:") {
            return Err(ListenAddressError::Several(owned()));
        }
        if let Some(path) = text.strip_prefix("unix://") {
            match path.as_bytes() {
                [b'@' | 0, ..] => Err(ListenAddressError::Abstract(owned())),
                bytes if bytes.contains(&0) => Err(ListenAddressError::PathWithNul(owned())),
                bytes if bytes.len() > MAX_PATH => Err(ListenAddressError::PathTooLong(owned())),
                [b'/', .., last] if *last != b'/' => Ok(Self::Unix(PathBuf::from(path))),
                [b'/', ..] => Err(ListenAddressError::Malformed(owned())),
                _ => Err(ListenAddressError::RelativePath(owned())),
            }
        } else if let Some(address) = text.strip_prefix("tcp://") {
            let address: SocketAddr = address
                .parse()
                .map_err(|_| ListenAddressError::Malformed(owned()))?;
            if address.ip().to_canonical().is_loopback() {
                Ok(Self::Tcp(address))
            } else {
                Err(ListenAddressError::NotLoopback(address))
            }
        } else if text.starts_with("unix-abstract:") || text.starts_with("unix:@") {
            Err(ListenAddressError::Abstract(owned()))
        } else if text.starts_with("unix:") {
            Err(ListenAddressError::RelativePath(owned()))
        } else {
            Err(ListenAddressError::Malformed(owned()))
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

serde_by_text!(ListenAddress);

fn default_unix_of(uid: u32, runtime_dir: Option<&Path>) -> Option<ListenAddress> {
    let directory = match uid {
        0 => Path::new("/run"),
        _ => runtime_dir.filter(|directory| directory.is_absolute())?,
    };
    let path = directory.join("farsock/farsock.sock");
    (path.as_os_str().as_bytes().len() <= MAX_PATH).then_some(ListenAddress::Unix(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_written() {
        for text in [
            "unix:///run/farsock/farsock.sock",
            "tcp://127.0.0.1:7600",
            "tcp://127.9.9.9:0",
            "tcp://[::1]:7600",
            "tcp://[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        for text in [
            "tcp://0.0.0.0:7600",
            "tcp://192.0.2.1:7600",
            "tcp://[::]:7600",
            "tcp://[2001:db8::1]:7600",
            "tcp://[::ffff:192.0.2.1]:7600",
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(
                matches!(error, ListenAddressError::NotLoopback(_)),
                "{error}"
            );
            assert!(error.to_string().contains("tcp://127.0.0.1:7600"));
        }
    }

    #[test]
    fn an_abstract_socket_is_refused() {
        for text in [
            "unix://@farsock",
            "unix:@farsock",
            "unix-abstract:farsock",
            "unix://\0x",
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(matches!(error, ListenAddressError::Abstract(_)), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:///{}", "x".repeat(MAX_PATH));
        for text in [
            "",
            "127.0.0.1:7600",
            "tcp://localhost:7600",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:65536",
            "tcp://::1:80",
            "http://127.0.0.1:80",
            "unix://run/x.sock",
            "unix:run/x.sock",
            "unix://",
            "unix:///",
            "unix:///run/",
            "unix:///run/a\0b",
            "unix:///run/a.sock,unix:///run/b.sock",
            "tcp://127.0.0.1:1,tcp://127.0.0.1:2",
            long.as_str(),
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text:?}");
        }
        assert!(long[..long.len() - 1].parse::<ListenAddress>().is_ok());
    }

    #[test]
    fn the_default_is_the_users_own_runtime_directory_and_roots_is_run() {
        let of = |uid, directory: Option<&str>| {
            default_unix_of(uid, directory.map(Path::new)).map(|address| address.to_string())
        };
        assert_eq!(
            of(1000, Some("/run/user/1000")).as_deref(),
            Some("unix:///run/user/1000/farsock/farsock.sock")
        );
        assert_eq!(
            of(0, Some("/run/user/0")).as_deref(),
            Some("unix:///run/farsock/farsock.sock")
        );
        assert_eq!(of(1000, None), None);
        assert_eq!(of(1000, Some("run")), None);
    }
}
