//! Whether output is coloured.

use std::ffi::OsString;

use clap::builder::styling::Style;

use crate::args::Color;
use crate::session::Env;
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
