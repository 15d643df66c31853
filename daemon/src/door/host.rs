//! The door of HostService: what the daemon's host is, and what works there.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use farsock_proto::{
    Violation,
    reason::{DAEMON_DOMAIN, ERRNO_DOMAIN, GETADDRINFO_DOMAIN, Reason, metadata},
    socket::{Domain, Protocol, SocketType},
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
            start_time: Some(self.engine.start_time().into()),
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
        let realtime = wire_duration(clocks.realtime);
        Ok(Response::new(v1::GetClockResponse {
            realtime: Some(prost_types::Timestamp {
                seconds: realtime.seconds,
                nanos: realtime.nanos,
            }),
            monotonic: Some(wire_duration(clocks.monotonic)),
            boottime: Some(wire_duration(clocks.boottime)),
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
        domain: wire_domain(support.domain).into(),
        r#type: wire_type(support.kind).into(),
        protocol: wire_protocol(support.protocol).into(),
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
    let (flow_info, scope_id) = match entry.address {
        std::net::SocketAddr::V4(_) => (0, 0),
        std::net::SocketAddr::V6(v6) => (v6.flowinfo(), v6.scope_id()),
    };
    v1::ResolvedAddress {
        domain: wire_domain(entry.domain).into(),
        r#type: wire_type(entry.kind).into(),
        raw_protocol: entry.protocol,
        address: Some(v1::Address {
            form: Some(v1::address::Form::Ip(v1::IpAddress {
                host: entry.address.ip().to_string(),
                port: entry.address.port().into(),
                flow_info,
                scope_id,
            })),
        }),
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
    let mut note = |violation| wrong.push(violation);
    let mut name = |field, text: &str, most| {
        if text.len() > most {
            note(Violation::new(
                field,
                format!("has {} bytes, {most} are the most", text.len()),
            ));
            return None;
        }
        resolve::name(text).unwrap_or_else(|error| {
            let at = error.nul_position();
            note(Violation::new(field, format!("has a NUL at byte {at}")));
            None
        })
    };
    let host = name("host", &request.host, MAX_HOST_BYTES);
    let service = name("service", &request.service, MAX_SERVICE_BYTES);
    let domain = domain(request.domain).unwrap_or_else(|violation| {
        note(violation);
        None
    });
    let kind = kind(request.r#type).unwrap_or_else(|violation| {
        note(violation);
        None
    });
    let timeout = match request.timeout.map(Duration::try_from) {
        None => None,
        Some(Ok(timeout)) => Some(timeout),
        Some(Err(_)) => {
            note(Violation::new("timeout", "is negative or out of range"));
            None
        }
    };
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

fn domain(number: i32) -> Result<Option<Domain>, Violation> {
    let domain = v1::Domain::try_from(number)
        .map_err(|_| Violation::new("domain", format!("{number} is not a Domain")))?;
    Ok(match domain {
        v1::Domain::Unspecified => None,
        v1::Domain::Unix => Some(Domain::Unix),
        v1::Domain::Inet => Some(Domain::Inet),
        v1::Domain::Inet6 => Some(Domain::Inet6),
        v1::Domain::Vsock => Some(Domain::Vsock),
        v1::Domain::Packet => Some(Domain::Packet),
        v1::Domain::Netlink => Some(Domain::Netlink),
    })
}

fn kind(number: i32) -> Result<Option<SocketType>, Violation> {
    let kind = v1::SocketType::try_from(number)
        .map_err(|_| Violation::new("type", format!("{number} is not a SocketType")))?;
    Ok(match kind {
        v1::SocketType::Unspecified => None,
        v1::SocketType::Stream => Some(SocketType::Stream),
        v1::SocketType::Dgram => Some(SocketType::Dgram),
        v1::SocketType::Seqpacket => Some(SocketType::Seqpacket),
        v1::SocketType::Raw => Some(SocketType::Raw),
    })
}

fn wire_domain(domain: Domain) -> v1::Domain {
    match domain {
        Domain::Unix => v1::Domain::Unix,
        Domain::Inet => v1::Domain::Inet,
        Domain::Inet6 => v1::Domain::Inet6,
        Domain::Vsock => v1::Domain::Vsock,
        Domain::Packet => v1::Domain::Packet,
        Domain::Netlink => v1::Domain::Netlink,
        Domain::Raw(_) => v1::Domain::Unspecified,
    }
}

fn wire_type(kind: SocketType) -> v1::SocketType {
    match kind {
        SocketType::Stream => v1::SocketType::Stream,
        SocketType::Dgram => v1::SocketType::Dgram,
        SocketType::Seqpacket => v1::SocketType::Seqpacket,
        SocketType::Raw => v1::SocketType::Raw,
        SocketType::Other(_) => v1::SocketType::Unspecified,
    }
}

fn wire_protocol(protocol: Protocol) -> v1::Protocol {
    match protocol {
        Protocol::Icmp => v1::Protocol::Icmp,
        Protocol::Tcp => v1::Protocol::Tcp,
        Protocol::Udp => v1::Protocol::Udp,
        Protocol::Icmpv6 => v1::Protocol::Icmpv6,
        Protocol::Sctp => v1::Protocol::Sctp,
        Protocol::Udplite => v1::Protocol::Udplite,
        Protocol::Raw => v1::Protocol::Raw,
        Protocol::Mptcp => v1::Protocol::Mptcp,
        Protocol::Default | Protocol::Other(_) => v1::Protocol::Unspecified,
    }
}

fn wire_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        // Below a thousand million by its type.
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
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
