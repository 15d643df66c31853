//! The far end of datagrams: a source that never has more under way than the receiver's queue holds, so that none is dropped.

use std::net::UdpSocket;

use super::{Answer, Datagrams, Lines};
use crate::{Failure, sink};

/// Sends them all, each with one send(2).
pub(super) fn send(ask: &Datagrams, control: &mut Lines) -> Result<Answer, Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(ask.to)?;
    let mut received = 0;
    let mut sent = 0;
    while sent < ask.count {
        let allowed = ask.count.min(received + ask.window);
        if sent == allowed {
            received = control.read()?.ok_or("nobody receives any more")?;
        }
        for number in sent..allowed {
            socket.send(&sink::datagram(number))?;
        }
        sent = allowed;
    }
    // The rest of what is received is told as well.
    while received < ask.count {
        received = control.read()?.ok_or("nobody receives any more")?;
    }
    Ok(Answer::Done)
}
