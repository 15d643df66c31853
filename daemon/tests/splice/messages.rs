//! What a relay does with the bounds of messages.

use farsock_client::{
    Client, ControlMessage, Domain, OptionValue, OutgoingMessage, Protocol, RemoteSocket,
    SocketOption, SocketType,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{embedded, ended, in_time, pair, relay, tcp, until, until_waiting};

/// linux/udp.h, SOL_UDP.
const UDP: i32 = libc::SOL_UDP;

/// Two UDP sockets of the daemon that are each other's peers.
async fn udp(client: &Client, host: &str, domain: Domain) -> (RemoteSocket, RemoteSocket) {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let socket = client
            .socket(domain, SocketType::Dgram, Protocol::Default)
            .await
            .expect("a socket");
        let at = socket
            .bind(format!("{host}:0").as_str())
            .await
            .expect("a port");
        sockets.push((socket, at));
    }
    let [(one, here), (other, there)] = sockets.try_into().expect("two");
    one.connect(there).await.expect("a peer");
    other.connect(here).await.expect("a peer");
    (one, other)
}

/// Sends `data` as datagrams of that size, which a socket with UDP_GRO receives together.
async fn send_together(socket: &RemoteSocket, data: Vec<u8>, size: u16) {
    let message = OutgoingMessage::new(data).control(ControlMessage::SegmentSize(size));
    socket.send_messages(vec![message]).await.expect("they fit");
}

/// How UDP_GRO comes to a socket.
#[derive(Clone, Copy, Debug)]
enum Gro {
    Name,
    Number,
    WhileItRuns,
}

#[tokio::test]
async fn datagrams_that_came_together_are_forwarded_one_by_one() {
    let (daemon, client) = embedded().await;
    for (host, domain) in [("127.0.0.1", Domain::Inet), ("[::1]", Domain::Inet6)] {
        for how in [Gro::Name, Gro::Number, Gro::WhileItRuns] {
            for to_unix in [false, true] {
                let (near, first) = udp(&client, host, domain).await;
                let (second, far) = match to_unix {
                    true => pair(&client, SocketType::Dgram).await,
                    false => udp(&client, host, domain).await,
                };
                match how {
                    Gro::Name => first.set_option(SocketOption::UdpGro, true).await,
                    Gro::Number => first.set_option((UDP, libc::UDP_GRO), 1).await,
                    Gro::WhileItRuns => Ok(()),
                }
                .expect("a kernel with UDP_GRO");
                let running = relay(&first, &second);
                until_waiting(&first, 1).await;
                if matches!(how, Gro::WhileItRuns) {
                    first
                        .set_option((UDP, libc::UDP_GRO), 1)
                        .await
                        .expect("as above");
                }
                let data: Vec<u8> = (0..=250).collect();
                send_together(&near, data.clone(), 100).await;
                near.send("alone").await.expect("a peer");
                for expected in [&data[..100], &data[100..200], &data[200..], b"alone"] {
                    let received = in_time(far.recv(1000)).await.expect("it comes");
                    assert_eq!(received.data, expected, "{how:?} {host} {to_unix}");
                }
                let counters = second.info().await.expect("it is there").counters;
                assert_eq!(counters.messages_sent, 4);
                let counters = first.info().await.expect("it is there").counters;
                assert_eq!(
                    (counters.messages_received, counters.bytes_received),
                    (4, 256)
                );
                first.close().await.expect("it is there");
                ended(running).await.expect("it has moved something");
            }
        }
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_socket_that_cuts_what_it_sends_gets_each_datagram_by_itself() {
    let (daemon, client) = embedded().await;
    let (near, first) = udp(&client, "127.0.0.1", Domain::Inet).await;
    let (second, far) = udp(&client, "127.0.0.1", Domain::Inet).await;
    first
        .set_option(SocketOption::UdpGro, true)
        .await
        .expect("it has one");
    // As it does for a local program's send(2).
    second
        .set_option((UDP, libc::UDP_SEGMENT), 60)
        .await
        .expect("it has one");
    let running = relay(&first, &second);
    let data: Vec<u8> = (0..200).collect();
    send_together(&near, data.clone(), 100).await;
    for expected in [&data[..60], &data[60..100], &data[100..160], &data[160..]] {
        let received = in_time(far.recv(1000)).await.expect("it comes");
        assert_eq!(received.data, expected);
    }
    second.close().await.expect("it is there");
    ended(running).await.expect("it has moved something");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_relay_takes_what_has_come_whatever_the_low_water_mark_is() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    first
        .set_option(SocketOption::SoRcvlowat, 1000)
        .await
        .expect("it has one");
    let running = relay(&first, &second);
    until_waiting(&first, 1).await;
    let mut buffer = [0; 4];
    near.write_all(b"abcd").await.expect("open");
    in_time(far.read_exact(&mut buffer)).await.expect("open");
    assert_eq!(&buffer, b"abcd");
    first
        .set_option(SocketOption::SoRcvlowat, 2000)
        .await
        .expect("it has one");
    second
        .set_option((libc::SOL_SOCKET, libc::SO_RCVLOWAT), 2000)
        .await
        .expect("it has one");
    far.write_all(b"back").await.expect("open");
    in_time(near.read_exact(&mut buffer)).await.expect("open");
    assert_eq!(&buffer, b"back");
    near.write_all(b"more").await.expect("open");
    in_time(far.read_exact(&mut buffer)).await.expect("open");
    let low_water = first
        .option(SocketOption::SoRcvlowat)
        .await
        .expect("it has one");
    assert_eq!(low_water, OptionValue::Integer(2000));
    drop((near, far));
    ended(running).await.expect("it ends well");
    until(async || {
        let low_water = first
            .option(SocketOption::SoRcvlowat)
            .await
            .expect("it has one");
        low_water == OptionValue::Integer(2000)
    })
    .await;
    in_time(daemon.shutdown()).await;
}
