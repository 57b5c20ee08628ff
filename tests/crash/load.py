"""Clients that send random operations in pipelines and hold every reply against the model."""

import random
import select
import socket
import time

from model import ABSENT, Key, Operation, State, Violation, may_be_expired, same, vbucket_of

_OUTCOMES = {
    b"STORED": "done", b"HD": "done", b"DELETED": "done", b"TOUCHED": "done", b"OK": "done",
    b"NOT_STORED": "not_stored", b"NS": "not_stored", b"EXISTS": "exists", b"EX": "exists",
    b"NOT_FOUND": "not_found", b"NF": "not_found", b"EN": "miss", b"END": "miss",
}  # fmt: skip


class Closed(Exception):
    """The server has gone."""


class Replies:
    """Cuts what was received into replies: (word, flags of a meta reply, value or None, whole line)."""

    def __init__(self):
        self.bytes = bytearray()

    def next(self):
        end = self.bytes.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self.bytes[:end])
        words = line.split(b" ")
        value, used = None, end + 2
        if words[0] in (b"VA", b"VALUE"):
            size = int(words[1] if words[0] == b"VA" else words[3])
            used += size + 2
            tail = b"END\r\n" if words[0] == b"VALUE" else b""
            if len(self.bytes) < used + len(tail):
                return None
            value = bytes(self.bytes[end + 2 : end + 2 + size])
            if self.bytes[end + 2 + size : used] != b"\r\n" or self.bytes[used : used + len(tail)] != tail:
                raise Violation(f"a reply that is no reply: {line!r}")
            used += len(tail)
        del self.bytes[:used]
        return words[0], words[1:], value, line


class Client:
    """One connection. Only it changes its keys; it reads those of all."""

    def __init__(self, path, world, number, window):
        self.world = world
        self.own = world.keys_of(number)
        self.window = window
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.replies = Replies()
        self.waiting = []  # operations in the order of their replies
        self.unsent = bytearray()

    def fill(self, count):
        while count > 0 and len(self.waiting) < self.window:
            self.put(self.world.random_operation(self.own))
            count -= 1

    def put(self, operation):
        operation.start = self.world.next_number()
        if operation.kind == "flush":
            for key in self.world.keys:
                key.pending.append(operation)
        elif operation.changes():
            operation.key.pending.append(operation)
        else:
            operation.allowed_from = len(operation.key.history) - 1
        self.waiting.append(operation)
        self.unsent += operation.request

    def push(self):
        while self.unsent:
            try:
                sent = self.socket.send(memoryview(self.unsent)[:262144])
            except BlockingIOError:
                return
            except OSError as error:
                raise Closed from error
            del self.unsent[:sent]

    def pull(self):
        """Takes what has arrived; Closed when that was all there ever will be."""
        while True:
            try:
                data = self.socket.recv(262144)
            except BlockingIOError:
                return
            except OSError as error:
                raise Closed from error
            if not data:
                raise Closed
            self.replies.bytes += data
            while self.replies.bytes:
                reply = self.replies.next()
                if reply is None:
                    break
                if not self.waiting:
                    raise Violation(f"a reply to nothing: {reply[3]!r}")
                self.world.answered(self.waiting.pop(0), reply)


