//! Names of socket options: C names, and level and number.

use std::fmt;

use crate::{Violation, v1, violation::quoted};

const WIRE_PREFIX: &str = "SOCKET_OPTION_";

/// Which option: by name, or by the numbers that setsockopt(2) takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionName {
    /// An option with a name.
    Named(v1::SocketOption),
    /// Any option.
    Raw {
        /// The protocol level, as a number of the daemon's host.
        level: i32,
        /// The option's number at that level.
        number: i32,
    },
}

impl OptionName {
    /// Reads a C name in any case, with or without the wire's prefix ("SO_REUSEADDR",
    /// "so_reuseaddr", "SOCKET_OPTION_SO_REUSEADDR"), or "LEVEL:NUMBER" ("1:2").
    ///
    /// # Errors
    /// A [`Violation`] of the value that says what would be right.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if let Some(option) = option_by_c_name(text) {
            return Ok(Self::Named(option));
        }
        text.split_once(':')
            .and_then(|(level, number)| {
                Some(Self::Raw {
                    level: level.parse().ok()?,
                    number: number.parse().ok()?,
                })
            })
            .ok_or_else(|| {
                Violation::of_value(format!(
                    "{} is no option; give a C name such as SO_REUSEADDR (GetHost lists them), or \
                     LEVEL:NUMBER, both decimal",
                    quoted(text)
                ))
            })
    }
}

/// The C name, or "level:number".
impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Named(option) => f.write_str(c_name(option)),
            Self::Raw { level, number } => write!(f, "{level}:{number}"),
        }
    }
}

/// The C name of an option, such as "SO_REUSEADDR".
#[must_use]
pub fn c_name(option: v1::SocketOption) -> &'static str {
    let name = option.as_str_name();
    name.strip_prefix(WIRE_PREFIX).unwrap_or(name)
}

/// The option of that C name, in any case, with or without the wire's prefix "SOCKET_OPTION_".
#[must_use]
pub fn option_by_c_name(name: &str) -> Option<v1::SocketOption> {
    /// More than any name has, so that no long text is copied.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix(WIRE_PREFIX).unwrap_or(&name);
    v1::SocketOption::from_str_name(&format!("{WIRE_PREFIX}{name}"))
        .filter(|&option| option != v1::SocketOption::Unspecified)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_option_is_found_by_its_c_name_in_any_case_and_with_the_wires_prefix() {
        let option = OptionName::Named(v1::SocketOption::SoReuseaddr);
        for text in [
            "SO_REUSEADDR",
            "so_reuseaddr",
            "So_ReuseAddr",
            "SOCKET_OPTION_SO_REUSEADDR",
        ] {
            assert_eq!(OptionName::parse(text), Ok(option));
        }
        assert_eq!(option.to_string(), "SO_REUSEADDR");
    }

    #[test]
    fn an_option_without_a_name_is_level_and_number() {
        let raw = OptionName::Raw {
            level: 1,
            number: -2,
        };
        assert_eq!(OptionName::parse("1:-2"), Ok(raw));
        assert_eq!(raw.to_string(), "1:-2");
    }

    #[test]
    fn what_is_no_option_says_how_to_name_one() {
        for text in [
            "",
            "UNSPECIFIED",
            "SO_NO_SUCH",
            "1",
            "1:",
            ":1",
            "1:2:3",
            "SOL_SOCKET:2",
        ] {
            let violation = OptionName::parse(text).expect_err(text);
            assert!(violation.description.contains("LEVEL:NUMBER"));
        }
    }

    #[test]
    fn every_option_of_the_wire_is_found_by_its_c_name() {
        for option in (1..2_000).filter_map(|number| v1::SocketOption::try_from(number).ok()) {
            assert_eq!(option_by_c_name(c_name(option)), Some(option));
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_back(level: i32, number: i32) {
            let raw = OptionName::Raw { level, number };
            prop_assert_eq!(OptionName::parse(&raw.to_string()), Ok(raw));
        }

        #[test]
        fn parse_never_panics(text: String) {
            let _ = OptionName::parse(&text);
        }
    }
}
