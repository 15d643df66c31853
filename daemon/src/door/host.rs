//! The door of HostService: what the daemon's host is, and what works there.

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use farsock_proto::{
    Violation,
    reason::{DAEMON_DOMAIN, ERRNO_DOMAIN, GETADDRINFO_DOMAIN, Reason, metadata},
    socket::{Domain, SocketType},
    time,
    v1::{self, host_service_server::HostService},
};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    engine::Engine,
    host::{ResolveError, Resolver, SocketProbe},
    operation::{MAX_MESSAGES, MAX_PAYLOAD},
    shutdown::Shutdown,
    sys::{
        host::{self, Interface, Support},
        option,
        process::{self, Capabilities, Capability},
        resolve::{self, Entry, ErrorKind, GetaddrinfoError, Query},
    },
};

/// The largest page of ListInterfaces, and the page that a caller gets who does not say.
const MAX_PAGE: usize = 1000;
const DEFAULT_PAGE: usize = 100;

/// The longest names that are handed to the resolver, in bytes: NI_MAXHOST less its NUL, and as much again as any service needs.
const MAX_HOST_BYTES: usize = 1024;
const MAX_SERVICE_BYTES: usize = 255;

/// HostService.
#[derive(Debug)]
pub(crate) struct HostDoor {
    engine: Arc<Engine>,
    max_handles: usize,
    sockets: SocketProbe,
    resolver: Resolver,
}

impl HostDoor {
    /// A door to the engine's host that looks up at most `resolve_concurrency` names at once.
    pub(crate) fn new(
        engine: Arc<Engine>,
        max_handles: usize,
        resolve_concurrency: usize,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            engine,
            max_handles,
            sockets: SocketProbe::default(),
            resolver: Resolver::new(resolve_concurrency, shutdown),
        }
    }
}

#[tonic::async_trait]
impl HostService for HostDoor {
    async fn get_host(
        &self,
        _: Request<v1::GetHostRequest>,
    ) -> Result<Response<v1::GetHostResponse>, Status> {
        let kernel = host::kernel().map_err(|error| kernel_status("uname", &error))?;
        Ok(Response::new(v1::GetHostResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: self.engine.instance_id().to_owned(),
            host_name: kernel.host_name,
            kernel: Some(v1::Kernel {
                name: kernel.name,
                release: kernel.release,
                version: kernel.version,
                machine: kernel.machine,
            }),
            limits: Some(v1::Limits {
                max_handles: count(self.max_handles),
                open_handles: count(self.engine.open_handles()),
                max_payload_bytes: count(MAX_PAYLOAD),
                max_messages: count(MAX_MESSAGES).try_into().unwrap_or(u32::MAX),
            }),
            sockets: self.sockets.get().await.iter().map(support).collect(),
            options: options(),
            privileges: privileges(process::effective_capabilities().unwrap_or_default()),
            start_time: Some(time::timestamp_to_wire(self.engine.start_time())),
        }))
    }

    async fn list_interfaces(
        &self,
        request: Request<v1::ListInterfacesRequest>,
    ) -> Result<Response<v1::ListInterfacesResponse>, Status> {
        let page = Page::from_request(request.get_ref()).map_err(|wrong| violations(&[wrong]))?;
        let interfaces = host::interfaces().map_err(|error| kernel_status("getifaddrs", &error))?;
        let (interfaces, next_page_token) = page.of(interfaces);
        Ok(Response::new(v1::ListInterfacesResponse {
            interfaces: interfaces.into_iter().map(interface).collect(),
            next_page_token,
        }))
    }

    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        let (query, timeout) = query(request.get_ref()).map_err(|wrong| violations(&wrong))?;
        let answer = self
            .resolver
            .resolve(query, timeout)
            .await
            .map_err(|error| resolve_status(&error))?;
        Ok(Response::new(v1::ResolveResponse {
            addresses: answer.entries.into_iter().map(resolved).collect(),
            canonical_name: answer.canonical_name.unwrap_or_default(),
        }))
    }

    async fn get_clock(
        &self,
        _: Request<v1::GetClockRequest>,
    ) -> Result<Response<v1::GetClockResponse>, Status> {
        let clocks = host::clocks().map_err(|error| kernel_status("clock_gettime", &error))?;
        Ok(Response::new(v1::GetClockResponse {
            realtime: Some(time::timestamp_to_wire(UNIX_EPOCH + clocks.realtime)),
            monotonic: Some(time::duration_to_wire(clocks.monotonic)),
            boottime: Some(time::duration_to_wire(clocks.boottime)),
        }))
    }
}

