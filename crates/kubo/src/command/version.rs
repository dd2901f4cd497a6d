//! `version`: what clients ask before every command.

use serde_json::json;

use super::Context;
use crate::wire::failure::Failure;

/// The version of Kubo whose interface this is. Clients decide by it what they may ask for and how
/// (the `ipfs` command line, how it writes paths since 0.23), so it is one of Kubo's; what stands
/// behind it says who is really there, and is a pre-release in the sense of semver.
const VERSION: &str = concat!("0.40.0-cidbucket.", env!("CARGO_PKG_VERSION"));
/// The version of the repository format that Kubo of that version has.
pub(super) const REPO: &str = "18";

pub(super) async fn version(mut context: Context) -> Result<(), Failure> {
    let (machine, system) = (std::env::consts::ARCH, std::env::consts::OS);
    let version = json!({
        "Version": VERSION,
        "Commit": "",
        "Repo": REPO,
        "System": format!("{machine}/{system}"),
        "Golang": "none",
    });
    context.out.single(&version).await
}
