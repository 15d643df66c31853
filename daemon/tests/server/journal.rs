//! The journal over the wire: what each way for an operation to end reads like, and who is told.

use std::time::Duration;

use farsock_client::{
    Client, Code, Domain, ErrorKind, Journal, JournalEvent, JournalOptions, JournalRecord,
    Protocol, Reason, RecvOptions, RemoteSocket, SessionOptions, SocketType,
};
use tokio::{io::AsyncReadExt as _, time::timeout};

use crate::support::{Directory, PATIENCE, Serving, unix};

#[tokio::test]
async fn success_and_errno_and_timeout_read_like_strace() {
    let served = Served::start().await;
    let client = served.unary().await;
    let mut journal = watch(&client, JournalOptions::default()).await;

    let listener = tcp(&client).await;
    let created = record(&mut journal).await;
    assert_eq!(
        strace(&created),
        "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 1"
    );
    assert_eq!(
        (created.verb.as_str(), created.handle),
        ("CreateSocket", None)
    );

    let address = listener.bind("127.0.0.1:0").await.unwrap();
    let bound = record(&mut journal).await;
    assert_eq!(
        strace(&bound),
        format!("bind(1, 127.0.0.1:0) = 0 ({address})")
    );
    assert_eq!((bound.sequence, bound.handle), (2, Some(1)));
    assert!(bound.owner.starts_with("uid "), "{}", bound.owner);
    assert_eq!((&bound.session_id, bound.request_id), (&None, None));

    let near = tcp(&client).await;
    near.connect(address.clone()).await.unwrap_err();
    record(&mut journal).await;
    let refused = record(&mut journal).await;
    assert_eq!(
        strace(&refused),
        format!("connect(2, {address}) = -1 ECONNREFUSED (Connection refused)")
    );
    assert_eq!(refused.errno_name.as_deref(), Some("ECONNREFUSED"));

    listener.listen(1).await.unwrap();
    let own = near.connect(address).await.unwrap().expect("it is bound");
    let (_far, _) = listener.accept().await.unwrap();
    record(&mut journal).await;
    record(&mut journal).await;
    assert_eq!(
        strace(&record(&mut journal).await),
        format!("accept(1) = 3 ({own})")
    );

    let options = RecvOptions {
        timeout: Some(Duration::from_millis(20)),
        ..RecvOptions::default()
    };
    near.recv_with(64, options).await.unwrap_err();
    let timed_out = record(&mut journal).await;
    assert_eq!(strace(&timed_out), "recv(2, ..., 64, 0) = TIMED_OUT");
    assert_eq!((timed_out.errno_name, timed_out.bytes), (None, None));
    assert!(timed_out.waited > Duration::ZERO);
    assert!(timed_out.duration >= timed_out.waited);
}

#[tokio::test]
async fn an_operation_that_nobody_waits_for_any_more_is_told_of_too() {
    let served = Served::start().await;
    let client = served.unary().await;
    let mut journal = watch(
        &client,
        JournalOptions {
            handle: Some(1),
            ..JournalOptions::default()
        },
    )
    .await;
    let socket = udp(&client).await;
    assert_eq!(record(&mut journal).await.verb, "CreateSocket");

    let waiting = client.adopt(socket.handle());
    let call = tokio::spawn(async move { waiting.recv(64).await });
    until_waiting(&socket).await;
    call.abort();
    let abandoned = loop {
        let record = record(&mut journal).await;
        // It is asked for its state until it waits.
        if record.verb != "GetSocket" {
            break record;
        }
    };
    assert_eq!(strace(&abandoned), "recv(1, ..., 64, 0) = ? (abandoned)");
    assert!(abandoned.waited > Duration::ZERO);
}

#[tokio::test]
async fn an_operation_of_a_session_has_its_session_and_request_id() {
    let served = Served::start().await;
    let client = served.unary().await;
    let session = client.open_session(SessionOptions::new()).await.unwrap();
    let options = JournalOptions {
        session_id: Some(session.id().to_owned()),
        ..JournalOptions::default()
    };
    let mut journal = watch(&client, options).await;
    // Not of the session.
    let _other = udp(&client).await;
    let socket = udp(&session).await;
    let created = record(&mut journal).await;
    assert_eq!(created.session_id.as_deref(), Some(session.id()));
    assert_eq!(created.request_id, Some(1));
    assert!(created.result.ends_with(&socket.handle().to_string()));
}

