//! SO_RCVLOWAT means nothing to a stream of bytes, and is the user's all the same.

use farsock_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    accept_many::{self, Accepting, listening},
    support::{Stream, channel, connected, credit, get, opening, set, sockets},
};

const LOW_WATER: (i32, i32) = (libc::SOL_SOCKET, libc::SO_RCVLOWAT);

#[tokio::test]
async fn a_stream_delivers_what_has_come_whatever_the_low_water_mark_is() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    set(&channel, handle, LOW_WATER, 1000).await;
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    peer.write_all(b"abcd").await.unwrap();
    assert_eq!(stream.read(4).await, b"abcd");
    assert_eq!(get(&channel, handle, LOW_WATER).await, 1000);

    // Set while the stream waits, and by name.
    set(&channel, handle, LOW_WATER, 2000).await;
    peer.write_all(b"ef").await.unwrap();
    assert_eq!(stream.read(2).await, b"ef");
    assert_eq!(get(&channel, handle, LOW_WATER).await, 2000);
    set(&channel, handle, LOW_WATER, 3).await;
    // Another option leaves it alone.
    set(&channel, handle, (libc::SOL_SOCKET, libc::SO_KEEPALIVE), 1).await;
    let named = v1::GetOptionRequest {
        handle,
        name: Some(v1::get_option_request::Name::Option(
            v1::SocketOption::SoRcvlowat.into(),
        )),
        ..Default::default()
    };
    let named = sockets(&channel).get_option(named).await.unwrap();
    let value = named.into_inner().value.unwrap().value;
    assert_eq!(value, Some(v1::option_value::Value::Integer(3)));
    peer.write_all(b"g").await.unwrap();
    assert_eq!(stream.read(1).await, b"g");

    // Afterwards it holds for receives again.
    stream.say(credit(7, 100));
    stream.end();
    assert_eq!(stream.end_reason().await, None);
    assert_eq!(get(&channel, handle, LOW_WATER).await, 3);
    let receiving = tokio::spawn({
        let mut sockets = sockets(&channel);
        let request = v1::RecvRequest {
            handle,
            ..Default::default()
        };
        async move { sockets.recv(request).await }
    });
    for byte in [b"h", b"i", b"j"] {
        peer.write_all(byte).await.unwrap();
    }
    let received = receiving.await.unwrap().unwrap().into_inner();
    let expected = v1::recv_response::Payload::Data("hij".into());
    assert_eq!(received.payload, Some(expected));
}

#[tokio::test]
async fn an_accepted_connection_has_its_listeners_low_water_mark_though_a_stream_accepts_it() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (listener, address) = listening(&channel).await;
    set(&channel, listener, LOW_WATER, 5).await;
    let mut accepting = Accepting::open(&channel, accept_many::opening(listener, 1))
        .await
        .unwrap();
    let mut peer = tokio::net::TcpStream::connect(&address).await.unwrap();
    let handle = accepting.accepted(1).await[0];
    assert_eq!(get(&channel, handle, LOW_WATER).await, 5);
    let mut stream = Stream::open(&channel, opening(handle, 100)).await.unwrap();
    peer.write_all(b"abcd").await.unwrap();
    assert_eq!(stream.read(4).await, b"abcd");
    stream.send(&b"back"[..]);
    let mut back = [0; 4];
    peer.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"back");
}
