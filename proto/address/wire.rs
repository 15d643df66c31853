//! Addresses from and to the wire.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::{
    Address, MAX_RAW_DATA, RawAddress, UnixAddress, VsockAddress, Zones,
    host::{parse_host, scope_id},
};
use crate::{
    Violation,
    v1::{self, address::Form, unix_address::Name},
};

impl Address {
    /// Reads any form of a request; `zones` knows the interfaces of the daemon's host.
    ///
    /// # Errors
    /// A [`Violation`] of the form's field, such as "ip.port"; of "" without any form.
    pub fn from_wire(wire: v1::Address, zones: Zones<'_>) -> Result<Self, Violation> {
        match wire.form {
            Some(Form::Ip(ip)) => ip_from_wire(&ip, zones)
                .map(Self::Ip)
                .map_err(|violation| violation.within("ip")),
            Some(Form::Unix(unix)) => unix_from_wire(unix)
                .map(Self::Unix)
                .map_err(|violation| violation.within("unix")),
            Some(Form::Vsock(v1::VsockAddress { cid, port })) => {
                Ok(Self::Vsock(VsockAddress { cid, port }))
            }
            Some(Form::Raw(raw)) => raw_from_wire(raw)
                .map(Self::Raw)
                .map_err(|violation| violation.within("raw")),
            Some(Form::Unspecified(v1::UnspecifiedAddress {})) => Ok(Self::Unspecified),
            Some(Form::Text(text)) => Self::parse(&text, zones),
            None => Err(Violation::of_value(
                "the address has no form; give one of ip, unix, vsock, raw, unspecified and text",
            )),
        }
    }
}

/// The typed form, never text.
impl From<Address> for v1::Address {
    fn from(address: Address) -> Self {
        let form = match address {
            Address::Ip(address) => return address.into(),
            Address::Unix(unix) => Form::Unix(v1::UnixAddress {
                name: Some(match unix {
                    UnixAddress::Path(path) => Name::Path(path),
                    UnixAddress::Abstract(name) => Name::Abstract(name),
                    UnixAddress::Unnamed => Name::Unnamed(v1::UnnamedUnixAddress {}),
                }),
            }),
            Address::Vsock(VsockAddress { cid, port }) => {
                Form::Vsock(v1::VsockAddress { cid, port })
            }
            Address::Raw(RawAddress { family, data }) => Form::Raw(v1::RawAddress {
                family: family.into(),
                data,
            }),
            Address::Unspecified => Form::Unspecified(v1::UnspecifiedAddress {}),
        };
        Self { form: Some(form) }
    }
}

/// The typed form.
impl From<SocketAddr> for v1::Address {
    fn from(address: SocketAddr) -> Self {
        let (flow_info, scope_id) = match address {
            SocketAddr::V4(_) => (0, 0),
            SocketAddr::V6(address) => (address.flowinfo(), address.scope_id()),
        };
        Self {
            form: Some(Form::Ip(v1::IpAddress {
                host: address.ip().to_string(),
                port: address.port().into(),
                flow_info,
                scope_id,
            })),
        }
    }
}

