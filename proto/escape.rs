//! Text of unknown origin (names, labels, payloads, error texts) made safe to print.
//!
//! A peer chooses the name of its unix socket, and whoever opens a session its label. Printed as they are, such texts could move a terminal's
//! cursor, begin a line of their own, or look like another text. Everything that prints text escapes it here.

use std::{borrow::Cow, fmt};

use crate::Violation;

/// `text` for one line: control and format characters (line feed, tab, ESC, bidirectional controls ...), separators other than the space, and
/// unassigned characters become `\n`, `\t`, `\u{1b}` and the like. All else stays as it is, a backslash too, so that what was escaped
/// before does not change.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push(&mut escaped, character);
    }
    Cow::Owned(escaped)
}

/// Like [`line()`] for several lines: line feed and tab stay. Bytes that are no UTF-8 become `\xff` and the like.
#[must_use]
pub fn lines(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' | '\t' => text.push(character),
                other => push(&mut text, other),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Whether [`line()`] shows the character as it is.
#[must_use]
pub fn is_plain(character: char) -> bool {
    match character {
        ' '..='~' => true,
        // Marks that combine with the character before are printable, and escape_debug escapes them since it does not know what comes before.
        other => other.escape_debug().len() == 1 || is_mark(other),
    }
}

fn push(text: &mut String, character: char) {
    if is_plain(character) {
        text.push(character);
    } else {
        text.extend(character.escape_debug());
    }
}

/// Whether escape_debug escapes the character only where it is the first of a text.
fn is_mark(character: char) -> bool {
    let mut buffer = [0; 5];
    buffer[0] = b'a';
    let end = 1 + character.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..end]).unwrap_or_default();
    text.escape_debug().count() == 2
}

/// A name in printable ASCII without spaces: a backslash is `\\`, any other ASCII character `\x1b` and the like, and all beyond ASCII
/// `\u{430}` and the like, letters too, since they may look like others. [`unescape`] reads it back.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a>(pub &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(place) = rest.find(|c: char| !c.is_ascii_graphic() || c == '\\') {
            let (plain, after) = rest.split_at(place);
            f.write_str(plain)?;
            let mut characters = after.chars();
            match characters.next() {
                Some('\\') => f.write_str("\\\\")?,
                Some(character) if character.is_ascii() => {
                    write!(f, "\\x{:02x}", u32::from(character))?;
                }
                Some(character) => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                None => {}
            }
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

/// Reads what [`Name`] prints: `\\`, `\x` with two hexadecimal digits up to 7f, and `\u{...}` with one to six of them. A backslash before
/// anything else stands for itself.
///
/// # Errors
/// A `\x` or `\u` that is not of that form.
pub fn unescape(text: &str) -> Result<String, Violation> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        rest = after;
        match after.as_bytes().first() {
            Some(b'\\') => {
                plain.push('\\');
                rest = &after[1..];
            }
            Some(b'x') => {
                let digits = after.get(1..3).filter(|digits| is_hex(digits));
                let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let code = code.filter(u8::is_ascii).ok_or_else(malformed)?;
                plain.push(char::from(code));
                rest = &after[3..];
            }
            Some(b'u') => {
                let (digits, end) = after[1..]
                    .strip_prefix('{')
                    .and_then(|digits| digits.split_once('}'))
                    .filter(|(digits, _)| digits.len() <= 6 && is_hex(digits))
                    .ok_or_else(malformed)?;
                let code = u32::from_str_radix(digits, 16).ok();
                plain.push(code.and_then(char::from_u32).ok_or_else(malformed)?);
                rest = end;
            }
            _ => plain.push('\\'),
        }
    }
    plain.push_str(rest);
    Ok(plain)
}

fn is_hex(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn malformed() -> Violation {
    Violation::of_value(
        "a backslash with x or u is an escape: \\x1b with two hexadecimal digits up to 7f, or \\u{430} with the number \
         of a character; a backslash itself is \\\\",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_has_no_character_that_moves_a_cursor_ends_a_line_or_turns_the_text_around() {
        for hostile in [
            "\x1b[2J",
            "\x07",
            "a\nb",
            "a\tb",
            "\r",
            "\0",
            "\x7f",
            "\u{9b}2J",
            "\u{202e}txt",
            "\u{2066}",
            "\u{200b}",
            "\u{2028}",
            "\u{feff}",
            "\u{e0041}",
            "\u{a0}",
        ] {
            let shown = line(hostile);
            assert!(shown.contains('\\'), "{hostile:?}: {shown:?}");
            assert!(shown.is_ascii(), "{hostile:?}: {shown:?}");
            assert_eq!(line(&shown), shown, "what is escaped stays as it is");
        }
        let plain = "täglich \"übel\" \\ 'e\u{301}' 日本";
        assert_eq!(line(plain), plain);
    }

    #[test]
    fn several_lines_keep_their_ends_and_show_what_is_no_utf8() {
        assert_eq!(lines("täglich\tübel\n".as_bytes()), "täglich\tübel\n");
        assert_eq!(lines(b"a\x1b[2Jb\xff\0\r\n"), "a\\u{1b}[2Jb\\xff\\0\\r\n");
    }

    #[test]
    fn a_name_is_printable_ascii_in_one_word() {
        let name = |text| Name(text).to_string();
        assert_eq!(name("/run/a.sock"), "/run/a.sock");
        assert_eq!(name("a b\\c\n\x1b"), "a\\x20b\\\\c\\x0a\\x1b");
        assert_eq!(
            name("p\u{430}ypal\u{202e}\u{1f600}"),
            "p\\u{430}ypal\\u{202e}\\u{1f600}"
        );
    }

    #[test]
    fn a_backslash_that_begins_no_escape_stands_for_itself() {
        for (text, plain) in [
            ("a\\b", "a\\b"),
            ("a\\\\b", "a\\b"),
            ("\\", "\\"),
            ("\\\\x41", "\\x41"),
            ("\\x41\\u{e4}", "Aä"),
        ] {
            assert_eq!(unescape(text).as_deref(), Ok(plain), "{text}");
        }
        for text in [
            "\\x",
            "\\x1",
            "\\x80",
            "\\x+1",
            "\\xä",
            "\\u",
            "\\u{}",
            "\\u{d800}",
            "\\u{1234567}",
            "\\u{0000041}",
            "\\u{+41}",
            "\\u{41",
        ] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_read_back_and_has_no_character_but_printable_ascii(text in any::<String>()) {
            let name = Name(&text).to_string();
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(unescape(&name), Ok(text));
        }

        #[test]
        fn no_text_makes_a_second_line_or_a_control_character(text in any::<String>()) {
            let shown = line(&text);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(line(&shown).into_owned(), shown);
        }
    }
}
