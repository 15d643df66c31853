//! Whose a handle is: for anyone else it does not exist.

use farsock_client::{
    Client, ControlMessage, OutgoingMessage, PollEvents, Reason, RecvMessagesOptions, Rights,
    SocketOption, SocketType,
};

use crate::support::{Serving, begin, in_time, listener, pair, reason, until_waiting};

/// A daemon at a unix socket and at a TCP port, and a client at each: two owners.
async fn two_owners(name: &str) -> (Serving, Client, Client) {
    let path = std::env::temp_dir().join(format!("farsock-{}-{name}.sock", std::process::id()));
    let unix = format!("unix://{}", path.display());
    let serving = Serving::start(|_| {}, &[&unix, "tcp://127.0.0.1:0"]).await;
    let (owner, stranger) = (serving.client(0).await, serving.client(1).await);
    (serving, owner, stranger)
}

#[tokio::test]
async fn every_verb_on_somebody_elses_handle_finds_nothing() {
    let (serving, owner, stranger) = two_owners("verbs").await;
    let socket = listener(&owner).await;
    let address = socket.socket_name().await.expect("it is bound");
    let same = || stranger.adopt(socket.handle());
    let none = Some(Reason::HandleNotFound);

    assert_eq!(reason(same().bind("127.0.0.1:0").await), none);
    assert_eq!(reason(same().listen(1).await), none);
    assert_eq!(reason(in_time(same().accept()).await), none);
    assert_eq!(reason(in_time(same().connect(address.clone())).await), none);
    assert_eq!(reason(in_time(same().send("x")).await), none);
    assert_eq!(reason(in_time(same().send_to("x", address)).await), none);
    let message = vec![OutgoingMessage::new("x")];
    assert_eq!(reason(in_time(same().send_messages(message)).await), none);
    assert_eq!(reason(in_time(same().recv(1)).await), none);
    assert_eq!(reason(in_time(same().recv_from(1)).await), none);
    let options = RecvMessagesOptions::default();
    assert_eq!(reason(in_time(same().recv_messages(options)).await), none);
    assert_eq!(
        reason(same().shutdown(std::net::Shutdown::Both).await),
        none
    );
    assert_eq!(reason(same().socket_name().await), none);
    assert_eq!(reason(same().peer_name().await), none);
    assert_eq!(reason(same().option(SocketOption::SoType).await), none);
    assert_eq!(
        reason(same().set_option(SocketOption::SoKeepalive, true).await),
        none
    );
    assert_eq!(reason(same().info().await), none);
    assert_eq!(reason(same().close().await), none);
    assert_eq!(reason(same().abort().await), none);

    let ready = stranger
        .poll(&[(socket.handle(), PollEvents::IN)], None)
        .await;
    assert_eq!(
        ready.expect("NVAL is an answer")[0].events,
        PollEvents::NVAL
    );
    assert_eq!(stranger.sockets().await.expect("it answers"), []);

    // And the owner's is as it was.
    assert_eq!(owner.sockets().await.expect("it answers").len(), 1);
    socket.listen(2).await.expect("it still listens");
    drop(socket);
    serving.end().await;
}

#[tokio::test]
async fn somebody_elses_handle_does_not_travel() {
    let (serving, owner, stranger) = two_owners("rights").await;
    let socket = listener(&owner).await;
    let (near, far) = pair(&stranger, SocketType::Stream).await;
    let rights = ControlMessage::Rights(Rights {
        handles: vec![socket.handle()],
        discarded: 0,
    });
    let sent = near
        .send_messages(vec![OutgoingMessage::new("x").control(rights)])
        .await;
    assert_eq!(reason(sent), Some(Reason::HandleNotFound));
    drop((near, far, socket));
    serving.end().await;
}

#[tokio::test]
async fn the_clients_of_one_owner_share_its_handles() {
    let (serving, owner, _stranger) = two_owners("shared").await;
    let same_owner = serving.client(0).await;
    let socket = listener(&owner).await;
    let accept = begin(&socket, |s| async move { s.accept().await.map(drop) });
    let theirs = same_owner.adopt(socket.handle());
    until_waiting(&theirs, 1).await;
    theirs.close().await.expect("it is theirs as well");
    let ended = in_time(accept).await.expect("no panic");
    assert_eq!(reason(ended), Some(Reason::HandleClosed));
    drop(socket);
    serving.end().await;
}
