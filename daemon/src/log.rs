//! The log: on standard error, for people or for machines.

use std::{
    env,
    io::{self, IsTerminal},
};

use crate::config::{Config, LogFormat};

/// Sends what `tracing` reports to standard error from now on; in colour only if that is a terminal and
/// NO_COLOR is not set. A process has one log: if
/// it has one already, that one stays.
pub fn init(config: &Config) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(config.log_level.filter())
        .with_writer(io::stderr)
        .with_ansi(
            io::stderr().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        );
    // An embedding program's own log is not ours to replace.
    let _ = match config.log {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
