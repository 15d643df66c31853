//! Types of settings: one parser each, for all sources.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

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

/// What is logged: a level, or directives as `tracing_subscriber::EnvFilter` takes them. Default: "info".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter that the text describes.
    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
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
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("not a log filter: {error}")),
        }
    }
}

/// How long something may take: a number and a unit, "5s", "300ms", "2m", "1h"; at most an hour.
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
        match self.0.subsec_millis() {
            0 => write!(f, "{}s", self.0.as_secs()),
            _ => write!(f, "{}ms", self.0.as_millis()),
        }
    }
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let milliseconds: u64 = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err("a duration is a number and ms, s, m or h, such as 5s".to_owned()),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(milliseconds))
            .map(Duration::from_millis)
            .filter(|duration| *duration <= Self::MOST)
            .map(Self)
            .ok_or_else(|| "a duration is a whole number of its unit, at most 1h".to_owned())
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
    use super::*;

    #[test]
    fn timeouts_are_read_and_printed_with_their_unit() {
        for (text, milliseconds, printed) in [
            ("0s", 0, "0s"),
            ("5s", 5_000, "5s"),
            ("300ms", 300, "300ms"),
            ("1500ms", 1_500, "1500ms"),
            ("2m", 120_000, "120s"),
            ("1h", 3_600_000, "3600s"),
        ] {
            let timeout: Timeout = text.parse().unwrap();
            assert_eq!(Duration::from(timeout).as_millis(), milliseconds);
            assert_eq!(timeout.to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_a_timeout_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "61m",
            "99999999999999999999h",
            "5é",
        ] {
            assert!(text.parse::<Timeout>().is_err(), "{text:?}");
        }
    }
}
