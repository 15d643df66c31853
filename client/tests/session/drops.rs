//! Calls that are dropped at any moment, of every kind that takes something: each byte, message and connection comes once, and in order.

use std::{collections::VecDeque, future::Future, pin::pin, sync::Arc, task::Poll};

use farsock_client::{
    AcceptOptions, Client, Error, MessageFlags, Operation, PollEvents, RecvMessagesOptions,
    RecvOptions, RemoteSocket, UnixDatagram, UnixStream,
};
use proptest::prelude::*;
use tokio::io::AsyncReadExt as _;
use tokio_stream::StreamExt as _;

/// Numbers that are different enough.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from((self.0 >> 33) % end).expect("it is small")
    }
}

/// Polls the call so many times, and drops it unless it has ended.
async fn impatiently<T>(patience: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    for _ in 0..patience {
        let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

fn flags(flags: MessageFlags) -> RecvOptions {
    RecvOptions {
        flags,
        timeout: None,
    }
}

fn some_messages(length: usize) -> RecvMessagesOptions {
    RecvMessagesOptions {
        max_messages: Some(3),
        length: Some(length),
        flags: MessageFlags::WAITFORONE,
        ..RecvMessagesOptions::default()
    }
}

/// One impatient receive of some kind, one message or part each. None if it was dropped, or took nothing.
async fn receive(socket: &RemoteSocket, dice: &mut Dice, length: usize) -> Vec<Vec<u8>> {
    let patience = 1 + dice.below(24);
    let call: Operation<'_, farsock_client::Result<Vec<Vec<u8>>>> = match dice.below(6) {
        0 => Operation::new(async { Ok(vec![socket.recv(length).await?.data.to_vec()]) }),
        1 => Operation::new(async {
            let all = flags(MessageFlags::WAITALL);
            Ok(vec![socket.recv_with(length, all).await?.data.to_vec()])
        }),
        2 => Operation::new(async {
            let now = flags(MessageFlags::DONTWAIT);
            Ok(vec![socket.recv_with(length, now).await?.data.to_vec()])
        }),
        3 => Operation::new(async { Ok(vec![socket.recv_from(length).await?.0.data.to_vec()]) }),
        4 => Operation::new(async {
            let messages = socket.recv_messages(some_messages(length)).await?;
            Ok(messages.into_iter().map(|one| one.data.to_vec()).collect())
        }),
        // A peek takes nothing, however its flag is given.
        _ => {
            let peek = [MessageFlags::PEEK, MessageFlags::from_raw(2)][dice.below(2)];
            let _ = impatiently(patience, socket.recv_with(length, flags(peek))).await;
            return Vec::new();
        }
    };
    let received = match dice.below(4) {
        // What has ended, and was not asked for, is not received.
        0 => {
            let mut call = call.notify_waiting();
            let _ = impatiently(patience, call.waiting()).await;
            None
        }
        _ => impatiently(patience, call).await,
    };
    // With MSG_DONTWAIT there may be nothing.
    received.and_then(Result::ok).unwrap_or_default()
}

async fn bytes_come_once(seed: u64, rounds: usize) -> Result<(), Error> {
    let mut dice = Dice(seed);
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let other = Client::builder()
        .unary(true)
        .connect_with(daemon.connector())
        .await?;
    let (near, far) = UnixStream::pair(&client).await?;
    let far = far.into_socket();
    let sent: Vec<u8> = (0..4_000_u32).flat_map(u32::to_be_bytes).collect();
    let sending = tokio::spawn({
        let sent = sent.clone();
        async move {
            for chunk in sent.chunks(333) {
                near.send(chunk.to_vec()).await?;
            }
            near.socket().shutdown(std::net::Shutdown::Write).await?;
            Ok::<_, Error>(near)
        }
    });
    let mut received = Vec::new();
    for _ in 0..rounds {
        let length = 1 + dice.below(500);
        received.extend(receive(&far, &mut dice, length).await.concat());
        if dice.below(16) == 0 {
            // The answer comes after what was dropped has been given back; then others see it.
            far.info().await?;
            let now = flags(MessageFlags::DONTWAIT);
            if let Ok(more) = other.adopt(far.handle()).recv_with(64, now).await {
                received.extend_from_slice(&more.data);
            }
        }
        assert!(
            sent.starts_with(&received),
            "after {} bytes",
            received.len()
        );
    }
    // One more that is dropped, and then the rest by another way.
    if let Some(last) = impatiently(1, far.recv(400)).await {
        received.extend_from_slice(&last?.data);
    }
    if dice.below(2) == 0 {
        let mut stream = UnixStream::from_socket(far);
        stream.read_to_end(&mut received).await.expect("it ends");
    } else {
        let (there, end) = UnixStream::pair(&client).await?;
        end.socket().shutdown(std::net::Shutdown::Write).await?;
        let reading = tokio::spawn(async move {
            let (mut end, mut all) = (end, Vec::new());
            end.read_to_end(&mut all).await.expect("it ends");
            all
        });
        far.splice(&there).await?;
        received.extend(reading.await.expect("no panic"));
    }
    assert!(received == sent, "every byte, in order");
    sending.await.expect("no panic")?;
    Ok(())
}

async fn messages_come_once(seed: u64, rounds: usize) -> Result<(), Error> {
    const COUNT: u32 = 300;
    let mut dice = Dice(seed);
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = UnixDatagram::pair(&client).await?;
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            near.send(number.to_be_bytes().to_vec()).await?;
        }
        Ok::<_, Error>(near)
    });
    let mut next = 0_u32;
    let mut take = |message: &[u8]| {
        assert_eq!(message, next.to_be_bytes());
        next += 1;
        next
    };
    let mut taken = 0;
    for _ in 0..rounds {
        // A waiting receive behind the last message would be dropped in vain.
        if taken == COUNT {
            break;
        }
        for message in receive(far.socket(), &mut dice, 64).await {
            taken = take(&message);
        }
    }
    let datagrams = far.datagrams(&farsock_client::DatagramsOptions::default());
    while taken < COUNT {
        for message in datagrams.recv().await? {
            taken = take(&message.data);
        }
    }
    sending.await.expect("no panic")?;
    Ok(())
}

