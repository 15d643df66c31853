//! Sequences of calls, written as they would be in a program.
//!
//! A step's call is expected to succeed in the oracle's world unless it says otherwise ([`Step::fails`], [`Step::either`]): a case that
//! does not do what its name says must not pass by failing in both worlds alike.

use std::time::Duration;

use crate::call::{Addr, Call, Ctl, Data, Kind, Out, Slot};

/// A sequence of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    slots: usize,
}

/// One step of a sequence.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) expected: Expected,
    /// The names of the sockets that it makes.
    pub(crate) makes: Vec<Slot>,
    /// What the oracle's outcome must contain as text.
    pub(crate) gives: Option<String>,
    index: usize,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A call, to its end.
    Call(Call),
    /// A call's beginning.
    Start(Call),
    /// The call of that step waits now.
    Waits(usize),
    /// The end of the call of that step.
    Finish(usize),
    /// Sends zeros until nothing more fits.
    Fill(Slot),
    /// Waits until so many connections wait for accept(2).
    Queue(Slot, u64),
    /// Receives zeros until this follows; if it is empty, until the end.
    Drain(Slot, Vec<u8>),
}

/// What the oracle must answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expected {
    Success,
    Errno(&'static str),
    Anything,
}

/// A call that was begun: the index of its step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(usize);

impl Step {
    /// The kernel says no, with this errno.
    pub(crate) fn fails(&mut self, errno: &'static str) -> &mut Self {
        self.expected = Expected::Errno(errno);
        self
    }

    /// Kernels differ, or chance does: only the worlds must agree.
    pub(crate) fn either(&mut self) -> &mut Self {
        self.expected = Expected::Anything;
        self
    }

    /// The outcome's text contains this.
    pub(crate) fn gives(&mut self, text: impl Into<String>) -> &mut Self {
        self.gives = Some(text.into());
        self
    }

    /// With MSG_* flags.
    pub(crate) fn flags(&mut self, more: i32) -> &mut Self {
        match &mut self.action {
            Action::Call(
                Call::Send { flags, .. }
                | Call::SendTo { flags, .. }
                | Call::SendMessages { flags, .. }
                | Call::Recv { flags, .. }
                | Call::RecvFrom { flags, .. }
                | Call::RecvMessages { flags, .. },
            ) => *flags |= more,
            other => panic!("{other:?} takes no flags"),
        }
        self
    }

    /// The sockets that it receives are known by these names.
    pub(crate) fn makes(&mut self, slots: &[Slot]) -> &mut Self {
        self.makes = slots.to_vec();
        self
    }

    /// Begins the call only; what was said of its outcome holds for its end.
    pub(crate) fn starts(&mut self) -> Begun {
        let Action::Call(call) = self.action.clone() else {
            panic!("{:?} has no beginning", self.action);
        };
        self.action = Action::Start(call);
        Begun(self.index)
    }
}

impl Script {
    /// A name for a socket that a step will make.
    pub(crate) fn slot(&mut self) -> Slot {
        self.slots += 1;
        Slot(self.slots)
    }

    pub(crate) fn push(&mut self, action: Action) -> &mut Step {
        let index = self.steps.len();
        self.steps.push(Step {
            action,
            expected: Expected::Success,
            makes: Vec::new(),
            gives: None,
            index,
        });
        &mut self.steps[index]
    }

    pub(crate) fn call(&mut self, call: Call) -> &mut Step {
        self.push(Action::Call(call))
    }

    /// The call waits now.
    pub(crate) fn waits(&mut self, begun: Begun) {
        self.push(Action::Waits(begun.0));
    }

    /// The call ends, as was expected where it began.
    pub(crate) fn finish(&mut self, begun: Begun) {
        let start = self.steps[begun.0].clone();
        let step = self.push(Action::Finish(begun.0));
        step.expected = start.expected;
        step.makes = start.makes;
        step.gives = start.gives;
    }

    /// Sends zeros until nothing more fits. How many that are depends on timers, so it is no outcome.
    pub(crate) fn fill(&mut self, socket: Slot) {
        self.push(Action::Fill(socket));
    }

    /// Waits until `connections` wait on a TCP listener for accept(2). That a client is connected does not say so: the last step of its
    /// handshake can be on its way.
    pub(crate) fn until_queued(&mut self, listener: Slot, connections: u64) {
        self.push(Action::Queue(listener, connections));
    }

    /// Receives the zeros of [`Script::fill`] and what follows them: `last`, or the end if that is empty.
    pub(crate) fn drain(&mut self, socket: Slot, last: &str) {
        self.push(Action::Drain(socket, last.as_bytes().to_vec()));
    }

    // The calls.

    pub(crate) fn socket(&mut self, kind: Kind) -> Slot {
        let slot = self.slot();
        self.call(Call::Socket(kind)).makes(&[slot]);
        slot
    }

    pub(crate) fn pair(&mut self, kind: Kind) -> (Slot, Slot) {
        let (first, second) = (self.slot(), self.slot());
        self.call(Call::Pair(kind)).makes(&[first, second]);
        (first, second)
    }

    pub(crate) fn bind(&mut self, socket: Slot, address: impl Into<Addr>) -> &mut Step {
        self.call(Call::Bind(socket, address.into()))
    }

    pub(crate) fn listen(&mut self, socket: Slot, backlog: i32) -> &mut Step {
        self.call(Call::Listen(socket, backlog))
    }

    /// Accepts a connection, which is known by the returned name.
    pub(crate) fn accept(&mut self, listener: Slot) -> Slot {
        let slot = self.slot();
        self.try_accept(listener).makes(&[slot]);
        slot
    }

