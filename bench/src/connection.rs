//! A client's connection to the daemon or the floor, the same for both: the generated client over one channel with tonic's
//! defaults.

use std::{net::SocketAddr, time::Duration};

use farsock_proto::v1::{
    Address, BindRequest, CreateSocketRequest, Domain, IpAddress, SendToRequest, SocketType,
    address::Form,
    create_socket_request::{DomainChoice, TypeChoice},
    send_to_request::Payload,
    socket_service_client::SocketServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use crate::{Failure, sink::Datagram};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client over one connection; clones share it.
pub(crate) type Client = SocketServiceClient<Channel>;

/// Connects to a server.
///
/// # Errors
/// Nobody listens there.
pub(crate) async fn connect(server: SocketAddr) -> Result<Client, Failure> {
    let endpoint =
        Endpoint::from_shared(format!("http://{server}"))?.connect_timeout(CONNECT_TIMEOUT);
    Ok(SocketServiceClient::new(endpoint.connect().await?))
}

/// Creates an IPv4 socket.
///
/// # Errors
/// The daemon's answer.
pub(crate) async fn create_socket(
    client: &mut Client,
    socket_type: SocketType,
) -> Result<u64, tonic::Status> {
    let request = CreateSocketRequest {
        domain_choice: Some(DomainChoice::Domain(Domain::Inet.into())),
        type_choice: Some(TypeChoice::Type(socket_type.into())),
        ..CreateSocketRequest::default()
    };
    Ok(client.create_socket(request).await?.into_inner().handle)
}

/// Creates an IPv4 UDP socket bound to loopback, so that no call has to bind it by the way.
///
/// # Errors
/// The daemon's answer.
pub(crate) async fn create_udp_socket(client: &mut Client) -> Result<u64, tonic::Status> {
    let handle = create_socket(client, SocketType::Dgram).await?;
    let request = BindRequest {
        handle,
        address: Some(address("127.0.0.1:0".parse().expect("a literal address"))),
    };
    client.bind(request).await?;
    Ok(handle)
}

/// Sends one datagram and checks that all of it was taken.
///
/// # Errors
/// The server's answer, or it took another number of bytes.
pub(crate) async fn send_to(
    client: &mut Client,
    handle: u64,
    to: SocketAddr,
    datagram: &Datagram,
) -> Result<(), Failure> {
    let data = bytes::Bytes::copy_from_slice(datagram);
    let sent = send_bytes_to(client, handle, to, data).await?;
    if sent != datagram.len() {
        return Err(format!("{sent} of {} bytes were sent", datagram.len()).into());
    }
    Ok(())
}

/// Sends one datagram of any bytes; how many were sent.
///
/// # Errors
/// The server's answer.
pub(crate) async fn send_bytes_to(
    client: &mut Client,
    handle: u64,
    to: SocketAddr,
    data: bytes::Bytes,
) -> Result<usize, Failure> {
    let request = SendToRequest {
        handle,
        address: Some(address(to)),
        payload: Some(Payload::Data(data)),
        ..SendToRequest::default()
    };
    let sent = client.send_to(request).await?.into_inner().bytes_sent;
    Ok(usize::try_from(sent)?)
}

/// An internet address in its typed form, the cheapest for the daemon to read and what a generated client would use.
pub(crate) fn address(address: SocketAddr) -> Address {
    Address {
        form: Some(Form::Ip(IpAddress {
            host: address.ip().to_string(),
            port: address.port().into(),
            ..IpAddress::default()
        })),
    }
}
