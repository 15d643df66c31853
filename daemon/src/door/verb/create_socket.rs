//! CreateSocket on the wire.

use farsock_proto::{
    Violation,
    option::{OptionName, OptionValue},
    socket::{Domain, Protocol, SocketType},
    v1::{
        CreateSocketRequest, CreateSocketResponse, OptionSetting,
        create_socket_request::{DomainChoice, ProtocolChoice, TypeChoice},
        option_setting::Name,
    },
};

use super::{Verb, domain, protocol, required, set_option, socket_type};
use crate::{operation::CreateSocket, table::Handle};

/// The most options of one CreateSocket: more than there are.
const MAX_OPTIONS: usize = 256;

impl Verb for CreateSocketRequest {
    type Operation = CreateSocket;
    type Response = CreateSocketResponse;

    fn operation(&mut self) -> Result<CreateSocket, Violation> {
        if self.options.len() > MAX_OPTIONS {
            let count = self.options.len();
            return Err(Violation::new(
                "options",
                format!("{count} are over {MAX_OPTIONS}"),
            ));
        }
        let options = std::mem::take(&mut self.options).into_iter();
        Ok(CreateSocket {
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
            new_handle: self.new_handle,
            options: options
                .enumerate()
                .map(|(at, option)| {
                    setting(option).map_err(|v| v.within(&format!("options[{at}]")))
                })
                .collect::<Result<_, _>>()?,
        })
    }

    fn response(self, handle: Handle) -> CreateSocketResponse {
        CreateSocketResponse { handle: handle.0 }
    }
}

fn setting(setting: OptionSetting) -> Result<(OptionName, OptionValue), Violation> {
    let name = match required(setting.name, "option", "option or raw_option")? {
        Name::Option(value) => set_option::named(value)?,
        Name::RawOption(raw) => set_option::raw(raw),
    };
    Ok((name, set_option::value(setting.value)?))
}
