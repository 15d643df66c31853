//! Limits of the daemon: what does not fit is refused before the kernel is asked, so nothing is lost.

use farsock_client::{
    ControlMessage, OutgoingMessage, PollEvents, Reason, RecvMessagesOptions, Rights, SocketType,
};

use crate::support::{Serving, begin, in_time, listener, pair, reason, udp, until_waiting};

const ANYWHERE: &[&str] = &["tcp://127.0.0.1:0"];
const QUOTA: Option<Reason> = Some(Reason::QuotaExceeded);

#[tokio::test]
async fn accept_on_a_full_table_is_refused_and_keeps_the_connection() {
    let serving = Serving::start(|config| config.max_handles = 3, ANYWHERE).await;
    let client = serving.client(0).await;
    let listener = listener(&client).await;
    let near = client.tcp_socket().await.expect("there is room");
    let address = listener.socket_name().await.expect("it is bound");
    near.connect(address).await.expect("it listens");
    let third = client.udp_socket().await.expect("there is room");

    assert_eq!(reason(in_time(listener.accept()).await), QUOTA);
    assert_eq!(reason(client.udp_socket().await), QUOTA);
    third.close().await.expect("it is open");
    let (far, peer) = in_time(listener.accept()).await.expect("it was kept");
    assert_eq!(peer, near.socket_name().await.expect("connected"));
    near.send("still here").await.expect("connected");
    assert_eq!(far.recv(16).await.expect("sent").data, "still here");
    drop((near, far, listener));
    serving.end().await;
}

#[tokio::test]
async fn a_pair_needs_room_for_both() {
    let serving = Serving::start(|config| config.max_handles = 2, ANYWHERE).await;
    let client = serving.client(0).await;
    let one = udp(&client).await;
    let refused = client
        .socket_pair(
            farsock_client::Domain::Unix,
            SocketType::Stream,
            farsock_client::Protocol::Default,
        )
        .await;
    assert_eq!(reason(refused), QUOTA);
    // Nothing was made half.
    let _two = udp(&client).await;
    one.close().await.expect("it is open");
    assert_eq!(client.sockets().await.expect("it answers").len(), 1);
    serving.end().await;
}

#[tokio::test]
async fn received_sockets_without_room_are_closed_and_counted() {
    let serving = Serving::start(|config| config.max_handles = 4, ANYWHERE).await;
    let client = serving.client(0).await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let travels = udp(&client).await;
    let rights = ControlMessage::Rights(Rights {
        handles: vec![travels.handle(); 3],
        discarded: 0,
    });
    near.send_messages(vec![OutgoingMessage::new("x").control(rights)])
        .await
        .expect("connected");
    let messages = far
        .recv_messages(RecvMessagesOptions::default())
        .await
        .expect("sent");
    let [ControlMessage::Rights(rights)] = &messages[0].control[..] else {
        panic!("{messages:?}");
    };
    assert_eq!(rights.handles.len(), 1);
    assert_eq!(rights.discarded, 2);
    serving.end().await;
}

#[tokio::test]
async fn one_wait_too_many_is_refused_and_calls_that_need_not_wait_are_not() {
    let serving = Serving::start(|config| config.max_waiting = 2, ANYWHERE).await;
    let client = serving.client(0).await;
    let socket = udp(&client).await;
    let address = socket.socket_name().await.expect("it is bound");
    let other = udp(&client).await;
    let first = begin(&socket, |s| async move { s.recv(16).await });
    until_waiting(&socket, 1).await;
    let second = begin(&socket, |s| async move { s.recv(16).await });
    until_waiting(&socket, 2).await;

    assert_eq!(reason(in_time(other.recv(16)).await), QUOTA);
    assert_eq!(reason(in_time(socket.recv(16)).await), QUOTA);
    let own = other.socket_name().await.expect("it is bound");
    other.send_to("to itself", own).await.expect("no wait");
    assert_eq!(
        in_time(other.recv(16)).await.expect("it is there").data,
        "to itself"
    );

    for receive in [first, second] {
        other.send_to("x", address.clone()).await.expect("no wait");
        in_time(receive).await.expect("no panic").expect("sent");
    }
    let third = begin(&other, |s| async move { s.recv(16).await });
    until_waiting(&other, 1).await;
    other.close().await.expect("it is open");
    assert_eq!(
        reason(in_time(third).await.expect("no panic")),
        Some(Reason::HandleClosed)
    );
    serving.end().await;
}

#[tokio::test]
async fn a_poll_counts_once_for_each_socket_that_it_waits_on() {
    let serving = Serving::start(|config| config.max_waiting = 3, ANYWHERE).await;
    let client = serving.client(0).await;
    let (one, two) = (udp(&client).await, udp(&client).await);
    let both = [
        (one.handle(), PollEvents::IN),
        (two.handle(), PollEvents::IN),
        (one.handle(), PollEvents::PRI),
    ];
    let poll = begin(
        &one,
        move |s| async move { s.client().poll(&both, None).await },
    );
    until_waiting(&two, 1).await;
    assert_eq!(one.info().await.expect("it is there").waiting_operations, 1);
    assert_eq!(reason(in_time(client.poll(&both, None)).await), QUOTA);
    let third = begin(&two, |s| async move { s.recv(16).await });
    until_waiting(&two, 2).await;
    assert_eq!(reason(in_time(one.recv(16)).await), QUOTA);

    let address = two.socket_name().await.expect("it is bound");
    // One that the receive takes, and one that the poll sees.
    for _ in 0..2 {
        let sent = one.send_to("x", address.clone()).await;
        sent.expect("no wait");
    }
    let ready = in_time(poll).await.expect("no panic").expect("open");
    assert_eq!(ready.len(), 1);
    in_time(third).await.expect("no panic").expect("sent");
    serving.end().await;
}
