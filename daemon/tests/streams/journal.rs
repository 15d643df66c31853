//! Streams in the journal: each opening, each end, each accepted connection.

use farsock_daemon::Embedded;
use farsock_proto::v1::{
    self, JournalDirection, JournalRecord, WatchRequest,
    journal_service_client::JournalServiceClient, journal_stream::Event, watch_response::Message,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::Streaming;

use crate::{
    accept_many::{self, Accepting, listening},
    datagrams::{self, Datagrams, bound, to},
    support::{PATIENCE, Stream, channel, connected, credit, opening, reason, sockets},
};

/// What is told of streams, and nothing else.
struct Journal(Streaming<v1::WatchResponse>);

impl Journal {
    async fn watch(daemon: &Embedded) -> Self {
        Self::watch_only(daemon, WatchRequest::default()).await
    }

    async fn watch_only(daemon: &Embedded, request: WatchRequest) -> Self {
        let channel = channel(daemon).await;
        let watching = JournalServiceClient::new(channel).watch(request).await;
        let mut this = Self(watching.expect("it can be watched").into_inner());
        assert!(matches!(this.message().await, Message::Started(_)));
        this
    }

    async fn message(&mut self) -> Message {
        let next = timeout(PATIENCE, self.0.message()).await;
        let next = next.expect("something is told").expect("it is open");
        next.expect("more").message.expect("something said")
    }

    async fn next(&mut self) -> JournalRecord {
        loop {
            match self.message().await {
                Message::Record(record)
                    if ["Stream", "Datagrams", "AcceptMany"].contains(&&*record.verb) =>
                {
                    return record;
                }
                Message::Record(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next one as strace(1) shows it.
    async fn text(&mut self) -> String {
        text(&self.next().await)
    }
}

fn text(record: &JournalRecord) -> String {
    format!("{} {}", record.call, record.result)
}

/// Both ways of an end.
fn ended(record: &JournalRecord) -> (Option<&JournalDirection>, &JournalDirection) {
    let stream = record.stream.as_ref().expect("what happened to a stream");
    match &stream.event {
        Some(Event::Ended(ended)) => (
            ended.sent.as_ref(),
            ended.received.as_ref().expect("that way"),
        ),
        other => panic!("{other:?} is no end"),
    }
}

#[tokio::test]
async fn a_stream_is_told_of_when_it_is_opened_and_when_it_has_ended() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut journal = Journal::watch(&daemon).await;
    let mut stream = Stream::open(&channel, opening(handle, 1000)).await.unwrap();
    let opened = journal.next().await;
    assert_eq!(text(&opened), format!("stream_open({handle}, 1000) = 0"));
    assert_eq!(
        (opened.verb.as_str(), opened.handle),
        ("Stream", Some(handle))
    );
    assert_eq!(opened.owner, "embedded");
    let event = opened.stream.expect("what happened");
    let fresh = Event::Opened(v1::JournalStreamOpened::default());
    assert_eq!((event.opening, event.event), (1, Some(fresh)));

    stream.send("hello");
    stream.finish(5);
    peer.read_to_end(&mut Vec::new()).await.unwrap();
    peer.write_all(b"goodbye").await.unwrap();
    drop(peer);
    stream.receiving_end().await;
    stream.say(credit(7, 1000));
    stream.end();
    assert_eq!(stream.end_reason().await, None);
    let end = journal.next().await;
    assert_eq!(
        text(&end),
        format!("stream_end({handle}) = 12 (5 sent until SHUT_WR, 7 received until EOF)")
    );
    assert_eq!((end.bytes, end.errno_name.as_str()), (Some(12), ""));
    assert_eq!(end.sequence, opened.sequence + 1);
    let (sent, received) = ended(&end);
    let moved = |bytes| JournalDirection {
        bytes,
        ended: true,
        ..JournalDirection::default()
    };
    assert_eq!((sent, received), (Some(&moved(5)), &moved(7)));
}

#[tokio::test]
async fn a_dropped_stream_is_told_of_and_each_opening_tells_what_it_moved_itself() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, mut peer) = connected(&channel).await;
    let mut journal = Journal::watch(&daemon).await;
    let open = v1::OpenStream {
        stream_id: 7,
        ..opening(handle, 1000)
    };
    let mut stream = Stream::open(&channel, open).await.unwrap();
    stream.send("hello");
    stream.taken(5).await;
    peer.write_all(b"goodbye").await.unwrap();
    stream.read(7).await;
    journal.next().await;
    drop(stream);
    assert_eq!(
        journal.text().await,
        format!("stream_end({handle}) = ? (abandoned, 5 sent, 7 received with 7 unacknowledged)")
    );

    let mut older = Stream::open(&channel, open).await.unwrap();
    assert_eq!(
        journal.text().await,
        format!("stream_open({handle}, 1000) = 0 (resumed at 5 sent, 0 received)")
    );
    older.read(7).await;
    older.send("!");
    older.taken(6).await;
    let received = v1::OpenStream {
        received: Some(7),
        ..open
    };
    let mut newer = Stream::open(&channel, received).await.unwrap();
    assert_eq!(older.end_reason().await.as_deref(), Some("STREAM_TAKEN"));
    newer.send("??");
    newer.taken(8).await;
    newer.end();
    assert_eq!(newer.end_reason().await, None);
    let mut told = [journal.text().await, journal.text().await];
    // Who was taken over may notice at any time.
    told.sort();
    let last = journal.next().await;
    assert_eq!(
        told,
        [
            format!(
                "stream_end({handle}) = STREAM_TAKEN (1 sent, 0 received with 7 unacknowledged)"
            ),
            format!("stream_open({handle}, 1000) = 0 (took over at 6 sent, 7 received)"),
        ]
    );
    assert_eq!(
        text(&last),
        format!("stream_end({handle}) = 2 (2 sent, 0 received)")
    );
    assert_eq!(last.stream.map(|stream| stream.opening), Some(3));
}

#[tokio::test]
async fn an_end_tells_the_errno_and_the_daemons_reason() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, peer) = connected(&channel).await;
    let mut journal = Journal::watch(&daemon).await;
    let mut stream = Stream::open(&channel, opening(handle, 1000)).await.unwrap();
    let refused = Stream::open(&channel, opening(handle, 1)).await;
    assert_eq!(reason(&refused.err().unwrap()), "STREAM_IN_USE");
    journal.next().await;
    assert_eq!(
        journal.text().await,
        format!("stream_open({handle}, 1) = STREAM_IN_USE")
    );
    peer.set_zero_linger().unwrap();
    drop(peer);
    let (_, _, error) = stream.receiving_end().await;
    assert_eq!(error.as_deref(), Some("ECONNRESET"));
    let close = v1::CloseRequest {
        handle,
        abort: false,
    };
    sockets(&channel).close(close).await.unwrap();
    assert_eq!(stream.end_reason().await.as_deref(), Some("HANDLE_CLOSED"));
    let end = journal.next().await;
    assert_eq!(
        text(&end),
        format!("stream_end({handle}) = HANDLE_CLOSED (0 sent, 0 received until ECONNRESET)")
    );
    assert_eq!(end.errno_name, "ECONNRESET");
    assert_eq!(ended(&end).1.errno_name, "ECONNRESET");

    let (handle, _peer) = connected(&channel).await;
    let mut stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    stream.say(credit(1, 1));
    assert_eq!(stream.end_reason().await.as_deref(), Some("OFFSET_UNKNOWN"));
    journal.next().await;
    assert_eq!(
        journal.text().await,
        format!("stream_end({handle}) = OFFSET_UNKNOWN (0 sent, 0 received)")
    );
}

