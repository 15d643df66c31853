//! Sockets that cannot be relayed between, and what is said of them.

use farsock_client::{ErrorKind, Reason, SocketType};

use crate::support::{assert_kernel, both, embedded, in_time, pair, tcp};

#[tokio::test]
async fn bytes_and_messages_do_not_go_together() {
    let (daemon, client) = embedded().await;
    let (stream, _peer) = tcp(&client).await;
    for kind in [SocketType::Seqpacket, SocketType::Dgram] {
        let (messages, _other) = pair(&client, kind).await;
        for (first, second) in [(&stream, &messages), (&messages, &stream)] {
            let error = in_time(first.splice(second)).await;
            let error = error.expect_err("they do not go together");
            let ErrorKind::InvalidRequest { violations } = error.kind() else {
                panic!("{error:?}");
            };
            assert_eq!(violations[0].field, "second");
        }
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_handle_that_does_not_exist_is_not_found() {
    let (daemon, client) = embedded().await;
    let (socket, _peer) = tcp(&client).await;
    for (first, second) in [(socket.handle(), 0), (0, socket.handle()), (u64::MAX, 0)] {
        let error = in_time(client.adopt(first).splice(&second)).await;
        let error = error.expect_err("one of them is none");
        assert_eq!(error.reason(), Some(Reason::HandleNotFound));
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn of_sockets_without_a_connection_each_direction_tells_what_the_kernel_says() {
    let (daemon, client) = embedded().await;
    let unconnected = client.tcp_socket().await.expect("a socket");
    let listening = client.tcp_listener("127.0.0.1:0").await.expect("a port");
    for first in [&unconnected, listening.socket()] {
        let (second, _far) = tcp(&client).await;
        let spliced = in_time(first.splice(&second)).await;
        let (there, back) = both(spliced.expect("the directions tell"));
        assert_kernel(there.error, "ENOTCONN", "recv", first.handle());
        assert_kernel(back.error, "EPIPE", "send", first.handle());
        // And the other socket is as it was.
        second.send("whole").await.expect("connected");
    }
    let unix = client
        .socket(
            farsock_client::Domain::Unix,
            SocketType::Stream,
            farsock_client::Protocol::Default,
        )
        .await
        .expect("a socket");
    let (second, _far) = pair(&client, SocketType::Stream).await;
    let spliced = in_time(unix.splice(&second)).await;
    let (there, back) = both(spliced.expect("the directions tell"));
    assert_kernel(there.error, "EINVAL", "recv", unix.handle());
    assert_kernel(back.error, "ENOTCONN", "send", unix.handle());
    in_time(daemon.shutdown()).await;
}
