"""Kills the server at random moments and checks after each restart what is there against a model.

    python3 tests/crash/kill_driver.py --kills 100 [--seed N] [--seconds S] [--only CONFIGURATION]
    ... --power     loses what was never synced, too (tests/crash/faulty_server)
    ... --bad-sync  each server has a sync that fails

With --seconds it goes on for so long (a soak). Prints the seed, and on a violation where the directory is.
"""

import argparse
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

from lib.server import BINARY, PATIENCE_S
from load import Client, Closed, Observer, Replies, World, seen_of, wait_for_any
from model import Operation, Violation, check_order

FAULTY = os.environ.get("BOBBIN_FAULTY_SERVER", "build/release/faulty_server")
CLIENTS = 4
SMALL = [(0, 40), (0, 40), (40, 400), (400, 3000), (4000, 9000)]
LARGE = [(100, 3000), (20000, 60000), (60000, 120000)]
# Name: (options, sizes of values, window of each client). The large ones have more documents than memory.
CONFIGURATIONS = {
    "disk-value": (["--durability", "disk", "--memory", "64M"], SMALL, 30),
    "disk-full": (["--durability", "disk", "--eviction", "full", "--memory", "16M"], LARGE, 10),
    "memory-value": (["--memory", "64M"], SMALL, 30),
    "memory-full": (["--eviction", "full", "--memory", "16M"], LARGE, 10),
    "memory-linger": (["--flush-linger", "200ms", "--disk-shards", "3", "--memory", "64M"], SMALL, 60),
    "mixed": (None, SMALL + LARGE, 15),  # another one of these each time
    "disk-small": (["--durability", "disk", "--memory", "16M", "--disk-shards", "1"], LARGE, 10),
}
MOMENTS = {"load": 12, "start": 3, "listen": 2, "warmup": 3, "drain": 4, "end": 1}


