//! setsockopt(2) and getsockopt(2).

use farsock_proto::v1::{self, get_option_request, set_option_request};

use crate::{
    OptionName, OptionValue, RemoteSocket, Result,
    call::{Carried, Rpc, carried},
    convert,
};

impl Rpc for v1::SetOptionRequest {
    type Response = v1::SetOptionResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/SetOption";
    const VERB: &'static str = "setsockopt";
    const CARRIED: Option<Carried<Self>> = carried!(SetOption);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl Rpc for v1::GetOptionRequest {
    type Response = v1::GetOptionResponse;
    const PATH: &'static str = "/farsock.v1.SocketService/GetOption";
    const VERB: &'static str = "getsockopt";
    const CARRIED: Option<Carried<Self>> = carried!(GetOption);

    fn handle(&self) -> Option<u64> {
        Some(self.handle)
    }
}

impl RemoteSocket {
    /// Sets an option. Corresponds to setsockopt(2).
    ///
    /// `name` is a [`SocketOption`](crate::SocketOption), the option's `(level, number)`, or its name as C has it, parsed:
    /// `"TCP_SYNCNT".parse::<OptionName>()?`. The
    /// value must be of the option's kind ([`OptionSupport::kind`](crate::OptionSupport::kind)), or
    /// [`OptionValue::Text`], which the daemon reads by that kind; of an option by number it is
    /// [`Raw`](OptionValue::Raw), or [`Integer`](OptionValue::Integer) or
    /// [`Flag`](OptionValue::Flag) for an int.
    ///
    /// # Errors
    ///
    /// As of setsockopt(2): ENOPROTOOPT, EINVAL, EPERM. A value of another kind is
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), which says the right one.
    pub async fn set_option(
        &self,
        name: impl Into<OptionName>,
        value: impl Into<OptionValue>,
    ) -> Result<()> {
        let request = v1::SetOptionRequest {
            handle: self.handle,
            name: Some(match name.into() {
                OptionName::Named(option) => set_option_request::Name::Option(option.into()),
                OptionName::Raw { level, number } => {
                    set_option_request::Name::RawOption(v1::RawOption { level, number })
                }
            }),
            value: Some(value.into().into()),
        };
        self.client.call(request).await?;
        Ok(())
    }

    /// Reads an option; the value is of the option's kind, and [`Raw`](OptionValue::Raw) of one by
    /// number. Corresponds to getsockopt(2).
    ///
    /// # Errors
    ///
    /// As of getsockopt(2): ENOPROTOOPT, EOPNOTSUPP.
    pub async fn option(&self, name: impl Into<OptionName>) -> Result<OptionValue> {
        self.read_option(name.into(), None).await
    }

    /// Reads an option whose value is bytes, with room for `length` of them, at most 65,536 (other
    /// reads: 1,024). Corresponds to getsockopt(2).
    ///
    /// # Errors
    ///
    /// As of [`option`](Self::option).
    pub async fn option_with_length(
        &self,
        name: impl Into<OptionName>,
        length: i32,
    ) -> Result<OptionValue> {
        self.read_option(name.into(), Some(length)).await
    }

    async fn read_option(&self, name: OptionName, length: Option<i32>) -> Result<OptionValue> {
        let request = v1::GetOptionRequest {
            handle: self.handle,
            name: Some(match name {
                OptionName::Named(option) => get_option_request::Name::Option(option.into()),
                OptionName::Raw { level, number } => {
                    get_option_request::Name::RawOption(v1::RawOption { level, number })
                }
            }),
            length,
        };
        self.client
            .ask(request, |response| {
                convert::option_value(convert::present("value", response.value)?)
                    .map_err(|violation| violation.within("value"))
            })
            .await
    }
}
