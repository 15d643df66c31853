//! CreateSocketPair on the wire.

use farsock_proto::{
    Violation,
    socket::{Domain, Protocol, SocketType},
    v1::{
        CreateSocketPairRequest, CreateSocketPairResponse,
        create_socket_pair_request::{DomainChoice, ProtocolChoice, TypeChoice},
    },
};

use super::{Verb, domain, protocol, required, socket_type};
use crate::{operation::CreateSocketPair, table::Handle};

impl Verb for CreateSocketPairRequest {
    type Operation = CreateSocketPair;
    type Response = CreateSocketPairResponse;

    fn operation(&mut self) -> Result<CreateSocketPair, Violation> {
        Ok(CreateSocketPair {
            domain: match required(self.domain_choice, "domain", "domain or raw_domain")? {
                DomainChoice::Domain(value) => domain(value)?,
                DomainChoice::RawDomain(number) => Domain::Raw(number),
            },
            kind: match required(self.type_choice, "type", "type or raw_type")? {
                TypeChoice::Type(value) => socket_type(value)?,
                TypeChoice::RawType(number) => SocketType::Other(number),
            },
            protocol: match self.protocol_choice {
                None => Protocol::Default,
                Some(ProtocolChoice::Protocol(value)) => protocol(value)?,
                Some(ProtocolChoice::RawProtocol(number)) => Protocol::Other(number),
            },
            nonblocking: self.nonblocking,
            new_handles: (self.new_first, self.new_second),
        })
    }

    fn response(self, (first, second): (Handle, Handle)) -> CreateSocketPairResponse {
        CreateSocketPairResponse {
            first: first.0,
            second: second.0,
        }
    }
}
