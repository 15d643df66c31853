//! Control messages through their codec alone; over real sockets they are tested with the messages they travel with.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use farsock_proto::message::{ControlMessage, Credentials};
use proptest::prelude::*;

use super::{
    decode::{Entry, entries, typed},
    *,
};

type Sent<'a> = ControlMessage<SentRights<'a>>;

fn raw(level: c_int, kind: c_int, data: &[u8]) -> Sent<'static> {
    ControlMessage::Raw {
        level,
        kind,
        data: Bytes::copy_from_slice(data),
    }
}

/// What a message that the kernel has sent, with the payload of `longs`, decodes to.
fn stamp(kind: c_int, longs: &[i64]) -> Option<String> {
    let payload: Vec<_> = longs.iter().flat_map(|long| long.to_ne_bytes()).collect();
    typed(libc::SOL_SOCKET, kind, &payload).map(|message| format!("{message:?}"))
}

fn debug(message: ControlMessage<ReceivedRights>) -> Option<String> {
    Some(format!("{message:?}"))
}

#[test]
fn messages_are_laid_out_as_cmsg_does() {
    let buffer =
        encode::<SentRights<'_>>(&[ControlMessage::Ttl(7), ControlMessage::SegmentSize(1200)])
            .expect("both can be sent");
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, int, short) =
        unsafe { (libc::CMSG_SPACE(4), libc::CMSG_LEN(4), libc::CMSG_LEN(2)) };
    assert_eq!(buffer.len(), 2 * space as usize);
    assert_eq!(buffer[..8], u64::from(int).to_ne_bytes());
    assert_eq!(
        buffer[space as usize..][..8],
        u64::from(short).to_ne_bytes()
    );
    let found: Vec<_> = entries(&buffer)
        .map(
            |Entry {
                 level,
                 kind,
                 payload,
             }| (level, kind, payload.to_vec()),
        )
        .collect();
    assert_eq!(
        found,
        [
            (libc::IPPROTO_IP, libc::IP_TTL, 7_i32.to_ne_bytes().to_vec()),
            (
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                1200_u16.to_ne_bytes().to_vec()
            ),
        ]
    );
}

#[test]
fn what_can_be_both_sent_and_received_comes_back_the_same() {
    let messages: Vec<Sent<'_>> = vec![
        ControlMessage::Ipv4PacketInfo {
            interface_index: 3,
            local_address: Ipv4Addr::LOCALHOST,
            destination: Ipv4Addr::BROADCAST,
        },
        ControlMessage::Ipv6PacketInfo {
            address: Ipv6Addr::LOCALHOST,
            interface_index: 9,
        },
        ControlMessage::Ttl(64),
        ControlMessage::HopLimit(-1),
        ControlMessage::TypeOfService(0x10),
        ControlMessage::TrafficClass(255),
        ControlMessage::SegmentSize(u16::MAX),
        ControlMessage::Credentials(Credentials {
            pid: 1,
            uid: 2,
            gid: u32::MAX,
        }),
        raw(1000, -1, b"any"),
        raw(1000, 1, b""),
        // A known one of the wrong length.
        raw(libc::IPPROTO_IP, libc::IP_TTL, b"abc"),
    ];
    let buffer = encode(&messages).expect("all can be sent");
    // SAFETY: there are no descriptors in it.
    let received = unsafe { decode(&buffer) };
    assert_eq!(format!("{received:?}"), format!("{messages:?}"));
}

#[test]
fn time_stamps_keep_their_resolution_and_zero_is_none() {
    let time = SystemTime::UNIX_EPOCH + Duration::new(5, 6_000);
    for kind in [libc::SO_TIMESTAMP, libc::SO_TIMESTAMP_NEW] {
        assert_eq!(stamp(kind, &[5, 6]), debug(ControlMessage::Timestamp(time)));
    }
    let before = SystemTime::UNIX_EPOCH - Duration::from_millis(500);
    assert_eq!(
        stamp(libc::SO_TIMESTAMPNS, &[-1, 500_000_000]),
        debug(ControlMessage::TimestampNs(before))
    );
    for kind in [libc::SO_TIMESTAMPING, libc::SO_TIMESTAMPING_NEW] {
        assert_eq!(
            stamp(kind, &[5, 6_000, 0, 0, 0, 0]),
            debug(ControlMessage::Timestamping {
                software: Some(time),
                hardware: None
            })
        );
    }
    for longs in [&[5_i64, -1][..], &[5, 1_000_000_000], &[5]] {
        assert_eq!(stamp(libc::SO_TIMESTAMPNS, longs), None);
    }
    assert_eq!(stamp(libc::SO_TIMESTAMP, &[5, i64::MAX]), None);
}

