//! The daemon's configuration: what can be set, from where, and which source wins.
//!
//! [`Settings`] names every setting once; its fields are the command line's flags, the environment's variables and the file's
//! keys. A flag wins over the environment, that over the file, that over the default.

mod document;
mod settings;
mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use clap_complete::Shell;

pub use settings::Settings;
pub(crate) use value::serde_by_text;
pub use value::{LogFilter, LogFormat, Timeout};

use crate::{listener::ListenAddress, sys::process};

/// The file that is read when no other is named, if it exists.
const DEFAULT_FILE: &str = "/etc/farsock/farsockd.toml";

/// Descriptors kept for the process itself: the runtime, listeners, the log, look-ups.
const RESERVED_DESCRIPTORS: u64 = 64;

/// The most handles by default, however many descriptors the process may have: the kernel's own default of fs.nr_open. Some
/// container engines set a limit of a thousand million, which would be none.
const MOST_DEFAULT_HANDLES: u64 = 1 << 20;

/// The fewest handles by default, however few descriptors the process may have.
const FEWEST_DEFAULT_HANDLES: u64 = 16;

/// What the daemon runs with: every setting, whole and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen. Default: the unix socket of [`ListenAddress::default_unix`].
    pub listen: Vec<ListenAddress>,
    /// The log's form. Default: text.
    pub log: LogFormat,
    /// What is logged. Default: "info".
    pub log_level: LogFilter,
    /// How many handles there may be at once, 1-16,777,216. Default: the descriptor limit less 64 and `max_connections`, within
    /// 16-1,048,576.
    pub max_handles: usize,
    /// How many connections there may be at once, 1-1,048,576. Default: 1,024.
    pub max_connections: usize,
    /// How many operations may wait at once, 1-16,777,216; a Poll counts once for each of its sockets. Default: 65,536.
    pub max_waiting: usize,
    /// How long a shutdown waits for calls to end and for closes that linger, at most an hour. Default: 5 s.
    pub drain_timeout: Duration,
    /// Whether callers may create sockets of every family and type by number. Default: false, those that have a name.
    pub allow_raw_families: bool,
    /// Whether callers may set and read options of every level by number. Default: false, those that are known to hold plain values.
    pub allow_raw_options: bool,
    /// How many look-ups run at once, 1-256. Default: 16.
    pub resolve_concurrency: usize,
}

impl Config {
    /// The defaults, without an address to listen at: what a daemon within a process runs with.
    #[must_use]
    pub fn embedded() -> Self {
        let settings = Settings {
            listen: Some(Vec::new()),
            ..Settings::default()
        };
        Self::from_settings(settings).expect("defaults are within their own ranges")
    }

    /// Checks the settings and fills in the defaults.
    ///
    /// # Errors
    /// A setting is out of its range, or there is no default place to listen.
    pub fn from_settings(settings: Settings) -> Result<Self, ConfigError> {
        // Taken apart whole, so that a new setting cannot be forgotten here.
        let Settings {
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
        } = settings;

        let listen = match listen {
            Some(addresses) => addresses,
            None => vec![ListenAddress::default_unix().ok_or(ConfigError::NoDefaultAddress)?],
        };
        let max_connections =
            in_range("max_connections", max_connections.unwrap_or(1024), 1 << 20)?;
        let max_handles = match max_handles {
            Some(given) => given,
            None => default_max_handles(
                process::descriptor_limit().unwrap_or_default(),
                max_connections,
            ),
        };
        Ok(Self {
            listen,
            log: log.unwrap_or_default(),
            log_level: log_level.unwrap_or_default(),
            max_handles: in_range("max_handles", max_handles, 1 << 24)?,
            max_connections,
            max_waiting: in_range("max_waiting", max_waiting.unwrap_or(1 << 16), 1 << 24)?,
            drain_timeout: drain_timeout.unwrap_or(Timeout::from_secs(5)).into(),
            allow_raw_families: allow_raw_families.unwrap_or_default(),
            allow_raw_options: allow_raw_options.unwrap_or_default(),
            resolve_concurrency: in_range(
                "resolve_concurrency",
                resolve_concurrency.unwrap_or(16),
                256,
            )?,
        })
    }

