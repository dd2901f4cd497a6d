"""ipfsspec, which Python's data tools read IPFS with, against `cidbucket serve`.

It lists and stats by CARs of `dag-scope=block`, and reads files as they are, so the gateway has to show files.
"""

import base64
import hashlib
import json
import os
import subprocess
import tempfile
import urllib.request

import fsspec


# A directory `{data.bin: 3 chunks, text.txt}`, as `ipfs add --cid-version=1 --chunker=size-16` makes it, built by hand:
# dag-pb (https://ipld.io/specs/codecs/dag-pb/spec/) and UnixFS (https://specs.ipfs.tech/unixfs/).
def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(codec, data):
    cid = bytes([1, codec, 0x12, 32]) + hashlib.sha256(data).digest()
    return cid, "b" + base64.b32encode(cid).decode().lower().rstrip("="), data


def dag_pb(links, data):
    body = b"".join(field(2, field(1, cid) + field(2, name.encode()) + field(3, size)) for cid, name, size in links)
    return block(0x70, body + field(1, data))


def site():
    content = bytes(range(48))
    chunks = [block(0x55, content[at : at + 16]) for at in range(0, 48, 16)]
    data = field(1, 2) + field(3, 48) + b"".join(field(4, 16) for _ in chunks)
    file = dag_pb([(cid, "", 16) for cid, _, _ in chunks], data)
    text = block(0x55, b"some text\n")
    root = dag_pb([(file[0], "data.bin", 60), (text[0], "text.txt", 10)], field(1, 1))
    return root[1], content, [*chunks, file, text, root]


def main():
    root, content, blocks = site()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [os.environ["CIDBUCKET_BIN"], "serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", folder]
            + ["--public-reads", "--gateway-files"],
            stdout=subprocess.PIPE,
        )
        try:
            started = json.loads(server.stdout.readline())
            url = started["service"].rstrip("/")
            for _, cid, data in blocks:
                put = urllib.request.Request(f"{url}/v1/blocks/{cid}", data=data, method="PUT")
                put.add_header("authorization", f"Bearer {started['token']}")
                urllib.request.urlopen(put)
            os.environ["IPFS_GATEWAY"] = url
            fs = fsspec.filesystem("ipfs")
            names = sorted(entry["name"].rsplit("/", 1)[-1] for entry in fs.ls(root, detail=True))
            assert names == ["data.bin", "text.txt"], names
            info = fs.info(f"{root}/data.bin")
            assert (info["type"], info["size"]) == ("file", 48), info
            assert fs.cat(f"{root}/data.bin") == content
            with fs.open(f"ipfs://{root}/text.txt") as file:
                assert file.read() == b"some text\n"
            try:
                fs.cat(f"{root}/nothing")
            except FileNotFoundError:
                pass
            else:
                raise AssertionError("a file that is not there was read")
        finally:
            server.terminate()
            server.wait()
    print("ipfsspec: ls, info, cat and open passed")


if __name__ == "__main__":
    main()
