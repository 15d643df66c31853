//! How an operation reads in the journal: each verb says it in its own file, in these terms.

use std::fmt;

use farsock_proto::escape;

use super::StreamEvent;
use crate::{error::Error, table::Handle};

/// The longest call text in bytes; more is cut.
const MAX_TEXT: usize = 1024;
/// What stands for what is not shown.
const ELLIPSIS: &str = "...";

/// A system call and its arguments as strace(1) shows them: "send(1, ..., 14, 0)". At most [`MAX_TEXT`] bytes, whatever is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallText {
    text: String,
    payload_at: Option<usize>,
    cut: bool,
}

impl CallText {
    /// Leaves a place for the payload's first bytes.
    pub(crate) fn payload(&mut self) {
        if !self.cut {
            self.payload_at.get_or_insert(self.text.len());
        }
    }

    /// The text, with the payload as `payload` shows it.
    pub(super) fn with_payload(&self, payload: impl FnOnce() -> Option<String>) -> String {
        let end = if self.cut { ELLIPSIS } else { "" };
        match self.payload_at {
            Some(at) => {
                let (before, after) = self.text.split_at(at);
                let payload = payload();
                let payload = payload.as_deref().unwrap_or(ELLIPSIS);
                format!("{before}{payload}{after}{end}")
            }
            None => format!("{}{end}", self.text),
        }
    }
}

/// What is written is escaped: names that a peer chose, and texts that a caller did, make no record of their own.
impl fmt::Write for CallText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let text = &*escape::line(text);
        let mut room = MAX_TEXT - self.text.len();
        if text.len() > room {
            self.cut = true;
            while !text.is_char_boundary(room) {
                room -= 1;
            }
        } else {
            room = text.len();
        }
        self.text.push_str(&text[..room]);
        Ok(())
    }
}

/// What an operation's answer says: what the system call returned, and what it told besides.
#[derive(Debug, Default)]
pub(crate) struct Answer<'a> {
    pub(super) value: u64,
    pub(super) detail: String,
    pub(super) made: Vec<Handle>,
    pub(super) bytes: Option<usize>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) stream: Option<StreamEvent>,
}

impl<'a> Answer<'a> {
    /// The call returned this number.
    pub(crate) fn number(value: usize) -> Self {
        Self {
            value: value as u64,
            ..Self::default()
        }
    }

    /// The call returned a new handle.
    pub(crate) fn handle(handle: Handle) -> Self {
        Self {
            value: handle.0,
            made: vec![handle],
            ..Self::default()
        }
    }

    /// It made these handles.
    pub(crate) fn made(mut self, handles: &[Handle]) -> Self {
        self.made.extend(handles);
        self
    }

    /// It told this besides, which is escaped.
    pub(crate) fn with(mut self, detail: impl fmt::Display) -> Self {
        let separator = if self.detail.is_empty() { "" } else { ", " };
        let detail = detail.to_string();
        self.detail = format!("{}{separator}{}", self.detail, escape::line(&detail));
        self
    }

    /// It told this besides, if anything.
    pub(crate) fn with_any(self, detail: Option<impl fmt::Display>) -> Self {
        match detail {
            Some(detail) => self.with(detail),
            None => self,
        }
    }

    /// It moved this many bytes.
    pub(crate) fn moved(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// It opened a stream.
    pub(crate) fn opened(mut self, event: StreamEvent) -> Self {
        self.stream = Some(event);
        self
    }

    /// It received these bytes.
    pub(crate) fn payload(mut self, data: &'a [u8]) -> Self {
        self.payload = Some(data);
        self
    }
}

/// "= 0 (127.0.0.1:4000)", and the errno's name if the kernel said no.
pub(super) fn result(outcome: &Result<Answer<'_>, &Error>) -> (String, Option<&'static str>) {
    match outcome {
        Ok(answer) if answer.detail.is_empty() => (format!("= {}", answer.value), None),
        Ok(answer) => (format!("= {} ({})", answer.value, answer.detail), None),
        Err(error @ Error::Kernel { source, .. }) => {
            let name = error.name();
            let text = crate::error::strip_os_error(source);
            (format!("= -1 {name} ({text})"), Some(name))
        }
        Err(error) => (format!("= {}", error.name()), None),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_payloads_place_is_filled_with_what_is_known_of_it() {
        let mut call = CallText::default();
        write!(call, "send(1, ").unwrap();
        call.payload();
        write!(call, ", 5, 0)").unwrap();
        assert_eq!(call.with_payload(|| None), "send(1, ..., 5, 0)");
        let hello = || Some("\"hello\"".to_owned());
        assert_eq!(call.with_payload(hello), "send(1, \"hello\", 5, 0)");
    }

    #[test]
    fn a_text_without_end_is_cut_between_two_characters() {
        let mut call = CallText::default();
        for _ in 0..MAX_TEXT {
            write!(call, "a\u{e4}").unwrap();
        }
        call.payload();
        let text = call.with_payload(|| Some("never".to_owned()));
        assert!(text.len() <= MAX_TEXT + ELLIPSIS.len());
        assert!(text.ends_with(ELLIPSIS), "{text}");
        assert!(!text.contains("never"));
    }

    #[test]
    fn what_somebody_else_chose_makes_no_line_of_its_own() {
        let mut call = CallText::default();
        write!(call, "setsockopt(1, SO_BINDTODEVICE, a\n\x1b[2J\u{202e})").unwrap();
        assert_eq!(
            call.with_payload(|| None),
            "setsockopt(1, SO_BINDTODEVICE, a\\n\\u{1b}[2J\\u{202e})"
        );
        let answer = Answer::number(0).with("a\tb");
        assert_eq!(result(&Ok(answer)).0, "= 0 (a\\tb)");
    }

    #[test]
    fn results_read_as_strace_shows_them() {
        let answer = Answer::number(0).with("127.0.0.1:80").with("MSG_TRUNC");
        assert_eq!(
            result(&Ok(answer)),
            ("= 0 (127.0.0.1:80, MSG_TRUNC)".to_owned(), None)
        );
        let call = || crate::error::Call::new("connect");
        let refused = call().failed(std::io::Error::from_raw_os_error(111));
        assert_eq!(
            result(&Err(&refused)),
            (
                "= -1 ECONNREFUSED (Connection refused)".to_owned(),
                Some("ECONNREFUSED")
            )
        );
        let timed_out = Error::TimedOut(call());
        assert_eq!(result(&Err(&timed_out)), ("= TIMED_OUT".to_owned(), None));
    }
}
