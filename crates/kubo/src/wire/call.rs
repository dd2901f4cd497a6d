//! What is called, read off a request's path and query.

use percent_encoding::percent_decode_str;

use super::commands::{Argument, Command, Signature, find, is_group};
use super::failure::Failure;
use super::options::Options;

/// Where all commands are.
pub(crate) const ROOT: &str = "/api/v0";

/// A call: a command with its arguments and options.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) signature: &'static Signature,
    pub(crate) arguments: Vec<String>,
    pub(crate) options: Options,
}

/// Why a request is no call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoCall {
    /// There is no such command.
    NotFound,
    /// The command's group was called.
    Group,
    /// The arguments or options make no sense.
    Bad(Failure),
}

/// A path as it is compared: percent-decoded. `None` where that is no text.
pub(crate) fn decode_path(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

impl Call {
    /// Reads a decoded path and a query. What may still come in the body is not missed yet.
    pub(crate) fn parse(path: &str, query: &str) -> Result<Self, NoCall> {
        let path = path
            .strip_prefix(ROOT)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or(NoCall::NotFound)?;
        let mut arguments = Vec::new();
        let signature = match find(path) {
            Some(signature) => signature,
            None if is_group(path) => return Err(NoCall::Group),
            None => {
                // The last part of the path may be the first argument.
                let (command, argument) = path.rsplit_once('/').ok_or(NoCall::NotFound)?;
                arguments.push(argument.to_owned());
                find(command).ok_or(NoCall::NotFound)?
            }
        };
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == "arg" {
                arguments.push(value.into_owned());
            } else {
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        let options = Options::parse(signature, &pairs).map_err(NoCall::Bad)?;
        Ok(Self {
            signature,
            arguments,
            options,
        })
    }

    pub(crate) fn command(&self) -> Command {
        self.signature.command
    }

    /// Whether lines of a file in the body are arguments too.
    pub(crate) fn reads_lines(&self) -> bool {
        match self.signature.argument {
            Argument::Texts {
                stdin,
                variadic,
                required,
                ..
            } => stdin && (variadic || self.arguments.len() < required),
            _ => false,
        }
    }

    /// Takes the lines of a file as arguments: all, or what is missing.
    pub(crate) fn take_lines(&mut self, text: &str) {
        let Argument::Texts {
            required, variadic, ..
        } = self.signature.argument
        else {
            return;
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let room = if variadic {
            usize::MAX
        } else {
            required.saturating_sub(self.arguments.len())
        };
        self.arguments.extend(lines.take(room).map(str::to_owned));
    }

    /// Complains about an argument that is missing.
    pub(crate) fn check(&self, has_files: bool) -> Result<(), Failure> {
        match self.signature.argument {
            Argument::Files if !has_files => {
                Err(Failure::client("file argument 'data' is required"))
            }
            Argument::Texts {
                names, required, ..
            } if self.arguments.len() < required => Err(Failure::client(format!(
                "argument {:?} is required",
                names[self.arguments.len()]
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, query: &str) -> Result<(Command, Vec<String>), NoCall> {
        let call = Call::parse(path, query)?;
        Ok((call.command(), call.arguments))
    }

    #[test]
    fn arguments_are_in_the_query_and_at_the_end_of_the_path() {
        for (path, query, command, arguments) in [
            ("/api/v0/version", "", Command::Version, &[][..]),
            ("/api/v0/block/get", "arg=a", Command::BlockGet, &["a"]),
            ("/api/v0/block/get/a", "", Command::BlockGet, &["a"]),
            (
                "/api/v0/block/get/a",
                "arg=b",
                Command::BlockGet,
                &["a", "b"],
            ),
            (
                "/api/v0/cat",
                "arg=a%2Fb&x=y&arg=c+d",
                Command::Cat,
                &["a/b", "c d"],
            ),
            ("/api/v0/refs/local", "", Command::RefsLocal, &[]),
            ("/api/v0/refs/bafy", "", Command::Refs, &["bafy"]),
            ("/api/v0/version/", "", Command::Version, &[""]),
        ] {
            let (found, texts) = parse(path, query).unwrap();
            assert_eq!(found, command, "{path}");
            assert_eq!(texts, arguments, "{path}");
        }
    }

    #[test]
    fn what_there_is_not_is_not_found() {
        for path in [
            "/api/v0/files/ls",
            "/api/v0/nonsense",
            "/api/v0/",
            "/api/v0",
            "/",
            "/api/v1/version",
            "/api/v0/block/get/a/b",
            "/api/v0/pin/remote/ls",
            "/api/v0//version",
        ] {
            assert_eq!(parse(path, ""), Err(NoCall::NotFound), "{path}");
        }
        assert_eq!(parse("/api/v0/block", ""), Err(NoCall::Group));
    }

    #[test]
    fn missing_arguments_come_in_lines_or_are_named() {
        let mut call = Call::parse("/api/v0/block/get", "").unwrap();
        let failure = call.check(false).unwrap_err();
        assert_eq!(failure.message, "argument \"cid\" is required");
        assert!(call.reads_lines());
        call.take_lines(" a \nb\n");
        assert_eq!(call.arguments, ["a"]);
        assert!(!call.reads_lines());
        call.check(false).unwrap();

        let mut call = Call::parse("/api/v0/pin/add", "arg=x").unwrap();
        call.take_lines("a\r\n\r\nb");
        assert_eq!(call.arguments, ["x", "a", "b"]);

        let call = Call::parse("/api/v0/pin/update", "arg=x").unwrap();
        assert!(!call.reads_lines());
        let failure = call.check(false).unwrap_err();
        assert_eq!(failure.message, "argument \"to-path\" is required");
        assert!(
            Call::parse("/api/v0/block/put", "")
                .unwrap()
                .check(false)
                .is_err()
        );
    }
}
