//! Why an operation failed: the kernel said no, or the daemon did. Knows nothing of gRPC.

use std::{fmt, io};

use farsock_proto::{Violation, reason::Reason};

use crate::{sys::errno, table::Handle};

/// The result of an operation.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kernel's answer.
    #[error("{call}: {}", strip_os_error(source))]
    Kernel {
        /// What was asked of it.
        call: Call,
        /// What it said.
        source: io::Error,
    },
    /// The request breaks a rule of the API.
    #[error("{0}")]
    Invalid(#[from] Violation),
    /// The caller has no such handle.
    #[error("handle {0} does not exist: it was never given out, was closed, or is not yours")]
    HandleNotFound(Handle),
    /// The handle was closed while the operation waited.
    #[error("handle {0} was closed while the operation waited")]
    HandleClosed(Handle),
    /// The request's own time limit was over.
    #[error("{0}: the request's timeout was over; {left}", left = .0.left_undone())]
    TimedOut(Call),
    /// The client cancelled the operation while it waited.
    #[error("{0}: cancelled; {left}", left = .0.left_undone())]
    Cancelled(Call),
    /// The request's own time limit was over, and until then something was done.
    #[error("{0}: the request's timeout was over")]
    TimedOutMidway(Call),
    /// The client cancelled the operation, which until then had done something.
    #[error("{0}: cancelled")]
    CancelledMidway(Call),
    /// The operation that this one was to follow failed.
    #[error("the operation before it, request {0}, failed")]
    DependencyFailed(u64),
    /// The session is over.
    #[error("the session is over: its lease was, or it was closed")]
    SessionExpired,
    /// The handle number is not one of the session's own.
    #[error("handle {0} is not one of the session's own numbers")]
    HandleOutOfBlock(Handle),
    /// The handle number was used before.
    #[error("handle {0} was used before")]
    HandleInUse(Handle),
    /// Every handle number was given out.
    #[error(
        "the daemon has given out all its handle numbers, and uses none again: restart it to go on"
    )]
    HandlesUsedUp,
    /// One of the daemon's limits is reached.
    #[error("the daemon's limit of {limit} {what} is reached")]
    QuotaExceeded {
        /// How many there may be.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// A stream has the socket.
    #[error("handle {0} has a stream, or a call on it is under way")]
    StreamInUse(Handle),
    /// The stream was opened again elsewhere.
    #[error("the stream of handle {0} was opened again elsewhere")]
    StreamTaken(Handle),
    /// More was sent on a stream than was granted.
    #[error("handle {handle}: what was sent ends at {end}, and {limit} was granted")]
    CreditExceeded {
        /// Whose stream it is.
        handle: Handle,
        /// Where it would end.
        end: u64,
        /// What was granted.
        limit: u64,
    },
    /// An offset of a stream that means nothing.
    #[error(
        "handle {handle}: offset {offset} was never reached, is acknowledged already, or is no item's end"
    )]
    OffsetUnknown {
        /// Whose stream it is.
        handle: Handle,
        /// The offset.
        offset: u64,
    },
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    Draining,
}

impl Error {
    /// Why the daemon itself said no; none if it was the kernel that did.
    pub(crate) fn reason(&self) -> Option<Reason> {
        Some(match self {
            Self::Kernel { .. } => return None,
            Self::Invalid(_) => Reason::InvalidRequest,
            Self::HandleNotFound(_) => Reason::HandleNotFound,
            Self::HandleClosed(_) => Reason::HandleClosed,
            Self::TimedOut(_) | Self::TimedOutMidway(_) => Reason::TimedOut,
            Self::Cancelled(_) | Self::CancelledMidway(_) => Reason::Cancelled,
            Self::DependencyFailed(_) => Reason::DependencyFailed,
            Self::SessionExpired => Reason::SessionExpired,
            Self::HandleOutOfBlock(_) => Reason::HandleOutOfBlock,
            Self::HandleInUse(_) => Reason::HandleInUse,
            Self::QuotaExceeded { .. } | Self::HandlesUsedUp => Reason::QuotaExceeded,
            Self::StreamInUse(_) => Reason::StreamInUse,
            Self::StreamTaken(_) => Reason::StreamTaken,
            Self::CreditExceeded { .. } => Reason::CreditExceeded,
            Self::OffsetUnknown { .. } => Reason::OffsetUnknown,
            Self::Draining => Reason::Draining,
        })
    }

