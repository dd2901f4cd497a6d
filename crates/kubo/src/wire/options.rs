//! The options of a call, read as their types say.

use std::collections::BTreeMap;

use super::commands::{GLOBAL, Kind, Opt, Signature};
use super::duration::parse_integer;
use super::failure::Failure;

/// The options of a call, by their long names. What is not known is passed over, as Kubo does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options(BTreeMap<&'static str, Value>);

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Flag(bool),
    Integer(i128),
    Text(String),
}

impl Options {
    /// Reads the pairs of a query, without its arguments.
    pub(crate) fn parse(
        signature: &Signature,
        pairs: &[(String, String)],
    ) -> Result<Self, Failure> {
        let mut options = Self::default();
        for (name, value) in pairs {
            let known = signature
                .options
                .iter()
                .chain(GLOBAL)
                .find(|option| option.names.contains(&name.as_str()));
            let Some(option) = known else {
                continue;
            };
            let same: Vec<&str> = pairs
                .iter()
                .filter(|(other, _)| other == name)
                .map(|(_, value)| value.as_str())
                .collect();
            if same.len() > 1 {
                return Err(Failure::client(format!(
                    "expected key {} to have only a single value, received [{}]",
                    option.names[0],
                    same.join(" ")
                )));
            }
            if options.0.contains_key(option.names[0]) {
                return Err(Failure::client(format!(
                    "duplicate command options were provided ({:?} and {name:?})",
                    option.names[0]
                )));
            }
            options
                .0
                .insert(option.names[0], read(option, name, value)?);
        }
        Ok(options)
    }

    /// A flag, if it was said.
    pub(crate) fn said(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A flag, false unless said.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.said(name).unwrap_or(false)
    }

    /// A flag, true unless said.
    pub(crate) fn flag_or_true(&self, name: &str) -> bool {
        self.said(name).unwrap_or(true)
    }

    /// An integer. Its option's bits are checked, so it fits into a type of that size.
    pub(crate) fn integer<T: TryFrom<i128>>(&self, name: &str) -> Option<T> {
        match self.0.get(name)? {
            Value::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A text; an empty one is as none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

fn read(option: &Opt, name: &str, value: &str) -> Result<Value, Failure> {
    let fits = |number: &i128, low: i128, bits: u32| (low..(1 << bits)).contains(number);
    let (read, kind) = match option.kind {
        Kind::Text => return Ok(Value::Text(value.to_owned())),
        Kind::Flag => (boolean(value).map(Value::Flag), "bool"),
        Kind::Integer(bits) => (
            parse_integer(value)
                .filter(|number| fits(number, -(1 << (bits - 1)), bits - 1))
                .map(Value::Integer),
            if bits == 32 { "int" } else { "int64" },
        ),
        Kind::Unsigned(bits) => (
            parse_integer(value)
                .filter(|number| fits(number, 0, bits))
                .map(Value::Integer),
            "uint",
        ),
    };
    read.ok_or_else(|| {
        let value = match value {
            "" => "empty value".to_owned(),
            value => format!("value {value:?}"),
        };
        Failure::client(format!(
            "could not convert {value} to type \"{kind}\" (for option \"-{name}\")"
        ))
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "" | "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::commands::find;
    use super::*;

    fn parse(path: &str, pairs: &[(&str, &str)]) -> Result<Options, Failure> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Options::parse(find(path).unwrap(), &pairs)
    }

    #[test]
    fn options_are_read_by_all_their_names() {
        let options = parse(
            "cat",
            &[("o", "0x10"), ("length", "-1"), ("unknown", "x"), ("p", "")],
        );
        let options = options.unwrap();
        assert_eq!(options.integer::<i64>("offset"), Some(16));
        assert_eq!(options.integer::<i64>("length"), Some(-1));
        assert_eq!(options.said("progress"), Some(true));
        assert_eq!(options.text("unknown"), None);
        let options = parse("pin/rm", &[("r", "F"), ("cid-base", "")]).unwrap();
        assert!(!options.flag_or_true("recursive"));
        assert_eq!(options.text("cid-base"), None);
    }

    #[test]
    fn what_contradicts_or_is_no_value_is_refused() {
        for (path, pairs, message) in [
            (
                "cat",
                &[("offset", "1"), ("offset", "2")][..],
                "expected key offset to have only a single value, received [1 2]",
            ),
            (
                "cat",
                &[("o", "1"), ("offset", "2")],
                "duplicate command options",
            ),
            (
                "cat",
                &[("o", "one")],
                "could not convert value \"one\" to type \"int64\"",
            ),
            ("cat", &[("o", "9223372036854775808")], "int64"),
            ("block/put", &[("mhlen", "2147483648")], "\"int\""),
            ("add", &[("mode", "-1")], "\"uint\""),
            ("add", &[("mode", "")], "could not convert empty value"),
            (
                "pin/ls",
                &[("stream", "yes")],
                "\"bool\" (for option \"-stream\")",
            ),
        ] {
            let failure = parse(path, pairs).unwrap_err();
            assert!(failure.message.contains(message), "{}", failure.message);
        }
    }
}
