//! The commands, a family a file.

mod add;
mod block;
mod cat;
mod cid;
mod dag;
mod files;
mod get;
mod id;
mod import;
mod ls;
mod pin;
mod refs;
mod repo;
mod tar;
mod value;
mod version;

use cidbucket_blockstore::Cid;
use cidbucket_records::PinType;

use crate::node::Node;
use crate::pinner::Wanted;
use crate::wire::call::Call;
use crate::wire::commands::Command;
use crate::wire::emitter::Emitter;
use crate::wire::failure::Failure;
use crate::wire::upload::Upload;

/// What every command is given.
pub(crate) struct Context {
    pub(crate) node: Node,
    pub(crate) call: Call,
    pub(crate) upload: Option<Upload>,
    pub(crate) out: Emitter,
}

impl Context {
    /// The first argument, which is there: the call was checked.
    fn argument(&self) -> &str {
        self.call.arguments.first().map_or("", String::as_str)
    }

    /// The files, which are there.
    fn upload(&mut self) -> Result<Upload, Failure> {
        self.upload
            .take()
            .ok_or_else(|| Failure::client("file argument 'data' is required"))
    }

    /// Pins a whole DAG, and tells nobody how far that is.
    async fn pin(&self, root: Cid) -> Result<(), Failure> {
        let wanted = Wanted::new(root, PinType::Recursive);
        let quiet = |_| async { Ok(()) };
        self.node.pinner().add(wanted, quiet).await
    }
}

/// Runs a command to its end.
pub(crate) async fn run(
    node: Node,
    call: Call,
    upload: Option<Upload>,
    out: Emitter,
) -> Result<(), Failure> {
    let command = call.command();
    let context = Context {
        node,
        call,
        upload,
        out,
    };
    match command {
        Command::Add => add::add(context).await,
        Command::BlockGet => block::get(context).await,
        Command::BlockPut => block::put(context).await,
        Command::BlockRm => block::rm(context).await,
        Command::BlockStat => block::stat(context).await,
        Command::Cat => cat::cat(context).await,
        Command::CidBase32 => cid::base32(context).await,
        Command::CidBases => cid::bases(context).await,
        Command::CidCodecs => cid::codecs(context).await,
        Command::CidFormat => cid::format(context).await,
        Command::CidHashes => cid::hashes(context).await,
        Command::DagExport => dag::export(context).await,
        Command::DagGet => dag::get(context).await,
        Command::DagImport => import::import(context).await,
        Command::DagPut => dag::put(context).await,
        Command::DagResolve => dag::resolve(context).await,
        Command::DagStat => dag::stat(context).await,
        Command::FilesStat => files::stat(context).await,
        Command::Get => get::get(context).await,
        Command::Id => id::id(context).await,
        Command::Ls => ls::ls(context).await,
        Command::PinAdd => pin::add(context).await,
        Command::PinLs => pin::ls(context).await,
        Command::PinRm => pin::rm(context).await,
        Command::PinUpdate => pin::update(context).await,
        Command::PinVerify => pin::verify(context).await,
        Command::Refs => refs::refs(context).await,
        Command::RefsLocal => refs::local(context).await,
        Command::RepoGc => repo::gc(),
        Command::RepoStat => repo::stat(context).await,
        Command::RepoVerify => repo::verify(context).await,
        Command::RepoVersion => repo::version(context).await,
        Command::SwarmPeers => id::swarm_peers(context).await,
        Command::Version => version::version(context).await,
    }
}