class Run:
    """One data directory with one configuration: its server, killed again and again."""

    def __init__(self, name, seed, arguments):
        self.name = name
        self.options, sizes, self.window = CONFIGURATIONS[name]
        self.is_mixed = self.options is None
        self.arguments = arguments
        self.dice = random.Random(seed)
        self.world = World(seed, CLIENTS, 16, 5, sizes)
        self.folder = tempfile.mkdtemp(prefix=f"bobbin-crash-{name}-")
        self.path = os.path.join(self.folder, "socket")
        self.process = None
        self.killed_at = 0.0
        self.counts = Counter()
        self.longest_loss_s = 0.0
        self.is_faulty = False  # the running server has a fault

    @property
    def is_durable(self):
        return "disk" in self.options[1:2]

    # --- the server ---

    def spawn(self):
        if self.is_mixed:
            self.options = ["--durability", self.dice.choice(["disk", "memory"])]
            self.options += ["--eviction", self.dice.choice(["value", "full"])]
            self.options += ["--memory", self.dice.choice(["16M", "24M", "64M"])]
        binary = FAULTY if self.arguments.power or self.arguments.bad_sync else BINARY
        command = [binary, "serve"] if binary == BINARY else [binary]
        command += ["--listen", "none", "--unix-socket", self.path, "--data", os.path.join(self.folder, "data")]
        command += ["--threads", "2", "--log-level", "warning", *self.options]
        environment = dict(os.environ)
        if binary == FAULTY:
            environment["BOBBIN_POWER_NOTE"] = os.path.join(self.folder, "note")
            environment["BOBBIN_TORN_BYTES"] = str(self.dice.choice([0, 0, 1, 50, 4000]))
        self.is_faulty = self.arguments.bad_sync and self.dice.random() < 0.7
        if self.is_faulty:
            environment["BOBBIN_FAULTS"] = f"sync:io:{int(math.exp(self.dice.uniform(0, 6)))}:shard-"
        self.errors = open(os.path.join(self.folder, "stderr"), "wb")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors, env=environment
        )

    def connects(self):
        """Waits until the server listens; False when it was killed before."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.path)
                    return True
                except OSError:
                    pass
            if self.process.poll() is not None:
                return False
            time.sleep(0.001)
        raise Violation(f"does not listen after {PATIENCE_S} s: {self.output()}")

    def output(self):
        with open(os.path.join(self.folder, "stderr"), encoding="utf-8", errors="replace") as errors:
            return errors.read()[-3000:]

    def kill(self):
        number = signal.SIGUSR2 if self.arguments.power else signal.SIGKILL
        try:
            self.process.send_signal(number)
        except ProcessLookupError:
            pass

    def reap(self, may_end=False):
        """Waits for the end that a kill made. Returns whether it was a clean one instead."""
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Violation(f"still runs: {self.output()}") from None
        self.errors.close()
        if code == -signal.SIGKILL or (code == -signal.SIGUSR2 and self.arguments.power):
            return False
        if may_end and code == 0:
            return True
        if self.is_faulty and code == 5:
            self.counts["ended with 5"] += 1
            return False
        raise Violation(f"ended with {code}: {self.output()}")

    def kill_after(self, seconds):
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        return timer

    # --- one life of it ---

    def live_once(self):
        moment = self.dice.choices(list(MOMENTS), MOMENTS.values())[0]
        self.counts[moment] += 1
        self.spawn()
        if moment == "start":
            timer = self.kill_after(self.dice.uniform(0, 0.05))
            self.process.wait(PATIENCE_S)
            timer.join()
            self.reap()
            return
        if not self.connects():
            self.reap()
            return
        if moment == "listen":
            self.kill()
            self.reap()
            return
        timer = None
        if moment == "warmup":
            timer = self.kill_after(math.exp(self.dice.uniform(math.log(0.0003), math.log(0.03))))
        try:
            self.check_everything()
        except Closed:
            if moment != "warmup" and not self.is_faulty:
                raise Violation(f"closed a connection: {self.output()}") from None
        if moment == "warmup":
            timer.join()
            self.reap()
            return
        self.under_load(moment)

    def check_everything(self):
        """Reads every key, and compares it with what may be there."""
        keys = [key for key in self.world.keys if key.candidates is not None]
        self.dice.shuffle(keys)
        found = {}
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_S)
            replies = Replies()
            try:
                peer.connect(self.path)
                for part in range(0, len(keys), 50):
                    some = keys[part : part + 50]
                    peer.sendall(b"".join(b"mg %s v f c t\r\n" % key.name for key in some))
                    for key in some:
                        while (reply := replies.next()) is None:
                            data = peer.recv(262144)
                            if not data:
                                raise Closed
                            replies.bytes += data
                        if reply[0] == b"SERVER_ERROR":
                            raise Violation(f"{key.name}: {reply[3]!r}")
                        found[key] = seen_of(reply[1], reply[2], reply[0])
            except OSError as error:
                raise Closed from error
        self.compare(keys, found)

    def compare(self, keys, found):
        spans = {}
        for key in keys:
            span, oldest_lost = key.observe(*found[key])
            spans.setdefault(key.vbucket, {})[key.name] = span
            if oldest_lost != math.inf:
                self.counts["lost unsaved"] += 1
                self.longest_loss_s = max(self.longest_loss_s, self.killed_at - oldest_lost)
        for vbucket, of_keys in spans.items():
            check_order(vbucket, of_keys)
        self.counts["checks"] += len(keys)

    def under_load(self, moment):
        clients = [Client(self.path, self.world, number, self.window) for number in range(CLIENTS)]
        parties = clients + [Observer(self.path, self.world)]
        self.world.known_until = time.monotonic() - 0.01  # what was found after the start is on disk
        length = math.exp(self.dice.uniform(math.log(0.003), math.log(0.6)))
        until = time.monotonic() + length
        timer = self.kill_after(length) if moment == "load" else None
        flush_at = time.monotonic() + self.dice.uniform(0, 1.2)
        try:
            while timer is not None or time.monotonic() < until:
                if time.monotonic() >= flush_at:
                    self.flush(clients, parties)
                    flush_at = math.inf
                for client in clients:
                    client.fill(self.dice.randint(0, self.window))
                self.exchange(parties)
        except Closed:
            if timer is None and not self.is_faulty:
                raise Violation(f"closed a connection: {self.output()}") from None
        self.finish(moment, timer, parties)

    def exchange(self, parties):
        for party in parties:
            party.push()
        wait_for_any(parties, 0.05)
        for party in parties:
            party.pull()

    def flush(self, clients, parties):
        """One flush_all between requests of the same connection, while the others wait."""
        deadline = time.monotonic() + PATIENCE_S
        while any(client.waiting for client in clients):
            self.exchange(parties)
            if time.monotonic() > deadline:
                raise Violation("no replies")
        one = self.dice.choice(clients)
        one.fill(self.window // 3)
        one.put(Operation("flush", None, b"flush_all\r\n"))
        while one.waiting:
            self.exchange(parties)
            if time.monotonic() > deadline:
                raise Violation("no reply to flush_all")
        self.counts["flushes"] += 1

    def finish(self, moment, timer, parties):
        if moment in ("drain", "end"):
            self.process.send_signal(signal.SIGTERM)
            if moment == "drain":
                timer = self.kill_after(math.exp(self.dice.uniform(math.log(0.0005), math.log(0.05))))
        elif self.is_faulty:
            self.kill()
        # What it answered before its end has been acknowledged.
        for party in parties:
            deadline = time.monotonic() + PATIENCE_S
            try:
                while time.monotonic() < deadline:
                    wait_for_any([party], 0.05)
                    party.pull()
            except Closed:
                pass
            else:
                raise Violation(f"a connection stays open: {self.output()}")
            party.socket.close()
        if timer is not None:
            timer.join()
        is_clean = self.reap(may_end=True)
        self.killed_at = time.monotonic()
        self.counts["clean ends"] += is_clean
        floor = {}
        for key in self.world.keys:
            floor[key.vbucket] = max(floor.get(key.vbucket, 0), key.highest_cas, key.seen_cas)
        for key in self.world.keys:
            key.floor_cas = max(key.floor_cas, floor[key.vbucket])
            key.crash(math.inf if is_clean else self.known_until())

    def known_until(self):
        return self.killed_at if self.is_durable else self.world.known_until


def run(name, seed, kills, arguments):
    one = Run(name, seed, arguments)
    deadline = time.monotonic() + (arguments.seconds or 1e9) / len(arguments.configurations)
    lives = 0
    try:
        while time.monotonic() < deadline and (arguments.seconds or lives < kills):
            one.live_once()
            lives += 1
    except Violation as violation:
        print(f"VIOLATION in {name} after {lives} kills, seed {arguments.seed}: {violation}")
        print(f"the directory is {one.folder}; {dict(one.counts)}", flush=True)
        one.process.kill()
        return lives, False
    except BaseException:
        print(f"in {name} after {lives} kills, seed {arguments.seed}; the directory is {one.folder}", flush=True)
        one.process.kill()
        raise
    shutil.rmtree(one.folder)
    text = ", ".join(f"{count} {what}" for what, count in sorted(one.counts.items()))
    refused = f", refused {one.world.refusals}" if one.world.refusals else ""
    print(f"  {name}: {lives} ends, {one.world.number} requests, {text}, "
          f"longest loss {one.longest_loss_s * 1000:.0f} ms{refused}", flush=True)  # fmt: skip
    return lives, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("BOBBIN_CRASH_SEED", 0)))
    parser.add_argument("--only", action="append", choices=sorted(CONFIGURATIONS))
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--bad-sync", action="store_true")
    parser.add_argument("-v", action="store_true", help="ignored")
    arguments = parser.parse_args()
    arguments.seed = arguments.seed or random.SystemRandom().randrange(1, 1 << 32)
    arguments.configurations = arguments.only or list(CONFIGURATIONS)
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    count = len(arguments.configurations)
    total, fine = 0, True
    for position, name in enumerate(arguments.configurations):
        kills = arguments.kills // count + (position < arguments.kills % count)
        done, good = run(name, arguments.seed + position, kills, arguments)
        total += done
        fine = fine and good
    print(f"{'passed' if fine else 'FAILED'}: {total} kills in {time.monotonic() - began:.0f} s, seed {arguments.seed}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
