"""bobbin watch and bobbin copy against the real server, which keeps its bucket on disk."""

import json
import os
import random
import signal
import struct
import subprocess
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request
import zlib

import program
from lib import binary
from lib.connection import Connection
from lib.server import BINARY, PATIENCE_S, Server, poll

SEED = int(os.environ.get("BOBBIN_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


def store(server, documents):
    """Stores key -> value, by names and values of text; None deletes."""
    with Connection(server.endpoint) as client:
        requests = b""
        for key, value in documents.items():
            if value is None:
                requests += b"md %s q\r\n" % key.encode()
            else:
                requests += b"ms %s %d q\r\n%s\r\n" % (key.encode(), len(value), value.encode())
        client.ask(requests + b"mn\r\n", b"MN\r\n")


def contents(lines):
    """What a reader of these lines believes that there is: key -> value."""
    documents = {}
    for line in lines:
        event = json.loads(line)
        if event["event"] == "set":
            documents[event["key"]] = event["value"] if isinstance(event["value"], str) else json.dumps(event["value"])
        elif event["event"] in ("delete", "expire"):
            documents.pop(event["key"], None)
    return documents


def vbucket_of(key):
    return zlib.crc32(key) >> 16 & 1023


def call(url, method="POST", **form):
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=PATIENCE_S) as answer:
        answer.read()


class ChangesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self.addCleanup(self.folder.cleanup)
        self.random = random.Random(SEED)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def serve(self, name="data", **options):
        server = Server(data=self.path(name), **options)
        self.addCleanup(server.stop)
        return server

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def watch_all(self, server, *words):
        code, out, err = program.run(
            "watch", "--from-start", "--until-now", "--json", "--server", server.address, *words
        )
        self.assertEqual((code, err), (0, b""), f"seed {SEED}")
        return out.decode().splitlines()

    def start_watch(self, server, *words):
        process = subprocess.Popen(
            [BINARY, "watch", "--json", "--server", server.address, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=program.environment(),
        )
        guard = threading.Timer(PATIENCE_S, process.kill)
        guard.start()

        def finish():
            guard.cancel()
            process.kill()
            process.stdout.close()
            process.wait()

        self.addCleanup(finish)
        return process

    def test_what_is_there_is_shown(self):
        server = self.serve()
        documents = {f"key{i}": f"value {self.random.random()}" for i in range(3000)}
        store(server, documents)
        changes = {key: self.random.choice([None, "changed"]) for key in self.random.sample(sorted(documents), 500)}
        store(server, changes)
        documents.update(changes)
        expected = {key: value for key, value in documents.items() if value is not None}
        self.assertEqual(contents(self.watch_all(server)), expected, f"seed {SEED}")
        lines = self.watch_all(server, "--prefix", "key12")
        self.assertEqual(contents(lines), {key: v for key, v in expected.items() if key.startswith("key12")})
        # From what is on disk alone.
        server.stop()
        server = self.serve()
        self.assertEqual(contents(self.watch_all(server)), expected, f"seed {SEED}")

    def test_changes_are_shown_as_they_happen(self):
        server = self.serve()
        store(server, {"before": "x"})
        watch = self.start_watch(server, "--position", self.path("position"))
        poll(lambda: os.path.exists(self.path("position")), "the watch to begin")
        for change in ({"a": "1"}, {"a": "{}"}, {"a": None}):
            store(server, change)
            event = json.loads(watch.stdout.readline())
            self.assertEqual(event["key"], "a")
            self.assertEqual(contents([json.dumps(event)]).get("a"), change["a"])

    def test_nothing_is_left_out_whenever_a_watch_is_killed(self):
        server = self.serve()
        written = {f"key{i}": str(i) for i in range(4000)}
        keys = sorted(written)
        shown = set()
        position = self.path("position")

        def write():
            for i in range(0, len(keys), 50):
                store(server, {key: "v" + written[key] for key in keys[i : i + 50]})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for lines in (50, 300, 1000):
                watch = self.start_watch(server, "--from-start", "--position", position)
                for _ in range(self.random.randrange(lines)):
                    shown.add(json.loads(watch.stdout.readline())["key"])
                watch.kill()
                for line in watch.stdout.read().splitlines(True):
                    if line.endswith(b"\n"):
                        shown.add(json.loads(line)["key"])
        finally:
            writer.join()
        code, out, _ = program.run(
            "watch", "--json", "--until-now", "--position", position, "--from-start", "--server", server.address
        )
        self.assertEqual(code, 0)
        shown.update(json.loads(line)["key"] for line in out.splitlines())
        self.assertEqual(shown, set(written), f"seed {SEED}")

    def test_a_watch_goes_on_when_the_server_was_killed(self):
        server = self.serve(durability="disk")
        position = self.path("position")
        shown = set()
        for round_number in range(3):
            watch = self.start_watch(server, "--from-start", "--position", position, "--give-up", "1ms")
            keys = {f"key{round_number}-{i}": "value" for i in range(200)}
            store(server, keys)
            while not set(keys) <= shown:
                event = json.loads(watch.stdout.readline())
                shown.add(event.get("key"))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            server.discard()
            watch.wait(PATIENCE_S)
            server = self.serve(durability="disk")
        # What the killed servers had is there; nothing that was shown has to be shown again but the last.
        everything = {f"key{n}-{i}" for n in range(3) for i in range(200)}
        self.assertEqual(set(contents(self.watch_all(server))), everything)

    def test_a_history_that_was_lost_is_told(self):
        server = self.serve(durability="disk")
        position = self.path("position")
        watch = self.start_watch(server, "--from-start", "--position", position, "--give-up", "1ms")
        store(server, {"key": "value"})
        self.assertEqual(json.loads(watch.stdout.readline())["key"], "key")
        poll(lambda: ",1,1,1]" in self.read(position), "the position to be saved")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        server.discard()
        watch.wait(PATIENCE_S)
        # As if more had been shown than had come to disk.
        ahead = self.read(position).replace(",1,1,1]", ",3,3,3]")
        with open(position, "w", encoding="utf-8") as file:
            file.write(ahead)
        server = self.serve(durability="disk")
        watch = self.start_watch(server, "--position", position)
        event = json.loads(watch.stdout.readline())
        self.assertEqual((event["event"], event["seqno"]), ("rollback", 1))
        store(server, {"key": "again"})
        self.assertEqual(json.loads(watch.stdout.readline())["value"], "again")

    def test_collections_have_names_and_end(self):
        server = self.serve(dev=True, http=True)
        scopes = f"http://127.0.0.1:{server.http}/pools/default/buckets/default/scopes"
        call(scopes, name="shop")
        call(scopes + "/shop/collections", name="orders")
        watch = self.start_watch(server, "shop", "--position", self.path("position"))
        poll(lambda: os.path.exists(self.path("position")), "the watch to begin")
        call(scopes + "/shop/collections", name="carts")
        event = json.loads(watch.stdout.readline())
        self.assertEqual((event["event"], event["scope"], event["collection"]), ("collection-created", "shop", "carts"))
        with Connection(server.endpoint) as client:
            features = struct.pack(">3H", 0x08, 0x0B, 0x12)
            answers = binary.ask(
                client,
                binary.request(0x1F, b"test", features),
                binary.request(0x89, b"default"),
                binary.store("set", b"\x08o1", b"{}", vbucket=vbucket_of(b"o1")),
                binary.store("set", b"\x00o1", b"{}", vbucket=vbucket_of(b"o1")),
            )
            self.assertEqual([answer.status for answer in answers], [0] * 4)
        while event["event"] != "set":
            event = json.loads(watch.stdout.readline())
        self.assertEqual((event["scope"], event["collection"], event["value"]), ("shop", "orders", {}))
        call(scopes + "/shop/collections/orders", method="DELETE")
        watch = self.start_watch(server, "shop.orders")
        self.assertEqual(watch.wait(PATIENCE_S), 3)

    def test_a_cache_cannot_be_watched(self):
        server = Server()
        self.addCleanup(server.stop)
        code, _, err = program.run("watch", "--server", server.address)
        self.assertEqual(code, 3)
        self.assertIn(b"it is a cache", err)

    def test_a_bucket_is_copied(self):
        source = self.serve("source")
        target = self.serve("target")
        documents = {f"key{i}": f"value {i}" for i in range(5000)}
        store(source, documents)
        with Connection(source.endpoint) as client:
            client.ask(b"set flagged 77 4102444800 4\r\nkept\r\nmn\r\n", b"MN\r\n")
        store(target, {"key7": None})
        words = ("copy", "--server", source.address, "--to", target.address, "--position", self.path("position"))
        code, out, err = program.run(*words)
        self.assertEqual((code, err), (0, b""), out)
        self.assertIn(b"5001 documents stored", out)
        self.assertIn(b"5001 documents at the source, 5001 at the target", out)
        with Connection(target.endpoint) as client:
            found = client.ask(b"mg flagged v f t\r\nmn\r\n", b"MN\r\n")
            self.assertIn(b" f77 ", found)
            self.assertIn(b"\r\nkept\r\n", found)
        # What changed since, and no more.
        store(source, {"key1": "changed", "key2": None})
        code, out, err = program.run(*words)
        self.assertEqual((code, err), (0, b""), out)
        self.assertIn(b"1 documents stored, 1 deleted, 0 left alone", out)
        documents.update({"key1": "changed", "flagged": "kept"})
        del documents["key2"]
        self.assertEqual(contents(self.watch_all(target)), documents)


if __name__ == "__main__":
    unittest.main()
