//! Unix sockets: boundaries, names, descriptors and credentials.

use std::io::Read;

use farsock_proto::{address::UnixAddress, message::Credentials};

use super::*;
use crate::sys::socket::is_socket;

fn unix_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    pair(Domain::Unix, kind, Protocol::Default)
}

#[test]
fn datagrams_tell_the_senders_name_if_it_has_one() -> io::Result<()> {
    let unix = || create(Domain::Unix, SocketType::Dgram, Protocol::Default);
    let (receiver, sender) = (unix()?, unix()?);
    bind(receiver.as_fd(), &Address::Unix(UnixAddress::Unnamed))?;
    let address = local_address(receiver.as_fd())?;
    send(sender.as_fd(), b"nobody", NONE, address.as_ref())?;
    assert_eq!(receive_one(&receiver, 10, NONE)?.address, None);

    let name = Address::Unix(UnixAddress::Abstract(format!("a\0b{}", std::process::id())));
    bind(sender.as_fd(), &name)?;
    send(sender.as_fd(), b"somebody", NONE, address.as_ref())?;
    let received = receive_one(&receiver, 4, NONE)?;
    assert_eq!(received.address, Some(name));
    assert_eq!(
        (received.data.as_ref(), received.full_length),
        (&b"some"[..], 8)
    );
    assert_eq!(received.flags, MessageFlags::TRUNC);
    Ok(())
}

#[test]
fn seqpackets_keep_their_boundaries_and_tell_their_length() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Seqpacket)?;
    send(a.as_fd(), b"first", NONE, None)?;
    send(a.as_fd(), b"second", NONE, None)?;
    let received = receive_one(&b, 3, NONE)?;
    assert_eq!(
        (received.data.as_ref(), received.full_length),
        (&b"fir"[..], 5)
    );
    assert_eq!(received.flags, MessageFlags::TRUNC);
    assert_eq!(receive_one(&b, 10, NONE)?.data.as_ref(), b"second");
    drop(a);
    assert_eq!(receive_one(&b, 10, NONE)?.full_length, 0);
    Ok(())
}

#[test]
fn trunc_on_a_unix_stream_changes_nothing() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Stream)?;
    send(a.as_fd(), b"abc", NONE, None)?;
    let received = receive(Inbound::of(&b)?, 2, MessageFlags::TRUNC, false)?;
    assert_eq!(
        (received.data.as_ref(), received.full_length),
        (&b"ab"[..], 2)
    );
    Ok(())
}

#[test]
fn sent_sockets_arrive_and_other_descriptors_are_closed_and_counted() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Stream)?;
    let (passed, peer) = unix_pair(SocketType::Stream)?;
    let (mut reader, writer) = io::pipe()?;
    let rights = SentRights(vec![passed.as_fd(), writer.as_fd()]);
    let message = outgoing(b"x", None, &[ControlMessage::Rights(rights)]);
    assert_eq!(send_messages(a.as_fd(), &[message], NONE)?, [1]);
    drop((writer, passed));

    let mut received = receive_messages(Inbound::of(&b)?, 1, 10, 1024, NONE)?.messages;
    let control = &mut received[0].control;
    let Some(ControlMessage::Rights(rights)) = control.pop() else {
        panic!("no rights came");
    };
    assert_eq!(rights.discarded, 1);
    assert_eq!(
        reader.read(&mut [0; 1])?,
        0,
        "the pipe's only writer is closed"
    );
    let [socket] = &rights.sockets[..] else {
        panic!("one socket was sent");
    };
    assert!(is_socket(socket.as_fd()));
    send(socket.as_fd(), b"through", NONE, None)?;
    let through = receive(Inbound::of(&peer)?, 10, NONE, false)?;
    assert_eq!(through.data.as_ref(), b"through");
    Ok(())
}

