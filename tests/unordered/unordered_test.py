"""Replies in any order, from the program: a bucket larger than its memory, whose keys the disk alone knows. Requests for
one document are carried out as they were sent, so a model that does so knows every reply."""

import os
import random
import struct
import tempfile
import unittest

from lib import binary
from lib.connection import Connection
from lib.server import SANITIZED, Server

SEED = int(os.environ.get("BOBBIN_UNORDERED_SEED") or random.SystemRandom().randrange(2**32))
DOCUMENTS = 9_000 if SANITIZED else 12_000
REQUESTS = 2_000 if SANITIZED else 12_000
BATCH = 200
VALUE_BYTES = 8_192
HELLO, SELECT_BUCKET, GET_META = 0x1F, 0x89, 0xA0
XERROR, SELECTS, UNORDERED, FRAMING, SYNC = 0x07, 0x08, 0x0E, 0x10, 0x11
BARRIER, TO_DISK = b"\x00", b"\x11\x03"
OK, NOT_FOUND, EXISTS, NOT_STORED = 0, 1, 2, 5


def value_of(number, version=0):
    return (b"%d/%d " % (number, version)).ljust(VALUE_BYTES, b"v")


def framed(request, framing):
    """The request with framing extras, of which its header tells in another way."""
    head = bytearray(request[:24])
    key_bytes = struct.unpack(">H", head[2:4])[0]
    body_bytes = struct.unpack(">I", head[8:12])[0] + len(framing)
    head[0], head[2], head[3] = 0x08, len(framing), key_bytes
    head[8:12] = struct.pack(">I", body_bytes)
    return bytes(head) + framing + request[24:]


class Client(Connection):
    def __init__(self, server, *features):
        super().__init__(server.endpoint)
        agreed = b"".join(struct.pack(">H", feature) for feature in (XERROR, SELECTS, FRAMING, SYNC, *features))
        self.send(binary.request(HELLO, b"test", agreed) + binary.request(SELECT_BUCKET, b"default"))
        for _ in range(2):
            assert self.reply().status == OK

    def reply(self):
        """The next one; None at the end."""
        head = self.read(24)
        if len(head) < 24:
            return None
        framing, key_bytes = (head[2], head[3]) if head[0] == 0x18 else (0, struct.unpack(">H", head[2:4])[0])
        body = self.read(struct.unpack(">I", head[8:12])[0])
        status, opaque = struct.unpack(">H", head[6:8])[0], struct.unpack(">I", head[12:16])[0]
        before = framing + head[4]
        return binary.Response(
            head[0], head[1], status, head[5], opaque, 0, body[framing:before], b"", body[before + key_bytes :]
        )


