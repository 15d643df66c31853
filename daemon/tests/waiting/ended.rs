//! What ends a wait, and that it took nothing.

use std::time::Duration;

use farsock_client::{
    AcceptOptions, Address, Client, ConnectOptions, Domain, MessageFlags, OutgoingMessage,
    PollEvents, Protocol, Reason, RecvMessagesOptions, RecvOptions, RemoteSocket, SendOptions,
    SocketType, UnixAddress,
};

use crate::support::{
    a_moment, another, begin, embedded, fill, in_time, listener, pair, reason, udp,
    until_nothing_waits, until_waiting,
};

const SHORT: Option<Duration> = Some(Duration::from_millis(20));

#[tokio::test]
async fn close_ends_every_kind_of_wait_with_handle_closed() {
    let (daemon, client) = embedded().await;
    let closed = Some(Reason::HandleClosed);

    let socket = listener(&client).await;
    let accept = begin(&socket, |s| async move { s.accept().await });
    let poll = {
        let (client, handle) = (client.clone(), socket.handle());
        tokio::spawn(async move { client.poll(&[(handle, PollEvents::IN)], None).await })
    };
    until_waiting(&socket, 2).await;
    in_time(socket.close()).await.expect("it is open");
    assert_eq!(reason(in_time(accept).await.expect("no panic")), closed);
    assert_eq!(reason(in_time(poll).await.expect("no panic")), closed);

    let (near, far) = pair(&client, SocketType::Stream).await;
    fill(&near).await;
    let receives = [
        begin(&near, |s| async move { s.recv(1).await.map(drop) }),
        begin(&near, |s| async move { s.recv_from(1).await.map(drop) }),
        begin(&near, |s| async move {
            s.recv_messages(RecvMessagesOptions::default())
                .await
                .map(drop)
        }),
        begin(&near, |s| async move { s.send("x").await.map(drop) }),
        begin(&near, |s| async move {
            s.send_messages(vec![OutgoingMessage::new("x")])
                .await
                .map(drop)
        }),
    ];
    until_waiting(&near, receives.len()).await;
    in_time(near.close()).await.expect("it is open");
    for receive in receives {
        assert_eq!(reason(in_time(receive).await.expect("no panic")), closed);
    }
    drop(far);

    let late = full_unix_listener(&client).await;
    let connect = begin(&late.1, move |s| async move { s.connect(late.0).await });
    until_waiting(&late.1, 1).await;
    in_time(late.1.close()).await.expect("it is open");
    assert_eq!(reason(in_time(connect).await.expect("no panic")), closed);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_timeout_ends_every_kind_of_wait_and_takes_nothing() {
    let (daemon, client) = embedded().await;
    let timed_out = Some(Reason::TimedOut);
    let receive = RecvOptions {
        timeout: SHORT,
        ..RecvOptions::default()
    };

    let socket = listener(&client).await;
    let accept = AcceptOptions {
        timeout: SHORT,
        ..AcceptOptions::default()
    };
    assert_eq!(reason(in_time(socket.accept_with(accept)).await), timed_out);
    let near = client.tcp_socket().await.expect("a socket");
    near.connect(socket.socket_name().await.expect("it is bound"))
        .await
        .expect("it listens");
    let (far, _) = in_time(socket.accept()).await.expect("somebody connected");

    assert_eq!(
        reason(in_time(far.recv_with(8, receive.clone())).await),
        timed_out
    );
    assert_eq!(
        reason(in_time(far.recv_from_with(8, receive.clone())).await),
        timed_out
    );
    let several = RecvMessagesOptions {
        max_messages: Some(2),
        timeout: SHORT,
        ..RecvMessagesOptions::default()
    };
    assert_eq!(
        reason(in_time(far.recv_messages(several.clone())).await),
        timed_out
    );
    near.send("all of it").await.expect("it is connected");
    assert_eq!(in_time(far.recv(16)).await.expect("sent").data, "all of it");

    // With something received, the end of the time is the end of the call.
    near.send("one").await.expect("it is connected");
    let messages = in_time(far.recv_messages(several)).await.expect("one came");
    assert_eq!(messages.len(), 1);
    let waitall = RecvOptions {
        flags: MessageFlags::WAITALL,
        ..receive
    };
    near.send("two").await.expect("it is connected");
    let received = in_time(far.recv_with(16, waitall))
        .await
        .expect("three bytes came");
    assert_eq!(received.data, "two");

    assert_eq!(
        client
            .poll(&[(&far, PollEvents::IN)], SHORT)
            .await
            .expect("it ends well"),
        []
    );
    let (address, late) = full_unix_listener(&client).await;
    let connect = ConnectOptions { timeout: SHORT };
    assert_eq!(
        reason(in_time(late.connect_with(address, connect)).await),
        timed_out
    );
    until_nothing_waits(&client).await;
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_timeout_of_zero_does_not_wait() {
    let (daemon, client) = embedded().await;
    let socket = udp(&client).await;
    let at_once = RecvOptions {
        timeout: Some(Duration::ZERO),
        ..RecvOptions::default()
    };
    let nothing = in_time(socket.recv_with(8, at_once.clone())).await;
    assert_eq!(reason(nothing), Some(Reason::TimedOut));
    let address = socket.socket_name().await.expect("it is bound");
    socket.send_to("here", address).await.expect("to itself");
    in_time(client.poll(&[(&socket, PollEvents::IN)], None))
        .await
        .expect("it arrives");
    let received = in_time(socket.recv_with(8, at_once))
        .await
        .expect("it is there");
    assert_eq!(received.data, "here");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_send_that_is_ended_early_tells_how_much_was_sent_and_no_byte_is_lost() {
    let (daemon, client) = embedded().await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let options = SendOptions {
        timeout: SHORT,
        ..SendOptions::default()
    };
    let sent = in_time(near.send_with(vec![7; 1 << 20], options.clone()))
        .await
        .expect("some of it fits");
    assert!(sent > 0 && sent < 1 << 20, "{sent}");
    let full = in_time(near.send_with("x", options)).await;
    assert_eq!(reason(full), Some(Reason::TimedOut));
    near.shutdown(std::net::Shutdown::Write)
        .await
        .expect("connected");
    let mut received = 0;
    loop {
        let part = in_time(far.recv(65_536)).await.expect("connected");
        if part.end_of_stream {
            break;
        }
        received += part.data.len();
    }
    assert_eq!(received, sent);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_clients_deadline_ends_the_wait_in_the_daemon() {
    let (daemon, client) = embedded().await;
    let hurried = Client::builder()
        .timeout(Duration::from_millis(30))
        .connect_with(daemon.connector())
        .await
        .expect("it can be reached");
    let socket = udp(&client).await;
    let error = in_time(hurried.adopt(socket.handle()).recv(8)).await;
    let error = error.expect_err("nothing comes");
    assert_eq!(error.code(), farsock_client::Code::DeadlineExceeded);
    until_waiting(&socket, 0).await;
    let address = socket.socket_name().await.expect("it is bound");
    socket.send_to("whole", address).await.expect("to itself");
    assert_eq!(in_time(socket.recv(8)).await.expect("sent").data, "whole");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn an_accept_whose_client_is_gone_leaves_the_connection_to_the_next() {
    let (daemon, client) = embedded().await;
    let gone = another(&daemon).await;
    let socket = listener(&client).await;
    let same = gone.adopt(socket.handle());
    let accept = tokio::spawn(async move { same.accept().await });
    until_waiting(&socket, 1).await;
    accept.abort();
    drop(gone);
    until_waiting(&socket, 0).await;

    let near = connected_to(&client, &socket).await;
    let (far, peer) = in_time(socket.accept()).await.expect("it was not taken");
    assert_eq!(peer, near.socket_name().await.expect("connected"));
    drop(far);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_receive_that_was_given_up_while_it_waited_took_nothing() {
    let (daemon, client) = embedded().await;
    let socket = udp(&client).await;
    let address = socket.socket_name().await.expect("it is bound");
    for round in 0..50 {
        let receive = begin(&socket, |s| async move { s.recv(16).await });
        until_waiting(&socket, 1).await;
        receive.abort();
        let _ = receive.await;
        until_waiting(&socket, 0).await;
        let text = format!("round {round}");
        socket
            .send_to(text.clone(), address.clone())
            .await
            .expect("to itself");
        assert_eq!(in_time(socket.recv(16)).await.expect("sent").data, text);
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn shutdown_of_the_daemon_ends_what_waits_with_draining() {
    let (daemon, client) = embedded().await;
    let socket = udp(&client).await;
    let receive = begin(&socket, |s| async move { s.recv(16).await });
    until_waiting(&socket, 1).await;
    in_time(daemon.shutdown()).await;
    let ended = in_time(receive).await.expect("no panic");
    assert_eq!(reason(ended), Some(Reason::Draining));
}

/// A unix listener without room for one more, and a socket that would connect to it.
async fn full_unix_listener(client: &Client) -> (Address, RemoteSocket) {
    let socket = async || {
        client
            .socket(Domain::Unix, SocketType::Stream, Protocol::Default)
            .await
            .expect("a socket")
    };
    let listener = socket().await;
    let address = listener
        .bind(Address::Unix(UnixAddress::Unnamed))
        .await
        .expect("the kernel has names");
    listener.listen(0).await.expect("it is bound");
    let first = socket().await;
    first
        .connect(address.clone())
        .await
        .expect("there is room for one");
    // Open until the daemon ends.
    let _ = (listener.into_handle(), first.into_handle());
    (address, socket().await)
}

async fn connected_to(client: &Client, listener: &RemoteSocket) -> RemoteSocket {
    let near = client.tcp_socket().await.expect("a socket");
    let address = listener.socket_name().await.expect("it is bound");
    near.connect(address).await.expect("it listens");
    near
}

#[tokio::test]
async fn a_receive_for_one_message_that_is_ended_early_keeps_the_bytes_that_it_has() {
    let (daemon, client) = embedded().await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let options = RecvMessagesOptions {
        max_messages: Some(2),
        length: Some(4),
        flags: MessageFlags::WAITALL | MessageFlags::WAITFORONE,
        ..RecvMessagesOptions::default()
    };
    let receive = begin(&far, |s| async move { s.recv_messages(options).await });
    until_waiting(&far, 1).await;
    near.send("ab").await.expect("connected");
    let taken = async {
        while far.info().await.expect("it is there").receive_queue != Some(0) {
            a_moment().await;
        }
    };
    in_time(taken).await;
    until_waiting(&far, 1).await;
    in_time(far.close()).await.expect("it is open");
    let messages = in_time(receive)
        .await
        .expect("no panic")
        .expect("what it has");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].data, "ab");
    daemon.shutdown().await;
}
