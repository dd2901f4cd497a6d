"""What the checks here play with: an S3 server, our Bitswap node, and Kubo.

The command line of a check is KUBO_PYTHON NODE CIDBUCKET: a Python that has Kubo as a library
(tests/kubo/node.py), our node's program, and the `cidbucket` whose `serve --dev` is the S3 server.
"""

import contextlib
import filecmp
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

KUBO_PYTHON, NODE, CIDBUCKET = map(os.path.abspath, sys.argv[1:])
KUBO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kubo", "node.py")
MIB = 1024 * 1024
# Seconds for one step: the machine may be busy.
PATIENCE = int(os.environ.get("PATIENCE", "300"))


class World:
    """An S3 server, and a folder for all that the checks make."""

    def __init__(self, folder):
        self.folder = folder
        command = [CIDBUCKET, "serve", "--dev", "--json", "--listen", "127.0.0.1:0"]
        command += ["--data-dir", self.path("s3")]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.server.stdout.readline())
        self.url = f"s3://{ready['bucket']}/PREFIX?endpoint={ready['endpoint']}"
        self.url += f"&region={ready['region']}&style=path"
        # Nothing of the machine's own settings may play a part.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "AWS_ACCESS_KEY_ID": ready["access_key"],
            "AWS_SECRET_ACCESS_KEY": ready["secret_key"],
        }

    def close(self):
        self.server.kill()
        self.server.wait()

    def path(self, name):
        return os.path.join(self.folder, name)

    def store(self, prefix):
        return self.url.replace("PREFIX", prefix)

    def file(self, name, size):
        with open(self.path(name), "wb") as file:
            file.write(random.Random(name).randbytes(size))
        return self.path(name)

    def cidbucket(self, prefix, *arguments):
        """Runs `cidbucket` on a store and gives what it prints."""
        command = [CIDBUCKET, "--store", self.store(prefix), *arguments]
        return self.finish(self.start(command))

    def wait_for_blocks(self, prefix, count):
        """Waits until so many blocks lie in a store."""
        deadline = time.monotonic() + PATIENCE
        while self.cidbucket(prefix, "ls").count("\n") < count:
            assert time.monotonic() < deadline, f"no {count} blocks came"

    def fetch(self, prefix, *arguments):
        """Runs our node's `fetch`; gives how many blocks came, and how many were there."""
        command = [NODE, "--store", self.store(prefix), *arguments]
        said = self.finish(self.start(command))
        counts = re.fullmatch(r"fetched (\d+) blocks, \d+ bytes; (\d+) were there\n", said)
        return int(counts[1]), int(counts[2])

    def refused(self, *arguments):
        """Runs our node, which is to end with an error; gives its text."""
        process = self.start([NODE, *arguments])
        said, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1, (process.returncode, said, error)
        return error

    @contextlib.contextmanager
    def ours(self, prefix):
        """Our node, serving a store; gives its address."""
        process = self.start([NODE, "--store", self.store(prefix), "serve"])
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 143, process.returncode

    @contextlib.contextmanager
    def kubo(self, *paths):
        """A Kubo that adds files and folders; gives its address, their CIDs, and its process."""
        repository = self.repository()
        process = self.start_kubo("serve", repository, *paths, stdin=subprocess.PIPE)
        try:
            said = {"CID": [], "PEER": []}
            while not said["PEER"]:
                line = process.stdout.readline()
                assert line, "Kubo ended"
                # Its library says a few things by itself.
                name, _, value = line.strip().partition(" ")
                said.get(name, []).append(value)
            yield said["PEER"][0], said["CID"], process
        finally:
            process.kill()
            process.wait()

    def kubo_fetches(self, peer, cid, name):
        """Has a new Kubo get a CID from a peer; gives the path of what it wrote."""
        destination = self.path(name)
        command = ["fetch", self.repository(), peer, cid, destination]
        self.finish(self.start_kubo(*command))
        return destination

    def kubo_reads(self, repository, cid, name):
        """Has Kubo get a CID from its repository alone; gives the path of what it wrote."""
        destination = self.path(name)
        self.finish(self.start_kubo("cat", repository, cid, destination))
        return destination

    def import_into(self, repository, car):
        """Imports a CAR into the blocks of a Kubo that does not run; gives what is printed."""
        store = "dir:" + os.path.join(repository, "blocks")
        return self.finish(self.start([CIDBUCKET, "--store", store, "import", car])).strip()

    def repository(self):
        path = tempfile.mkdtemp(prefix="kubo-", dir=self.folder)
        self.finish(self.start_kubo("init", path))
        return path

    def start_kubo(self, *arguments, **options):
        # Kubo writes a log file into the current directory.
        options.update(cwd=self.folder, stderr=subprocess.STDOUT)
        return self.start([KUBO_PYTHON, KUBO, *arguments], **options)

    def start(self, command, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(command, env=self.environment, text=True, **options)

    @staticmethod
    def finish(process):
        """What a process prints; it must succeed, and in time."""
        try:
            said, error = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            # Kubo takes no SIGTERM.
            process.kill()
            said, error = process.communicate()
            raise AssertionError(f"{process.args} does not end: {said} {error}") from None
        assert process.returncode == 0, (process.args, process.returncode, said, error)
        return said


def same(left, right):
    """Whether two files, or two folders with all in them, are alike."""
    if os.path.isfile(left):
        return filecmp.cmp(left, right, shallow=False)
    names = sorted(os.listdir(left))
    return names == sorted(os.listdir(right)) and all(
        same(os.path.join(left, name), os.path.join(right, name)) for name in names
    )


def run(checks):
    """Runs checks, each on the same world; prints a line for each, and gives the exit code."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="cidbucket-bitswap-") as folder:
        with contextlib.closing(World(folder)) as world:
            for check in checks:
                began = time.monotonic()
                try:
                    check(world)
                    took = time.monotonic() - began
                    print(f"passed  {check.__name__} ({took:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {check.__name__}", flush=True)
                    traceback.print_exc(file=sys.stdout)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0
