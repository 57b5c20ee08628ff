"""Kills a server and its follower at random moments while it is written to; in the end both have the same.

    python3 tests/follow/kill_driver.py --kills 50 [--seed N]

Prints the seed, and on a difference where the directories are.
"""

import argparse
import math
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import zlib

import content
from lib import streams
from lib.connection import Connection
from lib.ports import free_port
from lib.server import BINARY, PATIENCE_S
from pair import vbucket_of

KEYS = 3000
OTHER = "other"


class Side:
    """The source or its follower, life after life, always on the same port."""

    def __init__(self, folder, name, options):
        self.folder = os.path.join(folder, name)
        self.name = name
        self.options = options
        self.endpoint = ("127.0.0.1", free_port())
        self.http = free_port()
        self.process = None
        self.errors = open(os.path.join(folder, name + ".err"), "ab")

    def spawn(self):
        command = [BINARY, "serve", "--listen", "127.0.0.1", "--port", str(self.endpoint[1]), "--data", self.folder]
        command += ["--http-port", str(self.http), "--threads", "1", "--memory", "512M", "--log-level", "warning"]
        command += self.options
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors
        )

    def wait_until_it_listens(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(self.endpoint, PATIENCE_S).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{self.name} ended with {self.process.returncode}") from None
                time.sleep(0.005)
        raise SystemExit(f"{self.name} does not listen")

    def make_bucket(self):
        form = urllib.parse.urlencode({"name": OTHER, "ramQuotaMB": 100, "bucketType": "membase"}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.http}/pools/default/buckets", form, PATIENCE_S).close()

    def end(self, kill):
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        # One that was just starting may not know yet what to do about a SIGTERM.
        if code not in ((-9,) if kill else (0, -15)):
            raise SystemExit(f"{self.name} ended with {code}")


class Writer(threading.Thread):
    """Writes to the source for as long as it runs, whoever else is there."""

    def __init__(self, endpoint, seed):
        super().__init__(daemon=True)
        self.endpoint = endpoint
        self.dice = random.Random(seed)
        self.running = threading.Event()
        self.running.set()
        self.written = 0

    def run(self):
        while self.running.is_set():
            try:
                with Connection(self.endpoint, patience_s=5) as client:
                    while self.running.is_set():
                        batch = b"".join(self.request() for _ in range(50))
                        client.send(batch + b"mn\r\n")
                        if client.read_until(b"MN\r\n")[-4:] != b"MN\r\n":
                            break
                        self.written += 50
            except OSError:
                time.sleep(0.01)

    def request(self):
        number = self.dice.randrange(KEYS)
        kind = self.dice.random()
        if kind < 0.15:
            return b"delete k%d noreply\r\n" % number
        if kind < 0.25:
            return b"incr n%d 3 noreply\r\n" % number
        if kind < 0.30:
            return b"set n%d 0 0 1 noreply\r\n1\r\n" % number
        if kind < 0.30002:
            return b"flush_all noreply\r\n"
        expiry = self.dice.choice([0, 0, 0, 1, 100000])
        size = self.dice.choice([10, 100, 1000])
        value = (b"%d:" % self.dice.getrandbits(60)).ljust(size, b"x")
        return b"set k%d %d %d %d noreply\r\n%s\r\n" % (number, number, expiry, len(value), value)


class OtherWriter(Writer):
    """The same in another bucket, which takes Couchbase's protocol."""

    SET, DELETE, BATCH = 0x01, 0x04, 50

    def run(self):
        while self.running.is_set():
            try:
                with content.Streams(self.endpoint, OTHER) as client:
                    while self.running.is_set():
                        client.connection.send(b"".join(self.request() for _ in range(self.BATCH)))
                        for _ in range(self.BATCH):
                            client.frame()
                        self.written += self.BATCH
            except (OSError, AssertionError):
                time.sleep(0.01)

    def request(self):
        name = b"k%d" % self.dice.randrange(KEYS)
        vbucket = vbucket_of(name)
        if self.dice.random() < 0.2:
            return streams.frame(self.DELETE, key=b"\0" + name, vbucket=vbucket)
        extras = struct.pack(">II", self.dice.getrandbits(32), 0)
        value = b"x" * self.dice.choice([10, 100, 1000])
        return streams.frame(self.SET, extras, b"\0" + name, value, vbucket=vbucket)


def checksum(found):
    """The same for the same content."""
    return zlib.crc32(repr(sorted((vbucket, sorted(keys.items(), key=repr)) for vbucket, keys in found.items())).encode())


def compare(source, follower, bucket):
    """Until nothing expires between the looks, both are looked at again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        content.wait_until_same_seqnos(source.endpoint, follower.endpoint, bucket=bucket)
        here, there = content.content(source.endpoint, bucket), content.content(follower.endpoint, bucket)
        wrong = content.differences(here, there)
        if not wrong:
            return checksum(here), checksum(there), sum(len(keys) for keys in here.values())
        if time.monotonic() > deadline:
            raise SystemExit(f"bucket {bucket}: {len(wrong)} differences: {wrong[:5]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("BOBBIN_CRASH_SEED", 0)))
    parser.add_argument("-v", action="store_true", help="ignored")
    arguments = parser.parse_args()
    seed = arguments.seed or random.SystemRandom().randrange(1, 1 << 32)
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="bobbin-follow-kills-")
    print(f"the directories are in {folder}", flush=True)
    linger = ["--flush-linger", dice.choice(["0", "20ms", "200ms"])]
    source = Side(folder, "source", linger + ["--durability", dice.choice(["memory", "memory", "disk"])])
    eviction = ["--eviction", dice.choice(["value", "full"])]
    follower = Side(folder, "follower", linger + eviction + ["--follow", "%s:%d" % source.endpoint])
    began = time.monotonic()
    for side in (source, follower):
        side.spawn()
    for side in (source, follower):
        side.wait_until_it_listens()
    source.make_bucket()
    writers = [Writer(source.endpoint, seed), OtherWriter(source.endpoint, seed + 1)]
    for writer in writers:
        writer.start()
    clean = 0
    for _ in range(arguments.kills):
        time.sleep(math.exp(dice.uniform(math.log(0.01), math.log(1.0))))
        side = dice.choice([source, follower])
        kill = dice.random() < 0.9
        clean += not kill
        side.end(kill)
        if dice.random() < 0.3:
            time.sleep(dice.uniform(0, 0.3))
        side.spawn()
        if dice.random() < 0.7:
            side.wait_until_it_listens()
    for writer in writers:
        writer.running.clear()
        writer.join()
    for side in (source, follower):
        side.wait_until_it_listens()
    for bucket, writer in zip(("default", OTHER), writers):
        one, other, items = compare(source, follower, bucket)
        assert one == other
        print(f"bucket {bucket}: {writer.written} writes, {items} keys and deletions, checksum {one:08x}")
    print(f"passed: {arguments.kills} ends, {clean} of them clean, in {time.monotonic() - began:.0f} s, seed {seed}")
    for side in (follower, source):
        side.end(False)
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