#[tokio::test]
async fn who_watches_later_is_told_of_the_end() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, _peer) = connected(&channel).await;
    let stream = Stream::open(&channel, opening(handle, 0)).await.unwrap();
    let mut journal = Journal::watch(&daemon).await;
    drop(stream);
    assert_eq!(
        journal.text().await,
        format!("stream_end({handle}) = ? (abandoned, 0 sent, 0 received)")
    );
}

#[tokio::test]
async fn each_accepted_connection_reads_like_accept4_and_is_found_by_its_handle() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address) = listening(&channel).await;
    let mut journal = Journal::watch(&daemon).await;
    let second = WatchRequest {
        handle: Some(handle + 2),
        ..WatchRequest::default()
    };
    let mut of_second = Journal::watch_only(&daemon, second).await;
    let open = v1::OpenAcceptMany {
        nonblocking: true,
        ..accept_many::opening(handle, 10)
    };
    let mut accepting = Accepting::open(&channel, open).await.unwrap();
    assert_eq!(
        journal.text().await,
        format!("accept_many_open({handle}, 10, SOCK_NONBLOCK) = 0")
    );
    let mut peers = Vec::new();
    for new in [handle + 1, handle + 2] {
        let peer = TcpStream::connect(&address).await.unwrap();
        assert_eq!(accepting.accepted(1).await, [new]);
        let from = peer.local_addr().unwrap();
        peers.push(peer);
        let accepted = journal.next().await;
        let expected = format!("accept4({handle}, SOCK_NONBLOCK) = {new} ({from})");
        assert_eq!(text(&accepted), expected);
        assert_eq!(
            (accepted.verb.as_str(), accepted.handle),
            ("AcceptMany", Some(handle))
        );
        if new == handle + 2 {
            assert_eq!(of_second.text().await, expected);
        }
    }
    accepting.credit(1, 10);
    drop(accepting);
    let end = journal.next().await;
    let (sent, received) = ended(&end);
    assert_eq!((sent, received.items, end.bytes), (None, 2, None));
    assert!(
        text(&end).starts_with(&format!("accept_many_end({handle}) = ? (abandoned")),
        "{}",
        text(&end)
    );
}

