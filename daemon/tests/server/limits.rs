//! What one client cannot do to the others: too many connections, too few descriptors, another protocol, many waiting calls.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{Daemon, FARSOCKD, PATIENCE, Serving, at, connect, health};
use farsock_daemon::listener::ListenAddress;
use farsock_proto::v1;

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_next_one_after_a_free_place_is_served() {
    let mut config = at("tcp://127.0.0.1:0");
    config.max_connections = 2;
    let serving = Serving::start(config).await;
    let first = serving.client().await;
    assert_eq!(health(first.clone()).await.unwrap(), 1);
    let second = serving.client().await;
    assert_eq!(health(second.clone()).await.unwrap(), 1);

    let mut third = serving.raw().await;
    let read = timeout(PATIENCE, third.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    assert_eq!(health(first.clone()).await.unwrap(), 1);

    drop(second);
    let served = async {
        // The daemon learns of the free place in its own time.
        while connect(&serving.addresses[0]).await.is_err() {}
    };
    timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn without_descriptors_connections_are_turned_away_and_later_ones_served() {
    const LIMIT: usize = 48;
    const CLIENTS: usize = 80;
    let script = format!("ulimit -n {LIMIT} && exec {FARSOCKD} --listen tcp://127.0.0.1:0");
    let mut daemon = Daemon::spawn(Daemon::command("/bin/sh").args(["-c", &script]));
    let listening = daemon.address().await;
    let ListenAddress::Tcp(address) = listening else {
        panic!("it listens at TCP");
    };

    let (report, mut turned_away) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let report = report.clone();
        clients.push(tokio::spawn(async move {
            let _ = stream.read(&mut [0; 1]).await;
            let _ = report.send(());
        }));
    }
    for _ in 0..CLIENTS - LIMIT {
        timeout(PATIENCE, turned_away.recv()).await.unwrap();
    }
    daemon.logs("cannot accept connections").await;

    for client in &clients {
        client.abort();
    }
    let served = async {
        loop {
            if let Ok(channel) = connect(&listening).await
                && health(channel).await.is_ok()
            {
                return;
            }
        }
    };
    timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn another_protocol_is_hung_up_on_at_once() {
    let serving = Serving::tcp().await;
    let mut stream = serving.raw().await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_thousand_calls_wait_on_one_connection_and_another_is_answered() {
    let serving = Serving::tcp().await;
    let channel = serving.client().await;
    let mut watches = Vec::new();
    for _ in 0..1_100 {
        let mut client = HealthClient::new(channel.clone());
        let watch = client.watch(HealthCheckRequest::default()).await.unwrap();
        watches.push(watch.into_inner());
    }
    assert_eq!(health(channel.clone()).await.unwrap(), 1);
    // All cancelled at once, which the connection survives.
    drop(watches);
    assert_eq!(health(channel).await.unwrap(), 1);
}

/// Says the messages, and then waits to be dropped.
fn said(
    receiver: mpsc::UnboundedReceiver<v1::AcceptManyRequest>,
) -> impl futures_util::Stream<Item = v1::AcceptManyRequest> + Send + 'static {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    })
}

#[tokio::test]
async fn accepting_without_room_says_so_seldom_and_goes_on_when_there_is_some() {
    use v1::{accept_many_request::Message as Say, accept_many_response::Message as Hear};
    let mut config = at("tcp://127.0.0.1:0");
    config.max_handles = 2;
    let serving = Serving::start(config).await;
    let client = serving.client().await;
    let mut sockets = v1::socket_service_client::SocketServiceClient::new(client.clone());
    let create = v1::CreateSocketRequest {
        domain_choice: Some(v1::create_socket_request::DomainChoice::Domain(
            v1::Domain::Inet.into(),
        )),
        type_choice: Some(v1::create_socket_request::TypeChoice::Type(
            v1::SocketType::Stream.into(),
        )),
        ..Default::default()
    };
    let handle = sockets
        .create_socket(create)
        .await
        .unwrap()
        .into_inner()
        .handle;
    let bind = v1::BindRequest {
        handle,
        address: Some(v1::Address::from("127.0.0.1:0")),
    };
    let bound = sockets.bind(bind).await.unwrap().into_inner().local_address;
    let address = farsock_proto::address::Address::from_wire(bound.unwrap(), &|_| None);
    let address = address.unwrap().to_string();
    let listen = v1::ListenRequest {
        handle,
        ..Default::default()
    };
    sockets.listen(listen).await.unwrap();

    let (say, receiver) = mpsc::unbounded_channel();
    let tell = |message| {
        let message = Some(message);
        say.send(v1::AcceptManyRequest { message }).unwrap();
    };
    tell(Say::Open(v1::OpenAcceptMany {
        handle,
        window: 1000,
        ..Default::default()
    }));
    let streams = v1::stream_service_client::StreamServiceClient::new(client.clone());
    let mut heard = streams
        .clone()
        .accept_many(said(receiver))
        .await
        .unwrap()
        .into_inner();
    let _peers = [
        TcpStream::connect(&address).await.unwrap(),
        TcpStream::connect(&address).await.unwrap(),
    ];
    let (mut accepted, mut errors, mut rounds) = (Vec::new(), 0, 0);
    while accepted.len() < 2 {
        tokio::select! {
            message = heard.message() => {
                if let Some(Hear::Accepted(one)) = message.unwrap().unwrap().message {
                    accepted.extend(one.connections.iter().map(|one| one.handle));
                    errors += u64::from(one.error.is_some());
                    let received = accepted.len() as u64 + errors;
                    tell(Say::Credit(v1::Credit {
                        received,
                        limit: 1000,
                        ..Default::default()
                    }));
                }
            }
            healthy = health(client.clone()) => {
                healthy.unwrap();
                rounds += u32::from(errors > 0);
                if rounds == 500 {
                    let close = v1::CloseRequest {
                        handle: accepted[0],
                        ..Default::default()
                    };
                    sockets.close(close).await.unwrap();
                }
            }
        }
    }
    assert!(
        (1..100).contains(&errors),
        "{errors} errors in {rounds} rounds"
    );
}
