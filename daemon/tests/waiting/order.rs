//! The order on one handle: sends among themselves, receives among themselves, and neither holds up the other.

use std::net::Shutdown;

use farsock_client::SocketType;

use crate::support::{begin, embedded, fill, in_time, pair, udp, until_waiting};

#[tokio::test]
async fn receives_that_wait_are_served_in_the_order_in_which_they_came() {
    let (daemon, client) = embedded().await;
    let socket = udp(&client).await;
    let mut receives = Vec::new();
    for count in 1..=8 {
        receives.push(begin(&socket, |s| async move { s.recv(16).await }));
        until_waiting(&socket, count).await;
    }
    let address = socket.socket_name().await.expect("it is bound");
    for number in 0..8 {
        let data = number.to_string();
        socket
            .send_to(data, address.clone())
            .await
            .expect("to itself");
    }
    for (number, receive) in receives.into_iter().enumerate() {
        let received = in_time(receive).await.expect("no panic").expect("sent");
        assert_eq!(received.data, number.to_string());
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn sends_keep_their_order_behind_one_that_waits() {
    let (daemon, client) = embedded().await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let filled = fill(&near).await;
    let mut sends = Vec::new();
    for count in 1..=4 {
        let text = format!("<{count}>");
        sends.push(begin(
            &near,
            |s| async move { s.send(text).await.map(drop) },
        ));
        until_waiting(&near, count).await;
    }
    let mut received = Vec::new();
    while received.len() < filled + 12 {
        let part = in_time(far.recv(65_536)).await.expect("connected");
        received.extend_from_slice(&part.data);
    }
    assert_eq!(received[filled..], *b"<1><2><3><4>");
    for send in sends {
        in_time(send)
            .await
            .expect("no panic")
            .expect("there was room");
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_waiting_receive_holds_up_neither_sends_nor_anything_else_on_its_handle() {
    let (daemon, client) = embedded().await;
    let (near, far) = pair(&client, SocketType::Stream).await;
    let receive = begin(&near, |s| async move { s.recv(16).await });
    until_waiting(&near, 1).await;
    for _ in 0..100 {
        in_time(near.send("x")).await.expect("there is room");
        in_time(near.socket_name()).await.expect("it is open");
    }
    in_time(near.shutdown(Shutdown::Write))
        .await
        .expect("connected");
    far.send("answer").await.expect("that side is open");
    let received = in_time(receive).await.expect("no panic").expect("sent");
    assert_eq!(received.data, "answer");
    in_time(daemon.shutdown()).await;
}
