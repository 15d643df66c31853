//! HostService over the wire.

use std::time::SystemTime;

use farsock_proto::v1::{self, host_service_client::HostServiceClient};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt;

use crate::support::Serving;

async fn client(serving: &Serving) -> HostServiceClient<Channel> {
    HostServiceClient::new(serving.client().await)
}

#[tokio::test]
async fn the_host_tells_what_it_is_and_what_works_there() {
    let serving = Serving::tcp().await;
    let mut client = client(&serving).await;
    let request = v1::GetHostRequest {};
    let host = client.get_host(request).await.unwrap().into_inner();
    assert_eq!(host.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(host.instance_id.len(), 32);
    assert_eq!(host.kernel.unwrap().name, "Linux");
    assert!(host.limits.unwrap().max_handles >= 16);
    assert_eq!(host.privileges.len(), 4);
    let tcp = host.sockets.iter().find(|one| {
        one.domain() == v1::Domain::Inet
            && one.r#type() == v1::SocketType::Stream
            && one.protocol() == v1::Protocol::Tcp
    });
    assert!(tcp.unwrap().supported);
    for one in &host.sockets {
        assert_eq!(one.supported, one.errno_name.is_empty(), "{one:?}");
    }
    let again = client.get_host(request).await.unwrap().into_inner();
    assert_eq!(again.sockets, host.sockets);
    assert_eq!(again.instance_id, host.instance_id);
}

#[tokio::test]
async fn interfaces_are_paged() {
    let serving = Serving::tcp().await;
    let mut client = client(&serving).await;
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListInterfacesRequest {
            page_size: 1,
            page_token,
        };
        let page = client.list_interfaces(request).await.unwrap().into_inner();
        assert!(page.interfaces.len() <= 1);
        names.extend(page.interfaces.into_iter().map(|one| one.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(names.contains(&"lo".to_owned()), "{names:?}");

    let all = client
        .list_interfaces(v1::ListInterfacesRequest::default())
        .await
        .unwrap()
        .into_inner();
    let all: Vec<String> = all.interfaces.into_iter().map(|one| one.name).collect();
    assert_eq!(all, names);
}

#[tokio::test]
async fn a_malformed_page_is_an_invalid_argument_that_names_its_field() {
    let serving = Serving::tcp().await;
    let refused = client(&serving)
        .await
        .list_interfaces(v1::ListInterfacesRequest {
            page_size: -1,
            page_token: String::new(),
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_error_details();
    assert_eq!(
        details.bad_request().unwrap().field_violations[0].field,
        "page_size"
    );
}

#[tokio::test]
async fn a_numeric_host_resolves_to_itself() {
    let serving = Serving::tcp().await;
    let answer = client(&serving)
        .await
        .resolve(v1::ResolveRequest {
            host: "::1".to_owned(),
            service: "80".to_owned(),
            r#type: v1::SocketType::Dgram.into(),
            numeric_host: true,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let [entry] = answer.addresses.try_into().unwrap();
    assert_eq!(entry.domain(), v1::Domain::Inet6);
    assert_eq!(entry.r#type(), v1::SocketType::Dgram);
    assert_eq!(entry.raw_protocol, 17);
    assert_eq!(
        entry.address,
        Some(v1::Address::from(
            "[::1]:80".parse::<std::net::SocketAddr>().unwrap()
        ))
    );
}

#[tokio::test]
async fn a_failed_look_up_has_the_resolvers_name_for_it() {
    let serving = Serving::tcp().await;
    let failed = client(&serving)
        .await
        .resolve(v1::ResolveRequest {
            host: "not a number".to_owned(),
            numeric_host: true,
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::NotFound);
    let details = failed.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "getaddrinfo.farsock");
    assert_eq!(info.reason, "EAI_NONAME");
}

#[tokio::test]
async fn the_clocks_are_this_hosts() {
    let serving = Serving::tcp().await;
    let mut client = client(&serving).await;
    let before = SystemTime::now();
    let clock = client
        .get_clock(v1::GetClockRequest {})
        .await
        .unwrap()
        .into_inner();
    let realtime = farsock_proto::time::timestamp_from_wire(clock.realtime.unwrap()).unwrap();
    assert!(before <= realtime && realtime <= SystemTime::now());
    assert!(clock.boottime.unwrap().seconds >= clock.monotonic.unwrap().seconds);
}
