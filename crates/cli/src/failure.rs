//! Errors as people and scripts see them, and the exit codes.

use std::fmt;
use std::io;

use cidbucket::Error;
use cidbucket_dag::DagError;
use cidbucket_dag::car::CarError;
use serde_json::{Map, Value, json};

/// What a script can tell apart. The numbers are promised by `cidbucket --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Other = 1,
    Usage = 2,
    NotFound = 3,
    Denied = 4,
    Corrupt = 5,
    Unavailable = 6,
    NoStore = 7,
    Unconfirmed = 8,
}

/// Why a command ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// To be reported.
    Failed(Failure),
    /// Reported already, or nothing to report; the exit code is left.
    Code(u8),
}

/// The result of a command, or of a part of it.
pub(crate) type Outcome<T = ()> = Result<T, Stop>;

/// An error, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    class: &'static str,
    message: String,
    hint: Option<String>,
    /// The store's error, for the particulars in JSON.
    error: Option<Error>,
}

impl Failure {
    /// Something that was typed, or stands in the configuration, cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// A block that is not there.
    pub(crate) fn not_found(cid: &cidbucket::Cid) -> Self {
        Self::new(
            Exit::NotFound,
            "not-found",
            format!("block not found: {cid}"),
        )
    }

    /// A local file or stream failed.
    pub(crate) fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(Exit::Other, "io", format!("{what}: {error}"))
    }

    pub(crate) fn new(exit: Exit, class: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit,
            class,
            message: message.into(),
            hint: None,
            error: None,
        }
    }

    /// What to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what was being done: `message` before the error's own words.
    pub(crate) fn about(mut self, subject: impl fmt::Display) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The form for `--json`.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("class".into(), json!(self.class));
        fields.insert("message".into(), json!(self.message));
        if let Some(hint) = &self.hint {
            fields.insert("hint".into(), json!(hint));
        }
        if let Some(error) = &self.error {
            let report = error.report();
            fields.insert("operation".into(), json!(report.operation()));
            for (name, value) in [
                ("key", report.key()),
                ("code", report.code()),
                ("request_id", report.request_id()),
            ] {
                if let Some(value) = value {
                    fields.insert(name.into(), json!(value));
                }
            }
            if let Some(status) = report.status() {
                fields.insert("status".into(), json!(status));
            }
            fields.insert("attempts".into(), json!(report.attempts()));
        }
        json!({ "error": fields })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, hint) = match &error {
            Error::Corrupt(_) => (Exit::Corrupt, None),
            Error::Invalid(_) | Error::TooLarge(_) => (Exit::Usage, None),
            // Without a status nobody was asked: there were no credentials, or it was a file.
            Error::Denied(report) if report.status().is_none() => (Exit::Denied, None),
            // A service's own words say what to do.
            Error::Denied(report)
                if matches!(report.code(), Some("unauthorised" | "denied" | "quota")) =>
            {
                (Exit::Denied, None)
            }
            Error::Denied(_) => (
                Exit::Denied,
                Some(
                    "check the access key, and that its policy allows this on the bucket; `cidbucket doctor` tries each permission",
                ),
            ),
            Error::Throttled(_) => (
                Exit::Unavailable,
                Some("the store asked to slow down; try again later or with less at once"),
            ),
            Error::Unavailable(_) => (
                Exit::Unavailable,
                Some("check the endpoint and the network, then try again"),
            ),
            Error::NoStore(_) => (
                Exit::NoStore,
                Some("check the bucket's or folder's name, or create it"),
            ),
            _ => (Exit::Other, None),
        };
        Self {
            exit,
            class: error.class(),
            message: error.to_string(),
            hint: hint.map(Into::into),
            error: Some(error),
        }
    }
}

impl From<DagError> for Failure {
    fn from(error: DagError) -> Self {
        let text = error.to_string();
        match error {
            DagError::Store(error) => error.into(),
            DagError::Invalid(reason) => Self::usage(reason),
            DagError::Missing { .. } | DagError::NoLink { .. } => {
                Self::new(Exit::NotFound, "not-found", text)
            }
            DagError::Malformed { .. } => Self::new(Exit::Corrupt, "malformed", text),
            DagError::UnknownCodec { .. } => Self::new(Exit::Other, "unsupported", text),
            DagError::Limit { .. } => Self::new(Exit::Other, "limit", text),
            DagError::NotAFile {
                found: "a directory",
                ..
            } => Self::usage(text)
                .with_hint("`cidbucket ls CID` lists it, `cidbucket get CID/ -o FOLDER` writes it"),
            DagError::NotAFile { .. } | DagError::NotADirectory { .. } => Self::usage(text),
            _ => Self::new(Exit::Other, "dag", text),
        }
    }
}

impl From<CarError> for Failure {
    fn from(error: CarError) -> Self {
        match &error {
            CarError::Block { source, .. } => Self {
                message: error.to_string(),
                ..source.clone().into()
            },
            _ => Self::new(Exit::Usage, "invalid", error.to_string()),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<DagError> for Stop {
    fn from(error: DagError) -> Self {
        Self::Failed(error.into())
    }
}

impl Stop {
    /// The code of a command whose reader went away, as if SIGPIPE had ended it.
    pub(crate) const PIPE: u8 = 128 + 13;

    /// A failed write to standard output. A reader that has gone away (`… | head`) is no error to
    /// report.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Code(Self::PIPE)
        } else {
            Failure::io("cannot write to standard output", error).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use cidbucket::Report;

    use super::*;

    #[test]
    fn classes_have_their_exit_codes() {
        let report = || Box::new(Report::new("GetObject", "no"));
        for (error, code) in [
            (Error::Corrupt(report()), 5),
            (Error::TooLarge(report()), 2),
            (Error::Invalid(report()), 2),
            (Error::Denied(report()), 4),
            (Error::Throttled(report()), 6),
            (Error::Unavailable(report()), 6),
            (Error::NoStore(report()), 7),
            (Error::Conflict(report()), 1),
            (Error::Unsupported(report()), 1),
            (Error::Protocol(report()), 1),
            (Error::Io(report()), 1),
        ] {
            assert_eq!(Failure::from(error.clone()).exit() as u8, code, "{error}");
        }
    }

    #[test]
    fn json_has_the_particulars() {
        let error = Error::Denied(
            Report::new("PutObject", "refused")
                .with_key("blocks/CIQ")
                .with_code("AccessDenied")
                .with_status(403)
                .with_attempts(2)
                .into(),
        );
        let json = Failure::from(error).to_json();
        let error = &json["error"];
        assert_eq!(error["class"], "denied");
        assert_eq!(error["operation"], "PutObject");
        assert_eq!(error["key"], "blocks/CIQ");
        assert_eq!(error["code"], "AccessDenied");
        assert_eq!(error["status"], 403);
        assert_eq!(error["attempts"], 2);
        assert!(error["hint"].is_string());
    }

    #[test]
    fn a_closed_pipe_is_not_reported() {
        assert!(matches!(
            Stop::stdout(&io::ErrorKind::BrokenPipe.into()),
            Stop::Code(141)
        ));
        assert!(matches!(
            Stop::stdout(&io::ErrorKind::StorageFull.into()),
            Stop::Failed(_)
        ));
    }
}
