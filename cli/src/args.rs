//! The command line: what holds for every command. The commands themselves are in `cmd`, one file each.

use std::{ffi::OsString, time::Duration};

use clap::Parser;
use farsock_proto::time::parse_duration;

use crate::{
    cmd::Command,
    endpoint::{Connection, Endpoint},
    exit::Failure,
    output::Format,
};

macro_rules! examples {
    () => {
        "\
Examples:
  farsock demo                          see every kind of exchange; needs no daemon
  farsockd &                            the daemon, for all that follows
  S=$(farsock socket tcp)               a socket; its handle is printed
  ADDR=$(farsock bind $S 127.0.0.1:0)   the address it got
  farsock listen $S
  C=$(farsock socket tcp)
  farsock connect $C $ADDR
  read A PEER < <(farsock accept $S)    the connection's handle, and its peer
  farsock send $C hello
  farsock recv $A
  farsock close --all"
    };
}

/// Sockets on any host, from a shell
///
/// farsock makes the system calls of socket(7) through a daemon, farsockd, which may run on another host. A socket is named by its
/// handle, a number that the command which makes it prints, and stays open after the command that made it until `farsock close`.
#[derive(Parser)]
#[command(
    name = "farsock",
    version,
    after_help = examples!(),
    after_long_help = concat!(examples!(), "

Exit status:
  0  it went well
  1  the kernel said no: \"farsock: connect 3 127.0.0.1:4000: ECONNREFUSED: Connection refused\"
  2  usage
  3  the daemon could not be reached
  4  the daemon refused: HANDLE_NOT_FOUND, TIMED_OUT, INVALID_REQUEST ..."),
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 120,
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The daemon: unix:///PATH, tcp://HOST:PORT, or "embedded"
    ///
    /// "embedded" is a daemon in this process, which ends with the command, and its sockets too. Default:
    /// $XDG_RUNTIME_DIR/farsock/farsock.sock if it exists, else /run/farsock/farsock.sock.
    #[arg(
        long,
        global = true,
        env = "FARSOCK_ADDR",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    pub(crate) addr: Option<Endpoint>,
    /// The session to make the call in, by its id; see `session open`
    ///
    /// Each call in a session renews its lease, and the sockets it makes are the session's: they are closed when the lease is over.
    #[arg(
        long,
        global = true,
        env = "FARSOCK_SESSION",
        value_name = "ID",
        value_parser = session_id,
        hide_env_values = true
    )]
    pub(crate) session: Option<String>,
    /// How long a call that waits may take, such as 500ms or 2.5s [default: no limit]
    ///
    /// For accept, connect, send, recv and their kin, poll, splice and resolve. When the time is over and the call has done nothing,
    /// the command exits with 4 and TIMED_OUT, and poll with 0, printing nothing. What has moved a part (send, splice, recv with --waitall or
    /// SO_RCVLOWAT) prints that and exits with 0. For every other call it is how long the daemon may take to answer, but 5s at least. Units: h, m, s (also without one), ms, us, ns.
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// What stdout gets: table (for people), json (for programs; each line on stderr is then an object too), raw (bare values, exact bytes)
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(crate) output: Format,
}

impl Global {
    /// The daemon that was asked for, or the default one. An empty FARSOCK_ADDR asks for none.
    fn endpoint(&self) -> Endpoint {
        let unset = || std::env::var_os("FARSOCK_ADDR").is_some_and(|addr| addr.is_empty());
        match &self.addr {
            Some(Endpoint::Daemon(addr)) if addr.is_empty() && unset() => {
                Endpoint::default_daemon()
            }
            Some(endpoint) => endpoint.clone(),
            None => Endpoint::default_daemon(),
        }
    }

    /// A connection to the daemon that was asked for, or to the default one.
    pub(crate) async fn client(&self) -> Result<Connection, Failure> {
        let endpoint = self.endpoint();
        endpoint
            .connect(self.timeout, self.session.as_deref())
            .await
    }

    /// A connection as [`client`](Self::client) makes it, with a session of its own that ends with this process, whatever --session says.
    pub(crate) async fn open_session(&self, label: &str) -> Result<Connection, Failure> {
        let endpoint = self.endpoint();
        endpoint.open_session(label).await
    }
}

/// Whether a command line that could not be read asks for `-o json`.
pub(crate) fn asks_for_json(words: impl Iterator<Item = OsString>) -> bool {
    let words = words.map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.take_while(|word| word != "--").collect();
    let together = words
        .iter()
        .any(|word| matches!(word.as_str(), "-ojson" | "-o=json" | "--output=json"));
    together
        || words.windows(2).any(|pair| {
            // -o may be the last of several letters.
            let flag = pair[0].as_str();
            let short = flag.starts_with('-') && !flag.starts_with("--") && flag.ends_with('o');
            (short || flag == "--output") && pair[1] == "json"
        })
}

/// A socket's handle, as the commands print it.
pub(crate) fn handle(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "a handle is a number, as `farsock ls` shows it".to_owned())
}

/// An integer, decimal or behind "0x" hexadecimal.
pub(crate) fn integer<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    let value = match text.strip_prefix("0x") {
        // from_str_radix takes a sign.
        Some(digits) if digits.starts_with(['+', '-']) => None,
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let value = value.ok_or("expected a number, or 0x and hexadecimal digits")?;
    T::try_from(value).map_err(|_| format!("{text} is out of range"))
}

/// A session's id, as `session open` prints it.
pub(crate) fn session_id(text: &str) -> Result<String, String> {
    const DIGITS: usize = 32;
    if text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("an id is {DIGITS} hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn an_integer_is_decimal_or_hexadecimal_and_in_range() {
        assert_eq!(integer("0xb8"), Ok(184_i32));
        assert_eq!(integer("-1"), Ok(-1_i32));
        assert_eq!(integer("0xffffffff"), Ok(u32::MAX));
        for text in ["", "0x", "0x-1", "b8", "-1", "65536"] {
            assert!(integer::<u16>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_command_line_may_ask_for_json_in_each_way_that_a_right_one_may() {
        let asks = |line: &str| asks_for_json(line.split(' ').map(OsString::from));
        for line in [
            "farsock -o json nonsense",
            "farsock nonsense -ojson",
            "farsock nonsense -o=json",
            "farsock nonsense --output json",
            "farsock nonsense --output=json",
            "farsock forward -vo json",
        ] {
            assert!(asks(line), "{line}");
        }
        for line in [
            "farsock nonsense",
            "farsock -o raw x",
            "farsock send 1 -- -o json",
        ] {
            assert!(!asks(line), "{line}");
        }
    }
}
