//! Operations without a door, on sockets whose descriptors the test can reach.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd as _,
    sync::mpsc,
    thread,
};

use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags, Rights},
    socket::{Domain, Protocol, SocketType},
};
use socket2::Socket as Local;

use super::*;
use crate::{engine::EngineLimits, sys::testing::set_blocking};

/// How long anything may take before its test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a call waits for what does not come.
const SHORT: Duration = Duration::from_millis(20);

/// Runs `test` on a thread that may be lost: a call that blocks it fails the test.
fn on_a_thread<F: Future<Output = ()>>(
    test: impl FnOnce(Context) -> F + std::marker::Send + 'static,
) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let limits = EngineLimits {
                max_handles: 16,
                max_waiting: 16,
            };
            let context = Context {
                engine: Engine::new(limits).expect("the kernel has descriptors to give"),
                owner: Owner::Embedded,
                session: None,
                request_id: None,
                watch: None,
            };
            test(context).await;
        });
        done.send(()).expect("the test waits");
    });
    is_done
        .recv_timeout(PATIENCE)
        .expect("nothing blocks, and nothing fails");
}

async fn tcp(context: &Context) -> Handle {
    let create = CreateSocket {
        domain: Domain::Inet,
        kind: SocketType::Stream,
        protocol: Protocol::Default,
        nonblocking: false,
        options: Vec::new(),
        new_handle: 0,
    };
    execute(context, create).await.expect("a socket")
}

/// Sends the socket away, and takes O_NONBLOCK from it as who received it may.
async fn share(context: &Context, handle: Handle) {
    let pair = CreateSocketPair {
        domain: Domain::Unix,
        kind: SocketType::Dgram,
        protocol: Protocol::Default,
        nonblocking: false,
        new_handles: (0, 0),
    };
    let (near, _far) = execute(context, pair).await.expect("a pair");
    let send = SendMessages {
        handle: near,
        messages: vec![OutgoingMessage {
            data: "x".into(),
            address: None,
            control: vec![ControlMessage::Rights(Rights {
                handles: vec![handle.0],
                discarded: 0,
            })],
        }],
        flags: MessageFlags::NONE,
        timeout: None,
    };
    execute(context, send).await.expect("there is room");
    let socket = context.socket(handle).expect("it is open");
    set_blocking(socket.as_fd()).expect("it is open");
}

#[test]
fn accept_does_not_block_though_somebody_else_made_the_listener_blocking() {
    on_a_thread(async |context| {
        let listener = tcp(&context).await;
        let listen = Listen {
            handle: listener,
            backlog: 1,
        };
        execute(&context, listen).await.expect("a port is chosen");
        share(&context, listener).await;
        let accept = Accept {
            handle: listener,
            nonblocking: false,
            timeout: Some(SHORT),
            new_handle: 0,
        };
        let nobody = execute(&context, accept)
            .await
            .expect_err("nobody connects");
        assert!(matches!(nobody, Error::TimedOut(_)), "{nobody}");
    });
}

#[test]
fn connect_does_not_block_though_somebody_else_made_the_socket_blocking() {
    on_a_thread(async |context| {
        let full =
            Local::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        full.bind(&anywhere.into()).expect("a port");
        full.listen(0).expect("it is bound");
        let address = full.local_addr().expect("it is bound");
        let _in_the_way: Vec<Local> = (0..3)
            .map(|_| {
                let one = Local::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
                let one = one.expect("a socket");
                one.set_nonblocking(true).expect("it is open");
                // Connected, or on its way.
                let _ = one.connect(&address);
                one
            })
            .collect();
        let socket = tcp(&context).await;
        share(&context, socket).await;
        let connect = Connect {
            handle: socket,
            address: Address::Ip(address.as_socket().expect("of IPv4")),
            timeout: Some(SHORT),
        };
        let full = execute(&context, connect)
            .await
            .expect_err("nobody has room");
        assert!(matches!(full, Error::TimedOut(_)), "{full}");
    });
}