#[test]
fn a_file_that_arrives_is_left_open_for_who_may_wait_for_its_close() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Dgram)?;
    let file = std::fs::File::open("/proc/self/exe")?;
    let rights = ControlMessage::Rights(SentRights(vec![file.as_fd()]));
    send_messages(a.as_fd(), &[outgoing(b"", None, &[rights])], NONE)?;
    let mut received = receive_with_control(&b)?;
    let Some(ControlMessage::Rights(rights)) = received.control.pop() else {
        panic!("no rights came");
    };
    assert_eq!((rights.sockets.len(), rights.discarded), (0, 1));
    let [other] = &rights.others[..] else {
        panic!("it was closed");
    };
    assert!(crate::sys::socket::closes_slowly(other.as_fd()));
    Ok(())
}

#[test]
fn received_sockets_cannot_make_a_call_wait() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Dgram)?;
    let blocking = std::net::TcpListener::bind("127.0.0.1:0")?;
    let rights = ControlMessage::Rights(SentRights(vec![blocking.as_fd()]));
    send_messages(a.as_fd(), &[outgoing(b"", None, &[rights])], NONE)?;
    let mut received = receive_with_control(&b)?;
    let Some(ControlMessage::Rights(rights)) = received.control.pop() else {
        panic!("no rights came");
    };
    assert_eq!(errno(accept(rights.sockets[0].as_fd())), Some(libc::EAGAIN));
    Ok(())
}

#[test]
fn descriptors_without_room_for_them_are_closed_and_told_by_ctrunc() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Dgram)?;
    let (mut reader, writer) = io::pipe()?;
    let rights = || ControlMessage::Rights(SentRights(vec![writer.as_fd(), writer.as_fd()]));
    for _ in 0..2 {
        send_messages(a.as_fd(), &[outgoing(b"x", None, &[rights()])], NONE)?;
    }
    let plain = receive_one(&b, 10, NONE)?;
    assert_eq!(plain.flags, MessageFlags::CTRUNC);
    // Room for one descriptor.
    let received = receive_messages(Inbound::of(&b)?, 1, 10, 20, NONE)?.messages;
    assert_eq!(received[0].flags, MessageFlags::CTRUNC);
    let [ControlMessage::Rights(rights)] = &received[0].control[..] else {
        panic!("no rights came");
    };
    assert_eq!((rights.sockets.len(), rights.discarded), (0, 1));
    drop(writer);
    assert_eq!(reader.read(&mut [0; 1])?, 0);
    Ok(())
}

#[test]
fn credentials_are_the_senders_and_a_pidfd_is_closed_unseen() -> io::Result<()> {
    let (a, b) = unix_pair(SocketType::Dgram)?;
    set(&b, libc::SOL_SOCKET, libc::SO_PASSCRED, 1)?;
    // Linux 6.5 and later have it.
    let pidfd = set(&b, libc::SOL_SOCKET, libc::SO_PASSPIDFD, 1).is_ok();
    let own = Credentials {
        pid: std::process::id().try_into().expect("a pid"),
        uid: nix::unistd::getuid().as_raw(),
        gid: nix::unistd::getgid().as_raw(),
    };
    let explicit = [ControlMessage::Credentials(own)];
    for control in [&[][..], &explicit] {
        send_messages(a.as_fd(), &[outgoing(b"x", None, control)], NONE)?;
        let received = receive_with_control(&b)?;
        assert_eq!(received.flags, NONE);
        let [ControlMessage::Credentials(credentials)] = &received.control[..] else {
            panic!("received {:?}", received.control);
        };
        assert_eq!(*credentials, own);
    }
    if pidfd {
        for entry in std::fs::read_dir("/proc/self/fd")? {
            // Another test's descriptor may be gone by now.
            let target = std::fs::read_link(entry?.path()).unwrap_or_default();
            assert!(
                !target.to_string_lossy().contains("pidfd"),
                "a pidfd is left open"
            );
        }
    }
    Ok(())
}
