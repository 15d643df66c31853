//! Memberships against those that libc makes.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    os::fd::AsFd,
};

use farsock_proto::option::{Membership, MulticastInterface, OptionValue, SourceMembership};

use super::{super::*, direct_set, loopback, outcome, row, udp, violation};

/// struct sockaddr_storage of an IPv4 address.
fn storage(address: Ipv4Addr) -> libc::sockaddr_storage {
    // SAFETY: all zeroes are a sockaddr_storage, which is larger than a sockaddr_in and aligned for it.
    unsafe {
        let mut storage: libc::sockaddr_storage = std::mem::zeroed();
        let sockaddr = (&raw mut storage).cast::<libc::sockaddr_in>();
        (*sockaddr).sin_family = libc::AF_INET.try_into().unwrap();
        (*sockaddr).sin_addr.s_addr = u32::from_ne_bytes(address.octets());
        storage
    }
}

fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    }
}

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const NO_ADDRESS: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn an_ipv4_membership_is_the_one_that_libc_makes() {
    let (ours, theirs) = (udp(), udp());
    let interface = MulticastInterface {
        index: loopback(),
        address: NO_ADDRESS,
    };
    let value = OptionValue::Membership(Membership {
        group: GROUP.into(),
        interface,
    });
    let request = libc::ip_mreqn {
        imr_multiaddr: in_addr(GROUP),
        imr_address: in_addr(NO_ADDRESS),
        imr_ifindex: loopback().try_into().unwrap(),
    };
    // The second time it is there already, the third time no more: that the errnos agree shows that the group does.
    for name in [
        "IP_ADD_MEMBERSHIP",
        "IP_ADD_MEMBERSHIP",
        "IP_DROP_MEMBERSHIP",
        "IP_DROP_MEMBERSHIP",
    ] {
        let got = outcome(set(ours.as_fd(), row(name), &value));
        assert_eq!(
            got,
            direct_set(theirs.as_fd(), libc::SOL_IP, row(name).number, &[request])
        );
    }
    // Joined by us and left by libc.
    outcome(set(ours.as_fd(), row("IP_ADD_MEMBERSHIP"), &value)).unwrap();
    direct_set(
        ours.as_fd(),
        libc::SOL_IP,
        libc::IP_DROP_MEMBERSHIP,
        &[request],
    )
    .unwrap();
}

#[test]
fn an_ipv4_source_membership_is_the_one_that_libc_makes() {
    let socket = udp();
    let interface = MulticastInterface {
        index: 0,
        address: Ipv4Addr::LOCALHOST,
    };
    let (group, source) = (GROUP.into(), SOURCE.into());
    let value = OptionValue::SourceMembership(SourceMembership {
        group,
        source,
        interface,
    });
    let request = libc::ip_mreq_source {
        imr_multiaddr: in_addr(GROUP),
        imr_interface: in_addr(Ipv4Addr::LOCALHOST),
        imr_sourceaddr: in_addr(SOURCE),
    };
    let drop = libc::IP_DROP_SOURCE_MEMBERSHIP;
    outcome(set(socket.as_fd(), row("IP_ADD_SOURCE_MEMBERSHIP"), &value)).unwrap();
    direct_set(socket.as_fd(), libc::SOL_IP, drop, &[request]).unwrap();
    assert!(direct_set(socket.as_fd(), libc::SOL_IP, drop, &[request]).is_err());
    assert!(
        outcome(set(
            socket.as_fd(),
            row("IP_DROP_SOURCE_MEMBERSHIP"),
            &value
        ))
        .is_err()
    );
}

#[test]
fn a_group_membership_is_the_one_that_libc_makes() {
    #[repr(C)]
    struct GroupReq {
        interface: u32,
        group: libc::sockaddr_storage,
    }
    #[repr(C)]
    struct GroupSourceReq {
        interface: u32,
        group: libc::sockaddr_storage,
        source: libc::sockaddr_storage,
    }
    let socket = udp();
    let index = loopback();
    let interface = MulticastInterface {
        index,
        address: NO_ADDRESS,
    };
    let group = OptionValue::Membership(Membership {
        group: GROUP.into(),
        interface,
    });
    outcome(set(socket.as_fd(), row("MCAST_JOIN_GROUP"), &group)).unwrap();
    let request = GroupReq {
        interface: index,
        group: storage(GROUP),
    };
    direct_set(
        socket.as_fd(),
        libc::SOL_IP,
        libc::MCAST_LEAVE_GROUP,
        &[request],
    )
    .unwrap();

    let (group, source) = (GROUP.into(), SOURCE.into());
    let value = OptionValue::SourceMembership(SourceMembership {
        group,
        source,
        interface,
    });
    outcome(set(socket.as_fd(), row("MCAST_JOIN_SOURCE_GROUP"), &value)).unwrap();
    let request = GroupSourceReq {
        interface: index,
        group: storage(GROUP),
        source: storage(SOURCE),
    };
    direct_set(
        socket.as_fd(),
        libc::SOL_IP,
        libc::MCAST_LEAVE_SOURCE_GROUP,
        &[request],
    )
    .unwrap();
}

