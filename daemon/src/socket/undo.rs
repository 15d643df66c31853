//! What an operation has taken or made, for as long as it can be given back.
//!
//! From the system call that took something until its result is acknowledged, whoever cancels the operation finds here what it took, and
//! puts it back at once: under the lock under which it was taken, so that what comes after the cancel sees it.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farsock_proto::message::MessageFlags;

use super::{
    Fault, Patience, Socket, Turn, Watch,
    kept::{Kept, Place, Whole},
    receive::{Empty as _, ReceiveRequest},
};
use crate::sys::message::Received;

/// What one operation has taken.
#[derive(Debug, Default)]
pub(crate) struct Undo(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// Nothing so far, or nothing that can be given back.
    #[default]
    Nothing,
    /// By a receive that is under way.
    Taken(Box<Held>),
    /// By an operation that is answered. None if it has looked and taken nothing.
    Answered(Option<Box<dyn GiveBack>>),
    /// It was given back: the operation takes nothing more.
    GivenBack {
        /// Whether it was answered before.
        answered: bool,
    },
}

/// What an answered operation took or made.
pub(crate) trait GiveBack: fmt::Debug + Send {
    /// Puts it back, or closes it.
    fn give_back(self: Box<Self>);
}

impl Undo {
    /// Gives back what the operation took, and lets it take nothing more. Returns whether it was answered with that.
    pub(crate) fn give_back(&self) -> bool {
        let mut state = self.lock();
        let answered = matches!(
            *state,
            State::Answered(_) | State::GivenBack { answered: true }
        );
        match mem::replace(&mut *state, State::GivenBack { answered }) {
            State::Taken(held) => held.put_back(),
            State::Answered(Some(taken)) => taken.give_back(),
            _ => {}
        }
        answered
    }

    /// Whether it was answered, and what it took was given back.
    pub(crate) fn is_undone(&self) -> bool {
        matches!(*self.lock(), State::GivenBack { answered: true })
    }

    /// Whether there is an answer that can be undone.
    pub(crate) fn can_be_undone(&self) -> bool {
        matches!(*self.lock(), State::Answered(_))
    }

    /// Does what can be undone, unless the operation was cancelled before.
    pub(crate) fn act<T>(
        &self,
        act: impl FnOnce() -> Result<(T, Box<dyn GiveBack>), Fault>,
    ) -> Result<T, Fault> {
        let mut state = self.lock();
        if let State::GivenBack { .. } = *state {
            return Err(Fault::Cancelled);
        }
        let (output, taken) = act()?;
        *state = State::Answered(Some(taken));
        Ok(output)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is changed under it is changed at once.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a receive that is under way has taken so far.
#[derive(Debug)]
struct Held {
    /// Where it goes back to; none if it was only looked at.
    kept: Option<(Arc<Kept>, Place, u64)>,
    /// All but the last.
    messages: Vec<Received>,
    last: Option<Whole>,
}

impl Held {
    fn push(&mut self, message: Received) {
        self.messages
            .extend(self.last.replace(Whole::new(message)).map(Whole::finish));
    }

    fn len(&self) -> usize {
        self.messages.len() + usize::from(self.last.is_some())
    }

    /// The position of the first.
    fn position(&self) -> u64 {
        let first = self.messages.first();
        let last = self.last.as_ref().map(Whole::received);
        first
            .or(last)
            .map_or(Received::NOWHERE, |first| first.position)
    }

    fn take(&mut self) -> Vec<Received> {
        let mut all = mem::take(&mut self.messages);
        all.extend(self.last.take().map(Whole::finish));
        all
    }

    fn put_back(mut self: Box<Self>) {
        let messages = self.take();
        if let Some((kept, place, generation)) = self.kept.take() {
            kept.put_back(place, generation, messages);
        }
    }
}

/// What a receive has taken, until it is answered. Dropped before, with its future, it is given back; its turn is passed on after that.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    socket: &'a Socket,
    undo: Owned,
    place: Place,
    takes: bool,
    generation: u64,
    turn: Option<Turn<'a>>,
}

#[derive(Debug)]
enum Owned {
    /// Somebody may give it back from outside.
    Watched(Arc<Watch>),
    Alone(Undo),
}

/// What a step of a receive has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    More,
    /// It has what it wants, or as much as it gets.
    Enough,
}

