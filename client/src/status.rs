//! Reads a gRPC status: whose error it is, by its `google.rpc.ErrorInfo`, or by the failure of the
//! connection below it.

use std::{error::Error as StdError, io};

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::{ErrorInfo, StatusExt};

use farsock_proto::{
    Violation,
    reason::{DAEMON_DOMAIN, ERRNO_DOMAIN, GETADDRINFO_DOMAIN, Reason, metadata},
};

use crate::ErrorKind;

/// Who said no, and why.
pub(crate) fn kind_of(status: &Status) -> ErrorKind {
    let details = status.get_error_details();
    if let Some(info) = details.error_info()
        && let Some(kind) = kind_of_info(info)
    {
        if kind
            == (ErrorKind::Daemon {
                reason: Reason::InvalidRequest,
            })
        {
            return ErrorKind::InvalidRequest {
                violations: violations(details.bad_request()),
            };
        }
        return kind;
    }
    if details.bad_request().is_some() {
        return ErrorKind::InvalidRequest {
            violations: violations(details.bad_request()),
        };
    }
    match status.code() {
        Code::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        // tonic's own timer says CANCELLED; the daemon's would say DEADLINE_EXCEEDED.
        Code::Cancelled if has_expired(status) => ErrorKind::DeadlineExceeded,
        Code::Unavailable => ErrorKind::Unreachable,
        // A status that came from the daemon has no source here; one that tonic made of a failed
        // connection has.
        _ if status.source().is_some() => ErrorKind::Unreachable,
        _ => ErrorKind::Other,
    }
}

fn kind_of_info(info: &ErrorInfo) -> Option<ErrorKind> {
    match info.domain.as_str() {
        ERRNO_DOMAIN => Some(ErrorKind::Kernel {
            errno: info.metadata.get(metadata::ERRNO)?.parse().ok()?,
            name: info.reason.clone(),
            syscall: info
                .metadata
                .get(metadata::SYSCALL)
                .cloned()
                .unwrap_or_default(),
            handle: info
                .metadata
                .get(metadata::HANDLE)
                .and_then(|handle| handle.parse().ok()),
        }),
        GETADDRINFO_DOMAIN => Some(ErrorKind::GetAddrInfo {
            name: info.reason.clone(),
        }),
        DAEMON_DOMAIN => Some(ErrorKind::Daemon {
            reason: Reason::from_name(&info.reason)?,
        }),
        _ => None,
    }
}

fn violations(bad_request: Option<&tonic_types::BadRequest>) -> Vec<Violation> {
    bad_request.map_or_else(Vec::new, |bad_request| {
        bad_request
            .field_violations
            .iter()
            .map(|violation| Violation::new(&*violation.field, &*violation.description))
            .collect()
    })
}

fn has_expired(status: &Status) -> bool {
    chain(status).any(|error| error.is::<TimeoutExpired>())
}

/// The deepest error below a failed connection: the layers above it only say "transport error".
pub(crate) struct Cause {
    pub(crate) text: String,
    pub(crate) io_kind: Option<io::ErrorKind>,
}

impl Cause {
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let text = match chain(error).last() {
            Some(deepest) => match deepest.downcast_ref::<Status>() {
                Some(status) => status.message().to_owned(),
                None => deepest.to_string(),
            },
            None => error.to_string(),
        };
        let io_kind = chain(error)
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .last()
            .map(io::Error::kind);
        Self { text, io_kind }
    }
}

