//! socketpair(2).

use farsock_proto::v1::{
    self,
    create_socket_pair_request::{DomainChoice, ProtocolChoice, TypeChoice},
};

use crate::{
    Client, Domain, Protocol, RemoteSocket, Result, SocketType,
    call::{Carried, Rpc, carried},
    convert::Choice,
};

impl Rpc for v1::CreateSocketPairRequest {
    type Response = v1::CreateSocketPairResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/CreateSocketPair";
    const VERB: &'static str = "socketpair";
    const CARRIED: Option<Carried<Self>> = carried!(CreateSocketPair);
}

impl Client {
    /// Creates two sockets that are connected with each other. Linux has them in [`Domain::Unix`]
    /// alone. Corresponds to socketpair(2).
    ///
    /// # Errors
    ///
    /// As of socketpair(2), and [`Reason::QuotaExceeded`](crate::Reason::QuotaExceeded) at the
    /// daemon's limit of handles.
    pub async fn socket_pair(
        &self,
        domain: Domain,
        kind: SocketType,
        protocol: Protocol,
    ) -> Result<(RemoteSocket, RemoteSocket)> {
        self.socket_pair_with(domain, kind, protocol, false).await
    }

    /// The same; `nonblocking` sockets end calls in EAGAIN instead of waiting.
    ///
    /// # Errors
    ///
    /// As of [`socket_pair`](Self::socket_pair).
    pub async fn socket_pair_with(
        &self,
        domain: Domain,
        kind: SocketType,
        protocol: Protocol,
        nonblocking: bool,
    ) -> Result<(RemoteSocket, RemoteSocket)> {
        let request = v1::CreateSocketPairRequest {
            new_first: 0,
            new_second: 0,
            domain_choice: Some(match domain.into() {
                Choice::Name(name) => DomainChoice::Domain(name),
                Choice::Number(number) => DomainChoice::RawDomain(number),
            }),
            type_choice: Some(match kind.into() {
                Choice::Name(name) => TypeChoice::Type(name),
                Choice::Number(number) => TypeChoice::RawType(number),
            }),
            protocol_choice: Some(match protocol.into() {
                Choice::Name(name) => ProtocolChoice::Protocol(name),
                Choice::Number(number) => ProtocolChoice::RawProtocol(number),
            }),
            nonblocking,
        };
        let response = self.call(request).await?;
        Ok((
            RemoteSocket::owned(self.clone(), response.first),
            RemoteSocket::owned(self.clone(), response.second),
        ))
    }
}
