"""What `stats` must say after random commands of all three protocols: a model of a cache, and of its counting.

Each command is answered by the model too, so that a count cannot be right by agreeing with a wrong reply.
"""

import struct
from collections import Counter

from lib import binary

HEADER_BYTES = 48  # of a document, besides its key and value
FOREIGN_CAS = 0x7EDCBA9876543210
WRAP = 2**64


class Model:
    """The documents that must be there, and the counts that must have come of it."""

    def __init__(self):
        self.values = {}
        self.counts = Counter()

    def totals(self):
        """Everything that `stats` must say, under its names."""
        sizes = (HEADER_BYTES + len(key) + len(value) for key, value in self.values.items())
        return {**self.counts, "curr_items": len(self.values), "bytes": sum(sizes)}

    def _keep(self, key, value):
        self.values[key] = value
        self.counts["total_items"] += 1

    def get(self, key, touch=False):
        """A retrieval, of gat too; the value or None."""
        found = key in self.values
        self.counts["cmd_get"] += 1
        self.counts["get_hits" if found else "get_misses"] += 1
        if touch:
            self.touch(key)
        return self.values.get(key)

    def touch(self, key):
        self.counts["cmd_touch"] += 1
        self.counts["touch_hits" if key in self.values else "touch_misses"] += 1
        return key in self.values

    def store(self, mode, key, value):
        """stored, not_stored; with mode cas, whose value nobody has, exists or not_found."""
        self.counts["cmd_set"] += 1
        there = key in self.values
        if mode == "cas":
            self.counts["cas_badval" if there else "cas_misses"] += 1
            return "exists" if there else "not_found"
        if there == (mode == "add") and mode != "set":
            return "not_stored"
        before = self.values.get(key, b"")
        self._keep(key, {"append": before + value, "prepend": value + before}.get(mode, value))
        return "stored"

    def delete(self, key):
        found = self.values.pop(key, None) is not None
        self.counts["delete_hits" if found else "delete_misses"] += 1
        return found

    def arithmetic(self, down, key, delta, initial=None):
        """The new number, None for a miss, ValueError for what is no number."""
        name = "decr" if down else "incr"
        if key not in self.values:
            self.counts[name + "_misses"] += 1
            if initial is not None:
                self._keep(key, b"%d" % initial)
            return initial
        old = self.values[key]
        digits = old.split(b" ")[0]
        if not digits.isdigit() or int(digits) >= WRAP:
            raise ValueError
        number = max(int(digits) - delta, 0) if down else (int(digits) + delta) % WRAP
        self.counts[name + "_hits"] += 1
        self.values[key] = (b"%d" % number).ljust(len(old))
        return number

    def flush(self):
        self.counts["cmd_flush"] += 1
        self.values.clear()


class TextCommands:
    """Random commands of the text protocol. Each function returns the request and its reply."""

    STORED = {"stored": b"STORED\r\n", "not_stored": b"NOT_STORED\r\n", "exists": b"EXISTS\r\n", "not_found": b"NOT_FOUND\r\n"}

    def __init__(self, rng, model, keys):
        self.rng, self.model, self.keys = rng, model, keys

    def key(self):
        return self.rng.choice(self.keys)

    def value(self):
        return self.rng.choice([b"", b"7", b"99", b"text", b"18446744073709551615", b"v" * self.rng.randrange(2000)])

    def get(self):
        touch = self.rng.random() < 0.3
        keys = [self.key() for _ in range(self.rng.choice([1, 1, 2, 20]))]
        reply = b""
        for key in keys:
            value = self.model.get(key, touch)
            reply += b"" if value is None else b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value)
        return (b"gat 0 " if touch else b"get ") + b" ".join(keys) + b"\r\n", reply + b"END\r\n"

    def store(self):
        mode, key, value = self.rng.choice(["set", "set", "add", "replace", "append", "prepend", "cas"]), self.key(), self.value()
        reply = self.STORED[self.model.store(mode, key, value)]
        cas = b" %d" % FOREIGN_CAS if mode == "cas" else b""
        quiet = self.rng.random() < 0.2
        line = b"%s %s 0 0 %d%s%s\r\n%s\r\n" % (mode.encode(), key, len(value), cas, b" noreply" * quiet, value)
        return line, b"" if quiet else reply

    def change(self):
        down, key, delta = self.rng.random() < 0.5, self.key(), self.rng.randrange(1000)
        try:
            number = self.model.arithmetic(down, key, delta)
            reply = b"NOT_FOUND\r\n" if number is None else b"%d\r\n" % number
        except ValueError:
            reply = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
        return b"%s %s %d\r\n" % (b"decr" if down else b"incr", key, delta), reply

    def other(self):
        key = self.key()
        kind = self.rng.randrange(10)
        if kind < 5:
            return b"delete %s\r\n" % key, b"DELETED\r\n" if self.model.delete(key) else b"NOT_FOUND\r\n"
        if kind < 8:
            return b"touch %s 0\r\n" % key, b"TOUCHED\r\n" if self.model.touch(key) else b"NOT_FOUND\r\n"
        if kind == 8 and self.rng.random() < 0.2:
            self.model.flush()
            return b"flush_all\r\n", b"OK\r\n"
        return b"set %s 0 0 x\r\n" % key, b"CLIENT_ERROR bad command line format\r\n"

    def any(self):
        return self.rng.choice([self.get, self.get, self.store, self.store, self.change, self.other])()


