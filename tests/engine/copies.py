"""Backups of a running server, and what a server on a restored one has."""

import os
import re
import subprocess

from harness import EVICT, RESTART, scaled

from lib.connection import Connection
from lib.server import BINARY, Server


def _bobbin(*words):
    done = subprocess.run([BINARY, *words], capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{words}: {done.returncode}: {done.stderr!r}")


class _Copy:
    """A server of the same kind on what was restored, asked by the scenario's own means."""

    def __init__(self, e, name, *how):
        self.e = e
        folder = os.path.join(os.path.dirname(e.host.data), name)
        _bobbin("restore", "--from", e.host.data + "-backups", "--to", folder, *how)
        self.server = Server(**{**e.host.options, "data": folder})
        self.connection = Connection(self.server.endpoint)

    def ask(self, request):
        return self.e.t(request, connection=self.connection)

    def stat(self, name):
        return int(self.connection.stats()[name])

    def close(self):
        self.connection.close()
        self.server.stop()


def _everything(count):
    return "".join("mg {k%d} v f c s k\n" % number for number in range(count)) + "mn"


def backup_and_restore(e):
    count = scaled(200)
    for number in range(count):
        e.put(f"k{number}", f"value-{number}" * (1 + number % 50), 1 << (number % 32))
    e.put("ttl", "v", 0, 1000)
    e.t("ms {cas} 1 E77777\nv", "HD")
    e.t("ms {stale} 1\nv", "HD")
    e.t("md {stale} I", "HD")
    e.put("old", "v")
    yield EVICT
    e.t("delete {old}", "DELETED")
    e.t("append {k1} 0 0 1\n!", "STORED")
    before = e.t(_everything(count))
    _bobbin("backup", "--data", e.host.data, "--to", e.host.data + "-backups", "--verify")
    # With full eviction it is exact when all is on disk, which the backup has seen to.
    items = e.stat("curr_items")
    e.put("k2", "later")
    e.put("added", "later")
    yield RESTART
    _bobbin("backup", "--data", e.host.data, "--to", e.host.data + "-backups")
    copy = _Copy(e, "first", "--backup", "1")
    try:
        e.equal(copy.ask(_everything(count)), before, "documents of the first backup")
        e.equal(copy.stat("curr_items"), items, "items of the first backup")
        for name, expected in (("old", "END"), ("added", "END")):
            e.equal(copy.ask("get {%s}" % name), expected, name)
        e.equal(copy.ask("mg {cas} v c"), "VA 1 c77777\nv", "a CAS that the client has given")
        left = re.fullmatch(r"HD t(\d+)", copy.ask("mg {ttl} t"))
        e.check(left and 900 < int(left.group(1)) <= 1000, f"time to live {left}")
        e.check("X" in copy.ask("mg {stale} v").split(), "a stale document stays one")
        newest = max(int(cas) for cas in re.findall(r" c(\d+)", before))
        cas = int(copy.ask("ms {new} 1 c\nv").split("c")[1])
        e.check(cas > newest, f"a new CAS, {cas}, is higher than all before, {newest}")
    finally:
        copy.close()
    copy = _Copy(e, "second")
    try:
        e.equal(copy.ask("get {k2}"), "VALUE k2 0 5\nlater\nEND", "of the second backup")
        e.equal(copy.stat("curr_items"), items + 1, "items of the second backup")
    finally:
        copy.close()


def backup_of_the_evicted(e):
    """What lies in memory only, on disk only and in the log only is in a backup; the next has what changed."""
    count = scaled(300)
    for number in range(count):
        e.put(f"k{number}", "%d-" % number * 300)
    yield EVICT
    for number in range(0, count, 3):
        e.put(f"k{number}", "new")
    for number in range(1, count, 3):
        e.t("delete {k%d}" % number, "DELETED")
    _bobbin("backup", "--data", e.host.data, "--to", e.host.data + "-backups")
    e.t("flush_all", "OK")
    e.put("after", "v")
    _bobbin("backup", "--data", e.host.data, "--to", e.host.data + "-backups")
    yield RESTART
    for which, expected in (("1", lambda number: ("new", None, "%d-" % number * 300)[number % 3]), ("2", lambda number: None)):
        copy = _Copy(e, "copy" + which, "--backup", which)
        try:
            for number in range(count):
                value = expected(number)
                answer = "END" if value is None else f"VALUE k{number} 0 {len(value)}\n{value}\nEND"
                e.equal(copy.ask("get {k%d}" % number), answer, f"k{number} of backup {which}")
            e.equal(copy.ask("get {after}"), "END" if which == "1" else "VALUE after 0 1\nv\nEND", "after")
        finally:
            copy.close()
