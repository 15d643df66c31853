//! Payloads, lengths, addresses and flags, over internet sockets and AF_NETLINK.

use super::*;

#[test]
fn datagrams_carry_their_bytes_and_their_senders_address() -> io::Result<()> {
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        let (a, a_address) = udp(loopback)?;
        let (b, b_address) = udp(loopback)?;
        assert_eq!(send(a.as_fd(), b"hello", NONE, Some(&b_address))?, 5);
        let received = receive_one(&b, 100, NONE)?;
        assert_eq!(received.data.as_ref(), b"hello");
        assert_eq!(received.full_length, 5);
        assert_eq!(received.flags, NONE);
        assert_eq!(received.address, Some(a_address));

        send(a.as_fd(), b"again", NONE, Some(&b_address))?;
        wait(&b, Events::IN)?;
        let received = receive(Inbound::of(&b)?, 100, NONE, false)?;
        assert_eq!(received.address, None, "it was not asked for");
    }
    Ok(())
}

#[test]
fn an_empty_queue_is_eagain_at_once() -> io::Result<()> {
    let (fd, _) = udp("127.0.0.1:0")?;
    assert_eq!(
        errno(receive(Inbound::of(&fd)?, 10, NONE, true)),
        Some(libc::EAGAIN)
    );
    let several = receive_messages(Inbound::of(&fd)?, 10, 10, 10, NONE);
    assert_eq!(errno(several), Some(libc::EAGAIN));
    Ok(())
}

#[test]
fn a_truncated_datagram_tells_its_whole_length() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    for length in [0, 4] {
        send(fd.as_fd(), b"0123456789", NONE, Some(&address))?;
        let received = receive_one(&fd, length, NONE)?;
        assert_eq!(received.data.as_ref(), &b"0123456789"[..length]);
        assert_eq!(received.full_length, 10);
        assert_eq!(received.flags, MessageFlags::TRUNC);
    }
    Ok(())
}

#[test]
fn an_empty_datagram_is_a_message() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    assert_eq!(send(fd.as_fd(), b"", NONE, Some(&address))?, 0);
    let received = receive_one(&fd, 10, NONE)?;
    assert_eq!((received.data.len(), received.full_length), (0, 0));
    assert_eq!(received.address, Some(address));
    Ok(())
}

#[test]
fn a_peek_leaves_the_datagram_in_the_queue() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    send(fd.as_fd(), b"stays", NONE, Some(&address))?;
    for flags in [
        MessageFlags::PEEK,
        MessageFlags::from_raw(libc::MSG_PEEK.cast_unsigned()),
        NONE,
    ] {
        assert_eq!(receive_one(&fd, 10, flags)?.data.as_ref(), b"stays");
    }
    assert_eq!(
        errno(receive(Inbound::of(&fd)?, 10, NONE, true)),
        Some(libc::EAGAIN)
    );
    Ok(())
}

#[test]
fn several_messages_travel_in_one_call_each_to_its_address() -> io::Result<()> {
    let (a, a_address) = udp("127.0.0.1:0")?;
    let (b, b_address) = udp("127.0.0.1:0")?;
    let (c, c_address) = udp("127.0.0.1:0")?;
    let messages = [
        outgoing(b"one", Some(&b_address), &[]),
        outgoing(b"", Some(&b_address), &[]),
        outgoing(b"three", Some(&c_address), &[]),
        outgoing(b"four, longer", Some(&b_address), &[]),
    ];
    assert_eq!(send_messages(a.as_fd(), &messages, NONE)?, [3, 0, 5, 12]);

    wait(&b, Events::IN)?;
    let received = receive_messages(Inbound::of(&b)?, 10, 8, 0, NONE)?.messages;
    let contents: Vec<_> = received
        .iter()
        .map(|message| (message.data.as_ref(), message.full_length, message.flags))
        .collect();
    assert_eq!(
        contents,
        [
            (&b"one"[..], 3, NONE),
            (b"", 0, NONE),
            (b"four, lo", 12, MessageFlags::TRUNC)
        ]
    );
    assert!(
        received
            .iter()
            .all(|message| message.address.as_ref() == Some(&a_address))
    );
    assert_eq!(receive_one(&c, 8, NONE)?.data.as_ref(), b"three");
    assert!(send_messages(a.as_fd(), &[], NONE)?.is_empty());
    Ok(())
}

