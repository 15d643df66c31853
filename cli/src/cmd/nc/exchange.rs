//! One connection: stdin to the socket, the socket to stdout, and when that is over.

use std::{cell::Cell, future::Future, pin::pin, time::Duration};

use farsock_client::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    time::Instant,
};

use super::stdio::{Stdin, Stdout};
use crate::{
    exit::Failure,
    traffic::{
        duplex::{Stream, half_close},
        meter::Meter,
    },
};

/// Bytes that are received at once, at most.
const RECEIVED: usize = 256 << 10;
/// How long the peer of a connection that was idle may take to make room for what was sent last.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// When a connection is over.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Ends the sending direction at stdin's end.
    pub(super) half_close: bool,
    /// Once the peer has sent all, what stdin has not given yet stays there.
    pub(super) peer_ends: bool,
    /// How long to wait for the peer after stdin's end.
    pub(super) quit: Option<Duration>,
    /// How long nothing may move.
    pub(super) idle: Option<Duration>,
}

/// Moves bytes both ways until both directions have ended, or as the terms say.
///
/// When sending fails, the peer may have sent something before it went: that is still received. Whatever stdin gave is with the kernel
/// of the daemon's host when this returns well, but for a connection that was idle. A connection that ends in any other way is reset: what
/// was cut off must not look complete to its peer. Once the peer has sent all, nothing on the stream says that it is lost before stdin gives
/// more: `lost` does.
pub(super) async fn exchange(
    stream: Stream,
    stdin: &mut Stdin,
    stdout: &mut Stdout,
    terms: Terms,
    meter: &Meter,
    lost: impl Future<Output = Failure>,
) -> Result<(), Failure> {
    let mut lost = pin!(lost);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let no_more = Notify::new();
    // What stdin gave and the daemon has not: a part of it may be on its way.
    let in_hand = Cell::new(false);
    let mut sent = None;
    let idle = {
        let mut up = pin!(send_all(
            &mut writer,
            stdin,
            terms,
            &no_more,
            &in_hand,
            meter
        ));
        let mut down = pin!(receive_all(&mut reader, stdout, meter));
        let mut idle = pin!(meter.idle(terms.idle));
        let mut quit = pin!(wait_until(None));
        let mut received = false;
        loop {
            tokio::select! {
                result = &mut up, if sent.is_none() => {
                    match &result {
                        Ok(()) => {
                            let end = terms.quit.and_then(|span| Instant::now().checked_add(span));
                            quit.set(wait_until(end));
                        }
                        // The kernel's no: the receiving direction has an end of its own.
                        Err(Failure::Kernel { .. }) => {}
                        Err(_) => return result,
                    }
                    sent = Some(result);
                }
                result = &mut down, if !received => {
                    result?;
                    received = true;
                    if terms.peer_ends {
                        no_more.notify_one();
                    }
                }
                why = &mut lost, if received => return Err(why),
                () = &mut quit => break false,
                () = &mut idle => break true,
            }
            if received && sent.is_some() {
                break false;
            }
        }
    };
    sent.transpose()?;
    // Returns when the socket has taken everything. Done already, or of no more use, it fails, which is no news.
    let is_taken = if !idle {
        let _ = half_close(&mut writer).await;
        true
    } else if in_hand.get() {
        // Of a peer that takes nothing, what was sent is cut off.
        false
    } else {
        let taken = half_close(&mut writer);
        tokio::time::timeout(LAST_BYTES, taken).await.is_ok()
    };
    let stream = reader.unsplit(writer);
    if is_taken {
        stream.end().await;
        return Ok(());
    }
    stream.reset().await;
    let words =
        "send: the peer takes nothing; the connection is reset, and what was sent last is lost";
    Err(Failure::Local(words.to_owned()))
}

/// Sends what stdin gives, up to its end or until there shall be no more.
async fn send_all(
    writer: &mut WriteHalf<Stream>,
    stdin: &mut Stdin,
    terms: Terms,
    no_more: &Notify,
    in_hand: &Cell<bool>,
    meter: &Meter,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::of_io("send".to_owned(), &error);
    loop {
        let piece = tokio::select! {
            biased;
            () = no_more.notified() => return Ok(()),
            piece = stdin.next() => piece?,
        };
        let Some(mut piece) = piece else { break };
        in_hand.set(true);
        while !piece.is_empty() {
            let length = writer.write(&piece).await.map_err(failed)?;
            if length == 0 {
                return Err(failed(std::io::ErrorKind::WriteZero.into()));
            }
            drop(piece.split_to(length));
            meter.add_sent(length);
        }
        in_hand.set(false);
    }
    if terms.half_close {
        half_close(writer).await.map_err(failed)?;
    }
    Ok(())
}

/// Writes what the peer sends, up to its end.
async fn receive_all(
    reader: &mut ReadHalf<Stream>,
    stdout: &mut Stdout,
    meter: &Meter,
) -> Result<(), Failure> {
    let mut buffer = vec![0; RECEIVED];
    loop {
        let read = tokio::select! {
            biased;
            failure = stdout.broken() => return Err(failure),
            read = reader.read(&mut buffer) => read,
        };
        let length = read.map_err(|error| Failure::of_io("recv".to_owned(), &error))?;
        if length == 0 {
            return Ok(());
        }
        meter.add_received(length);
        stdout
            .write(Bytes::copy_from_slice(&buffer[..length]))
            .await?;
    }
}

/// Never, without a moment.
async fn wait_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
