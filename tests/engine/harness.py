"""What scenarios are run with: a server of one kind that can be restarted, and three protocols to talk to it."""

import contextlib
import os
import re
import signal
import tempfile
import time
from collections import namedtuple

from lib import binary
from lib.connection import Connection
from lib.server import SANITIZED, Server, poll

# What a scenario yields: everything it has stored so far leaves memory (a cache forgets nothing here, there is
# room); the server ends, in its variant's way, and starts again.
EVICT, RESTART = "evict", "restart"

# `kill`: how it ends before a restart. With SIGKILL whatever is acknowledged in memory is first given time to reach
# the disk, and the scenarios go on while the new server warms up; after SIGTERM they wait for the warmup.
Variant = namedtuple("Variant", "name persistent full durable kill options")


def _variant(name, kill, **options):
    full, durable = options.get("eviction") == "full", options.get("durability") == "disk"
    return Variant(name, name != "cache", full, durable, kill, options)


VARIANTS = [
    _variant("cache", False),
    _variant("value", False, eviction="value"),
    _variant("value-kill", True, eviction="value"),
    _variant("full", False, eviction="full"),
    _variant("full-kill", True, eviction="full"),
    _variant("durable-value-kill", True, eviction="value", durability="disk"),
    _variant("durable-full-kill", True, eviction="full", durability="disk"),
]

_MARKER = b"mn\r\n"
_KEY_BYTES = 80


def padded(key):
    """Value eviction leaves the key and its header, and only where that frees memory. Behind a key of this length any
    value takes the allocator's next size."""
    return key.rjust(_KEY_BYTES, b".")


class Host:
    """One server with a data directory of its own, restarted as often as wanted."""

    def __init__(self, variant, options=None):
        self.variant = variant
        self.restarts = 0
        self._folder = tempfile.TemporaryDirectory(prefix="bobbin-engine-")
        self.data = os.path.join(self._folder.name, "data")
        self.options = {"memory": "16M", **variant.options, **(options or {})}
        if variant.persistent:
            self.options = {"data": self.data, "disk_memory": "8M", **self.options}
        else:
            only_disk = ("eviction", "durability", "disk_memory", "max_unsaved", "flush_linger", "disk_shards")
            self.options = {name: value for name, value in self.options.items() if name not in only_disk}
            self.options["memory"] = "64M"
        self._fillers = 0
        self.down_until = 0  # the next restart leaves it down until this unix time
        self.ending = False
        self.saves = True  # the next kill waits until what it would lose is on disk
        self.server = self.connection = None
        self.start()

    def start(self):
        self.server = Server(**self.options)
        self.connection = Connection(self.server.endpoint)

    def stat(self, name):
        return int(self.connection.stats()[name])

    def saved(self):
        """Waits until nothing is in memory only."""
        if self.variant.persistent:
            poll(lambda: self.stat("unsaved_bytes") == 0, "changes to reach the disk")

    def warm(self):
        if self.variant.persistent:
            poll(lambda: self.connection.stats()["ep_warmup_state"] == "complete", "the warmup")

    def restart(self, kill=None):
        kill = self.variant.kill if kill is None else kill
        if kill and self.saves:
            self.saved()
        self.saves = True
        self.connection.close()
        self.end(kill)
        self.restarts += 1
        while time.time() < self.down_until:
            time.sleep(0.01)
        self.start()
        if not kill:
            self.warm()

    def end(self, kill):
        if kill:
            self.server.process.send_signal(signal.SIGKILL)
            self.server.process.wait()
            self.server.discard()
        else:
            if not self.ending:
                self.server.terminate()
            self.ending = False
            self.server.wait_for_exit()

    def terminate(self):
        """The end of the next restart begins here; a second signal would cut it short."""
        self.ending = True
        self.server.terminate()

    def evict(self):
        """Stores much more than fits into memory, until what was stored right before needs the disk."""
        if not self.variant.persistent:
            return
        self._fillers += 1
        sentinels = [padded(b"sentinel-%d-%d" % (self._fillers, number)) for number in range(60)]
        self._store([(key, b"s") for key in sentinels])
        for turn in range(10):
            self.saved()
            self._store([(b"filler-%d" % number, bytes([97 + turn]) * 8192) for number in range(1500)])
            if self._evicted(sentinels[turn::10]):
                return
        raise AssertionError("documents did not leave memory")

    def _store(self, items):
        for start in range(0, len(items), 100):
            batch = items[start : start + 100]
            sets = b"".join(b"ms %s %d q\r\n%s\r\n" % (key, len(value), value) for key, value in batch)
            reply = self.connection.ask(sets + _MARKER)
            if reply != b"MN\r\n":
                raise AssertionError(f"could not store: {reply!r}")

    def _evicted(self, keys):
        before = self.stat("ep_bg_fetched")
        self.connection.ask(b"get " + b" ".join(keys) + b"\r\n", b"END\r\n")
        return self.stat("ep_bg_fetched") - before == len(keys)

    def close(self):
        """Ends the server, which must still be well."""
        try:
            self.connection.close()
            self.server.stop()
        finally:
            if self.server.process.poll() is None:
                self.server.process.kill()
                self.server.process.wait()
            self._folder.cleanup()


