"""A bucket's changes as server-sent events, from the running server."""

import base64
import json
import os
import signal
import socket
import tempfile
import unittest
import urllib.parse
import urllib.request

from lib.connection import Connection
from lib.server import PATIENCE_S, Server, poll

CHANGES = "/buckets/default/changes"


def store(server, documents):
    with Connection(server.endpoint) as client:
        requests = b"".join(b"ms %s %d q\r\n%s\r\n" % (k.encode(), len(v), v.encode()) for k, v in documents.items())
        client.ask(requests + b"mn\r\n", b"MN\r\n")


def call(server, path, method="POST", **form):
    url = f"http://127.0.0.1:{server.http}{path}"
    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode() or None, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return answer.read().decode()


class Events:
    """A client of server-sent events, as far as a browser takes them apart."""

    def __init__(self, test, server, query="", last_id=None, login=None, path=CHANGES):
        self.socket = socket.create_connection(("127.0.0.1", server.http), timeout=PATIENCE_S)
        test.addCleanup(self.socket.close)
        self.file = self.socket.makefile("rb")
        test.addCleanup(self.file.close)
        head = f"GET {path}{query} HTTP/1.1\r\nHost: b\r\n"
        if last_id:
            head += f"Last-Event-ID: {last_id}\r\n"
        if login:
            head += "Authorization: Basic " + base64.b64encode(login.encode()).decode() + "\r\n"
        self.socket.sendall(head.encode() + b"\r\n")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, value = line.decode().strip().split(": ", 1)
            self.headers[name.lower()] = value
        self.last_id = None
        self.text = b""

    def _more(self):
        size = self.file.readline()
        if not size:
            return False
        self.text += self.file.read(int(size, 16))
        self.file.readline()
        return True

    def next(self):
        """(event, data), with "message" for what has no name; nothing at the end."""
        while True:
            while b"\n\n" not in self.text:
                if not self._more():
                    return None
            block, self.text = self.text.split(b"\n\n", 1)
            event, data = "message", None
            for line in block.decode().split("\n"):
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "event":
                    event = value
                elif name == "data":
                    data = json.loads(value)
            if data is not None:
                return event, data
            if self.last_id and self.stops_at_id:
                return "id", self.last_id

    stops_at_id = False

    def wait_id(self):
        """The next id that comes by itself."""
        self.stops_at_id, self.last_id = True, None
        try:
            while True:
                event, data = self.next()
                if event == "id":
                    return data
        finally:
            self.stops_at_id = False

    def keys(self, count):
        """Of the next different keys that were stored."""
        found = set()
        while len(found) < count:
            event, data = self.next()
            if event == "message" and data["event"] == "set":
                found.add(data["key"])
        return found


class ChangesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")
        self.server = self.serve()

    def serve(self, **options):
        options.setdefault("dev", True)
        options.setdefault("memory", "256M")
        server = Server(data=self.data, http=True, **options)
        self.addCleanup(lambda: server.process.returncode is None and server.stop())
        return server

    def test_changes_are_sent_as_they_happen(self):
        store(self.server, {"before": "x"})
        events = Events(self, self.server)
        self.assertEqual((events.status, events.headers["content-type"]), (200, "text/event-stream"))
        store(self.server, {"a": "value"})
        event, data = events.next()
        self.assertEqual((event, data["event"], data["key"], data["value"]), ("message", "set", "a", "value"))

    def test_from_the_start_with_filters(self):
        store(self.server, {f"key{i}": "v" for i in range(2000)})
        events = Events(self, self.server, "?from=start")
        self.assertEqual(events.keys(2000), {f"key{i}" for i in range(2000)})
        events = Events(self, self.server, "?from=start&prefix=key12&values=false")
        event, data = events.next()
        self.assertTrue(data["key"].startswith("key12"))
        self.assertNotIn("value", data)
        call(self.server, "/pools/default/buckets/default/scopes", name="shop")
        call(self.server, "/pools/default/buckets/default/scopes/shop/collections", name="orders")
        events = Events(self, self.server, "?from=start&collection=shop.orders")
        self.assertEqual(events.next()[1]["event"], "collection-created")
        call(self.server, "/pools/default/buckets/default/scopes/shop/collections/orders", "DELETE")
        while True:
            event, data = events.next()
            if event == "end":
                break
        self.assertEqual(data, {"reason": 7})

    def test_a_flush_ends_the_connection_and_is_told_to_who_comes_back(self):
        store(self.server, {"key": "v"})
        events = Events(self, self.server, "?from=start")
        events.keys(1)
        last = events.wait_id()
        with Connection(self.server.endpoint) as client:
            client.ask(b"flush_all\r\n", b"OK\r\n")
        while events.next() is not None:
            pass
        store(self.server, {"after": "v"})
        events = Events(self, self.server, last_id=last)
        self.assertEqual(events.next()[0], "rollback")
        self.assertEqual(events.keys(1), {"after"})

    def test_who_comes_back_misses_nothing(self):
        store(self.server, {f"key{i}": "v" for i in range(500)})
        events = Events(self, self.server, "?from=start")
        self.assertEqual(len(events.keys(500)), 500)
        last = events.wait_id()
        events.socket.shutdown(socket.SHUT_RDWR)
        store(self.server, {f"later{i}": "v" for i in range(300)})
        events = Events(self, self.server, last_id=last)
        self.assertEqual(events.keys(300), {f"later{i}" for i in range(300)})
        # After a restart, by the parameter.
        last = events.wait_id()
        self.server.stop()
        self.server = self.serve()
        store(self.server, {"again": "v"})
        events = Events(self, self.server, "?last_event_id=" + urllib.parse.quote(last))
        self.assertEqual(events.keys(1), {"again"})

    def test_a_history_that_was_lost_is_told(self):
        store(self.server, {"key": "v"})
        events = Events(self, self.server, "?from=start")
        events.keys(1)
        last = events.wait_id()
        raw = base64.b64decode(last)
        at = raw.index(b"\1", 1)  # the seqno of the one vbucket that has any
        ahead = raw[:at] + b"\x09" + raw[at + 1 :]
        poll(lambda: self.persisted(), "the document to be on disk")
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()
        self.server.discard()
        self.server = self.serve()
        events = Events(self, self.server, last_id=base64.b64encode(ahead).decode())
        event, data = events.next()
        self.assertEqual((event, data["seqno"]), ("rollback", 1))

    def persisted(self):
        with Connection(self.server.endpoint) as client:
            stats = client.ask(b"stats\r\n", b"END\r\n").decode()
        return "STAT unsaved_bytes 0\r\n" in stats

    def test_a_bucket_can_be_removed_under_its_readers(self):
        call(self.server, "/pools/default/buckets", name="other", bucketType="membase", ramQuotaMB="100")
        events = Events(self, self.server, path="/buckets/other/changes")
        self.assertEqual(events.status, 200)
        call(self.server, "/pools/default/buckets/other", "DELETE")
        while events.next() is not None:
            pass

    def test_a_reader_that_does_not_read_delays_nobody(self):
        slow = Events(self, self.server)
        value = "v" * 10_000
        for i in range(0, 900, 100):
            store(self.server, {f"key{n}": value for n in range(i, i + 100)})
        quick = Events(self, self.server, "?from=start&values=false")
        self.assertEqual(len(quick.keys(900)), 900)
        self.assertEqual(len(slow.keys(900)), 900)

    def test_what_is_wrong_is_told(self):
        for query, status in (
            ("?from=then", 400),
            ("?values=x", 400),
            ("?collection=x", 400),
            ("?collection=x.y", 404),
            ("?scope=x", 404),
            ("?color=red", 400),
            ("?scope=_default&collection=_default._default", 400),
            ("?last_event_id=nonsense", 400),
            ("?last_event_id=AQEB", 400),
        ):
            self.assertEqual(Events(self, self.server, query).status, status, query)
        self.assertEqual(Events(self, self.server, path="/buckets/none/changes").status, 404)

    def test_a_role_for_the_bucket_is_needed(self):
        for name, roles in (("reader", "data_reader[default]"), ("feed", "data_dcp_reader[default]")):
            call(self.server, f"/settings/rbac/users/local/{name}", "PUT", password="secret", roles=roles)
        self.assertEqual(Events(self, self.server, login="reader:secret").status, 403)
        self.assertEqual(Events(self, self.server, login="feed:secret").status, 200)


if __name__ == "__main__":
    unittest.main()
