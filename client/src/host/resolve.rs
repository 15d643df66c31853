//! Names, resolved by the host's own means.

use std::time::Duration;

use farsock_proto::{Violation, v1};

use crate::{
    Address, Client, Domain, Error, Protocol, Result, SocketType,
    call::Rpc,
    convert::{self, Choice},
};

impl Rpc for v1::ResolveRequest {
    type Response = v1::ResolveResponse;
    const PATH: &'static str = "/farsock.v1.HostService/Resolve";
    const VERB: &'static str = "resolve";

    fn wait(&self) -> Option<&prost_types::Duration> {
        self.timeout.as_ref()
    }
}

/// What to resolve names for. Corresponds to getaddrinfo(3)'s hints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolveOptions {
    /// Addresses of one domain alone, which must be one with a name; `None` (default): of any.
    pub domain: Option<Domain>,
    /// Sockets of one type alone, which must be one with a name; `None` (default): of any.
    pub kind: Option<SocketType>,
    /// Only numeric hosts (AI_NUMERICHOST): ask no server. Default: no.
    pub numeric_host: bool,
    /// Ask for the canonical name (AI_CANONNAME). Default: no.
    pub canonical_name: bool,
    /// How long to wait at most; `None` (default): for ever. Past it:
    /// [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub timeout: Option<Duration>,
}

/// What names mean on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The entries, in the resolver's order.
    pub addresses: Vec<ResolvedAddress>,
    /// The canonical name, if asked for.
    pub canonical_name: Option<String>,
}

/// One entry. Corresponds to struct addrinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedAddress {
    /// The domain to create a socket with.
    pub domain: Domain,
    /// The type to create a socket with; `None` if the resolver names none.
    pub kind: Option<SocketType>,
    /// The protocol to create a socket with.
    pub protocol: Protocol,
    /// The address to bind or connect to.
    pub address: Address,
}

impl Client {
    /// Resolves a host name or numeric address (empty: the wildcard address) and a service name or
    /// port number (empty: port 0) on the daemon's host. Corresponds to getaddrinfo(3).
    ///
    /// # Errors
    ///
    /// [`GetAddrInfo`](crate::ErrorKind::GetAddrInfo), such as "EAI_NONAME".
    pub async fn resolve(&self, host: &str, service: &str) -> Result<Resolution> {
        self.resolve_with(host, service, ResolveOptions::default())
            .await
    }

    /// Resolves names for certain sockets, or with a limit. Corresponds to getaddrinfo(3) with
    /// hints.
    ///
    /// # Errors
    ///
    /// As of [`resolve`](Self::resolve), and [`Reason::TimedOut`](crate::Reason::TimedOut).
    pub async fn resolve_with(
        &self,
        host: &str,
        service: &str,
        options: ResolveOptions,
    ) -> Result<Resolution> {
        let domain = hint("domain", options.domain)?;
        let kind = hint("kind", options.kind)?;
        let request = v1::ResolveRequest {
            host: host.to_owned(),
            service: service.to_owned(),
            domain,
            r#type: kind,
            numeric_host: options.numeric_host,
            canonical_name: options.canonical_name,
            timeout: convert::timeout(options.timeout),
        };
        self.ask(request, |response| {
            Ok(Resolution {
                addresses: response
                    .addresses
                    .into_iter()
                    .map(resolved)
                    .collect::<Result<_, _>>()
                    .map_err(|violation: Violation| violation.within("addresses"))?,
                canonical_name: Some(response.canonical_name).filter(|name| !name.is_empty()),
            })
        })
        .await
    }
}

/// The wire's name of a hint; the resolver is not asked by number.
fn hint(field: &str, kind: Option<impl Into<Choice>>) -> Result<i32> {
    match kind.map(Into::into) {
        None => Ok(0),
        Some(Choice::Name(name)) => Ok(name),
        Some(Choice::Number(number)) => Err(Error::invalid_request(Violation::new(
            field,
            format!("{number} has no name; names are resolved for kinds with a name"),
        ))),
    }
}

fn resolved(entry: v1::ResolvedAddress) -> Result<ResolvedAddress, Violation> {
    Ok(ResolvedAddress {
        domain: Domain::from_wire(entry.domain).map_err(|violation| violation.within("domain"))?,
        kind: SocketType::from_wire(entry.r#type).ok(),
        protocol: convert::protocol_by_number(entry.raw_protocol),
        address: convert::address("address", entry.address)?,
    })
}