    /// The name by which it is known: the errno's or the reason's.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kernel { source, .. } => {
                let number = source.raw_os_error().unwrap_or_default();
                errno::errno_name(number).unwrap_or("EUNKNOWN")
            }
            other => other.reason().map_or("?", |reason| reason.as_str()),
        }
    }

    /// The handle that the daemon said no about.
    pub(crate) fn handle(&self) -> Option<Handle> {
        match self {
            Self::HandleNotFound(handle)
            | Self::HandleClosed(handle)
            | Self::HandleOutOfBlock(handle)
            | Self::HandleInUse(handle)
            | Self::StreamInUse(handle)
            | Self::StreamTaken(handle)
            | Self::CreditExceeded { handle, .. }
            | Self::OffsetUnknown { handle, .. } => Some(*handle),
            Self::Kernel { call, .. }
            | Self::TimedOut(call)
            | Self::Cancelled(call)
            | Self::TimedOutMidway(call)
            | Self::CancelledMidway(call) => call.handle,
            _ => None,
        }
    }

    /// The same error, seen from the message that holds the failing one in its field `outer`.
    pub(crate) fn within(self, outer: &str) -> Self {
        match self {
            Self::Invalid(violation) => Self::Invalid(violation.within(outer)),
            other => other,
        }
    }
}

/// What was asked of the kernel, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The system call.
    pub(crate) syscall: &'static str,
    /// The handle it was called on, if there was one already.
    pub(crate) handle: Option<Handle>,
    /// What else tells one call from another, such as the address.
    pub(crate) argument: Option<String>,
    /// What became of it if its wait ended early, where that is not the same for every call of this name.
    pub(crate) left_undone: Option<&'static str>,
}

impl Call {
    /// A call on no handle.
    pub(crate) fn new(syscall: &'static str) -> Self {
        Self {
            syscall,
            handle: None,
            argument: None,
            left_undone: None,
        }
    }

    /// A call on `handle`.
    pub(crate) fn on(syscall: &'static str, handle: Handle) -> Self {
        Self {
            handle: Some(handle),
            ..Self::new(syscall)
        }
    }

    /// The same call, with what it was asked to do.
    pub(crate) fn with(mut self, argument: impl fmt::Display) -> Self {
        self.argument = Some(argument.to_string());
        self
    }

    /// The same call, with what becomes of it if its wait ends early.
    pub(crate) fn leaving(mut self, left_undone: Option<&'static str>) -> Self {
        self.left_undone = left_undone;
        self
    }

    /// What became of it if its wait ended early.
    fn left_undone(&self) -> &'static str {
        if let Some(left_undone) = self.left_undone {
            return left_undone;
        }
        match self.syscall {
            "connect" => "the socket may go on connecting, and poll and SO_ERROR tell the end",
            "send" | "sendto" | "sendmmsg" => "nothing was sent",
            "accept" => "no connection was taken",
            "splice" => "nothing was moved",
            "request" => "it has no effect",
            "poll" => "nothing was ready",
            _ => "nothing was taken from the socket",
        }
    }

    /// The kernel's answer to this call.
    pub(crate) fn failed(self, source: io::Error) -> Error {
        Error::Kernel { call: self, source }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.syscall)?;
        if let Some(argument) = &self.argument {
            write!(f, " {argument}")?;
        }
        if let Some(handle) = self.handle {
            write!(f, " on handle {handle}")?;
        }
        Ok(())
    }
}

/// The error's text without Rust's " (os error 111)", as strerror(3) puts it.
pub(crate) fn strip_os_error(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_wait_says_what_it_left_undone() {
        let told = |syscall| Error::TimedOut(Call::on(syscall, Handle(3))).to_string();
        assert_eq!(
            told("connect"),
            "connect on handle 3: the request's timeout was over; the socket may go on connecting, and poll and SO_ERROR tell the end"
        );
        assert!(told("send").ends_with("; nothing was sent"));
        assert!(told("accept").ends_with("; no connection was taken"));
        assert!(told("recv").ends_with("; nothing was taken from the socket"));
        let call = Call::on("connect", Handle(3)).leaving(Some("nothing goes on"));
        let told = Error::Cancelled(call).to_string();
        assert_eq!(told, "connect on handle 3: cancelled; nothing goes on");
    }
}
