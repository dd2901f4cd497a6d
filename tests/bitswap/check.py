#!/usr/bin/env python3
"""Bitswap between our node and a real Kubo, both ways, with S3 as our store.

    check.py KUBO_PYTHON NODE CIDBUCKET      (see world.py)

Prints a line a check; exits with 1 if one failed.
"""

import os
import signal
import sys

from world import MIB, NODE, PATIENCE, run, same


def a_folder(world):
    """Small files, an empty one, one of several blocks, folders in folders."""
    folder = world.path("folder")
    os.makedirs(os.path.join(folder, "deep", "er"))
    for n in range(50):
        world.file(os.path.join(folder, f"small {n} ü"), n * 100)
    world.file(os.path.join(folder, "deep", "er", "large"), 3 * MIB + 1)
    world.file(os.path.join(folder, "deep", "again"), 70_000)
    return folder


def what_kubo_added_goes_to_s3_and_from_there_to_another_kubo(world):
    file, folder = world.file("file", 20 * MIB + 1), a_folder(world)
    with world.kubo(file, folder) as (peer, cids, _):
        fetched, there = world.fetch("kubo", "--peer", peer, "fetch", *cids)
        assert fetched > 81 + 13 + 50 and there == 0, (fetched, there)
        again = world.fetch("kubo", "--peer", peer, "fetch", *cids)
        assert again == (0, fetched), again
    # The first Kubo is gone: only our node has it now.
    with world.ours("kubo") as peer:
        assert same(file, world.kubo_fetches(peer, cids[0], "file back"))
        assert same(folder, world.kubo_fetches(peer, cids[1], "folder back"))
        copied = world.fetch("copy", "--peer", peer, "fetch", *cids)
        assert copied == (fetched, 0), copied


def what_we_added_to_s3_goes_to_kubo(world):
    file, folder = world.path("file"), world.path("folder")
    # Of Kubo's shape, and of another: leaves of 1 MiB each, of which Kubo wants several at once.
    profiles = ["unixfs-v0-2015", "unixfs-v1-2025"]
    roots = [
        (path, name, world.cidbucket("added", "add", "-Q", "--profile", profile, path).strip())
        for profile in profiles
        for path, name in [(file, f"file of {profile}"), (folder, f"folder of {profile}")]
    ]
    assert len({root for _, _, root in roots}) == len(roots)
    with world.kubo(file, folder) as (_, cids, _):
        assert cids == [root for _, _, root in roots[:2]], "what Kubo adds has the same CIDs"
    with world.ours("added") as peer:
        for path, name, root in roots:
            assert same(path, world.kubo_fetches(peer, root, name)), name


def a_fetch_that_was_broken_off_is_gone_on_with(world):
    file = world.file("long", 40 * MIB)
    with world.kubo(file) as (peer, [cid], _):
        command = [NODE, "--store", world.store("broken"), "--peer", peer, "fetch", cid]
        process = world.start(command)
        world.wait_for_blocks("broken", 3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode in (130, 0), process.returncode
        fetched, there = world.fetch("broken", "--peer", peer, "fetch", cid)
        assert there >= 3 and fetched + there == 161, (fetched, there)
    with world.ours("broken") as peer:
        assert same(file, world.kubo_fetches(peer, cid, "long back"))


def a_peer_that_goes_away_is_an_error(world):
    with world.kubo(world.file("unfinished", 40 * MIB)) as (peer, [cid], kubo):
        arguments = ["--store", world.store("gone"), "--peer", peer, "fetch", cid]
        process = world.start([NODE, *arguments])
        world.wait_for_blocks("gone", 3)
        kubo.kill()
        _, error = process.communicate(timeout=PATIENCE)
        # It may have been quicker than we are.
        if process.returncode != 0:
            assert process.returncode == 1, process.returncode
            assert "the last peer is gone" in error, error
        error = world.refused(*arguments)
        assert "cannot reach a peer" in error, error


def what_nobody_has_is_an_error(world):
    nowhere = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    with world.kubo() as (peer, _, _):
        arguments = ["--store", world.store("nothing"), "--peer", peer, "fetch", nowhere]
        error = world.refused(*arguments, "--timeout", "2")
        assert nowhere in error and "2 s" in error, error
    assert world.cidbucket("nothing", "ls") == ""


CHECKS = [
    what_kubo_added_goes_to_s3_and_from_there_to_another_kubo,
    what_we_added_to_s3_goes_to_kubo,
    a_fetch_that_was_broken_off_is_gone_on_with,
    a_peer_that_goes_away_is_an_error,
    what_nobody_has_is_an_error,
]


sys.exit(run(CHECKS))