class MetaCommands(TextCommands):
    STORED = {"stored": b"HD\r\n", "not_stored": b"NS\r\n", "exists": b"EX\r\n", "not_found": b"NF\r\n"}

    def any(self):
        self.model.counts["cmd_meta"] += 1
        return super().any()

    def get(self):
        touch, key = self.rng.random() < 0.3, self.key()
        value = self.model.get(key, touch)
        reply = b"EN\r\n" if value is None else b"VA %d\r\n%s\r\n" % (len(value), value)
        return b"mg %s v%s\r\n" % (key, b" T0" * touch), reply

    def store(self):
        mode, key, value = self.rng.choice(["set", "set", "add", "replace", "append", "prepend", "cas"]), self.key(), self.value()
        reply = self.STORED[self.model.store(mode, key, value)]
        flag = {"add": b" ME", "replace": b" MR", "append": b" MA", "prepend": b" MP", "cas": b" C%d" % FOREIGN_CAS}
        quiet = self.rng.random() < 0.2
        line = b"ms %s %d%s%s\r\n%s\r\n" % (key, len(value), flag.get(mode, b""), b" q" * quiet, value)
        return line, b"" if quiet and reply == b"HD\r\n" else reply

    def change(self):
        down, key, delta = self.rng.random() < 0.5, self.key(), self.rng.randrange(1000)
        initial = self.rng.choice([None, 5])
        try:
            number = self.model.arithmetic(down, key, delta, initial)
            reply = b"NF\r\n" if number is None else b"VA %d\r\n%d\r\n" % (len(str(number)), number)
        except ValueError:
            reply = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
        return b"ma %s v D%d%s%s\r\n" % (key, delta, b" MD" * down, b" N0 J5" * (initial is not None)), reply

    def other(self):
        key = self.key()
        return (b"md %s\r\n" % key, b"HD\r\n" if self.model.delete(key) else b"NF\r\n")


class BinaryCommands(TextCommands):
    """The reply is that of all requests so far: (opcode, status, key, value) of each answer."""

    def answer(self, verb, status, key=b"", value=None):
        return binary.OPCODES[verb], binary.STATUS[status], key, value if status == "ok" else None

    def get(self):
        verb, key = self.rng.choice(["get", "getq", "getk", "getkq", "gat", "gatq", "gatk", "gatkq"]), self.key()
        touch = verb.startswith("gat")
        value = self.model.get(key, touch)
        request = binary.request(verb, key, b"", b"\0" * 4 if touch else b"")
        if value is None and verb.endswith("q"):
            return request, []
        return request, [self.answer(verb, "not_found" if value is None else "ok", key if "k" in verb else b"", value)]

    def store(self):
        verb, key, value = self.rng.choice(["set", "setq", "add", "addq", "replace", "replaceq", "append", "prependq"]), self.key(), self.value()
        mode = verb.rstrip("q")
        status = self.model.store(mode, key, value)
        extras = b"" if mode in ("append", "prepend") else b"\0" * 8
        request = binary.request(verb, key, value, extras)
        if status == "not_stored":
            status = {"add": "exists", "replace": "not_found"}.get(mode, "not_stored")
        if status == "stored":
            return request, [] if verb.endswith("q") else [self.answer(verb, "ok", b"", b"")]
        return request, [self.answer(verb, status)]

    def change(self):
        verb, key, delta = self.rng.choice(["increment", "incrementq", "decrement", "decrementq"]), self.key(), self.rng.randrange(1000)
        create = self.rng.random() < 0.5
        request = binary.count(verb, key, delta, 5, 0 if create else 0xFFFFFFFF)
        try:
            number = self.model.arithmetic(verb.startswith("decr"), key, delta, 5 if create else None)
        except ValueError:
            return request, [self.answer(verb, "not_a_number")]
        if number is None:
            return request, [self.answer(verb, "not_found")]
        return request, [] if verb.endswith("q") else [self.answer(verb, "ok", b"", struct.pack(">Q", number))]

    def other(self):
        key = self.key()
        if self.rng.random() < 0.4:
            found = self.model.touch(key)
            return binary.request("touch", key, b"", b"\0" * 4), [self.answer("touch", "ok" if found else "not_found", b"", b"")]
        verb = self.rng.choice(["delete", "deleteq"])
        found = self.model.delete(key)
        answers = [] if found and verb.endswith("q") else [self.answer(verb, "ok" if found else "not_found", b"", b"")]
        return binary.request(verb, key), answers
