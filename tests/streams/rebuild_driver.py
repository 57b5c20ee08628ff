"""Rebuilds a bucket from its change streams while it is written, expires, is evicted, and its server is killed.

    python3 tests/streams/rebuild_driver.py --lives 12 [--seed N] [--seconds S] [--only CONFIGURATION]

One writer, which knows the seqno of each of its changes, and one consumer, which stops and resumes its streams at
random points and rolls back where it is told to. Each message is held against the rules of streams (replica.py),
each whole snapshot against what the writer knows: all that has changed up to its end has to be in it. Where a life
ends calmly, the replica has to be what the server answers. Prints the seed, and on a violation where the directory is.
"""

import argparse
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

import mcbp
from lib.server import BINARY, PATIENCE_S
from mcbp import Closed, Mcbp, collection_key, collection_of, request, vbucket_of
from replica import Replica, Violation

VBUCKETS = 16
SMALL_KEYS, LARGE_KEYS = 1500, 500
# More documents than memory, with either eviction; and one that keeps its writes close to the disk.
CONFIGURATIONS = {
    "value": ["--memory", "20M", "--eviction", "value"],
    "full": ["--memory", "16M", "--eviction", "full"],
    "linger": ["--memory", "64M", "--flush-linger", "200ms"],
    "backfills": ["--memory", "16M", "--eviction", "full", "--max-backfills", "1", "--disk-shards", "1"],
}


def keys_of(dice):
    """(name, whether it is large) of all keys, in vbuckets 0 to VBUCKETS - 1."""
    keys = []
    number = dice.randrange(1 << 30)
    while len(keys) < SMALL_KEYS + LARGE_KEYS:
        name = b"key-%d" % number
        if vbucket_of(name) < VBUCKETS:
            keys.append((name, len(keys) < LARGE_KEYS))
        number += 1
    return keys


class History:
    """What was written, as far as the server has said so."""

    def __init__(self):
        self.lock = threading.Lock()
        self.by_seqno = {number: {} for number in range(VBUCKETS)}  # seqno: (key, cas)
        self.dropped = set()

    def note(self, vbucket, seqno, key, cas):
        with self.lock:
            self.by_seqno[vbucket][seqno] = (key, cas)

    def forget_after(self, vbucket, seqno):
        """The server came back without what was after it."""
        with self.lock:
            lost = [number for number in self.by_seqno[vbucket] if number > seqno]
            for number in lost:
                del self.by_seqno[vbucket][number]
        return len(lost)

    def check(self, vbucket, snapshot):
        """All that has changed in it was sent, as it was written."""
        with self.lock:
            mine = self.by_seqno[vbucket]
            for key, (seqno, cas, _) in snapshot.changes.items():
                known = mine.get(seqno)
                if known is not None and known != (key, cas):
                    raise Violation(f"vbucket {vbucket}: {key!r} at {seqno} is {known!r} to who wrote it")
            wanted = {}
            for seqno in sorted(number for number in mine if snapshot.after < number <= snapshot.end):
                wanted[mine[seqno][0]] = seqno
            for seqno in [number for number in mine if number <= snapshot.after]:
                del mine[seqno]
        for key, seqno in wanted.items():
            if collection_of(key) in self.dropped:
                continue
            sent = snapshot.changes.get(key)
            if sent is None or sent[0] < seqno:
                raise Violation(
                    f"vbucket {vbucket}: {key!r} changed at {seqno}, and the snapshot {snapshot.after + 1}-"
                    f"{snapshot.end} has {sent}"
                )
        return len(wanted)


class Writer(threading.Thread):
    """Pipelines of random operations on one connection, until told to stop or the server has gone."""

    def __init__(self, run, connection, seed):
        super().__init__(daemon=True)
        self.run_of, self.connection, self.dice = run, connection, random.Random(seed)
        self.stopping = False
        self.failure = None

    def run(self):
        try:
            while not self.stopping:
                if self.dice.random() < 0.02:
                    self.run_of.change_collections(self.connection, self.dice)
                self.burst(self.dice.randint(1, 60))
        except Closed:
            pass
        except BaseException as failure:  # told to the main thread
            self.failure = failure

    def burst(self, count):
        operations = [self.operation() for _ in range(count)]
        replies = self.connection.ask_all([data for _, data in operations])
        for ((opcode, key), _), reply in zip(operations, replies):
            self.run_of.counts["operations"] += 1
            if reply.status != mcbp.OK:
                self.run_of.counts[f"status {reply.status:#x}"] += 1
            elif opcode in (mcbp.SET, mcbp.DELETE):
                _, seqno = struct.unpack(">QQ", reply.extras)
                self.run_of.history.note(vbucket_of(key[1:]), seqno, key, reply.cas)

    def operation(self):
        dice = self.dice
        name, is_large = dice.choice(self.run_of.keys)
        key = collection_key(dice.choice(self.run_of.collections), name)
        vbucket = vbucket_of(name)
        roll = dice.random()
        if roll < 0.12:
            return (mcbp.DELETE, key), request(mcbp.DELETE, key, vbucket=vbucket)
        if roll < 0.25:
            return (mcbp.GET, key), request(mcbp.GET, key, vbucket=vbucket)
        size = dice.randint(10_000, 90_000) if is_large else dice.randint(0, 300)
        value = b"%d-" % dice.randrange(1 << 40) + b"v" * size
        expiry = 1 if dice.random() < 0.05 else 0
        extras = struct.pack(">II", dice.randrange(1 << 32), expiry)
        return (mcbp.SET, key), request(mcbp.SET, key, value, extras, vbucket=vbucket)