    /// The configuration as a file that sets the same, for `--print-config`.
    ///
    /// # Errors
    /// None that the settings' own types can cause.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let Self {
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
        } = self.clone();
        toml::to_string(&Settings {
            listen: Some(listen),
            log: Some(log),
            log_level: Some(log_level),
            max_handles: Some(max_handles),
            max_connections: Some(max_connections),
            max_waiting: Some(max_waiting),
            drain_timeout: Some(Timeout::from(drain_timeout)),
            allow_raw_families: Some(allow_raw_families),
            allow_raw_options: Some(allow_raw_options),
            resolve_concurrency: Some(resolve_concurrency),
        })
    }
}

macro_rules! examples {
    () => {
        "\
Examples:
  farsockd &                                   for this user alone, at the unix socket
  farsockd --listen tcp://127.0.0.1:7600       for every user of this host
  farsockd --log-level debug                   and each connection and each call that failed
  farsockd --print-config > farsockd.toml      the settings that hold, as a file
  farsockd --man | man -l -
  farsockd --completions bash > ~/.local/share/bash-completion/completions/farsockd"
    };
}

/// farsockd owns real kernel sockets and hands them out as handles over gRPC.
///
/// Every setting can be given as a flag, in the environment, and in a TOML file under the flag's name with underscores
/// (max_handles = 500). A flag wins over the environment, the environment over the file, the file over the default.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "farsockd",
    version,
    max_term_width = 100,
    after_help = examples!(),
    after_long_help = concat!("\
Signals:
  SIGTERM, SIGINT, SIGQUIT  the first ends the daemon in order: new operations are
                            refused, waiting ones ended, answers sent; the second
                            ends it at once. So do SIGXCPU and SIGPWR
  SIGHUP                    has it read its file again: log_level, max_connections,
                            max_waiting and drain_timeout change, all else needs a
                            restart. The log says what changed; a file that is wrong
                            changes nothing
  SIGUSR1, SIGUSR2          ignored, and so are SIGALRM, SIGPIPE and all others that
                            would end it and are no fault of its own

Exit status:
  0  it was told to end
  1  it could not start
  2  the command line or the configuration is wrong
  3  a part that it cannot do without has failed: an accept loop, waiting for sockets,
     leases or signals; it has closed its sockets in order

Files:
  /run/farsock/farsock.sock              where root's daemon listens, with mode 0600
  $XDG_RUNTIME_DIR/farsock/farsock.sock  where everyone else's does
  /etc/farsock/farsockd.toml             settings, unless --config names another file

", examples!()),
)]
pub struct CommandLine {
    /// The file to read settings from; /etc/farsock/farsockd.toml if that exists.
    #[arg(long, env = "FARSOCKD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings that hold, as TOML, and exit.
    #[arg(long)]
    print_config: bool,
    /// Print the manual page, and exit.
    #[arg(long)]
    man: bool,
    /// Print a completion script for a shell, and exit.
    #[arg(long, value_name = "SHELL")]
    completions: Option<Shell>,
    #[command(flatten)]
    settings: Settings,
}

impl CommandLine {
    /// What to print about the command line itself instead of serving, if that was asked for.
    ///
    /// # Errors
    /// None: it is written to memory.
    #[must_use]
    pub fn document(&self) -> Option<io::Result<Vec<u8>>> {
        match self.completions {
            Some(shell) => Some(Ok(document::completions(shell))),
            None => self.man.then(document::manual_page),
        }
    }

    /// Whether to print the configuration instead of serving.
    #[must_use]
    pub fn print_config(&self) -> bool {
        self.print_config
    }

