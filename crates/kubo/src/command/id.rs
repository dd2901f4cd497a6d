//! `id` and `swarm/peers`: who this is, and that it has no peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use multibase::Base;
use serde_json::json;

use super::Context;
use crate::node::AGENT;
use crate::wire::failure::Failure;

pub(super) async fn id(mut context: Context) -> Result<(), Failure> {
    let peer = context.node.0.peer.clone();
    let id = peer.text();
    if let Some(asked) = context.call.arguments.first()
        && !asked.is_empty()
        && *asked != id
    {
        return Err(Failure::new(
            "this node has no peers, so it knows none but itself",
        ));
    }
    let shown = match context.call.options.text("peerid-base") {
        None | Some("b58mh") => id.clone(),
        // As a CID: version 1, codec libp2p-key.
        Some(name) => {
            let base = match name {
                "k" => Some(Base::Base36Lower),
                name => crate::cid_text::base(name),
            };
            let base = base.ok_or_else(|| Failure::new(format!("unsupported base: {name:?}")))?;
            let multihash = Base::Base58Btc
                .decode(&id)
                .map_err(|error| Failure::new(error.to_string()))?;
            multibase::encode(base, [&[0x01, 0x72], &multihash[..]].concat())
        }
    };
    let address = context.node.address();
    // Where everything is listened on, some of it must be told.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let family = if ip.is_ipv4() { "ip4" } else { "ip6" };
    let own = format!("/{family}/{ip}/tcp/{}/http/p2p/{id}", address.port());
    let answer = json!({
        "ID": shown,
        "PublicKey": peer.public_key(),
        "Addresses": [own],
        "AgentVersion": AGENT,
        "Protocols": [],
    });
    context.out.single(&answer).await
}

pub(super) async fn swarm_peers(mut context: Context) -> Result<(), Failure> {
    context.out.single(&json!({ "Peers": [] })).await
}
