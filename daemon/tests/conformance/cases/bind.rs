//! Local addresses: bind(2).

use std::net::{Ipv4Addr, Ipv6Addr};

use farsock_client::{Address, RawAddress, UnixAddress};
use libc::{AF_INET, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET};

use crate::{
    call::Addr,
    kinds::*,
    theme::{Need, Theme},
};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &ALL,
        "bind gives the address that getsockname tells",
        |s, kind| {
            let socket = s.bound(kind);
            s.sock_name(socket);
        },
    );
    theme.each(&ALL, "a socket is bound once", |s, kind| {
        let socket = s.bound(kind);
        let again = s.local(kind);
        s.bind(socket, again).fails("EINVAL");
    });
    theme.each(&ALL, "an address in use is EADDRINUSE", |s, kind| {
        let first = s.bound(kind);
        let second = s.socket(kind);
        s.bind(second, first).fails("EADDRINUSE");
    });
    theme.each(&ALL, "a freed address can be used again", |s, kind| {
        let first = s.bound(kind);
        s.sock_name(first);
        let second = s.socket(kind);
        s.bind(second, first).fails("EADDRINUSE");
        s.close(first);
        // A unix path stays in the file system; a port is free.
        let expected = s.bind(second, first);
        if kind.domain == libc::AF_UNIX {
            expected.fails("EADDRINUSE");
        }
    });
    theme.each(
        &TCP,
        "SO_REUSEADDR lets two sockets that do not listen share an address",
        |s, kind| {
            let first = s.socket(kind);
            s.set(first, SOL_SOCKET, SO_REUSEADDR, 1);
            s.bind(first, any_port(loopback(kind)));
            let second = s.socket(kind);
            s.set(second, SOL_SOCKET, SO_REUSEADDR, 1);
            s.bind(second, first);
            s.listen(first, 4);
            s.listen(second, 4).fails("EADDRINUSE");
        },
    );
    theme.each(
        &TCP,
        "SO_REUSEPORT lets two listeners share an address",
        |s, kind| {
            let first = s.socket(kind);
            s.set(first, SOL_SOCKET, SO_REUSEPORT, 1);
            s.bind(first, any_port(loopback(kind)));
            s.listen(first, 4);
            let second = s.socket(kind);
            s.bind(second, first).fails("EADDRINUSE");
            s.set(second, SOL_SOCKET, SO_REUSEPORT, 1);
            s.bind(second, first);
            s.listen(second, 4);
        },
    );
    theme.each(
        &UDP,
        "SO_REUSEPORT lets two datagram sockets share an address",
        |s, kind| {
            let first = s.socket(kind);
            s.set(first, SOL_SOCKET, SO_REUSEPORT, 1);
            s.bind(first, any_port(loopback(kind)));
            let second = s.socket(kind);
            s.set(second, SOL_SOCKET, SO_REUSEPORT, 1);
            s.bind(second, first);
            // Connected ones come first, so it is known who hears.
            let sender = s.bound(kind);
            s.connect(second, sender);
            s.send_to(sender, "to the connected one", first);
            s.recv_from(second, 64).gives("to the connected one");
        },
    );
    for (name, kind, host) in [
        ("tcp4", TCP4, "192.0.2.1"),
        ("udp4", UDP4, "192.0.2.1"),
        ("tcp6", TCP6, "2001:db8::1"),
        ("udp6", UDP6, "2001:db8::1"),
    ] {
        let address = ip(host.parse::<std::net::IpAddr>().expect("an address"), 0);
        theme.add(
            format!("{name}: an address that the host does not have is EADDRNOTAVAIL"),
            (kind.domain == libc::AF_INET6).then_some(Need::Ipv6),
            |s| {
                let socket = s.socket(kind);
                s.bind(socket, address).fails("EADDRNOTAVAIL");
            },
        );
    }
    for (name, kind, option) in [
        ("tcp4", TCP4, libc::IP_FREEBIND),
        ("udp4", UDP4, libc::IP_FREEBIND),
    ] {
        theme.case(
            format!("{name}: IP_FREEBIND takes an address that the host does not have"),
            |s| {
                let socket = s.socket(kind);
                s.set(socket, libc::SOL_IP, option, 1);
                s.bind(socket, any_port(Ipv4Addr::new(192, 0, 2, 1)));
            },
        );
    }
    theme.each(
        &[("tcp4", TCP4), ("udp4", UDP4)],
        "any address stays so until connected",
        |s, kind| {
            let socket = s.socket(kind);
            s.bind(socket, any_port(Ipv4Addr::UNSPECIFIED));
            let peer = if kind == TCP4 {
                s.listener(kind)
            } else {
                s.bound(kind)
            };
            s.connect(socket, peer);
            s.sock_name(socket);
        },
    );
    theme.case_with(
        "a low port is EACCES for who is not root",
        Need::NoRoot,
        |s| {
            let socket = s.socket(TCP4);
            s.bind(socket, ip(LOCAL4, 81)).either();
        },
    );
    theme.case_with("a low port is root's", Need::Root, |s| {
        // At an address that this process alone uses.
        let [high, low] = u16::try_from(std::process::id() % 65_536)
            .expect("below 65,536")
            .to_be_bytes();
        let socket = s.socket(UDP4);
        s.bind(socket, ip(Ipv4Addr::new(127, 11, high, low), 81));
        s.sock_name(socket).gives(":81");
    });

    // Addresses of the wrong kind.
    theme.case("an IPv6 address for an IPv4 socket is EAFNOSUPPORT", |s| {
        let socket = s.socket(UDP4);
        s.bind(socket, any_port(LOCAL6)).fails("EAFNOSUPPORT");
    });
    theme.case("an IPv4 address for an IPv6 socket is EINVAL", |s| {
        // sockaddr_in is shorter than sockaddr_in6.
        let socket = s.socket(UDP6);
        s.bind(socket, any_port(LOCAL4)).fails("EINVAL");
    });
    theme.case("a unix address for an IPv4 socket is EAFNOSUPPORT", |s| {
        let socket = s.socket(TCP4);
        s.bind(
            socket,
            Addr::Path("a-name-as-long-as-sockaddr_in".to_owned()),
        )
        .fails("EAFNOSUPPORT");
    });
    theme.case("an IPv4 address for a unix socket is EINVAL", |s| {
        let socket = s.socket(UNIX_STREAM);
        s.bind(socket, any_port(LOCAL4)).fails("EINVAL");
    });
    theme.case("a sockaddr that is too short is EINVAL", |s| {
        let socket = s.socket(UDP4);
        s.bind(socket, raw(AF_INET, &[0; 4])).fails("EINVAL");
    });
    theme.case("AF_UNSPEC binds an IPv4 socket to any address", |s| {
        let socket = s.socket(UDP4);
        s.bind(socket, Address::Unspecified);
        s.sock_name(socket).gives("0.0.0.0");
    });
    theme.case("a raw sockaddr is taken as it is", |s| {
        let socket = s.socket(UDP4);
        let mut bytes = vec![0, 0, 127, 0, 0, 1];
        bytes.extend([0; 8]);
        s.bind(socket, raw(AF_INET, &bytes)).gives("127.0.0.1");
    });

    // unix(7).
    theme.case("unix: an abstract name", |s| {
        let socket = s.socket(UNIX_STREAM);
        s.bind(socket, Addr::Abstract("name".to_owned()))
            .gives("$NAME-name");
        s.sock_name(socket).gives("unix-abstract:$NAME-name");
    });
    for (name, kind) in [
        ("stream", UNIX_STREAM),
        ("dgram", UNIX_DGRAM),
        ("seqpacket", UNIX_SEQPACKET),
    ] {
        theme.case(format!("unix {name}: binding to no name autobinds"), |s| {
            let socket = s.socket(kind);
            s.bind(socket, Address::Unix(UnixAddress::Unnamed))
                .gives("autobound-1");
            s.sock_name(socket).gives("autobound-1");
            // A second time it keeps its name.
            s.bind(socket, Address::Unix(UnixAddress::Unnamed))
                .gives("autobound-1");
        });
        theme.case(format!("unix {name}: two autobound names differ"), |s| {
            let first = s.socket(kind);
            s.bind(first, Address::Unix(UnixAddress::Unnamed))
                .gives("autobound-1");
            let second = s.socket(kind);
            s.bind(second, Address::Unix(UnixAddress::Unnamed))
                .gives("autobound-2");
        });
    }
    theme.case(
        "unix: an abstract name in use is EADDRINUSE, and free with its socket",
        |s| {
            let name = || Addr::Abstract("used".to_owned());
            let first = s.socket(UNIX_DGRAM);
            s.bind(first, name());
            let second = s.socket(UNIX_DGRAM);
            s.bind(second, name()).fails("EADDRINUSE");
            s.close(first);
            s.bind(second, name());
        },
    );
    theme.case(
        "unix: a path in a directory that is not there is ENOENT",
        |s| {
            let socket = s.socket(UNIX_STREAM);
            s.bind(socket, Addr::Path("no/where".to_owned()))
                .fails("ENOENT");
        },
    );
    theme.case("unix: a path below a socket is ENOTDIR", |s| {
        let first = s.socket(UNIX_STREAM);
        s.bind(first, Addr::Path("file".to_owned()));
        let second = s.socket(UNIX_STREAM);
        s.bind(second, Addr::Path("file/below".to_owned()))
            .fails("ENOTDIR");
    });
    // ipv6(7).
    theme.case_with(
        "IPv6: V6ONLY leaves the port to IPv4, and its absence takes it",
        Need::Ipv6,
        |s| {
            // Where no other case's port is in the way.
            let nobodys = Ipv4Addr::new(127, 77, 0, 1).into();
            let only = s.socket(TCP6);
            s.set(only, libc::SOL_IPV6, libc::IPV6_V6ONLY, 1);
            s.bind(only, any_port(Ipv6Addr::UNSPECIFIED));
            s.listen(only, 4);
            let four = s.socket(TCP4);
            s.bind(four, Addr::PortOf(only, nobodys));
            let both = s.socket(TCP6);
            s.set(both, libc::SOL_IPV6, libc::IPV6_V6ONLY, 0);
            s.bind(both, any_port(Ipv6Addr::UNSPECIFIED));
            s.listen(both, 4);
            let other = s.socket(TCP4);
            s.bind(other, Addr::PortOf(both, nobodys))
                .fails("EADDRINUSE");
            // Too late.
            s.set(both, libc::SOL_IPV6, libc::IPV6_V6ONLY, 1)
                .fails("EINVAL");
        },
    );
    theme.case_with(
        "IPv6: a link-local address wants a scope id",
        Need::Ipv6,
        |s| {
            let socket = s.socket(UDP6);
            s.bind(
                socket,
                any_port("fe80::1".parse::<Ipv6Addr>().expect("an address")),
            )
            .fails("EINVAL");
        },
    );
    theme.case_with(
        "IPv6: a scope id that is no interface is ENODEV",
        Need::Ipv6,
        |s| {
            let socket = s.socket(UDP6);
            let address =
                std::net::SocketAddrV6::new("fe80::1".parse().expect("an address"), 0, 0, 9999);
            s.bind(socket, Address::from(address)).fails("ENODEV");
        },
    );
    theme.case_with(
        "IPv6: a v4-mapped address needs a socket that takes IPv4",
        Need::Ipv6,
        |s| {
            let mapped = || any_port(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
            let only = s.socket(UDP6);
            s.set(only, libc::SOL_IPV6, libc::IPV6_V6ONLY, 1);
            s.bind(only, mapped()).fails("EINVAL");
            let both = s.socket(UDP6);
            s.set(both, libc::SOL_IPV6, libc::IPV6_V6ONLY, 0);
            s.bind(both, mapped());
            s.sock_name(both).gives("::ffff:127.0.0.1");
        },
    );
    theme
}

fn raw(family: i32, data: &[u8]) -> Address {
    Address::Raw(RawAddress {
        family: u16::try_from(family).expect("families are small"),
        data: data.to_vec().into(),
    })
}