#[tokio::test]
async fn an_accept_that_fails_is_told_of_and_one_that_finds_nothing_is_not() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let handle = crate::support::socket(&channel, v1::SocketType::Stream).await;
    let mut journal = Journal::watch(&daemon).await;
    let accepting = Accepting::open(&channel, accept_many::opening(handle, 1));
    let _accepting = accepting.await.unwrap();
    journal.next().await;
    let failed = journal.next().await;
    assert_eq!(
        text(&failed),
        format!("accept({handle}) = -1 EINVAL (Invalid argument)")
    );

    let (handle, _address) = listening(&channel).await;
    let idle = Accepting::open(&channel, accept_many::opening(handle, 1));
    drop(idle.await.unwrap());
    journal.next().await;
    assert_eq!(
        journal.text().await,
        format!("accept_many_end({handle}) = ? (abandoned)")
    );
}

#[tokio::test]
async fn datagrams_are_counted_and_those_that_failed_are_too() {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    let (handle, address, peer) = bound(&channel).await;
    let mut journal = Journal::watch(&daemon).await;
    let mut stream = Datagrams::open(&channel, datagrams::opening(handle, 1 << 20))
        .await
        .unwrap();
    assert_eq!(
        journal.text().await,
        format!("datagrams_open({handle}, 1048576, 65536, 0) = 0")
    );
    let there = peer.local_addr().unwrap().to_string();
    stream.send([
        to(&there, b"hello"),
        to(&there, &[0; 65_530]),
        to(&there, b""),
    ]);
    stream.send_failed().await;
    stream.taken(65_535 + 3 * 64).await;
    peer.send_to(b"goodbye", address).await.unwrap();
    stream.received(1).await;
    let close = v1::CloseRequest {
        handle,
        abort: false,
    };
    sockets(&channel).close(close).await.unwrap();
    let end = journal.next().await;
    assert_eq!(
        text(&end),
        format!(
            "datagrams_end({handle}) = HANDLE_CLOSED (5 bytes in 2 sent with 1 failed, 7 bytes in 1 received with 71 \
             unacknowledged)"
        )
    );
    assert_eq!(end.bytes, Some(12));
    let (sent, received) = ended(&end);
    assert_eq!(sent.map(|sent| (sent.items, sent.failed)), Some((2, 1)));
    assert_eq!((received.items, received.left), (1, 71));
}
