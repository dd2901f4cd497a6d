//! What can be done to blocks.

use std::fmt;
use std::str::FromStr;

/// One of the things that can be done. `docs/direct-access.md` says which requests each covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reads of blocks, directly or through the service.
    Read,
    /// Writes of blocks, directly or through the service.
    Write,
    /// Listings.
    List,
    /// Deletes, by the service itself: no signed URL deletes.
    Delete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::List, Self::Delete];

    /// The name, as in a token: `read`, `write`, `list`, `delete`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Self, UnknownOperation> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == text)
            .ok_or(UnknownOperation(()))
    }
}

/// A text that names no [`Operation`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such operation: there are read, write, list and delete")]
pub struct UnknownOperation(());

/// A set of [`Operation`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set: every combination has a meaning"
)]
pub struct Operations {
    /// [`Operation::Read`].
    pub read: bool,
    /// [`Operation::Write`].
    pub write: bool,
    /// [`Operation::List`].
    pub list: bool,
    /// [`Operation::Delete`].
    pub delete: bool,
}

impl Operations {
    /// All of them.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        list: true,
        delete: true,
    };

    /// Whether `operation` is one of them.
    pub const fn contains(self, operation: Operation) -> bool {
        match operation {
            Operation::Read => self.read,
            Operation::Write => self.write,
            Operation::List => self.list,
            Operation::Delete => self.delete,
        }
    }

    /// Those in the set, in the order of [`Operation::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL
            .into_iter()
            .filter(move |&operation| self.contains(operation))
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<T: IntoIterator<Item = Operation>>(operations: T) -> Self {
        let mut set = Self::default();
        for operation in operations {
            match operation {
                Operation::Read => set.read = true,
                Operation::Write => set.write = true,
                Operation::List => set.list = true,
                Operation::Delete => set.delete = true,
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets() {
        for operation in Operation::ALL {
            assert_eq!(operation.name().parse(), Ok(operation));
            let set = Operations::from_iter([operation]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [operation]);
        }
        for wrong in ["", "Read", "get", "read "] {
            assert!(wrong.parse::<Operation>().is_err(), "{wrong}");
        }
        assert_eq!(Operations::from_iter(Operation::ALL), Operations::ALL);
        assert_eq!(Operations::default().iter().count(), 0);
    }
}
