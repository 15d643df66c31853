//! How long calls may take: the client's timeout is the gRPC deadline, a call's own is the daemon's
//! affair.

use std::{io, time::Duration};

use farsock_client::{AcceptOptions, Client, Code, Error, ErrorKind};
use farsock_proto::v1;

use crate::fake::{Fake, answer, silence};

#[tokio::test]
async fn a_call_has_no_deadline_by_default() -> Result<(), Error> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::ListenResponse {}));
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    client.adopt(1).listen(None).await?;
    assert_eq!(
        calls.recv().await.expect("the call").header("grpc-timeout"),
        None
    );
    Ok(())
}

#[tokio::test]
async fn a_wait_goes_into_the_request_and_onto_the_clients_timeout() -> Result<(), Error> {
    let (fake, mut calls) = Fake::new(|_| answer(v1::AcceptResponse::default()));
    let builder = Client::builder()
        .unary(true)
        .timeout(Duration::from_secs(2));
    let client = builder.connect_with(fake.connector()).await?;
    let options = AcceptOptions {
        timeout: Some(Duration::from_secs(3)),
        ..AcceptOptions::default()
    };
    // The answer has no address; what counts here is what was asked.
    let _ = client.adopt(1).accept_with(options).await;
    let call = calls.recv().await.expect("the call");
    assert_eq!(call.header("grpc-timeout"), Some("5000000u"));
    let request: v1::AcceptRequest = call.request();
    assert_eq!(request.timeout.map(|timeout| timeout.seconds), Some(3));
    Ok(())
}

#[tokio::test]
async fn a_call_past_the_clients_timeout_is_deadline_exceeded() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|_| silence());
    let builder = Client::builder()
        .unary(true)
        .timeout(Duration::from_millis(50));
    let client = builder.connect_with(fake.connector()).await?;
    let error = client.adopt(7).accept().await.expect_err("nobody answers");
    assert_eq!(*error.kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(error.io_kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        error.to_string(),
        "accept on handle 7: the client's timeout is over"
    );
    Ok(())
}
