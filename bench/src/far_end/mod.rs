//! The far end: what the network would be, a process of its own that sends, receives, and tells what it has.
//!
//! It is told what to do over a connection of its own, a line of JSON for each request and each answer. This side of it blocks: whoever
//! runs tasks leaves them to the runtime's workers.

mod accepting;
mod datagrams;
mod serve;
mod sources;
mod streams;

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Failure, pattern::Arrived, process::Process};

pub(crate) use serve::serve;
pub(crate) use streams::read_to_end;

/// How long anything asked of it may take; beyond it something is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What it can be asked to do, one after the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Ask {
    /// Tell where it takes data connections: [`Answer::Address`].
    Address,
    /// Take a data connection and read it to its end: [`Answer::Arrived`], when it has. It stays open until the next is asked.
    Sink,
    /// Take a data connection, send so many bytes of the pattern, end that direction, and read the other to its end: [`Answer::Done`].
    Source(u64),
    /// Take a data connection and write messages of this length for ever, each at once: [`Answer::Done`] when it has the connection.
    Flood(usize),
    /// Take so many data connections, and write to each for ever, as fast as it takes it: [`Answer::Done`] when it has them all.
    Sources(usize),
    /// How many bytes of the flood, or by the sources, have been written up to now: [`Answer::Written`].
    Flooded,
    /// Send datagrams: see [`Datagrams`]. [`Answer::Done`].
    Datagrams(Datagrams),
    /// Connect, wait for the other side's end, and close, again and again: [`Answer::Done`].
    Connections(Connections),
}

/// Datagrams to send.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Datagrams {
    /// Where to.
    pub(crate) to: SocketAddr,
    /// How many: numbers 0 to this, less 1.
    pub(crate) count: usize,
    /// How many may be under way: no more are sent until a line on this connection tells how many have been received in all.
    pub(crate) window: usize,
}

/// Connections to make.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Connections {
    /// Where to.
    pub(crate) to: SocketAddr,
    /// How many.
    pub(crate) count: usize,
    /// How many at once.
    pub(crate) in_flight: usize,
}

/// What it answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Answer {
    /// Where it takes data connections.
    Address(SocketAddr),
    /// What has arrived.
    Arrived(Arrived),
    /// How many bytes have been written.
    Written(u64),
    /// It has been done.
    Done,
    /// Why it could not be done.
    Failed(String),
}

/// A far end. Its process ends with it.
#[derive(Debug)]
pub(crate) struct FarEnd {
    control: Lines,
    address: SocketAddr,
    /// Its process, if it is one of its own.
    _process: Option<Process>,
}

impl FarEnd {
    /// Starts this program once more, as the far end.
    ///
    /// # Errors
    /// It does not come to listen.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--serve-far-end");
        let process = Process::start(command)?;
        Self::connect(process.address(), Some(process))
    }

    /// One that is a thread of this process.
    #[cfg(test)]
    pub(crate) fn in_this_process() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve::answer(listener.accept().unwrap().0).unwrap());
        Self::connect(address, None).unwrap()
    }

    fn connect(control: SocketAddr, process: Option<Process>) -> Result<Self, Failure> {
        let mut control = Lines::new(TcpStream::connect(control)?)?;
        control.write(&Ask::Address)?;
        let Answer::Address(address) = control.answer()? else {
            return Err("the far end did not tell its address".into());
        };
        Ok(Self {
            control,
            address,
            _process: process,
        })
    }

    /// Where it takes data connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for something.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Result<(), Failure> {
        self.control.write(ask)
    }

    /// Says how many datagrams have been received: see [`Datagrams::window`]. It does not wait.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn received(&mut self, datagrams: usize) -> Result<(), Failure> {
        self.control.write(&datagrams)
    }

    /// Waits for the answer to what was asked.
    ///
    /// # Errors
    /// It could not do it, or has not within [`PATIENCE`].
    pub(crate) fn answer(&mut self) -> Result<Answer, Failure> {
        self.control.answer()
    }

    /// Waits for what has arrived at a sink.
    ///
    /// # Errors
    /// As of [`FarEnd::answer`].
    pub(crate) fn arrived(&mut self) -> Result<Arrived, Failure> {
        match self.answer()? {
            Answer::Arrived(arrived) => Ok(arrived),
            other => Err(format!("the far end answered {other:?}").into()),
        }
    }

    /// How many bytes of the flood, or by the sources, have been written up to now.
    ///
    /// # Errors
    /// As of [`FarEnd::answer`].
    pub(crate) fn flooded(&mut self) -> Result<u64, Failure> {
        self.ask(&Ask::Flooded)?;
        match self.answer()? {
            Answer::Written(bytes) => Ok(bytes),
            other => Err(format!("the far end answered {other:?}").into()),
        }
    }

    /// Waits until what was asked is done.
    ///
    /// # Errors
    /// As of [`FarEnd::answer`].
    pub(crate) fn done(&mut self) -> Result<(), Failure> {
        match self.answer()? {
            Answer::Done => Ok(()),
            other => Err(format!("the far end answered {other:?}").into()),
        }
    }
}

/// Lines of JSON both ways.
#[derive(Debug)]
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn new(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn write(&mut self, message: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        Ok(self.0.get_mut().write_all(&line)?)
    }

    /// The next, or `None` at the end.
    fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let answer = self
            .read()
            .map_err(|error| format!("no answer from the far end: {error}"))?;
        match answer {
            Some(Answer::Failed(why)) => Err(format!("the far end: {why}").into()),
            Some(answer) => Ok(answer),
            None => Err("the far end is gone".into()),
        }
    }
}
