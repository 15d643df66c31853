//! Types of settings: one parser each, for all sources.

use std::{fmt, str::FromStr, time::Duration};

use farsock_proto::time;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged: a level, of farsock's own modules, beside which the libraries have "info" at most; or directives as
/// `tracing_subscriber::EnvFilter` takes them, as they are. Default: "info".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter that the text describes.
    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::new(self.directives())
    }

    /// A level beyond "info" would nearly all be frames of HTTP/2.
    fn directives(&self) -> String {
        match self.0.parse::<LevelFilter>() {
            // By what the names of the modules begin with.
            Ok(level) if level > LevelFilter::INFO => format!("info,farsock={level}"),
            _ => self.0.clone(),
        }
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // EnvFilter takes it for a module's name, of which everything is logged, and nothing else.
        let is_word = text.chars().all(|c| c.is_ascii_alphanumeric());
        if is_word && text.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "\"{text}\" is no level: off, error, warn, info, debug or trace; for all of a module: MODULE=trace"
            ));
        }
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("not a log filter: {error}")),
        }
    }
}

/// How long something may take: a number and a unit, "5s", "300ms", "2m"; at most an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timeout(Duration);

impl Timeout {
    /// The longest: beyond it a shutdown would only look like a hang.
    const MOST: Duration = Duration::from_secs(3600);

    /// So many seconds.
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Timeout> for Duration {
    fn from(timeout: Timeout) -> Self {
        timeout.0
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&time::format_duration(self.0))
    }
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match time::parse_duration(text) {
            Ok(duration) if duration <= Self::MOST => Ok(Self(duration)),
            Ok(_) => Err("it is at most 1h".to_owned()),
            Err(violation) => Err(violation.description),
        }
    }
}

/// serde's way in and out of a type that has a text form.
macro_rules! serde_by_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = <$type as FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}
pub(crate) use serde_by_text;

serde_by_text!(Timeout);
serde_by_text!(LogFilter);

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};

    use super::*;

    /// Whether the filter lets through what h2 says at INFO and DEBUG, and what farsock says at DEBUG and TRACE.
    fn lets_through(filter: &str) -> [bool; 4] {
        let filter: LogFilter = filter.parse().unwrap();
        let log = tracing_subscriber::fmt().with_env_filter(filter.filter());
        tracing::subscriber::with_default(log.finish(), || {
            [
                enabled!(target: "h2::codec::framed_read", Level::INFO),
                enabled!(target: "h2::codec::framed_read", Level::DEBUG),
                enabled!(target: "farsock_daemon::operation", Level::DEBUG),
                enabled!(target: "farsock_daemon::operation", Level::TRACE),
            ]
        })
    }

    #[test]
    fn a_level_is_farsocks_own_and_a_filter_is_taken_as_it_is() {
        for (filter, expected) in [
            ("error", [false, false, false, false]),
            ("info", [true, false, false, false]),
            ("debug", [true, false, true, false]),
            ("DEBUG", [true, false, true, false]),
            ("trace", [true, false, true, true]),
            ("h2=debug,info", [true, true, false, false]),
            ("farsock_daemon=debug", [false, false, true, false]),
            ("debug,h2=info", [true, false, true, false]),
        ] {
            assert_eq!(lets_through(filter), expected, "{filter}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for word in ["debgu", "verbose"] {
            let error = word.parse::<LogFilter>().unwrap_err();
            assert!(error.contains("is no level: off, error"), "{error}");
        }
    }

    #[test]
    fn timeouts_are_read_and_printed_with_their_unit() {
        for text in ["0s", "5s", "300ms", "1h"] {
            assert_eq!(text.parse::<Timeout>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_timeout_is_refused() {
        for text in ["", "s", "-1s", "5 parsecs", "61m"] {
            assert!(text.parse::<Timeout>().is_err(), "{text:?}");
        }
    }
}
