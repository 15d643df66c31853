//! Sockets over the real kernel.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
};

use farsock_proto::{
    address::{RawAddress, UnixAddress},
    message::MessageFlags,
};

use super::*;
use crate::sys::{
    message,
    testing::{errno, ip, wait},
};

const LOOPBACK: &str = "127.0.0.1:0";

fn tcp() -> io::Result<OwnedFd> {
    create(Domain::Inet, SocketType::Stream, Protocol::Default)
}

/// A listening TCP socket and its address.
fn listener() -> io::Result<(OwnedFd, Address)> {
    let fd = tcp()?;
    bind(fd.as_fd(), &ip(LOOPBACK))?;
    listen(fd.as_fd(), 7)?;
    let address = local_address(fd.as_fd())?.expect("a bound socket has an address");
    Ok((fd, address))
}

fn socket_address(address: &Address) -> SocketAddr {
    match address {
        Address::Ip(address) => *address,
        other => panic!("{other:?} is no internet address"),
    }
}

#[test]
fn a_new_socket_is_nonblocking_and_closed_on_exec() -> io::Result<()> {
    let (listening, address) = listener()?;
    let _peer = TcpStream::connect(socket_address(&address))?;
    wait(&listening, Events::IN)?;
    let (accepted, _) = accept(listening.as_fd())?;
    let (a, b) = pair(Domain::Unix, SocketType::Dgram, Protocol::Default)?;
    for fd in [&listening, &accepted, &a, &b] {
        // SAFETY: F_GETFL and F_GETFD take no argument.
        let (status, descriptor) = unsafe {
            (
                libc::fcntl(fd.as_raw_fd(), libc::F_GETFL),
                libc::fcntl(fd.as_raw_fd(), libc::F_GETFD),
            )
        };
        assert_ne!(status & libc::O_NONBLOCK, 0);
        assert_ne!(descriptor & libc::FD_CLOEXEC, 0);
    }
    Ok(())
}

#[test]
fn a_raw_type_with_the_creation_flags_is_the_type_without_them() -> io::Result<()> {
    let with_flags = SocketType::Other(libc::SOCK_DGRAM | DESCRIPTOR_FLAGS);
    let fd = create(Domain::Raw(libc::AF_INET6), with_flags, Protocol::Udp)?;
    let kind = kind(fd.as_fd())?;
    assert_eq!(kind.domain(), Domain::Inet6);
    assert_eq!(kind.socket_type(), SocketType::Dgram);
    assert_eq!(kind.protocol(), Protocol::Udp);
    Ok(())
}

#[test]
fn the_kernels_refusals_come_through_as_they_are() -> io::Result<()> {
    let unix = |kind| errno(create(Domain::Unix, kind, Protocol::Tcp));
    assert_eq!(unix(SocketType::Stream), Some(libc::EPROTONOSUPPORT));
    let domain = Domain::Raw(-1);
    assert_eq!(
        errno(create(domain, SocketType::Stream, Protocol::Default)),
        Some(libc::EAFNOSUPPORT)
    );
    let inet = pair(Domain::Inet, SocketType::Stream, Protocol::Default);
    assert_eq!(errno(inet), Some(libc::EOPNOTSUPP));
    let fd = tcp()?;
    assert_eq!(
        errno(bind(fd.as_fd(), &ip("192.0.2.1:1"))),
        Some(libc::EADDRNOTAVAIL)
    );
    assert_eq!(errno(peer_address(fd.as_fd())), Some(libc::ENOTCONN));
    assert_eq!(errno(accept(fd.as_fd())), Some(libc::EINVAL));
    assert_eq!(
        errno(shutdown(fd.as_fd(), ShutdownHow::Both)),
        Some(libc::ENOTCONN)
    );
    Ok(())
}

