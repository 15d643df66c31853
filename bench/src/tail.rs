//! The tail of one call after the other: the 99th percentile of send_to, which whatever goes on beside it must not move.

use std::{
    cell::Cell,
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{Failure, stats};

/// How long to wait for a datagram that should be there already.
const LOST: Duration = Duration::from_secs(1);

/// How often one is sent until it must have arrived. The kernel drops some, even on loopback, when very much goes by at once: more than
/// net.core.netdev_max_backlog packets between two looks of a processor.
const TRIES: usize = 3;

/// How long the messages are whose tail is looked at: unit and bytes.
pub(crate) const MESSAGES: [(&str, usize); 3] = [
    ("us p99, 1 B", 1),
    ("us p99, 300 B", 300),
    ("us p99, 60 KB", 60_000),
];

/// Where the datagrams go.
#[derive(Debug)]
pub(crate) struct Tail {
    sink: UdpSocket,
    address: SocketAddr,
    lost: Cell<usize>,
}

impl Tail {
    /// Opens the UDP socket that receives.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub(crate) fn new() -> Result<Self, Failure> {
        let sink = UdpSocket::bind("127.0.0.1:0")?;
        sink.set_read_timeout(Some(LOST))?;
        let address = sink.local_addr()?;
        Ok(Self {
            sink,
            address,
            lost: Cell::default(),
        })
    }

    /// The 99th percentile of what so many calls take, in microseconds. `send` sends one datagram there, and tells how much of it was
    /// sent. Each must arrive; one that the kernel loses is sent again, and those calls count as well.
    ///
    /// # Errors
    /// Those of `send`, or a datagram did not arrive as it was.
    pub(crate) async fn p99(
        &self,
        message: &Bytes,
        calls: usize,
        mut send: impl AsyncFnMut(Bytes, SocketAddr) -> Result<usize, Failure>,
    ) -> Result<f64, Failure> {
        let mut buffer = vec![0; 65_536];
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let mut tries = 0;
            loop {
                let start = Instant::now();
                let sent = send(message.clone(), self.address).await?;
                times.push(start.elapsed().as_secs_f64() * 1e6);
                // On loopback it is there when sendto(2) returns.
                match self.sink.recv(&mut buffer) {
                    Ok(received) if sent == message.len() && buffer[..received] == message[..] => {
                        break;
                    }
                    Ok(_) => {
                        return Err(format!("{sent} of {} bytes were sent", message.len()).into());
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < TRIES => {
                        tries += 1;
                        self.lost.set(self.lost.get() + 1);
                    }
                    Err(error) => return Err(format!("a datagram did not arrive: {error}").into()),
                }
            }
        }
        stats::percentile(&times, 99.0).ok_or_else(|| "no calls".into())
    }

    /// How many datagrams the kernel has lost so far.
    pub(crate) fn lost(&self) -> usize {
        self.lost.get()
    }
}
