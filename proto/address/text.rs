//! The text form of addresses, for people and for requests.

use std::{
    fmt,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    str::FromStr,
};

use bytes::Bytes;

use super::{
    Address, MAX_RAW_DATA, RawAddress, UnixAddress, VsockAddress, Zones, host::parse_host,
};
use crate::{
    Violation,
    escape::{Name, unescape},
    violation::quoted,
};

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The standard library writes a scope id that is not 0 as "%N".
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(UnixAddress::Path(path)) => write!(f, "unix:{}", Name(path)),
            Self::Unix(UnixAddress::Abstract(name)) => {
                write!(f, "unix-abstract:{}", Name(name))
            }
            Self::Unix(UnixAddress::Unnamed) => f.write_str("unix:"),
            Self::Vsock(VsockAddress { cid, port }) => write!(f, "vsock:{cid}:{port}"),
            Self::Raw(RawAddress { family, data }) => write!(f, "raw:{family}:{data:x}"),
            Self::Unspecified => f.write_str("unspecified"),
        }
    }
}

impl Address {
    /// Reads the text form; `zones` knows the interfaces of the daemon's host.
    ///
    /// # Errors
    /// A [`Violation`] of "text" that says what would be right.
    pub fn parse(text: &str, zones: Zones<'_>) -> Result<Self, Violation> {
        parse(text, Some(zones)).map_err(|violation| violation.within("text"))
    }
}

/// Reads the text form where the daemon's interfaces are not known: a zone must be an index.
impl FromStr for Address {
    type Err = Violation;

    fn from_str(text: &str) -> Result<Self, Violation> {
        parse(text, None).map_err(|violation| violation.within("text"))
    }
}

fn parse(text: &str, zones: Option<Zones<'_>>) -> Result<Address, Violation> {
    if text == "unspecified" {
        Ok(Address::Unspecified)
    } else if text == "unix:" {
        Ok(Address::Unix(UnixAddress::Unnamed))
    } else if let Some(path) = text.strip_prefix("unix:") {
        UnixAddress::checked_path(unescape(path)?).map(Address::Unix)
    } else if let Some(name) = text.strip_prefix("unix-abstract:") {
        UnixAddress::checked_abstract(unescape(name)?).map(Address::Unix)
    } else if let Some(numbers) = text.strip_prefix("vsock:") {
        parse_vsock(numbers).map(Address::Vsock)
    } else if let Some(raw) = text.strip_prefix("raw:") {
        parse_raw(raw).map(Address::Raw)
    } else {
        parse_ip(text, zones).map(Address::Ip)
    }
}

fn parse_ip(text: &str, zones: Option<Zones<'_>>) -> Result<SocketAddr, Violation> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            return Err(Violation::of_value(
                "the bracket is not closed; IPv6 addresses look like [2001:db8::1]:80",
            ));
        };
        let (ip, zone) = parse_host(host, zones)?;
        let IpAddr::V6(ip) = ip else {
            return Err(Violation::of_value(format!(
                "brackets are for IPv6 addresses; IPv4 goes without, as in {ip}:80"
            )));
        };
        let Some(port) = rest.strip_prefix(':') else {
            return Err(missing_port(&format!("[{ip}]")));
        };
        let port = parse_port(port)?;
        return Ok(SocketAddrV6::new(ip, port, 0, zone.unwrap_or(0)).into());
    }
    // The whole text is one IPv6 address: its last colon would not tell where a port begins.
    if let Ok((IpAddr::V6(ip), _)) = parse_host(text, Some(&|_| Some(0))) {
        return Err(Violation::of_value(format!(
            "an IPv6 address with a port has brackets, as in [{ip}]:80"
        )));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(match text.parse::<IpAddr>() {
            Ok(ip) => missing_port(&ip.to_string()),
            Err(_) => Violation::of_value(format!(
                "{} is no address; the forms are 127.0.0.1:80, [fe80::1%eth0]:80, unix:/path, \
                 unix-abstract:name, unix:, vsock:CID:PORT, raw:FAMILY:HEX and unspecified; names \
                 are resolved by Resolve",
                quoted(text)
            )),
        });
    };
    let (ip, _) = parse_host(host, zones)?;
    if ip.is_ipv6() {
        return Err(Violation::of_value(format!(
            "an IPv6 address with a port has brackets, as in [{ip}]:80"
        )));
    }
    Ok(SocketAddr::new(ip, parse_port(port)?))
}

