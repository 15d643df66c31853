//! Every setting, once: as a flag, an environment variable and a key of the file.

use serde::{Deserialize, Serialize};

use super::value::{LogFilter, LogFormat, Timeout};
use crate::listener::ListenAddress;

/// What one source sets; `None` is what it leaves to the next. The comments here are the flags' help.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen: unix:///PATH or tcp://ADDRESS:PORT; several with commas or by repeating the flag. TCP is for loopback
    /// addresses alone, port 0 lets the kernel choose. [default: unix://$XDG_RUNTIME_DIR/farsock/farsock.sock, as root
    /// unix:///run/farsock/farsock.sock]
    #[arg(
        long,
        env = "FARSOCKD_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen: Option<Vec<ListenAddress>>,

    /// The log's form, on standard error. [default: text]
    #[arg(long, env = "FARSOCKD_LOG", value_name = "FORMAT", value_enum)]
    pub log: Option<LogFormat>,

    /// What is logged: off, error, warn, info, debug or trace, of farsock itself; the libraries under it say info at most. Or
    /// directives, which hold as they are, such as h2=debug,info. [default: info]
    #[arg(long, env = "FARSOCKD_LOG_LEVEL", value_name = "FILTER")]
    pub log_level: Option<LogFilter>,

    /// How many handles there may be at once, 1-16777216. [default: the limit of descriptors less 64 and --max-connections,
    /// within 16-1048576]
    #[arg(long, env = "FARSOCKD_MAX_HANDLES", value_name = "N")]
    pub max_handles: Option<usize>,

    /// How many connections there may be at once, 1-1048576; one more is closed at once. [default: 1024]
    #[arg(long, env = "FARSOCKD_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,

    /// How many operations may wait at once, 1-16777216; a Poll counts once for each of its sockets. [default: 65536]
    #[arg(long, env = "FARSOCKD_MAX_WAITING", value_name = "N")]
    pub max_waiting: Option<usize>,

    /// How long a shutdown waits for calls to end, answers to be taken and closes that linger, such as 5s, at most 1h. [default: 5s]
    #[arg(long, env = "FARSOCKD_DRAIN_TIMEOUT", value_name = "DURATION")]
    pub drain_timeout: Option<Timeout>,

    /// How many names are looked up at once, 1-256; each takes a thread. [default: 16]
    #[arg(long, env = "FARSOCKD_RESOLVE_CONCURRENCY", value_name = "N")]
    pub resolve_concurrency: Option<usize>,
}

impl Settings {
    /// These settings, and those of `other` where these leave something open.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // Built whole, so that a new setting cannot be forgotten here.
        Self {
            listen: self.listen.or(other.listen),
            log: self.log.or(other.log),
            log_level: self.log_level.or(other.log_level),
            max_handles: self.max_handles.or(other.max_handles),
            max_connections: self.max_connections.or(other.max_connections),
            max_waiting: self.max_waiting.or(other.max_waiting),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            resolve_concurrency: self.resolve_concurrency.or(other.resolve_concurrency),
        }
    }
}
