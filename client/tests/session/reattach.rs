//! What the client says when it comes back, and what it makes of what the daemon says.

use farsock_client::{Client, Error, ErrorKind, Reason};
use farsock_proto::v1::{
    self, operate_request::Message as Said, operate_response::Message as Saying,
    operation_result::Outcome,
};
use prost::Message as _;
use tokio::sync::mpsc::UnboundedReceiver;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::{Event, Fake, SESSION, attached};

async fn client() -> Result<(Client, UnboundedReceiver<Event>), Error> {
    let (fake, events) = Fake::new();
    Ok((Client::connect_with(fake.connector()).await?, events))
}

/// A call that waits for the daemon's answer.
fn listen(client: &Client, handle: u64) -> tokio::task::JoinHandle<Result<(), Error>> {
    let socket = client.adopt(handle);
    tokio::spawn(async move { socket.listen(None).await })
}

fn listening() -> Outcome {
    Outcome::Listen(v1::ListenResponse {})
}

fn refusal(code: Code, reason: &str) -> Status {
    let info = ErrorDetails::with_error_info(reason, "farsock", std::collections::HashMap::new());
    Status::with_error_details(code, "no", info)
}

#[tokio::test]
async fn what_the_daemon_does_not_know_is_sent_again_under_the_same_id() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let mut stream = attached(&mut events).await;
    assert_eq!(stream.attempt, 1);
    stream.know(&[]);
    let mut calls = Vec::new();
    for handle in 1..=3 {
        calls.push(listen(&client, handle));
        assert_eq!(stream.hear_start().await, (handle, 0));
    }
    stream.fail(Status::unavailable("cut"));

    let mut stream = attached(&mut events).await;
    // Above all that the daemon has seen: were the first one late, it would be refused.
    assert_eq!(stream.attempt, 2);
    // While it is not told what is known, the client says nothing; a new call comes behind the old.
    calls.push(listen(&client, 4));
    stream.know(&[1]);
    for id in 2..=4 {
        assert_eq!(stream.hear_start().await, (id, 0));
    }
    for id in 1..=4 {
        stream.end(id, listening());
    }
    for call in calls {
        call.await.expect("no panic")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_result_whose_acknowledgement_was_lost_is_acknowledged_again() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let call = listen(&client, 1);
    stream.hear_start().await;
    stream.end(1, listening());
    call.await.expect("no panic")?;
    let acknowledgement = Said::Acknowledge(v1::AcknowledgeResults {
        request_ids: vec![1],
    });
    assert_eq!(stream.hear().await, acknowledgement);
    stream.fail(Status::unavailable("cut"));

    let mut stream = attached(&mut events).await;
    stream.know(&[1]);
    stream.end(1, listening());
    assert_eq!(stream.hear().await, acknowledgement);
    Ok(())
}

#[tokio::test]
async fn a_refusal_ends_its_own_call_and_no_other() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let refused = listen(&client, 1);
    stream.hear_start().await;
    let fine = listen(&client, 2);
    stream.hear_start().await;
    let status = refusal(Code::ResourceExhausted, "RESULTS_FULL");
    let details = tonic_types::Status::decode(status.details()).expect("a google.rpc.Status");
    stream.say(Saying::Refused(v1::RequestRefused {
        request_id: 1,
        error: Some(v1::OperationError {
            code: details.code,
            message: details.message,
            details: details.details,
        }),
    }));
    // What is not known, and what nobody waits for, disturbs nobody either.
    stream.say(Saying::Refused(v1::RequestRefused::default()));
    stream.end(77, listening());
    stream.end(2, listening());
    let error = refused.await.expect("no panic").expect_err("it is refused");
    assert_eq!(error.reason(), Some(Reason::ResultsFull));
    assert_eq!(error.to_string(), "listen on handle 1: no");
    fine.await.expect("no panic")
}

#[tokio::test]
async fn a_session_that_is_taken_ends_every_call_now_and_later() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let call = listen(&client, 1);
    stream.hear_start().await;
    stream.fail(refusal(Code::Aborted, "SESSION_TAKEN"));
    let error = call.await.expect("no panic").expect_err("taken");
    assert_eq!(error.reason(), Some(Reason::SessionTaken));
    let error = client.adopt(2).listen(None).await.expect_err("taken");
    assert_eq!(error.reason(), Some(Reason::SessionTaken));
    // It does not fight for it.
    drop(client);
    assert!(events.recv().await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_does_not_know_the_session_ends_it() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let stream = attached(&mut events).await;
    stream.fail(refusal(Code::NotFound, "SESSION_NOT_FOUND"));
    let error = client.adopt(1).listen(None).await.expect_err("it is over");
    assert_eq!(error.reason(), Some(Reason::SessionExpired));
    assert!(error.to_string().contains("restarted"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_result_that_makes_no_sense_is_told_to_its_caller() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let mut stream = attached(&mut events).await;
    stream.know(&[]);
    let call = listen(&client, 1);
    stream.hear_start().await;
    stream.end(1, Outcome::Shutdown(v1::ShutdownResponse {}));
    let error = call.await.expect("no panic").expect_err("not its answer");
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse { .. }));
    Ok(())
}

#[tokio::test]
async fn dropping_the_last_clone_closes_the_session() -> Result<(), Error> {
    let (client, mut events) = client().await?;
    let stream = attached(&mut events).await;
    stream.know(&[]);
    drop(client.clone());
    drop(client);
    let Some(Event::Closed(session_id)) = events.recv().await else {
        panic!("the session is closed");
    };
    assert_eq!(session_id, SESSION);
    Ok(())
}
