"""watch: the same events as memcached for the same requests, and a slow watcher that delays nobody."""

import re
import unittest

from lib.connection import Connection
from lib.server import KIND, SANITIZED, Server, poll

FETCHES = b"get k\r\nget absent k\r\ngets k\r\nmg k v\r\nmg absent v\r\nget a,b\r\n"
STORES = (
    b"set k 0 0 1\r\n1\r\nadd k 0 0 1\r\n1\r\nadd n 0 100 2\r\n10\r\nreplace k 0 0 3\r\nabc\r\nreplace x 0 0 1\r\n1\r\n"
    b"append k 0 0 1\r\nd\r\nprepend x 0 0 1\r\n1\r\ncas x 0 0 1 9\r\n1\r\ncas k 0 0 1 9\r\n1\r\nset a,b 0 0 1\r\n1\r\n"
    b"ms m 2\r\nhi\r\nms sp\xc3\xbc 2\r\nhi\r\nset k 0 0 2 noreply\r\nzz\r\n"
)
# What depends on the moment, the process or memcached's slabs.
_CHANGING = re.compile(r"\b(ts|gid|cfd|clsid|rport)=\S+")


def watch(server, topics, **options):
    connection = Connection(server.endpoint, **options)
    reply = connection.ask(b"watch " + topics + b"\r\n")
    if reply != b"OK\r\n":
        raise AssertionError(f"watch {topics!r} was answered {reply!r}")
    return connection


def events(server, topics, requests, last):
    """The events of one connection that sends the requests, up to the one that matches `last`."""
    with watch(server, topics) as watcher:
        with Connection(server.endpoint) as client:
            client.ask(requests + b"mn\r\n", b"MN\r\n")
            own_port = client.socket.getsockname()[1]
        found = []
        while not found or not re.search(last, found[-1]):
            line = watcher.read_until(b"\n").decode()
            if not line:
                raise AssertionError(f"the watcher was closed after {found}")
            port = re.search(r"\brport=(\d+)", line)
            if port and int(port.group(1)) != own_port:
                continue  # an earlier connection, whose end the server saw only now
            found.append(_CHANGING.sub(r"\1=*", line.strip()))
        return found


class WatchTest(unittest.TestCase):
    def both(self, topics, requests, last, before=b""):
        """The events of memcached and those of the server under test."""
        found = []
        for kind in ("memcached", KIND):
            with Server(kind) as server:
                with Connection(server.endpoint) as client:
                    client.ask(before + b"mn\r\n", b"MN\r\n")
                found.append(events(server, topics, requests, last))
        return found

    def test_fetchers(self):
        before = b"set k 0 0 1\r\n1\r\nset a,b 0 0 1\r\n1\r\n"
        theirs, ours = self.both(b"fetchers", FETCHES, "key=a%2Cb", before)
        self.assertEqual(len(theirs), 7)
        self.assertEqual(ours, theirs)

    def test_mutations(self):
        theirs, ours = self.both(b"mutations", STORES, "key=k .* size=2$")
        self.assertEqual(len(theirs), 13)
        self.assertEqual(ours, theirs)

    def test_connevents(self):
        theirs, ours = self.both(b"connevents", b"version\r\n", "type=conn_close")
        self.assertEqual([re.search(r"type=(\w+)", line).group(1) for line in theirs], ["conn_new", "conn_close"])
        self.assertEqual(ours, theirs)

    def test_evictions(self):
        with Server(memory="64M") as server, watch(server, b"evictions") as watcher:
            with Connection(server.endpoint) as client:
                value = b"v" * 100_000
                for number in range(1500):
                    client.ask(b"set key-%d 0 0 100000\r\n%s\r\n" % (number, value))
                line = watcher.read_until(b"\n").decode()
        self.assertRegex(
            line, r"^ts=\d+\.\d+ gid=\d+ type=eviction key=key-\d+ fetch=no ttl=-1 la=\d+ clsid=\d+ size=\d+\n$"
        )

    @unittest.skipIf(KIND == "memcached", "memcached 1.6.18 has no deletions")
    def test_deletions(self):
        requests = (
            b"set k 0 0 3\r\nabc\r\ndelete absent\r\ndelete k\r\nset m 0 0 2\r\nhi\r\nmd m I\r\nmd m q\r\n"
            + b"set last 0 0 0\r\n\r\ndelete last noreply\r\n"
        )
        with Server() as server:
            lines = events(server, b"deletions", requests, "key=last")
        found = [re.search(r"type=deleted (key=\w+ cmd=\w+) .* size=(\d+)$", line).groups() for line in lines]
        expected = [("key=k cmd=delete", "3"), ("key=m cmd=md", "2"), ("key=m cmd=md", "2"), ("key=last cmd=delete", "0")]
        self.assertEqual(found, expected)

    def test_an_unknown_topic_is_refused(self):
        with Server() as server, Connection(server.endpoint) as connection:
            self.assertRegex(connection.ask(b"watch nonsense\r\n"), rb"^(ERROR|CLIENT_ERROR)")

    def test_watchers_are_counted(self):
        with Server() as server, Connection(server.endpoint) as client:
            first, second = watch(server, b"mutations"), watch(server, b"fetchers")
            self.assertEqual(client.stats()["log_watchers"], "2")
            first.close()
            second.close()
            client.ask(b"set k 0 0 1\r\n1\r\nget k\r\n", b"END\r\n")
            poll(lambda: client.stats()["log_watchers"] == "0", "the watchers to be gone")

    def test_a_slow_watcher_delays_nobody_and_is_told_what_it_missed(self):
        stores = 30_000 if SANITIZED else 100_000
        small_spool = {} if KIND == "memcached" else {"spool_bytes": "64K"}
        with Server(threads=2, **small_spool) as server, Connection(server.endpoint) as client:
            # Small enough for the backlog to be met, large enough for what is sent later.
            slow = watch(server, b"mutations", receive_buffer=4096)
            line = b"set " + b"k" * 200 + b" 0 0 1 noreply\r\n1\r\n"
            for _ in range(stores // 1000):
                client.send(line * 1000)  # each has its own patience: a busy machine takes its time
            self.assertEqual(client.ask(b"mn\r\n"), b"MN\r\n")
            poll(lambda: int(client.stats()["log_watcher_skipped"]) > 0, "lines to be skipped")
            # Once it reads again, it is told.
            slow.socket.settimeout(0.2)
            seen = b""

            def told():
                nonlocal seen
                client.ask(b"set more 0 0 1\r\n1\r\n")
                try:
                    seen += slow.read(1 << 20)
                except TimeoutError:
                    seen += slow.taken()
                return re.search(rb"skipped=[1-9]\d*", seen)

            poll(told, "the count of skipped lines")
            slow.close()


if __name__ == "__main__":
    unittest.main()
