//! What somebody would write first with generated code: a relay whose one call is a stream of messages of bytes both ways.
//!
//! Everything is as tonic's own examples have it: bytes are `Vec<u8>`, a task and a bounded channel per direction, 64 KiB a message,
//! HTTP/2 with its defaults, TCP_NODELAY. What tonic-build generates around it is a match of the path and the two lines below.
//!
//! Tasks: one per direction of a call, which ends with it, or when nobody takes what it has read.

use std::{
    convert::Infallible,
    env,
    io::{self, Read, Write},
    net::SocketAddr,
    process::Command,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, StreamingService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::{Connection, Relay};
use crate::{
    Failure,
    far_end::PATIENCE,
    pattern::{Arrived, Pattern, Tally},
    process::{LISTENING, Process},
};

/// How many bytes a message has at most.
const MESSAGE: usize = 65_536;

/// How many messages a channel holds.
const CHANNEL: usize = 16;

/// The one call's path.
const PATH: &str = "/naive.Relay/Relay";

/// The one message.
#[derive(Clone, PartialEq, prost::Message)]
struct Chunk {
    /// Bytes, at most 64 KiB.
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
}

/// The naive relay, and a client of it.
pub(crate) struct Naive {
    runtime: Arc<Runtime>,
    channel: Channel,
    process: Option<Process>,
}

impl Naive {
    /// Starts this program once more, as the relay to the far end, and connects to it.
    ///
    /// # Errors
    /// It does not come to listen.
    pub(crate) fn new(runtime: Arc<Runtime>, far_end: SocketAddr) -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--serve-naive").arg(far_end.to_string());
        let process = Process::start(command)?;
        let address = process.address();
        Self::connect(runtime, address, Some(process))
    }

    /// One that is a task in this process.
    #[cfg(test)]
    pub(crate) fn in_this_process(far_end: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(relay(listener, far_end));
        Self::connect(Arc::new(runtime), address, None).unwrap()
    }

    fn connect(
        runtime: Arc<Runtime>,
        address: SocketAddr,
        process: Option<Process>,
    ) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self {
            runtime,
            channel,
            process,
        })
    }
}

impl Relay for Naive {
    fn connect(&mut self) -> Result<Box<dyn Connection>, Failure> {
        let connection = self.runtime.block_on(call(self.channel.clone()))?;
        Ok(Box::new(NaiveConnection {
            runtime: Arc::clone(&self.runtime),
            sender: Some(connection.0),
            receiver: Some(connection.1),
        }))
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        let process = self.process.as_ref().ok_or("no process")?;
        process.cpu_time()
    }
}

async fn call(channel: Channel) -> Result<(mpsc::Sender<Chunk>, Streaming<Chunk>), Failure> {
    let (sender, messages) = mpsc::channel(CHANNEL);
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let response = grpc
        .streaming(
            Request::new(ReceiverStream::new(messages)),
            http::uri::PathAndQuery::from_static(PATH),
            ProstCodec::<Chunk, Chunk>::default(),
        )
        .await?;
    Ok((sender, response.into_inner()))
}

/// A call. What it does, it does in a task, like a program with more to do.
struct NaiveConnection {
    runtime: Arc<Runtime>,
    sender: Option<mpsc::Sender<Chunk>>,
    receiver: Option<Streaming<Chunk>>,
}

impl Connection for NaiveConnection {
    fn send(&mut self, pattern: &Pattern, bytes: u64) -> Result<(), Failure> {
        let sender = self.sender.take().ok_or("sending has ended")?;
        let chunks = pattern.chunks(bytes);
        let sending = self.runtime.spawn(async move {
            for chunk in chunks {
                for data in chunk.chunks(MESSAGE) {
                    let data = data.to_vec();
                    sender.send(Chunk { data }).await?;
                }
            }
            Ok::<(), mpsc::error::SendError<Chunk>>(())
        });
        let sent = async { tokio::time::timeout(PATIENCE, sending).await };
        Ok(self.runtime.block_on(sent)???)
    }

    fn receive(&mut self) -> Result<Arrived, Failure> {
        // The far end is to see that nothing comes.
        self.sender = None;
        let mut receiver = self.receiver.take().ok_or("receiving has ended")?;
        let receiving = self.runtime.spawn(async move {
            let mut tally = Tally::default();
            while let Some(chunk) = receiver.message().await? {
                tally.add(&chunk.data);
            }
            Ok::<Arrived, Status>(tally.arrived())
        });
        let received = async { tokio::time::timeout(PATIENCE, receiving).await };
        Ok(self.runtime.block_on(received)???)
    }
}

/// Is the relay to `far_end`: serves on a loopback port, tells it on standard error as the daemon does, and ends when standard input
/// does.
///
/// # Errors
/// It cannot listen.
pub(crate) fn serve(far_end: SocketAddr) -> Result<(), Failure> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let line = serde_json::json!({"message": format!("{LISTENING}{}", listener.local_addr()?)});
        writeln!(io::stderr(), "{line}")?;

        let (ended, end) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            // Whatever ends the reading, nobody is there any more.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            drop(ended);
        });
        tokio::select! {
            served = relay(listener, far_end) => served?,
            _ = end => {}
        }
        Ok(())
    })
}

async fn relay(listener: TcpListener, far_end: SocketAddr) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .add_service(NaiveRelay { far_end })
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
}

/// What tonic would generate.
#[derive(Clone, Debug)]
struct NaiveRelay {
    far_end: SocketAddr,
}

impl NamedService for NaiveRelay {
    const NAME: &'static str = "naive.Relay";
}

impl Service<http::Request<Body>> for NaiveRelay {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method {
            far_end: self.far_end,
        };
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Chunk, Chunk>::default());
            Ok(grpc.streaming(method, request).await)
        })
    }
}

/// What somebody would write.
struct Method {
    far_end: SocketAddr,
}

impl StreamingService<Chunk> for Method {
    type Response = Chunk;
    type ResponseStream = ReceiverStream<Result<Chunk, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Chunk>>) -> Self::Future {
        let far_end = self.far_end;
        Box::pin(async move {
            let stream = TcpStream::connect(far_end).await?;
            stream.set_nodelay(true)?;
            let (mut read, mut write) = stream.into_split();
            let mut requests = request.into_inner();
            tokio::spawn(async move {
                while let Ok(Some(chunk)) = requests.message().await {
                    if write.write_all(&chunk.data).await.is_err() {
                        return;
                    }
                }
                // Dropping it passes the end on.
            });

            let (sender, responses) = mpsc::channel(CHANNEL);
            tokio::spawn(async move {
                let mut buffer = vec![0; MESSAGE];
                loop {
                    let response = match read.read(&mut buffer).await {
                        Ok(0) => return,
                        Ok(length) => Ok(Chunk {
                            data: buffer[..length].to_vec(),
                        }),
                        Err(error) => Err(error.into()),
                    };
                    let failed = response.is_err();
                    if sender.send(response).await.is_err() || failed {
                        return;
                    }
                }
            });
            Ok(Response::new(ReceiverStream::new(responses)))
        })
    }
}
