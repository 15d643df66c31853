//! What a client must not do, and what it is told.

use bytes::Bytes;
use farsock_proto::v1::{self, stream_request::Message as Say};

use crate::support::{Stream, channel, connected, credit, opening, reason, socket, sockets};

#[tokio::test]
async fn a_stream_of_a_socket_that_has_none_names_the_handle() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let refused = async |open| {
        let status = Stream::open(&channel, open).await.err().unwrap();
        (reason(&status), status.message().to_owned())
    };
    assert_eq!(refused(opening(77, 1)).await.0, "HANDLE_NOT_FOUND");
    let datagram = socket(&channel, v1::SocketType::Dgram).await;
    let (reason, message) = refused(opening(datagram, 1)).await;
    assert_eq!(reason, "INVALID_REQUEST");
    assert!(message.starts_with("handle: "), "{message}");
    let listening = socket(&channel, v1::SocketType::Stream).await;
    let listen = v1::ListenRequest {
        handle: listening,
        ..Default::default()
    };
    sockets(&channel).listen(listen).await.unwrap();
    let (reason, message) = refused(opening(listening, 1)).await;
    assert_eq!(reason, "INVALID_REQUEST");
    assert!(message.starts_with("handle: "), "{message}");
    let (reason, message) = refused(opening(datagram, (16 << 20) + 1)).await;
    assert_eq!(reason, "INVALID_REQUEST");
    assert!(message.starts_with("open.window: "), "{message}");
}

#[tokio::test]
async fn the_first_message_opens_and_no_other_does() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _peer) = connected(&channel).await;
    for first in [Say::Data(Bytes::from_static(b"x")), credit(0, 1)] {
        let status = Stream::begin(&channel, [first]).await.err().unwrap();
        assert_eq!(reason(&status), "INVALID_REQUEST");
    }
    let mut stream = Stream::open(&channel, opening(handle, 1)).await.unwrap();
    stream.say(Say::Open(opening(handle, 1)));
    assert_eq!(
        stream.end_reason().await.as_deref(),
        Some("INVALID_REQUEST")
    );
}

#[tokio::test]
async fn who_sends_more_than_was_granted_is_cut_off_and_may_come_again() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    // Nobody reads here.
    let (handle, _peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    // More than the kernel's buffers hold, without regard to what is granted.
    for _ in 0..64 {
        stream.send(vec![0; 512 << 10]);
    }
    assert_eq!(
        stream.end_reason().await.as_deref(),
        Some("CREDIT_EXCEEDED")
    );
    let again = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    assert!(again.opened.send_offset <= again.opened.send_limit);
}

#[tokio::test]
async fn offsets_that_mean_nothing_are_unknown() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _peer) = connected(&channel).await;
    for message in [credit(1, 1), Say::Finish(v1::FinishSending { offset: 1 })] {
        let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
        stream.say(message);
        assert_eq!(stream.end_reason().await.as_deref(), Some("OFFSET_UNKNOWN"));
    }
    let open = v1::OpenStream {
        received: Some(1),
        ..opening(handle, 0)
    };
    let refused = Stream::open(&channel, open).await.err().unwrap();
    assert_eq!(reason(&refused), "OFFSET_UNKNOWN");
    let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    stream.finish(0);
    stream.finish(0);
    stream.send("more");
    assert_eq!(
        stream.end_reason().await.as_deref(),
        Some("INVALID_REQUEST")
    );
}

#[tokio::test]
async fn bytes_that_would_be_too_large_are_refused() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    stream.send(vec![0; 5 << 20]);
    let reason = stream.end_reason().await.unwrap();
    assert!(reason.starts_with("OutOfRange"), "{reason}");
}
