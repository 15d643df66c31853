//! The far end of what is sent: UDP sockets whose queues hold a whole round, emptied and checked after it.
//!
//! Nobody receives while the clock runs: the receiver's share of the machine would be counted as the sender's.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use crate::{Failure, stats};

/// How many bytes a datagram has.
const DATAGRAM_BYTES: usize = 64;

/// One datagram: its sequence number eight times over, so that any changed byte shows.
pub(crate) type Datagram = [u8; DATAGRAM_BYTES];

/// How many datagrams one socket's queue is trusted to hold. With Linux's default of 212,992 bytes it holds 277 of 64 bytes.
pub(crate) const QUEUE: usize = 200;

/// How long to wait for a datagram that was sent. On loopback it is there when sendto(2) returns.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Sockets on loopback that datagrams are sent to in turn, at most [`QUEUE`] to each before they are checked.
#[derive(Debug)]
pub(crate) struct Sink {
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
}

impl Sink {
    /// A sink for `datagrams` at a time.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub(crate) fn new(datagrams: usize) -> io::Result<Self> {
        let sockets = (0..datagrams.div_ceil(QUEUE))
            .map(|_| {
                let socket = UdpSocket::bind("127.0.0.1:0")?;
                socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
                Ok(socket)
            })
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets
            .iter()
            .map(UdpSocket::local_addr)
            .collect::<io::Result<_>>()?;
        Ok(Self { sockets, addresses })
    }

    /// Where each socket is; datagram `n` belongs to number `n` modulo their count.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes the datagrams 0 to `count` - 1, of which each must have arrived once, unchanged, and no other.
    ///
    /// # Errors
    /// One is missing, doubled, changed or at the wrong socket.
    pub(crate) fn check(&self, count: usize) -> Result<(), Failure> {
        let mut arrived = vec![false; count];
        for (index, socket) in self.sockets.iter().enumerate() {
            let expected = (index..count).step_by(self.sockets.len()).len();
            let mut buffer = [0; DATAGRAM_BYTES + 1];
            for received in 0..expected {
                let length = socket.recv(&mut buffer).map_err(|error| {
                    format!("datagram {received} of {expected} did not arrive: {error}")
                })?;
                let number = number_of(&buffer[..length]).ok_or("a datagram was changed")?;
                match arrived.get_mut(number) {
                    Some(seen) if number % self.sockets.len() == index && !*seen => *seen = true,
                    _ => {
                        return Err(
                            format!("datagram {number} arrived where it was not due").into()
                        );
                    }
                }
            }
            socket.set_nonblocking(true)?;
            let further = socket.recv(&mut buffer).is_ok();
            socket.set_nonblocking(false)?;
            if further {
                return Err("more datagrams arrived than were sent".into());
            }
        }
        Ok(())
    }
}

/// What sendto(2) of one datagram takes here, without a daemon: the part of a call that the floor does not have. The median of 100,
/// in microseconds.
///
/// # Errors
/// Those of socket(2), bind(2) and sendto(2).
pub(crate) fn bare_send() -> Result<f64, Failure> {
    const SENDS: usize = 100;
    let sink = Sink::new(SENDS)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut times = Vec::with_capacity(SENDS);
    for number in 0..SENDS {
        let datagram = datagram(number);
        let start = Instant::now();
        socket.send_to(&datagram, sink.addresses()[0])?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    sink.check(SENDS)?;
    stats::median(&times).ok_or_else(|| "no sends".into())
}

/// Datagram `number`.
pub(crate) fn datagram(number: usize) -> Datagram {
    let mut datagram = [0; DATAGRAM_BYTES];
    for chunk in datagram.chunks_exact_mut(8) {
        chunk.copy_from_slice(&(number as u64).to_le_bytes());
    }
    datagram
}

fn number_of(received: &[u8]) -> Option<usize> {
    let number = u64::from_le_bytes(received.get(..8)?.try_into().ok()?);
    let number = usize::try_from(number).ok()?;
    (received == datagram(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends the datagrams with these numbers, each where it is due.
    fn send(sink: &Sink, numbers: impl IntoIterator<Item = usize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = sink.addresses();
        for number in numbers {
            let to = addresses[number % addresses.len()];
            socket.send_to(&datagram(number), to).unwrap();
        }
    }

    #[test]
    fn a_whole_round_fits_and_is_found_complete_again_and_again() {
        let sink = Sink::new(3 * QUEUE).unwrap();
        for _ in 0..3 {
            send(&sink, (0..3 * QUEUE).rev());
            sink.check(3 * QUEUE).unwrap();
        }
    }

    #[test]
    fn a_missing_datagram_is_noticed() {
        let sink = Sink::new(2 * QUEUE).unwrap();
        send(&sink, [0, 1, 2]);
        let error = sink.check(4).unwrap_err().to_string();
        assert!(
            error.starts_with("datagram 1 of 2 did not arrive"),
            "{error}"
        );
    }

    #[test]
    fn a_doubled_datagram_is_noticed() {
        let sink = Sink::new(1).unwrap();
        send(&sink, [0, 1, 1]);
        assert_eq!(
            sink.check(2).unwrap_err().to_string(),
            "more datagrams arrived than were sent"
        );
        let sink = Sink::new(1).unwrap();
        send(&sink, [1, 1]);
        assert_eq!(
            sink.check(2).unwrap_err().to_string(),
            "datagram 1 arrived where it was not due"
        );
    }

    #[test]
    fn a_changed_or_cut_datagram_is_noticed() {
        for change in [
            |datagram: &mut Vec<u8>| datagram[63] ^= 1,
            |datagram: &mut Vec<u8>| datagram.truncate(63),
            |datagram: &mut Vec<u8>| datagram.push(0),
            Vec::clear,
        ] {
            let sink = Sink::new(1).unwrap();
            let mut changed = datagram(0).to_vec();
            change(&mut changed);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(&changed, sink.addresses()[0]).unwrap();
            assert_eq!(
                sink.check(1).unwrap_err().to_string(),
                "a datagram was changed"
            );
        }
    }
}
