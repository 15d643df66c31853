//! A proxy that lets every byte pass after a time, as a long way would.
//!
//! Tasks: one that accepts, and two per connection and direction; they end with the runtime.

use std::{io, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// How many chunks may be on the way in one direction; beyond it the sender waits, as it does for a full pipe.
const CHUNKS: usize = 1_024;

/// The size of a chunk in bytes, at most.
const CHUNK_BYTES: usize = 65_536;

/// Starts a proxy to `server` and tells where it listens. A chunk arrives `delay` later, and up to a millisecond more, the
/// resolution of the runtime's timer.
///
/// # Errors
/// Those of socket(2) and bind(2).
pub(crate) async fn start(server: SocketAddr, delay: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            // Whoever connected sees the end of the connection.
            if let Ok(far) = TcpStream::connect(server).await
                && near.set_nodelay(true).is_ok()
                && far.set_nodelay(true).is_ok()
            {
                let (near_end, far_end) = (near.into_split(), far.into_split());
                carry(near_end.0, far_end.1, delay);
                carry(far_end.0, near_end.1, delay);
            }
        }
    });
    Ok(address)
}

/// Carries one direction until its end.
fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (way, mut chunks) = mpsc::channel::<(Instant, Bytes)>(CHUNKS);
    tokio::spawn(async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK_BYTES);
            match from.read_buf(&mut buffer).await {
                Ok(1..) => {
                    let chunk = (Instant::now() + delay, buffer.split().freeze());
                    if way.send(chunk).await.is_err() {
                        return;
                    }
                }
                // The end, or an error that the other direction sees as well.
                Ok(0) | Err(_) => return,
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, chunk)) = chunks.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // Dropping `to` passes the end on.
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn what_is_sent_arrives_whole_and_not_before_its_time_and_so_does_the_end() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = start(server.local_addr().unwrap(), DELAY).await.unwrap();
        let mut near = TcpStream::connect(proxy).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();

        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let began = Instant::now();
        let sending = async {
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(far.read_to_end(&mut received), sending);
        read.unwrap();
        assert!(began.elapsed() >= DELAY);
        assert!(received == sent);
    }
}