class Engine:
    """What one scenario sees: its own keys in a server that others may use too."""

    def __init__(self, name, host):
        self.name = name
        self.host = host
        self.variant = host.variant
        self._mark = name.encode() + b":"
        self._extra = []

    # --- where it is ---

    @property
    def connection(self):
        return self.host.connection

    @property
    def survived(self):
        """False where everything stored before the restart is gone."""
        return self.variant.persistent

    def kept(self, text, otherwise=""):
        """For what is expected after a restart of what was stored before it."""
        return text if self.survived else otherwise

    def another(self, **more):
        """A further connection, closed at the end of the scenario."""
        connection = Connection(self.host.server.endpoint, **more)
        self._extra.append(connection)
        return connection

    def close(self):
        for connection in self._extra:
            with contextlib.suppress(OSError):
                connection.close()

    # --- keys and expectations ---

    def key(self, name):
        return padded(self._mark + (name if isinstance(name, bytes) else str(name).encode()))

    def bytes(self, text):
        """`text` as it goes over the wire: \\n ends a line, {a} is the scenario's key a."""
        data = re.sub(r"\{([\w-]+)\}", lambda found: self.key(found.group(1)).decode(), text)
        return (data + "\n").replace("\n", "\r\n").encode("latin-1")

    def equal(self, found, expected, what=""):
        if found != expected:
            raise AssertionError(f"{what}: found {_short(found)}, expected {_short(expected)}")

    def check(self, condition, what):
        if not condition:
            raise AssertionError(what)

    def stat(self, name):
        return self.host.stat(name)

    # --- text and meta ---

    def ask(self, request, connection=None):
        """Sends bytes and returns all that is answered, whatever its form."""
        connection = connection or self.connection
        connection.send(request + _MARKER)
        reply = b""
        while not reply.endswith(b"MN\r\n"):
            line = connection.line()
            if not line:
                raise AssertionError(f"closed after {_short(reply)}")
            reply += line
            value = re.match(rb"VALUE \S+ \d+ (\d+)|VA (\d+)", line)
            if value:
                reply += connection.read(int(value.group(1) or value.group(2)) + 2)
        return reply[: -len(_MARKER)]

    def t(self, request, expected=None, connection=None):
        """A text or meta request, and what has to be answered (in the notation of bytes())."""
        reply = self.ask(self.bytes(request), connection)
        reply = re.sub(rb"\.*" + re.escape(self._mark), b"", reply).decode("latin-1")
        reply = reply.replace("\r\n", "\n").removesuffix("\n")
        if expected is not None:
            self.equal(reply, expected, f"answer to {_short(request)}")
        return reply

    def put(self, name, value="v", flags=0, exptime=0):
        value = value if isinstance(value, bytes) else value.encode()
        line = b"set %s %d %d %d\r\n%s\r\n" % (self.key(name), flags, exptime, len(value), value)
        self.equal(self.ask(line), b"STORED\r\n", f"set {name}")

    def item(self, name):
        """(flags, cas, value) or None."""
        reply = self.ask(b"gets %s\r\n" % self.key(name))
        if reply == b"END\r\n":
            return None
        found = re.match(rb"VALUE (\S+) (\d+) (\d+) (\d+)\r\n", reply)
        self.check(found and found.group(1) == self.key(name), f"gets {name}: {_short(reply)}")
        value = reply[found.end() :].removesuffix(b"\r\nEND\r\n")
        self.equal(len(value), int(found.group(3)), f"length of {name}")
        return int(found.group(2)), int(found.group(4)), value

    def value(self, name):
        found = self.item(name)
        return None if found is None else found[2].decode("latin-1")

    def is_value(self, name, expected, what=""):
        self.equal(self.value(name), expected, f"value of {name} {what}")

    def cas(self, name):
        return self.item(name)[1]

    def gone_or(self, name, value):
        """After a restart: what was stored before it."""
        self.is_value(name, self.kept(value, None), "after the restart")

    # --- binary ---

    def b(self, *requests, connection=None):
        """Binary requests; the responses without that of the noop behind them."""
        own = connection or Connection(self.host.server.endpoint)
        try:
            return binary.ask(own, *requests)
        finally:
            if connection is None:
                own.close()


def _short(what):
    text = repr(what)
    return text if len(text) < 400 else f"{text[:200]} ... {text[-150:]}"


def scaled(count):
    """Sanitizers make everything slower."""
    return max(1, count // 4) if SANITIZED else count
