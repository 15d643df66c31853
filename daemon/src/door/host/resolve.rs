//! Resolve: what may be asked, what an answer looks like, and what an error of getaddrinfo(3) becomes.

use std::{collections::HashMap, ffi::CString, time::Duration};

use farsock_proto::{
    Violation,
    reason::{DAEMON_DOMAIN, GETADDRINFO_DOMAIN, Reason, metadata},
    socket::{Domain, SocketType},
    time, v1,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    door,
    resolver::ResolveError,
    sys::resolve::{self, Entry, ErrorKind, GetaddrinfoError, Query},
};

/// The longest names that are handed to the resolver, in bytes: NI_MAXHOST less its NUL, and as much again as any service needs.
const MAX_HOST_BYTES: usize = 1024;
const MAX_SERVICE_BYTES: usize = 255;

/// What to look up, and for how long to wait for it.
pub(super) fn query(
    request: &v1::ResolveRequest,
) -> Result<(Query, Option<Duration>), Vec<Violation>> {
    let mut wrong = Vec::new();
    let host = noted(&mut wrong, name("host", &request.host, MAX_HOST_BYTES));
    let service = noted(
        &mut wrong,
        name("service", &request.service, MAX_SERVICE_BYTES),
    );
    let domain = noted(
        &mut wrong,
        any_or("domain", request.domain, Domain::from_wire),
    );
    let kind = noted(
        &mut wrong,
        any_or("type", request.r#type, SocketType::from_wire),
    );
    let timeout = request.timeout.map(time::duration_from_wire).transpose();
    let timeout = noted(
        &mut wrong,
        timeout.map_err(|violation| violation.within("timeout")),
    );
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let query = Query {
        host,
        service,
        domain,
        kind,
        numeric_host: request.numeric_host,
        canonical_name: request.canonical_name,
    };
    Ok((query, timeout))
}

/// An entry as the API tells it.
pub(super) fn resolved(entry: Entry) -> v1::ResolvedAddress {
    v1::ResolvedAddress {
        domain: entry.domain.named().unwrap_or_default().into(),
        r#type: entry.kind.named().unwrap_or_default().into(),
        raw_protocol: entry.protocol,
        address: Some(entry.address.into()),
    }
}

/// What the caller is told of everything that is wrong with its request.
pub(super) fn violations(wrong: &[Violation]) -> Status {
    let mut details = ErrorDetails::with_error_info(
        Reason::InvalidRequest.as_str(),
        DAEMON_DOMAIN,
        HashMap::new(),
    );
    details.set_bad_request(
        wrong
            .iter()
            .map(|one| FieldViolation::new(one.field.clone(), one.description.clone()))
            .collect::<Vec<_>>(),
    );
    let message: Vec<String> = wrong.iter().map(Violation::to_string).collect();
    Status::with_error_details(Code::InvalidArgument, message.join("; "), details)
}

/// What the caller is told when there is no answer.
pub(super) fn status(error: &ResolveError) -> Status {
    let reason = match error {
        ResolveError::Failed(failed) => return getaddrinfo_status(failed),
        ResolveError::Full => Reason::QuotaExceeded,
        ResolveError::TimedOut => Reason::TimedOut,
        ResolveError::Draining => Reason::Draining,
    };
    door::status::daemon(reason, error.to_string(), None)
}

fn getaddrinfo_status(error: &GetaddrinfoError) -> Status {
    let code = match error.kind {
        ErrorKind::NoName | ErrorKind::NoData => Code::NotFound,
        ErrorKind::Again => Code::Aborted,
        ErrorKind::Service | ErrorKind::SocketType | ErrorKind::Family => Code::InvalidArgument,
        ErrorKind::Memory => Code::ResourceExhausted,
        ErrorKind::AddressFamily
        | ErrorKind::BadFlags
        | ErrorKind::Fail
        | ErrorKind::Overflow
        | ErrorKind::System(_)
        | ErrorKind::Other(_) => Code::FailedPrecondition,
    };
    let mut about = HashMap::new();
    if let ErrorKind::System(errno) = error.kind {
        about.insert(metadata::ERRNO.to_owned(), errno.to_string());
    }
    let details = ErrorDetails::with_error_info(error.kind.name(), GETADDRINFO_DOMAIN, about);
    Status::with_error_details(code, error.to_string(), details)
}

/// A name for the resolver.
fn name(field: &'static str, text: &str, most: usize) -> Result<Option<CString>, Violation> {
    if text.len() > most {
        return Err(Violation::new(
            field,
            format!("has {} bytes, {most} are the most", text.len()),
        ));
    }
    resolve::name(text).map_err(|error| {
        let at = error.nul_position();
        Violation::new(field, format!("has a NUL at byte {at}"))
    })
}

/// The value, or nothing and one more violation: a caller is told all that is wrong at once.
fn noted<T>(wrong: &mut Vec<Violation>, result: Result<Option<T>, Violation>) -> Option<T> {
    result.unwrap_or_else(|violation| {
        wrong.push(violation);
        None
    })
}

/// An enum's number, where 0 means any.
fn any_or<T>(
    field: &'static str,
    number: i32,
    read: fn(i32) -> Result<T, Violation>,
) -> Result<Option<T>, Violation> {
    match number {
        0 => Ok(None),
        number => read(number)
            .map(Some)
            .map_err(|violation| violation.within(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_with_a_query_is_told_at_once() {
        let wrong = query(&v1::ResolveRequest {
            host: "a\0b".to_owned(),
            service: "x".repeat(MAX_SERVICE_BYTES + 1),
            domain: 77,
            r#type: -1,
            timeout: Some(prost_types::Duration {
                seconds: -1,
                nanos: 0,
            }),
            ..v1::ResolveRequest::default()
        })
        .unwrap_err();
        let fields: Vec<&str> = wrong.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["host", "service", "domain", "type", "timeout"]);

        let status = violations(&wrong);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations.len(), 5);
        assert_eq!(details.error_info().unwrap().reason, "INVALID_REQUEST");
    }

    #[test]
    fn an_error_of_getaddrinfo_keeps_its_name() {
        let status = getaddrinfo_status(&GetaddrinfoError {
            kind: ErrorKind::NoName,
            message: "Name or service not known".to_owned(),
        });
        assert_eq!(status.code(), Code::NotFound);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.domain.as_str(), info.reason.as_str()),
            ("getaddrinfo.farsock", "EAI_NONAME")
        );
    }
}
