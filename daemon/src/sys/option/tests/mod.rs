//! Every option against the kernel itself: the same calls through this module and through libc have the same outcome.

mod multicast;
mod raw;
mod value;

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use farsock_proto::{Violation, option::OptionValue, v1};

use super::{
    DEFAULT_LENGTH, MAX_LENGTH, OptionError, Row, all,
    decode::{decode, room},
    get,
    row::Kind,
    set,
    support::{homes, supported},
    uapi,
};

/// What a call came to: its value or its errno.
type Outcome<T> = Result<T, i32>;

/// getsockopt(2) itself.
fn direct_get(fd: BorrowedFd<'_>, row: &Row) -> Outcome<Vec<u8>> {
    let unit = if row.kind == Kind::Filter { 8 } else { 1 };
    let mut buffer = vec![0_u8; MAX_LENGTH];
    let room = match row.kind {
        Kind::Raw => DEFAULT_LENGTH,
        kind => room(kind) / unit,
    };
    let mut length = libc::socklen_t::try_from(room).unwrap();
    // SAFETY: the buffer is far larger than what the kernel is told.
    let result = unsafe {
        let (fd, buffer) = (fd.as_raw_fd(), buffer.as_mut_ptr().cast());
        libc::getsockopt(fd, row.level, row.number, buffer, &raw mut length)
    };
    if result < 0 {
        return Err(io::Error::last_os_error().raw_os_error().unwrap());
    }
    buffer.truncate(usize::try_from(length).unwrap().min(room) * unit);
    Ok(buffer)
}

/// setsockopt(2) itself, with any plain value.
fn direct_set<T>(fd: BorrowedFd<'_>, level: i32, number: i32, value: &[T]) -> Outcome<()> {
    let length = libc::socklen_t::try_from(size_of_val(value)).unwrap();
    // SAFETY: the kernel is told the value's own size.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, number, value.as_ptr().cast(), length) };
    if result < 0 {
        return Err(io::Error::last_os_error().raw_os_error().unwrap());
    }
    Ok(())
}

/// A function's outcome as libc would tell it.
fn outcome<T>(result: Result<T, OptionError>) -> Outcome<T> {
    result.map_err(|error| match error {
        OptionError::Kernel(error) => error.raw_os_error().unwrap(),
        OptionError::Invalid(violation) => panic!("the kernel was not asked: {violation}"),
    })
}

fn violation<T: std::fmt::Debug>(result: Result<T, OptionError>) -> Violation {
    match result {
        Err(OptionError::Invalid(violation)) => violation,
        result => panic!("not a violation: {result:?}"),
    }
}

fn row(name: &str) -> &'static Row {
    all()
        .map(|(_, row)| row)
        .find(|row| row.name == name)
        .unwrap()
}

fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn loopback() -> u32 {
    nix::net::if_::if_nametoindex("lo").unwrap()
}

/// Whether a value moves by itself, or differs from socket to socket. The structures of TCP and MPTCP tell how long ago something was.
fn volatile(row: &Row) -> bool {
    matches!(
        row.name,
        "TCP_TIMESTAMP" | "TCP_INFO" | "MPTCP_INFO" | "SO_INCOMING_CPU" | "SO_COOKIE"
    )
}

#[test]
fn every_option_reads_as_getsockopt_gives_it() {
    let mut asked = 0;
    for (_, row) in all() {
        for home in homes(row.level) {
            let Ok(socket) = home.socket() else { continue };
            asked += 1;
            let expected = direct_get(socket.as_fd(), row);
            let got = get(socket.as_fd(), row, None);
            match expected {
                Err(errno) => assert_eq!(outcome(got).unwrap_err(), errno, "{} {home:?}", row.name),
                Ok(_) if volatile(row) => assert!(got.is_ok()),
                Ok(bytes) => {
                    let value = outcome(got).unwrap();
                    assert_eq!(Some(&value), decode(row.kind, bytes.clone()).as_ref());
                    // Ints are checked without decode, too.
                    if let (OptionValue::Integer(value), Ok(bytes)) = (value, bytes.try_into()) {
                        let unsigned = u32::from_ne_bytes(bytes);
                        let signed = i32::from_ne_bytes(bytes);
                        assert!(
                            [unsigned.into(), signed.into()].contains(&value),
                            "{}",
                            row.name
                        );
                    }
                }
            }
        }
    }
    assert!(asked > 0);
}

