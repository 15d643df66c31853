//! farsock-bench: every speed claim, measured against its floor in the same run.
//!
//! A case is one file under `case/` and one line in its registry. It starts what it measures as processes of their own (the
//! daemon, the floor, other relays, the far end), takes turns between them, and returns rows for the report.

mod bulk;
mod case;
mod connection;
mod cpu;
mod daemon_process;
mod delay;
mod echo;
mod far_end;
mod operation;
mod pattern;
mod process;
mod queue;
mod readers;
mod relay;
mod report;
mod rounds;
mod sink;
mod stats;
mod tail;
mod watch;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, builder::PossibleValuesParser};

use case::{CASES, Case, Plan};
use report::Row;

/// What went wrong, for people to read; a benchmark does nothing else with it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures farsockd against its floors, each as a process of its own over loopback TCP, taking turns.
///
/// Exit status: 0 if everything was measured, 1 if --check is given and a target was missed, 2 if something could not be measured.
#[derive(Debug, Parser)]
#[command(name = "farsock-bench", version, max_term_width = 100)]
struct CommandLine {
    /// What to measure; everything if none is named.
    #[arg(value_name = "CASE", value_parser = PossibleValuesParser::new(CASES.iter().map(Case::possible_value)))]
    cases: Vec<String>,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    json: bool,
    /// How many rounds to take the medians of, 1-1000. [default: 15, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Fewer and shorter rounds: shows that it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Exit with 1 if a target was missed.
    #[arg(long)]
    check: bool,
    /// The daemon's program. [default: farsockd beside this program, which cargo builds if need be]
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
    /// Be the floor: serve the bare echo until standard input ends.
    #[arg(long, hide = true, exclusive = true)]
    serve_echo: bool,
    /// Be the far end until standard input ends.
    #[arg(long, hide = true, exclusive = true)]
    serve_far_end: bool,
    /// Be the naive relay to this address until standard input ends.
    #[arg(long, hide = true, exclusive = true, value_name = "ADDRESS")]
    serve_naive: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let outcome = if command_line.serve_echo {
        echo::serve().map(|()| ExitCode::SUCCESS)
    } else if command_line.serve_far_end {
        far_end::serve().map(|()| ExitCode::SUCCESS)
    } else if let Some(far_end) = command_line.serve_naive {
        relay::serve_naive(far_end).map(|()| ExitCode::SUCCESS)
    } else {
        measure(command_line)
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("farsock-bench: {error}");
        ExitCode::from(2)
    })
}

fn measure(command_line: CommandLine) -> Result<ExitCode, Failure> {
    if cfg!(debug_assertions) {
        eprintln!("farsock-bench: a debug build: the ratios say nothing, use --release");
    }
    process::raise_descriptor_limit()?;
    let default_rounds = if command_line.quick { 3 } else { 15 };
    let plan = Plan {
        rounds: command_line.rounds.map_or(default_rounds, usize::from),
        quick: command_line.quick,
        daemon: match command_line.daemon {
            Some(path) => path,
            None => daemon_process::find_or_build()?,
        },
    };

    let mut rows: Vec<Row> = Vec::new();
    let mut failed = false;
    for case in CASES {
        if !command_line.cases.is_empty() && !command_line.cases.iter().any(|c| c == case.name) {
            continue;
        }
        eprintln!("{}: {}", case.name, case.about);
        match (case.run)(&plan) {
            Ok(measured) => rows.extend(measured),
            // The other cases can still be measured.
            Err(error) => {
                failed = true;
                rows.push(Row::unmeasured(case.name, format!("failed: {error}")));
            }
        }
    }

    let text = if command_line.json {
        report::json(&rows)?
    } else {
        report::table(&rows)
    };
    print(&text)?;
    let missed = rows.iter().any(Row::missed);
    Ok(if failed {
        ExitCode::from(2)
    } else if command_line.check && missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_knows_every_case() {
        CommandLine::command().debug_assert();
        for case in CASES {
            let parsed = CommandLine::try_parse_from(["farsock-bench", case.name]).unwrap();
            assert_eq!(parsed.cases, [case.name]);
        }
    }

    #[test]
    fn an_unknown_case_is_a_usage_error() {
        assert!(CommandLine::try_parse_from(["farsock-bench", "unary-speed"]).is_err());
    }

    #[test]
    fn no_rounds_is_a_usage_error() {
        assert!(CommandLine::try_parse_from(["farsock-bench", "--rounds", "0"]).is_err());
    }
}
