//! Connections to a daemon that break after so many bytes, or on demand, or that fall silent.

use std::{
    future::Future,
    io,
    ops::RangeInclusive,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::watch,
};

type Connecting = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;

/// A connector, and the ways to break what it connects.
#[derive(Clone)]
pub(crate) struct Pipes {
    connect: Arc<dyn Fn() -> Connecting + Send + Sync>,
    /// A linear congruential generator.
    seed: Arc<Mutex<u64>>,
    /// None: connections break on demand alone.
    budgets: Option<Budgets>,
    connections: Arc<AtomicUsize>,
    /// Each change breaks all connections.
    cut: watch::Sender<()>,
    /// How many connections, from the first, carry nothing any more and do not break.
    silent: Arc<AtomicUsize>,
}

/// The bytes that connections carry before they break.
#[derive(Clone)]
pub(crate) struct Budgets {
    /// The first, which must carry the opening of the session; none: as many as there are.
    pub(crate) first: Option<u64>,
    /// Each of the others.
    pub(crate) others: RangeInclusive<u64>,
}

impl Pipes {
    /// Connections that break on demand alone.
    pub(crate) fn to<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
    {
        Self {
            connect: Arc::new(move || Box::pin(connect())),
            seed: Arc::default(),
            budgets: None,
            connections: Arc::default(),
            cut: watch::Sender::new(()),
            silent: Arc::default(),
        }
    }

    /// That break after a number of bytes, too.
    pub(crate) fn brittle(self, seed: u64, budgets: Budgets) -> Self {
        Self {
            seed: Arc::new(Mutex::new(seed)),
            budgets: Some(budgets),
            ..self
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Lets all connections of now fall silent: as one whose other end is gone without a word.
    #[allow(
        dead_code,
        reason = "not every test that shares this file has silent connections"
    )]
    pub(crate) fn silence(&self) {
        self.silent.store(self.connections(), Ordering::SeqCst);
    }

    pub(crate) fn draw(&self, range: RangeInclusive<u64>) -> u64 {
        let mut seed = self.seed.lock().expect("no panic");
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        range.start() + (*seed >> 33) % (range.end() - range.start() + 1)
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
        let mut cut = self.cut.subscribe();
        let inner = (self.connect)().await?;
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let budget = match &self.budgets {
            Some(budgets) if number == 0 => budgets.first,
            Some(budgets) => Some(self.draw(budgets.others.clone())),
            None => None,
        };
        Ok(Pipe {
            inner,
            number,
            silent: Arc::clone(&self.silent),
            budget: budget.map(|bytes| AtomicI64::new(i64::try_from(bytes).expect("small"))),
            cut: Box::pin(async move {
                let _ = cut.changed().await;
            }),
        })
    }
}

/// One connection.
pub(crate) struct Pipe {
    inner: DuplexStream,
    number: usize,
    silent: Arc<AtomicUsize>,
    budget: Option<AtomicI64>,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Pipe {
    fn is_silent(&self) -> bool {
        self.number < self.silent.load(Ordering::SeqCst)
    }

    fn is_broken(&mut self, context: &mut Context<'_>) -> bool {
        let budget = self.budget.as_ref();
        budget.is_some_and(|budget| budget.load(Ordering::SeqCst) <= 0)
            || self.cut.as_mut().poll(context).is_ready()
    }

    fn spend(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.fetch_sub(i64::try_from(bytes).expect("small"), Ordering::SeqCst);
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
        if self.is_silent() {
            return Poll::Pending;
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
        if self.is_silent() {
            return Poll::Ready(Ok(data.len()));
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
