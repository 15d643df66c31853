//! What is wrong with a request: which field, and why.

use std::fmt;

/// A field of a request that breaks a rule of the API. Becomes INVALID_ARGUMENT with
/// `google.rpc.BadRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `address.ip.port` or `messages[3].control[0].rights`. Empty:
    /// the value as a whole; who holds it adds the name by [`Violation::within`].
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }

    /// The same violation, seen from the message that holds the field in its field `outer`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() {
            outer.to_owned()
        } else {
            format!("{outer}.{}", self.field)
        };
        self
    }

    /// A violation whose field the caller names by [`Violation::within`].
    pub(crate) fn of_value(description: impl Into<String>) -> Self {
        Self::new("", description)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.description)
    }
}

impl std::error::Error for Violation {}

/// A caller's text as descriptions show it: quoted, escaped, and cut, since a description travels
/// in HTTP/2 trailers, whose size clients limit.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_path_grows_from_the_inside() {
        let violation = Violation::of_value("too large").within("port").within("ip");
        assert_eq!(violation.to_string(), "ip.port: too large");
    }

    #[test]
    fn a_violation_of_the_whole_value_shows_no_empty_field() {
        assert_eq!(Violation::of_value("empty").to_string(), "empty");
    }

    #[test]
    fn long_text_is_quoted_up_to_a_limit_at_a_character_boundary() {
        assert_eq!(quoted("a\0b"), r#""a\0b""#);
        let shown = quoted(&"ä".repeat(1_000_000));
        assert_eq!(shown, format!("\"{}\"...", "ä".repeat(60)));
    }
}