class World:
    """All keys of a server, and the clients' dice."""

    def __init__(self, seed, clients, vbuckets, keys_per_vbucket, sizes):
        self.dice = random.Random(seed)
        self.sizes = sizes
        self.keys = []
        self.number = 0
        self.by_client = [[] for _ in range(clients)]
        self.refusals = {}
        self.known_until = 0.0  # everything acknowledged before is on disk
        wanted = {}
        for place in self.dice.sample(range(1024), clients * vbuckets):
            wanted[place] = [len(wanted) % clients, keys_per_vbucket]
        serial = 0
        while wanted:
            serial += 1
            kind = self.dice.choices(["doc", "number", "brief"], [8, 1, 1])[0]
            name = b"%s-%d" % (kind.encode(), serial)
            place = wanted.get(vbucket_of(name))
            if place is None:
                continue
            key = Key(name, kind)
            self.keys.append(key)
            self.by_client[place[0]].append(key)
            place[1] -= 1
            if place[1] == 0:
                del wanted[vbucket_of(name)]
        self.serial_of_value = 0

    def keys_of(self, client):
        return self.by_client[client]

    def next_number(self):
        self.number += 1
        return self.number

    # --- requests ---

    def fresh_value(self, key):
        self.serial_of_value += 1
        if key.kind == "number":
            return b"%d" % (self.serial_of_value * 1000000)
        head = b"%s:%d:" % (key.name, self.serial_of_value)
        low, high = self.dice.choice(self.sizes)
        filler = b"%c" % (97 + self.serial_of_value % 26)
        return head.ljust(self.dice.randint(low, high), filler)

    def fresh_state(self, key):
        ttl = 0
        if key.kind == "brief":
            ttl = self.dice.choice([0, 1, 1, 2, 3])
        elif self.dice.random() < 0.2:
            ttl = self.dice.randint(10000, 20000)
        flags = self.dice.randint(0, 1 << 31)
        return State(self.fresh_value(key), flags, time.time() + ttl if ttl else 0), ttl

    def random_operation(self, own):
        dice = self.dice
        if dice.random() < 0.15:
            return self.read(dice.choice(self.keys))
        key = dice.choice(own)
        if key.kind == "brief":
            kind = dice.choices(["set", "delete", "get"], [5, 2, 2])[0]
        elif key.kind == "number":
            kind = dice.choices(["set", "add", "incr", "decr", "delete", "get"], [2, 2, 8, 3, 1, 2])[0]
        else:
            kind = dice.choices(
                ["set", "add", "replace", "append", "prepend", "cas", "delete", "touch", "get"],
                [10, 4, 3, 3, 2, 4, 5, 4, 6],
            )[0]
        if kind == "get":
            return self.read(key)
        return self.write(kind, key)

    def read(self, key):
        return Operation("get", key, b"mg %s v f c t\r\n" % key.name, dialect="meta")

    def write(self, kind, key):
        dice, name = self.dice, key.name
        if kind == "delete":
            if dice.random() < 0.5:
                return Operation(kind, key, b"delete %s\r\n" % name)
            return Operation(kind, key, b"md %s\r\n" % name, dialect="meta")
        if kind in ("incr", "decr"):
            delta = dice.randint(1, 99)
            if dice.random() < 0.5:
                return Operation(kind, key, b"%s %s %d\r\n" % (kind.encode(), name, delta), delta)
            mode = b"I" if kind == "incr" else b"D"
            return Operation(kind, key, b"ma %s D%d M%s v c\r\n" % (name, delta, mode), delta, dialect="meta")
        if kind == "touch":
            ttl = dice.choice([0, 11000, 30000])
            expiry = time.time() + ttl if ttl else 0
            if dice.random() < 0.5:
                return Operation(kind, key, b"touch %s %d\r\n" % (name, ttl), expiry)
            return Operation(kind, key, b"mg %s T%d\r\n" % (name, ttl), expiry, dialect="meta")
        if kind in ("append", "prepend"):
            self.serial_of_value += 1
            piece = b"+%d+" % self.serial_of_value
            return Operation(kind, key, b"%s %s 0 0 %d\r\n%s\r\n" % (kind.encode(), name, len(piece), piece), piece)
        state, ttl = self.fresh_state(key)
        size = len(state.value)
        if kind == "cas":
            cas = key.now.cas or key.highest_cas or 1
            argument = (state, key.versions if key.now.cas else -1)
            request = b"cas %s %d %d %d %d\r\n%s\r\n" % (name, state.flags, ttl, size, cas, state.value)
            return Operation(kind, key, request, argument)
        if dice.random() < 0.5:
            request = b"%s %s %d %d %d\r\n%s\r\n" % (kind.encode(), name, state.flags, ttl, size, state.value)
            return Operation(kind, key, request, state)
        mode = {"set": b"S", "add": b"E", "replace": b"R"}[kind]
        request = b"ms %s %d F%d T%d M%s c\r\n%s\r\n" % (name, size, state.flags, ttl, mode, state.value)
        return Operation(kind, key, request, state, dialect="meta")

    # --- replies ---

    def answered(self, operation, reply):
        word, flags, value, line = reply
        if word in (b"SERVER_ERROR", b"ERROR", b"CLIENT_ERROR"):
            self.refused(operation, line)
        elif operation.kind == "get":
            self.read_back(operation, seen_of(flags, value, word))
        elif operation.kind == "flush":
            if word != b"OK":
                raise Violation(f"flush_all: {line!r}")
            for key in self.keys:
                key.pending.remove(operation)
                key.changed(ABSENT, operation, False)
        else:
            self.written(operation, word, flags, value, line)

    def refused(self, operation, line):
        if line.startswith((b"ERROR", b"CLIENT_ERROR")):
            raise Violation(f"{operation.request[:100]!r}: {line!r}")
        self.refusals[line] = self.refusals.get(line, 0) + 1
        for key in self.keys if operation.kind == "flush" else [operation.key]:
            if operation in key.pending:
                key.pending.remove(operation)

    def read_back(self, operation, seen):
        key = operation.key
        state, cas = seen
        entries = key.history[operation.allowed_from :]
        fits = any(same(entry.state, state) for entry in entries)
        # Another client may have asked between a change and the reply to it.
        if not fits and not any(state.value in reachable(key, pending) for pending in range(len(key.pending) + 1)):
            raise Violation(f"{key.name}: read {state.value and state.value[:80]!r}, has {entries[-3:]}")
        if cas is None:
            return
        if not key.pending and operation.allowed_from == len(key.history) - 1:
            key.note_cas(cas, False)
        key.seen_cas = max(key.seen_cas, cas)

    def written(self, operation, word, flags, value, line):
        key = operation.key
        key.pending.remove(operation)
        outcome = "done" if word in (b"VA",) or word.isdigit() else _OUTCOMES.get(word)
        if operation.kind == "touch" and outcome == "miss":
            outcome = "not_found"
        before = key.now.state
        is_cas_right = operation.kind == "cas" and operation.argument[1] == key.versions
        options = [before, ABSENT] if may_be_expired(before) else [before]
        for state in options:
            after, expected = operation.apply(state, is_cas_right)
            if expected == outcome:
                break
        else:
            raise Violation(f"{operation.request[:100]!r}: {line!r}, expected {expected}; {key.history[-3:]}")
        if operation.kind in ("incr", "decr") and outcome == "done":
            told = value if word == b"VA" else word
            if told != after.value.rstrip():  # a reply shows the digits alone
                raise Violation(f"{operation.request!r}: {told!r}, expected {after.value!r}")
        if after is state and outcome != "done":
            return
        key.changed(after, operation, keeps_cas=operation.kind == "touch")
        cas = next((int(flag[1:]) for flag in flags if flag[:1] == b"c"), None) if operation.dialect == "meta" else None
        if cas is not None:
            key.note_cas(cas, True)


