//! Counts what a connection carries, and knows for how long it has been idle.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use indicatif::HumanBytes;
use tokio::time::Instant;

/// Bytes each way, since the meter was made.
pub(crate) struct Meter {
    start: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// When bytes last moved, in milliseconds from `start`.
    active: AtomicU64,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            active: AtomicU64::new(0),
        }
    }

    /// So many bytes more were sent.
    pub(crate) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.touch();
    }

    /// So many bytes more were received.
    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.touch();
    }

    /// Bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How long the meter runs.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns when nothing has moved for `span`; never without one. From the first call on: what came before is no idleness of the
    /// connection's.
    pub(crate) async fn idle(&self, span: Option<Duration>) {
        let Some(span) = span else {
            return std::future::pending().await;
        };
        self.touch();
        loop {
            let active = Duration::from_millis(self.active.load(Ordering::Relaxed));
            let Some(end) = (self.start + active).checked_add(span) else {
                return std::future::pending().await;
            };
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(now, Ordering::Relaxed);
    }
}

/// "5 B sent, 1.20 GiB received in 2.0 s (614.40 MiB/s)"
impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, received) = (self.sent(), self.received());
        let elapsed = self.elapsed();
        let (seconds, rate) = (
            elapsed.as_secs_f64(),
            rate(sent.saturating_add(received), elapsed),
        );
        let (sent, received) = (HumanBytes(sent), HumanBytes(received));
        write!(
            f,
            "{sent} sent, {received} received in {seconds:.1} s ({rate}/s)"
        )
    }
}

/// Bytes a second.
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> HumanBytes {
    let nanos = elapsed.as_nanos().max(1);
    let rate = u128::from(bytes) * 1_000_000_000 / nanos;
    HumanBytes(u64::try_from(rate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bytes_by_seconds_and_no_span_divides_by_zero() {
        assert_eq!(
            rate(2048, Duration::from_secs(2)).to_string(),
            "1.00 KiB".to_owned()
        );
        assert_eq!(rate(0, Duration::ZERO).to_string(), "0 B");
        assert!(rate(u64::MAX, Duration::ZERO).0 == u64::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_meter_is_idle_when_nothing_has_moved_for_the_span() {
        let meter = Meter::start();
        let start = Instant::now();
        let span = Duration::from_secs(10);
        let moving = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            meter.add_received(1);
        };
        tokio::join!(meter.idle(Some(span)), moving);
        assert_eq!(start.elapsed(), Duration::from_secs(16));
    }
}
