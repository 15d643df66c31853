//! The one place that maps errors to gRPC: see the table in ARCHITECTURE.md.
//!
//! tonic's own `From<io::Error> for Status` loses the errno and makes UNAVAILABLE of a refused connection, which clients then retry by
//! themselves. Never let an `io::Error` reach a door by `?`.

use std::collections::HashMap;

use farsock_proto::{
    Violation,
    reason::{DAEMON_DOMAIN, ERRNO_DOMAIN, Reason, metadata},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    error::{Call, Error},
    journal::StreamOutcome,
    sys::errno,
};

/// The status that says `error` to a client.
pub(crate) fn status(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::Kernel { call, source } => kernel(&message, call, source),
        Error::Invalid(violation) => invalid(violation),
        _ => match error.reason() {
            Some(reason) => daemon(reason, message, error.handle().map(|handle| handle.0)),
            None => Status::new(Code::Unknown, message),
        },
    }
}

/// A malformed request: INVALID_ARGUMENT, naming the field.
pub(crate) fn invalid(violation: &Violation) -> Status {
    farsock_proto::codec::refusal(violation)
}

/// How a stream has ended that ends with `status`: in the journal it has the name by which the client knows it.
pub(crate) fn outcome(status: &Status) -> StreamOutcome {
    let Some(info) = status.get_details_error_info() else {
        // Not one of the daemon's: the connection's, or of a client that does not speak gRPC as agreed.
        return StreamOutcome::Abandoned;
    };
    if info.domain == ERRNO_DOMAIN {
        let number = info.metadata.get(metadata::ERRNO);
        let number = number.and_then(|number| number.parse().ok());
        let name = number.and_then(errno::errno_name);
        return StreamOutcome::Kernel(name.unwrap_or("EUNKNOWN"));
    }
    match Reason::from_name(&info.reason) {
        Some(reason) => StreamOutcome::Refused(reason.as_str()),
        None => StreamOutcome::Abandoned,
    }
}

/// A refusal of the daemon's own.
pub(crate) fn daemon(reason: Reason, message: String, handle: Option<u64>) -> Status {
    let metadata = handle.map(|handle| (metadata::HANDLE.to_owned(), handle.to_string()));
    let details =
        ErrorDetails::with_error_info(reason.as_str(), DAEMON_DOMAIN, HashMap::from_iter(metadata));
    Status::with_error_details(code_of_reason(reason), message, details)
}

/// The caller has no such session.
pub(crate) fn no_session() -> Status {
    let message = "the session does not exist: it is over, was never opened, or is not yours";
    daemon(Reason::SessionNotFound, message.to_owned(), None)
}

/// The kernel's answer.
fn kernel(message: &str, call: &Call, source: &std::io::Error) -> Status {
    let number = source.raw_os_error().unwrap_or_default();
    let name = errno::errno_name(number).unwrap_or("EUNKNOWN");
    let mut metadata = HashMap::from([
        (metadata::ERRNO.to_owned(), number.to_string()),
        (metadata::SYSCALL.to_owned(), call.syscall.to_owned()),
    ]);
    if let Some(handle) = call.handle {
        metadata.insert(metadata::HANDLE.to_owned(), handle.to_string());
    }
    let details = ErrorDetails::with_error_info(name, ERRNO_DOMAIN, metadata);
    Status::with_error_details(code_of_errno(name), message, details)
}

/// The gRPC code of an errno. UNAVAILABLE is not among them: it is the daemon's alone.
fn code_of_errno(name: &str) -> Code {
    match name {
        "EINVAL" | "EAFNOSUPPORT" | "EPROTONOSUPPORT" | "ESOCKTNOSUPPORT" | "EPROTOTYPE"
        | "ENOPROTOOPT" | "EOPNOTSUPP" | "EDESTADDRREQ" | "EMSGSIZE" | "ENAMETOOLONG"
        | "EADDRNOTAVAIL" => Code::InvalidArgument,
        "EACCES" | "EPERM" => Code::PermissionDenied,
        "EMFILE" | "ENFILE" | "ENOBUFS" | "ENOMEM" => Code::ResourceExhausted,
        "EAGAIN" | "EINPROGRESS" | "EALREADY" | "EINTR" => Code::Aborted,
        "ENOENT" | "ENODEV" | "ENXIO" => Code::NotFound,
        _ => Code::FailedPrecondition,
    }
}