/// Every named option, and what this host's kernel does with it.
fn options() -> Vec<v1::OptionSupport> {
    option::all()
        .map(|(name, row)| v1::OptionSupport {
            option: name.into(),
            name: row.name.to_owned(),
            level: row.level_name.to_owned(),
            kind: row.kind().into(),
            settable: row.settable(),
            readable: row.readable(),
            supported: option::supported(row),
        })
        .collect()
}

fn privileges(granted: Capabilities) -> Vec<v1::PrivilegeSupport> {
    [
        (v1::Privilege::NetBindService, Capability::NetBindService),
        (v1::Privilege::NetRaw, Capability::NetRaw),
        (v1::Privilege::NetAdmin, Capability::NetAdmin),
        (v1::Privilege::SysAdmin, Capability::SysAdmin),
    ]
    .into_iter()
    .map(|(privilege, capability)| v1::PrivilegeSupport {
        privilege: privilege.into(),
        granted: granted.has(capability),
    })
    .collect()
}

fn support(support: &Support) -> v1::SocketSupport {
    v1::SocketSupport {
        domain: support.domain.named().unwrap_or_default().into(),
        r#type: support.kind.named().unwrap_or_default().into(),
        protocol: support.protocol.named().unwrap_or_default().into(),
        supported: support.refused.is_none(),
        errno_name: support.refused.clone().unwrap_or_default(),
    }
}

fn interface(interface: Interface) -> v1::Interface {
    let hardware_address = interface
        .hardware_address
        .map_or_else(String::new, |octets| {
            octets.map(|octet| format!("{octet:02x}")).join(":")
        });
    v1::Interface {
        index: interface.index,
        name: interface.name,
        up: interface.up,
        running: interface.running,
        loopback: interface.loopback,
        multicast: interface.multicast,
        point_to_point: interface.point_to_point,
        mtu: interface.mtu,
        hardware_address,
        addresses: interface
            .addresses
            .into_iter()
            .map(|entry| v1::InterfaceAddress {
                address: entry.address.to_string(),
                prefix_length: entry.prefix_length,
                broadcast: entry
                    .broadcast
                    .map_or_else(String::new, |address| address.to_string()),
            })
            .collect(),
    }
}

fn resolved(entry: Entry) -> v1::ResolvedAddress {
    v1::ResolvedAddress {
        domain: entry.domain.named().unwrap_or_default().into(),
        r#type: entry.kind.named().unwrap_or_default().into(),
        raw_protocol: entry.protocol,
        address: Some(entry.address.into()),
    }
}

/// Which interfaces to list: those with an index above `after`, `size` at most.
struct Page {
    after: u32,
    size: usize,
}

impl Page {
    fn from_request(request: &v1::ListInterfacesRequest) -> Result<Self, Violation> {
        let size = match usize::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            _ => {
                return Err(Violation::new(
                    "page_size",
                    format!("{} is not within 0-{MAX_PAGE}", request.page_size),
                ));
            }
        };
        let after = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| {
                Violation::new("page_token", "is not one that ListInterfaces returned")
            })?,
        };
        Ok(Self { after, size })
    }

    /// The page, and the token of the next one, empty if there is none.
    fn of(&self, interfaces: Vec<Interface>) -> (Vec<Interface>, String) {
        let mut rest = interfaces
            .into_iter()
            .filter(|interface| interface.index > self.after);
        let page: Vec<Interface> = rest.by_ref().take(self.size).collect();
        let token = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => last.index.to_string(),
            _ => String::new(),
        };
        (page, token)
    }
}

