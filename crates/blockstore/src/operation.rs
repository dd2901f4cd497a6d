//! The operations of a store, to count them or to make them fail.

/// An operation of [`Blockstore`](crate::Blockstore).
///
/// Each item of a batch is one operation: `get_many` of ten CIDs is ten times [`Operation::Get`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `get`, and each item of `get_many`.
    Get,
    /// `put`, and each item of `put_many`.
    Put,
    /// `size`.
    Size,
    /// `has`.
    Has,
    /// `delete`, and each item of `delete_many`.
    Delete,
    /// Each page of a `list`, the end included.
    List,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] = [
        Self::Get,
        Self::Put,
        Self::Size,
        Self::Has,
        Self::Delete,
        Self::List,
    ];

    /// The operation as one stable lower-case word, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Size => "size",
            Self::Has => "has",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}
