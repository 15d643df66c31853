//! Operations without a door, on sockets whose descriptors the test can reach.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
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
use crate::{
    engine::{Allowed, EngineLimits},
    sys::{self, testing::set_blocking},
    table::Aftermath,
};

mod waits;

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
                allowed: Allowed::default(),
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
    send_away(context, handle).await;
    let socket = context.socket(handle).expect("it is open");
    set_blocking(socket.as_fd()).expect("it is open");
}

/// Sends the socket to itself: the handle by which it is received is of the same open socket.
async fn receive_again(context: &Context, handle: Handle) -> Handle {
    let far = send_away(context, handle).await;
    let receive = RecvMessages {
        handle: far,
        count: 1,
        length: 16,
        control_length: 64,
        flags: MessageFlags::NONE,
        timeout: None,
    };
    let received = execute(context, receive).await.expect("it was sent");
    match &*received[0].control {
        [ControlMessage::Rights(rights)] => Handle(rights.handles[0]),
        other => panic!("no socket came: {other:?}"),
    }
}

/// Sends the socket; where it can be received.
async fn send_away(context: &Context, handle: Handle) -> Handle {
    let pair = CreateSocketPair {
        domain: Domain::Unix,
        kind: SocketType::Dgram,
        protocol: Protocol::Default,
        nonblocking: false,
        new_handles: (0, 0),
    };
    let (near, far) = execute(context, pair).await.expect("a pair");
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
    far
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
fn accept_does_not_block_on_a_received_listener_that_its_sender_made_blocking() {
    on_a_thread(async |context| {
        let sent = tcp(&context).await;
        let listen = Listen {
            handle: sent,
            backlog: 1,
        };
        execute(&context, listen).await.expect("a port is chosen");
        let received = receive_again(&context, sent).await;
        let socket = context.socket(sent).expect("it is open");
        set_blocking(socket.as_fd()).expect("it is open");
        let accept = Accept {
            handle: received,
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

#[test]
fn the_send_limit_of_tcp_is_for_the_whole_send_however_often_there_is_room() {
    on_a_thread(async |context| {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let socket = tcp(&context).await;
        let connect = Connect {
            handle: socket,
            address: Address::Ip(listener.local_addr().expect("it is bound")),
            timeout: None,
        };
        execute(&context, connect).await.expect("it listens");
        let (mut peer, _) = listener.accept().expect("it is connected");
        let open = context.socket(socket).expect("it is open");
        let limit = Some(Duration::from_secs(1));
        socket2::SockRef::from(&*open)
            .set_write_timeout(limit)
            .expect("it is open");
        // Makes room all the time, and never enough.
        let reader = thread::spawn(move || {
            let mut total = 0;
            let mut piece = vec![0; 256 << 10];
            loop {
                match std::io::Read::read(&mut peer, &mut piece).expect("it is not reset") {
                    0 => return total,
                    count => total += count,
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        const WHOLE: usize = 40 << 20;
        let send = Send {
            handle: socket,
            data: vec![0; WHOLE].into(),
            flags: MessageFlags::NONE,
            timeout: None,
        };
        let sent = execute(&context, send).await.expect("there was room");
        assert!(sent < WHOLE, "{sent}");
        drop(open);
        let close = Close {
            handle: socket,
            abort: false,
        };
        execute(&context, close).await.expect("it is open");
        let total = tokio::task::spawn_blocking(|| reader.join())
            .await
            .expect("it is not aborted");
        assert_eq!(total.expect("it reads to the end"), sent);
    });
}

#[test]
fn a_session_that_is_over_gets_no_more_sockets_and_keeps_no_room() {
    on_a_thread(async |context| {
        let block = context
            .engine
            .table
            .block("a session".to_owned(), Aftermath::Close);
        let block = block.expect("there are numbers");
        let context = Context {
            session: Some(Arc::clone(&block)),
            ..context
        };
        tcp(&context).await;
        let table = &context.engine.table;
        let removed = table.remove_session(&block, context.owner, Aftermath::Close);
        assert_eq!(removed.len(), 1);
        // More often than there is room.
        for _ in 0..20 {
            let one = CreateSocket {
                domain: Domain::Inet,
                kind: SocketType::Stream,
                protocol: Protocol::Default,
                nonblocking: false,
                options: Vec::new(),
                new_handle: 0,
            };
            let over = execute(&context, one).await;
            assert!(matches!(over, Err(Error::SessionExpired)), "{over:?}");
            let two = CreateSocketPair {
                domain: Domain::Unix,
                kind: SocketType::Stream,
                protocol: Protocol::Default,
                nonblocking: false,
                new_handles: (0, 0),
            };
            let over = execute(&context, two).await;
            assert!(matches!(over, Err(Error::SessionExpired)), "{over:?}");
        }
        assert_eq!(context.engine.table.len(), 0);
    });
}

#[test]
fn a_socket_that_meets_its_sessions_end_is_closed_and_nobody_waits_for_that() {
    on_a_thread(async |context| {
        let session = context.engine.table.block(String::new(), Aftermath::Close);
        let session = session.expect("a block");
        let context = Context {
            session: Some(Arc::clone(&session)),
            ..context
        };
        let (fd, _peer) = lingering();
        let kind = sys::socket::kind(fd.as_fd()).expect("it is open");
        let table = &context.engine.table;
        let room = table.reserve().expect("there is room");
        let none = table.remove_session(&session, context.owner, Aftermath::Close);
        assert!(none.is_empty());

        let kept = context.keep(room, None, fd, kind, false);
        let over = kept.expect_err("the session is over");
        assert!(matches!(over, Error::SessionExpired), "{over}");
        assert_eq!(table.len(), 0);
        // It lingers for longer than any test: if it had been closed here, nothing would be under way.
        assert_eq!(context.engine.closing.under_way(), 1);
    });
}

/// A connection whose close waits for its peer, who does not read, for longer than a test may take.
fn lingering() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let near = TcpStream::connect(address).expect("it listens");
    let (far, _) = listener.accept().expect("it was connected");
    let near = Local::from(near);
    near.set_linger(Some(100 * PATIENCE)).expect("it is open");
    near.set_nonblocking(true).expect("it is open");
    while near.send(&[0; 65_536]).is_ok() {}
    (near.into(), far)
}