/// The text form, which the daemon reads.
impl From<&str> for v1::Address {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The text form, which the daemon reads.
impl From<String> for v1::Address {
    fn from(text: String) -> Self {
        Self {
            form: Some(Form::Text(text)),
        }
    }
}

fn ip_from_wire(wire: &v1::IpAddress, zones: Zones<'_>) -> Result<SocketAddr, Violation> {
    let (ip, zone) =
        parse_host(&wire.host, Some(zones)).map_err(|violation| violation.within("host"))?;
    let port = u16::try_from(wire.port)
        .map_err(|_| Violation::new("port", format!("{} is not from 0 to 65535", wire.port)))?;
    match ip {
        IpAddr::V4(ip) => {
            for (field, value) in [("flow_info", wire.flow_info), ("scope_id", wire.scope_id)] {
                if value != 0 {
                    return Err(Violation::new(field, "must be 0 for an IPv4 address"));
                }
            }
            Ok(SocketAddrV4::new(ip, port).into())
        }
        IpAddr::V6(ip) => {
            let scope_id =
                scope_id(zone, wire.scope_id).map_err(|violation| violation.within("scope_id"))?;
            Ok(SocketAddrV6::new(ip, port, wire.flow_info, scope_id).into())
        }
    }
}

fn unix_from_wire(wire: v1::UnixAddress) -> Result<UnixAddress, Violation> {
    match wire.name {
        Some(Name::Path(path)) => {
            UnixAddress::checked_path(path).map_err(|violation| violation.within("path"))
        }
        Some(Name::Abstract(name)) => {
            UnixAddress::checked_abstract(name).map_err(|violation| violation.within("abstract"))
        }
        Some(Name::Unnamed(v1::UnnamedUnixAddress {})) => Ok(UnixAddress::Unnamed),
        None => Err(Violation::of_value(
            "the unix address has no name; give one of path, abstract and unnamed",
        )),
    }
}

fn raw_from_wire(wire: v1::RawAddress) -> Result<RawAddress, Violation> {
    let family = u16::try_from(wire.family)
        .map_err(|_| Violation::new("family", format!("{} is not from 0 to 65535", wire.family)))?;
    if wire.data.len() > MAX_RAW_DATA {
        return Err(Violation::new(
            "data",
            format!(
                "has {} bytes; a sockaddr holds at most {MAX_RAW_DATA} behind its family",
                wire.data.len()
            ),
        ));
    }
    Ok(RawAddress {
        family,
        data: wire.data,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strategy;

    fn from_wire(form: Form) -> Result<Address, Violation> {
        Address::from_wire(v1::Address { form: Some(form) }, &|name| {
            (name == "eth0").then_some(7)
        })
    }

    fn ip(host: &str, port: u32, flow_info: u32, scope_id: u32) -> Form {
        Form::Ip(v1::IpAddress {
            host: host.to_owned(),
            port,
            flow_info,
            scope_id,
        })
    }

    fn unix(name: Name) -> Form {
        Form::Unix(v1::UnixAddress { name: Some(name) })
    }

    #[test]
    fn an_address_without_a_form_is_a_violation_of_the_address_itself() {
        let violation =
            Address::from_wire(v1::Address::default(), &|_| None).expect_err("is refused");
        assert_eq!(violation.field, "");
        let violation = from_wire(Form::Unix(v1::UnixAddress::default())).expect_err("is refused");
        assert_eq!(violation.field, "unix");
    }

    #[test]
    fn a_violation_names_the_field_that_is_wrong() {
        for (form, field) in [
            (ip("", 0, 0, 0), "ip.host"),
            (ip("localhost", 0, 0, 0), "ip.host"),
            (ip("[::1]", 0, 0, 0), "ip.host"),
            (ip("127.0.0.1%eth0", 0, 0, 0), "ip.host"),
            (ip("fe80::1%eth9", 0, 0, 0), "ip.host"),
            (ip("127.0.0.1", 65536, 0, 0), "ip.port"),
            (ip("127.0.0.1", 0, 1, 0), "ip.flow_info"),
            (ip("127.0.0.1", 0, 0, 1), "ip.scope_id"),
            (ip("fe80::1%2", 0, 0, 3), "ip.scope_id"),
            (unix(Name::Path(String::new())), "unix.path"),
            (unix(Name::Path("a\0".to_owned())), "unix.path"),
            (unix(Name::Path("x".repeat(108))), "unix.path"),
            (unix(Name::Abstract("x".repeat(108))), "unix.abstract"),
            (
                Form::Raw(v1::RawAddress {
                    family: 65536,
                    data: Default::default(),
                }),
                "raw.family",
            ),
            (
                Form::Raw(v1::RawAddress {
                    family: 1,
                    data: vec![0; 127].into(),
                }),
                "raw.data",
            ),
            (Form::Text(":80".to_owned()), "text"),
        ] {
            let violation = from_wire(form.clone()).expect_err(&format!("{form:?}"));
            assert_eq!(violation.field, field, "{form:?}");
            assert!(!violation.description.is_empty());
        }
    }

    #[test]
    fn a_zone_sets_the_scope_id_and_may_repeat_it() {
        let expected: Address = "[fe80::1%7]:80".parse().expect("is taken");
        for form in [
            ip("fe80::1%eth0", 80, 0, 0),
            ip("fe80::1%eth0", 80, 0, 7),
            ip("fe80::1%7", 80, 0, 0),
            ip("fe80::1", 80, 0, 7),
        ] {
            assert_eq!(from_wire(form), Ok(expected.clone()));
        }
    }

    #[test]
    fn flow_information_passes_through_beyond_its_20_bits() {
        let address = from_wire(ip("::1", 80, u32::MAX, 0)).expect("is taken");
        let Some(SocketAddr::V6(address)) = address.as_ip() else {
            panic!("{address:?} is not IPv6");
        };
        assert_eq!(address.flowinfo(), u32::MAX);
    }

    proptest! {
        #[test]
        fn every_address_survives_the_wire(address in strategy::address()) {
            let wire = v1::Address::from(address.clone());
            prop_assert!(!matches!(wire.form, None | Some(Form::Text(_))));
            prop_assert_eq!(Address::from_wire(wire, &|_| None), Ok(address));
        }

        #[test]
        fn the_text_of_every_address_is_read_from_the_wire(address in strategy::address()) {
            let text = address.to_string();
            prop_assert_eq!(
                Address::from_wire(text.as_str().into(), &|_| None),
                Address::parse(&text, &|_| None)
            );
        }

        #[test]
        fn from_wire_never_panics(wire in strategy::wire_address()) {
            if let Ok(address) = Address::from_wire(wire, &|_| Some(1)) {
                prop_assert_eq!(Address::from_wire(address.clone().into(), &|_| None), Ok(address));
            }
        }
    }
}
