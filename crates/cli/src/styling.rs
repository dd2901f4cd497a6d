//! Whether output is coloured.

use std::ffi::OsString;

use clap::builder::styling::Style;

use crate::args::Color;
use crate::env::Env;
use crate::streams::Io;

/// Which of the two outputs are styled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Styling {
    /// Standard output.
    pub(crate) results: bool,
    /// Standard error.
    pub(crate) messages: bool,
}

impl Styling {
    /// By `--color`, else for a person only: see <https://no-color.org>.
    pub(crate) fn new(args: &[OsString], env: &Env, io: &Io) -> Self {
        let color = color_of(args);
        let is_styled = |is_terminal| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                is_terminal && env.get("NO_COLOR").is_none() && env.get("TERM") != Some("dumb")
            }
        };
        Self {
            results: is_styled(io.stdout_is_terminal),
            messages: is_styled(io.stderr_is_terminal),
        }
    }
}

/// Text in a style, if it is wanted.
pub(crate) fn styled(wanted: bool, text: &str, style: Style) -> String {
    if wanted {
        format!("{style}{text}{style:#}")
    } else {
        text.into()
    }
}

/// `--color` before the command line is understood, so that errors in it have their colours too.
fn color_of(args: &[OsString]) -> Color {
    let mut args = args.iter().filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--color") {
            Some("") => args.next(),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        match value {
            Some("always") => return Color::Always,
            Some("never") => return Color::Never,
            _ => {}
        }
    }
    Color::Auto
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Captured;

    #[test]
    fn only_for_a_person_who_wants_it() {
        let mut io = Captured::default().io("");
        io.stderr_is_terminal = true;
        let of = |args: &[&str], env: Env| {
            let args: Vec<_> = args.iter().map(Into::into).collect();
            let styling = Styling::new(&args, &env, &io);
            (styling.results, styling.messages)
        };
        let term = || Env::from_iter([("TERM", "xterm")]);
        assert_eq!(of(&["x"], term()), (false, true));
        assert_eq!(
            of(&["x"], Env::from_iter([("NO_COLOR", "1")])),
            (false, false)
        );
        assert_eq!(
            of(&["x"], Env::from_iter([("TERM", "dumb")])),
            (false, false)
        );
        assert_eq!(of(&["x", "--color", "never"], term()), (false, false));
        assert_eq!(of(&["x", "--color=always"], term()), (true, true));
        assert_eq!(of(&["x", "--color", "auto"], term()), (false, true));
    }
}
