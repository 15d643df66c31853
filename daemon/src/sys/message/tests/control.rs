//! Control messages of internet sockets.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use super::*;

/// Sends one message to itself and receives it with its control messages.
fn through(
    loopback: &str,
    options: &[(c_int, c_int)],
    control: &[ControlMessage<SentRights<'_>>],
) -> io::Result<Vec<ControlMessage<ReceivedRights>>> {
    let (fd, address) = udp(loopback)?;
    for &(level, name) in options {
        set(&fd, level, name, 1)?;
    }
    send_messages(fd.as_fd(), &[outgoing(b"x", Some(&address), control)], NONE)?;
    let received = receive_with_control(&fd)?;
    assert_eq!((received.data.as_ref(), received.flags), (&b"x"[..], NONE));
    Ok(received.control)
}

fn socket_address(address: &Address) -> SocketAddr {
    match address {
        Address::Ip(address) => *address,
        other => panic!("{other:?} is no internet address"),
    }
}

#[test]
fn ttl_tos_and_packet_info_of_ipv4_are_sent_and_received() -> io::Result<()> {
    let options = [libc::IP_RECVTTL, libc::IP_RECVTOS, libc::IP_PKTINFO];
    let received = through(
        "0.0.0.0:0",
        &options.map(|name| (libc::IPPROTO_IP, name)),
        &[
            ControlMessage::Ttl(33),
            ControlMessage::TypeOfService(0x10),
            ControlMessage::Ipv4PacketInfo {
                interface_index: 0,
                local_address: Ipv4Addr::new(127, 0, 0, 5),
                destination: Ipv4Addr::UNSPECIFIED,
            },
        ],
    )?;
    let mut left = 3;
    for message in received {
        left -= 1;
        match message {
            ControlMessage::Ttl(ttl) => assert_eq!(ttl, 33),
            ControlMessage::TypeOfService(tos) => assert_eq!(tos, 0x10),
            ControlMessage::Ipv4PacketInfo {
                interface_index,
                destination,
                ..
            } => {
                assert_eq!(interface_index, 1);
                assert!(destination.is_loopback());
            }
            other => panic!("{other:?} was not asked for"),
        }
    }
    assert_eq!(left, 0);
    Ok(())
}

#[test]
fn the_source_of_packet_info_is_where_the_datagram_comes_from() -> io::Result<()> {
    let (sender, _) = udp("0.0.0.0:0")?;
    let (receiver, address) = udp("127.0.0.1:0")?;
    let info = ControlMessage::Ipv4PacketInfo {
        interface_index: 0,
        local_address: Ipv4Addr::new(127, 0, 0, 5),
        destination: Ipv4Addr::UNSPECIFIED,
    };
    send_messages(
        sender.as_fd(),
        &[outgoing(b"x", Some(&address), &[info])],
        NONE,
    )?;
    let from = receive_one(&receiver, 10, NONE)?.address.expect("a sender");
    assert_eq!(socket_address(&from).ip(), Ipv4Addr::new(127, 0, 0, 5));
    Ok(())
}

#[test]
fn hop_limit_class_and_packet_info_of_ipv6_are_sent_and_received() -> io::Result<()> {
    let options = [
        libc::IPV6_RECVHOPLIMIT,
        libc::IPV6_RECVTCLASS,
        libc::IPV6_RECVPKTINFO,
    ];
    let received = through(
        "[::1]:0",
        &options.map(|name| (libc::IPPROTO_IPV6, name)),
        &[
            ControlMessage::HopLimit(33),
            ControlMessage::TrafficClass(0x20),
        ],
    )?;
    let mut left = 3;
    for message in received {
        left -= 1;
        match message {
            ControlMessage::HopLimit(limit) => assert_eq!(limit, 33),
            ControlMessage::TrafficClass(class) => assert_eq!(class, 0x20),
            ControlMessage::Ipv6PacketInfo {
                address,
                interface_index,
            } => assert_eq!((address, interface_index), (Ipv6Addr::LOCALHOST, 1)),
            other => panic!("{other:?} was not asked for"),
        }
    }
    assert_eq!(left, 0);
    Ok(())
}

#[test]
fn time_stamps_are_of_now() -> io::Result<()> {
    let near = |time: SystemTime| {
        let age = SystemTime::now().duration_since(time);
        assert!(
            age.is_ok_and(|age| age < Duration::from_secs(60)),
            "{time:?} is not now"
        );
    };
    let option = |name| [(libc::SOL_SOCKET, name)];
    for name in [libc::SO_TIMESTAMP, libc::SO_TIMESTAMP_NEW] {
        match &through("127.0.0.1:0", &option(name), &[])?[..] {
            [ControlMessage::Timestamp(time)] => near(*time),
            other => panic!("received {other:?}"),
        }
    }
    for name in [libc::SO_TIMESTAMPNS, libc::SO_TIMESTAMPNS_NEW] {
        match &through("127.0.0.1:0", &option(name), &[])?[..] {
            [ControlMessage::TimestampNs(time)] => near(*time),
            other => panic!("received {other:?}"),
        }
    }

    let (fd, address) = udp("127.0.0.1:0")?;
    // The second makes the kernel stamp what arrived before it had begun to stamp everything.
    let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    let flags = flags.try_into().expect("small flags");
    set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    send(fd.as_fd(), b"x", NONE, Some(&address))?;
    let received = receive_with_control(&fd)?;
    let stamps: Vec<_> = received
        .control
        .iter()
        .filter_map(|message| match message {
            ControlMessage::Timestamping { software, hardware } => Some((*software, *hardware)),
            _ => None,
        })
        .collect();
    let [(Some(software), None)] = stamps[..] else {
        panic!("received {:?}", received.control);
    };
    near(software);
    Ok(())
}

#[test]
fn a_long_send_is_cut_into_segments_and_may_be_received_in_one() -> io::Result<()> {
    static DATA: [u8; 350] = [b'x'; 350];
    for put_together in [false, true] {
        let (sender, _) = udp("127.0.0.1:0")?;
        let (receiver, address) = udp("127.0.0.1:0")?;
        set(&receiver, libc::SOL_UDP, libc::UDP_GRO, put_together.into())?;
        let control = [ControlMessage::SegmentSize(100)];
        let message = outgoing(&DATA, Some(&address), &control);
        assert_eq!(send_messages(sender.as_fd(), &[message], NONE)?, [350]);
        wait(&receiver, Events::IN)?;
        let received = receive_messages(Inbound::of(&receiver)?, 10, 1000, 256, NONE)?.messages;
        let lengths: Vec<_> = received.iter().map(|message| message.data.len()).collect();
        if put_together {
            assert_eq!(lengths, [350]);
            let control = &received[0].control[..];
            assert!(
                matches!(control, [ControlMessage::ReceiveSegmentSize(100)]),
                "{control:?}"
            );
        } else {
            assert_eq!(lengths, [100, 100, 100, 50]);
        }
    }
    Ok(())
}

#[test]
fn a_refusal_is_told_by_the_error_queue_with_its_offender() -> io::Result<()> {
    let cases = [
        ("127.0.0.1:0", libc::IPPROTO_IP, libc::IP_RECVERR, (2, 3, 3)),
        ("[::1]:0", libc::IPPROTO_IPV6, libc::IPV6_RECVERR, (3, 1, 4)),
    ];
    for (loopback, level, name, icmp) in cases {
        let (closed, target) = udp(loopback)?;
        drop(closed);
        let (fd, own) = udp(loopback)?;
        set(&fd, level, name, 1)?;
        send(fd.as_fd(), b"refused", NONE, Some(&target))?;
        wait(&fd, Events::ERR)?;
        let mut received =
            receive_messages(Inbound::of(&fd)?, 5, 100, 512, MessageFlags::ERRQUEUE)?.messages;
        assert_eq!(received.len(), 1);
        let message = received.pop().expect("one message");
        assert_eq!(message.data.as_ref(), b"refused");
        assert_eq!(message.flags, MessageFlags::ERRQUEUE);
        assert_eq!(message.address, Some(target), "where it had been sent to");
        let [ControlMessage::ExtendedError(error)] = &message.control[..] else {
            panic!("received {:?}", message.control);
        };
        assert_eq!(error.errno_name, Some("ECONNREFUSED"));
        assert_eq!((error.origin, error.icmp_type, error.icmp_code), icmp);
        let offender = error.offender.expect("ICMP has a sender");
        assert_eq!(offender.ip(), socket_address(&own).ip());
    }
    Ok(())
}

#[test]
fn the_original_destination_is_told() -> io::Result<()> {
    let cases = [
        ("127.0.0.1:0", libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
        ("[::1]:0", libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR),
    ];
    for (loopback, level, name) in cases {
        match &through(loopback, &[(level, name)], &[])?[..] {
            [ControlMessage::OriginalDestination(address)] => assert!(address.ip().is_loopback()),
            other => panic!("received {other:?}"),
        }
    }
    Ok(())
}

#[test]
fn drops_are_counted_by_the_queue_overflow() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, 1)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    for _ in 0..100 {
        send(fd.as_fd(), &[0; 1000], NONE, Some(&address))?;
    }
    receive_messages(Inbound::of(&fd)?, 100, 1000, 0, NONE)?;
    send(fd.as_fd(), b"after", NONE, Some(&address))?;
    match &receive_with_control(&fd)?.control[..] {
        [ControlMessage::ReceiveQueueOverflow(dropped)] => assert!((1..100).contains(dropped)),
        other => panic!("received {other:?}"),
    }
    Ok(())
}

#[test]
fn control_messages_without_room_are_told_by_ctrunc() -> io::Result<()> {
    let (fd, address) = udp("127.0.0.1:0")?;
    set(&fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
    for room in [0, 10, 18, 20, 24] {
        send(fd.as_fd(), b"x", NONE, Some(&address))?;
        wait(&fd, Events::IN)?;
        let received = receive_messages(Inbound::of(&fd)?, 1, 10, room, NONE)?.messages;
        let cut = received[0].flags == MessageFlags::CTRUNC;
        assert_eq!(cut, room < 20, "with room for {room} bytes");
        match &received[0].control[..] {
            [] => assert!(room < 16),
            [ControlMessage::Raw { data, .. }] => assert_eq!(data.len(), room - 16),
            [ControlMessage::Ttl(_)] => assert!(room >= 20),
            other => panic!("received {other:?}"),
        }
    }
    Ok(())
}
