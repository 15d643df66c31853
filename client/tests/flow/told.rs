//! What the client says and hears, message by message.

use std::{future::poll_fn, io::ErrorKind, pin::Pin, task::Poll, time::Duration};

use bytes::Bytes;
use farsock_proto::v1::{
    self, stream_request::Message as Said, stream_response::Message as Saying,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tonic::Status;

use crate::fake::{HANDLE, connection};

const WINDOW: u64 = 1 << 20;

#[tokio::test]
async fn a_stream_opens_when_it_is_first_used_and_sends_what_is_granted() {
    let (mut near, mut streams) = connection().await;
    assert!(streams.try_recv().is_err());
    near.write_all(b"hello").await.unwrap();
    let mut far = streams.recv().await.unwrap();
    let open = far.hear_open().await;
    assert_eq!(open.handle, HANDLE);
    assert_eq!((open.received, open.window), (None, WINDOW));
    assert_ne!(open.stream_id, 0);
    // An earlier stream of the socket's has brought it there.
    far.open(1_000, 1_002, 70);
    assert_eq!(far.hear_bytes(2).await, b"he");
    far.credit(1_002, 2_000, 1_002);
    assert_eq!(far.hear_bytes(3).await, b"llo");
    far.send("good");
    far.send(" day");
    let mut answer = [0; 8];
    near.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"good day");
    let credit = far.hear_credit().await;
    assert_eq!((credit.received, credit.limit), (78, 78 + WINDOW));
}

#[tokio::test]
async fn a_broken_stream_goes_on_from_where_the_daemon_says() {
    let (mut near, mut streams) = connection().await;
    near.write_all(b"0123456789").await.unwrap();
    let mut far = streams.recv().await.unwrap();
    let first = far.hear_open().await;
    far.open(0, 8, 0);
    assert_eq!(far.hear_bytes(8).await, b"01234567");
    far.credit(3, 8, 3);
    far.send("abc");
    let mut part = [0; 2];
    near.read_exact(&mut part).await.unwrap();
    far.fail(Status::unavailable("cut"));

    let mut far = streams.recv().await.unwrap();
    let second = far.hear_open().await;
    assert_eq!(second.stream_id, first.stream_id);
    // Above all that the daemon has seen: were the first one late, it would be refused.
    assert!(0 < first.attempt && first.attempt < second.attempt);
    assert_eq!(second.received, Some(3));
    assert_eq!(second.window, WINDOW - 1);
    far.open(5, 20, 3);
    assert_eq!(far.hear_bytes(5).await, b"56789");
    far.send("def");
    let mut part = [0; 4];
    near.read_exact(&mut part).await.unwrap();
    assert_eq!(&part, b"cdef");
}

#[tokio::test]
async fn an_error_comes_after_the_bytes_before_it() {
    let (mut near, mut streams) = connection().await;
    near.write_all(b"x").await.unwrap();
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 100, 0);
    far.send("last words");
    far.say(Saying::ReceivingEnded(v1::ReceivingEnded {
        offset: 10,
        error: Some(reset()),
    }));
    far.say(Saying::SendingEnded(v1::SendingEnded {
        offset: 1,
        error: Some(broken_pipe()),
    }));
    let mut all = Vec::new();
    let error = near.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(all, b"last words");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let source = error.into_inner().unwrap();
    let source = source.downcast_ref::<farsock_client::Error>().unwrap();
    assert_eq!(source.errno_name(), Some("ECONNRESET"));
    let error = near.write_all(b"y").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(near.read_to_end(&mut all).await.unwrap(), 0);
    // Nothing is left to say.
    assert!(far.is_left().await);
}

