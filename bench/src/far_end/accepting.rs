//! The far end of a listener: clients that connect, see the other side's end, and come again.

use std::{
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use socket2::SockRef;

use super::{Answer, Connections, PATIENCE};
use crate::Failure;

/// Makes them all, several at once.
pub(super) fn connect(ask: &Connections) -> Result<Answer, Failure> {
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..ask.in_flight)
            .map(|_| {
                scope.spawn(|| {
                    while begun.fetch_add(1, Ordering::Relaxed) < ask.count {
                        once(ask.to)?;
                    }
                    Ok::<(), io::Error>(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(Answer::Done)
    })
}

fn once(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if stream.read(&mut [0])? != 0 {
        return Err(io::Error::other("somebody sent something"));
    }
    // A reset, so that no connection of the other side's stays behind in TIME_WAIT, where it would slow down the next ones.
    SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))
}