fn missing_port(host: &str) -> Violation {
    Violation::of_value(format!(
        "the port is missing, as in {host}:80; port 0 lets the kernel choose"
    ))
}

fn parse_port(port: &str) -> Result<u16, Violation> {
    parse_number(port).ok_or_else(|| {
        Violation::of_value(format!(
            "the port {} is no number from 0 to 65535; Resolve resolves service names",
            quoted(port)
        ))
    })
}

fn parse_vsock(numbers: &str) -> Result<VsockAddress, Violation> {
    numbers
        .split_once(':')
        .and_then(|(cid, port)| {
            Some(VsockAddress {
                cid: parse_number(cid)?,
                port: parse_number(port)?,
            })
        })
        .ok_or_else(|| {
            Violation::of_value(format!(
                "a vsock address is vsock:CID:PORT, both from 0 to {}, as in vsock:3:1234",
                u32::MAX
            ))
        })
}

fn parse_raw(raw: &str) -> Result<RawAddress, Violation> {
    let (family, hex) = raw.split_once(':').ok_or_else(|| {
        Violation::of_value("a raw address is raw:FAMILY:HEX, as in raw:16:00000000")
    })?;
    let family = parse_number(family).ok_or_else(|| {
        Violation::of_value(format!(
            "the family {} is no number from 0 to 65535",
            quoted(family)
        ))
    })?;
    if hex.len() > 2 * MAX_RAW_DATA {
        return Err(Violation::of_value(format!(
            "the data has more than the {MAX_RAW_DATA} bytes that a sockaddr holds behind its \
             family"
        )));
    }
    let data = parse_hex(hex).ok_or_else(|| {
        Violation::of_value("the data must be pairs of hexadecimal digits, as in raw:16:00000000")
    })?;
    Ok(RawAddress { family, data })
}

fn parse_hex(hex: &str) -> Option<Bytes> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .map(|&[high, low]| u8::try_from(digit(high)? << 4 | digit(low)?).ok())
        .collect()
}

