//! Random requests of every verb, one after the other on the same few sockets: the daemon answers each, and says what it means.

use std::time::Duration;

use farsock_proto::v1::{ListSocketsRequest, socket_service_client::SocketServiceClient};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::{
    oneof::ask,
    random_request::{Api, Choices},
    support::{channel, embedded, socket},
};

/// `PROPTEST_CASES` raises the number of sequences.
#[test]
fn every_random_request_is_answered_and_the_daemon_lives_on() {
    let config = if std::env::var_os("PROPTEST_CASES").is_some() {
        Config::default()
    } else {
        Config::with_cases(48)
    };
    let config = Config {
        failure_persistence: None,
        ..config
    };
    let api = Api::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let request = prop::collection::vec(any::<u8>(), 1..64);
    let sequence = prop::collection::vec(request, 1..40);
    TestRunner::new(config)
        .run(&sequence, |requests| {
            runtime
                .block_on(send_all(&api, &requests))
                .map_err(TestCaseError::fail)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// On a daemon of its own, with handles 1-4 open.
async fn send_all(api: &Api, requests: &[Vec<u8>]) -> Result<(), String> {
    use farsock_proto::v1::{Domain, SocketType};
    let (daemon, mut client) = embedded().await;
    for (domain, kind) in [
        (Domain::Inet, SocketType::Stream),
        (Domain::Inet6, SocketType::Dgram),
        (Domain::Unix, SocketType::Dgram),
        (Domain::Unix, SocketType::Seqpacket),
    ] {
        socket(&mut client, domain, kind).await;
    }
    let channel = channel(&daemon).await;
    for bytes in requests {
        let mut choices = Choices::new(bytes);
        let (verb, request) = &api.verbs[choices.below(api.verbs.len())];
        let message = match choices.below(8) {
            // No message at all, or one by chance.
            0 => bytes.clone(),
            _ => api.message(request, &mut choices),
        };
        check(&channel, verb, message.clone())
            .await
            .map_err(|problem| format!("{verb} {message:02x?}: {problem}"))?;
    }
    SocketServiceClient::new(channel)
        .list_sockets(ListSocketsRequest::default())
        .await
        .map_err(|status| format!("the daemon is gone: {status}"))?;
    daemon.shutdown().await;
    Ok(())
}

async fn check(channel: &Channel, verb: &str, message: Vec<u8>) -> Result<(), String> {
    // What waits has been understood; it is given up.
    let answer = ask(channel.clone(), verb, message);
    match tokio::time::timeout(Duration::from_millis(20), answer).await {
        Err(_) | Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => explained(&status),
    }
}

/// Codes that say that the daemon, not the request, is broken; and errors that do not say what they are.
fn explained(status: &Status) -> Result<(), String> {
    let broken = [
        Code::Internal,
        Code::Unknown,
        Code::Unavailable,
        Code::Unimplemented,
        Code::DataLoss,
    ];
    if broken.contains(&status.code()) {
        return Err(format!("{status:?}"));
    }
    let info = status
        .get_details_error_info()
        .ok_or_else(|| format!("no details: {status:?}"))?;
    match info.domain.as_str() {
        "errno.farsock" if info.reason.starts_with('E') => Ok(()),
        "farsock" => Ok(()),
        _ => Err(format!("{status:?}")),
    }
}