/// The gRPC code of a reason of the daemon's own.
fn code_of_reason(reason: Reason) -> Code {
    match reason {
        Reason::InvalidRequest | Reason::HandleOutOfBlock => Code::InvalidArgument,
        Reason::HandleNotFound | Reason::SessionNotFound | Reason::RequestUnknown => Code::NotFound,
        Reason::HandleClosed
        | Reason::DependencyFailed
        | Reason::SessionExpired
        | Reason::SessionTaken
        | Reason::StreamTaken => Code::Aborted,
        Reason::TimedOut => Code::DeadlineExceeded,
        Reason::QuotaExceeded | Reason::ResultsFull => Code::ResourceExhausted,
        Reason::InstanceChanged | Reason::RequestForgotten | Reason::StreamInUse => {
            Code::FailedPrecondition
        }
        Reason::Cancelled => Code::Cancelled,
        Reason::RequestMismatch | Reason::HandleInUse => Code::AlreadyExists,
        Reason::CreditExceeded | Reason::OffsetUnknown => Code::OutOfRange,
        Reason::Draining => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::table::Handle;

    fn of_errno(errno: i32) -> Status {
        let call = Call::on("connect", Handle(3)).with("127.0.0.1:9");
        status(&call.failed(io::Error::from_raw_os_error(errno)))
    }

    #[test]
    fn a_malformed_request_names_its_field() {
        let status = status(&Error::Invalid(Violation::new("length", "is too large")));
        assert_eq!(status.code(), Code::InvalidArgument);
        let request = status.get_details_bad_request().expect("a bad request");
        let fields: Vec<_> = request
            .field_violations
            .iter()
            .map(|it| &*it.field)
            .collect();
        assert_eq!(fields, ["length"]);
    }

    #[test]
    fn a_kernel_error_carries_its_errno_and_what_was_tried_on_what() {
        let status = of_errno(libc_errno::ECONNREFUSED);
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(
            status.message(),
            "connect 127.0.0.1:9 on handle 3: Connection refused"
        );
        let info = status.get_details_error_info().expect("error info");
        assert_eq!(info.domain, "errno.farsock");
        assert_eq!(info.reason, "ECONNREFUSED");
        assert_eq!(info.metadata["errno"], "111");
        assert_eq!(info.metadata["syscall"], "connect");
        assert_eq!(info.metadata["handle"], "3");
    }

    #[test]
    fn each_errno_has_the_code_that_the_documentation_says() {
        let mut published: HashMap<&str, Code> = HashMap::new();
        let mut others = None;
        for [code, errnos] in rows(["code", "errnos"]) {
            if errnos == "all others" {
                assert_eq!(others.replace(code_named(code)), None, "two such rows");
                continue;
            }
            for name in errnos.split(' ') {
                let before = published.insert(name, code_named(code));
                assert_eq!(before, None, "{name} is in two rows");
            }
        }
        let others = others.expect("a row for all others");
        // 524 is the kernel's own ENOTSUPP, and 999 is no errno.
        for number in (1..=133).chain([524, 999]) {
            let name = errno::errno_name(number);
            let expected = name.and_then(|name| published.remove(name));
            let status = of_errno(number);
            assert_eq!(status.code(), expected.unwrap_or(others), "{name:?}");
            // Clients retry that by themselves.
            assert_ne!(status.code(), Code::Unavailable, "{name:?}");
        }
        assert!(published.is_empty(), "no errnos: {published:?}");
    }

    #[test]
    fn each_reason_has_the_code_that_the_documentation_says() {
        let mut published: HashMap<&str, Code> = HashMap::new();
        for [code, reason, _when] in rows(["code", "reason", "when"]) {
            let before = published.insert(reason, code_named(code));
            assert_eq!(before, None, "{reason} is in two rows");
        }
        for reason in Reason::ALL {
            let status = daemon(reason, "why".to_owned(), Some(3));
            let expected = published.remove(reason.as_str());
            assert_eq!(Some(status.code()), expected, "{reason:?}");
            assert_eq!(status.message(), "why");
            let info = status.get_details_error_info().expect("error info");
            assert_eq!(info.domain, "farsock");
            assert_eq!(info.reason, reason.as_str());
            assert_eq!(info.metadata["handle"], "3");
        }
        assert!(published.is_empty(), "no reasons: {published:?}");
    }

    #[test]
    fn each_error_of_the_daemon_has_its_reason_and_the_handle_that_it_is_about() {
        let handle = Handle(3);
        let call = || Call::on("recv", handle);
        let quota = Error::QuotaExceeded {
            limit: 1,
            what: "handles",
        };
        let end = Error::CreditExceeded {
            handle,
            end: 2,
            limit: 1,
        };
        let offset = Error::OffsetUnknown { handle, offset: 1 };
        let cases = [
            (Error::HandleNotFound(handle), "HANDLE_NOT_FOUND", true),
            (Error::HandleClosed(handle), "HANDLE_CLOSED", true),
            (Error::TimedOut(call()), "TIMED_OUT", true),
            (Error::TimedOutMidway(call()), "TIMED_OUT", true),
            (Error::Cancelled(call()), "CANCELLED", true),
            (Error::CancelledMidway(call()), "CANCELLED", true),
            (Error::DependencyFailed(7), "DEPENDENCY_FAILED", false),
            (Error::SessionExpired, "SESSION_EXPIRED", false),
            (Error::HandleOutOfBlock(handle), "HANDLE_OUT_OF_BLOCK", true),
            (Error::HandleInUse(handle), "HANDLE_IN_USE", true),
            (quota, "QUOTA_EXCEEDED", false),
            (Error::StreamInUse(handle), "STREAM_IN_USE", true),
            (Error::StreamTaken(handle), "STREAM_TAKEN", true),
            (end, "CREDIT_EXCEEDED", true),
            (offset, "OFFSET_UNKNOWN", true),
            (Error::Draining, "DRAINING", false),
            (
                Violation::new("field", "is wrong").into(),
                "INVALID_REQUEST",
                false,
            ),
        ];
        for (error, reason, on_handle) in cases {
            let status = status(&error);
            let info = status.get_details_error_info().expect("error info");
            assert_eq!(info.reason, reason);
            assert_eq!(error.name(), reason);
            assert_eq!(info.domain, "farsock", "{reason}");
            let expected = on_handle.then_some("3");
            let told = info.metadata.get("handle").map(String::as_str);
            assert_eq!(told, expected, "{reason}");
            let known = Reason::from_name(reason).expect("a reason of the API");
            assert_eq!(status.code(), code_of_reason(known), "{reason}");
            assert_eq!(status.message(), error.to_string());
        }
    }

    #[test]
    fn a_stream_that_ends_with_an_error_is_known_by_the_errors_name() {
        let call = || Call::on("recv", Handle(3));
        let kernel = call().failed(io::Error::from_raw_os_error(libc_errno::ECONNREFUSED));
        assert_eq!(
            outcome(&status(&kernel)),
            StreamOutcome::Kernel("ECONNREFUSED")
        );
        let unknown = call().failed(io::Error::from_raw_os_error(999));
        assert_eq!(
            outcome(&status(&unknown)),
            StreamOutcome::Kernel("EUNKNOWN")
        );
        assert_eq!(
            outcome(&status(&Error::Draining)),
            StreamOutcome::Refused("DRAINING")
        );
        assert_eq!(outcome(&Status::ok("")), StreamOutcome::Abandoned);
        let foreign = ErrorDetails::with_error_info("DRAINED", DAEMON_DOMAIN, HashMap::new());
        let foreign = Status::with_error_details(Code::Unavailable, "", foreign);
        assert_eq!(outcome(&foreign), StreamOutcome::Abandoned);
    }

    /// The rows of the documentation's table of these columns.
    fn rows<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Vec<[&'static str; COLUMNS]> {
        const DOCUMENT: &str = include_str!("../../../ARCHITECTURE.md");
        let cells = |line: &'static str| -> Option<[&'static str; COLUMNS]> {
            let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
            line.split(" | ").collect::<Vec<_>>().try_into().ok()
        };
        let mut rows = DOCUMENT
            .lines()
            .map(cells)
            .skip_while(|cells| *cells != Some(header));
        assert!(rows.next().is_some(), "no table of {header:?}");
        // The line below the header has no cells.
        assert_eq!(rows.next(), Some(None));
        let rows: Vec<_> = rows.map_while(|cells| cells).collect();
        assert!(rows.len() > 1, "{header:?}");
        rows
    }

    fn code_named(name: &str) -> Code {
        (0..=16)
            .map(Code::from_i32)
            .find(|code| format!("{code:?}").to_uppercase() == name.replace('_', ""))
            .unwrap_or_else(|| panic!("{name} is no gRPC code"))
    }

    #[test]
    fn a_violation_names_its_field() {
        let status = invalid(&Violation::new("address.ip.port", "65536 is over 65535"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "address.ip.port: 65536 is over 65535");
        let details = status.get_details_bad_request().expect("bad request");
        assert_eq!(details.field_violations[0].field, "address.ip.port");
    }

    /// Linux numbers, the same on every architecture that Rust's std supports but MIPS and SPARC.
    mod libc_errno {
        pub(super) const ECONNREFUSED: i32 = 111;
    }
}
