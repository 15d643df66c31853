//! Connections that their peers abort: the calls hear it in the order in which a local socket's calls do.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream as LocalStream,
    os::unix::net::UnixStream as LocalUnixStream,
    time::Duration,
};

use farsock_client::{TcpListener, TcpStream, UnixStream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::world::World;

/// For what must come, and is over long before.
const BOUND: Duration = Duration::from_secs(60);

/// What calls answer.
#[derive(Debug, PartialEq)]
enum Answer {
    Wrote(Option<ErrorKind>),
    /// All bytes up to the end, or to an error.
    Read(Vec<u8>, Option<ErrorKind>),
}

use Answer::{Read as Heard, Wrote};

/// Writes and reads a local socket, and tells the answers: writing first goes on until it hears of the end.
fn local(mut socket: impl Read + Write, writes_first: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    if writes_first {
        let told = (0..1_000).find_map(|_| socket.write(b"x").err());
        answers.push(Wrote(told.map(|error| error.kind())));
        answers.push(Wrote(socket.write(b"x").err().map(|error| error.kind())));
    }
    for _ in 0..2 {
        let mut all = Vec::new();
        let how = socket.read_to_end(&mut all);
        answers.push(Heard(all, how.err().map(|error| error.kind())));
    }
    answers.push(Wrote(socket.write(b"x").err().map(|error| error.kind())));
    answers
}

/// The same with a socket of the daemon's.
async fn remote(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    writes_first: bool,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    if writes_first {
        let told = async {
            loop {
                if let Err(error) = socket.write(b"x").await {
                    return error.kind();
                }
                tokio::task::yield_now().await;
            }
        };
        let told = timeout(BOUND, told).await.unwrap();
        answers.push(Wrote(Some(told)));
        answers.push(Wrote(
            socket.write(b"x").await.err().map(|error| error.kind()),
        ));
    }
    for _ in 0..2 {
        let mut all = Vec::new();
        let how = timeout(BOUND, socket.read_to_end(&mut all)).await.unwrap();
        answers.push(Heard(all, how.err().map(|error| error.kind())));
    }
    answers.push(Wrote(
        socket.write(b"x").await.err().map(|error| error.kind()),
    ));
    answers
}

/// The peer says its last words, if it has any, and aborts.
async fn abort(peer: TcpStream, last_words: &'static str) {
    // The stream of the other end is open.
    assert_eq!(peer.recv(10).await.unwrap(), "hello");
    if !last_words.is_empty() {
        peer.send(last_words).await.unwrap();
    }
    peer.into_socket().abort().await.unwrap();
}

#[tokio::test]
async fn a_reset_is_told_to_whichever_call_comes_first_and_once_as_on_a_local_socket() {
    let world = World::new().await;
    let listener = TcpListener::bind(&world.client, "127.0.0.1:0")
        .await
        .unwrap();
    let there = listener.local_addr();
    for round in 0..12 {
        let writes_first = round % 2 == 0;
        let last_words = if round % 4 < 2 { "" } else { "last words" };
        let mut near = TcpStream::connect(&world.client, there).await.unwrap();
        near.write_all(b"hello").await.unwrap();
        abort(listener.accept().await.unwrap().0, last_words).await;
        let answers = remote(near, writes_first).await;

        let mut near = LocalStream::connect(there).unwrap();
        near.write_all(b"hello").unwrap();
        abort(listener.accept().await.unwrap().0, last_words).await;
        assert_eq!(answers, local(near, writes_first), "round {round}");

        let first = Some(ErrorKind::ConnectionReset);
        if writes_first {
            assert_eq!(answers[0], Wrote(first));
        } else {
            assert_eq!(answers[0], Heard(last_words.into(), first));
        }
    }
}

#[tokio::test]
async fn a_reset_of_a_unix_connection_is_a_reads_alone_as_on_a_local_socket() {
    let world = World::new().await;
    for writes_first in [true, false] {
        let (mut near, far) = UnixStream::pair(&world.client).await.unwrap();
        near.write_all(b"hello").await.unwrap();
        assert_eq!(far.recv(1).await.unwrap(), "h");
        far.send("last words").await.unwrap();
        far.close().await.unwrap();
        let answers = remote(near, writes_first).await;

        let (mut near, mut far) = LocalUnixStream::pair().unwrap();
        near.write_all(b"hello").unwrap();
        far.write_all(b"last words").unwrap();
        drop(far);
        assert_eq!(answers, local(near, writes_first));
    }
}
