//! How sessions end, and what is left of them.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use farsock_client::{Client, Error, ErrorKind, Operation, Reason, SessionOptions, SessionState};

use crate::pipes::Pipes;

#[tokio::test]
async fn a_client_that_cannot_come_back_within_the_lease_ends_its_calls() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let (connect, is_closed) = (daemon.connector(), Arc::new(AtomicBool::new(false)));
    let pipes = Pipes::to({
        let is_closed = Arc::clone(&is_closed);
        move || {
            let connecting = (!is_closed.load(SeqCst)).then(&connect);
            async {
                let refused = io::ErrorKind::ConnectionRefused;
                connecting.ok_or(refused)?.await
            }
        }
    });
    let options = SessionOptions::new().lease(Duration::from_secs(1));
    let builder = Client::builder().session(options);
    let client = builder.connect_with(pipes.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let mut accept = Operation::new(listener.accept()).notify_waiting();
    assert!(accept.waiting().await);
    is_closed.store(true, SeqCst);
    pipes.cut();
    let error = accept.await.expect_err("the lease is over");
    assert_eq!(error.reason(), Some(Reason::SessionExpired));

    is_closed.store(false, SeqCst);
    let error = client.tcp_socket().await.expect_err("for good");
    assert_eq!(error.reason(), Some(Reason::SessionExpired));
    // Another session's client sees that the sockets are gone, at the latest a second later.
    let other = Client::connect_with(daemon.connector()).await?;
    while !other.sockets().await?.is_empty() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_client_keeps_its_session_and_its_sockets() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let options = SessionOptions::new()
        .lease(Duration::from_secs(1))
        .label("idle");
    let session = client.open_session(options).await?;
    let listener = session.tcp_listener("127.0.0.1:0").await?;
    let opened = Instant::now();
    // It has renewed its lease by itself when that lasts longer than at first.
    let idle = loop {
        let sessions = client.sessions().await?;
        let idle = sessions.into_iter().find(|info| info.label == "idle");
        let idle = idle.expect("it lives");
        if opened.elapsed() + idle.lease_left > Duration::from_millis(1_500) {
            break idle;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((idle.id.as_str(), idle.sockets), (session.id(), 1));
    assert!(idle.attached);
    listener.close().await
}

#[tokio::test]
async fn a_session_that_is_closed_takes_its_calls_and_sockets_along() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let session = client.open_session(SessionOptions::new()).await?;
    let listener = session.tcp_listener("127.0.0.1:0").await?;
    let address = listener.local_addr();
    let mut accept = Operation::new(listener.accept()).notify_waiting();
    assert!(accept.waiting().await);
    assert_eq!(client.close_session(session.id(), false).await?, 1);
    let error = accept.await.expect_err("the session is closed");
    assert_eq!(error.reason(), Some(Reason::SessionExpired));
    let error = client
        .tcp_stream(address)
        .await
        .expect_err("nobody listens");
    assert_eq!(error.errno_name(), Some("ECONNREFUSED"));
    Ok(())
}

#[tokio::test]
async fn dropping_a_session_closes_it_and_leaves_others_alone() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let mine = client.tcp_listener("127.0.0.1:0").await?;
    let session = client.open_session(SessionOptions::new()).await?;
    let handle = session.tcp_socket().await?.into_handle();
    drop(session);
    while client.sessions().await?.len() > 1 {
        tokio::task::yield_now().await;
    }
    let handles: Vec<u64> = client.sockets().await?.iter().map(|s| s.handle).collect();
    assert_eq!(handles, [mine.socket().handle()]);
    assert_ne!(handle, mine.socket().handle());
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_was_restarted_does_not_know_the_session() -> Result<(), Error> {
    let (first, second) = (farsock_daemon::embedded(), farsock_daemon::embedded());
    let (to_first, to_second) = (first.connector(), second.connector());
    let restarted = Arc::new(AtomicBool::new(false));
    let connector = {
        let restarted = Arc::clone(&restarted);
        move || match restarted.load(SeqCst) {
            false => to_first(),
            true => to_second(),
        }
    };
    let client = Client::connect_with(connector).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    restarted.store(true, SeqCst);
    first.shutdown().await;
    let error = listener.accept().await.expect_err("it is another daemon");
    assert_eq!(error.reason(), Some(Reason::SessionExpired), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_restart_is_told_as_it_happens_and_the_client_opens_the_next_session() -> Result<(), Error>
{
    let first = farsock_daemon::embedded();
    let connect = Arc::new(Mutex::new(Some(first.connector())));
    let connector = {
        let connect = Arc::clone(&connect);
        move || {
            let connecting = connect.lock().unwrap().as_ref().map(|connect| connect());
            async {
                let refused = io::ErrorKind::ConnectionRefused;
                connecting.ok_or(refused)?.await
            }
        }
    };
    let client = Client::connect_with(connector).await?;
    let mut watch = client.watch_session().expect("it has a session");
    assert!(matches!(watch.state(), SessionState::Attached));
    *connect.lock().unwrap() = None;
    first.shutdown().await;
    // The first attempt to come back may yet have reached the daemon that shuts down.
    loop {
        match watch.changed().await {
            SessionState::Away(why) if why.reason() == Some(Reason::Draining) => {}
            SessionState::Away(why) => {
                assert_eq!(why.kind(), &ErrorKind::Unreachable, "{why}");
                break;
            }
            state => panic!("{state:?}"),
        }
    }

    let options = SessionOptions::new().label("next");
    let mut opening = tokio_test::task::spawn(client.open_session_when_reachable(options));
    assert!(opening.poll().is_pending());
    let second = farsock_daemon::embedded();
    *connect.lock().unwrap() = Some(second.connector());
    let why = watch.over().await;
    assert_eq!(why.reason(), Some(Reason::SessionExpired), "{why}");
    // Told as often as it is asked.
    assert!(matches!(watch.changed().await, SessionState::Over(_)));
    let next = opening.await?;
    next.tcp_listener("127.0.0.1:0").await?;
    assert_eq!(client.sessions().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_made_again_leaves_the_session_attached() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let pipes = Pipes::to(daemon.connector());
    let client = Client::connect_with(pipes.connector()).await?;
    let mut watch = client.watch_session().expect("it has a session");
    for _ in 0..3 {
        pipes.cut();
        client.tcp_socket().await?;
        assert!(matches!(watch.state(), SessionState::Attached));
    }
    drop(client);
    watch.over().await;
    Ok(())
}

#[tokio::test]
async fn calls_of_a_client_that_joined_belong_to_the_session() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let id = client.session_id().expect("it has one").to_owned();
    let builder = Client::builder().join_session(id.clone());
    let joined = builder.connect_with(daemon.connector()).await?;
    assert_eq!(joined.session_id(), Some(id.as_str()));
    let handle = joined.tcp_socket().await?.into_handle();
    assert_eq!(client.close_session(&id, false).await?, 1);
    let other = Client::builder().unary(true);
    let other = other.connect_with(daemon.connector()).await?;
    let error = other.adopt(handle).info().await.expect_err("it is gone");
    assert_eq!(error.reason(), Some(Reason::HandleNotFound));
    assert!(other.renew_session(&id).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_closed_has_no_sockets_any_more() -> Result<(), Error> {
    let daemon = farsock_daemon::embedded();
    let client = Client::connect_with(daemon.connector()).await?;
    let listener = client.tcp_listener("127.0.0.1:0").await?;
    let address = listener.local_addr();
    assert_eq!(client.clone().close().await?, 1);
    let error = listener.accept().await.expect_err("it is closed");
    assert_eq!(error.reason(), Some(Reason::SessionExpired));
    let other = Client::connect_with(daemon.connector()).await?;
    other.tcp_listener(address).await?;
    let unary = Client::builder().unary(true);
    let unary = unary.connect_with(daemon.connector()).await?;
    let handle = unary.tcp_socket().await?.into_handle();
    assert_eq!(unary.close().await?, 0);
    other.adopt(handle).info().await.map(drop)
}

#[test]
fn a_program_that_ends_leaves_no_sockets_to_the_lease() -> Result<(), Error> {
    let threads = tokio::runtime::Builder::new_multi_thread;
    let one = tokio::runtime::Builder::new_current_thread;
    let runtime = |mut builder: tokio::runtime::Builder| builder.enable_all().build();
    let of_daemon = runtime(threads()).expect("threads");
    let daemon = of_daemon.block_on(async { farsock_daemon::embedded() });
    for round in 0..40 {
        // As of `#[tokio::main]`, it ends with its body.
        let of_program = runtime(if round % 2 == 0 { one() } else { threads() });
        of_program.expect("threads").block_on(async {
            let options = SessionOptions::new().lease(Duration::from_secs(3600));
            let builder = Client::builder().session(options);
            let client = builder.connect_with(daemon.connector()).await?;
            client.tcp_listener("127.0.0.1:0").await.map(drop)
        })?;
    }
    of_daemon.block_on(async {
        let client = Client::connect_with(daemon.connector()).await?;
        let closing = async {
            while client.sessions().await?.len() > 1 {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        let closed = tokio::time::timeout(Duration::from_secs(60), closing).await;
        closed.expect("only this client's session is left")
    })
}