#[test]
fn more_messages_than_one_system_call_takes_are_all_sent() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    let messages = vec![outgoing(b"x", Some(&address), &[]); 1024 + 10];
    let sent = send_messages(fd.as_fd(), &messages, NONE)?;
    assert_eq!(sent, [1; 1024 + 10]);
    Ok(())
}

#[test]
fn a_failing_message_ends_the_call_after_those_before_it() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    let good = outgoing(b"good", Some(&address), &[]);
    let bad = outgoing(b"bad", Some(&ip("[::1]:9")), &[]);
    let sent = send_messages(fd.as_fd(), &[good.clone(), bad.clone(), good], NONE)?;
    assert_eq!(sent, [4]);
    assert_eq!(
        errno(send_messages(fd.as_fd(), &[bad], NONE)),
        Some(libc::EAFNOSUPPORT)
    );
    Ok(())
}

#[test]
fn more_than_the_scratch_may_hold_is_einval() -> io::Result<()> {
    let (fd, _) = udp("127.0.0.1:0")?;
    for length in [(2 << 20) + 1, usize::MAX] {
        let result = receive(Inbound::of(&fd)?, length, NONE, true);
        assert_eq!(errno(result), Some(libc::EINVAL));
        let result = receive_messages(Inbound::of(&fd)?, 2, length, 0, NONE);
        assert_eq!(errno(result), Some(libc::EINVAL));
    }
    Ok(())
}

#[test]
fn a_stream_is_received_in_parts_and_ends_with_nothing() -> io::Result<()> {
    let (client, server) = tcp_pair()?;
    send(client.as_fd(), b"abcdef", NONE, None)?;
    drop(client);
    wait(&server, Events::RDHUP)?;
    for expected in [&b"abcd"[..], b"ef", b""] {
        let received = receive(Inbound::of(&server)?, 4, NONE, true)?;
        assert_eq!(received.data.as_ref(), expected);
        assert_eq!(received.full_length, expected.len());
        assert_eq!((received.flags, received.address), (NONE, None));
    }
    Ok(())
}

#[test]
fn trunc_on_tcp_discards_and_returns_none_of_what_was_received_before() -> io::Result<()> {
    let (client, server) = tcp_pair()?;
    let (udp, address) = udp("127.0.0.1:0")?;
    send(udp.as_fd(), b"secret", NONE, Some(&address))?;
    receive_one(&udp, 100, NONE)?;

    send(client.as_fd(), b"abcdef", NONE, None)?;
    let raw = MessageFlags::from_raw(libc::MSG_TRUNC.cast_unsigned());
    for flags in [
        MessageFlags::TRUNC | MessageFlags::PEEK,
        MessageFlags::TRUNC,
        raw,
    ] {
        wait(&server, Events::IN)?;
        let received = receive(Inbound::of(&server)?, 2, flags, false)?;
        assert_eq!((received.data.len(), received.full_length), (0, 2));
    }
    let received = receive(Inbound::of(&server)?, 10, NONE, false)?;
    assert_eq!(received.data.as_ref(), b"ef");
    Ok(())
}

