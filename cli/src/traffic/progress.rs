//! How far a transfer is, on stderr: a bar with the rate on a terminal, a line a second elsewhere.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::meter::{Meter, rate};
use crate::output;

/// How often a bar is drawn.
const BAR: Duration = Duration::from_millis(100);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(1);

/// A task that shows a meter until this is dropped; the last state is shown by [`end`](Self::end).
pub(crate) struct Progress {
    meter: Arc<Meter>,
    bar: Option<ProgressBar>,
    task: JoinHandle<()>,
}

impl Progress {
    /// Shows what `meter` has counted. `total` is how many bytes there are to be sent, if that is known.
    pub(crate) fn start(meter: Arc<Meter>, total: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(total));
        let task = tokio::spawn(show(Arc::clone(&meter), bar.clone()));
        Self { meter, bar, task }
    }

    /// Shows how it ended, and leaves it on the screen.
    pub(crate) fn end(self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        output::note(&self.meter);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Endless: ends when its owner aborts it.
async fn show(meter: Arc<Meter>, bar: Option<ProgressBar>) {
    let mut interval = interval(if bar.is_some() { BAR } else { LINE });
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick is at once.
    interval.tick().await;
    let mut before = 0;
    loop {
        interval.tick().await;
        let (sent, received) = (meter.sent(), meter.received());
        match &bar {
            Some(bar) if bar.length().is_some() => bar.set_position(sent),
            Some(bar) => bar.set_position(sent + received),
            None => {
                let moved = sent + received;
                let rate = rate(moved - before, LINE);
                before = moved;
                output::note(format_args!(
                    "{sent} B sent, {received} B received, {rate}/s"
                ));
            }
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (template, bar) = match total {
        Some(total) => (
            "{bytes:>11} of {total_bytes} [{wide_bar}] {binary_bytes_per_sec}, {eta} left",
            ProgressBar::new(total),
        ),
        None => (
            "{spinner} {bytes:>11} {binary_bytes_per_sec} {elapsed}",
            ProgressBar::no_length(),
        ),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.set_style(style);
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bars_have_a_template_that_can_be_read() {
        bar(Some(1));
        bar(None);
    }
}
