//! Ways from this process to the far end by which bytes can go: the daemon's, and those of others.

mod naive;
mod ours;
mod socat;
mod splice;
mod ssh;

use std::{
    env,
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use crate::{
    Failure,
    far_end::{PATIENCE, read_to_end},
    pattern::{Arrived, Pattern, Tally},
};

pub(crate) use naive::{Naive, serve as serve_naive};
pub(crate) use ours::Ours;
pub(crate) use socat::Socat;
pub(crate) use splice::Splice;
pub(crate) use ssh::Ssh;

/// Something that takes bytes from here to the far end and back, as processes of its own.
pub(crate) trait Relay {
    /// Connects to the far end, which was asked for a data connection.
    ///
    /// # Errors
    /// It does not come about.
    fn connect(&mut self) -> Result<Box<dyn Connection>, Failure>;

    /// The CPU time that the relay's processes have used, as long as a connection exists.
    ///
    /// # Errors
    /// They are gone, or it cannot be told.
    fn cpu_time(&self) -> Result<Duration, Failure>;
}

/// A connection with the far end. It ends with this.
pub(crate) trait Connection {
    /// Sends so much of the pattern, and ends that direction.
    ///
    /// # Errors
    /// The connection breaks, or is stuck.
    fn send(&mut self, pattern: &Pattern, bytes: u64) -> Result<(), Failure>;

    /// Receives to the end.
    ///
    /// # Errors
    /// The connection breaks, or is stuck.
    fn receive(&mut self) -> Result<Arrived, Failure>;
}

/// A connection with a relay that speaks plain TCP. It blocks and does nothing else: as fast as a program can be that uses the relay.
struct Plain(TcpStream);

impl Plain {
    fn connect(relay: SocketAddr) -> Result<Self, Failure> {
        Self::new(TcpStream::connect(relay)?)
    }

    fn new(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }
}

impl Connection for Plain {
    fn send(&mut self, pattern: &Pattern, bytes: u64) -> Result<(), Failure> {
        for chunk in pattern.chunks(bytes) {
            self.0.write_all(&chunk)?;
        }
        Ok(self.0.shutdown(Shutdown::Write)?)
    }

    fn receive(&mut self) -> Result<Arrived, Failure> {
        let mut tally = Tally::default();
        read_to_end(&mut self.0, |bytes| tally.add(bytes))?;
        Ok(tally.arrived())
    }
}

/// Where a program is, on PATH or where those for administrators are.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(administrators)
        .map(|directory| directory.join(program))
        .find(|file| file.is_absolute() && file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::far_end::{Ask, FarEnd};

    #[test]
    fn a_program_is_found_wherever_it_is_and_only_there() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }

    /// Bytes go both ways and arrive, again and again, if the relay is here.
    fn carries(far_end: &mut FarEnd, relay: Result<impl Relay, Failure>) {
        let mut relay = match relay {
            Ok(relay) => relay,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        let pattern = Pattern::new();
        let bytes = 3_000_001;
        for _ in 0..2 {
            far_end.ask(&Ask::Sink).unwrap();
            let mut connection = relay.connect().unwrap();
            connection.send(&pattern, bytes).unwrap();
            let arrived = far_end.arrived().unwrap();
            arrived.check(pattern.expected(bytes)).unwrap();
            drop(connection);

            far_end.ask(&Ask::Source(bytes)).unwrap();
            let mut connection = relay.connect().unwrap();
            let arrived = connection.receive().unwrap();
            arrived.check(pattern.expected(bytes)).unwrap();
            drop(connection);
            far_end.done().unwrap();
        }
    }

    #[test]
    fn socat_carries_bytes_both_ways() {
        let mut far_end = FarEnd::in_this_process();
        let socat = Socat::new(far_end.address());
        carries(&mut far_end, socat);
    }

    #[test]
    fn ssh_carries_bytes_both_ways() {
        let mut far_end = FarEnd::in_this_process();
        let ssh = Ssh::new(far_end.address());
        carries(&mut far_end, ssh);
    }

    #[test]
    fn the_naive_relay_carries_bytes_both_ways() {
        let mut far_end = FarEnd::in_this_process();
        let naive = Naive::in_this_process(far_end.address());
        carries(&mut far_end, Ok(naive));
    }
}