impl<'a> Taken<'a> {
    /// Nothing yet.
    pub(super) fn new(socket: &'a Socket, patience: &Patience, flags: MessageFlags) -> Self {
        let place = socket.place(flags);
        Self {
            socket,
            undo: match patience.watch().filter(|watch| watch.gives_back()) {
                Some(watch) => Owned::Watched(Arc::clone(watch)),
                None => Owned::Alone(Undo::default()),
            },
            place,
            // The error queue takes with MSG_PEEK, too.
            takes: !flags.contains(MessageFlags::PEEK) || place == Place::Errors,
            generation: socket.kept().generation(),
            turn: None,
        }
    }

    /// Whether it can be given back after its answer.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.undo, Owned::Watched(_))
    }

    pub(super) fn hold_turn(&mut self, turn: Turn<'a>) {
        self.turn = Some(turn);
    }

    /// Receives, unless it was cancelled.
    pub(super) fn take<M: IntoIterator<Item = Received>>(
        &self,
        receive: impl FnOnce() -> Result<M, Fault>,
    ) -> Result<(), Fault> {
        self.with(|held| {
            for message in receive()? {
                held.push(message);
            }
            Ok(())
        })
    }

    /// What a receive ends with that gets nothing more: an empty message that is in no queue.
    pub(super) fn end(&self, is_end: bool) -> Result<(), Fault> {
        self.take(|| Ok([Received::end(is_end)]))
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.with(|held| Ok(held.len())).unwrap_or_default()
    }

    /// Looks at the last message and puts more to it.
    pub(super) fn go_on(
        &self,
        asked: (ReceiveRequest, usize),
        step: impl FnOnce(&mut Whole) -> Result<Step, Fault>,
    ) -> Result<Step, Fault> {
        self.with(|held| {
            self.put_in_order(held, asked);
            match &mut held.last {
                Some(last) => step(last),
                None => Ok(Step::Enough),
            }
        })
    }

    /// Puts another in place of the last message.
    pub(super) fn replace_last(&self, message: Received) {
        // One that was cancelled has no last message.
        let _ = self.with(|held| {
            held.last = Some(Whole::new(message));
            Ok(())
        });
    }

    /// If something was given back meanwhile that was received before, it comes first.
    fn put_in_order(&self, held: &mut Held, (request, control_length): (ReceiveRequest, usize)) {
        let socket = self.socket;
        let is_in_order = !self.takes
            || self.place != Place::Queue
            || held.len() == 0
            || !socket.kept().has_before(held.position());
        if is_in_order {
            return;
        }
        let count = held.len();
        let messages = held.take();
        socket
            .kept()
            .put_back(self.place, self.generation, messages);
        while held.len() < count
            && let Some((message, _)) = socket.take_kept(request, control_length)
        {
            held.push(message);
        }
    }

    /// The answer: `answer` makes it, with what gives back what it took. That is asked for if `is_watched`.
    ///
    /// # Errors
    /// It was cancelled, and given back.
    pub(crate) fn answer<T>(
        self,
        asked: (ReceiveRequest, usize),
        answer: impl FnOnce(Vec<Received>) -> (T, Option<Box<dyn GiveBack>>),
    ) -> Result<T, Fault> {
        let mut state = self.undo().lock();
        let messages = match &mut *state {
            State::Nothing => Vec::new(),
            State::Taken(held) => {
                self.put_in_order(held, asked);
                held.take()
            }
            State::Answered(_) | State::GivenBack { .. } => return Err(Fault::Cancelled),
        };
        if self.takes {
            self.socket.count_received(&messages);
        }
        let (output, taken) = answer(messages);
        *state = State::Answered(taken.filter(|_| self.takes));
        drop(state);
        Ok(output)
    }

    /// Where it takes from, and the socket's generation when it began: where it goes back to.
    pub(crate) fn origin(&self) -> (Place, u64) {
        (self.place, self.generation)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut state = self.undo().lock();
        if let State::Nothing = *state {
            let kept = Arc::clone(self.socket.kept());
            *state = State::Taken(Box::new(Held {
                kept: self.takes.then_some((kept, self.place, self.generation)),
                messages: Vec::new(),
                last: None,
            }));
        }
        match &mut *state {
            State::Taken(held) => act(held),
            _ => Err(Fault::Cancelled),
        }
    }

    fn undo(&self) -> &Undo {
        match &self.undo {
            Owned::Watched(watch) => watch.undo(),
            Owned::Alone(undo) => undo,
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.undo().lock();
        if let State::Taken(_) = *state
            && let State::Taken(held) = mem::take(&mut *state)
        {
            held.put_back();
        }
    }
}
