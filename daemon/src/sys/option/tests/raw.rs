//! Options by number, filters, and whatever bytes a caller may send.

use std::{
    net::{TcpListener, UdpSocket},
    os::{fd::AsFd, unix::net::UnixStream},
};

use bytes::Bytes;
use farsock_proto::option::OptionValue;
use proptest::prelude::*;
use socket2::{Domain, Socket, Type};

use super::{
    super::{row::Kind, *},
    outcome, row, udp, violation,
};

/// As the daemon does by default.
fn set_raw(
    fd: BorrowedFd<'_>,
    level: i32,
    number: i32,
    value: &OptionValue,
) -> Result<(), OptionError> {
    super::super::set_raw(fd, (level, number), value, Unlisted::Refused)
}

fn get_raw(
    fd: BorrowedFd<'_>,
    level: i32,
    number: i32,
    length: Option<usize>,
) -> Result<Bytes, OptionError> {
    super::super::get_raw(fd, (level, number), length, Unlisted::Refused)
}

/// Takes every packet whole: BPF_RET | BPF_K.
fn accept_all() -> Vec<u8> {
    [
        6_u16.to_ne_bytes().as_slice(),
        &[0, 0],
        &u32::MAX.to_ne_bytes(),
    ]
    .concat()
}

#[test]
fn a_filter_is_its_instructions_by_name_and_by_number() {
    let socket = udp();
    let option = row("SO_ATTACH_FILTER");
    let program = Bytes::from(accept_all().repeat(100));
    let value = OptionValue::Raw(program.clone());
    outcome(set(socket.as_fd(), option, &value)).unwrap();
    assert_eq!(
        outcome(get(socket.as_fd(), option, None)),
        Ok(value.clone())
    );

    outcome(set(
        socket.as_fd(),
        row("SO_DETACH_FILTER"),
        &OptionValue::Integer(0),
    ))
    .unwrap();
    let none = OptionValue::Raw(Bytes::new());
    assert_eq!(outcome(get(socket.as_fd(), option, None)), Ok(none));

    outcome(set_raw(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_ATTACH_FILTER,
        &value,
    ))
    .unwrap();
    let read = |length| {
        get_raw(
            socket.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            length,
        )
    };
    assert_eq!(outcome(read(Some(800))), Ok(program.clone()));
    assert_eq!(outcome(read(None)), Ok(program));
    // The kernel counts instructions here: room for 799 bytes is room for 99.
    assert_eq!(outcome(read(Some(799))), Err(libc::EINVAL));
    assert_eq!(outcome(read(Some(100))), Err(libc::EINVAL));
    assert_eq!(outcome(read(Some(7))), Ok(Bytes::new()));
}

#[test]
fn a_filter_that_is_not_whole_instructions_is_a_violation_and_a_bad_one_is_einval() {
    let socket = udp();
    for name in ["SO_ATTACH_FILTER", "SO_ATTACH_REUSEPORT_CBPF"] {
        let odd = OptionValue::Raw(vec![0; 9].into());
        assert_eq!(
            violation(set(socket.as_fd(), row(name), &odd)).field,
            "value.raw"
        );
        for program in [vec![], vec![255; 8], accept_all().repeat(4_097)] {
            let bad = OptionValue::Raw(program.into());
            assert_eq!(
                outcome(set(socket.as_fd(), row(name), &bad)),
                Err(libc::EINVAL),
                "{name}"
            );
        }
    }
}

