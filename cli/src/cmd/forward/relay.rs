//! Carries the bytes of two connections to each other, and their ends.

use std::{io, pin::pin};

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

/// Carries `near`'s bytes to `far`, which count as sent, and back, each direction up to its own end.
///
/// When a direction cannot deliver any more, the other one goes on to its end: a server that has answered and closed is still heard.
pub(super) async fn relay(near: Stream, far: Stream, meter: &Meter) -> Result<(), Failure> {
    let (near_reader, near_writer) = tokio::io::split(near);
    let (far_reader, far_writer) = tokio::io::split(far);
    let mut out = pin!(carry(near_reader, far_writer, |bytes| meter.add_sent(bytes)));
    let mut back = pin!(carry(far_reader, near_writer, |bytes| meter.add_received(bytes)));
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
    for (ended, what) in [(sent, "sending"), (received, "receiving")] {
        if let Some(Err(Broken::Source(error) | Broken::Sink(error))) = ended {
            return Err(Failure::of_io(what.to_owned(), &error));
        }
    }
    Ok(())
}

/// Carries up to the source's end, which becomes the sink's.
async fn carry(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    count: impl Fn(usize),
) -> Result<(), Broken> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = source.read(&mut buffer).await.map_err(Broken::Source)?;
        if length == 0 {
            return half_close(&mut sink).await.map_err(Broken::Sink);
        }
        sink.write_all(&buffer[..length])
            .await
            .map_err(Broken::Sink)?;
        count(length);
    }
}

#[cfg(test)]
mod tests {
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
        let (result, ()) = tokio::join!(relay(Box::new(near), Box::new(far), &meter), ends);
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
        let result = relay(Box::new(near), Box::new(far), &meter).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "too much");
        assert!(result.is_err(), "what was not delivered is told");
    }
}
