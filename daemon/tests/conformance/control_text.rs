//! Control messages as text: one wording for both worlds, without what no two runs have in common.

use std::{
    fmt::Display,
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, SystemTime},
};

pub(crate) fn number(name: &str, value: impl Display) -> String {
    format!("{name}={value}")
}

pub(crate) fn packet_info(index: u32, local: Ipv4Addr, destination: Ipv4Addr) -> String {
    format!("pktinfo={index},{local},{destination}")
}

pub(crate) fn packet_info6(address: Ipv6Addr, index: u32) -> String {
    format!("pktinfo6={address},{index}")
}

/// Sender and receiver are one process in both worlds: what it is called is its own.
pub(crate) fn credentials(pid: i32, uid: u32, gid: u32) -> String {
    let own = (pid, uid, gid) == own_credentials();
    if own {
        "credentials=own".to_owned()
    } else {
        format!("credentials={pid},{uid},{gid}")
    }
}

/// Process, user and group of this process.
pub(crate) fn own_credentials() -> (i32, u32, u32) {
    let (uid, gid) = crate::direct::user_and_group();
    let pid = i32::try_from(std::process::id()).expect("pids are below 2^22");
    (pid, uid, gid)
}

/// A time stamp is right if it was taken just now.
pub(crate) fn timestamp(name: &str, stamp: SystemTime) -> String {
    let now = SystemTime::now();
    let age = now
        .duration_since(stamp)
        .unwrap_or_else(|ahead| ahead.duration());
    if age < Duration::from_secs(600) {
        format!("{name}=now")
    } else {
        format!("{name}={age:?} away")
    }
}

pub(crate) fn timestamping(software: Option<SystemTime>, hardware: Option<SystemTime>) -> String {
    let text = |name, stamp: Option<SystemTime>| {
        stamp.map_or_else(|| format!("{name}=none"), |stamp| timestamp(name, stamp))
    };
    format!(
        "{} {}",
        text("software", software),
        text("hardware", hardware)
    )
}

pub(crate) fn raw(level: i32, kind: i32, data: &[u8]) -> String {
    format!("cmsg={level},{kind},{data:?}")
}
