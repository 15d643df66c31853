//! Connections to an embedded daemon that break after so many bytes, or on demand.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use farsock_daemon::Embedded;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::watch,
};

/// A connector, and the ways to break what it connects.
#[derive(Clone)]
pub(crate) struct Pipes {
    connect: Arc<dyn Fn() -> Connecting + Send + Sync>,
    /// The bytes that each connection carries at most, drawn by a linear congruential generator.
    budgets: Option<Arc<Mutex<u64>>>,
    connections: Arc<AtomicUsize>,
    /// Whether connecting fails.
    closed: Arc<AtomicBool>,
    /// Each change breaks all connections.
    cut: watch::Sender<()>,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;

impl Pipes {
    /// Connections that break on demand alone.
    pub(crate) fn to(daemon: &Embedded) -> Self {
        Self {
            connect: Arc::new(daemon.connector()),
            budgets: None,
            connections: Arc::default(),
            closed: Arc::default(),
            cut: watch::Sender::new(()),
        }
    }

    /// Connections that break after a number of bytes.
    pub(crate) fn brittle(daemon: &Embedded, seed: u64) -> Self {
        Self {
            budgets: Some(Arc::new(Mutex::new(seed))),
            ..Self::to(daemon)
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Breaks all connections, and lets none be made until it is opened again.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.cut.send_replace(());
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    pub(crate) fn connector(
        &self,
    ) -> impl Fn() -> Pin<Box<dyn Future<Output = io::Result<Pipe>> + Send>> + Send + 'static {
        let pipes = self.clone();
        move || {
            let pipes = pipes.clone();
            Box::pin(async move { pipes.pipe().await })
        }
    }

    async fn pipe(&self) -> io::Result<Pipe> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let mut cut = self.cut.subscribe();
        let inner = (self.connect)().await?;
        let first = self.connections.fetch_add(1, Ordering::SeqCst) == 0;
        let budget = match &self.budgets {
            // The first must carry the opening of the session.
            Some(budgets) if !first => draw(budgets),
            _ => 20_000,
        };
        Ok(Pipe {
            inner,
            budget: self.budgets.is_some().then(|| AtomicI64::new(budget)),
            cut: Box::pin(async move {
                let _ = cut.changed().await;
            }),
        })
    }
}

/// 200 to 20,000 bytes.
fn draw(seed: &Mutex<u64>) -> i64 {
    let mut seed = seed.lock().expect("no panic");
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    200 + i64::try_from((*seed >> 33) % 19_800).expect("small")
}

/// One connection.
pub(crate) struct Pipe {
    inner: DuplexStream,
    budget: Option<AtomicI64>,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Pipe {
    fn is_broken(&mut self, context: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(context).is_ready()
            || self
                .budget
                .as_ref()
                .is_some_and(|budget| budget.load(Ordering::SeqCst) <= 0)
    }

    fn spend(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            let bytes = i64::try_from(bytes).expect("small");
            budget.fetch_sub(bytes, Ordering::SeqCst);
        }
    }

    /// How many of `bytes` still go.
    fn allow(&self, bytes: usize) -> usize {
        let left = self.budget.as_ref().map(|b| b.load(Ordering::SeqCst));
        left.map_or(bytes, |left| bytes.min(usize::try_from(left).unwrap_or(0)))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_broken(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.spend(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_broken(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let part = &data[..self.allow(data.len())];
        let written = Pin::new(&mut self.inner).poll_write(context, part);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.spend(*bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
