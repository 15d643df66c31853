//! Multicast memberships as the kernel takes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use farsock_proto::{
    Violation,
    option::{Membership, MulticastInterface, SourceMembership},
};
use libc::sockaddr_storage;

/// Which of the kernel's structures.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// struct ip_mreqn, ip_mreq_source.
    Ipv4,
    /// struct ipv6_mreq.
    Ipv6,
    /// struct group_req, group_source_req: for both families.
    Group,
}

/// The level of the MCAST_* options for a group.
pub(super) const fn level(group: IpAddr) -> i32 {
    match group {
        IpAddr::V4(_) => libc::SOL_IP,
        IpAddr::V6(_) => libc::SOL_IPV6,
    }
}

/// Encodes a membership.
pub(super) fn membership(form: Form, value: &Membership) -> Result<Vec<u8>, Violation> {
    let Membership { group, interface } = value;
    match form {
        Form::Ipv4 => {
            let group = ipv4("value.membership.group", *group)?;
            Ok(mreqn(group, interface))
        }
        Form::Ipv6 => {
            let group = ipv6("value.membership.group", *group)?;
            no_address("value.membership.interface_address", interface)?;
            Ok([&group.octets()[..], &interface.index.to_ne_bytes()].concat())
        }
        Form::Group => {
            no_address("value.membership.interface_address", interface)?;
            Ok([index(interface), sockaddr(*group)].concat())
        }
    }
}

/// Encodes a source-specific membership; IPv6 has none of its own besides [`Form::Group`].
pub(super) fn source_membership(
    form: Form,
    value: &SourceMembership,
) -> Result<Vec<u8>, Violation> {
    let SourceMembership {
        group,
        source,
        interface,
    } = value;
    if group.is_ipv4() != source.is_ipv4() {
        let description = "is not of the group's family";
        return Err(Violation::new(
            "value.source_membership.source",
            description,
        ));
    }
    match form {
        Form::Ipv4 | Form::Ipv6 => {
            let group = ipv4("value.source_membership.group", *group)?;
            let source = ipv4("value.source_membership.source", *source)?;
            if interface.index != 0 {
                let description =
                    "IP_* options take interface_address; MCAST_* options take an index";
                return Err(Violation::new(
                    "value.source_membership.interface_index",
                    description,
                ));
            }
            // struct ip_mreq_source: imr_multiaddr, imr_interface, imr_sourceaddr.
            Ok([group, interface.address, source]
                .map(|address| address.octets())
                .concat())
        }
        Form::Group => {
            no_address("value.source_membership.interface_address", interface)?;
            Ok([index(interface), sockaddr(*group), sockaddr(*source)].concat())
        }
    }
}

/// Encodes the interface that multicast leaves by.
pub(super) fn interface(value: &MulticastInterface) -> Vec<u8> {
    mreqn(Ipv4Addr::UNSPECIFIED, value)
}

/// struct ip_mreqn: imr_multiaddr, imr_address, imr_ifindex.
fn mreqn(group: Ipv4Addr, interface: &MulticastInterface) -> Vec<u8> {
    [
        group.octets(),
        interface.address.octets(),
        interface.index.to_ne_bytes(),
    ]
    .concat()
}

/// gr_interface, padded to where gr_group begins.
fn index(interface: &MulticastInterface) -> Vec<u8> {
    let mut bytes = interface.index.to_ne_bytes().to_vec();
    bytes.resize(align_of::<sockaddr_storage>().max(4), 0);
    bytes
}

/// struct sockaddr_storage with an address of no port.
fn sockaddr(address: IpAddr) -> Vec<u8> {
    let family = match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    let family = libc::sa_family_t::try_from(family).unwrap_or_default();
    let mut bytes = [family.to_ne_bytes(), [0; 2]].concat();
    match address {
        IpAddr::V4(address) => bytes.extend(address.octets()),
        // sin6_flowinfo comes first.
        IpAddr::V6(address) => bytes.extend([&[0; 4], &address.octets()[..]].concat()),
    }
    bytes.resize(size_of::<sockaddr_storage>(), 0);
    bytes
}

fn ipv4(field: &str, address: IpAddr) -> Result<Ipv4Addr, Violation> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(Violation::new(field, "the option takes an IPv4 address")),
    }
}

fn ipv6(field: &str, address: IpAddr) -> Result<Ipv6Addr, Violation> {
    match address {
        IpAddr::V6(address) => Ok(address),
        IpAddr::V4(_) => Err(Violation::new(field, "the option takes an IPv6 address")),
    }
}

fn no_address(field: &str, interface: &MulticastInterface) -> Result<(), Violation> {
    if interface.address.is_unspecified() {
        return Ok(());
    }
    Err(Violation::new(
        field,
        "the option takes an interface by index alone",
    ))
}