#[test]
fn a_full_stream_takes_a_part_and_then_nothing() -> io::Result<()> {
    let (client, server) = tcp_pair()?;
    static HUGE: [u8; 8 << 20] = [b'x'; 8 << 20];
    let messages = [
        outgoing(b"ab", None, &[]),
        outgoing(&HUGE, None, &[]),
        outgoing(b"never", None, &[]),
    ];
    let sent = send_messages(client.as_fd(), &messages, NONE)?;
    assert_eq!((sent.len(), sent[0]), (2, 2));
    assert!(0 < sent[1] && sent[1] < HUGE.len());

    let mut rest = messages[1].clone();
    rest.advance(sent[1]);
    assert_eq!(rest.data().len(), HUGE.len() - sent[1]);
    // What is in flight may make room for a little more, until the receiver's window is closed too.
    let mut full = false;
    for _ in 0..10_000 {
        match send(client.as_fd(), rest.data(), NONE, None) {
            Ok(taken) => rest.advance(taken),
            Err(error) => {
                full = error.raw_os_error() == Some(libc::EAGAIN);
                break;
            }
        }
    }
    assert!(full);
    assert_eq!(
        errno(send_messages(client.as_fd(), &[rest], NONE)),
        Some(libc::EAGAIN)
    );

    drop(server);
    wait(&client, Events::ERR)?;
    assert_eq!(
        errno(send(client.as_fd(), b"x", NONE, None)),
        Some(libc::ECONNRESET)
    );
    assert_eq!(
        errno(send(client.as_fd(), b"x", NONE, None)),
        Some(libc::EPIPE),
        "and no signal"
    );
    Ok(())
}

#[test]
fn flags_given_by_number_are_known_by_name() {
    let raw = MessageFlags::from_raw((libc::MSG_DONTWAIT | 0x0100_0000).cast_unsigned());
    let flags = by_name(raw | MessageFlags::PEEK);
    assert_eq!(
        flags,
        MessageFlags::DONTWAIT | MessageFlags::PEEK | MessageFlags::from_raw(0x0100_0000)
    );
    assert_eq!(by_name(flags), flags);
}

#[test]
fn every_named_flag_has_the_kernels_number() {
    for (flag, bits) in FLAGS {
        assert_eq!(kernel_flags(flag), bits);
    }
    assert_eq!(kernel_flags(MessageFlags::from_raw(u32::MAX)), -1);
    assert_eq!(
        received_flags(
            libc::MSG_TRUNC | libc::MSG_EOR | libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT
        ),
        MessageFlags::TRUNC | MessageFlags::EOR
    );
}

#[test]
fn netlink_messages_come_from_a_raw_address_and_tell_their_length() -> io::Result<()> {
    let fd = create(Domain::Netlink, SocketType::Raw, Protocol::Default)?;
    // An nlmsghdr: NLMSG_NOOP that asks for an acknowledgement.
    let mut header = 16_u32.to_ne_bytes().to_vec();
    header.extend(1_u16.to_ne_bytes());
    header.extend(5_u16.to_ne_bytes());
    header.resize(16, 0);
    send(fd.as_fd(), &header, NONE, None)?;
    let received = receive_one(&fd, 8, NONE)?;
    assert_eq!((received.data.len(), received.full_length), (8, 36));
    assert_eq!(received.flags, MessageFlags::TRUNC);
    let Some(Address::Raw(kernel)) = received.address else {
        panic!("a netlink address has no typed form");
    };
    assert_eq!((kernel.family, kernel.data.as_ref()), (16, &[0; 10][..]));
    Ok(())
}

#[test]
fn packets_come_from_a_raw_address() -> io::Result<()> {
    let all = i32::from(3_u16.to_be());
    let fd = match create(Domain::Packet, SocketType::Dgram, Protocol::Other(all)) {
        // It takes a privilege.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        result => result?,
    };
    let (udp, address) = udp("127.0.0.1:0")?;
    send(udp.as_fd(), b"seen", NONE, Some(&address))?;
    // Loopback shows it twice, leaving and arriving.
    for received in [receive_one(&fd, 2000, NONE)?, receive_with_control(&fd)?] {
        let Some(Address::Raw(address)) = received.address else {
            panic!("a packet's address has no typed form");
        };
        assert_eq!(i32::from(address.family), libc::AF_PACKET);
    }
    Ok(())
}