#[test]
fn a_tcp_connection_goes_through_its_states() -> io::Result<()> {
    let (listening, address) = listener()?;
    assert_eq!(state(listening.as_fd()), State::Listen);
    assert!(super::info::is_listening(listening.as_fd()));
    assert_eq!(receive_queue(listening.as_fd()), Some(0));
    assert_eq!(send_queue(listening.as_fd()), Some(7));
    assert_eq!(errno(accept(listening.as_fd())), Some(libc::EAGAIN));

    let client = tcp()?;
    assert_eq!(state(client.as_fd()), State::Unconnected);
    let connecting = errno(connect(client.as_fd(), &address));
    assert_eq!(connecting, Some(libc::EINPROGRESS));
    wait(&client, Events::OUT)?;
    assert_eq!(state(client.as_fd()), State::Established);
    assert!(take_error(client.as_fd())?.is_none());
    wait(&listening, Events::IN)?;
    assert_eq!(receive_queue(listening.as_fd()), Some(1));
    connect(client.as_fd(), &address).expect("the first call after the end says that it went well");
    let again = errno(connect(client.as_fd(), &address));
    assert_eq!(again, Some(libc::EISCONN));

    let (server, peer) = accept(listening.as_fd())?;
    assert_eq!(peer, local_address(client.as_fd())?);
    assert_eq!(peer_address(client.as_fd())?, Some(address));
    assert_ne!(inode(server.as_fd()), inode(client.as_fd()));

    message::send(client.as_fd(), b"abc", MessageFlags::NONE, None)?;
    wait(&server, Events::IN)?;
    assert_eq!(receive_queue(server.as_fd()), Some(3));
    assert_eq!(send_queue(server.as_fd()), Some(0));
    shutdown(client.as_fd(), ShutdownHow::Write)?;
    wait(&server, Events::RDHUP)?;
    assert_eq!(state(server.as_fd()), State::CloseWait);
    Ok(())
}

#[test]
fn a_refused_connection_leaves_its_error_to_be_taken_once() -> io::Result<()> {
    let (listening, address) = listener()?;
    close(listening)?;
    let fd = tcp()?;
    // On loopback the refusal may be there before connect returns.
    match errno(connect(fd.as_fd(), &address)) {
        Some(libc::ECONNREFUSED) => return Ok(()),
        other => assert_eq!(other, Some(libc::EINPROGRESS)),
    }
    wait(&fd, Events::ERR)?;
    let error = take_error(fd.as_fd())?;
    assert_eq!(
        error.and_then(|error| error.raw_os_error()),
        Some(libc::ECONNREFUSED)
    );
    assert!(take_error(fd.as_fd())?.is_none());
    Ok(())
}

#[test]
fn closing_with_linger_zero_resets_the_connection() -> io::Result<()> {
    let (listening, address) = listener()?;
    let mut peer = TcpStream::connect(socket_address(&address))?;
    let (server, _) = accept(listening.as_fd())?;
    assert_eq!(linger(server.as_fd()), None);
    SockRef::from(&server).set_linger(Some(Duration::from_secs(1)))?;
    assert!(linger(server.as_fd()).is_some());
    set_linger_zero(server.as_fd())?;
    assert_eq!(linger(server.as_fd()), None);
    close(server)?;
    assert_eq!(errno(peer.read(&mut [0; 1])), Some(libc::ECONNRESET));
    Ok(())
}

#[test]
fn the_out_of_band_mark_is_told() -> io::Result<()> {
    let (listening, address) = listener()?;
    let mut peer = TcpStream::connect(socket_address(&address))?;
    let (server, _) = accept(listening.as_fd())?;
    assert_eq!(may_go_on(server.as_fd()), Onward::Empty);
    peer.write_all(b"a")?;
    SockRef::from(&peer).send_out_of_band(b"!")?;
    wait(&server, Events::PRI)?;
    assert!(!at_mark(server.as_fd()));
    assert_eq!(may_go_on(server.as_fd()), Onward::Bytes);
    let before = message::receive(
        message::Inbound::of(&server)?,
        10,
        MessageFlags::NONE,
        false,
    )?;
    assert_eq!(before.data.as_ref(), b"a");
    assert!(at_mark(server.as_fd()));
    assert_eq!(may_go_on(server.as_fd()), Onward::AtMark);
    let urgent = message::receive(message::Inbound::of(&server)?, 10, MessageFlags::OOB, false)?;
    assert_eq!(urgent.data.as_ref(), b"!");
    assert!(urgent.flags.contains(MessageFlags::OOB));
    Ok(())
}

