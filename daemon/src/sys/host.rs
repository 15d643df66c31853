//! The host: kernel, clocks, interfaces, and which sockets can be created.

use std::{collections::BTreeMap, io, net::IpAddr, os::fd::AsRawFd, time::Duration};

use farsock_proto::socket::{Domain, Protocol, SocketType};
use nix::{
    net::if_::{InterfaceFlags, if_nametoindex},
    sys::socket::SockaddrStorage,
};
use socket2::Socket;

use super::{
    errno::{check, is_shortage, name_of},
    socket,
};

/// The kernel and the host's name. Corresponds to uname(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) host_name: String,
    pub(crate) release: String,
    pub(crate) version: String,
    pub(crate) machine: String,
}

/// The host's clocks, read one right after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// CLOCK_REALTIME, since 1970.
    pub(crate) realtime: Duration,
    /// CLOCK_MONOTONIC.
    pub(crate) monotonic: Duration,
    /// CLOCK_BOOTTIME.
    pub(crate) boottime: Duration,
}

/// A network interface. Corresponds to netdevice(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) running: bool,
    pub(crate) loopback: bool,
    pub(crate) multicast: bool,
    pub(crate) point_to_point: bool,
    /// In bytes.
    pub(crate) mtu: u32,
    pub(crate) hardware_address: Option<[u8; 6]>,
    pub(crate) addresses: Vec<InterfaceAddress>,
}

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceAddress {
    pub(crate) address: IpAddr,
    /// In bits.
    pub(crate) prefix_length: u32,
    pub(crate) broadcast: Option<IpAddr>,
}

/// A kind of socket, and the errno's name if this host could not make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Support {
    pub(crate) domain: Domain,
    pub(crate) kind: SocketType,
    pub(crate) protocol: Protocol,
    pub(crate) refused: Option<&'static str>,
    /// Whether that says nothing of another time: descriptors or memory were short.
    pub(crate) short: bool,
}

/// Names the kernel. Corresponds to uname(2).
pub(crate) fn kernel() -> io::Result<Kernel> {
    let uname = nix::sys::utsname::uname()?;
    let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
    Ok(Kernel {
        name: text(uname.sysname()),
        host_name: text(uname.nodename()),
        release: text(uname.release()),
        version: text(uname.version()),
        machine: text(uname.machine()),
    })
}

/// Reads the clocks. Corresponds to clock_gettime(2).
pub(crate) fn clocks() -> io::Result<Clocks> {
    Ok(Clocks {
        realtime: clock(libc::CLOCK_REALTIME)?,
        monotonic: clock(libc::CLOCK_MONOTONIC)?,
        boottime: clock(libc::CLOCK_BOOTTIME)?,
    })
}

/// CLOCK_MONOTONIC; 0 on a host without it, which Linux is not.
pub(crate) fn monotonic() -> Duration {
    clock(libc::CLOCK_MONOTONIC).unwrap_or_default()
}

/// Lists the interfaces by index, upwards, each with its addresses in the kernel's order. Corresponds to getifaddrs(3).
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let control = Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None)?;
    let mut interfaces = BTreeMap::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        // An IPv4 address can have a label, "eth0:1", in place of the name.
        let name = match entry.interface_name.split_once(':') {
            Some((name, _)) => name,
            None => &entry.interface_name,
        };
        // One that has gone meanwhile.
        let Ok(index) = if_nametoindex(name) else {
            continue;
        };
        let interface = interfaces.entry(index).or_insert_with(|| Interface {
            index,
            name: name.to_owned(),
            up: entry.flags.contains(InterfaceFlags::IFF_UP),
            running: entry.flags.contains(InterfaceFlags::IFF_RUNNING),
            loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            multicast: entry.flags.contains(InterfaceFlags::IFF_MULTICAST),
            point_to_point: entry.flags.contains(InterfaceFlags::IFF_POINTOPOINT),
            mtu: mtu(&control, name).unwrap_or_default(),
            hardware_address: None,
            addresses: Vec::new(),
        });
        let Some(address) = entry.address else {
            continue;
        };
        if let Some(link) = address.as_link_addr() {
            // The loopback's is all zeros.
            interface.hardware_address = link
                .addr()
                .filter(|octets| link.halen() == octets.len() && *octets != [0; 6]);
        } else if let Some(address) = ip(&address) {
            interface.addresses.push(InterfaceAddress {
                address,
                prefix_length: entry.netmask.as_ref().and_then(ip).map_or(0, prefix_length),
                broadcast: entry.broadcast.as_ref().and_then(ip),
            });
        }
    }
    Ok(interfaces.into_values().collect())
}

