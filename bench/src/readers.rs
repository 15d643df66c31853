//! Slow readers: many streams of bytes, of each of which one byte is read every second.
//!
//! Each reads its HTTP/2 stream as it comes, as every client must, and is slow by credit: it grants a byte when one was read. So every
//! byte is a message of its own each way. It is the generated client over one connection.
//!
//! Tasks: one for each reader, and the clock that has them read; they end when this is dropped.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use farsock_proto::v1::{
    self, OpenStream, OptionValue, SetOptionRequest, SocketOption, SocketType, StreamRequest,
    option_value::Value, set_option_request::Name, stream_request::Message as Say,
    stream_response::Message as Hear, stream_service_client::StreamServiceClient,
};
use hyper_util::rt::TokioIo;
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use crate::{
    Failure,
    connection::{self, Client, address},
    far_end::PATIENCE,
    watch::Watch,
};

/// SO_RCVBUF of each reader's socket, in bytes, which the kernel doubles.
pub(crate) const RECEIVE_BUFFER: u64 = 32 << 10;

/// How many are opened at once.
const IN_FLIGHT: usize = 32;

/// How often the clock looks who is to read next.
const TICK: Duration = Duration::from_millis(1);

/// How often to look whether the windows are full.
const LOOK: Duration = Duration::from_millis(20);

/// Twice what is granted: it is credit that holds the daemon back, and never HTTP/2.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// What readers acknowledge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Acknowledge {
    /// What has arrived, as the Rust client does: the daemon need not keep it.
    Arrived,
    /// Only what was read: the daemon keeps the whole window.
    Read,
}

/// How the readers read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) count: usize,
    /// How far the daemon may be ahead of each.
    pub(crate) window: u64,
    pub(crate) acknowledge: Acknowledge,
}

/// The readers.
#[derive(Debug)]
pub(crate) struct Readers {
    manner: Manner,
    readers: Arc<Vec<Reader>>,
    handles: Vec<u64>,
    tasks: JoinSet<()>,
    started: Option<Instant>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Reader {
    requests: UnboundedSender<StreamRequest>,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    arrived: u64,
    acknowledged: u64,
    read: u64,
    /// Why it has ended.
    ended: Option<String>,
}

/// A connection to the daemon, watched.
///
/// # Errors
/// Nobody listens there.
pub(crate) async fn channel(daemon: SocketAddr, watch: &Watch) -> Result<Channel, Failure> {
    let watch = watch.clone();
    let connector = tower::service_fn(move |_| {
        let connecting = watch.clone().connect(daemon);
        async move { connecting.await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector(connector)
        .await?)
}

impl Readers {
    /// Has the daemon connect so many sockets to `source`, opens a stream of each, all on one connection, and waits until every window
    /// is full.
    ///
    /// # Errors
    /// The daemon's answer, or a window does not become full.
    pub(crate) async fn open(
        channel: &Channel,
        source: SocketAddr,
        manner: Manner,
    ) -> Result<Self, Failure> {
        let mut readers = Self {
            manner,
            readers: Arc::default(),
            handles: Vec::with_capacity(manner.count),
            tasks: JoinSet::new(),
            started: None,
        };
        let mut opening: JoinSet<Result<_, Failure>> = JoinSet::new();
        let mut opened = Vec::with_capacity(manner.count);
        for _ in 0..manner.count {
            if opening.len() == IN_FLIGHT
                && let Some(one) = opening.join_next().await
            {
                opened.push(one??);
            }
            let one = Reader::open(channel.clone(), source, manner);
            opening.spawn(async move { timeout(PATIENCE, one).await? });
        }
        while let Some(one) = opening.join_next().await {
            opened.push(one??);
        }
        let mut all = Vec::with_capacity(opened.len());
        for (reader, handle, responses) in opened {
            readers.handles.push(handle);
            readers.tasks.spawn(reader.clone().hear(responses, manner));
            all.push(reader);
        }
        readers.readers = Arc::new(all);
        readers.fill().await?;
        Ok(readers)
    }

    /// From here on each reads a byte a second.
    pub(crate) fn start(&mut self) {
        self.started = Some(Instant::now());
        let readers = Arc::clone(&self.readers);
        self.tasks.spawn(read(readers, self.manner));
    }

    /// Ends the streams, and closes their sockets.
    ///
    /// # Errors
    /// The daemon's answer.
    pub(crate) async fn close(mut self, channel: &Channel) -> Result<(), Failure> {
        self.tasks.shutdown().await;
        drop(self.readers);
        let mut sockets = Client::new(channel.clone());
        for handle in self.handles {
            let abort = true;
            sockets.close(v1::CloseRequest { handle, abort }).await?;
        }
        Ok(())
    }

    /// Waits until every window is full.
    async fn fill(&self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut full = 0;
            for reader in self.readers.iter() {
                let progress = reader.progress();
                if let Some(why) = &progress.ended {
                    return Err(why.clone().into());
                }
                full += usize::from(progress.arrived == self.manner.window);
            }
            if full == self.readers.len() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{full} of {} windows are full", self.readers.len()).into());
            }
            sleep(LOOK).await;
        }
    }

    /// Checks that all are there, and got what they granted; how many bytes a reader has read per second.
    ///
    /// # Errors
    /// One has ended, or its bytes did not come.
    pub(crate) fn check(&self) -> Result<f64, Failure> {
        let mut read = 0;
        for reader in self.readers.iter() {
            let progress = reader.progress();
            if let Some(why) = &progress.ended {
                return Err(why.clone().into());
            }
            // What was granted last may be on its way.
            if progress.arrived + 1 < progress.read + self.manner.window {
                return Err(format!(
                    "{} bytes have arrived where {} were granted",
                    progress.arrived,
                    progress.read + self.manner.window
                )
                .into());
            }
            read += progress.read;
        }
        let seconds = self
            .started
            .map_or(f64::NAN, |started| started.elapsed().as_secs_f64());
        Ok(read as f64 / seconds / self.readers.len() as f64)
    }
}

/// The clock: has everybody read a byte a second, one after the other, evenly.
async fn read(readers: Arc<Vec<Reader>>, manner: Manner) {
    let start = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut done: u64 = 0;
    loop {
        ticks.tick().await;
        let due = (start.elapsed().as_secs_f64() * readers.len() as f64).floor();
        while (done as f64) < due {
            let next = usize::try_from(done).unwrap_or(usize::MAX) % readers.len();
            readers[next].read(manner);
            done += 1;
        }
    }
}

impl Reader {
    /// Connects a socket, and opens its stream.
    async fn open(
        channel: Channel,
        source: SocketAddr,
        manner: Manner,
    ) -> Result<(Self, u64, Streaming<v1::StreamResponse>), Failure> {
        let mut sockets = Client::new(channel.clone());
        let handle = connection::create_socket(&mut sockets, SocketType::Stream).await?;
        let value = Some(Value::Integer(RECEIVE_BUFFER.try_into()?));
        sockets
            .set_option(SetOptionRequest {
                handle,
                name: Some(Name::Option(SocketOption::SoRcvbuf.into())),
                value: Some(OptionValue { value }),
            })
            .await?;
        sockets
            .connect(v1::ConnectRequest {
                handle,
                address: Some(address(source)),
                ..v1::ConnectRequest::default()
            })
            .await?;

        let (requests, receiver) = mpsc::unbounded_channel();
        let reader = Self {
            requests,
            progress: Arc::default(),
        };
        reader.say(Say::Open(OpenStream {
            handle,
            window: manner.window,
            ..OpenStream::default()
        }));
        let responses = StreamServiceClient::new(channel)
            .max_decoding_message_size(2 << 20)
            .stream(UnboundedReceiverStream::new(receiver))
            .await?
            .into_inner();
        Ok((reader, handle, responses))
    }

