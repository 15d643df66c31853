//! Carries the bytes of two connections to each other, and their ends.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    exit::Failure,
    traffic::{
        duplex::{Stream, half_close},
        meter::Meter,
    },
};

/// Bytes on their way in one direction, at most.
const BUFFER: usize = 64 << 10;

/// Why a direction ended too early.
enum Broken {
    /// Its source failed, as the other direction's sink will.
    Source(io::Error),
    /// Its sink took no more; what the sink's peer had sent before may still be on its way.
    Sink(io::Error),
}

/// How both directions ended.
struct Ended {
    result: Result<(), Failure>,
    /// Whether what was carried may lack its end, without that either peer would see it.
    is_cut: bool,
}

/// Carries `near`'s bytes to `far`, which count as sent, and back, each direction up to its own end, or until the session is `lost`.
///
/// When a direction cannot deliver any more, the other one goes on to its end: what a server sent before it closed is still delivered.
/// A connection that ends in any other way than in good order is reset on both sides, as its drop is: what was cut off must not look
/// complete. Returns when the kernels have closed both.
pub(super) async fn relay(
    mut near: Stream,
    mut far: Stream,
    meter: &Meter,
    lost: impl Future<Output = Failure>,
) -> Result<(), Failure> {
    let mut lost = pin!(lost);
    let ended = tokio::select! {
        // What has ended has ended in its own way.
        biased;
        ended = carry_both(&mut near, &mut far, meter) => ended,
        failure = &mut lost => return Err(failure),
    };
    let (near, far) = if ended.is_cut {
        (near.reset(), far.reset())
    } else {
        (near.end(), far.end())
    };
    tokio::select! {
        // This host's are closed here, and the daemon's while the session lives.
        _ = async { tokio::join!(near, far) } => {}
        _ = lost => {}
    }
    ended.result
}

async fn carry_both(near: &mut Stream, far: &mut Stream, meter: &Meter) -> Ended {
    let (near_reader, near_writer) = tokio::io::split(near);
    let (far_reader, far_writer) = tokio::io::split(far);
    let is_cut = AtomicBool::new(false);
    let count_out = |bytes| meter.add_sent(bytes);
    let count_back = |bytes| meter.add_received(bytes);
    let mut out = pin!(carry(near_reader, far_writer, count_out, &is_cut));
    let mut back = pin!(carry(far_reader, near_writer, count_back, &is_cut));
    let (mut sent, mut received) = (None, None);
    while sent.is_none() || received.is_none() {
        let ended = tokio::select! {
            ended = &mut out, if sent.is_none() => sent.insert(ended),
            ended = &mut back, if received.is_none() => received.insert(ended),
        };
        if matches!(ended, Err(Broken::Source(_))) {
            break;
        }
    }
    let mut result = Ok(());
    for (ended, what) in [(received, "receiving"), (sent, "sending")] {
        if let Some(Err(Broken::Source(error) | Broken::Sink(error))) = ended {
            result = Err(Failure::of_io(what.to_owned(), &error));
        }
    }
    Ended {
        result,
        is_cut: is_cut.load(Ordering::Relaxed),
    }
}

/// Carries up to the source's end, which becomes the sink's; unless the connection is cut, by which the source's end means nothing.
async fn carry(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    count: impl Fn(usize),
    is_cut: &AtomicBool,
) -> Result<(), Broken> {
    let of_sink = |error: io::Error| {
        // Its peer had ended in good order before it took no more, and that end is still to be read.
        if error.kind() != io::ErrorKind::BrokenPipe {
            is_cut.store(true, Ordering::Relaxed);
        }
        Broken::Sink(error)
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = source.read(&mut buffer).await.map_err(|error| {
            is_cut.store(true, Ordering::Relaxed);
            Broken::Source(error)
        })?;
        if length == 0 && is_cut.load(Ordering::Relaxed) {
            return Ok(());
        }
        if length == 0 {
            return half_close(&mut sink).await.map_err(of_sink);
        }
        sink.write_all(&buffer[..length]).await.map_err(of_sink)?;
        count(length);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn each_direction_has_an_end_of_its_own() {
        let (mut client, near) = duplex(16);
        let (mut server, far) = duplex(16);
        let meter = Meter::start();
        let ends = async {
            client.write_all(b"what is it?").await.unwrap();
            client.shutdown().await.unwrap();
            let mut request = String::new();
            server.read_to_string(&mut request).await.unwrap();
            assert_eq!(request, "what is it?");
            server.write_all(b"it is what it is").await.unwrap();
            drop(server);
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "it is what it is");
        };
        let (result, ()) = tokio::join!(
            relay(Box::new(near), Box::new(far), &meter, pending()),
            ends
        );
        assert!(result.is_ok());
        assert_eq!((meter.sent(), meter.received()), (11, 16));
    }

    #[tokio::test]
    async fn an_answer_is_carried_although_its_server_takes_no_more() {
        let (mut client, near) = duplex(1024);
        let (mut server, far) = duplex(1024);
        let meter = Meter::start();
        server.write_all(b"too much").await.unwrap();
        drop(server);
        // More than the connection takes: nobody reads it.
        client.write_all(&[0; 512]).await.unwrap();
        let result = relay(Box::new(near), Box::new(far), &meter, pending()).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "too much");
        assert!(result.is_err(), "what was not delivered is told");
    }
}
