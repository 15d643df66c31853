//! Sources of many connections at once: each writes for ever, as fast as its connection takes it.

use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use socket2::SockRef;
use tokio::{io::AsyncWriteExt, runtime};

use crate::Failure;

/// What is written at a time.
static MESSAGE: [u8; 16 << 10] = [0xf1; 16 << 10];

/// SO_SNDBUF of each, in bytes, which the kernel doubles: ten thousand of them shall not be what fills the machine.
const SEND_BUFFER: usize = 16 << 10;

/// Writes to all of them, in a thread of its own, until each is closed.
pub(super) fn start(streams: Vec<TcpStream>, written: Arc<AtomicU64>) -> Result<(), Failure> {
    for stream in &streams {
        SockRef::from(stream).set_send_buffer_size(SEND_BUFFER)?;
        stream.set_nonblocking(true)?;
    }
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let streams = {
        let _entered = runtime.enter();
        let streams = streams.into_iter().map(tokio::net::TcpStream::from_std);
        streams.collect::<Result<Vec<_>, _>>()?
    };
    thread::spawn(move || {
        let writing = streams
            .into_iter()
            .map(|stream| runtime.spawn(write(stream, Arc::clone(&written))));
        let writing: Vec<_> = writing.collect();
        runtime.block_on(async {
            for one in writing {
                // One whose connection was closed has ended.
                let _ = one.await;
            }
        });
    });
    Ok(())
}

async fn write(mut stream: tokio::net::TcpStream, written: Arc<AtomicU64>) {
    while stream.write_all(&MESSAGE).await.is_ok() {
        written.fetch_add(MESSAGE.len() as u64, Ordering::Relaxed);
    }
}