/// The error and all below it.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn status(code: Code, message: &str, details: ErrorDetails) -> Status {
        Status::with_error_details(code, message, details)
    }

    #[test]
    fn an_errno_keeps_number_name_syscall_and_handle() {
        let metadata = HashMap::from([
            ("errno".to_owned(), "111".to_owned()),
            ("syscall".to_owned(), "connect".to_owned()),
            ("handle".to_owned(), "3".to_owned()),
        ]);
        let details = ErrorDetails::with_error_info("ECONNREFUSED", ERRNO_DOMAIN, metadata);
        let status = status(Code::FailedPrecondition, "Connection refused", details);
        let kernel = ErrorKind::Kernel {
            errno: 111,
            name: "ECONNREFUSED".to_owned(),
            syscall: "connect".to_owned(),
            handle: Some(3),
        };
        assert_eq!(kind_of(&status), kernel);
    }

    #[test]
    fn a_cancelled_call_is_a_deadlines_if_the_own_timer_has_expired() {
        let expired = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(expired.code(), Code::Cancelled);
        assert_eq!(kind_of(&expired), ErrorKind::DeadlineExceeded);

        let cancelled = Status::cancelled("by the peer");
        assert_eq!(kind_of(&cancelled), ErrorKind::Other);
    }

    #[test]
    fn an_errno_of_a_call_without_a_handle_has_none() {
        let metadata = HashMap::from([("errno".to_owned(), "24".to_owned())]);
        let details = ErrorDetails::with_error_info("EMFILE", ERRNO_DOMAIN, metadata);
        let kind = kind_of(&status(Code::ResourceExhausted, "", details));
        assert!(matches!(
            kind,
            ErrorKind::Kernel {
                errno: 24,
                handle: None,
                ..
            }
        ));
    }

    #[test]
    fn each_reason_of_the_daemon_is_known_by_its_name() {
        for reason in Reason::ALL {
            let details =
                ErrorDetails::with_error_info(reason.as_str(), DAEMON_DOMAIN, HashMap::new());
            let kind = kind_of(&status(Code::Unavailable, "", details));
            let expected = match reason {
                Reason::InvalidRequest => ErrorKind::InvalidRequest {
                    violations: Vec::new(),
                },
                reason => ErrorKind::Daemon { reason },
            };
            assert_eq!(kind, expected);
        }
    }

    #[test]
    fn a_reason_that_this_client_does_not_know_leaves_the_code() {
        let details = ErrorDetails::with_error_info("OUT_OF_CHEESE", DAEMON_DOMAIN, HashMap::new());
        assert_eq!(
            kind_of(&status(Code::Aborted, "", details)),
            ErrorKind::Other
        );
    }

    #[test]
    fn violations_keep_field_and_description() {
        let mut details = ErrorDetails::with_error_info(
            Reason::InvalidRequest.as_str(),
            DAEMON_DOMAIN,
            HashMap::new(),
        );
        details.add_bad_request_violation("address.ip.port", "70000 is over 65535");
        let kind = kind_of(&status(Code::InvalidArgument, "", details));
        let violations = vec![Violation::new("address.ip.port", "70000 is over 65535")];
        assert_eq!(kind, ErrorKind::InvalidRequest { violations });
    }

    #[test]
    fn an_error_of_the_resolver_keeps_its_name() {
        let details =
            ErrorDetails::with_error_info("EAI_NONAME", GETADDRINFO_DOMAIN, HashMap::new());
        let kind = kind_of(&status(Code::NotFound, "", details));
        assert_eq!(
            kind,
            ErrorKind::GetAddrInfo {
                name: "EAI_NONAME".to_owned()
            }
        );
    }

    #[test]
    fn a_status_without_details_is_known_by_its_code() {
        assert_eq!(
            kind_of(&Status::unavailable("gone")),
            ErrorKind::Unreachable
        );
        assert_eq!(
            kind_of(&Status::deadline_exceeded("late")),
            ErrorKind::DeadlineExceeded
        );
        assert_eq!(kind_of(&Status::unimplemented("what?")), ErrorKind::Other);
        assert_eq!(kind_of(&Status::internal("oops")), ErrorKind::Other);
    }

    #[test]
    fn a_status_made_of_a_failed_connection_is_unreachable_with_the_deepest_cause() {
        let cause = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        let status = Status::from_error(Box::new(cause));
        assert_eq!(kind_of(&status), ErrorKind::Unreachable);
        let cause = Cause::of(&status);
        assert_eq!(cause.text, "reset by peer");
        assert_eq!(cause.io_kind, Some(io::ErrorKind::ConnectionReset));
    }
}
