//! `farsock interfaces`: getifaddrs(3).

use farsock_client::Interface;
use serde_json::{Value, json};

use crate::{
    args::Global,
    exit::{Failure, Tried},
    output::{Format, Output},
    show::{Fields, Show},
};

/// List the network interfaces of the daemon's host
///
/// With -o json: one array with an object for each, whose `addresses` are an array too. Corresponds to getifaddrs(3) and netdevice(7).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock interfaces
  farsock interfaces -o json | jq -r '.[] | select(.loopback | not) | .addresses[].address'")]
pub(crate) struct Interfaces {}

impl Interfaces {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        const HEADER: [&str; 6] = ["INDEX", "NAME", "STATE", "MTU", "HARDWARE", "ADDRESSES"];
        let client = global.client().await?;
        let interfaces = client
            .interfaces()
            .await
            .tried(|| "interfaces".to_owned())?;
        if output.format() == Format::Json {
            let interfaces: Vec<_> = interfaces.iter().map(to_json).collect();
            return Ok(output.json(&json!(interfaces))?);
        }
        let rows: Vec<_> = interfaces.iter().map(row).collect();
        Ok(output.rows(&HEADER, &rows)?)
    }
}

fn row(interface: &Interface) -> Vec<String> {
    let state = [
        (interface.up, "up"),
        (interface.running, "running"),
        (interface.loopback, "loopback"),
        (interface.multicast, "multicast"),
        (interface.point_to_point, "point-to-point"),
    ];
    let state: Vec<&str> = state
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    let addresses: Vec<String> = interface
        .addresses
        .iter()
        .map(|of| format!("{}/{}", of.address, of.prefix_length))
        .collect();
    vec![
        interface.index.text(),
        interface.name.clone(),
        state.join(","),
        interface.mtu.text(),
        interface.hardware_address.text(),
        addresses.join(" "),
    ]
}

fn to_json(interface: &Interface) -> Value {
    let addresses: Value = interface
        .addresses
        .iter()
        .map(|of| {
            Fields::default()
                .with("address", of.address)
                .with("prefix_length", u32::from(of.prefix_length))
                .with("broadcast", of.broadcast)
                .json()
        })
        .collect();
    let mut object = Fields::default()
        .with("index", interface.index)
        .with("name", interface.name.clone())
        .with("up", interface.up)
        .with("running", interface.running)
        .with("loopback", interface.loopback)
        .with("multicast", interface.multicast)
        .with("point_to_point", interface.point_to_point)
        .with("mtu", interface.mtu)
        .with("hardware_address", interface.hardware_address.clone())
        .json();
    object["addresses"] = addresses;
    object
}