#[test]
fn timeouts_and_the_low_water_mark_are_read_back() -> io::Result<()> {
    let fd = tcp()?;
    assert_eq!(
        (receive_timeout(fd.as_fd()), send_timeout(fd.as_fd())),
        (None, None)
    );
    assert_eq!(receive_low_water(fd.as_fd()), 1);
    let socket = SockRef::from(&fd);
    socket.set_read_timeout(Some(Duration::from_millis(1500)))?;
    socket.set_write_timeout(Some(Duration::from_secs(2)))?;
    assert_eq!(
        receive_timeout(fd.as_fd()),
        Some(Duration::from_millis(1500))
    );
    assert_eq!(send_timeout(fd.as_fd()), Some(Duration::from_secs(2)));
    Ok(())
}

#[test]
fn datagram_sockets_connect_and_dissolve_the_association() -> io::Result<()> {
    let fd = create(Domain::Inet, SocketType::Dgram, Protocol::Default)?;
    assert_eq!(state(fd.as_fd()), State::Unconnected);
    connect(fd.as_fd(), &ip("127.0.0.1:9"))?;
    assert_eq!(state(fd.as_fd()), State::Established);
    connect(fd.as_fd(), &Address::Unspecified)?;
    assert_eq!(errno(peer_address(fd.as_fd())), Some(libc::ENOTCONN));
    Ok(())
}

#[test]
fn unix_names_are_autobound_abstract_with_nul_and_paths() -> io::Result<()> {
    let unix = || create(Domain::Unix, SocketType::Stream, Protocol::Default);
    let fd = unix()?;
    let unnamed = Address::Unix(UnixAddress::Unnamed);
    assert_eq!(local_address(fd.as_fd())?, Some(unnamed.clone()));
    bind(fd.as_fd(), &unnamed)?;
    let Some(Address::Unix(UnixAddress::Abstract(name))) = local_address(fd.as_fd())? else {
        panic!("autobind gives an abstract name");
    };
    assert_eq!(name.len(), 5);

    let fd = unix()?;
    let name = format!("farsock\0test\0{}", std::process::id());
    let address = Address::Unix(UnixAddress::Abstract(name));
    bind(fd.as_fd(), &address)?;
    listen(fd.as_fd(), 1)?;
    assert_eq!(state(fd.as_fd()), State::Listen);
    assert_eq!(local_address(fd.as_fd())?, Some(address.clone()));
    let client = unix()?;
    connect(client.as_fd(), &address)?;
    assert_eq!(peer_address(client.as_fd())?, Some(address));
    let (_server, peer) = accept(fd.as_fd())?;
    assert_eq!(peer, Some(unnamed));
    assert_eq!(state(client.as_fd()), State::Established);
    Ok(())
}

#[test]
fn a_path_without_room_for_its_nul_can_be_bound_and_connected_to() -> io::Result<()> {
    let directory = std::env::temp_dir().join(format!("farsock-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let mut path = directory.join("").into_os_string().into_encoded_bytes();
    path.resize(108, b'x');
    let address = Address::Raw(RawAddress {
        family: 1,
        data: path.clone().into(),
    });
    let run = || {
        let fd = create(Domain::Unix, SocketType::Stream, Protocol::Default)?;
        bind(fd.as_fd(), &address)?;
        listen(fd.as_fd(), 1)?;
        assert_eq!(local_address(fd.as_fd())?, Some(address.clone()));
        let client = create(Domain::Unix, SocketType::Stream, Protocol::Default)?;
        connect(client.as_fd(), &address)?;
        assert_eq!(peer_address(client.as_fd())?, Some(address.clone()));
        Ok(())
    };
    let result = run();
    std::fs::remove_dir_all(&directory)?;
    result
}

#[test]
fn netlink_addresses_are_raw() -> io::Result<()> {
    let fd = create(Domain::Netlink, SocketType::Raw, Protocol::Default)?;
    let any = Address::Raw(RawAddress {
        family: 16,
        data: vec![0; 10].into(),
    });
    bind(fd.as_fd(), &any)?;
    let Some(Address::Raw(bound)) = local_address(fd.as_fd())? else {
        panic!("a netlink address has no typed form");
    };
    assert_eq!((bound.family, bound.data.len()), (16, 10));
    assert_ne!(bound.data[2..6], [0; 4], "the kernel has chosen a port id");
    assert_eq!(state(fd.as_fd()), State::Unspecified);
    Ok(())
}

#[test]
fn only_sockets_are_sockets() -> io::Result<()> {
    let (reader, _writer) = io::pipe()?;
    assert!(!is_socket(reader.as_fd()));
    assert!(is_socket(tcp()?.as_fd()));
    Ok(())
}
