//! getaddrinfo(3), the one call of this layer that waits: it may ask servers. Its callers keep it off the async workers.

use std::{
    ffi::{CStr, CString, NulError},
    io,
    net::SocketAddr,
    ptr,
};

use farsock_proto::socket::{Domain, Protocol, SocketType};
use socket2::{SockAddr, SockAddrStorage};

use super::socket::Kind;

/// What to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// `None`: the wildcard address (AI_PASSIVE).
    pub(crate) host: Option<CString>,
    /// `None`: port 0.
    pub(crate) service: Option<CString>,
    pub(crate) domain: Option<Domain>,
    pub(crate) kind: Option<SocketType>,
    /// AI_NUMERICHOST.
    pub(crate) numeric_host: bool,
    /// AI_CANONNAME.
    pub(crate) canonical_name: bool,
}

/// What the names mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// In the resolver's order.
    pub(crate) entries: Vec<Entry>,
    /// If asked for.
    pub(crate) canonical_name: Option<String>,
}

/// One entry. Corresponds to struct addrinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) domain: Domain,
    pub(crate) kind: SocketType,
    pub(crate) protocol: i32,
    pub(crate) address: SocketAddr,
}

/// Why getaddrinfo failed.
#[derive(Debug, thiserror::Error)]
#[error("getaddrinfo: {message}")]
pub(crate) struct GetaddrinfoError {
    pub(crate) kind: ErrorKind,
    /// As gai_strerror(3) has it; for EAI_SYSTEM, as strerror(3) has the errno.
    pub(crate) message: String,
}

/// The errors of getaddrinfo(3), by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// EAI_ADDRFAMILY.
    AddressFamily,
    /// EAI_AGAIN.
    Again,
    /// EAI_BADFLAGS.
    BadFlags,
    /// EAI_FAIL.
    Fail,
    /// EAI_FAMILY.
    Family,
    /// EAI_MEMORY.
    Memory,
    /// EAI_NODATA.
    NoData,
    /// EAI_NONAME.
    NoName,
    /// EAI_OVERFLOW.
    Overflow,
    /// EAI_SERVICE.
    Service,
    /// EAI_SOCKTYPE.
    SocketType,
    /// EAI_SYSTEM, with the errno.
    System(i32),
    /// None of these.
    Other(i32),
}

impl ErrorKind {
    /// The name, such as "EAI_NONAME".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AddressFamily => "EAI_ADDRFAMILY",
            Self::Again => "EAI_AGAIN",
            Self::BadFlags => "EAI_BADFLAGS",
            Self::Fail => "EAI_FAIL",
            Self::Family => "EAI_FAMILY",
            Self::Memory => "EAI_MEMORY",
            Self::NoData => "EAI_NODATA",
            Self::NoName => "EAI_NONAME",
            Self::Overflow => "EAI_OVERFLOW",
            Self::Service => "EAI_SERVICE",
            Self::SocketType => "EAI_SOCKTYPE",
            Self::System(_) => "EAI_SYSTEM",
            Self::Other(_) => "EAI_UNKNOWN",
        }
    }

    fn of(code: i32, errno: i32) -> Self {
        /// netdb.h has it, the libc crate does not.
        const EAI_ADDRFAMILY: i32 = -9;
        match code {
            EAI_ADDRFAMILY => Self::AddressFamily,
            libc::EAI_AGAIN => Self::Again,
            libc::EAI_BADFLAGS => Self::BadFlags,
            libc::EAI_FAIL => Self::Fail,
            libc::EAI_FAMILY => Self::Family,
            libc::EAI_MEMORY => Self::Memory,
            libc::EAI_NODATA => Self::NoData,
            libc::EAI_NONAME => Self::NoName,
            libc::EAI_OVERFLOW => Self::Overflow,
            libc::EAI_SERVICE => Self::Service,
            libc::EAI_SOCKTYPE => Self::SocketType,
            libc::EAI_SYSTEM => Self::System(errno),
            other => Self::Other(other),
        }
    }
}

/// A name as getaddrinfo takes it: `None` for the empty one.
pub(crate) fn name(text: &str) -> Result<Option<CString>, NulError> {
    match text {
        "" => Ok(None),
        text => CString::new(text).map(Some),
    }
}

/// Looks names up. Corresponds to getaddrinfo(3); it waits for as long as the host's resolver does.
pub(crate) fn getaddrinfo(query: &Query) -> Result<Answer, GetaddrinfoError> {
    // SAFETY: addrinfo is plain data and pointers, for which all zeros is a value.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    let wanted = Kind::of(
        query.domain.unwrap_or(Domain::Raw(libc::AF_UNSPEC)),
        query.kind.unwrap_or(SocketType::Other(0)),
        Protocol::Default,
    );
    hints.ai_family = wanted.domain;
    hints.ai_socktype = wanted.kind;
    for (asked, flag) in [
        (query.host.is_none(), libc::AI_PASSIVE),
        (query.numeric_host, libc::AI_NUMERICHOST),
        (query.canonical_name, libc::AI_CANONNAME),
    ] {
        if asked {
            hints.ai_flags |= flag;
        }
    }
    // Neither name would be EAI_NONAME; port 0 of the wildcard address is what it means here.
    let service = match (&query.host, &query.service) {
        (None, None) => Some(c"0"),
        (_, service) => service.as_deref(),
    };
    let pointer = |name: Option<&CStr>| name.map_or(ptr::null(), CStr::as_ptr);

    let mut list = List(ptr::null_mut());
    // SAFETY: both names are NULL or terminated and outlive the call, `hints` is initialised, and `list` takes the result.
    let code = unsafe {
        libc::getaddrinfo(
            pointer(query.host.as_deref()),
            pointer(service),
            &raw const hints,
            &raw mut list.0,
        )
    };
    if code != 0 {
        return Err(error(code, &io::Error::last_os_error()));
    }
    Ok(Answer {
        canonical_name: list.iter().find_map(canonical_name),
        entries: list.iter().filter_map(entry).collect(),
    })
}

