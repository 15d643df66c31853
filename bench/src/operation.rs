//! The Rust client as it is by default: its calls are operations on the stream of a session.

use std::net::SocketAddr;

use farsock_client::{Client, RemoteSocket};

use crate::{Failure, sink::Datagram};

/// Opens a connection and a session.
///
/// # Errors
/// Nobody listens there, or the daemon's answer.
pub(crate) async fn connect(server: SocketAddr) -> farsock_client::Result<Client> {
    Client::connect(&format!("tcp://{server}")).await
}

/// Creates an IPv4 UDP socket bound to loopback, so that no call has to bind it by the way.
///
/// # Errors
/// The daemon's answer.
pub(crate) async fn create_udp_socket(client: &Client) -> farsock_client::Result<RemoteSocket> {
    let socket = client.udp_socket().await?;
    socket.bind("127.0.0.1:0").await?;
    Ok(socket)
}

/// Sends one datagram and checks that all of it was taken.
///
/// # Errors
/// The daemon's answer, or it took another number of bytes.
pub(crate) async fn send_to(
    socket: &RemoteSocket,
    to: SocketAddr,
    datagram: &Datagram,
) -> Result<(), Failure> {
    let data = bytes::Bytes::copy_from_slice(datagram);
    let sent = socket.send_to(data, to).await?;
    if sent != datagram.len() {
        return Err(format!("{sent} of {} bytes were sent", datagram.len()).into());
    }
    Ok(())
}
