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
    let code = match error {
        Error::Kernel { call, source } => return kernel(&message, call, source),
        Error::Invalid(violation) => return invalid(violation),
        Error::HandleNotFound(_) => Code::NotFound,
        Error::HandleClosed(_)
        | Error::DependencyFailed(_)
        | Error::SessionExpired
        | Error::StreamTaken(_) => Code::Aborted,
        Error::StreamInUse(_) => Code::FailedPrecondition,
        Error::CreditExceeded { .. } | Error::OffsetUnknown { .. } => Code::OutOfRange,
        Error::TimedOut(_) | Error::TimedOutMidway(_) => Code::DeadlineExceeded,
        Error::Cancelled(_) | Error::CancelledMidway(_) => Code::Cancelled,
        Error::HandleOutOfBlock(_) => Code::InvalidArgument,
        Error::HandleInUse(_) => Code::AlreadyExists,
        Error::QuotaExceeded { .. } => Code::ResourceExhausted,
        Error::Draining => Code::Unavailable,
    };
    match error.reason() {
        Some(reason) => daemon(code, reason, message, error.handle().map(|handle| handle.0)),
        None => Status::new(code, message),
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
pub(crate) fn daemon(code: Code, reason: Reason, message: String, handle: Option<u64>) -> Status {
    let metadata = handle.map(|handle| (metadata::HANDLE.to_owned(), handle.to_string()));
    let details =
        ErrorDetails::with_error_info(reason.as_str(), DAEMON_DOMAIN, HashMap::from_iter(metadata));
    Status::with_error_details(code, message, details)
}

/// The caller has no such session.
pub(crate) fn no_session() -> Status {
    let message = "the session does not exist: it is over, was never opened, or is not yours";
    daemon(
        Code::NotFound,
        Reason::SessionNotFound,
        message.to_owned(),
        None,
    )
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
    Status::with_error_details(code(name), message, details)
}

/// The gRPC code of an errno. UNAVAILABLE is not among them: it is the daemon's alone.
fn code(errno_name: &str) -> Code {
    match errno_name {
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
    fn no_errno_becomes_unavailable_which_clients_retry_by_themselves() {
        for errno in 1..=133 {
            assert_ne!(of_errno(errno).code(), Code::Unavailable, "errno {errno}");
        }
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
