//! What a command prints on stdout: tables for people, JSON for programs, bare values and exact bytes for scripts.
//!
//! All text goes through [`escape::line`] here, on its way to stdout or stderr: much of it comes from peers and from other programs. Only
//! [`Output::bytes`] prints what it is given.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use farsock_proto::escape;
use serde::Serialize as _;
use serde_json::{Value, json};

use crate::show::Fields;

/// The three forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns, and text made safe for a terminal: `\n`, `\u{1b}` and the like
    Table,
    /// For programs: one JSON value per command, on one line; what is said on stderr likewise, an object a line
    Json,
    /// For scripts: bare values, columns between tabs without a header, text escaped; received bytes as they are
    Raw,
}

/// Stdout, in the form that was asked for. Whatever is not the answer itself goes to stderr instead.
pub(crate) struct Output {
    format: Format,
    emphasis: bool,
    writer: Box<dyn Write>,
}

impl Output {
    /// Writes to stdout, which stays locked as long as this lives.
    pub(crate) fn stdout(format: Format) -> Self {
        let stdout = io::stdout().lock();
        let emphasis = emphasis_suits(&stdout);
        Self {
            format,
            emphasis,
            writer: Box::new(io::BufWriter::new(stdout)),
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Prints `text` on a line of its own, or `json`.
    pub(crate) fn value(&mut self, text: impl Display, json: &Value) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(json),
            Format::Table | Format::Raw => self.line(text),
        }
    }

    /// Prints that a call which answers nothing went well: nothing, or `{}`.
    pub(crate) fn done(&mut self) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(&Value::Object(serde_json::Map::new())),
            Format::Table | Format::Raw => Ok(()),
        }
    }

    /// Prints a line in any format, escaped.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.writer, "{}", escape::line(&text.to_string()))
    }

    /// Prints a line of cells: between tabs in [`Format::Raw`], else between spaces. Not for [`Format::Json`].
    pub(crate) fn cells(&mut self, cells: &[String]) -> io::Result<()> {
        let separator = if self.format == Format::Raw {
            "\t"
        } else {
            " "
        };
        let cells: Vec<_> = cells.iter().map(|cell| escape::line(cell)).collect();
        writeln!(self.writer, "{}", cells.join(separator))
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// Prints one JSON value on one line.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.writer, "{}", json_text(value))
    }

    /// Prints rows under a header: aligned, or between tabs and without the header. Not for [`Format::Json`].
    pub(crate) fn rows(&mut self, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        if self.format == Format::Raw {
            return rows.iter().try_for_each(|row| self.cells(row));
        }
        let rows: Vec<Vec<_>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| escape::line(cell)).collect())
            .collect();
        let widths = widths(header, &rows);
        let header = aligned(header.iter().copied(), &widths);
        let header = if self.emphasis { bold(&header) } else { header };
        writeln!(self.writer, "{header}")?;
        rows.iter().try_for_each(|row| {
            writeln!(
                self.writer,
                "{}",
                aligned(row.iter().map(AsRef::as_ref), &widths)
            )
        })
    }

    /// Prints names and their values, one pair a line.
    fn pairs(&mut self, pairs: &[(String, String)]) -> io::Result<()> {
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max();
        for (name, value) in pairs {
            let value = escape::line(value);
            match self.format {
                Format::Raw => writeln!(self.writer, "{name}\t{value}")?,
                _ => {
                    let pad = width.unwrap_or(0) - name.chars().count();
                    let label = if self.emphasis {
                        bold(name)
                    } else {
                        name.clone()
                    };
                    writeln!(self.writer, "{label}{:pad$}  {value}", "")?;
                }
            }
        }
        Ok(())
    }

    /// Prints named values: one pair a line, or one JSON object.
    pub(crate) fn fields(&mut self, fields: &Fields) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(&fields.json()),
            Format::Table | Format::Raw => self.pairs(&fields.pairs()),
        }
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Whether stderr is for programs. A process has one, and says things on it from everywhere.
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// From now on, what is said on stderr suits this form of the answers.
pub(crate) fn suit(format: Format) {
    FOR_PROGRAMS.store(format == Format::Json, Ordering::Relaxed);
}

/// Prints a note about the answer on stderr; a closed stderr is no reason to fail.
pub(crate) fn note(text: impl Display) {
    let mut stderr = io::stderr().lock();
    let _ = if FOR_PROGRAMS.load(Ordering::Relaxed) {
        let note = json!({ "note": text.to_string() });
        writeln!(stderr, "{}", json_text(&note))
    } else {
        writeln!(stderr, "farsock: {}", escape::line(&text.to_string()))
    };
}

