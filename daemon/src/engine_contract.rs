//! Placeholder of the engine's names, as far as the process around it uses them.

use std::{sync::Arc, time::SystemTime};

/// How much of everything the engine allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineLimits {
    /// How many handles there may be at once.
    pub(crate) max_handles: usize,
    /// How many operations may wait at once.
    pub(crate) max_waiting: usize,
}

/// Owns every socket.
#[derive(Debug)]
pub(crate) struct Engine {
    limits: EngineLimits,
    start_time: SystemTime,
}

impl Engine {
    /// An engine without sockets.
    #[must_use]
    pub(crate) fn new(limits: EngineLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            start_time: SystemTime::now(),
        })
    }

    /// The limits.
    #[must_use]
    pub(crate) fn limits(&self) -> EngineLimits {
        self.limits
    }

    /// How many handles there are.
    #[must_use]
    pub(crate) fn open_handles(&self) -> usize {
        0
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub(crate) fn instance_id(&self) -> &str {
        "00000000000000000000000000000000"
    }

    /// When the engine came to be.
    #[must_use]
    pub(crate) fn start_time(&self) -> SystemTime {
        self.start_time
    }

    /// Refuses new operations with DRAINING and ends those that wait.
    pub(crate) fn drain(&self) {}

    /// Waits until all operations are over.
    pub(crate) async fn idle(&self) {}

    /// Closes every socket.
    pub(crate) async fn close_all(&self) {}
}

/// Whom a connection, and all that is created over it, belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A user of this host, over a unix socket.
    Uid(u32),
    /// Whoever reaches the TCP listener.
    Tcp,
    /// The process that the daemon is embedded in.
    Embedded,
}

/// The largest payload of a request or response, in bytes.
pub(crate) const MAX_PAYLOAD_BYTES: u64 = 1 << 20;

/// The most messages of one SendMessages or RecvMessages, and entries of one Poll.
pub(crate) const MAX_MESSAGES: u32 = 1024;
