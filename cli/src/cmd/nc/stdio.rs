//! Stdin and stdout as queues of bytes, beside everything else that goes on.
//!
//! Each has a thread of its own, since their reads and writes may block for ever: a queue of four pieces lies between. The reading thread
//! ends at stdin's end, or when it has a piece that nobody takes any more, or with the process; the writing thread when all was
//! written, or at its first error. Neither is waited for by the runtime, so that Ctrl-C need not wait for a terminal.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::fd::AsFd,
    thread,
};

use farsock_client::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::exit::Failure;

/// Pieces under way between a thread and the rest.
const QUEUE: usize = 4;

/// What comes from stdin.
pub(super) struct Stdin {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl Stdin {
    /// Begins to read, at most `largest` bytes at a time.
    pub(super) fn open(largest: usize) -> Result<Self, Failure> {
        let (queue, pieces) = mpsc::channel(QUEUE);
        spawn("stdin", move || read(&queue, largest))?;
        Ok(Self { pieces })
    }

    /// The next piece; none at the end. Can be dropped without loss.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.pieces
            .recv()
            .await
            .transpose()
            .map_err(|error| Failure::Local(format!("stdin: {error}")))
    }

    /// Whether somebody types there.
    pub(super) fn is_terminal() -> bool {
        io::stdin().is_terminal()
    }

    /// How many bytes it has, if it is a file.
    pub(super) fn size() -> Option<u64> {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
        let metadata = stdin.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }
}

/// What goes to stdout.
pub(super) struct Stdout {
    pieces: mpsc::Sender<Bytes>,
    end: oneshot::Receiver<io::Result<()>>,
}

impl Stdout {
    pub(super) fn open() -> Result<Self, Failure> {
        let (pieces, mut queue) = mpsc::channel::<Bytes>(QUEUE);
        let (told, end) = oneshot::channel();
        // The lock on stdout is held for the command's whole life, so this is its file beside it.
        let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        spawn("stdout", move || {
            let result = loop {
                let Some(piece) = queue.blocking_recv() else {
                    break Ok(());
                };
                if let Err(error) = file.write_all(&piece) {
                    break Err(error);
                }
            };
            // Told before the queue is closed: who finds it closed finds the reason too.
            let _ = told.send(result);
            drop(queue);
        })?;
        Ok(Self { pieces, end })
    }

    /// Writes a piece, sooner or later.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        match self.pieces.send(piece).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Returns when everything is written.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        drop(self.pieces);
        Ok(self.end.await.unwrap_or(Ok(()))?)
    }

    /// Returns when stdout takes no more, which is known once a write to it has failed. Can be dropped without loss.
    pub(super) async fn broken(&mut self) -> Failure {
        self.pieces.closed().await;
        self.failure().await
    }

    async fn failure(&mut self) -> Failure {
        match (&mut self.end).await {
            Ok(Err(error)) => error.into(),
            _ => Failure::Local("stdout was closed".to_owned()),
        }
    }
}

fn read(queue: &mpsc::Sender<io::Result<Bytes>>, largest: usize) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut piece = vec![0; largest];
        let read = match stdin.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                // A line of a terminal is not to hold on to all that room.
                Ok(if length < largest / 4 {
                    Bytes::copy_from_slice(&piece)
                } else {
                    piece.into()
                })
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if queue.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|error| Failure::Local(format!("cannot start a thread: {error}")))
}