#[tokio::test]
async fn a_watched_session_that_is_over_ends_the_stream_after_its_last_operation() {
    let served = Served::start().await;
    let client = served.unary().await;
    // By being closed, and by its lease.
    for closed in [true, false] {
        let options = SessionOptions::new().lease(Duration::from_secs(1));
        let id = client.open_session_detached(options).await.unwrap();
        let options = JournalOptions {
            session_id: Some(id.clone()),
            ..JournalOptions::default()
        };
        let mut journal = watch(&client, options.clone()).await;
        // Goes on: it is of all.
        let mut all = watch(&client, JournalOptions::default()).await;
        if closed {
            let joined = Client::builder().join_session(id.clone());
            let joined = joined
                .connect(&served.serving.addresses[0].to_string())
                .await
                .unwrap();
            let socket = udp(&joined).await;
            let waiting = joined.adopt(socket.handle());
            let call = tokio::spawn(async move { waiting.recv(64).await });
            until_waiting(&socket).await;
            client.close_session(&id, false).await.unwrap();
            call.await.unwrap().unwrap_err();
            while record(&mut journal).await.verb != "Recv" {}
        }
        let ended = timeout(PATIENCE, journal.next()).await.unwrap();
        let error = ended.expect_err("the session is over");
        assert_eq!(error.reason(), Some(Reason::SessionExpired), "{error}");
        assert_eq!(error.code(), Code::Aborted);
        let error = client.journal(options).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::SessionNotFound), "{error}");
        let other = udp(&client).await;
        let made = format!("= {}", other.handle());
        while record(&mut all).await.result != made {}
    }
}