class Model:
    """What documents are there, and what each request answers: (status, value), or None for nothing."""

    def __init__(self, rng):
        self.rng = rng
        self.documents = {b"key-%d" % number: value_of(number) for number in range(DOCUMENTS)}
        self.removed = set()

    def next(self, opaque):
        rng, documents = self.rng, self.documents
        number = rng.randrange(DOCUMENTS * 11 // 10)
        # Often one of a few, so that requests for one document meet.
        key = b"key-%d" % (number if rng.random() < 0.8 else number % 20)
        there, value = key in documents, value_of(number, opaque)
        kind = rng.choices(("get", "set", "add", "replace", "append", "delete", "noop", "getq", "meta"),
                           (50, 10, 5, 5, 10, 5, 1, 1, 1))[0]  # fmt: skip
        if kind == "noop":
            return binary.request("noop", opaque=opaque), (OK, b"")
        if kind == "meta":
            # Of what was removed it tells that.
            known = there or key in self.removed
            return binary.request(GET_META, key, opaque=opaque), (OK if known else NOT_FOUND, b"")
        if kind in ("get", "getq"):
            answer = (OK, documents[key]) if there else (NOT_FOUND, b"")
            request = binary.request(kind, key, opaque=opaque)
            return self._framed(request), None if kind == "getq" and not there else answer
        if kind == "delete":
            if documents.pop(key, None) is not None:
                self.removed.add(key)
            return self._framed(binary.request("delete", key, opaque=opaque)), (OK if there else NOT_FOUND, b"")
        if kind == "append":
            if there:
                documents[key] += b"+%d" % opaque
            appended = binary.request("append", key, b"+%d" % opaque, opaque=opaque)
            return self._framed(appended), (OK if there else NOT_STORED, b"")
        refused = {"set": None, "add": EXISTS if there else None, "replace": None if there else NOT_FOUND}[kind]
        if refused is None:
            documents[key] = value
        return self._framed(binary.store(kind, key, value, opaque=opaque)), (refused or OK, b"")

    def _framed(self, request):
        chance = self.rng.random()
        return framed(request, BARRIER) if chance < 0.005 else request


class UnorderedTest(unittest.TestCase):
    def server(self, **options):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-unordered-")
        self.addCleanup(folder.cleanup)
        server = Server(memory="64M", data=folder.name, eviction="full", **options)
        self.addCleanup(server.stop)
        with Client(server) as client:
            for first in range(0, DOCUMENTS, BATCH):
                numbers = range(first, min(first + BATCH, DOCUMENTS))
                client.send(b"".join(binary.store("set", b"key-%d" % n, value_of(n)) for n in numbers))
                self.assertEqual({client.reply().status for _ in numbers}, {OK})
        return server

    def converse(self, server, client, requests):
        """Sends `requests` random requests, some on the way at any time; how many replies were overtaken."""
        model, expected, overtaken, last = self.model, {}, 0, 0
        sent = 0
        while sent < requests or expected:
            if sent < requests and len(expected) < BATCH:
                together = []
                for _ in range(self.rng.randrange(1, BATCH)):
                    sent += 1
                    request, answer = model.next(sent)
                    together.append(request)
                    if answer is not None:
                        expected[sent] = answer
                together = b"".join(together)
                cut = self.rng.randrange(len(together))
                client.send(together[:cut])
                client.send(together[cut:])
            if not expected:
                continue
            reply = client.reply()
            self.assertIsNotNone(reply)
            self.assertIn(reply.opaque, expected)
            status, value = expected.pop(reply.opaque)
            self.assertEqual((reply.status, len(reply.value)), (status, len(value)), reply.opaque)
            self.assertTrue(reply.value == value or reply.status != OK, reply.opaque)
            overtaken += reply.opaque < last
            last = max(last, reply.opaque)
        return overtaken

    def check(self, **options):
        print(f"BOBBIN_UNORDERED_SEED={SEED}", flush=True)
        self.rng = random.Random(SEED)
        self.model = Model(self.rng)
        server = self.server(**options)
        with Client(server, UNORDERED) as client, Connection(server.endpoint) as watcher:
            self.assertGreater(self.converse(server, client, REQUESTS), 0)
            stats = watcher.stats()
            self.assertGreater(int(stats["unordered_aside"]), 0)
            self.assertEqual((stats["unordered_waiting"], stats["unordered_bytes"]), ("0", "0"))
        with Client(server) as client:
            self.assertEqual(self.converse(server, client, REQUESTS // 4), 0, "nobody had asked for that")

    def test_every_reply_is_that_of_the_order_in_which_documents_were_asked_for(self):
        self.check()

    def test_the_same_where_replies_wait_for_the_disk(self):
        self.check(durability="disk")

    def test_the_end_of_the_server_owes_nobody_a_reply(self):
        server = self.server(durability="disk")
        rng = random.Random(SEED)
        with Client(server, UNORDERED) as client:
            requests = []
            for opaque in range(1, 401):
                key = b"key-%d" % rng.randrange(DOCUMENTS)
                requests.append(
                    framed(binary.store("set", key, b"new", opaque=opaque), TO_DISK)
                    if opaque % 4 == 0
                    else binary.request("get", key, opaque=opaque)
                )
            client.send(b"".join(requests))
            client.wait_until_arrived()
            server.terminate()
            replies = []
            while (reply := client.reply()) is not None:
                replies.append(reply.opaque)
            self.assertEqual(sorted(replies), list(range(1, 401)))
        server.wait_for_exit()


if __name__ == "__main__":
    unittest.main()
