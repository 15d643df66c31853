//! Socket addresses as the kernel takes and gives them: [`Address`] to sockaddr and back.

use std::{
    ffi::c_int,
    io,
    mem::{offset_of, size_of},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use bytes::Bytes;
use farsock_proto::address::{Address, RawAddress, UnixAddress, VsockAddress};
use libc::{sa_family_t, sockaddr_storage, socklen_t};

/// What a sockaddr_storage holds behind the family.
const DATA: usize = size_of::<sockaddr_storage>() - size_of::<sa_family_t>();
/// What a sockaddr_un holds behind the family.
const SUN_PATH: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path);

/// An address in the kernel's form.
#[derive(Clone, Copy)]
pub(crate) struct SockAddr {
    /// Invariant: the bytes from `len` on are zero or were written by the kernel; all are initialised.
    storage: sockaddr_storage,
    /// Invariant: at most the size of `storage`.
    len: socklen_t,
}

/// An address in the kernel's form. It cannot fail: the limits of [`Address`] are within those of sockaddr_storage (and what were
/// beyond them would be cut off).
pub(crate) fn encode(address: &Address) -> SockAddr {
    match address {
        Address::Ip(SocketAddr::V4(ip)) => SockAddr::new(
            family_number(libc::AF_INET),
            &[&ip.port().to_be_bytes(), &ip.ip().octets(), &[0; 8]],
        ),
        Address::Ip(SocketAddr::V6(ip)) => SockAddr::new(
            family_number(libc::AF_INET6),
            &[
                &ip.port().to_be_bytes(),
                &ip.flowinfo().to_be_bytes(),
                &ip.ip().octets(),
                &ip.scope_id().to_ne_bytes(),
            ],
        ),
        Address::Unix(name) => {
            let family = family_number(libc::AF_UNIX);
            match name {
                UnixAddress::Path(path) => SockAddr::new(family, &[path.as_bytes(), &[0]]),
                UnixAddress::Abstract(name) => SockAddr::new(family, &[&[0], name.as_bytes()]),
                // The family alone is what bind(2) takes as the wish for an autobind.
                UnixAddress::Unnamed => SockAddr::new(family, &[]),
            }
        }
        Address::Vsock(VsockAddress { cid, port }) => SockAddr::new(
            family_number(libc::AF_VSOCK),
            &[&[0; 2], &port.to_ne_bytes(), &cid.to_ne_bytes(), &[0; 4]],
        ),
        Address::Raw(RawAddress { family, data }) => SockAddr::new(*family, &[data]),
        // A whole struct sockaddr, since TCP wants sizeof(sa_family_t) and other protocols more.
        Address::Unspecified => SockAddr::new(family_number(libc::AF_UNSPEC), &[&[0; 14]]),
    }
}

/// The address that `bytes`, a sockaddr of the kernel's, stand for: a typed form if one can hold all it says, else
/// [`Address::Raw`]. `None` if there is no address: a length of 0, or one too short for a family.
pub(crate) fn decode(bytes: &[u8]) -> Option<Address> {
    let (family, data) = bytes.split_first_chunk::<{ size_of::<sa_family_t>() }>()?;
    let family = sa_family_t::from_ne_bytes(*family);
    let typed = match c_int::from(family) {
        libc::AF_INET => decode_inet(data),
        libc::AF_INET6 => decode_inet6(data),
        libc::AF_UNIX => decode_unix(data),
        libc::AF_VSOCK => decode_vsock(data),
        libc::AF_UNSPEC => Some(Address::Unspecified),
        _ => None,
    };
    Some(typed.unwrap_or_else(|| {
        // The kernel puts a NUL behind a path that fills sun_path, but takes an address of that length from nobody.
        let path = c_int::from(family) == libc::AF_UNIX && data.first() != Some(&0);
        let limit = if path { SUN_PATH } else { DATA };
        Address::Raw(RawAddress {
            family,
            data: Bytes::copy_from_slice(&data[..data.len().min(limit)]),
        })
    }))
}

