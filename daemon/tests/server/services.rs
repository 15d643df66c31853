//! Health and reflection, as other people's clients use them.

use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Directory, Serving, unix};

#[tokio::test]
async fn every_service_is_healthy_and_others_are_not_found() {
    let serving = Serving::tcp().await;
    let mut client = HealthClient::new(serving.client().await);
    for service in [
        "",
        "farsock.v1.SocketService",
        "farsock.v1.SessionService",
        "farsock.v1.StreamService",
        "farsock.v1.HostService",
        "farsock.v1.JournalService",
    ] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service}");
    }
    let request = HealthCheckRequest {
        service: "no.such.Service".to_owned(),
    };
    let refused = client.check(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_v1_lists_the_services_and_has_the_comments_and_the_error_details() {
    use v1::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };

    let serving = Serving::tcp().await;
    let ask = async |channel: Channel, question| {
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
        let mut answers = client
            .server_reflection_info(futures_util::stream::iter([request]))
            .await
            .unwrap()
            .into_inner();
        answers
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    };

    let channel = serving.client().await;
    let listed = ask(channel.clone(), MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(listed) = listed else {
        panic!("{listed:?}");
    };
    let names: Vec<&str> = listed.service.iter().map(|one| one.name.as_str()).collect();
    for name in [
        "farsock.v1.SocketService",
        "farsock.v1.StreamService",
        "farsock.v1.HostService",
        "farsock.v1.JournalService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }

    for (symbol, text) in [
        (
            "farsock.v1.HostService.GetClock",
            "Corresponds to clock_gettime(2)",
        ),
        ("google.rpc.ErrorInfo", "ErrorInfo"),
        ("google.rpc.BadRequest", "FieldViolation"),
        ("grpc.health.v1.Health", "HealthCheckRequest"),
    ] {
        let found = ask(
            channel.clone(),
            MessageRequest::FileContainingSymbol(symbol.to_owned()),
        )
        .await;
        let MessageResponse::FileDescriptorResponse(found) = found else {
            panic!("{symbol}: {found:?}");
        };
        let file = &found.file_descriptor_proto[0];
        assert!(
            file.windows(text.len())
                .any(|window| window == text.as_bytes()),
            "{symbol}"
        );
    }

    // What the API's files import can be asked for too.
    let import = MessageRequest::FileByFilename("google/protobuf/duration.proto".to_owned());
    let found = ask(channel, import).await;
    assert!(matches!(found, MessageResponse::FileDescriptorResponse(_)));
}

#[tokio::test]
async fn reflection_v1alpha_answers_over_a_unix_socket() {
    use v1alpha::{
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };

    let directory = Directory::new();
    let serving = Serving::start(unix(&directory.join("x.sock"))).await;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "farsock.v1.SocketService".to_owned(),
        )),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(serving.client().await);
    let mut answers = client
        .server_reflection_info(futures_util::stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    assert!(matches!(
        answer,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_unimplemented() {
    let serving = Serving::tcp().await;
    let mut grpc = tonic::client::Grpc::new(serving.client().await);
    grpc.ready().await.unwrap();
    let answer: Result<tonic::Response<()>, _> = grpc
        .unary(
            tonic::Request::new(()),
            "/no.such.Service/Method".parse().unwrap(),
            tonic_prost::ProstCodec::<(), ()>::default(),
        )
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}