    /// Reads the file, if there is one, and joins all sources.
    ///
    /// # Errors
    /// The file cannot be read or is malformed, or a setting is out of its range.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        Config::from_settings(self.join()?)
    }

    /// The same once more, for a daemon that runs with `current`. A default that follows from the process's limits stays as it is.
    ///
    /// # Errors
    /// As of [`into_config`](Self::into_config).
    pub fn reload(self, current: &Config) -> Result<Config, ConfigError> {
        let mut settings = self.join()?;
        settings.max_handles.get_or_insert(current.max_handles);
        Config::from_settings(settings)
    }

    fn join(self) -> Result<Settings, ConfigError> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None => match read(Path::new(DEFAULT_FILE)) {
                Err(ConfigError::Read { source, .. })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    Settings::default()
                }
                other => other?,
            },
        };
        Ok(self.settings.or(file))
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML, has an unknown key or a wrong value.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A number is too small or too large.
    #[error("{setting} is {value}, but must be within 1-{most}")]
    OutOfRange {
        /// The setting's name in the file.
        setting: &'static str,
        /// What was given.
        value: usize,
        /// The largest that is taken.
        most: usize,
    },
    /// There is no place for the default socket.
    #[error(
        "XDG_RUNTIME_DIR is not set to an absolute path, so there is no default place for the socket; \
         set it, or say where to listen: --listen unix:///PATH or --listen tcp://127.0.0.1:PORT"
    )]
    NoDefaultAddress,
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn in_range(setting: &'static str, value: usize, most: usize) -> Result<usize, ConfigError> {
    if (1..=most).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::OutOfRange {
            setting,
            value,
            most,
        })
    }
}

fn default_max_handles(descriptors: u64, max_connections: usize) -> usize {
    let for_connections = u64::try_from(max_connections).unwrap_or(u64::MAX);
    let left = descriptors
        .saturating_sub(RESERVED_DESCRIPTORS)
        .saturating_sub(for_connections);
    usize::try_from(left.clamp(FEWEST_DEFAULT_HANDLES, MOST_DEFAULT_HANDLES)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let flags = CommandLine::parse_from(["farsockd", "--max-connections", "7"]).settings;
        let file: Settings =
            toml::from_str("max_connections = 8\nmax_waiting = 9\nlisten = []\n").unwrap();
        let config = Config::from_settings(flags.or(file)).unwrap();
        assert_eq!(config.max_connections, 7);
        assert_eq!(config.max_waiting, 9);
        assert_eq!(config.drain_timeout, Duration::from_secs(5));
    }

    #[test]
    fn an_unknown_key_in_the_file_is_an_error_that_names_it_and_its_line() {
        let error = toml::from_str::<Settings>("log = \"json\"\nmax_handels = 5\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains("max_handels"), "{error}");
        assert!(error.contains("max_handles"), "{error}");
    }

    #[test]
    fn what_the_flags_check_the_file_checks_in_the_same_words() {
        for (flag, key, value) in [
            ("--listen", "listen", "tcp://192.0.2.1:80"),
            ("--listen", "listen", "unix://@name"),
            ("--drain-timeout", "drain_timeout", "5 parsecs"),
            ("--log-level", "log_level", "farsock=loudest"),
        ] {
            let by_flag = CommandLine::try_parse_from(["farsockd", flag, value])
                .unwrap_err()
                .to_string();
            let text = match key {
                "listen" => format!("listen = [\"{value}\"]"),
                key => format!("{key} = \"{value}\""),
            };
            let by_file = toml::from_str::<Settings>(&text).unwrap_err().to_string();
            let words = by_file.trim().lines().last().unwrap();
            assert!(by_flag.contains(words), "{by_flag}\n{by_file}");
        }
    }

    #[test]
    fn the_printed_configuration_read_back_is_the_same() {
        let flags = CommandLine::parse_from([
            "farsockd",
            "--listen=tcp://127.0.0.1:7600,unix:///run/x.sock",
            "--log=json",
            "--log-level=farsock_daemon=debug,info",
            "--drain-timeout=1500ms",
        ]);
        let config = Config::from_settings(flags.settings).unwrap();
        let read: Settings = toml::from_str(&config.to_toml().unwrap()).unwrap();
        assert_eq!(Config::from_settings(read).unwrap(), config);
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for (key, value) in [
            ("max_handles", "0"),
            ("max_connections", "0"),
            ("max_waiting", "0"),
            ("resolve_concurrency", "257"),
        ] {
            let settings: Settings =
                toml::from_str(&format!("listen = []\n{key} = {value}")).unwrap();
            let error = Config::from_settings(settings).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key} is {value}")), "{error}");
        }
    }

    #[test]
    fn handles_default_to_what_the_descriptor_limit_leaves() {
        assert_eq!(default_max_handles(20_000, 1024), 20_000 - 64 - 1024);
        assert_eq!(default_max_handles(256, 1024), 16);
        assert_eq!(default_max_handles(1_000_000_000, 1024), 1 << 20);
    }
}