/// A value, and the bytes that a C program would pass for it.
fn samples(row: &Row) -> Vec<(OptionValue, Vec<u8>)> {
    let ints = |unit: fn(u64) -> Duration| {
        [0_u8, 1, 5, 30]
            .map(|n| {
                (
                    OptionValue::Duration(unit(n.into())),
                    i32::from(n).to_ne_bytes().to_vec(),
                )
            })
            .to_vec()
    };
    match row.kind {
        Kind::Flag => [true, false]
            .map(|on| (OptionValue::Flag(on), i32::from(on).to_ne_bytes().to_vec()))
            .to_vec(),
        Kind::Int => [0, 1, 2, -1, 64, 1_280, 100_000]
            .map(|n: i32| (OptionValue::Integer(n.into()), n.to_ne_bytes().to_vec()))
            .to_vec(),
        Kind::Unsigned => [0, 1, 3, 70_000, u32::MAX]
            .map(|n: u32| (OptionValue::Integer(n.into()), n.to_ne_bytes().to_vec()))
            .to_vec(),
        Kind::Long => [1_i64, 300_000, 1 << 40, -1]
            .map(|n| (OptionValue::Integer(n), n.to_ne_bytes().to_vec()))
            .to_vec(),
        Kind::Network => [loopback(), 999_999, 0]
            .map(|n| (OptionValue::Integer(n.into()), n.to_be_bytes().to_vec()))
            .to_vec(),
        Kind::Seconds => ints(Duration::from_secs),
        Kind::Milliseconds => ints(Duration::from_millis),
        Kind::Microseconds => ints(Duration::from_micros),
        Kind::Timeval => [(0, 0), (2, 500_000), (7, 4_000)]
            .map(|(seconds, micros): (u32, u32)| {
                let time = Duration::new(seconds.into(), micros * 1_000);
                let longs = [libc::c_long::from(seconds), libc::c_long::from(micros)];
                (
                    OptionValue::Duration(time),
                    longs.map(libc::c_long::to_ne_bytes).concat(),
                )
            })
            .to_vec(),
        Kind::Linger => [(None, [0_i32, 0]), (Some(0), [1, 0]), (Some(9), [1, 9])]
            .map(|(time, ints)| {
                let bytes = ints.map(i32::to_ne_bytes).concat();
                (OptionValue::Linger(time.map(Duration::from_secs)), bytes)
            })
            .to_vec(),
        Kind::Name => ["", "lo", "reno", "no-such-thing-anywhere"]
            .map(|name| (OptionValue::Name(name.to_owned()), name.as_bytes().to_vec()))
            .to_vec(),
        Kind::Integers => vec![(
            OptionValue::Integers(vec![1, 2]),
            [1, 0, 0, 0, 2, 0, 0, 0].into(),
        )],
        Kind::Raw => [0, 4, 8, 16, 20, 32, 64]
            .map(|length| (OptionValue::Raw(vec![0; length].into()), vec![0; length]))
            .to_vec(),
        // Tested by themselves below, or not to be set.
        _ => vec![],
    }
}

