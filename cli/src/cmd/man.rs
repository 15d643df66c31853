//! `farsock man`: the help texts as manual pages.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::{args, exit::Failure, output::Output};

/// Print the manual page, or write all of them to a directory
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock man | man -l -
  farsock man ~/.local/share/man/man1     farsock.1, farsock-connect.1 ...")]
pub(crate) struct Man {
    /// Where to write one page for each command; it must exist
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, output: &mut Output) -> Result<(), Failure> {
        let command = args::Args::command();
        match self.directory {
            Some(directory) => clap_mangen::generate_to(command, &directory)
                .map_err(|error| Failure::Usage(format!("{}: {error}", directory.display()))),
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(command)
                    .render(&mut page)
                    .map_err(|error| Failure::Local(error.to_string()))?;
                Ok(output.bytes(&page)?)
            }
        }
    }
}