#[test]
fn an_ipv6_membership_takes_either_option() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else {
        return;
    };
    let interface = MulticastInterface {
        index: loopback(),
        address: NO_ADDRESS,
    };
    let group: IpAddr = "ff02::77".parse().unwrap();
    let value = OptionValue::Membership(Membership { group, interface });
    outcome(set(socket.as_fd(), row("IPV6_ADD_MEMBERSHIP"), &value)).unwrap();
    outcome(set(socket.as_fd(), row("MCAST_LEAVE_GROUP"), &value)).unwrap();
    let again = outcome(set(socket.as_fd(), row("IPV6_DROP_MEMBERSHIP"), &value));
    assert_eq!(again, Err(libc::EADDRNOTAVAIL));
}

#[test]
fn a_membership_that_the_option_has_no_room_for_is_a_violation() {
    let socket = udp();
    let none = MulticastInterface {
        index: 0,
        address: NO_ADDRESS,
    };
    let address = MulticastInterface {
        index: 0,
        address: Ipv4Addr::LOCALHOST,
    };
    let index = MulticastInterface {
        index: 1,
        address: NO_ADDRESS,
    };
    let v6: IpAddr = "ff02::77".parse().unwrap();
    let v4: IpAddr = GROUP.into();
    for (name, group, interface, field) in [
        ("IP_ADD_MEMBERSHIP", v6, none, "value.membership.group"),
        ("IPV6_ADD_MEMBERSHIP", v4, none, "value.membership.group"),
        (
            "IPV6_ADD_MEMBERSHIP",
            v6,
            address,
            "value.membership.interface_address",
        ),
        (
            "MCAST_JOIN_GROUP",
            v4,
            address,
            "value.membership.interface_address",
        ),
    ] {
        let value = OptionValue::Membership(Membership { group, interface });
        assert_eq!(
            violation(set(socket.as_fd(), row(name), &value)).field,
            field,
            "{name}"
        );
    }
    for (name, source, interface, field) in [
        (
            "IP_BLOCK_SOURCE",
            v6,
            none,
            "value.source_membership.source",
        ),
        (
            "IP_BLOCK_SOURCE",
            v4,
            index,
            "value.source_membership.interface_index",
        ),
        (
            "MCAST_BLOCK_SOURCE",
            v4,
            address,
            "value.source_membership.interface_address",
        ),
    ] {
        let value = OptionValue::SourceMembership(SourceMembership {
            group: v4,
            source,
            interface,
        });
        assert_eq!(
            violation(set(socket.as_fd(), row(name), &value)).field,
            field,
            "{name}"
        );
    }
}

#[test]
fn the_multicast_interface_is_read_back_as_its_address() {
    let socket = udp();
    let option = row("IP_MULTICAST_IF");
    let by_address = MulticastInterface {
        index: 0,
        address: Ipv4Addr::LOCALHOST,
    };
    let value = OptionValue::MulticastInterface(by_address);
    outcome(set(socket.as_fd(), option, &value)).unwrap();
    assert_eq!(outcome(get(socket.as_fd(), option, None)), Ok(value));
}

#[test]
fn memberships_as_text_name_interfaces_by_name_index_or_address() {
    let socket = udp();
    let text = |name: &str, text: &str| {
        outcome(set(
            socket.as_fd(),
            row(name),
            &OptionValue::Text(text.into()),
        ))
    };
    let index = loopback();
    assert_eq!(text("IP_ADD_MEMBERSHIP", "239.1.2.3 lo"), Ok(()));
    assert_eq!(
        text("IP_ADD_MEMBERSHIP", "239.1.2.3 127.0.0.1"),
        Err(libc::EADDRINUSE)
    );
    assert_eq!(
        text("MCAST_LEAVE_GROUP", &format!("239.1.2.3 {index}")),
        Ok(())
    );
    assert_eq!(
        text("IP_ADD_SOURCE_MEMBERSHIP", "239.1.2.3 127.0.0.9 127.0.0.1"),
        Ok(())
    );
    assert_eq!(
        text("MCAST_LEAVE_SOURCE_GROUP", "239.1.2.3 127.0.0.9 lo"),
        Ok(())
    );
    assert_eq!(text("IP_MULTICAST_IF", "127.0.0.1"), Ok(()));
    assert_eq!(text("IP_MULTICAST_IF", "lo"), Ok(()));
    let Ok(all_options) = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)
    else {
        return;
    };
    let value = OptionValue::Text("ff02::77 lo".into());
    outcome(set(all_options.as_fd(), row("MCAST_JOIN_GROUP"), &value)).unwrap();
    outcome(set(
        all_options.as_fd(),
        row("IPV6_DROP_MEMBERSHIP"),
        &value,
    ))
    .unwrap();
}
