//! sockaddr structures, read and written field by field from their man pages.

use std::{
    mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use farsock_client::{Address, RawAddress, UnixAddress, VsockAddress};

/// What getsockname(2) and its like write into.
pub(super) const ROOM: usize = 128;

/// The bytes of the sockaddr that says `address`.
pub(super) fn encode(address: &Address) -> Vec<u8> {
    let family = |number: i32| {
        u16::try_from(number)
            .expect("families are small")
            .to_ne_bytes()
            .to_vec()
    };
    match address {
        Address::Ip(SocketAddr::V4(address)) => {
            let mut bytes = family(libc::AF_INET);
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend([0; 8]);
            bytes
        }
        Address::Ip(SocketAddr::V6(address)) => {
            let mut bytes = family(libc::AF_INET6);
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.flowinfo().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend(address.scope_id().to_ne_bytes());
            bytes
        }
        Address::Unix(UnixAddress::Path(path)) => {
            let mut bytes = family(libc::AF_UNIX);
            bytes.extend(path.as_bytes());
            bytes.push(0);
            bytes
        }
        Address::Unix(UnixAddress::Abstract(name)) => {
            let mut bytes = family(libc::AF_UNIX);
            bytes.push(0);
            bytes.extend(name.as_bytes());
            bytes
        }
        Address::Unix(UnixAddress::Unnamed) => family(libc::AF_UNIX),
        Address::Vsock(address) => {
            let mut bytes = family(libc::AF_VSOCK);
            bytes.extend([0; 2]);
            bytes.extend(address.port.to_ne_bytes());
            bytes.extend(address.cid.to_ne_bytes());
            bytes.extend([0; 4]);
            bytes
        }
        Address::Raw(RawAddress { family, data }) => {
            let mut bytes = family.to_ne_bytes().to_vec();
            bytes.extend(data);
            bytes
        }
        // connect(2) asks for at least a struct sockaddr's family; the usual call gives a whole one.
        Address::Unspecified => {
            let mut bytes = family(libc::AF_UNSPEC);
            bytes.extend([0; 14]);
            bytes
        }
    }
}

/// The address that the kernel wrote; none if it wrote none.
pub(super) fn decode(bytes: &[u8]) -> Option<Address> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let family = u16::from_ne_bytes(*family);
    let typed = match i32::from(family) {
        libc::AF_INET => ipv4(rest),
        libc::AF_INET6 => ipv6(rest),
        libc::AF_UNIX => Some(Address::Unix(unix(rest))),
        libc::AF_VSOCK => vsock(rest),
        _ => None,
    };
    Some(typed.unwrap_or_else(|| {
        Address::Raw(RawAddress {
            family,
            data: rest.to_vec().into(),
        })
    }))
}

fn ipv4(rest: &[u8]) -> Option<Address> {
    let port = u16::from_be_bytes(*rest.first_chunk()?);
    let host = Ipv4Addr::from(*rest.get(2..)?.first_chunk::<4>()?);
    Some(Address::Ip(SocketAddrV4::new(host, port).into()))
}

fn ipv6(rest: &[u8]) -> Option<Address> {
    let port = u16::from_be_bytes(*rest.first_chunk()?);
    let flow = u32::from_be_bytes(*rest.get(2..)?.first_chunk()?);
    let host = Ipv6Addr::from(*rest.get(6..)?.first_chunk::<16>()?);
    let scope = u32::from_ne_bytes(*rest.get(22..)?.first_chunk()?);
    Some(Address::Ip(
        SocketAddrV6::new(host, port, flow, scope).into(),
    ))
}

fn unix(rest: &[u8]) -> UnixAddress {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("cases use UTF-8 names");
    match rest {
        [] => UnixAddress::Unnamed,
        [0, name @ ..] => UnixAddress::Abstract(text(name)),
        path => UnixAddress::Path(text(path.split(|byte| *byte == 0).next().unwrap_or(path))),
    }
}

fn vsock(rest: &[u8]) -> Option<Address> {
    Some(Address::Vsock(VsockAddress {
        port: u32::from_ne_bytes(*rest.get(2..)?.first_chunk()?),
        cid: u32::from_ne_bytes(*rest.get(6..)?.first_chunk()?),
    }))
}

const _: () = assert!(mem::size_of::<libc::sockaddr_storage>() == ROOM);