    pub(crate) fn try_accept(&mut self, listener: Slot) -> &mut Step {
        self.call(Call::Accept {
            listener,
            nonblocking: false,
        })
    }

    pub(crate) fn connect(&mut self, socket: Slot, address: impl Into<Addr>) -> &mut Step {
        self.call(Call::Connect(socket, address.into()))
    }

    pub(crate) fn send(&mut self, socket: Slot, data: impl Into<Data>) -> &mut Step {
        self.call(Call::Send {
            socket,
            data: data.into(),
            flags: 0,
        })
    }

    pub(crate) fn send_to(
        &mut self,
        socket: Slot,
        data: impl Into<Data>,
        address: impl Into<Addr>,
    ) -> &mut Step {
        self.call(Call::SendTo {
            socket,
            data: data.into(),
            flags: 0,
            address: Some(address.into()),
        })
    }

    pub(crate) fn send_messages(&mut self, socket: Slot, messages: Vec<Out>) -> &mut Step {
        self.call(Call::SendMessages {
            socket,
            messages,
            flags: 0,
        })
    }

    pub(crate) fn recv(&mut self, socket: Slot, length: usize) -> &mut Step {
        self.call(Call::Recv {
            socket,
            length,
            flags: 0,
        })
    }

    pub(crate) fn recv_from(&mut self, socket: Slot, length: usize) -> &mut Step {
        self.call(Call::RecvFrom {
            socket,
            length,
            flags: 0,
        })
    }

    /// Receives `count` messages of up to 256 bytes, with room for 512 bytes of control messages each.
    pub(crate) fn recv_messages(&mut self, socket: Slot, count: usize) -> &mut Step {
        self.call(Call::RecvMessages {
            socket,
            count,
            length: 256,
            control: 512,
            flags: 0,
        })
    }

    pub(crate) fn shutdown(&mut self, socket: Slot, how: i32) -> &mut Step {
        self.call(Call::Shutdown(socket, how))
    }

    pub(crate) fn close(&mut self, socket: Slot) -> &mut Step {
        self.call(Call::Close {
            socket,
            abort: false,
        })
    }

    pub(crate) fn abort(&mut self, socket: Slot) -> &mut Step {
        self.call(Call::Close {
            socket,
            abort: true,
        })
    }

    pub(crate) fn sock_name(&mut self, socket: Slot) -> &mut Step {
        self.call(Call::SockName(socket))
    }

    pub(crate) fn peer_name(&mut self, socket: Slot) -> &mut Step {
        self.call(Call::PeerName(socket))
    }

    pub(crate) fn info(&mut self, socket: Slot) -> &mut Step {
        self.call(Call::Info(socket))
    }

    /// Sets an option of one int.
    pub(crate) fn set(&mut self, socket: Slot, level: i32, number: i32, value: i32) -> &mut Step {
        self.set_bytes(socket, level, number, value.to_ne_bytes())
    }

    pub(crate) fn set_bytes(
        &mut self,
        socket: Slot,
        level: i32,
        number: i32,
        value: impl AsRef<[u8]>,
    ) -> &mut Step {
        self.call(Call::SetOpt {
            socket,
            level,
            number,
            value: value.as_ref().to_vec(),
        })
    }

    /// Reads an option of one int.
    pub(crate) fn get(&mut self, socket: Slot, level: i32, number: i32) -> &mut Step {
        self.call(Call::GetOpt {
            socket,
            level,
            number,
            room: 4,
        })
    }

    /// Relays between two sockets until both directions have ended.
    pub(crate) fn splice(&mut self, first: Slot, second: Slot) -> &mut Step {
        self.call(Call::Splice(first, second))
    }

    /// Reads SO_ERROR, which clears it.
    pub(crate) fn error_of(&mut self, socket: Slot) -> &mut Step {
        self.get(socket, libc::SOL_SOCKET, libc::SO_ERROR)
    }

    /// SO_RCVTIMEO or SO_SNDTIMEO.
    pub(crate) fn time_limit(&mut self, socket: Slot, option: i32, limit: Duration) -> &mut Step {
        let seconds = i64::try_from(limit.as_secs()).expect("cases wait for seconds");
        let value = [
            seconds.to_ne_bytes(),
            i64::from(limit.subsec_micros()).to_ne_bytes(),
        ]
        .concat();
        self.set_bytes(socket, libc::SOL_SOCKET, option, value)
    }

    /// Which of these events there are now.
    pub(crate) fn poll(&mut self, entries: &[(Slot, i16)]) -> &mut Step {
        self.call(Call::Poll {
            entries: entries.to_vec(),
            timeout: Some(Duration::ZERO),
        })
    }

    /// Lets time pass: waits for an event that does not come.
    pub(crate) fn poll_for(&mut self, socket: Slot, time: Duration) -> &mut Step {
        self.call(Call::Poll {
            entries: vec![(socket, libc::POLLPRI)],
            timeout: Some(time),
        })
    }

    /// Waits for one of these events, of which there will be one.
    pub(crate) fn poll_until(&mut self, entries: &[(Slot, i16)]) -> &mut Step {
        self.call(Call::Poll {
            entries: entries.to_vec(),
            timeout: None,
        })
    }
}

/// A message to the socket's peer.
pub(crate) fn out(data: impl Into<Data>) -> Out {
    Out {
        data: data.into(),
        address: None,
        control: Vec::new(),
    }
}

impl Out {
    pub(crate) fn to(mut self, address: impl Into<Addr>) -> Self {
        self.address = Some(address.into());
        self
    }

    pub(crate) fn with(mut self, control: Ctl) -> Self {
        self.control.push(control);
        self
    }
}
