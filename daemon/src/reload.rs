//! Reading the configuration again while the daemon serves, which SIGHUP orders.
//!
//! Tasks: none; a reload runs within the task that handles signals, and reads the file on a blocking thread.

use tracing::{error, info};

use crate::{
    config::{CommandLine, Config, ConfigError},
    log::Log,
    server::Live,
};

/// What a reload needs.
#[derive(Debug)]
pub struct Reload {
    command_line: CommandLine,
    /// What the daemon runs with.
    config: Config,
    log: Log,
    live: Live,
}

impl Reload {
    /// Reloads for the server of `live` with this log. `config` is what `command_line` came to at the start.
    #[must_use]
    pub fn new(command_line: CommandLine, config: Config, log: Log, live: Live) -> Self {
        Self {
            command_line,
            config,
            log,
            live,
        }
    }

    /// Reads the file, checks all of it, and applies what can be changed; the log has what that was, and what only a restart changes. A
    /// configuration that is wrong changes nothing.
    pub(crate) async fn reload(&mut self) {
        let (command_line, current) = (self.command_line.clone(), self.config.clone());
        let read = move || command_line.reload(&current);
        let read = match tokio::task::spawn_blocking(read).await {
            Ok(read) => read,
            // Its panic has been logged.
            Err(_) => return,
        };
        match read {
            Ok(config) => self.apply(config),
            Err(error) => refuse(&error),
        }
    }

    fn apply(&mut self, config: Config) {
        let Changes { applied, restart } = changes(&self.config, &config);
        let (reloaded, needs_restart) = (list(&applied), list(&restart));
        let report = || info!(reloaded, needs_restart, "the configuration was read again");
        // By whichever filter lets it through, that of before or the new one.
        let before = tracing::enabled!(tracing::Level::INFO);
        if before {
            report();
        }
        if let Err(error) = self.log.set_filter(&config.log_level) {
            error!(%error, "log_level cannot be changed: the process has another log");
        }
        self.live.apply(&config);
        if !before {
            report();
        }
        // What needs a restart is as it was, and is reported the next time as well.
        self.config = Config {
            listen: self.config.listen.clone(),
            log: self.config.log,
            max_handles: self.config.max_handles,
            allow_raw_families: self.config.allow_raw_families,
            allow_raw_options: self.config.allow_raw_options,
            resolve_concurrency: self.config.resolve_concurrency,
            ..config
        };
    }
}

fn refuse(error: &ConfigError) {
    let error = error.to_string();
    error!(
        error = error.trim(),
        "the configuration is wrong, and stays as it was"
    );
}

/// The settings that two configurations differ in.
struct Changes {
    applied: Vec<&'static str>,
    restart: Vec<&'static str>,
}

fn changes(old: &Config, new: &Config) -> Changes {
    // Taken apart whole, so that a new setting cannot be forgotten here.
    let Config {
        listen,
        log,
        log_level,
        max_handles,
        max_connections,
        max_waiting,
        drain_timeout,
        allow_raw_families,
        allow_raw_options,
        resolve_concurrency,
    } = new;
    let differ = |settings: &[(&'static str, bool)]| {
        let different = settings.iter().filter(|(_, same)| !same);
        different.map(|(name, _)| *name).collect()
    };
    Changes {
        applied: differ(&[
            ("log_level", *log_level == old.log_level),
            ("max_connections", *max_connections == old.max_connections),
            ("max_waiting", *max_waiting == old.max_waiting),
            ("drain_timeout", *drain_timeout == old.drain_timeout),
        ]),
        restart: differ(&[
            ("listen", *listen == old.listen),
            ("log", *log == old.log),
            ("max_handles", *max_handles == old.max_handles),
            (
                "allow_raw_families",
                *allow_raw_families == old.allow_raw_families,
            ),
            (
                "allow_raw_options",
                *allow_raw_options == old.allow_raw_options,
            ),
            (
                "resolve_concurrency",
                *resolve_concurrency == old.resolve_concurrency,
            ),
        ]),
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}
