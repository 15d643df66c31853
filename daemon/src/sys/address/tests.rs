//! The address codec against the C structures, and against itself.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().expect("an address in a test"))
}

fn round_trip(address: &Address) -> Option<Address> {
    decode(encode(address).as_bytes())
}

/// Any address whose form is the one that decoding chooses.
fn canonical() -> impl Strategy<Value = Address> {
    let path = "[^\0]{1,26}".prop_map(|path| Address::Unix(UnixAddress::Path(path)));
    let name = any::<String>()
        .prop_filter("at most 107 bytes", |name| name.len() < SUN_PATH)
        .prop_map(|name| Address::Unix(UnixAddress::Abstract(name)));
    let raw_families = prop_oneof![Just(libc::AF_PACKET), Just(libc::AF_NETLINK), 90..65_535]
        .prop_map(family_number);
    prop_oneof![
        (any::<Ipv4Addr>(), any::<u16>())
            .prop_map(|(ip, port)| Address::Ip(SocketAddrV4::new(ip, port).into())),
        (any::<Ipv6Addr>(), any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
            |(ip, port, flow, scope)| Address::Ip(SocketAddrV6::new(ip, port, flow, scope).into())
        ),
        path,
        name,
        Just(Address::Unix(UnixAddress::Unnamed)),
        (any::<u32>(), any::<u32>())
            .prop_map(|(cid, port)| Address::Vsock(VsockAddress { cid, port })),
        (
            raw_families,
            proptest::collection::vec(any::<u8>(), 0..=DATA)
        )
            .prop_map(|(family, data)| Address::Raw(RawAddress {
                family,
                data: data.into()
            })),
        Just(Address::Unspecified),
    ]
}

proptest! {
    #[test]
    fn what_was_encoded_decodes_to_the_same(address in canonical()) {
        prop_assert_eq!(round_trip(&address), Some(address));
    }

    #[test]
    fn any_bytes_decode_to_something_that_can_be_encoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let address = decode(&bytes);
        prop_assert_eq!(address.is_none(), bytes.len() < 2);
        if let Some(address) = address {
            encode(&address);
        }
    }

    #[test]
    fn a_decoded_sockaddr_says_the_same_when_decoded_again(
        family in prop_oneof![Just(libc::AF_UNIX), Just(libc::AF_INET), Just(libc::AF_INET6), Just(libc::AF_VSOCK)],
        data in proptest::collection::vec(any::<u8>(), 0..=DATA),
    ) {
        let mut bytes = family_number(family).to_ne_bytes().to_vec();
        bytes.extend(data);
        let address = decode(&bytes).expect("longer than a family");
        prop_assert_eq!(round_trip(&address), Some(address));
    }
}

#[test]
fn lengths_are_those_of_the_c_structures() {
    let length = |address: &Address| encode(address).as_bytes().len();
    assert_eq!(length(&ip("127.0.0.1:80")), size_of::<libc::sockaddr_in>());
    assert_eq!(length(&ip("[::1]:80")), size_of::<libc::sockaddr_in6>());
    let vsock = Address::Vsock(VsockAddress { cid: 1, port: 2 });
    assert_eq!(length(&vsock), size_of::<libc::sockaddr_vm>());
    assert_eq!(length(&Address::Unspecified), size_of::<libc::sockaddr>());
    assert_eq!(length(&Address::Unix(UnixAddress::Path("ab".into()))), 5);
    assert_eq!(
        length(&Address::Unix(UnixAddress::Abstract("ab".into()))),
        5
    );
    assert_eq!(
        length(&Address::Unix(UnixAddress::Abstract(String::new()))),
        3
    );
    assert_eq!(length(&Address::Unix(UnixAddress::Unnamed)), 2);
}

#[test]
fn fields_are_where_the_c_structures_have_them() {
    let v4 = encode(&ip("192.0.2.1:258"));
    assert_eq!(v4.as_bytes()[2..8], [1, 2, 192, 0, 2, 1]);

    let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 258, 0x000a_bcde, 7);
    let v6 = encode(&Address::Ip(v6.into()));
    // SAFETY: `v6` was made as a sockaddr_in6, and its storage is aligned for any sockaddr.
    let v6 = unsafe { *v6.as_ptr().cast::<libc::sockaddr_in6>() };
    assert_eq!(c_int::from(v6.sin6_family), libc::AF_INET6);
    assert_eq!(v6.sin6_port, 258_u16.to_be());
    assert_eq!(v6.sin6_flowinfo, 0x000a_bcde_u32.to_be());
    assert_eq!(v6.sin6_addr.s6_addr[15], 1);
    assert_eq!(v6.sin6_scope_id, 7);

    let vsock = encode(&Address::Vsock(VsockAddress { cid: 3, port: 1234 }));
    // SAFETY: `vsock` was made as a sockaddr_vm, and its storage is aligned for any sockaddr.
    let vsock = unsafe { *vsock.as_ptr().cast::<libc::sockaddr_vm>() };
    assert_eq!((vsock.svm_cid, vsock.svm_port), (3, 1234));
}

#[test]
fn what_no_typed_form_can_hold_stays_raw() {
    let raw = |family: c_int, data: &[u8]| {
        let mut bytes = family_number(family).to_ne_bytes().to_vec();
        bytes.extend(data);
        match decode(&bytes) {
            Some(Address::Raw(raw)) => raw.data.to_vec(),
            other => panic!("decoded to {other:?}"),
        }
    };
    assert_eq!(raw(libc::AF_UNIX, b"\xff\0"), b"\xff\0");
    assert_eq!(raw(libc::AF_UNIX, b"\0\xff"), b"\0\xff");
    assert_eq!(raw(libc::AF_INET, &[0; 13]), [0; 13]);
    assert_eq!(raw(libc::AF_INET6, &[0; 22]), [0; 22]);
    assert_eq!(
        raw(libc::AF_VSOCK, &[0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]).len(),
        14
    );
}

#[test]
fn a_path_that_fills_sun_path_is_raw_without_the_kernels_nul() {
    let mut bytes = family_number(libc::AF_UNIX).to_ne_bytes().to_vec();
    bytes.extend([b'x'; SUN_PATH]);
    bytes.push(0);
    let Some(Address::Raw(raw)) = decode(&bytes) else {
        panic!("a path without room for its NUL has no typed form");
    };
    assert_eq!(raw.data.as_ref(), [b'x'; SUN_PATH]);
}

#[test]
fn the_loopback_interface_is_a_zone_and_nonsense_is_none() {
    assert_eq!(zone("lo"), Some(1));
    assert_eq!(zone("no such interface"), None);
    assert_eq!(zone("l\0o"), None);
}
