//! Time stamps of received segments, kept on for the whole process.
//!
//! The kernel takes them only while some socket asks for them, and switches that on in a work queue: what TCP receives shortly after
//! setsockopt(2) has none. (A datagram without a stamp gets one when it is received.) The two worlds could not be compared.

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    sync::OnceLock,
    time::Instant,
};

use super::{perform::set_option, receive::receive_messages};
use crate::world::DEADLINE;

/// Returns when received segments have time stamps, which they have from then on.
pub(crate) fn keep_on() {
    // The connection asks for stamps until the process ends.
    static KEPT: OnceLock<(TcpStream, TcpStream)> = OnceLock::new();
    KEPT.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let address = listener.local_addr().expect("it has an address");
        let mut near = TcpStream::connect(address).expect("it listens");
        let (far, _) = listener.accept().expect("a connection waits");
        let one = 1i32.to_ne_bytes();
        set_option(far.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMP, &one)
            .expect("any socket has SO_TIMESTAMP");
        let limit = Instant::now() + DEADLINE;
        loop {
            near.write_all(b"x").expect("the peer is open");
            let received = receive_messages(far.as_raw_fd(), 1, 1, 64, 0).expect("a byte was sent");
            if !received[0].control.is_empty() {
                break;
            }
            assert!(Instant::now() < limit, "no time stamps in {DEADLINE:?}");
            std::thread::yield_now();
        }
        (near, far)
    });
}
