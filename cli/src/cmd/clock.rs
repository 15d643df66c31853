//! `farsock clock`: clock_gettime(2).

use crate::{
    args::Global,
    exit::{Failure, Tried},
    output::Output,
    show::Fields,
};

/// Print the clocks of the daemon's host
///
/// CLOCK_REALTIME, CLOCK_MONOTONIC and CLOCK_BOOTTIME. Corresponds to clock_gettime(2).
#[derive(clap::Args)]
pub(crate) struct Clock {}

impl Clock {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let client = global.client().await?;
        let clock = client.clock().await.tried(|| "clock".to_owned())?;
        let fields = Fields::default()
            .with("realtime", clock.realtime)
            .with("monotonic", clock.monotonic)
            .with("boottime", clock.boottime);
        Ok(output.fields(&fields)?)
    }
}
