//! A newer stream takes a session over: what the older one still says comes to nothing.

use crate::support::*;

#[tokio::test]
async fn what_a_stream_says_after_a_newer_one_attached_comes_to_nothing() {
    const SENDS: u64 = 48;
    // The pair, and each send with its receive.
    const KNOWN: u32 = 1 + 2 * 48;
    let daemon = farsock_daemon::embedded();
    let old_channel = channel(&daemon).await;
    let session = open(&old_channel).await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    let mut old = Stream::attach(&old_channel, &session.session_id)
        .await
        .unwrap();
    old.start(1, datagram_pair(near, far));
    old.succeeded(1).await;
    // More than the client's window for a stream, which is 2 MiB, and what the connection buffers: the older stream is still at its
    // results when it is over, and reads what its client says.
    for id in 0..SENDS {
        old.start(100 + id, send(near, &[0; 60_000]));
        old.start(200 + id, recv(far, 60_000));
    }
    let new_channel = channel(&daemon).await;
    until(&new_channel, &session.session_id, |session| {
        session.is_some_and(|session| session.kept_results == KNOWN)
    })
    .await;
    let mut new = Stream::attach(&new_channel, &session.session_id)
        .await
        .unwrap();
    assert_eq!(new.known.len(), KNOWN as usize);

    // On their way when the newer stream attached, or sent by who does not know yet.
    old.start(2, close(near));
    old.cancel(1);
    old.acknowledge([1]);
    // Behind them on the same connection.
    for _ in 0..20 {
        let session = listed(&old_channel, &session.session_id).await.unwrap();
        assert_eq!((session.sockets, session.kept_results), (2, KNOWN));
    }
    for _ in 0..KNOWN {
        new.next().await;
    }
    new.start(2, send(near, b"2"));
    new.succeeded(2).await;
    assert_eq!(old.end_reason().await, "SESSION_TAKEN");
}

#[tokio::test]
async fn an_attempt_that_was_delayed_is_refused_and_the_newer_stream_goes_on() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let session = open(&channel).await;
    let (id, handle) = (session.session_id.as_str(), session.first_handle);
    let attach = async |attempt| Stream::attach_again(&channel, id, attempt).await;

    let mut second = attach(2).await.unwrap();
    for delayed in [1, 2] {
        let refused = attach(delayed).await.err().unwrap();
        assert_eq!(status_reason(&refused), "SESSION_TAKEN");
    }
    second.start(1, tcp_socket(handle));
    second.succeeded(1).await;

    let _third = attach(3).await.unwrap();
    assert_eq!(second.end_reason().await, "SESSION_TAKEN");
    // Whoever does not count comes last, and the count stays.
    let mut other = attach(0).await.unwrap();
    let refused = attach(3).await.err().unwrap();
    assert_eq!(status_reason(&refused), "SESSION_TAKEN");
    other.start(2, close(handle));
    // What was known is told first.
    other.succeeded(1).await;
    other.succeeded(2).await;
}
