//! The log: on standard error, for people or for machines.

use std::io::{self, IsTerminal};

use crate::config::{Config, LogFormat};

/// Sends what `tracing` reports to standard error from now on; in colour only if that is a terminal. A process has one log: if
/// it has one already, that one stays.
pub fn init(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(config.log_level.filter())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // An embedding program's own log is not ours to replace.
    let _ = match config.log {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
