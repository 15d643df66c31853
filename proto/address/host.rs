//! Numeric hosts with their zones: "192.0.2.1", "fe80::1%2", "fe80::1%eth0".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Zones;
use crate::{Violation, violation::quoted};

/// Reads a numeric host, and the scope id that its zone stands for, if it has a zone. Without
/// `zones` a zone must be an index.
pub(crate) fn parse_host(
    text: &str,
    zones: Option<Zones<'_>>,
) -> Result<(IpAddr, Option<u32>), Violation> {
    let (host, zone) = match text.split_once('%') {
        Some((host, zone)) => (host, Some(zone)),
        None => (text, None),
    };
    if let Ok(host) = host.parse::<Ipv4Addr>() {
        return match zone {
            None => Ok((host.into(), None)),
            Some(_) => Err(Violation::of_value(
                "an IPv4 address takes no zone; a zone belongs to an IPv6 address, as in \
                 fe80::1%eth0",
            )),
        };
    }
    let Ok(host) = host.parse::<Ipv6Addr>() else {
        return Err(not_numeric(host));
    };
    let zone = zone.map(|zone| parse_zone(zone, zones)).transpose()?;
    Ok((host.into(), zone))
}

/// An IPv4 address; 0.0.0.0 if there is none.
pub(crate) fn ipv4_or_empty(text: &str) -> Result<Ipv4Addr, Violation> {
    if text.is_empty() {
        return Ok(Ipv4Addr::UNSPECIFIED);
    }
    match parse_host(text, None)? {
        (IpAddr::V4(address), _) => Ok(address),
        (IpAddr::V6(_), _) => Err(Violation::of_value("must be IPv4, such as 192.0.2.1")),
    }
}

/// One scope id out of a zone and a field of its own, where 0 stands for none.
pub(crate) fn scope_id(zone: Option<u32>, given: u32) -> Result<u32, Violation> {
    match zone {
        Some(zone) if given != 0 && given != zone => Err(Violation::of_value(format!(
            "{given} is another interface than the address's zone, which is {zone}; give one of \
             them"
        ))),
        Some(zone) => Ok(zone),
        None => Ok(given),
    }
}

fn not_numeric(host: &str) -> Violation {
    let advice = "hosts are numeric, such as 192.0.2.1 or 2001:db8::1 ([2001:db8::1] in text); \
                  Resolve resolves names";
    Violation::of_value(if host.is_empty() {
        format!(
            "the host is missing; {advice}; 0.0.0.0 and :: are all addresses of the daemon's host"
        )
    } else if host.starts_with('[') {
        format!(
            "{} has brackets, which belong to the text form alone; {advice}",
            quoted(host)
        )
    } else {
        format!("{} is no numeric address; {advice}", quoted(host))
    })
}

fn parse_zone(zone: &str, zones: Option<Zones<'_>>) -> Result<u32, Violation> {
    if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit()) {
        return zone.parse().map_err(|_| {
            Violation::of_value(format!(
                "the zone {} is too large; an interface index is at most {}",
                quoted(zone),
                u32::MAX
            ))
        });
    }
    let Some(zones) = zones else {
        return Err(Violation::of_value(format!(
            "the zone {} is no number; interface names are known on the daemon's host alone, give \
             the index",
            quoted(zone)
        )));
    };
    zones(zone).ok_or_else(|| {
        Violation::of_value(format!(
            "the daemon's host has no interface {}; ListInterfaces tells their names and indexes",
            quoted(zone)
        ))
    })
}