#[tokio::test]
async fn a_write_hears_what_receiving_ahead_met_and_a_read_comes_to_the_end() {
    for shuts_down in [false, true] {
        let (mut near, mut streams) = connection().await;
        near.write_all(b"x").await.unwrap();
        let mut far = streams.recv().await.unwrap();
        far.hear_open().await;
        far.open(0, 100, 0);
        far.send("last words");
        far.say(Saying::ReceivingEnded(v1::ReceivingEnded {
            offset: 10,
            error: Some(reset()),
        }));
        far.say(Saying::SendingEnded(v1::SendingEnded {
            offset: 1,
            error: Some(broken_pipe()),
        }));
        // The client has heard both.
        assert!(far.is_left().await);
        let first = if shuts_down {
            near.shutdown().await
        } else {
            near.write_all(b"y").await
        };
        assert_eq!(first.unwrap_err().kind(), ErrorKind::ConnectionReset);
        for _ in 0..2 {
            let error = near.write_all(b"y").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        let mut all = Vec::new();
        near.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"last words");
        let error = near.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn a_read_hears_what_sending_met_if_it_comes_first() {
    let (mut near, mut streams) = connection().await;
    near.write_all(b"x").await.unwrap();
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 100, 0);
    far.say(Saying::SendingEnded(v1::SendingEnded {
        offset: 0,
        error: Some(reset()),
    }));
    far.send("last words");
    far.say(Saying::ReceivingEnded(v1::ReceivingEnded {
        offset: 10,
        error: None,
    }));
    let mut all = Vec::new();
    let error = near.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(all, b"last words");
    assert_eq!(near.read_to_end(&mut all).await.unwrap(), 0);
    let error = near.write_all(b"y").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_write_that_waits_for_room_hears_what_receiving_met() {
    let (mut near, mut streams) = connection().await;
    near.write_chunk(Bytes::from(vec![1; 1 << 20]))
        .await
        .unwrap();
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 0, 0);
    let mut waiting = Box::pin(near.write_all(b"more"));
    let polled = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_ready()));
    assert!(!polled.await);
    far.say(Saying::ReceivingEnded(v1::ReceivingEnded {
        offset: 0,
        error: Some(reset()),
    }));
    let waiting = tokio::time::timeout(Duration::from_secs(60), waiting);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // It need not ask the daemon.
    let error = near.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(near.read_chunk(1).await.unwrap(), "");
}

#[tokio::test]
async fn a_shutdown_ends_one_direction_and_is_told_when_it_came() {
    let (mut near, mut streams) = connection().await;
    near.write_all(b"hello").await.unwrap();
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 100, 0);
    assert_eq!(far.hear_bytes(5).await, b"hello");
    let shutdown = tokio::spawn(async move { near.shutdown().await.map(|()| near) });
    assert_eq!(
        far.hear().await,
        Some(Said::Finish(v1::FinishSending { offset: 5 }))
    );
    far.fail(Status::unavailable("cut"));
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(5, 100, 0);
    // It is said again.
    assert_eq!(
        far.hear().await,
        Some(Said::Finish(v1::FinishSending { offset: 5 }))
    );
    assert!(!shutdown.is_finished());
    far.say(Saying::SendingEnded(v1::SendingEnded {
        offset: 5,
        error: None,
    }));
    let mut near = shutdown.await.unwrap().unwrap();
    let error = near.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    far.send("still here");
    assert_eq!(near.read_chunk(100).await.unwrap(), "still here");
}

#[tokio::test]
async fn a_stream_that_is_dropped_stays_until_all_is_taken() {
    let (mut near, mut streams) = connection().await;
    near.write_all(b"hello").await.unwrap();
    drop(near);
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 3, 0);
    assert_eq!(far.hear_bytes(3).await, b"hel");
    far.fail(Status::unavailable("cut"));
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(3, 5, 0);
    assert_eq!(far.hear_bytes(2).await, b"lo");
    far.credit(5, 5, 4);
    far.credit(5, 5, 5);
    assert_eq!(far.hear().await, None);
}

