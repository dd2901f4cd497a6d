//! The commands, each with the arguments and options it takes: a part of Kubo's.

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    BlockGet,
    BlockPut,
    BlockRm,
    BlockStat,
    Cat,
    CidBase32,
    CidBases,
    CidCodecs,
    CidFormat,
    CidHashes,
    DagExport,
    DagGet,
    DagImport,
    DagPut,
    DagResolve,
    DagStat,
    FilesStat,
    Get,
    Id,
    Ls,
    PinAdd,
    PinLs,
    PinRm,
    PinUpdate,
    PinVerify,
    Refs,
    RefsLocal,
    RepoGc,
    RepoStat,
    RepoVerify,
    RepoVersion,
    SwarmPeers,
    Version,
}

/// One command: where it is, and what it takes.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Its path, such as `block/get`.
    pub(crate) path: &'static str,
    pub(crate) command: Command,
    pub(crate) argument: Argument,
    pub(crate) options: &'static [Opt],
}

/// The arguments of a command: each has them of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    None,
    /// Files, at least one, in the body.
    Files,
    /// Texts, in the query.
    Texts {
        /// What each is called when it is missing.
        names: &'static [&'static str],
        /// How many there must be.
        required: usize,
        /// Whether there may be more than those with a name.
        variadic: bool,
        /// Whether they may come as lines of a file in the body.
        stdin: bool,
    },
}

/// An option: its names, the long one first.
#[derive(Debug)]
pub(crate) struct Opt {
    pub(crate) names: &'static [&'static str],
    pub(crate) kind: Kind,
}

/// What an option holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Flag,
    /// A signed integer of so many bits.
    Integer(u32),
    /// An unsigned integer of so many bits.
    Unsigned(u32),
    Text,
}

/// The options of every command.
pub(crate) const GLOBAL: &[Opt] = &[
    text(&["encoding", "enc"]),
    text(&["timeout"]),
    flag(&["stream-channels"]),
    text(&["cid-base"]),
    flag(&["upgrade-cidv0-in-output"]),
    flag(&["offline"]),
];

/// The command at a path, if there is one.
pub(crate) fn find(path: &str) -> Option<&'static Signature> {
    COMMANDS.iter().find(|signature| signature.path == path)
}

/// Whether there are commands under a path.
pub(crate) fn is_group(path: &str) -> bool {
    COMMANDS.iter().any(|signature| {
        signature
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

const fn flag(names: &'static [&'static str]) -> Opt {
    Opt {
        names,
        kind: Kind::Flag,
    }
}

const fn text(names: &'static [&'static str]) -> Opt {
    Opt {
        names,
        kind: Kind::Text,
    }
}

const fn integer(bits: u32, names: &'static [&'static str]) -> Opt {
    Opt {
        names,
        kind: Kind::Integer(bits),
    }
}

const fn unsigned(bits: u32, names: &'static [&'static str]) -> Opt {
    Opt {
        names,
        kind: Kind::Unsigned(bits),
    }
}

const fn one(name: &'static [&'static str]) -> Argument {
    Argument::Texts {
        names: name,
        required: name.len(),
        variadic: false,
        stdin: true,
    }
}

const fn some(name: &'static [&'static str]) -> Argument {
    Argument::Texts {
        names: name,
        required: name.len(),
        variadic: true,
        stdin: true,
    }
}

const fn command(
    path: &'static str,
    command: Command,
    argument: Argument,
    options: &'static [Opt],
) -> Signature {
    Signature {
        path,
        command,
        argument,
        options,
    }
}

