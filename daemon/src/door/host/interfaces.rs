//! ListInterfaces: pages of interfaces, and what one looks like.

use farsock_proto::{Violation, v1};

use crate::sys::host::Interface;

/// The largest page of ListInterfaces, and the page that a caller gets who does not say.
const MAX_PAGE: usize = 1000;
const DEFAULT_PAGE: usize = 100;

/// Which interfaces to list: those with an index above `after`, `size` at most.
pub(super) struct Page {
    after: u32,
    size: usize,
}

impl Page {
    /// Reads what the caller asks for.
    pub(super) fn from_request(request: &v1::ListInterfacesRequest) -> Result<Self, Violation> {
        let size = match usize::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            _ => {
                return Err(Violation::new(
                    "page_size",
                    format!("{} is not within 0-{MAX_PAGE}", request.page_size),
                ));
            }
        };
        let after = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(|_| {
                Violation::new("page_token", "is not one that ListInterfaces returned")
            })?,
        };
        Ok(Self { after, size })
    }

    /// The page, and the token of the next one, empty if there is none.
    pub(super) fn of(&self, interfaces: Vec<Interface>) -> (Vec<Interface>, String) {
        let mut rest = interfaces
            .into_iter()
            .filter(|interface| interface.index > self.after);
        let page: Vec<Interface> = rest.by_ref().take(self.size).collect();
        let token = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => last.index.to_string(),
            _ => String::new(),
        };
        (page, token)
    }
}

/// An interface as the API tells it.
pub(super) fn interface(interface: Interface) -> v1::Interface {
    let hardware_address = interface
        .hardware_address
        .map_or_else(String::new, |octets| {
            octets.map(|octet| format!("{octet:02x}")).join(":")
        });
    v1::Interface {
        index: interface.index,
        name: interface.name,
        up: interface.up,
        running: interface.running,
        loopback: interface.loopback,
        multicast: interface.multicast,
        point_to_point: interface.point_to_point,
        mtu: interface.mtu,
        hardware_address,
        addresses: interface
            .addresses
            .into_iter()
            .map(|entry| v1::InterfaceAddress {
                address: entry.address.to_string(),
                prefix_length: entry.prefix_length,
                broadcast: entry
                    .broadcast
                    .map_or_else(String::new, |address| address.to_string()),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(indices: std::ops::RangeInclusive<u32>) -> Vec<Interface> {
        indices
            .map(|index| Interface {
                index,
                name: format!("eth{index}"),
                up: true,
                running: true,
                loopback: false,
                multicast: false,
                point_to_point: false,
                mtu: 1500,
                hardware_address: Some([2, 0, 0x5e, 0x10, 0, 1]),
                addresses: Vec::new(),
            })
            .collect()
    }

    fn page(size: i32, token: &str) -> Result<Page, Violation> {
        Page::from_request(&v1::ListInterfacesRequest {
            page_size: size,
            page_token: token.to_owned(),
        })
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let mut token = String::new();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (found, next) = page(2, &token).unwrap().of(interfaces(1..=7));
            seen.extend(found.iter().map(|interface| interface.index));
            token = next;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(token, "");
    }

    #[test]
    fn a_page_that_ends_with_the_last_interface_has_no_next_one() {
        let (found, next) = page(7, "").unwrap().of(interfaces(1..=7));
        assert_eq!((found.len(), next.as_str()), (7, ""));
        let (found, _) = page(0, "").unwrap().of(interfaces(1..=101));
        assert_eq!(found.len(), 100);
    }

    #[test]
    fn a_page_out_of_range_and_a_foreign_token_are_told_by_field() {
        for (size, token, field) in [
            (-1, "", "page_size"),
            (1001, "", "page_size"),
            (i32::MIN, "", "page_size"),
            (1, "x", "page_token"),
            (1, "-1", "page_token"),
            (1, "4294967296", "page_token"),
        ] {
            let error = page(size, token).err().unwrap();
            assert_eq!(error.field, field, "{size} {token:?}");
        }
    }

    #[test]
    fn a_hardware_address_reads_as_people_write_it() {
        let [first] = interfaces(1..=1).try_into().unwrap();
        assert_eq!(interface(first).hardware_address, "02:00:5e:10:00:01");
    }
}
