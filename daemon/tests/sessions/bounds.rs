//! What a session takes, and what it says beyond that: before an operation starts, so that nothing is lost.

use farsock_proto::v1::{
    self, operate_response::Message as Outgoing, operation::Request, operation_result::Outcome,
};

use crate::support::*;

#[tokio::test]
async fn results_that_would_take_too_many_bytes_are_refused_before_they_start() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let session = open(&channel).await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    let mut stream = Stream::attach(&channel, &session.session_id).await.unwrap();
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    let length = 1 << 20;
    let fitting = session.max_result_bytes / (length + 1024);
    let length = i64::try_from(length).unwrap();
    for id in 2..2 + fitting {
        stream.start_notified(id, recv(far, length));
        stream.waiting(id).await;
    }
    let over = 2 + fitting;
    stream.start(over, recv(far, length));
    assert_eq!(stream.refused(over).await, "RESULTS_FULL");
    // The first to end takes little, and so makes room: the refused one can be sent again, under its id.
    stream.start(1000, send(near, b"2"));
    for _ in 0..2 {
        stream.next().await;
    }
    stream.start_notified(over, recv(far, length));
    stream.waiting(over).await;
    for id in 3..=over {
        stream.start(1000 + id, send(near, id.to_string().as_bytes()));
        for _ in 0..2 {
            if let Outgoing::Ended(ended) = stream.next().await
                && ended.request_id == id
            {
                assert_eq!(data(outcome(ended)), id.to_string().as_bytes());
            }
        }
    }
}

#[tokio::test]
async fn results_that_nobody_acknowledges_are_kept_up_to_their_number() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let session = open(&channel).await;
    let mut stream = Stream::attach(&channel, &session.session_id).await.unwrap();
    let full = u64::from(session.max_results);
    // All of them, and only then the first answer is read: the daemon reads on.
    for id in 1..=full + 1 {
        stream.start(id, get_socket(7));
    }
    for id in 1..=full {
        assert_eq!(stream.failed(id).await, "HANDLE_NOT_FOUND");
    }
    assert_eq!(stream.refused(full + 1).await, "RESULTS_FULL");
    stream.acknowledge([5]);
    stream.start(full + 1, get_socket(7));
    assert_eq!(stream.failed(full + 1).await, "HANDLE_NOT_FOUND");
}

#[tokio::test]
async fn one_operation_more_than_may_be_in_flight_is_refused() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let session = open(&channel).await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    let mut stream = Stream::attach(&channel, &session.session_id).await.unwrap();
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    let full = 1 + u64::from(session.max_in_flight);
    for id in 2..=full + 1 {
        stream.start(id, recv(far, 8));
    }
    assert_eq!(stream.refused(full + 1).await, "QUOTA_EXCEEDED");
    // A place gets free with the end of any.
    stream.cancel(full);
    assert_eq!(stream.failed(full).await, "CANCELLED");
    stream.start(full + 1, send(near, b"2"));
    for _ in 0..2 {
        stream.next().await;
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_read_no_further_and_disturbs_nobody() {
    let daemon = farsock_daemon::embedded();
    let deaf = channel(&daemon).await;
    let request = v1::OpenSessionRequest {
        lease: lease(3600),
        ..Default::default()
    };
    let session = open_with(&deaf, request).await;
    let mut stream = Stream::attach(&deaf, &session.session_id).await.unwrap();
    stream.start(1, get_socket(7));
    // The same answer, asked for again and again. Bounded in the daemon: a little more than the results of a session.
    for _ in 0..200_000 {
        stream.start(1, get_socket(7));
    }
    let other = channel(&daemon).await;
    let quick = open(&other).await;
    let mut undisturbed = Stream::attach(&other, &quick.session_id).await.unwrap();
    undisturbed.start(1, tcp_socket(quick.first_handle));
    undisturbed.succeeded(1).await;
    until(&other, &session.session_id, |session| {
        session.is_some_and(|session| !session.attached)
    })
    .await;
    assert_eq!(stream.end_reason().await, "QUOTA_EXCEEDED");
    // Its session is as it was.
    let mut again = Stream::attach(&other, &session.session_id).await.unwrap();
    assert_eq!(again.known, [1]);
    assert_eq!(again.failed(1).await, "HANDLE_NOT_FOUND");
}

#[tokio::test]
async fn what_is_to_be_sent_later_takes_no_more_memory_than_what_waits_now() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let session = open(&channel).await;
    let (near, far) = (session.first_handle, session.first_handle + 1);
    let mut stream = Stream::attach(&channel, &session.session_id).await.unwrap();
    stream.start(1, datagram_pair(near, far));
    stream.succeeded(1).await;
    stream.start(2, recv(far, 8));
    let (large, most) = (vec![0; 2 << 20], 256 << 20);
    let over = 3 + most / (2 << 20);
    for id in 3..over {
        stream.start_after(id, 2, send(near, &large));
    }
    stream.start_after(over, 2, send(near, b"one too many"));
    let request = v1::ShutdownRequest {
        handle: far,
        how: v1::ShutdownHow::Read.into(),
    };
    stream.start(1000, Request::Shutdown(request));
    let mut reasons = std::collections::BTreeMap::new();
    while reasons.len() as u64 <= over - 3 {
        let Outgoing::Ended(ended) = stream.next().await else {
            panic!("no end")
        };
        let id = ended.request_id;
        if let Outcome::Error(error) = outcome(ended) {
            reasons.insert(id, reason(&error));
        }
    }
    assert_eq!(reasons.remove(&over).as_deref(), Some("QUOTA_EXCEEDED"));
    assert!(reasons.values().all(|reason| reason == "EMSGSIZE"));
    // All is given back.
    stream.start(1001, send(far, b"small"));
    stream.succeeded(1001).await;
}