#[test]
fn an_option_by_number_takes_bytes_ints_flags_and_text() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (level, number) = (libc::SOL_IP, libc::IP_TTL);
    let default = outcome(get_raw(socket.as_fd(), level, number, Some(1))).unwrap()[0];
    for (value, ttl) in [
        (OptionValue::Integer(17), 17),
        (OptionValue::Flag(true), 1),
        (OptionValue::Raw(18_i32.to_ne_bytes().to_vec().into()), 18),
        // IP's ints may be one byte long.
        (OptionValue::Raw(Bytes::from_static(&[19])), 19),
        (OptionValue::Text("20".into()), 20),
        (OptionValue::Text("0x15".into()), 21),
        // -1, if signed.
        (OptionValue::Integer(u32::MAX.into()), default.into()),
    ] {
        outcome(set_raw(socket.as_fd(), level, number, &value)).unwrap();
        let read = outcome(get_raw(socket.as_fd(), level, number, Some(4))).unwrap();
        assert_eq!(read[..], i32::to_ne_bytes(ttl), "{value:?}");
        let short = outcome(get_raw(socket.as_fd(), level, number, Some(1))).unwrap();
        assert_eq!(i32::from(short[0]), ttl);
        assert_eq!(
            decode::decode(Kind::Int, short.into()),
            Some(OptionValue::Integer(ttl.into()))
        );
    }
    for value in [
        OptionValue::Integer(1 << 32),
        OptionValue::Integer(-(1 << 31) - 1),
        OptionValue::Text("on".into()),
        OptionValue::Text("0x1".into()),
        OptionValue::Name("x".into()),
        OptionValue::Raw(vec![0; MAX_LENGTH + 1].into()),
        OptionValue::Text(format!("0x{}", "00".repeat(MAX_LENGTH + 1))),
    ] {
        let violation = violation(set_raw(socket.as_fd(), level, number, &value));
        assert!(violation.field.starts_with("value"), "{violation}");
    }
    let error = violation(get_raw(socket.as_fd(), level, number, Some(MAX_LENGTH + 1)));
    assert_eq!(error.field, "length");
    let error = violation(get(socket.as_fd(), row("SO_TXTIME"), Some(MAX_LENGTH + 1)));
    assert_eq!(error.field, "length");
}

#[test]
fn what_reaches_into_the_daemon_is_refused_before_the_kernel() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let one = OptionValue::Integer(1);
    let refused = violation(set_raw(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_ATTACH_BPF,
        &one,
    ));
    assert_eq!(refused.field, "raw_option");
    let refused = violation(get_raw(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_PEERPIDFD,
        None,
    ));
    assert_eq!(refused.field, "raw_option");
    let refused = violation(set(
        socket.as_fd(),
        row("SO_ZEROCOPY"),
        &OptionValue::Flag(true),
    ));
    assert_eq!(refused.field, "option");
    assert!(get(socket.as_fd(), row("SO_ZEROCOPY"), None).is_ok());
}

#[test]
fn what_the_kernel_writes_back_stays_out_of_the_callers_bytes() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else {
        return;
    };
    // struct in6_flowlabel_req: ::1, any label, IPV6_FL_A_GET, IPV6_FL_S_EXCL, IPV6_FL_F_CREATE.
    let mut request = [0_u8; 32];
    request[15] = 1;
    request[21] = 1;
    request[22..24].copy_from_slice(&1_u16.to_ne_bytes());
    let value = OptionValue::Raw(Bytes::copy_from_slice(&request));
    let _whatever = set(socket.as_fd(), row("IPV6_FLOWLABEL_MGR"), &value);
    assert_eq!(value, OptionValue::Raw(Bytes::copy_from_slice(&request)));
}

const LEVELS: [i32; 9] = [
    libc::SOL_SOCKET,
    libc::SOL_IP,
    libc::SOL_IPV6,
    libc::SOL_TCP,
    libc::SOL_UDP,
    libc::SOL_PACKET,
    libc::SOL_RDS,
    libc::SOL_NETLINK,
    libc::AF_VSOCK,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_raw_options_never_panic(
        level in prop_oneof![9 => prop::sample::select(&LEVELS[..]), 1 => any::<i32>()],
        number in prop_oneof![9 => 0..130_i32, 1 => any::<i32>()],
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        length in prop::option::of(0..70_000_usize),
        stream in any::<bool>(),
    ) {
        let kind = if stream { Type::STREAM } else { Type::DGRAM };
        let socket = Socket::new(Domain::IPV6, kind, None)
            .or_else(|_| Socket::new(Domain::IPV4, kind, None))
            .unwrap();
        let value = OptionValue::Raw(bytes.into());
        let option = (level, number);
        let _result = super::super::set_raw(socket.as_fd(), option, &value, Unlisted::Allowed);
        let read = super::super::get_raw(socket.as_fd(), option, length, Unlisted::Allowed);
        if let Ok(bytes) = read {
            prop_assert!(bytes.len() <= length.unwrap_or(DEFAULT_LENGTH));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,40}|[0-9a-fx. :smunh]{0,12}") {
        let socket = udp();
        for (_, row) in all().filter(|(_, row)| row.kind != Kind::Name) {
            if let Ok(value) = text::parse(row, &text) {
                let _result = set(socket.as_fd(), row, &value);
            }
        }
    }

    #[test]
    fn arbitrary_answers_of_the_kernel_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        for (_, row) in all() {
            let _value = decode::decode(row.kind, bytes.clone());
        }
    }
}