#[test]
fn descriptors_and_pointers_cannot_be_smuggled_in_raw() {
    let kinds = [
        (libc::SOL_SOCKET, libc::SCM_RIGHTS),
        (libc::SOL_SOCKET, SCM_PIDFD),
        (libc::SOL_SOCKET, libc::SCM_DEVMEM_DMABUF),
        (libc::SOL_RDS, 1),
    ];
    for (level, kind) in kinds {
        let violation = encode(&[ControlMessage::Ttl(1), raw(level, kind, &[0; 4])])
            .expect_err("not to be sent");
        assert_eq!(violation.field, "control[1].raw");
    }
}

#[test]
fn what_is_received_only_cannot_be_sent() {
    let messages: [(Sent<'_>, _); 3] = [
        (
            ControlMessage::Timestamp(SystemTime::UNIX_EPOCH),
            "timestamp",
        ),
        (
            ControlMessage::ReceiveSegmentSize(1),
            "receive_segment_size",
        ),
        (
            ControlMessage::ReceiveQueueOverflow(1),
            "receive_queue_overflow",
        ),
    ];
    for (message, field) in messages {
        let violation = encode(&[message]).expect_err("not to be sent");
        assert_eq!(violation.field, format!("control[0].{field}"));
    }
}

#[test]
fn control_messages_and_descriptors_are_bounded() {
    let fits = raw(1000, 1, &[0; 16_384 - HEADER]);
    assert_eq!(
        encode(std::slice::from_ref(&fits)).map(|buffer| buffer.len()),
        Ok(16_384)
    );
    assert_eq!(
        encode(&[fits, raw(1000, 1, b"")])
            .expect_err("too long")
            .field,
        "control"
    );
    assert!(encode(&[raw(1000, 1, &[0; 100_000])]).is_err());

    let stdin = std::io::stdin();
    let rights = |count| {
        [ControlMessage::Rights(SentRights(vec![
            stdin.as_fd();
            count
        ]))]
    };
    assert!(encode(&rights(253)).is_ok());
    assert_eq!(
        encode(&rights(254)).expect_err("too many").field,
        "control[0].rights"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(buffer in proptest::collection::vec(any::<u8>(), 0..200)) {
        for Entry { payload, .. } in entries(&buffer) {
            prop_assert!(payload.len() + HEADER <= buffer.len());
        }
    }

    #[test]
    fn any_lengths_are_read_without_panic(length in any::<usize>(), short in 0_usize..64, payload in 0_usize..64) {
        for length in [length, short] {
            let mut buffer = length.to_ne_bytes().to_vec();
            buffer.resize(HEADER + payload, 0);
            prop_assert!(entries(&buffer).count() <= 1 + payload / HEADER);
        }
    }

    #[test]
    fn any_payload_of_a_known_type_is_read_without_panic(
        level in prop_oneof![Just(libc::SOL_SOCKET), Just(libc::IPPROTO_IP), Just(libc::IPPROTO_IPV6), Just(libc::SOL_UDP)],
        kind in 0..110,
        payload in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        typed(level, kind, &payload);
    }
}

#[test]
fn sockets_that_are_not_looked_up_yet_are_as_long_as_those_that_are() {
    use farsock_proto::message::Rights;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    for count in [0, 1, 2, 253] {
        let rights = Rights {
            handles: vec![7; count],
            discarded: 0,
        };
        let sent = SentRights(vec![socket.as_fd(); count]);
        let buffer = encode(&[ControlMessage::Rights(sent)]).expect("not too many");
        let length = encoded_length(&[ControlMessage::Rights(rights)]).expect("not too many");
        assert_eq!(length, buffer.len());
    }
}
