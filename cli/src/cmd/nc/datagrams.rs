//! One datagram socket with a peer: each piece of stdin is a datagram, and each datagram's bytes go to stdout.

use std::{pin::pin, time::Duration};

use farsock_client::RemoteSocket;

use super::{
    exchange::Terms,
    stdio::{Stdin, Stdout},
};
use crate::{
    exit::{Failure, Tried},
    traffic::meter::Meter,
};

/// The largest piece of stdin that is sent as one datagram.
pub(super) const PIECE: usize = 16 << 10;
/// Holds every datagram.
pub(super) const LARGEST: usize = 65_536;

/// Moves datagrams both ways, to and from `peer` in words, until the terms say that it is over: the peer's datagrams have no end of their own.
pub(super) async fn exchange(
    socket: &RemoteSocket,
    peer: &str,
    stdin: &mut Stdin,
    stdout: &mut Stdout,
    terms: Terms,
    meter: &Meter,
) -> Result<(), Failure> {
    let up = async {
        while let Some(piece) = stdin.next().await? {
            let length = piece.len();
            socket
                .send(piece)
                .await
                .tried(|| format!("send to {peer}"))?;
            meter.add_sent(length);
        }
        quit(terms.quit).await;
        Ok(())
    };
    let down = async {
        loop {
            let received = socket
                .recv(LARGEST)
                .await
                .tried(|| format!("recv from {peer}"))?;
            meter.add_received(received.data.len());
            stdout.write(received.data).await?;
        }
    };
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        result = &mut up => result,
        result = &mut down => result,
        () = meter.idle(terms.idle) => Ok(()),
    }
}

/// Writes what anybody sends. Ends as the terms say.
pub(super) async fn receive_from_all(
    socket: &RemoteSocket,
    stdout: &mut Stdout,
    terms: Terms,
    meter: &Meter,
) -> Result<(), Failure> {
    let receiving = async {
        loop {
            let (received, _) = socket
                .recv_from(LARGEST)
                .await
                .tried(|| "recvfrom".to_owned())?;
            meter.add_received(received.data.len());
            stdout.write(received.data).await?;
        }
    };
    tokio::select! {
        result = receiving => result,
        () = meter.idle(terms.idle) => Ok(()),
    }
}

async fn quit(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}