async fn connections_come_once(seed: u64) -> Result<(), Error> {
    let mut dice = Dice(seed);
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let socket = listener.socket();
    let connecting = async {
        let mut peers = Vec::new();
        for _ in 0..40 {
            peers.push(client.tcp_stream(listener.local_addr()).await?);
        }
        Ok::<_, Error>(peers)
    };
    let peers = connecting.await?;
    let mut addresses = VecDeque::new();
    for peer in &peers {
        addresses.push_back(peer.local_addr().await?.to_string());
    }
    let mut accepted = Vec::new();
    for _ in 0..80 {
        if addresses.len() < 10 {
            break;
        }
        let patience = 1 + dice.below(24);
        let options = AcceptOptions {
            nonblocking: dice.below(2) == 0,
            timeout: None,
        };
        let came = if dice.below(3) == 0 {
            // Its output is dropped unseen.
            let mut call = Operation::new(socket.accept_with(options)).notify_waiting();
            let _ = impatiently(patience, call.waiting()).await;
            None
        } else {
            impatiently(patience, socket.accept_with(options)).await
        };
        if let Some(came) = came {
            let (connection, peer) = came?;
            assert_eq!(Some(peer.to_string()), addresses.pop_front());
            accepted.push(connection);
        }
    }
    // The order is told by the connections themselves.
    let ready = client.poll(&[(socket, PollEvents::IN)], None).await?;
    assert_eq!(ready.len(), 1);
    let mut incoming = listener.incoming();
    while let Some(address) = addresses.pop_front() {
        let (connection, peer) = incoming.next().await.expect("there is one more")?;
        assert_eq!(peer.to_string(), address);
        accepted.push(connection.into_socket());
    }
    Ok(())
}

