//! The error that the kernel keeps for the next call on a connection (sk_err), and who hears it. Pure.
//!
//! The daemon reads ahead, so its recv(2) takes the error before the user has called anything. Here it waits again for the user's
//! next call, as it would in a local socket.

use super::super::Hears;
use crate::{Error, Result};

/// With these the kernel gives the connection up: after them a receive tells the end, and a send EPIPE.
const FINAL: [&str; 3] = ["ECONNRESET", "ECONNABORTED", "ETIMEDOUT"];
/// These may be passing (IP_RECVERR): what comes after them is the daemon's to tell.
const PASSING: [&str; 3] = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"];

/// The error that nobody has heard yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    error: Option<Error>,
    /// Whether a receive takes it, and whether a send does.
    receive: bool,
    send: bool,
    /// The user has heard a final one.
    broken: bool,
}

impl Pending {
    /// The daemon's recv(2) ended with `how`. Returns how the direction ends for the user, apart from the error that waits.
    pub(super) fn receiving_ended(&mut self, how: Result<()>, hears: Option<Hears>) -> Result<()> {
        let (Err(error), Some(hears)) = (&how, hears) else {
            return how;
        };
        let send = hears == Hears::NextCall;
        if is_final(error) {
            self.keep(error, true, send);
            return Ok(());
        }
        if send && is_one_of(error, &PASSING) {
            self.keep(error, false, true);
        }
        how
    }

    /// The daemon's send(2) or shutdown(2) ended with `how`. A receiving direction that has ended already has its own end.
    pub(super) fn sending_ended(
        &mut self,
        how: &Result<()>,
        hears: Option<Hears>,
        receiving_has_ended: bool,
    ) {
        if let Err(error) = how
            && hears == Some(Hears::NextCall)
            && is_final(error)
        {
            self.keep(error, !receiving_has_ended, true);
        }
    }

    /// The error, if the user's receive takes it.
    pub(super) fn hear_receiving(&mut self) -> Option<Error> {
        if self.receive { self.hear() } else { None }
    }

    /// The error, if the user's send takes it.
    pub(super) fn hear_sending(&mut self) -> Option<Error> {
        if self.send { self.hear() } else { None }
    }

    /// Whether the user has heard what ended the connection, and a send is EPIPE from now on.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    fn keep(&mut self, error: &Error, receive: bool, send: bool) {
        self.error = Some(error.clone());
        self.receive = receive;
        self.send = send;
    }

    fn hear(&mut self) -> Option<Error> {
        let error = self.error.take()?;
        self.broken |= is_final(&error);
        Some(error)
    }
}

fn is_final(error: &Error) -> bool {
    is_one_of(error, &FINAL)
}

fn is_one_of(error: &Error, names: &[&str]) -> bool {
    error.errno_name().is_some_and(|name| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use tonic::Status;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;
    use crate::call::Tried;

    const BOTH: Option<Hears> = Some(Hears::NextCall);

    fn errno(name: &str) -> Error {
        let metadata = [("errno", "1"), ("syscall", "recv")];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let details = ErrorDetails::with_error_info(name, "errno.farsock", metadata);
        let code = tonic::Code::FailedPrecondition;
        let status = Status::with_error_details(code, name, details);
        let (verb, handle) = ("stream", None);
        let error = Error::from_status(Tried { verb, handle }, &status);
        assert_eq!(error.errno_name(), Some(name));
        error
    }

    fn heard(error: Option<Error>) -> Option<String> {
        error.map(|error| error.errno_name().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_first_call_hears_a_final_error_and_nobody_does_again() {
        for name in FINAL {
            for receive_first in [true, false] {
                for taken_by_send in [true, false] {
                    let mut pending = Pending::default();
                    let how = Err(errno(name));
                    if taken_by_send {
                        pending.sending_ended(&how, BOTH, false);
                    } else {
                        assert!(pending.receiving_ended(how, BOTH).is_ok());
                    }
                    assert!(!pending.is_broken());
                    let first = if receive_first {
                        pending.hear_receiving()
                    } else {
                        pending.hear_sending()
                    };
                    assert_eq!(heard(first).as_deref(), Some(name));
                    assert!(pending.is_broken());
                    assert!(pending.hear_receiving().is_none());
                    assert!(pending.hear_sending().is_none());
                }
            }
        }
    }

    #[test]
    fn of_a_unix_socket_the_error_is_the_receives_alone() {
        let mut pending = Pending::default();
        let hears = Some(Hears::NextReceive);
        let how = Err(errno("ECONNRESET"));
        assert!(pending.receiving_ended(how, hears).is_ok());
        pending.sending_ended(&Err(errno("EPIPE")), hears, true);
        assert!(pending.hear_sending().is_none());
        let first = heard(pending.hear_receiving());
        assert_eq!(first.as_deref(), Some("ECONNRESET"));
        assert!(pending.hear_receiving().is_none());
    }

    #[test]
    fn an_error_of_a_send_after_the_peers_end_is_not_the_receives() {
        let mut pending = Pending::default();
        assert!(pending.receiving_ended(Ok(()), BOTH).is_ok());
        pending.sending_ended(&Err(errno("ETIMEDOUT")), BOTH, true);
        assert!(pending.hear_receiving().is_none());
        let first = heard(pending.hear_sending());
        assert_eq!(first.as_deref(), Some("ETIMEDOUT"));
    }

    #[test]
    fn an_error_that_may_pass_is_told_to_a_send_once_and_stays_the_receives() {
        for name in PASSING {
            let mut pending = Pending::default();
            let how = pending.receiving_ended(Err(errno(name)), BOTH);
            assert_eq!(heard(how.err()).as_deref(), Some(name));
            assert!(pending.hear_receiving().is_none());
            assert_eq!(heard(pending.hear_sending()).as_deref(), Some(name));
            assert!(pending.hear_sending().is_none());
            assert!(!pending.is_broken());
        }
    }

    #[test]
    fn what_the_kernel_does_not_keep_is_its_directions_own() {
        for name in ["ENOTCONN", "EPIPE", "EINVAL"] {
            let mut pending = Pending::default();
            assert!(pending.receiving_ended(Err(errno(name)), BOTH).is_err());
            pending.sending_ended(&Err(errno(name)), BOTH, true);
            assert!(pending.hear_receiving().is_none());
            assert!(pending.hear_sending().is_none());
        }
        // Nor is anything of what has no connection.
        let mut pending = Pending::default();
        let how = Err(errno("ECONNRESET"));
        assert!(pending.receiving_ended(how, None).is_err());
        assert!(pending.hear_sending().is_none());
    }
}
