//! What a relay moves, and that it moves it whole and in order.

use farsock_client::{MessageFlags, SendOptions, SocketOption, SocketType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    assert_whole, both, embedded, ended, exchange, in_time, noise, pair, relay, tcp, unix, until,
    until_waiting,
};

const LARGE: usize = 16 << 20;

#[tokio::test]
async fn sixteen_mebibytes_each_way_at_once_arrive_as_they_were() {
    let (daemon, client) = embedded().await;
    let (one, other) = (noise(1, LARGE), noise(2, LARGE));

    let ((first, near), (second, far)) = (tcp(&client).await, tcp(&client).await);
    let running = relay(&first, &second);
    let (back, there) = tokio::join!(exchange(near, one.clone()), exchange(far, other.clone()));
    assert!(there == one && back == other, "TCP to TCP");
    let (there, back) = both(ended(running).await.expect("it ends well"));
    assert_whole(&there, LARGE);
    assert_whole(&back, LARGE);
    let counters = first.info().await.expect("it is there").counters;
    assert_eq!(counters.bytes_received, LARGE as u64);
    assert_eq!(counters.bytes_sent, LARGE as u64);

    let ((first, near), (second, far)) = (tcp(&client).await, unix(&client).await);
    let running = relay(&first, &second);
    let (back, there) = tokio::join!(exchange(near, one.clone()), exchange(far, other.clone()));
    assert!(there == one && back == other, "TCP to unix");
    let (there, back) = both(ended(running).await.expect("it ends well"));
    assert_whole(&there, LARGE);
    assert_whole(&back, LARGE);

    let ((first, near), (second, far)) = (unix(&client).await, unix(&client).await);
    let running = relay(&first, &second);
    let (back, there) = tokio::join!(exchange(near, one.clone()), exchange(far, other.clone()));
    assert!(there == one && back == other, "unix to unix");
    let (there, back) = both(ended(running).await.expect("it ends well"));
    assert_whole(&there, LARGE);
    assert_whole(&back, LARGE);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_question_and_its_answer_pass_without_more_to_push_them() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, unix(&client).await);
    let running = relay(&first, &second);
    let mut buffer = [0; 8];
    for round in 0..200_u64 {
        near.write_all(&round.to_le_bytes()).await.expect("open");
        in_time(far.read_exact(&mut buffer)).await.expect("open");
        assert_eq!(u64::from_le_bytes(buffer), round);
        far.write_all(&buffer).await.expect("open");
        in_time(near.read_exact(&mut buffer)).await.expect("open");
        assert_eq!(u64::from_le_bytes(buffer), round);
    }
    drop((near, far));
    let (there, back) = both(ended(running).await.expect("it ends well"));
    assert_eq!((there.bytes, back.bytes), (1_600, 1_600));
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn one_socket_with_itself_is_an_echo() {
    let (daemon, client) = embedded().await;
    let (socket, peer) = tcp(&client).await;
    let running = relay(&socket, &socket);
    let data = noise(3, 1 << 20);
    assert!(exchange(peer, data.clone()).await == data);
    let spliced = ended(running).await.expect("it ends well");
    assert_whole(&spliced.first_to_second, data.len());
    assert!(spliced.second_to_first.is_none());
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn messages_keep_their_bounds() {
    let (daemon, client) = embedded().await;
    for kind in [SocketType::Seqpacket, SocketType::Dgram] {
        let (near, first) = pair(&client, kind).await;
        let (second, far) = pair(&client, kind).await;
        let running = relay(&first, &second);
        for length in [1, 5, 100_000, 3] {
            near.send(noise(4, length)).await.expect("connected");
            let received = in_time(far.recv(1 << 20)).await.expect("connected");
            assert!(received.data == noise(4, length), "{kind:?} {length}");
            far.send(noise(5, length)).await.expect("connected");
            let received = in_time(near.recv(1 << 20)).await.expect("connected");
            assert!(received.data == noise(5, length), "{kind:?} {length}");
        }
        if kind == SocketType::Dgram {
            near.send("").await.expect("connected");
            let empty = in_time(far.recv(8)).await.expect("connected");
            assert_eq!(empty.full_length, 0);
            // Datagrams have no end.
            first.close().await.expect("it is open");
        } else {
            near.close().await.expect("it is open");
            assert!(in_time(far.recv(8)).await.expect("connected").end_of_stream);
            far.close().await.expect("it is open");
        }
        let (there, back) = both(ended(running).await.expect("it did something"));
        assert_eq!((there.bytes, back.bytes), (100_009, 100_009));
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn an_urgent_byte_is_stepped_over_as_recv_does() {
    let (daemon, client) = embedded().await;
    let listener = client.tcp_listener("127.0.0.1:0").await.expect("a port");
    let near = client.tcp_stream(listener.local_addr()).await;
    let near = near.expect("it listens").into_socket();
    let (first, _) = listener.accept().await.expect("somebody connected");
    let (second, mut far) = tcp(&client).await;
    let first = first.into_socket();
    let urgent = SendOptions {
        flags: MessageFlags::OOB,
        timeout: None,
    };
    near.send("before").await.expect("connected");
    near.send_with("!", urgent).await.expect("connected");
    near.send("after").await.expect("connected");
    near.shutdown(std::net::Shutdown::Write)
        .await
        .expect("open");
    let running = relay(&first, &second);
    let mut received = String::new();
    in_time(far.read_to_string(&mut received))
        .await
        .expect("open");
    assert_eq!(received, "beforeafter");
    drop(far);
    let (there, _) = both(ended(running).await.expect("it ends well"));
    assert_whole(&there, 11);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_nonblocking_handle_is_relayed_as_any_other() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    for socket in [&first, &second] {
        socket
            .set_option(SocketOption::ONonblock, true)
            .await
            .expect("it is open");
    }
    let running = relay(&first, &second);
    until_waiting(&first, 1).await;
    near.write_all(b"hello").await.expect("connected");
    let mut buffer = [0; 5];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    drop((near, far));
    let (there, _) = both(ended(running).await.expect("it did something"));
    assert_eq!(there.bytes, 5);
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn sends_and_receives_queue_behind_a_relay() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    let running = relay(&first, &second);
    until_waiting(&first, 1).await;
    until_waiting(&second, 1).await;
    let second_handle = client.adopt(second.handle());
    let send = tokio::spawn(async move { second_handle.send("late").await });
    let second_handle = client.adopt(second.handle());
    let recv = tokio::spawn(async move { second_handle.recv(9).await });
    until_waiting(&second, 3).await;

    near.write_all(b"early").await.expect("connected");
    let mut buffer = [0; 5];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    assert_eq!(&buffer, b"early");
    far.write_all(b"relayed").await.expect("connected");
    let mut buffer = [0; 7];
    in_time(near.read_exact(&mut buffer)).await.expect("sent");
    first.close().await.expect("it is open");
    let (there, back) = both(ended(running).await.expect("it did something"));
    assert_eq!((there.bytes, back.bytes), (5, 7));
    assert_eq!(in_time(send).await.expect("no panic").expect("open"), 4);
    far.write_all(b"mine").await.expect("connected");
    let received = in_time(recv).await.expect("no panic").expect("open");
    assert_eq!(received.data, "mine");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn relays_that_name_the_same_sockets_in_any_order_take_turns() {
    let (daemon, client) = embedded().await;
    let ((first, near), (second, far)) = (tcp(&client).await, tcp(&client).await);
    let (third, last) = tcp(&client).await;
    let mut relays = Vec::new();
    for _ in 0..20 {
        relays.push(relay(&first, &second));
        relays.push(relay(&second, &first));
        relays.push(relay(&third, &second));
        relays.push(relay(&first, &third));
        relays.push(relay(&second, &third));
    }
    // Each socket's relays, one of them under way and the others queued: 3 of 5 name the first, 4 the second.
    until_waiting(&first, 60).await;
    until_waiting(&second, 80).await;
    drop((near, far, last));
    for relay in relays {
        ended(relay).await.expect("each ends for itself");
    }
    until(async || {
        let sockets = client.sockets().await.expect("the daemon answers");
        sockets.iter().all(|socket| socket.waiting_operations == 0)
    })
    .await;
    in_time(daemon.shutdown()).await;
}
