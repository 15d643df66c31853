//! Errors as callers see them.

use std::{collections::HashMap, io};

use farsock_client::{Client, Code, Error, ErrorKind, Reason};
use farsock_proto::v1;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::{Fake, answer, error};

fn refused() -> Status {
    let metadata = HashMap::from([
        ("errno".to_owned(), "111".to_owned()),
        ("syscall".to_owned(), "connect".to_owned()),
        ("handle".to_owned(), "3".to_owned()),
    ]);
    Status::with_error_details(
        Code::FailedPrecondition,
        "connect 127.0.0.1:4000 on handle 3: Connection refused (ECONNREFUSED)",
        ErrorDetails::with_error_info("ECONNREFUSED", "errno.farsock", metadata),
    )
}

#[tokio::test]
async fn the_kernels_error_keeps_errno_and_reads_as_the_daemon_says_it() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|_| error(refused()));
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let socket = client.adopt(3);
    let error = socket.connect("127.0.0.1:4000").await.expect_err("refused");
    assert_eq!(error.errno(), Some(111));
    assert_eq!(error.errno_name(), Some("ECONNREFUSED"));
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!((error.verb(), error.handle()), (Some("connect"), Some(3)));
    assert_eq!(
        error.to_string(),
        "connect 127.0.0.1:4000 on handle 3: Connection refused (ECONNREFUSED)"
    );
    let error = io::Error::from(error);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().ends_with("(ECONNREFUSED)"));
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_the_daemon_says_what_was_tried_and_why() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|_| {
        let info = ErrorDetails::with_error_info("HANDLE_NOT_FOUND", "farsock", HashMap::new());
        error(Status::with_error_details(
            Code::NotFound,
            "there is no handle 9",
            info,
        ))
    });
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let error = client.adopt(9).peer_name().await.expect_err("unknown");
    assert_eq!(error.reason(), Some(Reason::HandleNotFound));
    assert_eq!((error.errno(), error.errno_name()), (None, None));
    assert_eq!(
        error.to_string(),
        "getpeername on handle 9: there is no handle 9"
    );
    Ok(())
}

#[tokio::test]
async fn a_status_without_details_keeps_its_code() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|_| error(Status::new(Code::Unimplemented, "")));
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let error = client.clock().await.expect_err("unimplemented");
    assert_eq!(*error.kind(), ErrorKind::Other);
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.to_string().starts_with("clock: "), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_the_api_names_the_field() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|_| answer(v1::BindResponse::default()));
    let client = Client::builder()
        .unary(true)
        .connect_with(fake.connector())
        .await?;
    let error = client
        .adopt(1)
        .bind("127.0.0.1:0")
        .await
        .expect_err("no address");
    let ErrorKind::InvalidResponse { violation } = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(violation.field, "local_address");
    assert_eq!(error.io_kind(), io::ErrorKind::InvalidData);
    Ok(())
}

#[tokio::test]
async fn an_answer_over_the_clients_limit_takes_no_memory() -> Result<(), Error> {
    let (fake, _calls) = Fake::new(|_| {
        answer(v1::RecvResponse {
            payload: Some(v1::recv_response::Payload::Data(vec![0; 10_000].into())),
            ..Default::default()
        })
    });
    let builder = Client::builder().unary(true).max_response_bytes(1_000);
    let client = builder.connect_with(fake.connector()).await?;
    let error = client.adopt(1).recv(10_000).await.expect_err("too large");
    assert_eq!(error.code(), Code::OutOfRange, "{error}");
    Ok(())
}