def reachable(key, pending):
    """Values the key may have after some of its first `pending` unanswered operations."""
    states = {key.now.state}
    for operation in key.pending[:pending]:
        for state in list(states):
            states |= {operation.apply(state, right)[0] for right in (True, False)}
    values = {state.value for state in states}
    if any(state.expiry for state in states):
        values.add(None)
    return values


def seen_of(flags, value, word):
    """State and CAS of a reply to `mg key v f c t`."""
    if word == b"EN":
        return ABSENT, None
    if word != b"VA":
        raise Violation(f"mg: {word!r}")
    found = {flag[:1]: int(flag[1:]) for flag in flags[1:]}
    ttl = found[b"t"]
    return State(value, found[b"f"], 0 if ttl == -1 else time.time() + ttl), found[b"c"]


class Observer:
    """Asks for statistics all the time, and so knows until when everything is on disk."""

    def __init__(self, path, world):
        self.world = world
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.text = b""
        self.sent = None
        self.statistics = {}

    def push(self):
        if self.sent is None:
            self.sent = time.monotonic()
            try:
                self.socket.send(b"stats\r\n")
            except OSError as error:
                raise Closed from error

    def pull(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.text += data
        if not self.text.endswith(b"END\r\n"):
            return
        pairs = [line.split(b" ", 2)[1:] for line in self.text.split(b"\r\n") if line.startswith(b"STAT ")]
        self.statistics = {name.decode(): value.decode() for name, value in pairs}
        age = int(self.statistics["unsaved_oldest_us"]) / 1e6
        if self.statistics["disk_state"] == "writable" and (age > 0 or self.statistics["unsaved_bytes"] == "0"):
            self.world.known_until = max(self.world.known_until, self.sent - age - 0.002)
        self.text, self.sent = b"", None


def wait_for_any(parties, timeout_s):
    reading = [party.socket for party in parties]
    writing = [party.socket for party in parties if getattr(party, "unsent", b"")]
    select.select(reading, writing, [], timeout_s)