/// What getaddrinfo allocated; NULL or a list that ends in NULL.
struct List(*mut libc::addrinfo);

impl List {
    fn iter(&self) -> impl Iterator<Item = &libc::addrinfo> {
        // SAFETY: NULL or a node of the list, which lives as long as `self`.
        std::iter::successors(unsafe { self.0.as_ref() }, |node| unsafe {
            node.ai_next.as_ref()
        })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: getaddrinfo allocated it, and nothing points into it any more.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

fn canonical_name(node: &libc::addrinfo) -> Option<String> {
    if node.ai_canonname.is_null() {
        return None;
    }
    // SAFETY: a terminated string that lives as long as the node.
    let name = unsafe { CStr::from_ptr(node.ai_canonname) };
    Some(name.to_string_lossy().into_owned())
}

/// `None` for an address that is neither IPv4 nor IPv6, which getaddrinfo does not return.
fn entry(node: &libc::addrinfo) -> Option<Entry> {
    let mut storage = SockAddrStorage::zeroed();
    if node.ai_addr.is_null() || node.ai_addrlen > storage.size_of() {
        return None;
    }
    // SAFETY: ai_addr points to ai_addrlen bytes, which fit into the storage, as just checked; it is plain data.
    let address = unsafe {
        ptr::copy_nonoverlapping(
            node.ai_addr.cast::<u8>(),
            (&raw mut storage).cast::<u8>(),
            node.ai_addrlen as usize,
        );
        SockAddr::new(storage, node.ai_addrlen)
    };
    let found = Kind {
        domain: node.ai_family,
        kind: node.ai_socktype,
        protocol: node.ai_protocol,
    };
    Some(Entry {
        domain: found.domain(),
        kind: found.socket_type(),
        protocol: node.ai_protocol,
        address: address.as_socket()?,
    })
}

fn error(code: i32, system: &io::Error) -> GetaddrinfoError {
    let kind = ErrorKind::of(code, system.raw_os_error().unwrap_or_default());
    let message = match kind {
        ErrorKind::System(_) => system.to_string(),
        _ => {
            // SAFETY: gai_strerror returns a terminated string that is never freed.
            let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
            text.to_string_lossy().into_owned()
        }
    };
    GetaddrinfoError { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(host: &str, service: &str) -> Query {
        Query {
            host: name(host).unwrap(),
            service: name(service).unwrap(),
            domain: None,
            kind: Some(SocketType::Stream),
            numeric_host: true,
            canonical_name: false,
        }
    }

    #[test]
    fn a_numeric_host_and_port_are_one_entry() {
        let answer = getaddrinfo(&numeric("192.0.2.1", "80")).unwrap();
        assert_eq!(
            answer.entries,
            [Entry {
                domain: Domain::Inet,
                kind: SocketType::Stream,
                protocol: libc::IPPROTO_TCP,
                address: "192.0.2.1:80".parse().unwrap(),
            }]
        );
        assert_eq!(answer.canonical_name, None);
    }

    #[test]
    fn no_names_at_all_are_the_wildcard_address_and_port_0() {
        let query = Query {
            domain: Some(Domain::Inet),
            numeric_host: false,
            ..numeric("", "")
        };
        let answer = getaddrinfo(&query).unwrap();
        assert_eq!(answer.entries[0].address, "0.0.0.0:0".parse().unwrap());
    }

    #[test]
    fn a_canonical_name_is_given_when_asked_for() {
        let query = Query {
            canonical_name: true,
            ..numeric("::1", "")
        };
        let answer = getaddrinfo(&query).unwrap();
        assert_eq!(answer.canonical_name.as_deref(), Some("::1"));
    }

    #[test]
    fn errors_have_their_names() {
        let kind_of = |query: &Query| getaddrinfo(query).unwrap_err().kind;
        assert_eq!(kind_of(&numeric("no.number", "")).name(), "EAI_NONAME");
        assert_eq!(kind_of(&numeric("::1", "no-such")).name(), "EAI_SERVICE");
        let unix = Query {
            domain: Some(Domain::Unix),
            ..numeric("::1", "")
        };
        assert_eq!(kind_of(&unix).name(), "EAI_FAMILY");
    }

    #[test]
    fn a_nul_in_a_name_is_told() {
        assert!(name("a\0b").is_err());
    }
}
