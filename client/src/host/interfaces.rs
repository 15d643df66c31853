//! The host's network interfaces.

use std::net::IpAddr;

use farsock_proto::{Violation, v1};

use crate::{
    Client, Error, Result,
    call::{Rpc, Tried},
    convert::{self, PAGE_SIZE},
};

impl Rpc for v1::ListInterfacesRequest {
    type Response = v1::ListInterfacesResponse;
    const PATH: &'static str = "/farsock.v1.HostService/ListInterfaces";
    const VERB: &'static str = "list interfaces";
}

/// A network interface. Corresponds to netdevice(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index, from 1.
    pub index: u32,
    /// Its name, such as "eth0".
    pub name: String,
    /// IFF_UP: it is configured.
    pub up: bool,
    /// IFF_RUNNING: it has a carrier.
    pub running: bool,
    /// IFF_LOOPBACK: it is the loopback.
    pub loopback: bool,
    /// IFF_MULTICAST: it knows multicast.
    pub multicast: bool,
    /// IFF_POINTOPOINT: it has one peer.
    pub point_to_point: bool,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// Its link-layer address, such as "02:00:5e:10:00:01", if it has one.
    pub hardware_address: Option<String>,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
}

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of the network's prefix in bits, 0-128.
    pub prefix_length: u8,
    /// The broadcast address, if there is one.
    pub broadcast: Option<IpAddr>,
}

impl Client {
    /// Lists the host's network interfaces and their addresses, by index, upwards. Corresponds to
    /// getifaddrs(3).
    ///
    /// # Errors
    ///
    /// As of getifaddrs(3).
    pub async fn interfaces(&self) -> Result<Vec<Interface>> {
        let mut interfaces = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListInterfacesRequest {
                page_size: PAGE_SIZE,
                page_token,
            };
            let tried = Tried::of(&request);
            let page = self.call(request).await?;
            for wire in page.interfaces {
                let interface = interface(wire).map_err(|violation| {
                    Error::invalid_response(tried, violation.within("interfaces"))
                })?;
                interfaces.push(interface);
            }
            if page.next_page_token.is_empty() {
                return Ok(interfaces);
            }
            page_token = page.next_page_token;
        }
    }
}

fn interface(wire: v1::Interface) -> Result<Interface, Violation> {
    Ok(Interface {
        index: wire.index,
        name: wire.name,
        up: wire.up,
        running: wire.running,
        loopback: wire.loopback,
        multicast: wire.multicast,
        point_to_point: wire.point_to_point,
        mtu: wire.mtu,
        hardware_address: Some(wire.hardware_address).filter(|address| !address.is_empty()),
        addresses: wire
            .addresses
            .iter()
            .map(interface_address)
            .collect::<Result<_, _>>()
            .map_err(|violation| violation.within("addresses"))?,
    })
}

fn interface_address(wire: &v1::InterfaceAddress) -> Result<InterfaceAddress, Violation> {
    Ok(InterfaceAddress {
        address: convert::ip("address", &wire.address)?,
        prefix_length: convert::number("prefix_length", wire.prefix_length)?,
        broadcast: match wire.broadcast.as_str() {
            "" => None,
            broadcast => Some(convert::ip("broadcast", broadcast)?),
        },
    })
}
