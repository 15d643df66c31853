//! One connection of a SOCKS client: the handshake, then what it asked for.

use std::{io, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    accept::Shared,
    listener::Accepted,
    places::Place,
    relay::relay,
    socks::{self, Command, LONGEST, Malformed, Parsed, Reply, Request},
    spec::host_and_port,
    udp,
};
use crate::{
    exit::Failure,
    traffic::{duplex::Stream, meter::Meter},
};

/// How long a client may take to say what it wants: one that says nothing takes the place of others.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Serves one client.
pub(super) async fn serve(accepted: Accepted, shared: &Shared, meter: &Meter, place: &mut Place) {
    let Accepted {
        mut stream,
        peer,
        ends,
    } = accepted;
    let request = match tokio::time::timeout(HANDSHAKE, handshake(&mut stream)).await {
        Ok(Ok(Some(request))) => request,
        // It left again, without a word.
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            // It may read why.
            stream.end().await;
            return Failure::Local(format!("{peer}: {error}")).tell();
        }
        Err(_) => return Failure::Local(format!("{peer}: it does not say what it wants")).tell(),
    };
    let host = request.host.text();
    let target = host_and_port(&host, request.port);
    let life = match shared.way.life() {
        Ok(life) => life,
        Err(failure) => {
            shared.not_connected(&peer, target, &failure);
            return refuse(stream, Reply::to(&failure)).await;
        }
    };
    match request.command {
        Command::Connect => {
            let port = request.port.to_string();
            let dialing = shared.dialing.tcp(&life.client, &host, &port);
            let dialing = async { life.within(dialing).await.flatten() };
            let dialed = match place.connect_for(&stream, true, dialing).await {
                Some(Ok(dialed)) => dialed,
                Some(Err(failure)) => {
                    shared.not_connected(&peer, target, &failure);
                    return refuse(stream, Reply::to(&failure)).await;
                }
                None => return shared.left(&peer, target),
            };
            let reply = Reply::Succeeded.message(dialed.local);
            let result = match stream.write_all(&reply).await {
                Ok(()) => relay(stream, dialed.stream, meter, life.over()).await,
                Err(error) => Err(Failure::of_io("receiving".to_owned(), &error)),
            };
            shared.ended(&peer, target, meter, result);
        }
        Command::UdpAssociate => {
            let Some((local, client)) = ends else {
                return refuse(stream, Reply::CommandNotSupported).await;
            };
            let associated =
                udp::associate(stream, local, client, &request, shared, &life.client, meter);
            let result = life.within(associated).await.flatten();
            shared.ended(&peer, "UDP", meter, result);
        }
    }
}

/// Reads what a client says first. None: it said nothing.
async fn handshake(stream: &mut Stream) -> io::Result<Option<Request>> {
    let Some(offered) = read(stream, socks::methods).await? else {
        return Ok(None);
    };
    let offered = offered.map_err(malformed)?;
    stream.write_all(&socks::method(offered)).await?;
    if !offered {
        return Err(io::Error::other(
            "it offers no method of authentication that is known here: \"none\" is the one",
        ));
    }
    match read(stream, socks::request).await? {
        None => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(Ok(request)) => Ok(Some(request)),
        Some(Err(error)) => {
            if let Some(reply) = error.reply {
                say(stream, reply).await;
            }
            Err(malformed(error))
        }
    }
}

/// Reads one message and nothing beyond. None: the stream ended before it began.
async fn read<T>(
    stream: &mut Stream,
    parse: impl Fn(&[u8]) -> Result<Parsed<T>, Malformed>,
) -> io::Result<Option<Result<T, Malformed>>> {
    let mut buffer = [0; LONGEST];
    let mut length = 0;
    loop {
        match parse(&buffer[..length]) {
            Ok(Parsed::Whole(message)) => return Ok(Some(Ok(message))),
            Err(error) => return Ok(Some(Err(error))),
            Ok(Parsed::Needs(needed)) => {
                let more = &mut buffer[length..needed];
                match stream.read(more).await? {
                    0 if length == 0 => return Ok(None),
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => length += read,
                }
            }
        }
    }
}

async fn refuse(mut stream: Stream, reply: Reply) {
    say(&mut stream, reply).await;
    stream.end().await;
}

async fn say(stream: &mut Stream, reply: Reply) {
    // A client that has left need not be told.
    let _ = stream.write_all(&reply.message(None)).await;
    let _ = stream.shutdown().await;
}

fn malformed(error: Malformed) -> io::Error {
    io::Error::other(error.text)
}