class Consumer(threading.Thread):
    """Follows all vbuckets; stops now and then, and goes on where it was."""

    def __init__(self, run, seed):
        super().__init__(daemon=True)
        self.run_of, self.dice = run, random.Random(seed)
        self.failure = None
        self.until = None  # seqnos to be reached, then it ends

    def run(self):
        try:
            while not self.is_done():
                self.stay()
        except Closed:
            pass
        except BaseException as failure:
            self.failure = failure

    def is_done(self):
        replica = self.run_of.replica
        return self.until is not None and all(
            replica.vbuckets[number].seqno >= seqno for number, seqno in self.until.items()
        )

    def stay(self):
        """One connection, for a while."""
        dice, replica = self.dice, self.run_of.replica
        connection = Mcbp(self.run_of.path)
        try:
            assert connection.ask(request(mcbp.OPEN, b"rebuild", extras=struct.pack(">II", 0, 1))).status == mcbp.OK
            window = dice.choice([1, 20_000, 1_000_000])
            for key, value in ((b"connection_buffer_size", b"%d" % window), (b"enable_expiry_opcode", b"true")):
                assert connection.ask(request(mcbp.CONTROL, key, value)).status == mcbp.OK
            replica.follow(connection)
            unacknowledged = 0
            for _ in range(dice.choice([0, 10, 500, 5000, 50_000])):
                while connection.is_quiet(0.05) and not self.is_done():
                    pass
                if self.is_done():
                    return
                frame = connection.message()
                ended = replica.take(frame)
                if ended is not None:
                    replica.follow(connection, [ended])
                unacknowledged += frame.size
                if unacknowledged >= window // 2:
                    connection.send(request(mcbp.BUFFER_ACK, extras=struct.pack(">I", unacknowledged)))
                    unacknowledged = 0
            self.run_of.counts["streams resumed"] += VBUCKETS
        finally:
            connection.close()
            replica.ended()