/// Decimal digits alone: the standard library's parse would also take a plus sign.
fn parse_number<T: FromStr>(digits: &str) -> Option<T> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strategy;

    fn eth0_is_7(name: &str) -> Option<u32> {
        (name == "eth0").then_some(7)
    }

    fn parse(text: &str) -> Result<Address, Violation> {
        Address::parse(text, &eth0_is_7)
    }

    /// What is wrong with `text`.
    fn complaint(text: &str) -> String {
        let violation = parse(text).expect_err(text);
        assert_eq!(violation.field, "text");
        violation.description
    }

    #[test]
    fn the_canonical_forms_print_as_they_were_read() {
        for text in [
            "127.0.0.1:80",
            "0.0.0.0:0",
            "[::]:65535",
            "[::ffff:192.0.2.1]:53",
            "[fe80::1%2]:80",
            "unix:/run/a.sock",
            "unix:relative",
            "unix:",
            "unix-abstract:name",
            "unix-abstract:",
            r"unix-abstract:a\x00b",
            r"unix-abstract:\x1b[2J\u{202e}\u{430}\x20\\",
            r"unix:/run/a\x20b",
            "vsock:3:1234",
            "vsock:4294967295:4294967295",
            "raw:17:",
            "raw:65535:00ff",
            "unspecified",
        ] {
            assert_eq!(parse(text).expect(text).to_string(), text);
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_zone_is_an_interface_name_or_an_index() {
        assert_eq!(parse("[fe80::1%eth0]:80"), parse("[fe80::1%7]:80"));
        assert_eq!(parse("[fe80::1%0]:80"), parse("[fe80::1]:80"));
        assert!(complaint("[fe80::1%eth9]:80").contains("no interface \"eth9\""));
        assert!(complaint("[fe80::1%]:80").contains("no interface"));
        assert!(complaint("[fe80::1%99999999999]:80").contains("too large"));
        assert!(complaint("127.0.0.1%eth0:80").contains("IPv4 address takes no zone"));
    }

    #[test]
    fn without_the_daemons_interfaces_a_zone_name_asks_for_the_index() {
        let violation = "[fe80::1%eth0]:80"
            .parse::<Address>()
            .expect_err("is refused");
        assert!(violation.description.contains("give the index"));
    }

    #[test]
    fn a_missing_host_or_a_name_says_that_hosts_are_numeric_and_who_resolves_names() {
        for text in [
            ":80",
            "localhost:80",
            "[localhost]:80",
            "999.0.0.1:80",
            "localhost",
        ] {
            let complaint = complaint(text);
            assert!(complaint.contains("Resolve"), "{complaint}");
        }
        assert!(complaint(":80").contains("hosts are numeric"));
        assert!(complaint("localhost:80").contains("hosts are numeric"));
    }

    #[test]
    fn ports_are_numbers_up_to_65535() {
        for text in [
            "127.0.0.1:65536",
            "127.0.0.1:",
            "127.0.0.1:+1",
            "127.0.0.1:http",
            "[::1]:-1",
        ] {
            assert!(complaint(text).contains("0 to 65535"), "{text}");
        }
        assert!(complaint("127.0.0.1").contains("as in 127.0.0.1:80"));
        assert!(complaint("[::1]").contains("as in [::1]:80"));
    }

    #[test]
    fn brackets_are_for_ipv6_alone_and_needed_there() {
        assert!(complaint("::1").contains("as in [::1]:80"));
        assert!(complaint("fe80::1%eth0").contains("brackets"));
        assert!(complaint("2001:db8:1:2:3:4:5:6:80").contains("as in [2001:db8:1:2:3:4:5:6]:80"));
        assert!(complaint("[127.0.0.1]:80").contains("as in 127.0.0.1:80"));
        assert!(complaint("[::1:80").contains("not closed"));
    }

    #[test]
    fn unix_names_longer_than_107_bytes_do_not_fit() {
        let fits = "x".repeat(107);
        assert!(parse(&format!("unix:{fits}")).is_ok());
        assert!(parse(&format!("unix-abstract:{fits}")).is_ok());
        assert!(complaint(&format!("unix:{fits}x")).contains("108 bytes; at most 107"));
        assert!(complaint(&format!("unix-abstract:{fits}x")).contains("108 bytes; at most 107"));
        assert!(complaint("unix:a\0b").contains("NUL"));
        assert!(complaint(r"unix:a\x00b").contains("NUL"));
        assert!(complaint(r"unix-abstract:\x8").contains("escape"));
    }

    #[test]
    fn raw_addresses_are_a_family_and_at_most_126_bytes() {
        assert!(parse(&format!("raw:1:{}", "aA".repeat(126))).is_ok());
        assert!(complaint(&format!("raw:1:{}", "00".repeat(127))).contains("126 bytes"));
        assert!(complaint("raw:65536:00").contains("family"));
        assert!(complaint("raw:1").contains("raw:FAMILY:HEX"));
        for text in ["raw:1:0", "raw:1:0g", "raw:1:+1", "raw:1:ää"] {
            assert!(complaint(text).contains("hexadecimal"), "{text}");
        }
    }

    #[test]
    fn vsock_addresses_are_two_numbers() {
        for text in [
            "vsock:",
            "vsock:3",
            "vsock:3:",
            "vsock:3:4294967296",
            "vsock:-1:3",
            "vsock:1:2:3",
        ] {
            assert!(complaint(text).contains("vsock:CID:PORT"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_address_but_its_flow_information_is_read_back_from_its_text(
            address in strategy::address(),
        ) {
            let text = address.to_string();
            let mut expected = address;
            if let Address::Ip(SocketAddr::V6(ip)) = &mut expected {
                ip.set_flowinfo(0);
            }
            prop_assert_eq!(parse(&text), Ok(expected.clone()));
            prop_assert_eq!(text.parse(), Ok(expected));
        }

        #[test]
        fn parse_never_panics_and_what_it_takes_it_prints_as_something_it_takes(
            text in strategy::address_like_text(),
        ) {
            if let Ok(address) = parse(&text) {
                prop_assert_eq!(parse(&address.to_string()), Ok(address));
            }
        }
    }
}
