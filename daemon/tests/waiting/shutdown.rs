//! Shutdown acts at once, and ends what waits for the directions that it ends.

use std::{net::Shutdown, time::Duration};

use farsock_client::{
    Client, Domain, MessageFlags, OptionValue, PollEvents, Protocol, RecvMessagesOptions,
    RemoteSocket, SocketOption, SocketType,
};

use crate::support::{begin, embedded, fill, in_time, listener, pair, until_waiting};

/// More than the buffers of a connection hold, in bytes.
const MORE_THAN_FITS: usize = 1 << 20;

/// A connection within the daemon whose buffers do not grow.
async fn connected(client: &Client, protocol: Protocol) -> Option<(RemoteSocket, RemoteSocket)> {
    let make = || client.socket(Domain::Inet, SocketType::Stream, protocol);
    let listening = make().await.ok()?;
    let small = || OptionValue::from(32 << 10);
    let set = listening.set_option(SocketOption::SoRcvbuf, small());
    set.await.expect("it has the option");
    let address = listening.bind("127.0.0.1:0").await.expect("a port");
    listening.listen(1).await.expect("it is bound");
    let near = make().await.expect("as before");
    let set = near.set_option(SocketOption::SoSndbuf, small());
    set.await.expect("it has the option");
    near.connect(address).await.expect("it listens");
    let far = listening.accept().await.expect("it is connected").0;
    Some((near, far))
}

/// Receives to the end; returns how many bytes came.
async fn drain(socket: &RemoteSocket) -> usize {
    let mut all = 0;
    loop {
        let part = in_time(socket.recv(1 << 20)).await.expect("connected");
        if part.end_of_stream {
            return all;
        }
        all += part.data.len();
    }
}

