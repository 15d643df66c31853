//! What options read after they were set.

use std::collections::HashMap;

use farsock_client::{Client, OptionKind, OptionName, OptionValue};

use super::{
    FILTERS, Twins, VOLATILE, kinds,
    list::{self, NAMED, Named},
    option,
    value::{NETWORK_ORDER, timeval, unit},
    with_client,
};
use crate::{call::Kind, kinds::*, outcome::Failure, remote};

/// Off, on, and what is out of the range of some.
const VALUES: [i32; 5] = [0, 1, 2, 64, -1];

#[test]
fn every_option_reads_back_what_the_kernel_made_of_a_number() {
    with_client(async |client| {
        let host = client.host().await.expect("the daemon answers");
        let takes: HashMap<String, OptionKind> = host
            .options
            .iter()
            .map(|support| (support.name.clone(), support.kind))
            .collect();
        let mut wrong = Vec::new();
        for (kind_name, kind) in kinds() {
            for named in NAMED.iter().filter(|named| concerns(named, kind)) {
                for value in VALUES {
                    let takes = takes.get(named.name).copied();
                    if let Err(difference) = check(client, kind, named, value, takes).await {
                        let name = named.name;
                        wrong.push(format!("{kind_name} {name} = {value}: {difference}"));
                    }
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} differ\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

/// Which options are set on which sockets: each where it means something, and on one more where it may not.
fn concerns(named: &Named, kind: Kind) -> bool {
    // SO_ZEROCOPY is refused: the daemon's memory would be read later. The filters' values are instructions.
    if FILTERS.contains(&named.name) || named.name == "SO_ZEROCOPY" {
        return false;
    }
    let raw = kind.kind == libc::SOCK_RAW;
    match named.level {
        list::SOCKET => [TCP4, UDP6, UNIX_DGRAM].contains(&kind),
        list::IP => [TCP4, UDP4].contains(&kind) || (raw && kind.domain == libc::AF_INET),
        list::IPV6 => [TCP6, UDP6].contains(&kind) || (raw && kind.domain == libc::AF_INET6),
        list::TCP => [TCP4, MPTCP4, UNIX_STREAM].contains(&kind),
        list::UDP => [UDP4, UDP6].contains(&kind),
        list::UDPLITE => [UDP4, UDPLITE4].contains(&kind),
        list::RAW => kind.protocol == libc::IPPROTO_ICMP,
        list::ICMPV6 => kind.protocol == libc::IPPROTO_ICMPV6,
        list::NETLINK => kind.domain == libc::AF_NETLINK,
        list::PACKET => kind.domain == libc::AF_PACKET,
        list::VSOCK => kind.domain == libc::AF_VSOCK,
        _ => [TCP4, MPTCP4].contains(&kind),
    }
}

async fn check(
    client: &Client,
    kind: Kind,
    named: &Named,
    value: i32,
    takes: Option<OptionKind>,
) -> Result<(), String> {
    let Named {
        name,
        level,
        number,
    } = *named;
    let twins = Twins::new(client, kind).await;
    let by_name = by_name(name, level, value, takes);
    // By name the value has the option's own size, by number an int's.
    let bytes = match &by_name {
        Some((_, bytes)) => bytes.clone(),
        None => value.to_ne_bytes().to_vec(),
    };
    let direct = twins.set(level, number, &bytes);
    let remote = match by_name {
        Some((value, _)) => twins.remote.set_option(option(name), value).await,
        None => {
            let raw = OptionValue::Raw(bytes.into());
            twins
                .remote
                .set_option(OptionName::Raw { level, number }, raw)
                .await
        }
    };
    let remote = remote.map_err(|error| remote::failure(&error));
    let mut result = Ok(());
    if direct != remote {
        result = Err(format!("{direct:?}, but the daemon {remote:?}"));
    } else if !VOLATILE.contains(&name) {
        let (direct, remote) = twins.get(level, number, 256).await;
        // A socket that cannot be read any more differs in nothing else.
        if direct != remote {
            result = Err(format!("reads {direct:?}, but the daemon {remote:?}"));
        } else if let Err(Failure::Other(error)) = remote {
            result = Err(error);
        }
    }
    twins.close().await;
    result
}

/// The value of the option's own kind that says this number, and the bytes it is to the kernel; `None` if its kind has none.
fn by_name(
    name: &str,
    level: i32,
    value: i32,
    takes: Option<OptionKind>,
) -> Option<(OptionValue, Vec<u8>)> {
    // Ranges end in violations, which are the daemon's own; below zero is one for most.
    let unsigned = u32::try_from(value).ok()?;
    let int = value.to_ne_bytes().to_vec();
    match takes? {
        OptionKind::Flag => (value < 2).then(|| (OptionValue::Flag(value != 0), int)),
        OptionKind::Integer => {
            let bytes = match name {
                _ if NETWORK_ORDER.contains(&name) => unsigned.to_be_bytes().to_vec(),
                "SO_MAX_PACING_RATE" => u64::from(unsigned).to_ne_bytes().to_vec(),
                _ if level == list::VSOCK => u64::from(unsigned).to_ne_bytes().to_vec(),
                _ => int,
            };
            Some((OptionValue::Integer(value.into()), bytes))
        }
        OptionKind::Duration => {
            let (duration, bytes) = match unit(name) {
                Some(unit) => (unit * unsigned, int),
                None => {
                    let duration = std::time::Duration::from_millis(unsigned.into());
                    (duration, timeval(duration))
                }
            };
            Some((OptionValue::Duration(duration), bytes))
        }
        _ => None,
    }
}