fn run(test: impl Future<Output = Result<(), Error>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let limit = std::time::Duration::from_secs(120);
    let outcome = runtime.block_on(async { tokio::time::timeout(limit, test).await });
    outcome.expect("it ends").expect("nothing fails");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_byte_comes_once_and_in_order(seed: u64, rounds in 0_usize..120) {
        run(bytes_come_once(seed, rounds));
    }

    #[test]
    fn every_message_comes_once_and_in_order(seed: u64, rounds in 0_usize..400) {
        run(messages_come_once(seed, rounds));
    }

    #[test]
    fn every_connection_comes_once_and_in_order(seed: u64) {
        run(connections_come_once(seed));
    }
}

async fn stream_pair(client: &Client) -> Result<(RemoteSocket, Arc<RemoteSocket>), Error> {
    let (near, far) = UnixStream::pair(client).await?;
    Ok((near.into_socket(), Arc::new(far.into_socket())))
}

#[tokio::test]
async fn a_splice_and_a_stream_begin_with_what_a_dropped_receive_took() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    for splices in [true, false] {
        let (near, far) = stream_pair(&client).await?;
        let receive = far.recv(64);
        let mut receive = Box::pin(receive);
        assert!(impatiently(1, &mut receive).await.is_none());
        near.send("hello ").await?;
        drop(receive);
        near.send("world").await?;
        near.shutdown(std::net::Shutdown::Write).await?;
        let far = Arc::into_inner(far).expect("nobody else has it");
        let mut received = Vec::new();
        if splices {
            let (there, end) = UnixStream::pair(&client).await?;
            end.socket().shutdown(std::net::Shutdown::Write).await?;
            far.splice(&there).await?;
            let mut end = end;
            end.read_to_end(&mut received).await.expect("it ends");
        } else {
            let mut stream = UnixStream::from_socket(far);
            stream.read_to_end(&mut received).await.expect("it ends");
        }
        assert_eq!(received, b"hello world");
    }
    Ok(())
}

#[tokio::test]
async fn a_pipeline_behind_a_dropped_receive_waits_for_what_it_receives() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = stream_pair(&client).await?;
    let mut dropped = Operation::new(far.recv(5)).notify_waiting();
    assert!(dropped.waiting().await);
    drop(dropped);
    let mut pipeline = client.pipeline();
    let received = pipeline.then(far.recv(5));
    let answered = pipeline.then(far.send("answer"));
    // It is answered behind both.
    far.info().await?;
    let now = flags(MessageFlags::DONTWAIT);
    let nothing = near.recv_with(64, now).await.expect_err("nothing came");
    assert_eq!(nothing.errno_name(), Some("EAGAIN"));
    near.send("words").await?;
    assert_eq!(received.await?.data, "words");
    answered.await?;
    assert_eq!(near.recv(64).await?.data, "answer");
    Ok(())
}

#[tokio::test]
async fn a_receive_of_all_goes_on_where_a_dropped_one_was() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let (near, far) = stream_pair(&client).await?;
    let mut dropped = Operation::new(far.recv(3)).notify_waiting();
    assert!(dropped.waiting().await);
    near.send("abc").await?;
    drop(dropped);
    let all = tokio::spawn({
        let far = Arc::clone(&far);
        async move { far.recv_with(10, flags(MessageFlags::WAITALL)).await }
    });
    near.send("defghij").await?;
    assert_eq!(all.await.expect("no panic")?.data, "abcdefghij");
    Ok(())
}

#[tokio::test]
async fn what_two_dropped_receives_took_comes_in_order_whichever_is_dropped_first()
-> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    for reversed in [false, true] {
        let (near, far) = stream_pair(&client).await?;
        let mut first = Box::pin(far.recv(3));
        let mut second = Box::pin(far.recv(3));
        assert!(impatiently(1, &mut first).await.is_none());
        assert!(impatiently(1, &mut second).await.is_none());
        near.send("abcdef").await?;
        // Both have ended before this is answered.
        client.poll(&[(&near, PollEvents::OUT)], None).await?;
        if reversed {
            drop(second);
            drop(first);
        } else {
            drop(first);
            drop(second);
        }
        let kinds = far.recv_messages(some_messages(64)).await?;
        assert_eq!(kinds[0].data, "abcdef");
    }
    Ok(())
}
