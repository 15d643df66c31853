//! GetOption on the wire.

use farsock_proto::{
    Violation,
    option::OptionValue,
    v1::{GetOptionRequest, GetOptionResponse, get_option_request::Name},
};

use super::{Verb, bounded, required, set_option};
use crate::{operation::GetOption, table::Handle};

/// The most room for an option's value, in bytes.
const MAX_LENGTH: usize = 65_536;

impl Verb for GetOptionRequest {
    type Operation = GetOption;
    type Response = GetOptionResponse;

    fn operation(&mut self) -> Result<GetOption, Violation> {
        let length = self.length.map(i64::from);
        Ok(GetOption {
            handle: Handle(self.handle),
            name: match required(self.name, "option", "option or raw_option")? {
                Name::Option(value) => set_option::named(value)?,
                Name::RawOption(number) => set_option::raw(number),
            },
            length: length
                .map(|length| bounded(Some(length), "length", 0, 0, MAX_LENGTH))
                .transpose()?,
        })
    }

    fn response(self, value: OptionValue) -> GetOptionResponse {
        GetOptionResponse {
            value: Some(value.into()),
        }
    }
}