#[test]
fn every_option_sets_as_setsockopt_does_and_reads_back_the_same() {
    for (_, row) in all().filter(|(_, row)| row.name != "SO_ZEROCOPY") {
        for home in homes(row.level) {
            let (Ok(ours), Ok(theirs)) = (home.socket(), home.socket()) else {
                continue;
            };
            for (value, bytes) in samples(row) {
                let got = outcome(set(ours.as_fd(), row, &value));
                let expected = direct_set(theirs.as_fd(), row.level, row.number, &bytes);
                assert_eq!(got, expected, "{} {home:?} {value:?}", row.name);
                if !volatile(row) {
                    let got = direct_get(ours.as_fd(), row);
                    assert_eq!(
                        got,
                        direct_get(theirs.as_fd(), row),
                        "{} {value:?}",
                        row.name
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_read_can_be_set_again() {
    for (_, row) in all().filter(|(_, row)| row.readable() && row.settable()) {
        let Some(socket) = homes(row.level).first().and_then(|home| home.socket().ok()) else {
            continue;
        };
        if let Ok(value) = get(socket.as_fd(), row, None) {
            match set(socket.as_fd(), row, &value) {
                Ok(()) | Err(OptionError::Kernel(_)) => {}
                Err(OptionError::Invalid(violation)) => panic!("{}: {violation}", row.name),
            }
        }
    }
}

#[test]
fn tcp_info_tells_of_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    let info = |fd: BorrowedFd<'_>| match outcome(get(fd, row("TCP_INFO"), None)).unwrap() {
        OptionValue::TcpInfo(info) => info,
        value => panic!("{value:?}"),
    };
    let of_client = info(client.as_fd());
    assert_eq!(of_client.state(), v1::TcpState::Established);
    assert_eq!(of_client.ca_state(), v1::TcpCongestionState::Open);
    assert!(
        of_client
            .rtt
            .is_some_and(|rtt| rtt.seconds == 0 && rtt.nanos > 0)
    );
    assert_eq!(of_client.bytes_sent, 5);
    assert!(of_client.snd_mss > 500 && of_client.snd_cwnd > 0);
    assert_eq!(info(server.as_fd()).bytes_received, 5);
    assert_eq!(info(listener.as_fd()).state(), v1::TcpState::Listen);
}

#[test]
fn peer_credentials_are_this_process() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let value = outcome(get(socket.as_fd(), row("SO_PEERCRED"), None)).unwrap();
    let OptionValue::Credentials(credentials) = value else {
        panic!("{value:?}")
    };
    assert_eq!(credentials.pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(credentials.uid, nix::unistd::getuid().as_raw());
    assert!(matches!(
        get(socket.as_fd(), row("SO_PEERGROUPS"), None),
        Ok(OptionValue::Integers(_))
    ));
}

#[test]
fn a_set_only_option_reads_as_the_kernel_says() {
    let socket = udp();
    for name in [
        "IP_ADD_MEMBERSHIP",
        "MCAST_JOIN_SOURCE_GROUP",
        "SO_RCVBUFFORCE",
    ] {
        let got = outcome(get(socket.as_fd(), row(name), None));
        assert_eq!(got, Err(libc::ENOPROTOOPT), "{name}");
    }
    let error = set(socket.as_fd(), row("SO_ERROR"), &OptionValue::Integer(1));
    assert_eq!(outcome(error), Err(libc::ENOPROTOOPT));
}

#[test]
fn an_option_is_supported_if_reading_it_is_not_enoprotoopt() {
    for name in [
        "SO_REUSEADDR",
        "SO_PASSCRED",
        "IP_TTL",
        "TCP_INFO",
        "TCP_MD5SIG",
        "UDP_CORK",
    ] {
        assert!(supported(row(name)).unwrap(), "{name}");
    }
    assert!(supported(row("O_NONBLOCK")).unwrap());
    for (_, row) in all().filter(|(_, row)| row.level != uapi::FCNTL) {
        let unknown = homes(row.level)
            .iter()
            .filter_map(|home| home.socket().ok())
            .all(|socket| direct_get(socket.as_fd(), row) == Err(libc::ENOPROTOOPT));
        let known = !row.readable() || !unknown;
        assert_eq!(supported(row).unwrap(), known, "{}", row.name);
    }
}
