//! socket(2), with options that are set before anything else can happen.

use farsock_proto::v1::{
    self,
    create_socket_request::{DomainChoice, ProtocolChoice, TypeChoice},
    option_setting::Name,
};

use crate::{
    Client, Domain, OptionName, OptionValue, Protocol, RemoteSocket, Result, SocketType,
    call::{Carried, Rpc, carried},
    convert::Choice,
};

impl Rpc for v1::CreateSocketRequest {
    type Response = v1::CreateSocketResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/CreateSocket";
    const VERB: &'static str = "socket";
    const CARRIED: Option<Carried<Self>> = carried!(CreateSocket);
}

/// What a new socket shall have from the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SocketOptions {
    /// Whether calls on the socket end in EAGAIN or EINPROGRESS instead of waiting (SOCK_NONBLOCK).
    /// Default: no.
    pub nonblocking: bool,
    /// Options to set, in order. If one fails there is no socket.
    pub options: Vec<(OptionName, OptionValue)>,
}

impl SocketOptions {
    /// A blocking socket without options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls on the socket end in EAGAIN or EINPROGRESS instead of waiting.
    #[must_use]
    pub fn nonblocking(mut self) -> Self {
        self.nonblocking = true;
        self
    }

    /// Sets one more option.
    #[must_use]
    pub fn option(mut self, name: impl Into<OptionName>, value: impl Into<OptionValue>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }
}

impl Client {
    /// Creates a socket. Corresponds to socket(2).
    ///
    /// # Errors
    ///
    /// As of socket(2), and [`Reason::QuotaExceeded`](crate::Reason::QuotaExceeded) at the daemon's
    /// limit of handles.
    pub async fn socket(
        &self,
        domain: Domain,
        kind: SocketType,
        protocol: Protocol,
    ) -> Result<RemoteSocket> {
        self.socket_with(domain, kind, protocol, SocketOptions::default())
            .await
    }

    /// Creates a socket and sets its options: all of them, or there is no socket. Corresponds to
    /// socket(2) and setsockopt(2).
    ///
    /// # Errors
    ///
    /// As of [`socket`](Self::socket), and those of the first option that fails.
    pub async fn socket_with(
        &self,
        domain: Domain,
        kind: SocketType,
        protocol: Protocol,
        options: SocketOptions,
    ) -> Result<RemoteSocket> {
        let request = create_request(domain, kind, protocol, options);
        let response = self.call(request).await?;
        Ok(RemoteSocket::owned(self.clone(), response.handle))
    }

    /// Creates a TCP socket over IPv4.
    ///
    /// # Errors
    ///
    /// As of [`socket`](Self::socket).
    pub async fn tcp_socket(&self) -> Result<RemoteSocket> {
        self.socket(Domain::Inet, SocketType::Stream, Protocol::Tcp)
            .await
    }

    /// Creates a UDP socket over IPv4.
    ///
    /// # Errors
    ///
    /// As of [`socket`](Self::socket).
    pub async fn udp_socket(&self) -> Result<RemoteSocket> {
        self.socket(Domain::Inet, SocketType::Dgram, Protocol::Udp)
            .await
    }
}

/// The request for a socket, whose handle the daemon chooses.
pub(crate) fn create_request(
    domain: Domain,
    kind: SocketType,
    protocol: Protocol,
    options: SocketOptions,
) -> v1::CreateSocketRequest {
    v1::CreateSocketRequest {
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
        nonblocking: options.nonblocking,
        options: options
            .options
            .into_iter()
            .map(|(name, value)| v1::OptionSetting {
                name: Some(match name {
                    OptionName::Named(option) => Name::Option(option.into()),
                    OptionName::Raw { level, number } => {
                        Name::RawOption(v1::RawOption { level, number })
                    }
                }),
                value: Some(value.into()),
            })
            .collect(),
        // The daemon chooses.
        new_handle: 0,
    }
}
