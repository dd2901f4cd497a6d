#!/usr/bin/env python3
"""Files to S3, out as a CAR, into a real Kubo; and from Kubo over Bitswap to S3 and out again. The root
and every byte stay the same.

    round_trip.py KUBO_PYTHON NODE CIDBUCKET      (see world.py)

ROUND_TRIP_FILES small files and one of ROUND_TRIP_MIB MiB make the round: 10,000 and 1,024 unless set.
Prints a line a check, with the seconds of each step; exits with 1 if one failed.
"""

import contextlib
import os
import random
import sys
import time

from world import MIB, run, same

FILES = int(os.environ.get("ROUND_TRIP_FILES", "10000"))
SIZE = int(os.environ.get("ROUND_TRIP_MIB", "1024"))


@contextlib.contextmanager
def step(what):
    began = time.monotonic()
    yield
    print(f"        {time.monotonic() - began:6.1f} s  {what}", flush=True)


def tree(world):
    """A folder of small files, more than fit in one block, and a large one beside it."""
    top = world.path("tree")
    os.makedirs(os.path.join(top, "small"))
    numbers = random.Random(FILES)
    for n in range(FILES):
        with open(os.path.join(top, "small", f"{n:05} of {FILES}"), "wb") as file:
            file.write(numbers.randbytes(numbers.randrange(2000)))
    with open(os.path.join(top, "large"), "wb") as file:
        for _ in range(SIZE):
            file.write(numbers.randbytes(MIB))
    return top


def there_and_back(world):
    top = tree(world)
    ours, theirs = world.path("ours.car"), world.path("theirs.car")

    with step("cidbucket add: files to S3"):
        root = world.cidbucket("there", "add", "-Q", top).strip()
    with step("cidbucket export: S3 to a CAR"):
        world.cidbucket("there", "export", root, "-o", ours)
    # Kubo's library has no call for a CAR: its blocks are laid into Kubo's own repository.
    repository = world.repository()
    with step("cidbucket import: the CAR into Kubo's repository"):
        roots = world.import_into(repository, ours)
        assert roots == root, roots
    with step("Kubo reads the tree from its repository"):
        assert same(top, world.kubo_reads(repository, root, "from the CAR"))

    with world.kubo(top) as (peer, [cid], _):
        assert cid == root, "what Kubo adds has the same root"
        with step("cidbucket-bitswap fetch: Kubo to S3"):
            fetched, there = world.fetch("back", "--peer", peer, "fetch", root)
            assert there == 0 and fetched > FILES + 4 * SIZE, (fetched, there)
    with step("cidbucket export: S3 to a CAR"):
        world.cidbucket("back", "export", root, "-o", theirs)
    assert same(ours, theirs), "both CARs are the same, to the byte"
    with world.ours("back") as peer, step("Kubo downloads the tree from our node, S3 behind it"):
        assert same(top, world.kubo_fetches(peer, root, "from our node"))


sys.exit(run([there_and_back]))
