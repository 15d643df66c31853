//! Receives that wait for more and whose client goes: what they had taken is the next receive's.

use std::time::Duration;

use farsock_client::{
    Client, Code, ControlMessage, Domain, MessageFlags, OutgoingMessage, PollEvents, Protocol,
    RecvMessagesOptions, RecvOptions, RemoteSocket, Rights, SessionOptions, SocketOption,
    SocketType,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{begin, embedded, in_time, pair, until_waiting, without_session};

fn flags(flags: MessageFlags) -> RecvOptions {
    RecvOptions {
        flags,
        timeout: None,
    }
}

fn messages(count: usize) -> RecvMessagesOptions {
    RecvMessagesOptions {
        max_messages: Some(count),
        length: Some(64),
        ..RecvMessagesOptions::default()
    }
}

/// Begins the call, and drops it as soon as it waits: it has taken what was there.
async fn dropped<F, R>(socket: &RemoteSocket, call: F)
where
    F: FnOnce(RemoteSocket) -> R,
    R: Future<Output = farsock_client::Result<()>> + Send + 'static,
{
    let call = begin(socket, call);
    until_waiting(socket, 1).await;
    call.abort();
    until_waiting(socket, 0).await;
}

async fn dropped_recv(socket: &RemoteSocket, length: usize, options: RecvOptions) {
    dropped(socket, move |s| async move {
        s.recv_with(length, options).await.map(drop)
    })
    .await;
}

async fn dropped_recv_messages(socket: &RemoteSocket, count: usize) {
    dropped(socket, move |s| async move {
        s.recv_messages(messages(count)).await.map(drop)
    })
    .await;
}

async fn unread(socket: &RemoteSocket) -> Option<u64> {
    socket.info().await.expect("it is there").receive_queue
}

/// Sends `data`, with `handle` by SCM_RIGHTS.
async fn send_with_handle(socket: &RemoteSocket, data: &'static str, handle: u64) {
    let rights = ControlMessage::Rights(Rights {
        handles: vec![handle],
        discarded: 0,
    });
    let message = OutgoingMessage::new(data).control(rights);
    socket
        .send_messages(vec![message])
        .await
        .expect("connected");
}

fn handle_in(control: &[ControlMessage]) -> u64 {
    let [ControlMessage::Rights(rights)] = control else {
        panic!("{control:?}");
    };
    assert_eq!(rights.discarded, 0);
    rights.handles[0]
}

#[tokio::test]
async fn the_bytes_of_a_dropped_receive_come_first_and_once() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    far.send("abcdef").await.expect("connected");
    dropped_recv(&near, 64, flags(MessageFlags::WAITALL)).await;
    assert_eq!(unread(&near).await, Some(6));
    far.send("ghi").await.expect("connected");
    dropped_recv(&near, 64, flags(MessageFlags::WAITALL)).await;
    assert_eq!(unread(&near).await, Some(9));

    let peeked = in_time(near.recv_with(4, flags(MessageFlags::PEEK))).await;
    assert_eq!(peeked.expect("kept").data, "abcd");
    let received = in_time(near.recv(2)).await.expect("kept");
    assert_eq!((&received.data[..], received.full_length), (&b"ab"[..], 2));
    far.send("jk").await.expect("connected");
    assert_eq!(unread(&near).await, Some(9));
    let received = in_time(near.recv_with(64, flags(MessageFlags::DONTWAIT))).await;
    assert_eq!(received.expect("kept").data, "cdefghijk");
    let nothing = in_time(near.recv_with(64, flags(MessageFlags::DONTWAIT))).await;
    let nothing = nothing.expect_err("all was received");
    assert_eq!(nothing.errno_name(), Some("EAGAIN"));
    let counters = near.info().await.expect("it is there").counters;
    assert_eq!(counters.bytes_received, 11);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_receive_of_all_goes_on_after_what_the_low_water_mark_had_taken() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    near.set_option(SocketOption::SoRcvlowat, 8)
        .await
        .expect("it has one");
    far.send("abc").await.expect("connected");
    dropped_recv(&near, 64, RecvOptions::default()).await;
    let all = begin(&near, |s| async move {
        s.recv_with(5, flags(MessageFlags::WAITALL)).await
    });
    until_waiting(&near, 1).await;
    far.send("defg").await.expect("connected");
    let all = in_time(all).await.expect("no panic").expect("it is there");
    assert_eq!(all.data, "abcde");
    let rest = in_time(near.recv_with(64, flags(MessageFlags::DONTWAIT))).await;
    assert_eq!(rest.expect("it was not taken").data, "fg");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_receive_that_a_clients_deadline_ends_leaves_what_it_took_to_the_next() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let hurried = Client::builder()
        .unary(true)
        .timeout(Duration::from_millis(30))
        .connect_with(daemon.connector())
        .await
        .expect("it can be reached");
    let (near, far) = pair(&client, SocketType::Stream).await;
    far.send("abc").await.expect("connected");
    let all = hurried.adopt(near.handle());
    let ended = in_time(all.recv_with(8, flags(MessageFlags::WAITALL))).await;
    let ended = ended.expect_err("nothing more comes");
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    assert_eq!(in_time(near.recv(8)).await.expect("kept").data, "abc");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn the_parts_of_a_stream_come_back_in_order_and_together() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    far.send("abcd").await.expect("connected");
    dropped(&near, |s| async move {
        let threes = RecvMessagesOptions {
            length: Some(3),
            flags: MessageFlags::WAITALL,
            ..messages(2)
        };
        s.recv_messages(threes).await.map(drop)
    })
    .await;
    let peeked = in_time(near.recv_with(8, flags(MessageFlags::PEEK))).await;
    assert_eq!(peeked.expect("kept").data, "abcd");
    far.send("e").await.expect("connected");
    assert_eq!(in_time(near.recv(8)).await.expect("kept").data, "abcde");

    // What comes with sockets is received up to them.
    let (travels, _stays) = pair(&client, SocketType::Stream).await;
    send_with_handle(&far, "one", travels.handle()).await;
    far.send("two").await.expect("connected");
    dropped_recv_messages(&near, 3).await;
    let both = in_time(near.recv_messages(messages(2)))
        .await
        .expect("kept");
    let handle = handle_in(&both[0].control);
    assert_eq!(
        (&both[0].data[..], &both[1].data[..]),
        (&b"one"[..], &b"two"[..])
    );
    in_time(client.adopt(handle).close())
        .await
        .expect("it arrived");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn the_messages_of_a_dropped_receive_come_first_each_as_it_was() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Dgram).await;
    let (travels, stays) = pair(&client, SocketType::Stream).await;
    send_with_handle(&far, "one", travels.handle()).await;
    far.send("").await.expect("connected");
    far.send("three").await.expect("connected");
    far.send("four").await.expect("connected");
    dropped_recv_messages(&near, 5).await;
    assert_eq!(unread(&near).await, Some(3));
    far.send("five").await.expect("connected");

    let peek = RecvMessagesOptions {
        flags: MessageFlags::PEEK,
        ..messages(1)
    };
    let peeked = in_time(near.recv_messages(peek)).await.expect("kept");
    assert_eq!(peeked[0].data, "one");
    let peeked = client.adopt(handle_in(&peeked[0].control));
    let first = in_time(near.recv_messages(messages(2))).await;
    let first = first.expect("kept");
    assert_eq!(
        (&first[0].data[..], &first[1].data[..]),
        (&b"one"[..], &b""[..])
    );
    let arrived = client.adopt(handle_in(&first[0].control));
    for socket in [&peeked, &arrived] {
        socket.send("x").await.expect("connected");
        let received = in_time(stays.recv(8)).await.expect("connected");
        assert_eq!(received.data, "x");
    }
    let cut = in_time(near.recv(2)).await.expect("kept");
    assert_eq!((&cut.data[..], cut.full_length), (&b"th"[..], 5));
    assert!(cut.flags.contains(MessageFlags::TRUNC));
    let rest = in_time(near.recv_messages(messages(2))).await;
    let rest = rest.expect("one was kept and one had come");
    assert_eq!(
        (&rest[0].data[..], &rest[1].data[..]),
        (&b"four"[..], &b"five"[..])
    );
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn sockets_that_nobody_receives_any_more_are_closed() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    for closes in [true, false] {
        let (near, far) = pair(&client, SocketType::Dgram).await;
        let (travels, stays) = pair(&client, SocketType::Stream).await;
        send_with_handle(&far, "one", travels.handle()).await;
        dropped_recv_messages(&near, 2).await;
        in_time(travels.close()).await.expect("it is open");
        if closes {
            in_time(near.close()).await.expect("it is open");
        } else {
            // It has no room for them.
            let received = in_time(near.recv(8)).await.expect("kept");
            assert!(received.flags.contains(MessageFlags::CTRUNC));
        }
        let end = in_time(stays.recv(8)).await.expect("connected");
        assert!(end.end_of_stream);
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn poll_tells_of_what_a_dropped_receive_took_as_soon_as_it_is_dropped() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    far.send("abc").await.expect("connected");
    let receive = begin(&near, |s| async move {
        s.recv_with(8, flags(MessageFlags::WAITALL)).await
    });
    until_waiting(&near, 1).await;
    let poll = {
        let (client, handle) = (client.clone(), near.handle());
        tokio::spawn(async move { client.poll(&[(handle, PollEvents::IN)], None).await })
    };
    until_waiting(&near, 2).await;
    receive.abort();
    let ready = in_time(poll).await.expect("no panic").expect("kept");
    assert_eq!(ready[0].events, PollEvents::IN);
    let again = in_time(client.poll(&[(&near, PollEvents::IN)], None)).await;
    assert_eq!(again.expect("still kept")[0].events, PollEvents::IN);
    assert_eq!(in_time(near.recv(8)).await.expect("kept").data, "abc");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_relay_begins_with_what_was_kept() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let (there, end) = pair(&client, SocketType::Stream).await;
    far.send("abc").await.expect("connected");
    dropped_recv(&near, 8, flags(MessageFlags::WAITALL)).await;
    far.send("def").await.expect("connected");
    far.shutdown(std::net::Shutdown::Write)
        .await
        .expect("connected");
    end.shutdown(std::net::Shutdown::Write)
        .await
        .expect("connected");
    let relay = in_time(near.splice(&there)).await.expect("both end");
    assert_eq!(relay.first_to_second.bytes, 6);
    let received = in_time(end.recv_with(6, flags(MessageFlags::WAITALL))).await;
    assert_eq!(received.expect("connected").data, "abcdef");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn an_empty_message_of_a_dropped_receive_is_no_end_though_the_peer_has_gone() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let (near, far) = pair(&client, SocketType::Seqpacket).await;
    far.send("").await.expect("connected");
    far.send("a").await.expect("connected");
    dropped_recv_messages(&near, 5).await;
    far.send("").await.expect("connected");
    in_time(far.close()).await.expect("it is there");
    for expected in ["", "a", ""] {
        let received = in_time(near.recv(8)).await.expect("it came");
        assert_eq!(
            (&received.data[..], received.end_of_stream),
            (expected.as_bytes(), false)
        );
    }
    for _ in 0..2 {
        let end = in_time(near.recv_messages(messages(2)))
            .await
            .expect("it came");
        assert!(end.len() == 2 && end.iter().all(|message| message.end_of_stream));
    }
    in_time(daemon.shutdown()).await;
}