#[tokio::test]
async fn a_reader_that_never_reads_is_sent_no_more_than_its_window() {
    let (mut near, mut streams) = connection().await;
    let mut one = [0];
    let first = poll_fn(|context| {
        let read = Pin::new(&mut near).poll_read(context, &mut ReadBuf::new(&mut one));
        Poll::Ready(read.is_ready())
    });
    assert!(!first.await);
    let mut far = streams.recv().await.unwrap();
    let open = far.hear_open().await;
    far.open(0, 0, 0);
    for _ in 0..open.window >> 16 {
        far.send(vec![7; 1 << 16]);
    }
    // It acknowledges and does not grant.
    let mut credit = v1::Credit::default();
    while credit.received < open.window {
        credit = far.hear_credit().await;
        assert_eq!(credit.limit, open.window);
    }
    // A quarter is free.
    let mut part = vec![0; 1 << 18];
    near.read_exact(&mut part).await.unwrap();
    assert_eq!(far.hear_credit().await.limit, open.window + (1 << 18));
    // What was not granted is the daemon's mistake.
    far.send(vec![7; (1 << 18) + 1]);
    assert!(far.is_left().await);
    let error = near.read_to_end(&mut part).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_write_that_is_given_up_has_sent_nothing() {
    let (mut near, mut streams) = connection().await;
    let full = Bytes::from(vec![1; 1 << 20]);
    near.write_chunk(full.clone()).await.unwrap();
    let mut given_up = Box::pin(near.write_chunk(Bytes::from_static(b"lost")));
    let polled = poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context).is_ready()));
    assert!(!polled.await);
    drop(given_up);
    let refused = poll_fn(|context| {
        let write = Pin::new(&mut near).poll_write(context, b"lost");
        Poll::Ready(write.is_pending())
    });
    assert!(refused.await);
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 2 << 20, 0);
    assert_eq!(far.hear_bytes(1 << 20).await, full);
    near.write_all(b"kept").await.unwrap();
    assert_eq!(far.hear_bytes(4).await, b"kept");
}

#[tokio::test]
async fn a_writer_goes_on_when_the_daemon_had_received_what_seemed_unsent() {
    let (mut near, mut streams) = connection().await;
    let full = Bytes::from(vec![1; 1 << 19]);
    near.write_chunk(full.clone()).await.unwrap();
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 1 << 19, 0);
    assert_eq!(far.hear_bytes(1 << 19).await, full);
    far.fail(Status::unavailable("cut"));
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    let mut writing = Box::pin(near.write_all(b"more"));
    let polled = poll_fn(|context| Poll::Ready(writing.as_mut().poll(context).is_ready()));
    assert!(!polled.await);
    far.open(1 << 19, 1 << 20, 0);
    writing.await.unwrap();
    assert_eq!(far.hear_bytes(4).await, b"more");
}

#[tokio::test]
async fn halves_read_and_write_and_the_writing_ones_end_is_the_directions() {
    let (near, mut streams) = connection().await;
    let (mut reading, mut writing) = near.into_split();
    writing.write_all(b"hello").await.unwrap();
    drop(writing);
    let mut far = streams.recv().await.unwrap();
    far.hear_open().await;
    far.open(0, 100, 0);
    assert_eq!(far.hear_bytes(5).await, b"hello");
    assert!(matches!(far.hear().await, Some(Said::Finish(_))));
    far.say(Saying::SendingEnded(v1::SendingEnded {
        offset: 5,
        error: None,
    }));
    far.send("bye");
    far.say(Saying::ReceivingEnded(v1::ReceivingEnded {
        offset: 3,
        error: None,
    }));
    let mut all = String::new();
    reading.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "bye");
    assert!(far.is_left().await);
}

#[tokio::test]
async fn a_refusal_of_the_daemons_own_is_told_to_both_directions() {
    let (mut near, mut streams) = connection().await;
    let writing = near.write_all(b"hello").await;
    assert!(writing.is_ok());
    let far = streams.recv().await.unwrap();
    far.fail(Status::failed_precondition("in use"));
    let error = near.read_chunk(1).await.unwrap_err();
    assert_eq!(error.to_string(), "stream on handle 5: in use");
    assert!(near.write_all(b"more").await.is_err());
    assert!(near.shutdown().await.is_err());
}

fn reset() -> v1::OperationError {
    errno("ECONNRESET", "104", "recv")
}

fn broken_pipe() -> v1::OperationError {
    errno("EPIPE", "32", "send")
}

fn errno(name: &str, number: &str, syscall: &str) -> v1::OperationError {
    use tonic_types::{ErrorDetails, StatusExt};

    let metadata = [("errno", number), ("syscall", syscall), ("handle", "5")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let details = ErrorDetails::with_error_info(name, "errno.farsock", metadata);
    let status = Status::with_error_details(tonic::Code::FailedPrecondition, name, details);
    let details = status.details();
    let status = <tonic_types::pb::Status as prost::Message>::decode(details).expect("a status");
    v1::OperationError {
        code: tonic::Code::FailedPrecondition.into(),
        message: name.to_owned(),
        details: status.details,
    }
}
