//! A client that sends any message the wire can carry, and what a refusal must say.

use farsock_daemon::Embedded;
use farsock_proto::v1::{
    self, CreateSocketRequest,
    create_socket_request::{DomainChoice, TypeChoice},
    socket_service_client::SocketServiceClient,
};
use hyper_util::rt::TokioIo;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// The generated client: it checks nothing.
pub(crate) type Client = SocketServiceClient<Channel>;

/// A daemon in this process, and a client of it.
pub(crate) async fn embedded() -> (Embedded, Client) {
    let daemon = farsock_daemon::embedded();
    let channel = channel(&daemon).await;
    (daemon, SocketServiceClient::new(channel))
}

/// A connection to the daemon.
pub(crate) async fn channel(daemon: &Embedded) -> Channel {
    let connect = daemon.connector();
    let connector = tower::service_fn(move |_| {
        let opening = connect();
        async move { opening.await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .expect("the daemon in this process can be reached")
}

/// A socket by name.
pub(crate) async fn socket(client: &mut Client, domain: v1::Domain, kind: v1::SocketType) -> u64 {
    let request = CreateSocketRequest {
        domain_choice: Some(DomainChoice::Domain(domain.into())),
        type_choice: Some(TypeChoice::Type(kind.into())),
        ..Default::default()
    };
    let response = client.create_socket(request).await;
    response.expect("such sockets exist").into_inner().handle
}

/// A UDP socket.
pub(crate) async fn udp(client: &mut Client) -> u64 {
    socket(client, v1::Domain::Inet, v1::SocketType::Dgram).await
}

/// The refusal names the field, and says what is wrong with it.
pub(crate) fn assert_names<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    field: &str,
    request: &str,
) {
    let status = match outcome {
        Ok(response) => panic!("{request} was taken: {response:?}"),
        Err(status) => status,
    };
    assert_eq!(
        status.code(),
        Code::InvalidArgument,
        "{request}: {status:?}"
    );
    let info = status
        .get_details_error_info()
        .expect("every refusal has one");
    assert_eq!(info.reason, "INVALID_REQUEST", "{request}");
    assert_eq!(info.domain, "farsock", "{request}");
    let details = status
        .get_details_bad_request()
        .expect("the field is named");
    let violation = &details.field_violations[0];
    assert_eq!(
        violation.field, field,
        "{request}: {}",
        violation.description
    );
    assert!(!violation.description.is_empty(), "{request}");
    assert!(
        status.message().contains(field),
        "{request}: {}",
        status.message()
    );
}

/// Sends each request, whose refusal must name the field behind it.
macro_rules! refused {
    ($client:expr; $($verb:ident($request:expr) => $field:expr;)*) => {
        $(
            let request = $request;
            let text = format!("{} {request:?}", stringify!($verb));
            let text: String = text.chars().take(300).collect();
            let outcome = $client.$verb(request).await;
            $crate::support::assert_names(outcome, $field, &text);
        )*
    };
}
pub(crate) use refused;
