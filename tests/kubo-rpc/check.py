"""ipfshttpclient, unchanged, against `cidbucket serve --rpc`: python check.py CIDBUCKET

Ends with a line 'N passed, N failed'.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
import warnings

import ipfshttpclient
import ipfshttpclient.exceptions as exceptions

MISSING = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def add_and_cat(client):
    added = client.add_bytes(b"hello world\n")
    assert added == "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o", added
    assert client.cat(added) == b"hello world\n"
    assert client.cat(added, offset=6, length=5) == b"world"
    assert client.add_str("text") == client.add_bytes(b"text")


def directories(client):
    with tempfile.TemporaryDirectory() as folder:
        top = os.path.join(folder, "top")
        os.makedirs(os.path.join(top, "below"))
        for name, data in [("a b.txt", b"a"), ("below/ü", b"x" * 600_000)]:
            with open(os.path.join(top, name), "wb") as file:
                file.write(data)
        added = {entry["Name"]: entry["Hash"] for entry in client.add(top, recursive=True)}
        assert set(added) == {"top", "top/a b.txt", "top/below", "top/below/ü"}, added
        links = client.ls(added["top"])["Objects"][0]["Links"]
        assert [(link["Name"], link["Type"]) for link in links] == [("a b.txt", 2), ("below", 1)], links
        out = os.path.join(folder, "out")
        os.mkdir(out)
        client.get(added["top"], target=out)
        with open(os.path.join(out, added["top"], "below/ü"), "rb") as file:
            assert file.read() == b"x" * 600_000


def blocks(client):
    cid = client.block.put(io.BytesIO(b"a block"))["Key"]
    assert client.block.get(cid) == b"a block"
    assert client.block.stat(cid)["Size"] == 7
    try:
        client.block.get(MISSING)
    except exceptions.ErrorResponse as error:
        assert "could not find" in str(error), error
    else:
        raise AssertionError("a block that is not there")


def pins(client):
    cid = client.add_bytes(b"pinned")
    assert client.pin.ls(cid)["Keys"][cid]["Type"] == "recursive"
    assert client.pin.rm(cid)["Pins"] == [cid]
    assert client.pin.add(cid)["Pins"] == [cid]
    other = client.add_bytes(b"other")
    client.pin.rm(other)
    assert client.pin.update(cid, other)["Pins"] == [cid, other]
    assert other in client.pin.ls(type="recursive")["Keys"]


def dags(client):
    cid = client.dag.put(io.BytesIO(b'{"a": [1, 2]}'))["Cid"]["/"]
    assert client.dag.get(f"{cid}/a/1").as_json() == 2
    assert client.dag.resolve(f"{cid}/a/1")["RemPath"] == "/a/1"
    car = client.dag.export(cid)
    assert client.dag.imprt(io.BytesIO(car))["Root"]["Cid"]["/"] == cid


def repository(client):
    assert client.repo.stat()["NumObjects"] > 0
    assert client.id()["ID"].startswith("12D3KooW")
    assert client.version()["Version"].split(".")[0] == "0"
    assert client.swarm.peers()["Peers"] in ([], None)


CHECKS = [add_and_cat, directories, blocks, pins, dags, repository]


def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "serve", "--json", "--store", f"dir:{folder}/blocks"]
        command += ["--listen", "127.0.0.1:0", "--rpc", "127.0.0.1:0"]
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as node:
            try:
                port = json.loads(node.stdout.readline())["rpc"].rsplit(":", 1)[1]
                # It knows no Kubo as new as this interface, says so, and works all the same.
                warnings.simplefilter("ignore", exceptions.VersionMismatch)
                with ipfshttpclient.connect(f"/ip4/127.0.0.1/tcp/{port}/http") as client:
                    return run(client)
            finally:
                node.terminate()


def run(client):
    failed = 0
    for check in CHECKS:
        try:
            check(client)
            print(f"ok    {check.__name__}")
        except Exception:  # each is told, and the others go on
            failed += 1
            print(f"FAIL  {check.__name__}")
            traceback.print_exc(file=sys.stdout)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
