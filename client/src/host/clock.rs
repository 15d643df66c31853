//! The host's clocks.

use std::time::{Duration, SystemTime};

use farsock_proto::v1;

use crate::{Client, Result, call::Rpc, convert};

impl Rpc for v1::GetClockRequest {
    type Response = v1::GetClockResponse;
    const PATH: &'static str = "/farsock.v1.HostService/GetClock";
    const VERB: &'static str = "clock";
}

/// The host's clocks, read one right after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostClock {
    /// CLOCK_REALTIME.
    pub realtime: SystemTime,
    /// CLOCK_MONOTONIC, since an arbitrary start.
    pub monotonic: Duration,
    /// CLOCK_BOOTTIME, since the host started.
    pub boottime: Duration,
}

impl Client {
    /// Reads the host's clocks. Corresponds to clock_gettime(2).
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn clock(&self) -> Result<HostClock> {
        self.ask(v1::GetClockRequest {}, |response| {
            Ok(HostClock {
                realtime: convert::time("realtime", response.realtime)?,
                monotonic: convert::span("monotonic", response.monotonic)?,
                boottime: convert::span("boottime", response.boottime)?,
            })
        })
        .await
    }
}
