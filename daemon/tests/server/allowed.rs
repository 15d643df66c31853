//! What callers may ask the kernel for by number: what is known to be harmless, and with a setting everything else.

use farsock_client::{
    Client, Domain, Error, ErrorKind, OptionName, OptionValue, Protocol, RemoteSocket, SocketType,
};
use farsock_daemon::config::Config;
use socket2::Socket;

use crate::support::{Daemon, FARSOCKD, Serving, at};

/// AF_ALG, AF_RDS, AF_KEY, AF_CAN, and one that no kernel has yet.
const FAMILIES: [i32; 5] = [38, 21, 15, 29, 60];

/// SOL_ALG, SOL_RXRPC, SOL_SMC, one of nobody's, and of SOL_SOCKET and SOL_IP (IPVS) a number without a name.
const OPTIONS: [(i32, i32); 6] = [
    (279, 1),
    (272, 3),
    (286, 1),
    (12_345, 1),
    (1, 9999),
    (0, 1152),
];

async fn client(serving: &Serving) -> Client {
    let address = serving.addresses[0].to_string();
    Client::connect(&address).await.expect("it serves")
}

async fn socket(client: &Client, family: i32) -> farsock_client::Result<RemoteSocket> {
    let domain = Domain::Raw(family);
    client
        .socket(domain, SocketType::Seqpacket, Protocol::Default)
        .await
}

/// What the kernel says of a socket of that family.
fn local(family: i32) -> Option<i32> {
    let socket = Socket::new(family.into(), socket2::Type::SEQPACKET, None);
    socket.err().and_then(|error| error.raw_os_error())
}

fn names(error: &Error, field: &str, setting: &str) {
    let ErrorKind::InvalidRequest { violations } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(violations[0].field, field, "{error}");
    assert!(violations[0].description.contains(setting), "{error}");
}

#[tokio::test]
async fn what_is_not_known_to_be_harmless_is_refused_and_the_refusal_names_the_setting() {
    let serving = Serving::tcp().await;
    let client = client(&serving).await;
    for family in FAMILIES {
        let refused = socket(&client, family).await.expect_err("it is not listed");
        names(&refused, "raw_domain", "--allow-raw-families");
        let pair = client
            .socket_pair(Domain::Raw(family), SocketType::Stream, Protocol::Default)
            .await;
        let refused = pair.expect_err("it is not listed");
        names(&refused, "raw_domain", "--allow-raw-families");
    }
    let inet = client.socket(Domain::Inet, SocketType::Other(9), Protocol::Default);
    let refused = inet.await.expect_err("it is not listed");
    names(&refused, "raw_type", "--allow-raw-families");

    let udp = client.udp_socket().await.expect("a socket");
    for (level, number) in OPTIONS {
        let name = OptionName::Raw { level, number };
        let set = udp.set_option(name, OptionValue::Integer(1)).await;
        let refused = set.expect_err("it is not listed");
        names(&refused, "raw_option", "--allow-raw-options");
        let refused = udp.option(name).await.expect_err("it is not listed");
        names(&refused, "raw_option", "--allow-raw-options");
    }
    // What has a name passes by number as well: SO_REUSEADDR, IP_TTL.
    for (level, number) in [(1, 2), (0, 2)] {
        let name = OptionName::Raw { level, number };
        let set = udp.set_option(name, OptionValue::Integer(1)).await;
        set.expect("it is a number like any other");
        udp.option(name).await.expect("it can be read");
    }
    serving.shutdown.now();
    serving.ended().await;
}

#[tokio::test]
async fn with_the_settings_the_kernel_answers_but_what_points_into_the_daemon_stays_refused() {
    let config = Config {
        allow_raw_families: true,
        allow_raw_options: true,
        ..at("tcp://127.0.0.1:0")
    };
    let serving = Serving::start(config).await;
    let client = client(&serving).await;
    for family in FAMILIES {
        let errno = match socket(&client, family).await {
            Ok(_) => None,
            Err(error) => error.errno(),
        };
        assert_eq!(errno, local(family), "family {family}");
    }
    let udp = client.udp_socket().await.expect("a socket");
    for (level, number) in OPTIONS {
        let name = OptionName::Raw { level, number };
        let set = udp.set_option(name, OptionValue::Integer(1)).await;
        let error = set.expect_err("a UDP socket has none such");
        assert!(error.errno().is_some(), "{error}");
    }
    // SO_ATTACH_BPF takes a descriptor, RDS and XDP take pointers.
    for (level, number) in [(1, 50), (276, 1), (283, 4)] {
        let name = OptionName::Raw { level, number };
        let set = udp.set_option(name, OptionValue::Integer(1)).await;
        let refused = set.expect_err("it reaches into the daemon");
        names(&refused, "raw_option", "refused");
    }
    serving.shutdown.now();
    serving.ended().await;
}

#[tokio::test]
async fn the_settings_are_flags_with_or_without_a_value() {
    for (flags, wanted) in [
        (&[][..], false),
        (&["--allow-raw-families", "--allow-raw-options"], true),
        (
            &["--allow-raw-families=true", "--allow-raw-options=true"],
            true,
        ),
        (
            &["--allow-raw-families=false", "--allow-raw-options=false"],
            false,
        ),
    ] {
        let mut command = Daemon::command(FARSOCKD);
        command.args(["--listen=tcp://127.0.0.1:0", "--print-config"]);
        let printed = command.args(flags).output().await.expect("it runs");
        let printed = String::from_utf8_lossy(&printed.stdout);
        for setting in ["allow_raw_families", "allow_raw_options"] {
            let line = format!("{setting} = {wanted}\n");
            assert!(printed.contains(&line), "{printed}");
        }
    }
}
