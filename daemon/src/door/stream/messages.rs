//! What Datagrams and AcceptMany have in common: whole messages, one after the other.
//!
//! Tasks: none; a companion of the call reads, as for bytes: see [`super::bytes`].

use std::sync::Arc;

use bytes::Bytes;
use tonic::Status;

use super::{
    frames::Event,
    reply::Heard,
    request::{IDLE, Requests},
};
use crate::flow::Line;

/// What becomes of a client's messages.
pub(super) trait Hearer: Send + 'static {
    /// Takes the next one.
    fn hear(&self, message: Bytes) -> Result<(), Status>;

    /// Whether the client has not heard what became of all that it sent.
    fn is_untold(&self) -> bool;

    /// The client shall hear it now.
    fn tell(&self);

    /// The opening.
    fn line(&self) -> &Arc<Line>;
}

/// Reads to the end. The client is always read, whatever it was told.
pub(super) async fn read(hearer: impl Hearer, mut requests: Requests, heard: Arc<Heard>) {
    let outcome = hear(&hearer, &mut requests).await;
    heard.end(outcome, hearer.line());
    drop(hearer);
    requests.drain().await;
}

async fn hear(hearer: &impl Hearer, requests: &mut Requests) -> Result<(), Status> {
    loop {
        let event = match hearer.is_untold() {
            true => match tokio::time::timeout(IDLE, requests.next()).await {
                Ok(event) => event,
                Err(_idle) => {
                    hearer.tell();
                    requests.next().await
                }
            },
            false => requests.next().await,
        };
        match event? {
            Some(Event::Message(message)) => hearer.hear(message)?,
            Some(Event::Data(_)) => return Err(Status::internal("bytes in a call of messages")),
            None => return Ok(()),
        }
        // Other tasks of this thread have their turn, however much comes.
        tokio::task::coop::consume_budget().await;
    }
}
