//! `farsock completions`: scripts that make a shell complete farsock's command lines.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args, exit::Failure, output::Output};

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock completions bash > ~/.local/share/bash-completion/completions/farsock
  farsock completions zsh > ~/.zfunc/_farsock
  farsock completions fish > ~/.config/fish/completions/farsock.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: &mut Output) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut args::Args::command(),
            "farsock",
            &mut script,
        );
        Ok(output.bytes(&script)?)
    }
}