/// The index of the interface called `name`. Corresponds to if_nametoindex(3).
pub(crate) fn zone(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

impl SockAddr {
    /// A sockaddr of `family` with the bytes of `parts` behind it.
    fn new(family: sa_family_t, parts: &[&[u8]]) -> Self {
        let mut bytes = [0; size_of::<sockaddr_storage>()];
        let mut len = 0;
        for part in std::iter::once(&family.to_ne_bytes()[..]).chain(parts.iter().copied()) {
            let part = &part[..part.len().min(bytes.len() - len)];
            bytes[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        Self {
            // SAFETY: both have the same size, and a sockaddr_storage, being integers, has no invalid bit pattern.
            storage: unsafe {
                std::mem::transmute::<[u8; size_of::<sockaddr_storage>()], sockaddr_storage>(bytes)
            },
            len: length(len),
        }
    }

    /// Room for any address, zeroed, with its whole size as length.
    pub(super) fn room() -> Self {
        Self {
            storage: Self::new(0, &[]).storage,
            len: length(size_of::<sockaddr_storage>()),
        }
    }

    /// Calls `call` with a pointer to room for an address and one to its length, as accept(2) and its like take them, and gives
    /// back what it returned, with the address.
    pub(super) fn filled_by<T>(
        call: impl FnOnce(*mut libc::sockaddr, *mut socklen_t) -> io::Result<T>,
    ) -> io::Result<(T, Option<Address>)> {
        let mut room = Self::room();
        let full = room.len;
        let result = call((&raw mut room.storage).cast(), &raw mut room.len)?;
        // The length says how long the address is, which may be more than there was room for.
        room.len = room.len.min(full);
        Ok((result, decode(room.as_bytes())))
    }

    /// The sockaddr, [`len`](Self::len) bytes long.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// Its length.
    pub(crate) fn len(&self) -> socklen_t {
        self.len
    }

    /// The sockaddr's bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: `storage` is initialised throughout and `len` within it, by the invariants of both.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len as usize) }
    }
}

/// Decodes what follows the family in a sockaddr_in.
fn decode_inet(data: &[u8]) -> Option<Address> {
    let (port, data) = data.split_first_chunk::<2>()?;
    let (ip, padding) = data.split_first_chunk::<4>()?;
    (padding.len() == 8).then(|| {
        let ip = Ipv4Addr::from_octets(*ip);
        Address::Ip(SocketAddrV4::new(ip, u16::from_be_bytes(*port)).into())
    })
}

/// Decodes what follows the family in a sockaddr_in6.
fn decode_inet6(data: &[u8]) -> Option<Address> {
    let (port, data) = data.split_first_chunk::<2>()?;
    let (flow_info, data) = data.split_first_chunk::<4>()?;
    let (ip, data) = data.split_first_chunk::<16>()?;
    let scope_id = data.try_into().ok()?;
    Some(Address::Ip(
        SocketAddrV6::new(
            Ipv6Addr::from_octets(*ip),
            u16::from_be_bytes(*port),
            u32::from_be_bytes(*flow_info),
            u32::from_ne_bytes(scope_id),
        )
        .into(),
    ))
}

/// Decodes what follows the family in a sockaddr_un.
fn decode_unix(data: &[u8]) -> Option<Address> {
    let name = match data {
        [] => UnixAddress::Unnamed,
        [0, name @ ..] if name.len() < SUN_PATH => UnixAddress::Abstract(text(name)?),
        [0, ..] => return None,
        path => {
            let path = path.split(|&byte| byte == 0).next()?;
            if path.len() >= SUN_PATH {
                return None;
            }
            UnixAddress::Path(text(path)?)
        }
    };
    Some(Address::Unix(name))
}

/// Decodes what follows the family in a sockaddr_vm.
fn decode_vsock(data: &[u8]) -> Option<Address> {
    let (_reserved, data) = data.split_first_chunk::<2>()?;
    let (port, data) = data.split_first_chunk::<4>()?;
    let (cid, flags) = data.split_first_chunk::<4>()?;
    // svm_flags and padding; a flag has no place in the typed form.
    (flags == [0; 4]).then(|| {
        Address::Vsock(VsockAddress {
            cid: u32::from_ne_bytes(*cid),
            port: u32::from_ne_bytes(*port),
        })
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The form that sockaddr has for one of the AF_* numbers that are spelled out here.
fn family_number(family: c_int) -> sa_family_t {
    family
        .try_into()
        .expect("address families are small positive numbers")
}

/// The length of something within a sockaddr_storage.
fn length(len: usize) -> socklen_t {
    len.try_into()
        .expect("a sockaddr_storage has 128 bytes, which any integer can count")
}

#[cfg(test)]
mod tests;
