//! Many waiting calls at once.

use farsock_client::{OutgoingMessage, PollEvents};

use crate::support::{
    embedded, in_time, listener, udp, until_nothing_waits, until_waiting, without_session,
};

const ACCEPTS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiting_accepts_hold_up_nobody_and_leave_no_waiter_when_their_client_is_gone() {
    let (daemon, second) = embedded().await;
    // Unary calls are what its end drops, and its sockets stay.
    let first = without_session(&daemon).await;

    let mut accepts = Vec::new();
    for _ in 0..ACCEPTS {
        let socket = listener(&first).await;
        // Not closed with its client: what is left of it is the question.
        let socket = first.adopt(socket.into_handle());
        accepts.push(tokio::spawn(
            async move { socket.accept().await.map(|_| ()) },
        ));
    }
    let all_wait = async {
        loop {
            let sockets = second.sockets().await.expect("the daemon answers");
            let waiting = sockets
                .iter()
                .filter(|socket| socket.waiting_operations == 1);
            if waiting.count() == ACCEPTS {
                return sockets;
            }
        }
    };
    let sockets = in_time(all_wait).await;

    let socket = udp(&second).await;
    for _ in 0..ACCEPTS {
        in_time(socket.socket_name()).await.expect("it is bound");
    }

    // The futures go, and with the last client the connection.
    for accept in &accepts {
        accept.abort();
    }
    for accept in accepts {
        assert!(accept.await.expect_err("it was waiting").is_cancelled());
    }
    drop(first);
    let left = until_nothing_waits(&second).await;
    assert_eq!(left.len(), ACCEPTS + 1, "listeners and one socket");

    // And the listeners work.
    let listener = second.adopt(sockets[ACCEPTS / 2].handle);
    let near = second.tcp_socket().await.expect("a socket");
    let address = listener.socket_name().await.expect("it is bound");
    near.connect(address).await.expect("it listens");
    let (far, _) = in_time(listener.accept())
        .await
        .expect("somebody connected");
    near.send("hello").await.expect("it is connected");
    assert_eq!(far.recv(16).await.expect("sent").data, "hello");
    daemon.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_waiting_receives_each_get_their_datagram() {
    const SOCKETS: usize = 100;
    const RECEIVES: usize = 100;
    let (daemon, client) = embedded().await;
    let sender = udp(&client).await;

    let mut sockets = Vec::new();
    let mut receives = Vec::new();
    for _ in 0..SOCKETS {
        let socket = udp(&client).await;
        for _ in 0..RECEIVES {
            let socket = client.adopt(socket.handle());
            receives.push(tokio::spawn(async move { socket.recv(64).await }));
        }
        sockets.push(socket);
    }
    for socket in &sockets {
        until_waiting(socket, RECEIVES).await;
    }

    for socket in &sockets {
        let address = socket.socket_name().await.expect("it is bound");
        let messages = (0..RECEIVES)
            .map(|number| OutgoingMessage::new(number.to_string()).to(address.clone()))
            .collect();
        let sent = sender
            .send_messages(messages)
            .await
            .expect("the loopback takes them");
        assert_eq!(sent.len(), RECEIVES);
    }
    let mut total = 0;
    for receive in receives {
        let received = in_time(receive).await.expect("no panic").expect("received");
        let text = std::str::from_utf8(&received.data).expect("digits");
        total += text.parse::<usize>().expect("a number");
    }
    assert_eq!(total, SOCKETS * (0..RECEIVES).sum::<usize>());
    until_nothing_waits(&client).await;
    daemon.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_name_one_socket_a_thousand_times_wait_on_it_once_each() {
    const POLLS: usize = 500;
    const ENTRIES: usize = 1_024;
    let (daemon, client) = embedded().await;
    let socket = udp(&client).await;
    let mut polls = Vec::new();
    for _ in 0..POLLS {
        let socket = client.adopt(socket.handle());
        polls.push(tokio::spawn(async move {
            // The one that asks for what comes is neither the first nor the last.
            let mut entries = vec![(&socket, PollEvents::PRI); ENTRIES];
            entries[ENTRIES / 2].1 = PollEvents::IN;
            socket.client().poll(&entries, None).await
        }));
    }
    until_waiting(&socket, POLLS).await;
    let own = socket.socket_name().await.expect("it is bound");
    socket.send_to("to itself", own).await.expect("no wait");
    for poll in polls {
        let ready = in_time(poll).await.expect("no panic").expect("it is open");
        assert_eq!(ready.len(), 1, "{ready:?}");
        assert_eq!(ready[0].index, ENTRIES / 2);
    }
    until_nothing_waits(&client).await;
    daemon.shutdown().await;
}