#[tokio::test]
async fn a_payload_is_left_out_unless_it_is_asked_for_and_then_cut() {
    let served = Served::start().await;
    let client = served.unary().await;
    let (one, other) = client
        .socket_pair(Domain::Unix, SocketType::Dgram, Protocol::Default)
        .await
        .unwrap();
    let asking = |payload_bytes| JournalOptions {
        payload_bytes,
        ..JournalOptions::default()
    };
    let mut without = watch(&client, asking(0)).await;
    let mut cut = watch(&client, asking(5)).await;
    let mut whole = watch(&client, asking(4096)).await;
    one.send("hello\n\x1b[7m there").await.unwrap();
    other.recv(64).await.unwrap();

    for (call, value) in [("send(1, ", "16, 0)"), ("recv(2, ", "64, 0)")] {
        let bare = record(&mut without).await;
        assert_eq!(bare.call, format!("{call}..., {value}"));
        assert_eq!((bare.bytes, bare.payload), (Some(16), None));

        let five = record(&mut cut).await;
        assert_eq!(five.call, format!("{call}\"hello\"..., {value}"));
        assert_eq!(five.payload.as_deref(), Some(&b"hello"[..]));

        let all = record(&mut whole).await;
        let text = format!("{call}\"hello\\n\\033[7m there\", {value}");
        assert_eq!(all.call, text);
    }

    let error = client.journal(asking(4097)).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let ErrorKind::InvalidRequest { violations } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(violations[0].field, "payload_bytes");
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_records_it_missed() {
    /// What the ring keeps, what fits into the windows on the way to the reader, and more.
    const OPERATIONS: u64 = 20_000;
    let served = Served::start().await;
    let client = served.unary().await;
    let mut journal = watch(&client, JournalOptions::default()).await;
    // A session's stream carries them faster than one RPC each.
    let session = client.open_session(SessionOptions::new()).await.unwrap();
    let nobody = session.adopt(1);
    for _ in 0..OPERATIONS / 1000 {
        let calls = (0..1000).map(|_| nobody.listen(1));
        futures_util::future::join_all(calls).await;
    }

    let (mut records, mut missed, mut last) = (0, 0, 0);
    while records + missed < OPERATIONS {
        match event(&mut journal).await {
            JournalEvent::Record(record) => {
                records += 1;
                last += 1;
                assert_eq!(record.sequence, last);
            }
            JournalEvent::Missed(count) => {
                missed += count;
                last += count;
            }
        }
    }
    assert_eq!(records + missed, OPERATIONS);
    assert!(missed > 0, "{records} records");
}

#[tokio::test]
async fn operations_of_other_owners_are_not_seen() {
    let served = Served::start().await;
    let user = served.unary().await;
    let stranger = Client::builder()
        .unary(true)
        .connect(&served.serving.addresses[1].to_string())
        .await
        .unwrap();
    let mut journal = watch(&user, JournalOptions::default()).await;
    let mut theirs = watch(&stranger, JournalOptions::default()).await;
    let _one = tcp(&stranger).await;
    let _other = udp(&user).await;
    let seen = record(&mut journal).await;
    assert_eq!(seen.sequence, 1);
    assert!(seen.call.contains("SOCK_DGRAM"), "{}", seen.call);
    assert_eq!(record(&mut theirs).await.owner, "tcp");
}

#[tokio::test]
async fn the_daemons_end_ends_the_journal_after_the_last_operation() {
    let served = Served::start().await;
    let client = served.unary().await;
    let mut journal = watch(&client, JournalOptions::default()).await;
    let socket = udp(&client).await;
    let waiting = client.adopt(socket.handle());
    let call = tokio::spawn(async move { waiting.recv(64).await });
    until_waiting(&socket).await;

    served.serving.shutdown.drain();
    call.await.unwrap().unwrap_err();
    let mut last = None;
    let told = async {
        while let Some(event) = journal.next().await.expect("it ends in order") {
            last = Some(event);
        }
    };
    timeout(PATIENCE, told).await.expect("it ends");
    let Some(JournalEvent::Record(last)) = last else {
        panic!("{last:?} is no record");
    };
    assert_eq!(strace(&last), "recv(1, ..., 64, 0) = DRAINING");
    served.serving.ended().await;
}

#[tokio::test]
async fn the_daemons_end_ends_streams_and_then_the_journal() {
    let served = Served::start().await;
    let client = served.unary().await;
    let far_end = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = far_end.local_addr().unwrap().to_string();
    let mut stream = client.tcp_stream(address.as_str()).await.unwrap();
    let (mut peer, _) = far_end.accept().await.unwrap();
    stream.write_chunk("hello".into()).await.unwrap();
    peer.read_exact(&mut [0; 5]).await.unwrap();
    // Nobody watched when it was opened.
    let mut journal = watch(&client, JournalOptions::default()).await;

    served.serving.shutdown.drain();
    let mut ends = Vec::new();
    let told = async {
        while let Some(event) = journal.next().await.expect("it ends in order") {
            if let JournalEvent::Record(record) = event {
                ends.push(strace(&record));
            }
        }
    };
    timeout(PATIENCE, told).await.expect("it ends");
    assert!(
        ends.contains(&"stream_end(1) = DRAINING (5 sent, 0 received)".to_owned()),
        "{ends:?}"
    );
    drop(stream);
    served.serving.ended().await;
}

/// A daemon at a unix socket, and at a TCP port.
struct Served {
    serving: Serving,
    _directory: Directory,
}

impl Served {
    async fn start() -> Self {
        let directory = Directory::new();
        let mut config = unix(&directory.join("x.sock"));
        config
            .listen
            .push("tcp://127.0.0.1:0".parse().expect("an address"));
        Self {
            serving: Serving::start(config).await,
            _directory: directory,
        }
    }

    async fn unary(&self) -> Client {
        let address = self.serving.addresses[0].to_string();
        let client = Client::builder().unary(true).connect(&address).await;
        client.expect("it is served")
    }
}

async fn watch(client: &Client, options: JournalOptions) -> Journal {
    client.journal(options).await.expect("it can be watched")
}

async fn event(journal: &mut Journal) -> JournalEvent {
    let next = timeout(PATIENCE, journal.next()).await;
    next.expect("something is told")
        .expect("the daemon is there")
        .expect("it does not end")
}

async fn record(journal: &mut Journal) -> JournalRecord {
    match event(journal).await {
        JournalEvent::Record(record) => *record,
        missed @ JournalEvent::Missed(_) => panic!("{missed:?}"),
    }
}

fn strace(record: &JournalRecord) -> String {
    format!("{} {}", record.call, record.result)
}

async fn tcp(client: &Client) -> RemoteSocket {
    let socket = client.socket(Domain::Inet, SocketType::Stream, Protocol::Tcp);
    socket.await.expect("there is room")
}

async fn udp(client: &Client) -> RemoteSocket {
    let socket = client.socket(Domain::Inet, SocketType::Dgram, Protocol::Udp);
    socket.await.expect("there is room")
}

async fn until_waiting(socket: &RemoteSocket) {
    let waits = async {
        while socket.info().await.expect("it is there").waiting_operations == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waits).await.expect("it waits");
}
