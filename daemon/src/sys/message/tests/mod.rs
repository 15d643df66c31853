//! Sending and receiving over the real kernel.

mod control;
mod peek;
mod plain;
mod unix;

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use bytes::Bytes;
use farsock_proto::{
    address::Address,
    message::{ControlMessage, MessageFlags},
    socket::{Domain, Protocol, SocketType},
};

use super::*;
use crate::sys::{
    socket::{Events, accept, bind, connect, create, listen, local_address, pair},
    testing::{errno, ip, set, udp, wait},
};

const NONE: MessageFlags = MessageFlags::NONE;

/// Receives one message with its address once there is one.
fn receive_one(fd: &OwnedFd, length: usize, flags: MessageFlags) -> io::Result<Received> {
    wait(fd, Events::IN)?;
    receive(Inbound::of(fd)?, length, flags, true)
}

/// Receives one message with its control messages once there is one.
fn receive_with_control(fd: &OwnedFd) -> io::Result<Received> {
    wait(fd, Events::IN)?;
    let mut messages = receive_messages(Inbound::of(fd)?, 1, 2048, 1024, NONE)?.messages;
    Ok(messages.pop().expect("one message"))
}

/// A message to send.
fn outgoing<'fd>(
    data: &'static [u8],
    address: Option<&Address>,
    control: &[ControlMessage<SentRights<'fd>>],
) -> Outgoing<'fd> {
    Outgoing::new(Bytes::from_static(data), address, control).expect("a message in a test")
}

/// Two connected TCP sockets.
fn tcp_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let tcp = || create(Domain::Inet, SocketType::Stream, Protocol::Default);
    let listener = tcp()?;
    bind(listener.as_fd(), &ip("127.0.0.1:0"))?;
    listen(listener.as_fd(), 1)?;
    let address = local_address(listener.as_fd())?.expect("a bound socket has an address");
    let client = tcp()?;
    match errno(connect(client.as_fd(), &address)) {
        None | Some(libc::EINPROGRESS) => {}
        other => panic!("connect ended with {other:?}"),
    }
    wait(&listener, Events::IN)?;
    let (server, _) = accept(listener.as_fd())?;
    wait(&client, Events::OUT)?;
    Ok((client, server))
}