#[tokio::test]
async fn a_send_that_waits_ends_with_what_it_has_sent_and_those_behind_it_with_epipe() {
    let (daemon, client) = embedded().await;
    for how in [Shutdown::Write, Shutdown::Both] {
        for protocol in [Protocol::Tcp, Protocol::Mptcp, Protocol::Default] {
            let made = match protocol {
                Protocol::Default => Some(pair(&client, SocketType::Stream).await),
                protocol => connected(&client, protocol).await,
            };
            // Not every kernel has MPTCP.
            let Some((near, far)) = made else {
                assert_eq!(protocol, Protocol::Mptcp);
                continue;
            };
            let before = near.send("complete before").await.expect("there is room");
            let data = vec![0; MORE_THAN_FITS];
            let send = begin(&near, |s| async move { s.send(data).await });
            until_waiting(&near, 1).await;
            let receive = begin(&near, |s| async move { s.recv(16).await });
            until_waiting(&near, 2).await;
            let behind = begin(&near, |s| async move { s.send("behind").await });
            until_waiting(&near, 3).await;
            // The limit of a send is nothing to it.
            let limit = OptionValue::from(Duration::from_millis(1));
            near.set_option(SocketOption::SoSndtimeo, limit)
                .await
                .expect("it has the option");

            in_time(near.shutdown(how)).await.expect("it is connected");
            let sent = in_time(send).await.expect("no panic").expect("a part");
            assert!((1..MORE_THAN_FITS).contains(&sent), "{sent}");
            let behind = in_time(behind).await.expect("no panic");
            assert_eq!(behind.expect_err("it is over").errno_name(), Some("EPIPE"));
            let after = in_time(near.send("after")).await;
            assert_eq!(after.expect_err("it is over").errno_name(), Some("EPIPE"));
            if how == Shutdown::Both {
                let received = in_time(receive).await.expect("no panic");
                assert!(received.expect("the end").end_of_stream);
                assert_eq!(drain(&far).await, before + sent);
            } else {
                assert_eq!(drain(&far).await, before + sent);
                far.send("answer").await.expect("that side is open");
                let received = in_time(receive).await.expect("no panic");
                assert_eq!(received.expect("sent").data, "answer");
            }
        }
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_pipeline_and_its_shutdown_keep_what_was_complete_before() {
    let (daemon, client) = embedded().await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let mut pipeline = client.pipeline();
    let mut expected = String::new();
    let mut sends = Vec::new();
    for number in 0..50 {
        expected += &format!("<{number}>");
        sends.push(pipeline.then(near.send(format!("<{number}>"))));
    }
    let end = pipeline.then(near.shutdown(Shutdown::Write));
    for send in sends {
        in_time(send).await.expect("there is room");
    }
    in_time(end).await.expect("it is connected");
    let mut received = Vec::new();
    loop {
        let part = in_time(far.recv(65_536)).await.expect("connected");
        if part.end_of_stream {
            break;
        }
        received.extend_from_slice(&part.data);
    }
    assert_eq!(received, expected.as_bytes());
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_relay_that_waits_to_send_is_ended_with_epipe() {
    let (daemon, client) = embedded().await;
    for how in [Shutdown::Write, Shutdown::Both] {
        let (first, first_far) = pair(&client, SocketType::Stream).await;
        let (second, second_far) = pair(&client, SocketType::Stream).await;
        fill(&second).await;
        first_far.send("relayed").await.expect("there is room");
        let relay = {
            let second = client.adopt(second.handle());
            begin(&first, |s| async move { s.splice(&second).await })
        };
        // It has taken the bytes once they are not in the queue.
        let taken = async {
            while first.info().await.expect("it is there").receive_queue != Some(0) {
                crate::support::a_moment().await;
            }
        };
        in_time(taken).await;
        in_time(second.shutdown(how))
            .await
            .expect("it is connected");
        first_far
            .shutdown(Shutdown::Write)
            .await
            .expect("it is connected");
        drop(second_far);
        let relayed = in_time(relay).await.expect("no panic").expect("it began");
        let there = relayed.first_to_second;
        assert_eq!(there.undelivered, 7, "{there:?}");
        let error = there.error.expect("it did not end well");
        assert_eq!(error.errno_name(), Some("EPIPE"));
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_connect_that_waits_and_a_poll_end_with_the_shutdown_and_no_second_attempt_is_made() {
    let (daemon, client) = embedded().await;
    let full = listener(&client).await;
    full.listen(0).await.expect("it listens");
    let address = full.socket_name().await.expect("it is bound");
    let queued = client.tcp_socket().await.expect("a socket");
    queued.connect(address.clone()).await.expect("it listens");
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
        let near = client.tcp_socket().await.expect("a socket");
        let to = address.clone();
        let connect = begin(&near, |s| async move { s.connect(to).await });
        until_waiting(&near, 1).await;
        let poll = {
            let (client, handle) = (client.clone(), near.handle());
            tokio::spawn(async move { client.poll(&[(handle, PollEvents::OUT)], None).await })
        };
        until_waiting(&near, 2).await;
        in_time(near.shutdown(how)).await.expect("it connects");
        let connected = in_time(connect).await.expect("no panic");
        let error = connected.expect_err("it was ended");
        assert_eq!(error.errno_name(), Some("ECONNRESET"));
        in_time(poll).await.expect("no panic").expect("an event");
        let info = near.info().await.expect("it is there");
        assert_eq!(info.state, Some(farsock_client::SocketState::Unconnected));
        // It can be used again.
        let (other, near) = (listener(&client).await, near);
        let other_address = other.socket_name().await.expect("it is bound");
        in_time(near.connect(other_address))
            .await
            .expect("it listens");
    }
    in_time(daemon.shutdown()).await;
}

/// A reset after the end is EPIPE to MPTCP's recvmsg(2), once, and behind the bytes. recvmmsg(2) keeps for the next call what it meets behind
/// the first message.
#[tokio::test]
async fn an_epipe_behind_what_several_receives_took_is_the_next_calls() {
    let (_daemon, client) = embedded().await;
    let Some((near, far)) = connected(&client, Protocol::Mptcp).await else {
        // Not every kernel has MPTCP.
        return;
    };
    near.send("abcdef").await.expect("there is room");
    near.shutdown(Shutdown::Write).await.expect("it is open");
    until_ready(&client, &far, PollEvents::RDHUP).await;
    near.abort().await.expect("it is open");
    until_ready(&client, &far, PollEvents::ERR).await;
    let options = RecvMessagesOptions {
        max_messages: Some(3),
        length: Some(64),
        flags: MessageFlags::DONTWAIT,
        ..RecvMessagesOptions::default()
    };
    let received = far.recv_messages(options).await.expect("bytes come first");
    assert_eq!(&received[0].data[..], b"abcdef");
    assert_eq!(received.len(), 1);
    let error = far.recv(64).await.expect_err("the error is behind them");
    assert_eq!(error.errno_name(), Some("EPIPE"));
    let end = far.recv(64).await.expect("it is told once");
    assert!(end.data.is_empty());
}

/// Waits until the socket has the event.
async fn until_ready(client: &Client, socket: &RemoteSocket, event: PollEvents) {
    let entries = [(socket.handle(), event)];
    let wait = client.poll(&entries, None);
    let ready = in_time(wait).await.expect("it exists");
    assert!(ready[0].events.contains(event));
}
