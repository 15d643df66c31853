//! SetOption on the wire.

use farsock_proto::{
    Violation,
    option::{OptionName, OptionValue},
    v1::{self, SetOptionRequest, SetOptionResponse, SocketOption, set_option_request::Name},
};

use super::{Verb, apart, required};
use crate::{
    operation::{self, SetOption},
    table::Handle,
};

impl Verb for SetOptionRequest {
    type Operation = SetOption;
    type Response = SetOptionResponse;

    fn operation(&mut self) -> Result<SetOption, Violation> {
        Ok(SetOption {
            handle: Handle(self.handle),
            name: match required(self.name, "option", "option or raw_option")? {
                Name::Option(value) => named(value)?,
                Name::RawOption(number) => raw(number),
            },
            value: value(self.value.take())?,
        })
    }

    fn response(self, (): ()) -> SetOptionResponse {
        SetOptionResponse {}
    }
}

/// An option by name.
pub(super) fn named(value: i32) -> Result<OptionName, Violation> {
    match SocketOption::try_from(value) {
        Ok(SocketOption::Unspecified) => Err(Violation::new("option", "is unspecified")),
        Ok(option) => Ok(OptionName::Named(option)),
        Err(_unknown) => Err(Violation::new(
            "option",
            format!("{value} is not an option of this API; use raw_option for others"),
        )),
    }
}

/// An option by number.
pub(super) fn raw(option: v1::RawOption) -> OptionName {
    OptionName::Raw {
        level: option.level,
        number: option.number,
    }
}

/// The field `value`, which must be present.
pub(super) fn value(field: Option<v1::OptionValue>) -> Result<OptionValue, Violation> {
    let wire = required(field, "value", "flag, integer, duration, text ...")?;
    let value =
        OptionValue::from_wire(wire, &operation::interface_index).map_err(|v| v.within("value"))?;
    Ok(match value {
        OptionValue::Raw(data) => OptionValue::Raw(apart(&data)),
        other => other,
    })
}
