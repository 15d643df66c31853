//! Every setting, once: as a flag, an environment variable and a key of the file.

use serde::{Deserialize, Serialize};

use super::value::{LogFilter, LogFormat, Timeout};
use crate::listener::ListenAddress;

/// What one source sets; `None` is what it leaves to the next. The comments here are the flags' help.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen: unix:///PATH or tcp://ADDRESS:PORT; several with commas or by repeating the flag, in the file as an array. TCP is for loopback
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

    /// Let callers create, and be sent, sockets of every family and type, by number. Without it only those pass whose calls are known to
    /// be harmless to the daemon: of unix, inet, inet6, vsock, packet, netlink, AF_BLUETOOTH and AF_XDP. [default: false]
    #[arg(
        long,
        env = "FARSOCKD_ALLOW_RAW_FAMILIES",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub allow_raw_families: Option<bool>,

    /// Let callers set and read socket options of every level, by number. Without it only those pass that have a name or are known to
    /// hold plain values; what is known to point into the daemon's memory never passes. [default: false]
    #[arg(
        long,
        env = "FARSOCKD_ALLOW_RAW_OPTIONS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub allow_raw_options: Option<bool>,

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
            allow_raw_families: self.allow_raw_families.or(other.allow_raw_families),
            allow_raw_options: self.allow_raw_options.or(other.allow_raw_options),
            resolve_concurrency: self.resolve_concurrency.or(other.resolve_concurrency),
        }
    }
}
