//! `farsock man`: the help texts as manual pages.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory, builder::Resettable};
use clap_mangen::roff::{Roff, bold, roman};

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
        let mut root = args::Args::command();
        root.build();
        let common = Common::of(&root);
        match self.directory {
            Some(directory) => common
                .write_all(&root, &directory)
                .map_err(|error| Failure::Usage(format!("{}: {error}", directory.display()))),
            None => {
                let page = common
                    .page(&root)
                    .map_err(|error| Failure::Local(error.to_string()))?;
                Ok(output.bytes(&page)?)
            }
        }
    }
}

/// What the main command alone says, and every page repeats.
struct Common {
    version: String,
    exit_status: String,
}

impl Common {
    fn of(root: &Command) -> Self {
        let exit_status = closing_blocks(root)
            .into_iter()
            .find(|(heading, _)| heading == EXIT_STATUS);
        Self {
            version: root.get_version().unwrap_or_default().to_owned(),
            exit_status: exit_status.map(|(_, lines)| lines).unwrap_or_default(),
        }
    }

    /// The pages of `command` and all below it, each in a file of its name.
    fn write_all(&self, command: &Command, directory: &Path) -> io::Result<()> {
        for below in command.get_subcommands() {
            self.write_all(below, directory)?;
        }
        let name = command.get_display_name().unwrap_or(command.get_name());
        fs::write(directory.join(format!("{name}.1")), self.page(command)?)
    }

    fn page(&self, command: &Command) -> io::Result<Vec<u8>> {
        // Rendered below, where lines stay lines; the version is in the footer.
        let bare = command
            .clone()
            .after_help(Resettable::Reset)
            .after_long_help(Resettable::Reset)
            .version(Resettable::Reset);
        let mut page = Vec::new();
        clap_mangen::Man::new(bare)
            // Quotes, since an empty date would be none, and the source stand for it.
            .date("\"\"")
            .source(format!("farsock {}", self.version))
            .render(&mut page)?;

        let mut roff = Roff::new();
        roff.control("SH", ["EXIT STATUS"]);
        for line in self.exit_status.lines() {
            let (status, meaning) = line.trim().split_once("  ").unwrap_or((line, ""));
            roff.control("TP", []).text([bold(status)]);
            roff.text([roman(meaning.trim())]);
        }
        roff.control("PP", []).text([roman(JSON_ERRORS)]);
        roff.control("SH", ["ENVIRONMENT"]);
        for argument in command.get_arguments() {
            if let (Some(name), Some(flag)) = (argument.get_env(), argument.get_long()) {
                roff.control("TP", []).text([bold(name.to_string_lossy())]);
                roff.text([roman(format!("What holds without --{flag}."))]);
            }
        }
        roff.control("TP", []).text([bold("NO_COLOR")]);
        roff.text([roman("If not empty, no colours on a terminal.")]);
        for (heading, lines) in closing_blocks(command) {
            match heading.as_str() {
                EXIT_STATUS => continue,
                "" => {
                    roff.control("SH", ["NOTES"]).text([roman(lines)]);
                    continue;
                }
                EXAMPLES => roff.control("SH", ["EXAMPLES"]),
                // Such as how addresses are written, which the examples need.
                heading => roff.control("PP", []).text([roman(format!("{heading}:"))]),
            };
            roff.control("nf", []);
            for line in lines.lines() {
                roff.text([roman(line)]);
            }
            roff.control("fi", []);
        }
        roff.to_writer(&mut page)?;
        Ok(page)
    }
}

const JSON_ERRORS: &str = "\
With -o json each line on stderr is a JSON object. What went wrong, usage among it, is {\"error\": {\"message\": ..., \"tried\": ..., \"call\": ..., \"errno\": ..., \"errno_name\": ..., \
\"reason\": ...}}. errno_name is the kernel's, such as ECONNREFUSED, errno its number on the daemon's host, and reason the resolver's or the daemon's, such as EAI_NONAME or \
TIMED_OUT; what does not apply is null. The last of them decides the exit status. Anything else is {\"note\": ...}.";
const EXIT_STATUS: &str = "Exit status";
const EXAMPLES: &str = "Examples";

/// The blocks after a help text's options: a heading, which ends in a colon, and its lines. Prose has no heading.
fn closing_blocks(command: &Command) -> Vec<(String, String)> {
    let text = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    text.split("\n\n")
        .filter(|block| !block.is_empty())
        .map(|block| match block.split_once(":\n") {
            Some((heading, lines)) if !heading.contains('\n') => (heading, lines),
            _ => ("", block),
        })
        .map(|(heading, lines)| (heading.to_owned(), lines.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(name: &str) -> String {
        let mut root = args::Args::command();
        root.build();
        let command = match name {
            "farsock" => &root,
            name => root.find_subcommand(name).unwrap(),
        };
        String::from_utf8(Common::of(&root).page(command).unwrap()).unwrap()
    }

    #[test]
    fn every_page_has_examples_as_typed_and_the_exit_status_and_the_environment() {
        for name in ["farsock", "connect"] {
            let page = page_of(name);
            for part in [
                "\n.SH EXAMPLES\n.nf\n  farsock",
                "\n.SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\nit went well\n",
                "\n.TP\n\\fBFARSOCK_ADDR\\fR\nWhat holds without \\-\\-addr.\n",
                "\\fBFARSOCK_SESSION\\fR",
            ] {
                assert!(page.contains(part), "{part}\nis not in\n{page}");
            }
            assert!(!page.contains("EXTRA"), "{page}");
            assert_eq!(
                page.matches("\n.nf\n").count(),
                page.matches("\n.fi").count()
            );
        }
    }

    #[test]
    fn the_footer_of_a_commands_page_is_farsock_and_its_version() {
        let title = format!(
            "\n.TH farsock-connect 1 \"\" \"farsock {}\"",
            env!("CARGO_PKG_VERSION")
        );
        let page = page_of("connect");
        assert!(page.contains(&title), "{page}");
    }

    #[test]
    fn prose_after_the_options_is_a_section_of_notes_before_the_examples() {
        let page = page_of("poll");
        let (before, _) = page.split_once(".SH EXAMPLES").unwrap();
        assert!(before.contains("\n.SH NOTES\n"), "{page}");
        assert!(!page_of("clock").contains("NOTES"));
    }
}