fn query(request: &v1::ResolveRequest) -> Result<(Query, Option<Duration>), Vec<Violation>> {
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

/// A name for the resolver.
fn name(
    field: &'static str,
    text: &str,
    most: usize,
) -> Result<Option<std::ffi::CString>, Violation> {
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

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn violations(wrong: &[Violation]) -> Status {
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

fn resolve_status(error: &ResolveError) -> Status {
    let (code, reason) = match error {
        ResolveError::Failed(failed) => return getaddrinfo_status(failed),
        ResolveError::Full => (Code::ResourceExhausted, Reason::QuotaExceeded),
        ResolveError::TimedOut => (Code::DeadlineExceeded, Reason::TimedOut),
        ResolveError::Draining => (Code::Unavailable, Reason::Draining),
    };
    let details = ErrorDetails::with_error_info(reason.as_str(), DAEMON_DOMAIN, HashMap::new());
    Status::with_error_details(code, error.to_string(), details)
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

/// What the kernel can answer to uname(2), clock_gettime(2) and getifaddrs(3): that it is out of something.
fn kernel_status(syscall: &str, error: &io::Error) -> Status {
    let mut about = HashMap::from([(metadata::SYSCALL.to_owned(), syscall.to_owned())]);
    if let Some(errno) = error.raw_os_error() {
        about.insert(metadata::ERRNO.to_owned(), errno.to_string());
    }
    let code =
        if process::is_descriptor_shortage(error) || error.kind() == io::ErrorKind::OutOfMemory {
            Code::ResourceExhausted
        } else {
            Code::FailedPrecondition
        };
    let details = ErrorDetails::with_error_info(host::errno_name(error), ERRNO_DOMAIN, about);
    Status::with_error_details(code, format!("{syscall}: {error}"), details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(indices: std::ops::RangeInclusive<u32>) -> Vec<Interface> {
        indices
            .map(|index| Interface {
                index,
                name: format!("eth{index}"),
                up: true,
                running: true,
                loopback: false,
                multicast: false,
                point_to_point: false,
                mtu: 1500,
                hardware_address: Some([2, 0, 0x5e, 0x10, 0, 1]),
                addresses: Vec::new(),
            })
            .collect()
    }

    fn page(size: i32, token: &str) -> Result<Page, Violation> {
        Page::from_request(&v1::ListInterfacesRequest {
            page_size: size,
            page_token: token.to_owned(),
        })
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let mut token = String::new();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (found, next) = page(2, &token).unwrap().of(interfaces(1..=7));
            seen.extend(found.iter().map(|interface| interface.index));
            token = next;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(token, "");
    }

    #[test]
    fn a_page_that_ends_with_the_last_interface_has_no_next_one() {
        let (found, next) = page(7, "").unwrap().of(interfaces(1..=7));
        assert_eq!((found.len(), next.as_str()), (7, ""));
        let (found, _) = page(0, "").unwrap().of(interfaces(1..=101));
        assert_eq!(found.len(), 100);
    }

    #[test]
    fn a_page_out_of_range_and_a_foreign_token_are_told_by_field() {
        for (size, token, field) in [
            (-1, "", "page_size"),
            (1001, "", "page_size"),
            (i32::MIN, "", "page_size"),
            (1, "x", "page_token"),
            (1, "-1", "page_token"),
            (1, "4294967296", "page_token"),
        ] {
            let error = page(size, token).err().unwrap();
            assert_eq!(error.field, field, "{size} {token:?}");
        }
    }

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

    #[test]
    fn a_hardware_address_reads_as_people_write_it() {
        let [first] = interfaces(1..=1).try_into().unwrap();
        assert_eq!(interface(first).hardware_address, "02:00:5e:10:00:01");
    }
}
