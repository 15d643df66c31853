//! A UDP socket whose queue holds many datagrams of the sink's kind: as many as may be under way without any being dropped.

use std::{net::SocketAddr, net::UdpSocket, time::Duration};

use socket2::SockRef;

use crate::{Failure, sink};

/// What to ask for as SO_RCVBUF, in bytes. The kernel grants as much as net.core.rmem_max, doubled.
pub(crate) const ROOM: i32 = 4 << 20;

/// What one datagram takes of it: 768 bytes with Linux on a 64-bit machine, and something to spare.
const COST: usize = 1_280;

/// More than this brings nothing.
const MOST: usize = 4_096;

/// How long to wait for a datagram.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many datagrams fit in a receive buffer that getsockopt(2) says has so many bytes.
pub(crate) fn capacity(receive_buffer: usize) -> usize {
    (receive_buffer / COST).clamp(1, MOST)
}

/// A UDP socket on loopback.
#[derive(Debug)]
pub(crate) struct Queue {
    socket: UdpSocket,
    capacity: usize,
}

impl Queue {
    /// Opens it.
    ///
    /// # Errors
    /// Those of socket(2), bind(2), and setsockopt(2).
    pub(crate) fn new() -> Result<Self, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let options = SockRef::from(&socket);
        options.set_recv_buffer_size(usize::try_from(ROOM)?)?;
        let capacity = capacity(options.recv_buffer_size()?);
        Ok(Self { socket, capacity })
    }

    /// Where it is.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.socket.local_addr()?)
    }

    /// How many datagrams it holds.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Receives the datagrams 0 to `count` - 1, each with one recv(2); `each` is told how many have come. They must come in order,
    /// each once, unchanged.
    ///
    /// # Errors
    /// They do not.
    pub(crate) fn receive(
        &self,
        count: usize,
        mut each: impl FnMut(usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut buffer = [0; 128];
        for number in 0..count {
            let length = self
                .socket
                .recv(&mut buffer)
                .map_err(|error| format!("datagram {number} of {count} did not arrive: {error}"))?;
            check(number, &buffer[..length])?;
            each(number + 1)?;
        }
        Ok(())
    }

    /// Checks that there is no further datagram.
    ///
    /// # Errors
    /// There is.
    pub(crate) fn check_empty(&self) -> Result<(), Failure> {
        self.socket.set_nonblocking(true)?;
        let further = self.socket.recv(&mut [0; 128]).is_ok();
        self.socket.set_nonblocking(false)?;
        if further {
            return Err("more datagrams arrived than were sent".into());
        }
        Ok(())
    }
}

/// Checks that what was received is the datagram of this number.
///
/// # Errors
/// It is not.
pub(crate) fn check(number: usize, received: &[u8]) -> Result<(), Failure> {
    if received == sink::datagram(number) {
        return Ok(());
    }
    Err(format!("another datagram arrived in place of number {number}, or it was changed").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_as_many_as_it_says() {
        let queue = Queue::new().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(queue.address().unwrap()).unwrap();
        for _ in 0..2 {
            for number in 0..queue.capacity() {
                sender.send(&sink::datagram(number)).unwrap();
            }
            let mut last = 0;
            queue
                .receive(queue.capacity(), |received| {
                    last = received;
                    Ok(())
                })
                .unwrap();
            assert_eq!(last, queue.capacity());
            queue.check_empty().unwrap();
        }
    }

    #[test]
    fn a_datagram_too_many_or_out_of_turn_is_noticed() {
        let queue = Queue::new().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(queue.address().unwrap()).unwrap();
        for number in [0, 2, 3] {
            sender.send(&sink::datagram(number)).unwrap();
        }
        assert!(queue.receive(2, |_| Ok(())).is_err());
        assert!(queue.check_empty().is_err());
    }
}