    /// Takes what comes, until it ends, which it shall not.
    async fn hear(self, mut responses: Streaming<v1::StreamResponse>, manner: Manner) {
        let why = loop {
            match responses.message().await {
                Ok(Some(response)) => match response.message {
                    Some(Hear::Data(data)) if data.iter().all(|byte| *byte == 0xf1) => {
                        self.arrived(data.len() as u64, manner);
                    }
                    Some(Hear::Opened(_) | Hear::Credit(_)) => {}
                    other => break format!("a stream was told {other:?}"),
                },
                Ok(None) => break "a stream has ended".to_owned(),
                Err(status) => break format!("a stream has ended: {status}"),
            }
        };
        self.progress().ended = Some(why);
    }

    fn arrived(&self, length: u64, manner: Manner) {
        let mut progress = self.progress();
        progress.arrived += length;
        // What is less is acknowledged with the next byte that is read.
        let due = progress.arrived - progress.acknowledged >= manner.window / 8;
        if manner.acknowledge == Acknowledge::Arrived && due {
            self.credit(&mut progress, manner);
        }
    }

    /// Reads a byte, if one is there.
    fn read(&self, manner: Manner) {
        let mut progress = self.progress();
        if progress.arrived > progress.read {
            progress.read += 1;
            self.credit(&mut progress, manner);
        }
    }

    fn credit(&self, progress: &mut Progress, manner: Manner) {
        progress.acknowledged = match manner.acknowledge {
            Acknowledge::Arrived => progress.arrived,
            Acknowledge::Read => progress.read,
        };
        self.say(Say::Credit(v1::Credit {
            received: progress.acknowledged,
            limit: progress.read + manner.window,
            ..v1::Credit::default()
        }));
    }

    fn say(&self, message: Say) {
        let message = Some(message);
        // A stream that has ended is found out by reading.
        let _ = self.requests.send(StreamRequest { message });
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
