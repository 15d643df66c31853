//! Arguments of system calls in the notation of strace(1).

use std::net::SocketAddr;

use farsock_client::{Address, UnixAddress};
pub(super) use farsock_proto::payload::c_string as string;

/// An address as the structure that the call takes.
pub(super) fn sockaddr(address: &Address) -> String {
    match address {
        Address::Ip(SocketAddr::V4(v4)) => format!(
            "{{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"{}\")}}",
            v4.port(),
            v4.ip()
        ),
        Address::Ip(SocketAddr::V6(v6)) => format!(
            "{{sa_family=AF_INET6, sin6_port=htons({}), sin6_flowinfo=htonl({}), \
             inet_pton(AF_INET6, \"{}\", &sin6_addr), sin6_scope_id={}}}",
            v6.port(),
            v6.flowinfo(),
            v6.ip(),
            v6.scope_id()
        ),
        Address::Unix(UnixAddress::Path(path)) => {
            format!(
                "{{sa_family=AF_UNIX, sun_path={}}}",
                string(path.as_bytes())
            )
        }
        Address::Unix(UnixAddress::Abstract(name)) => {
            format!(
                "{{sa_family=AF_UNIX, sun_path=@{}}}",
                string(name.as_bytes())
            )
        }
        Address::Unix(UnixAddress::Unnamed) => "{sa_family=AF_UNIX}".to_owned(),
        Address::Unspecified => "{sa_family=AF_UNSPEC}".to_owned(),
        other => format!("{{{other}}}"),
    }
}

/// The length of the address's structure in bytes, on Linux.
pub(super) fn sockaddr_length(address: &Address) -> usize {
    match address {
        Address::Ip(SocketAddr::V4(_)) | Address::Vsock(_) => 16,
        Address::Ip(SocketAddr::V6(_)) => 28,
        // The family, then the path and its NUL; or a NUL and the name.
        Address::Unix(UnixAddress::Path(name) | UnixAddress::Abstract(name)) => 2 + name.len() + 1,
        Address::Unix(UnixAddress::Unnamed) => 2,
        Address::Raw(raw) => 2 + raw.data.len(),
        Address::Unspecified => 16,
    }
}

/// An address that the kernel filled in, and its length; NULLs if it told none.
pub(super) fn filled_in(address: Option<&Address>) -> String {
    address.map_or_else(
        || "NULL, NULL".to_owned(),
        |address| format!("{}, [{}]", sockaddr(address), sockaddr_length(address)),
    )
}

/// An address that the caller passed, and its length.
pub(super) fn passed(address: &Address) -> String {
    format!("{}, {}", sockaddr(address), sockaddr_length(address))
}