/// Finds out which sockets can be created, by creating and closing them. Corresponds to socket(2). Can load kernel modules, so it
/// may take a while.
pub(crate) fn probe() -> Vec<Support> {
    PROBED
        .into_iter()
        .map(|(domain, kind, protocol)| {
            let error = socket::create(domain, kind, protocol).err();
            Support {
                domain,
                kind,
                protocol,
                refused: error.as_ref().map(name_of),
                short: error.as_ref().is_some_and(is_shortage),
            }
        })
        .collect()
}

/// The combinations that [`probe`] tries: every domain's types with their usual protocol, and the protocols that a kernel may lack
/// or ask a privilege for.
const PROBED: [(Domain, SocketType, Protocol); 31] = {
    use Domain::{Inet, Inet6, Netlink, Packet, Unix, Vsock};
    use SocketType::{Dgram, Raw, Seqpacket, Stream};
    [
        (Unix, Stream, Protocol::Default),
        (Unix, Dgram, Protocol::Default),
        (Unix, Seqpacket, Protocol::Default),
        (Inet, Stream, Protocol::Default),
        (Inet, Stream, Protocol::Tcp),
        (Inet, Stream, Protocol::Mptcp),
        (Inet, Stream, Protocol::Sctp),
        (Inet, Dgram, Protocol::Default),
        (Inet, Dgram, Protocol::Udp),
        (Inet, Dgram, Protocol::Udplite),
        (Inet, Dgram, Protocol::Icmp),
        (Inet, Seqpacket, Protocol::Sctp),
        (Inet, Raw, Protocol::Icmp),
        (Inet, Raw, Protocol::Raw),
        (Inet6, Stream, Protocol::Default),
        (Inet6, Stream, Protocol::Tcp),
        (Inet6, Stream, Protocol::Mptcp),
        (Inet6, Stream, Protocol::Sctp),
        (Inet6, Dgram, Protocol::Default),
        (Inet6, Dgram, Protocol::Udp),
        (Inet6, Dgram, Protocol::Udplite),
        (Inet6, Dgram, Protocol::Icmpv6),
        (Inet6, Seqpacket, Protocol::Sctp),
        (Inet6, Raw, Protocol::Icmpv6),
        (Inet6, Raw, Protocol::Raw),
        (Vsock, Stream, Protocol::Default),
        (Vsock, Dgram, Protocol::Default),
        (Vsock, Seqpacket, Protocol::Default),
        (Packet, Dgram, Protocol::Default),
        (Packet, Raw, Protocol::Default),
        (Netlink, Raw, Protocol::Default),
    ]
};

fn clock(id: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a timespec that the kernel may write for the length of the call.
    check(unsafe { libc::clock_gettime(id, &raw mut time) })?;
    Ok(Duration::new(
        // Before 1970 is no time that a daemon could run at.
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    ))
}

/// The largest packet of an interface. Corresponds to SIOCGIFMTU of netdevice(7).
fn mtu(control: &Socket, name: &str) -> io::Result<u32> {
    // SAFETY: ifreq is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays NUL.
    let room = request.ifr_name.len() - 1;
    if name.len() > room {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: `request` is an ifreq with a terminated name, which the kernel may write for the length of the call.
    check(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) })?;
    // SAFETY: the call succeeded, so this member of the union is the one that was written.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(u32::try_from(mtu).unwrap_or_default())
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        Some(IpAddr::V4(v4.ip()))
    } else {
        address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
    }
}

fn prefix_length(netmask: IpAddr) -> u32 {
    match netmask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_listed_with_its_address_and_without_a_hardware_address() {
        let interfaces = interfaces().unwrap();
        let loopback = interfaces.iter().find(|one| one.loopback).unwrap();
        assert_eq!(loopback.name, "lo");
        assert!(loopback.mtu >= 1280);
        assert_eq!(loopback.hardware_address, None);
        assert!(loopback.addresses.iter().any(|entry| {
            entry.address == IpAddr::from([127, 0, 0, 1]) && entry.prefix_length == 8
        }));
        assert!(interfaces.is_sorted_by_key(|one| one.index));
    }

    #[test]
    fn the_probe_finds_tcp_and_names_the_errno_of_what_is_missing() {
        let support = probe();
        assert!(support.iter().any(|one| {
            (one.domain, one.kind, one.protocol)
                == (Domain::Inet, SocketType::Stream, Protocol::Tcp)
                && one.refused.is_none()
        }));
        for refused in support.iter().filter_map(|one| one.refused) {
            assert!(refused.starts_with('E'), "{refused}");
        }
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back_and_boottime_is_not_behind_it() {
        let first = clocks().unwrap();
        let second = clocks().unwrap();
        assert!(second.monotonic >= first.monotonic);
        assert!(second.boottime >= second.monotonic);
        assert!(second.realtime > Duration::from_secs(1_600_000_000));
    }

    #[test]
    fn the_kernel_is_linux() {
        assert_eq!(kernel().unwrap().name, "Linux");
    }
}