/// What a peer of this process sees when a connection of the daemon's is closed whose bytes a dropped receive had taken.
async fn what_the_peer_sees(
    client: &Client,
    protocol: Protocol,
    close: impl AsyncFnOnce(RemoteSocket),
) -> Option<std::io::Result<usize>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let made = client.socket(Domain::Inet, SocketType::Stream, protocol);
    let near = made.await.ok()?;
    near.connect(listener.local_addr().expect("it is bound"))
        .await
        .expect("it listens");
    let (mut far, _) = listener.accept().await.expect("it is connected");
    far.write_all(b"unread").await.expect("connected");
    dropped_recv(&near, 64, flags(MessageFlags::WAITALL)).await;
    assert_eq!(unread(&near).await, Some(6));
    close(near).await;
    Some(in_time(far.read(&mut [0; 16])).await)
}

#[tokio::test]
async fn closing_with_bytes_of_a_dropped_receive_unread_resets_as_in_the_kernel() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let reset = |seen: Option<std::io::Result<usize>>| {
        let kind = seen?.expect_err("it is reset").kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
        Some(())
    };
    for protocol in [Protocol::Tcp, Protocol::Mptcp] {
        let seen = what_the_peer_sees(&client, protocol, async |near| {
            in_time(near.close()).await.expect("it is open");
        });
        // Not every kernel has MPTCP.
        let Some(()) = reset(seen.await) else {
            assert_eq!(protocol, Protocol::Mptcp);
            continue;
        };
        let session = client.open_session_detached(SessionOptions::new()).await;
        let session = session.expect("it opens");
        let joined = Client::builder()
            .join_session(session.as_str())
            .connect_with(daemon.connector())
            .await
            .expect("it is served");
        let seen = what_the_peer_sees(&joined, protocol, async |_near| {
            let closed = client.close_session(&session, false).await;
            assert_eq!(closed.expect("it is open"), 1);
        });
        reset(seen.await);
        // What was received leaves nothing to reset for.
        let seen = what_the_peer_sees(&client, protocol, async |near| {
            assert_eq!(in_time(near.recv(64)).await.expect("kept").data, "unread");
            in_time(near.close()).await.expect("it is open");
        });
        assert_eq!(seen.await.expect("as above").expect("the end"), 0);
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn the_daemons_end_resets_a_connection_with_bytes_of_a_dropped_receive() {
    let (daemon, _) = embedded().await;
    let client = without_session(&daemon).await;
    let seen = what_the_peer_sees(&client, Protocol::Tcp, async move |_near| {
        in_time(daemon.shutdown()).await;
    });
    let seen = seen.await.expect("there is TCP").expect_err("it is reset");
    assert_eq!(seen.kind(), std::io::ErrorKind::ConnectionReset);
}