const COMMANDS: &[Signature] = &[
    command(
        "add",
        Command::Add,
        Argument::Files,
        &[
            flag(&["recursive", "r"]),
            flag(&["quiet", "q"]),
            flag(&["quieter", "Q"]),
            flag(&["silent"]),
            flag(&["progress", "p"]),
            flag(&["trickle", "t"]),
            flag(&["only-hash", "n"]),
            flag(&["wrap-with-directory", "w"]),
            text(&["chunker", "s"]),
            flag(&["raw-leaves"]),
            integer(32, &["max-file-links"]),
            integer(32, &["max-directory-links"]),
            integer(32, &["max-hamt-fanout"]),
            flag(&["nocopy"]),
            flag(&["fscache"]),
            integer(32, &["cid-version"]),
            text(&["hash"]),
            flag(&["inline"]),
            integer(32, &["inline-limit"]),
            flag(&["pin"]),
            text(&["pin-name"]),
            text(&["to-files"]),
            flag(&["preserve-mode"]),
            flag(&["preserve-mtime"]),
            unsigned(32, &["mode"]),
            integer(64, &["mtime"]),
            unsigned(32, &["mtime-nsecs"]),
            flag(&["empty-dirs", "E"]),
        ],
    ),
    command("block/get", Command::BlockGet, one(&["cid"]), &[]),
    command(
        "block/put",
        Command::BlockPut,
        Argument::Files,
        &[
            text(&["cid-codec"]),
            text(&["mhtype"]),
            integer(32, &["mhlen"]),
            flag(&["pin"]),
            flag(&["allow-big-block"]),
            text(&["format", "f"]),
        ],
    ),
    command(
        "block/rm",
        Command::BlockRm,
        RM,
        &[flag(&["force", "f"]), flag(&["quiet", "q"])],
    ),
    command("block/stat", Command::BlockStat, one(&["cid"]), &[]),
    command(
        "cat",
        Command::Cat,
        some(&["ipfs-path"]),
        &[
            integer(64, &["offset", "o"]),
            integer(64, &["length", "l"]),
            flag(&["progress", "p"]),
        ],
    ),
    command("cid/base32", Command::CidBase32, some(&["cid"]), &[]),
    command(
        "cid/bases",
        Command::CidBases,
        Argument::None,
        &[flag(&["prefix"]), flag(&["numeric"])],
    ),
    command(
        "cid/codecs",
        Command::CidCodecs,
        Argument::None,
        &[flag(&["numeric", "n"]), flag(&["supported", "s"])],
    ),
    command(
        "cid/format",
        Command::CidFormat,
        some(&["cid"]),
        &[text(&["f"]), text(&["v"]), text(&["mc"]), text(&["b"])],
    ),
    command(
        "cid/hashes",
        Command::CidHashes,
        Argument::None,
        &[flag(&["numeric", "n"]), flag(&["supported", "s"])],
    ),
    command(
        "dag/export",
        Command::DagExport,
        one(&["root"]),
        &[flag(&["progress", "p"]), flag(&["local-only"])],
    ),
    command(
        "dag/get",
        Command::DagGet,
        one(&["ref"]),
        &[text(&["output-codec"])],
    ),
    command(
        "dag/import",
        Command::DagImport,
        Argument::Files,
        &[
            flag(&["pin-roots"]),
            flag(&["silent"]),
            flag(&["stats"]),
            flag(&["local-only"]),
            flag(&["allow-big-block"]),
        ],
    ),
    command(
        "dag/put",
        Command::DagPut,
        Argument::Files,
        &[
            text(&["store-codec"]),
            text(&["input-codec"]),
            flag(&["pin"]),
            text(&["hash"]),
            flag(&["allow-big-block"]),
        ],
    ),
    command("dag/resolve", Command::DagResolve, one(&["ref"]), &[]),
    command(
        "dag/stat",
        Command::DagStat,
        some(&["root"]),
        &[flag(&["progress", "p"])],
    ),
    command("files/stat", Command::FilesStat, one(&["path"]), &[]),
    command(
        "get",
        Command::Get,
        one(&["ipfs-path"]),
        &[
            text(&["output", "o"]),
            flag(&["archive", "a"]),
            flag(&["compress", "C"]),
            integer(32, &["compression-level", "l"]),
            flag(&["progress", "p"]),
        ],
    ),
    command(
        "id",
        Command::Id,
        OPTIONAL_PEER,
        &[text(&["format", "f"]), text(&["peerid-base"])],
    ),
    command(
        "ls",
        Command::Ls,
        some(&["ipfs-path"]),
        &[
            flag(&["headers", "v"]),
            flag(&["resolve-type"]),
            flag(&["size"]),
            flag(&["stream", "s"]),
            flag(&["long", "l"]),
        ],
    ),
    command(
        "pin/add",
        Command::PinAdd,
        some(&["ipfs-path"]),
        &[
            flag(&["recursive", "r"]),
            text(&["name", "n"]),
            flag(&["progress"]),
        ],
    ),
    command(
        "pin/ls",
        Command::PinLs,
        OPTIONAL_PATHS,
        &[
            text(&["type", "t"]),
            flag(&["quiet", "q"]),
            text(&["name", "n"]),
            flag(&["stream", "s"]),
            flag(&["names"]),
        ],
    ),
    command(
        "pin/rm",
        Command::PinRm,
        some(&["ipfs-path"]),
        &[flag(&["recursive", "r"])],
    ),
    command(
        "pin/update",
        Command::PinUpdate,
        FROM_TO,
        &[flag(&["unpin"])],
    ),
    command(
        "pin/verify",
        Command::PinVerify,
        Argument::None,
        &[flag(&["verbose"]), flag(&["quiet", "q"])],
    ),
    command(
        "refs",
        Command::Refs,
        some(&["ipfs-path"]),
        &[
            text(&["format"]),
            flag(&["edges", "e"]),
            flag(&["unique", "u"]),
            flag(&["recursive", "r"]),
            integer(32, &["max-depth"]),
        ],
    ),
    command("refs/local", Command::RefsLocal, Argument::None, &[]),
    command(
        "repo/gc",
        Command::RepoGc,
        Argument::None,
        &[
            flag(&["stream-errors"]),
            flag(&["quiet", "q"]),
            flag(&["silent"]),
        ],
    ),
    command(
        "repo/stat",
        Command::RepoStat,
        Argument::None,
        &[flag(&["size-only", "s"]), flag(&["human", "H"])],
    ),
    command(
        "repo/verify",
        Command::RepoVerify,
        Argument::None,
        &[flag(&["drop"]), flag(&["heal"]), text(&["heal-timeout"])],
    ),
    command(
        "repo/version",
        Command::RepoVersion,
        Argument::None,
        &[flag(&["quiet", "q"])],
    ),
    command(
        "swarm/peers",
        Command::SwarmPeers,
        Argument::None,
        &[
            flag(&["verbose", "v"]),
            flag(&["streams"]),
            flag(&["latency"]),
            flag(&["direction"]),
            flag(&["identify"]),
        ],
    ),
    command(
        "version",
        Command::Version,
        Argument::None,
        &[
            flag(&["number", "n"]),
            flag(&["commit"]),
            flag(&["repo"]),
            flag(&["all"]),
        ],
    ),
];

const RM: Argument = Argument::Texts {
    names: &["cid"],
    required: 1,
    variadic: true,
    stdin: false,
};

const OPTIONAL_PEER: Argument = Argument::Texts {
    names: &["peerid"],
    required: 0,
    variadic: false,
    stdin: false,
};

const OPTIONAL_PATHS: Argument = Argument::Texts {
    names: &["ipfs-path"],
    required: 0,
    variadic: true,
    stdin: false,
};

const FROM_TO: Argument = Argument::Texts {
    names: &["from-path", "to-path"],
    required: 2,
    variadic: false,
    stdin: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_options() {
        for signature in COMMANDS {
            let names: Vec<_> = signature
                .options
                .iter()
                .chain(GLOBAL)
                .flat_map(|option| option.names)
                .collect();
            let unique: std::collections::BTreeSet<_> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{}", signature.path);
        }
    }

    #[test]
    fn groups_and_commands() {
        assert_eq!(find("block/get").unwrap().command, Command::BlockGet);
        assert!(find("block").is_none() && is_group("block"));
        assert!(find("refs").is_some() && is_group("refs"));
        assert!(find("key/list").is_none() && !is_group("key"));
        assert!(!is_group("blo") && !is_group(""));
    }
}
