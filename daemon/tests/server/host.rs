//! HostService over the wire.

use std::{sync::mpsc, time::SystemTime};

use farsock_proto::v1::{
    self, host_service_client::HostServiceClient, session_service_client::SessionServiceClient,
    socket_service_client::SocketServiceClient,
};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt;

use crate::support::{Daemon, FARSOCKD, PATIENCE, Serving, connect};

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
async fn what_was_found_without_descriptors_is_found_again_and_a_session_needs_none() {
    let script = format!(
        "ulimit -n 64; exec {FARSOCKD} --listen=tcp://127.0.0.1:0 --max-handles=1000 --log-level=info"
    );
    let mut daemon = Daemon::spawn(Daemon::command("/bin/sh").args(["-c", &script]));
    let address = daemon.address().await;
    let channel = connect(&address).await.expect("it listens");
    let mut host = HostServiceClient::new(channel.clone());
    let mut sockets = SocketServiceClient::new(channel.clone());
    // All that there are.
    let mut handles = Vec::new();
    loop {
        use v1::create_socket_request::{DomainChoice, TypeChoice};
        let request = v1::CreateSocketRequest {
            domain_choice: Some(DomainChoice::Domain(v1::Domain::Inet.into())),
            type_choice: Some(TypeChoice::Type(v1::SocketType::Dgram.into())),
            ..Default::default()
        };
        match sockets.create_socket(request).await {
            Ok(created) => handles.push(created.into_inner().handle),
            Err(full) => {
                let info = full.get_details_error_info().expect("why");
                assert_eq!(info.reason, "EMFILE", "{full}");
                break;
            }
        }
        assert!(handles.len() < 64);
    }

    let request = v1::GetHostRequest {};
    let short = host.get_host(request).await.unwrap().into_inner();
    assert!(short.sockets.iter().all(|one| !one.supported));
    let of = |host: &v1::GetHostResponse, name: &str| {
        let option = host.options.iter().find(|one| one.name == name);
        let option = option.expect("it has a row");
        (option.supported, option.errno_name.clone())
    };
    assert_eq!(of(&short, "SO_REUSEADDR"), (false, "EMFILE".to_owned()));
    // One that is only set is not asked about.
    assert_eq!(of(&short, "MCAST_JOIN_GROUP"), (true, String::new()));
    let opened = SessionServiceClient::new(channel)
        .open_session(v1::OpenSessionRequest::default())
        .await;
    let session = opened.expect("it needs no descriptor").into_inner();
    assert_eq!(session.session_id.len(), 32);

    for handle in handles {
        let abort = false;
        let closed = sockets.close(v1::CloseRequest { handle, abort }).await;
        closed.expect("it is open");
    }
    let whole = host.get_host(request).await.unwrap().into_inner();
    // What the kernel refused for another reason, before it looked for a descriptor, it refuses for ever.
    for (short, whole) in short.sockets.iter().zip(&whole.sockets) {
        assert!(short.errno_name == "EMFILE" || short == whole, "{short:?}");
        assert_ne!(whole.errno_name, "EMFILE");
    }
    assert!(whole.sockets.iter().any(|one| one.supported));
    assert_eq!(of(&whole, "SO_REUSEADDR"), (true, String::new()));
}

/// A runtime of one thread, whose one blocking thread has something else to do until the sender is dropped.
fn busy() -> (tokio::runtime::Runtime, mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("threads");
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    runtime.spawn_blocking(move || {
        begin.send(()).expect("the test waits");
        let _ = released.recv();
    });
    begun.recv().expect("it begins");
    (runtime, release)
}

#[test]
fn what_may_wait_for_others_on_the_host_is_not_asked_on_a_worker() {
    let (runtime, release) = busy();
    runtime.block_on(async {
        let serving = Serving::tcp().await;
        let client = client(&serving).await;
        let (mut first, mut second, mut third) = (client.clone(), client.clone(), client);
        let host = tokio::spawn(async move { first.get_host(v1::GetHostRequest {}).await });
        let interfaces = tokio::spawn(async move {
            let request = v1::ListInterfacesRequest::default();
            second.list_interfaces(request).await
        });
        // What is asked later on the same connection is answered, again and again, and they are not.
        for _ in 0..50 {
            third.get_clock(v1::GetClockRequest {}).await.unwrap();
        }
        assert!(!host.is_finished() && !interfaces.is_finished());
        drop(release);
        let host = tokio::time::timeout(PATIENCE, host).await.unwrap();
        assert!(!host.unwrap().unwrap().into_inner().privileges.is_empty());
        let interfaces = tokio::time::timeout(PATIENCE, interfaces).await.unwrap();
        let interfaces = interfaces.unwrap().unwrap().into_inner().interfaces;
        assert!(interfaces.iter().any(|one| one.loopback));
        serving.shutdown.now();
        serving.ended().await;
    });
    runtime.shutdown_background();
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