/// Prints an error on stderr: `json` for programs, else `text`, its prefix red on a terminal.
pub(crate) fn error(text: impl Display, json: impl FnOnce() -> Value) {
    let text = text.to_string();
    let text = escape::line(&text);
    let mut stderr = io::stderr().lock();
    let _ = if FOR_PROGRAMS.load(Ordering::Relaxed) {
        writeln!(stderr, "{}", json_text(&json()))
    } else if emphasis_suits(&stderr) {
        writeln!(stderr, "\x1b[1;31mfarsock:\x1b[0m {text}")
    } else {
        writeln!(stderr, "farsock: {text}")
    };
}

/// Prints several lines on stderr as they are, but for characters other than their line feeds that [`escape::line`] escapes.
pub(crate) fn lines(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        let _ = writeln!(stderr, "{}", escape::line(line));
    }
}

/// A JSON value on one line. Control and format characters that JSON may hold as they are (DEL, C1, bidirectional controls ...) are `\u`
/// escapes, which mean the same.
fn json_text(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Escaping);
    // Neither a value nor a vector fails.
    let _ = value.serialize(&mut serializer);
    String::from_utf8(text).unwrap_or_default()
}

struct Escaping;

impl serde_json::ser::Formatter for Escaping {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(place) = rest.find(|character| !escape::is_plain(character)) {
            writer.write_all(&rest.as_bytes()[..place])?;
            let mut characters = rest[place..].chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Colour and bold suit a terminal whose user has not said otherwise (<https://no-color.org>).
fn emphasis_suits(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !refused && !dumb && stream.is_terminal()
}

fn bold(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[0m")
}

fn widths(header: &[&str], rows: &[Vec<Cow<'_, str>>]) -> Vec<usize> {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn aligned<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        line.push_str(&format!("{cell:width$}  "));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is printed in a format.
    fn printed(format: Format, print: impl FnOnce(&mut Output) -> io::Result<()>) -> String {
        struct Shared(Arc<Mutex<Vec<u8>>>);

        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let bytes = Arc::default();
        let mut output = Output {
            format,
            emphasis: false,
            writer: Box::new(Shared(Arc::clone(&bytes))),
        };
        print(&mut output).unwrap();
        let bytes = bytes.lock().unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    }

    #[test]
    fn rows_and_pairs_have_a_line_each_and_cells_no_tab_of_their_own() {
        // As an interface may be called, but for the line feed and the tab.
        let name = "eth\u{1b}[2J\n1\t\u{202e}";
        let shown = "eth\\u{1b}[2J\\n1\\t\\u{202e}";
        let rows = [vec!["1".to_owned(), name.to_owned()]];
        let header = ["INDEX", "NAME"];
        assert_eq!(
            printed(Format::Table, |output| output.rows(&header, &rows)),
            format!("INDEX  NAME\n1      {shown}\n")
        );
        assert_eq!(
            printed(Format::Raw, |output| output.rows(&header, &rows)),
            format!("1\t{shown}\n")
        );
        for (format, separator) in [(Format::Table, "  "), (Format::Raw, "\t")] {
            let fields = Fields::default().with("name", name);
            assert_eq!(
                printed(format, |output| output.fields(&fields)),
                format!("name{separator}{shown}\n")
            );
            assert_eq!(
                printed(format, |output| output.value(name, &Value::Null)),
                format!("{shown}\n")
            );
        }
    }

    #[test]
    fn json_has_no_character_that_a_terminal_acts_on_and_means_the_same() {
        let value = json!({ "a\u{9b}\n": "\u{1b}[2J\u{7f}\u{202e}\u{e0041}\u{e4}\\\"" });
        let text = json_text(&value);
        assert_eq!(
            text,
            "{\"a\\u009b\\n\":\"\\u001b[2J\\u007f\\u202e\\udb40\\udc41\u{e4}\\\\\\\"\"}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_in_no_space() {
        let rows = [
            vec![Cow::from("1"), Cow::from("tcp")],
            vec![Cow::from("1000"), Cow::from("")],
        ];
        let widths = widths(&["ID", "TYPE"], &rows);
        assert_eq!(widths, [4, 4]);
        assert_eq!(aligned(["1", "tcp"].into_iter(), &widths), "1     tcp");
        assert_eq!(aligned(["1000", ""].into_iter(), &widths), "1000");
    }
}
