//! Splice: recv(2) of one socket and send(2) on another, both ways, by splice(2) where the kernel can.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use super::{Context, Operation};
use crate::{
    error::Result,
    journal::{Answer, CallText},
    socket::{Moved, Spliced},
    table::Handle,
};

/// Relays between two sockets until both directions have ended.
#[derive(Debug)]
pub(crate) struct Splice {
    pub(crate) first: Handle,
    pub(crate) second: Handle,
    pub(crate) timeout: Option<Duration>,
}

impl Operation for Splice {
    const VERB: &'static str = "Splice";
    type Output = Spliced;

    fn handle(&self) -> Option<Handle> {
        None
    }

    fn others(&self) -> Vec<Handle> {
        vec![self.first, self.second]
    }

    fn room(&self) -> usize {
        // An error for each direction.
        1024 + 2 * 1024
    }

    fn describe(&self, call: &mut CallText) -> fmt::Result {
        write!(call, "splice({}, {})", self.first, self.second)
    }

    /// "= 12 (5 there, 7 back)": each direction's bytes, and what ended it.
    fn answer(output: &Spliced) -> Answer<'_> {
        let directions = [
            (Some(&output.first_to_second), "there"),
            (output.second_to_first.as_ref(), "back"),
        ];
        let moved = directions.iter().filter_map(|(moved, _)| *moved);
        let total = usize::try_from(moved.map(|moved| moved.bytes).sum::<u64>());
        let total = total.unwrap_or(usize::MAX);
        directions
            .into_iter()
            .filter_map(|(moved, way)| Some((moved?, way)))
            .fold(
                Answer::number(total).moved(total),
                |answer, (moved, way)| answer.with(Text(moved, way)),
            )
    }

    async fn execute(self, context: &Context) -> Result<Spliced> {
        let patience = context.patience(self.timeout);
        let first = context.socket(self.first)?;
        let second = context.socket(self.second)?;
        first.splice(&context.engine, &patience, &second).await
    }
}

/// A direction as the journal shows it.
struct Text<'a>(&'a Moved, &'static str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(moved, way) = self;
        write!(f, "{} {way}", moved.bytes)?;
        if let Some(error) = &moved.error {
            write!(f, " until {}", error.name())?;
        }
        if moved.undelivered > 0 {
            write!(f, " with {} undelivered", moved.undelivered)?;
        }
        Ok(())
    }
}
