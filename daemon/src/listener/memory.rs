//! A listener within the process: pipes instead of a port.

use std::{future::Future, io, pin::Pin};

use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};

/// How many bytes a pipe holds in each direction before its writer waits.
const PIPE_BYTES: usize = 1 << 20;

/// How many connections may wait to be accepted; a further one waits for its turn.
const BACKLOG: usize = 128;

/// Makes a connection; fails with ConnectionRefused once the daemon has ended.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;

/// The listener's end.
#[derive(Debug)]
pub(crate) struct Incoming(mpsc::Receiver<DuplexStream>);

/// The clients' end.
#[derive(Clone, Debug)]
pub(crate) struct Connector(mpsc::Sender<DuplexStream>);

/// A listener and the way to it.
pub(crate) fn pipe() -> (Incoming, Connector) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (Incoming(receiver), Connector(sender))
}

impl Incoming {
    /// The next connection; waits for ever if there can be none.
    pub(crate) async fn next(&mut self) -> DuplexStream {
        match self.0.recv().await {
            Some(stream) => stream,
            None => std::future::pending().await,
        }
    }
}

impl Connector {
    /// Makes a connection.
    pub(crate) fn connect(&self) -> Connecting {
        let sender = self.0.clone();
        Box::pin(async move {
            let (ours, theirs) = duplex(PIPE_BYTES);
            match sender.send(theirs).await {
                Ok(()) => Ok(ours),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "the embedded daemon has ended",
                )),
            }
        })
    }
}
