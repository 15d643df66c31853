//! How a relay ends: by its sockets, and by others.

use std::time::Duration;

use farsock_client::{
    Client, Error, JournalEvent, JournalOptions, Operation, OptionValue, Reason, SocketOption,
    SocketType, SpliceOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    assert_kernel, assert_whole, both, embedded, ended, in_time, noise, pair, relay, tcp, unix,
    until, until_waiting,
};

const SHORT: SpliceOptions = SpliceOptions {
    timeout: Some(Duration::from_millis(50)),
};

#[tokio::test]
async fn the_end_of_each_direction_is_passed_on_while_the_other_goes_on() {
    let (daemon, client) = embedded().await;
    for turned in [false, true] {
        let ((first, mut near), (second, mut far)) = (tcp(&client).await, unix(&client).await);
        let running = if turned {
            relay(&second, &first)
        } else {
            relay(&first, &second)
        };
        near.write_all(b"request").await.expect("connected");
        near.shutdown().await.expect("connected");
        let mut request = String::new();
        in_time(far.read_to_string(&mut request))
            .await
            .expect("the end comes");
        assert_eq!(request, "request");
        far.write_all(b"the answer").await.expect("connected");
        far.shutdown().await.expect("connected");
        let mut answer = String::new();
        in_time(near.read_to_string(&mut answer))
            .await
            .expect("the end comes");
        assert_eq!(answer, "the answer");
        let (there, back) = both(ended(running).await.expect("it ends well"));
        let (request, answer) = if turned { (back, there) } else { (there, back) };
        assert_whole(&request, 7);
        assert_whole(&answer, 10);
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_reset_ends_both_directions_though_the_other_peer_is_silent() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    let running = relay(&first, &second);
    near.write_all(b"half a").await.expect("connected");
    let mut buffer = [0; 6];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    near.set_zero_linger().expect("it is open");
    drop(near);
    let (there, back) = both(ended(running).await.expect("it did something"));
    assert_eq!((there.bytes, there.undelivered), (6, 0));
    assert_kernel(there.error, "ECONNRESET", "recv", first.handle());
    assert_kernel(back.error, "EPIPE", "send", first.handle());
    // The other connection is as it was: what becomes of it is the caller's to say.
    second.send("sorry").await.expect("connected");
    let mut buffer = [0; 5];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_reset_that_a_send_met_is_no_end_of_the_stream_for_the_other_direction() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, far)) = (tcp(&client).await, tcp(&client).await);
    let running = relay(&first, &second);
    // The second peer reads nothing, so that the relay waits to send when the reset comes.
    let data = noise(6, 1 << 16);
    let sending = tokio::spawn(async move {
        while near.write_all(&data).await.is_ok() {}
        near
    });
    until(async || second.info().await.expect("open").send_queue > Some(1 << 16)).await;
    far.set_zero_linger().expect("it is open");
    drop(far);
    let (there, back) = both(ended(running).await.expect("it did something"));
    let taken = first.info().await.expect("open").counters.bytes_received;
    assert_eq!(there.bytes + there.undelivered, taken);
    for error in [there.error, back.error] {
        let error = error.expect("it was reset");
        let name = error.errno_name().expect("the kernel said so").to_owned();
        assert!(["ECONNRESET", "EPIPE"].contains(&name.as_str()), "{error}");
    }
    first.close().await.expect("it is open");
    drop(in_time(sending).await.expect("no panic"));
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_timeout_with_nothing_done_is_the_calls_error() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    let error = in_time(first.splice_with(&second, SHORT)).await;
    let error = error.expect_err("nothing was there");
    assert_eq!(error.reason(), Some(Reason::TimedOut));
    // As is one that did not come to its turn.
    let running = relay(&first, &second);
    until_waiting(&first, 1).await;
    let error = in_time(second.splice_with(&first, SHORT)).await;
    let error = error.expect_err("it is not its turn");
    assert_eq!(error.reason(), Some(Reason::TimedOut));
    near.write_all(b"all").await.expect("connected");
    let mut buffer = [0; 3];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    drop((near, far));
    ended(running).await.expect("it ends well");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_timeout_of_zero_moves_what_is_there() {
    let (daemon, client) = embedded().await;
    let (near, first) = pair(&client, SocketType::Stream).await;
    let (second, far) = pair(&client, SocketType::Stream).await;
    near.send("here").await.expect("connected");
    let at_once = SpliceOptions {
        timeout: Some(Duration::ZERO),
    };
    let spliced = in_time(first.splice_with(&second, at_once.clone())).await;
    let (there, back) = both(spliced.expect("it did something"));
    assert_eq!((there.bytes, back.bytes), (4, 0));
    for direction in [there, back] {
        let error = direction.error.expect("it has not ended by itself");
        assert_eq!(error.reason(), Some(Reason::TimedOut));
        assert!(!error.to_string().contains("nothing"), "{error}");
    }
    assert_eq!(in_time(far.recv(9)).await.expect("sent").data, "here");
    let nothing = in_time(first.splice_with(&second, at_once)).await;
    let nothing = nothing.expect_err("nothing is there");
    assert_eq!(nothing.reason(), Some(Reason::TimedOut));
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn every_byte_that_was_taken_is_delivered_or_told() {
    let (daemon, client) = embedded().await;
    for plain in [true, false] {
        let ((first, near), (second, mut far)) = if plain {
            (tcp(&client).await, tcp(&client).await)
        } else {
            let ((first, mut near), (second, far)) = (tcp(&client).await, tcp(&client).await);
            // Small buffers, so that less fits.
            second
                .set_option(SocketOption::SoSndbuf, 4_608)
                .await
                .expect("it is open");
            near.flush().await.expect("it is open");
            ((first, near), (second, far))
        };
        let data = noise(7, 32 << 20);
        let (_read, mut write) = tokio::io::split(near);
        let sending = {
            let data = data.clone();
            tokio::spawn(async move {
                write.write_all(&data).await.expect("connected");
                write.shutdown().await.expect("connected");
            })
        };
        // The peer does not read.
        let spliced = in_time(first.splice_with(&second, SHORT)).await;
        let (there, back) = both(spliced.expect("it did something"));
        let error = there.error.expect("the peer does not read");
        assert_eq!(error.reason(), Some(Reason::TimedOut));
        let error = back.error.expect("the peer does not write");
        assert_eq!(error.reason(), Some(Reason::TimedOut));
        let counters = first.info().await.expect("open").counters;
        assert_eq!(counters.bytes_received, there.bytes + there.undelivered);
        let counters = second.info().await.expect("open").counters;
        assert_eq!(counters.bytes_sent, there.bytes);

        // Another relay goes on after what was taken.
        let running = relay(&first, &second);
        let mut received = Vec::new();
        in_time(far.read_to_end(&mut received))
            .await
            .expect("the end comes");
        drop(far);
        let (rest, _) = both(ended(running).await.expect("it ends well"));
        let (bytes, lost) = (size(there.bytes), size(there.undelivered));
        assert!(received[..bytes] == data[..bytes]);
        assert!(received[bytes..] == data[bytes + lost..]);
        assert_whole(&rest, data.len() - bytes - lost);
        in_time(sending).await.expect("no panic");
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_close_of_either_handle_ends_the_relay() {
    let (daemon, client) = embedded().await;
    for (close_first, move_something) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
        let running = relay(&first, &second);
        until_waiting(&first, 1).await;
        if move_something {
            near.write_all(b"hello").await.expect("connected");
            let mut buffer = [0; 5];
            in_time(far.read_exact(&mut buffer)).await.expect("sent");
        }
        let (closed, other) = if close_first {
            (first, second)
        } else {
            (second, first)
        };
        let handle = closed.handle();
        in_time(closed.close()).await.expect("it is open");
        let outcome = ended(running).await;
        if move_something {
            let (there, back) = both(outcome.expect("it did something"));
            assert_eq!((there.bytes, back.bytes), (5, 0));
            for error in [there.error, back.error] {
                assert_closed(&error.expect("it was closed"), handle);
            }
        } else {
            assert_closed(&outcome.expect_err("it did nothing"), handle);
        }
        // The other one goes on.
        assert_eq!(other.info().await.expect("open").waiting_operations, 0);
        other.send("on").await.expect("connected");
    }
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_close_ends_a_relay_that_waits_for_its_turn_on_the_other_handle() {
    let (daemon, client) = embedded().await;
    let ((first, _near), (second, _far)) = (tcp(&client).await, tcp(&client).await);
    let busy = client.adopt(second.handle());
    let receiving = tokio::spawn(async move { busy.recv(1).await.map(drop) });
    until_waiting(&second, 1).await;
    let running = relay(&first, &second);
    until_waiting(&first, 1).await;
    let handle = first.handle();
    in_time(first.close()).await.expect("it is open");
    let error = ended(running).await.expect_err("it did nothing");
    assert_closed(&error, handle);
    until_waiting(&second, 1).await;
    receiving.abort();
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_cancelled_relay_ends_and_the_journal_tells_what_it_did() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    let mut journal = client
        .journal(JournalOptions::default())
        .await
        .expect("the daemon has one");
    let mut relaying = Operation::new(first.splice(&second)).notify_waiting();
    assert!(relaying.waiting().await);
    near.write_all(b"hello").await.expect("connected");
    let mut buffer = [0; 5];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    drop(relaying);
    let record = loop {
        match in_time(journal.next()).await.expect("it goes on") {
            Some(JournalEvent::Record(record)) if record.verb == "Splice" => break record,
            Some(_) => {}
            None => panic!("the journal has ended"),
        }
    };
    let (one, other) = (first.handle(), second.handle());
    assert_eq!(record.call, format!("splice({one}, {other})"));
    assert_eq!(
        record.result,
        "= 5 (5 there until CANCELLED, 0 back until CANCELLED)"
    );
    // Both are free for others.
    far.write_all(b"to you").await.expect("connected");
    let received = in_time(second.recv(16)).await.expect("sent");
    assert_eq!(received.data, "to you");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn a_client_that_leaves_without_a_session_leaves_its_sockets_free() {
    let (daemon, client) = embedded().await;
    let ((first, mut near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    let leaving = Client::builder()
        .unary(true)
        .connect_with(daemon.connector())
        .await
        .expect("the daemon in this process can be reached");
    let adopted = leaving.adopt(first.handle());
    let handle = second.handle();
    let relaying = tokio::spawn(async move { adopted.splice(&handle).await.map(drop) });
    until_waiting(&first, 1).await;
    near.write_all(b"hello").await.expect("connected");
    let mut buffer = [0; 5];
    in_time(far.read_exact(&mut buffer)).await.expect("sent");
    relaying.abort();
    drop(leaving);
    until_waiting(&first, 0).await;
    until_waiting(&second, 0).await;
    near.write_all(b"again").await.expect("connected");
    let received = in_time(first.recv(16)).await.expect("sent");
    assert_eq!(received.data, "again");
    in_time(daemon.shutdown()).await;
}

#[tokio::test]
async fn shutdown_of_the_daemon_ends_it_with_draining() {
    let (daemon, client) = embedded().await;
    let ((first, _near), (second, _far)) = (tcp(&client).await, tcp(&client).await);
    let running = relay(&first, &second);
    until_waiting(&first, 1).await;
    in_time(daemon.shutdown()).await;
    let error = ended(running).await.expect_err("it did nothing");
    assert_eq!(error.reason(), Some(Reason::Draining));
}

#[tokio::test]
async fn a_receive_timeout_of_a_socket_ends_its_direction_with_eagain() {
    let (daemon, client) = embedded().await;
    let ((first, near), (second, mut far)) = (tcp(&client).await, tcp(&client).await);
    let time = OptionValue::Duration(Duration::from_millis(20));
    first
        .set_option(SocketOption::SoRcvtimeo, time)
        .await
        .expect("it is open");
    let running = relay(&first, &second);
    until(async || {
        let journal = second.info().await.expect("open");
        journal.waiting_operations == 1
    })
    .await;
    far.write_all(b"goes on").await.expect("connected");
    far.shutdown().await.expect("connected");
    let (there, back) = both(ended(running).await.expect("the kernel ended it"));
    assert_kernel(there.error, "EAGAIN", "recv", first.handle());
    assert_whole(&back, 7);
    drop(near);
    in_time(daemon.shutdown()).await;
}

#[track_caller]
fn assert_closed(error: &Error, handle: u64) {
    assert_eq!(error.reason(), Some(Reason::HandleClosed), "{error}");
    assert!(error.to_string().contains(&handle.to_string()), "{error}");
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it was in memory")
}