class Run:
    """One data directory with one configuration."""

    def __init__(self, name, seed):
        self.options = CONFIGURATIONS[name]
        self.dice = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix=f"bobbin-streams-{name}-")
        self.path = os.path.join(self.folder, "socket")
        self.keys = keys_of(self.dice)
        self.collections = [0]
        self.next_collection, self.manifest_uid = 8, 0
        self.history = History()
        self.replica = Replica(range(VBUCKETS))
        self.counts = Counter()
        self.process = None

    # --- the server ---

    def spawn(self):
        command = [BINARY, "serve", "--listen", "none", "--unix-socket", self.path, "--threads", "2"]
        command += ["--data", os.path.join(self.folder, "data"), "--log-level", "warning", *self.options]
        with open(os.path.join(self.folder, "stderr"), "wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return Mcbp(self.path)
            except Closed:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Violation(f"does not serve: {self.output()}") from None
                time.sleep(0.002)

    def output(self):
        with open(os.path.join(self.folder, "stderr"), encoding="utf-8", errors="replace") as errors:
            return errors.read()[-3000:]

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        if code not in (-signal.SIGKILL, 0):
            raise Violation(f"ended with {code}: {self.output()}")

    # --- collections ---

    def change_collections(self, connection, dice):
        """Makes one, or drops one."""
        collections = list(self.collections)
        if len(collections) > 3 or len(collections) > 1 and dice.random() < 0.4:
            gone = collections.pop(1)
            self.history.dropped.add(gone)
        else:
            collections.append(self.next_collection)
            self.next_collection += 1
        self.collections = [number for number in collections if number in self.collections]
        self.manifest_uid += 1
        entries = [{"name": "_default" if not number else f"c{number}", "uid": f"{number:x}"} for number in collections]
        manifest = {
            "uid": f"{self.manifest_uid:x}",
            "scopes": [{"name": "_default", "uid": "0", "collections": entries}],
        }
        reply = connection.ask(request(mcbp.SET_MANIFEST, value=json.dumps(manifest).encode()))
        if reply.status != mcbp.OK:
            raise Violation(f"the manifest {manifest} is refused: {reply.status:#x} {reply.value!r}")
        self.collections = collections
        self.counts["manifests"] += 1

    # --- one life of the server ---

    def live_once(self):
        connection = self.spawn()
        self.forget_what_was_lost(connection)
        writer = Writer(self, connection, self.dice.random())
        consumer = Consumer(self, self.dice.random())
        writer.start()
        consumer.start()
        time.sleep(self.dice.uniform(0.05, 2.0))
        if self.dice.random() < 0.6:
            self.counts["kills"] += 1
            self.end(signal.SIGKILL)
            self.join(writer, consumer)
            return
        self.counts["calm ends"] += 1
        writer.stopping = True
        self.join(writer)
        self.compare(connection, consumer)
        connection.close()
        self.end(self.dice.choice([signal.SIGTERM, signal.SIGKILL]))

    def join(self, *threads):
        for thread in threads:
            thread.join(2 * PATIENCE_S)
            if thread.is_alive():
                behind = {n: v.seqno for n, v in self.replica.vbuckets.items()}
                raise Violation(f"{type(thread).__name__} is stuck; wanted {getattr(thread, 'until', None)}, has {behind}")
            if thread.failure is not None:
                raise thread.failure
        for vbucket in self.replica.vbuckets.values():
            for snapshot in vbucket.whole:
                self.counts["changes awaited"] += self.history.check(vbucket.number, snapshot)
            vbucket.whole.clear()

    # A new branch begins where the last one's history ends.
    def forget_what_was_lost(self, connection):
        for number in range(VBUCKETS):
            newest = connection.failover_log(number)[0]
            if newest[1] != 0:
                self.counts["changes lost"] += self.history.forget_after(number, newest[1])

    # --- what is there in the end ---

    def compare(self, connection, consumer):
        # What expires is gone for the server once somebody asks for it.
        expired_at = time.time() + 2.1
        while time.time() < expired_at:
            time.sleep(0.05)
        names = [(collection_key(c, name), vbucket_of(name)) for c in self.collections for name, _ in self.keys]
        self.read_all(connection, names)
        consumer.until = {n: s for n, s in connection.high_seqnos().items() if n < VBUCKETS}
        self.join(consumer)
        found = self.read_all(connection, names)
        there = {key: doc for v in self.replica.vbuckets.values() for key, doc in v.documents.items()}
        for (key, vbucket), (value, cas, flags, expiry, revision) in found.items():
            mine = there.pop(key, None)
            if mine is None:
                raise Violation(f"{key!r} of vbucket {vbucket} is missing")
            if (mine.value, mine.cas, mine.flags, mine.expiry, mine.revision) != (value, cas, flags, expiry, revision):
                raise Violation(f"{key!r} of vbucket {vbucket}: it is {cas, flags, expiry, revision}, the replica has "
                                f"{mine._replace(value=len(mine.value))}")  # fmt: skip
        if there:
            raise Violation(f"{len(there)} documents are there no more, of them {next(iter(there.items()))[0]!r}")
        self.counts["documents compared"] += len(found)

    def read_all(self, connection, names):
        """(value, cas, flags, expiry, revision) by key and vbucket."""
        found = {}
        for part in range(0, len(names), 64):
            some = names[part : part + 64]
            gets = connection.ask_all([request(mcbp.GET, key, vbucket=vbucket) for key, vbucket in some])
            metas = connection.ask_all([request(mcbp.GET_META, key, vbucket=vbucket) for key, vbucket in some])
            for name, reply, meta in zip(some, gets, metas):
                if reply.status == mcbp.NOT_FOUND:
                    continue
                if reply.status != mcbp.OK:
                    raise Violation(f"{name} cannot be read: {reply.status:#x}")
                _, flags, expiry, revision = struct.unpack_from(">IIIQ", meta.extras)
                found[name] = (reply.value, reply.cas, flags, expiry, revision)
        return found


def run(name, seed, lives, deadline):
    one = Run(name, seed)
    done = 0
    try:
        while time.monotonic() < deadline and (lives is None or done < lives):
            one.live_once()
            done += 1
    except BaseException as failure:
        print(f"VIOLATION in {name} after {done} lives: {failure!r}")
        print(f"the directory is {one.folder}; {dict(one.counts)} {dict(one.replica.counts)}", flush=True)
        one.process.kill()
        if isinstance(failure, (Violation, AssertionError)):
            return done, False
        raise
    shutil.rmtree(one.folder)
    counts = one.counts + one.replica.counts
    print(f"  {name}: {done} lives, " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())), flush=True)
    return done, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--lives", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("BOBBIN_STREAMS_SEED", 0)))
    parser.add_argument("--only", action="append", choices=sorted(CONFIGURATIONS))
    parser.add_argument("-v", action="store_true", help="ignored")
    arguments = parser.parse_args()
    seed = arguments.seed or random.SystemRandom().randrange(1, 1 << 32)
    names = arguments.only or list(CONFIGURATIONS)
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    total, fine = 0, True
    for position, name in enumerate(names):
        lives = None if arguments.seconds else arguments.lives // len(names) + (position < arguments.lives % len(names))
        deadline = began + (position + 1) * (arguments.seconds or 1e9) / len(names)
        done, good = run(name, seed + position, lives, deadline)
        total, fine = total + done, fine and good
    print(f"{'passed' if fine else 'FAILED'}: {total} lives in {time.monotonic() - began:.0f} s, seed {seed}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
