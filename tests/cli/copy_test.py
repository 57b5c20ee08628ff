"""bobbin copy, from a server of change streams that does what the test says to a real one."""

import json
import os
import signal
import struct
import subprocess
import tempfile
import threading
import unittest
import zlib

import program
from lib import binary, streams
from lib.connection import Connection
from lib.server import BINARY, PATIENCE_S, Server, poll
from lib.streams import Producer, deletion, marker, mutation, stream_end

GET_META, SET_MANIFEST = 0xA0, 0xB9
VBUCKETS = 1024


class Copying:
    """A running `bobbin copy`, ended with the test."""

    def __init__(self, test, producer, server, *words):
        self.process = subprocess.Popen(
            [BINARY, "copy", "--server", producer.address, "--to", server.address, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program.environment(),
        )
        self.guard = threading.Timer(PATIENCE_S, self.process.kill)
        self.guard.start()
        test.addCleanup(self.finish)

    def finish(self):
        self.guard.cancel()
        self.process.kill()
        self.process.communicate()

    def end(self):
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), err.decode()


class CopyTest(unittest.TestCase):
    def setUp(self):
        self.server = Server(dev=True)
        self.addCleanup(self.server.stop)
        folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self.addCleanup(folder.cleanup)
        self.position = os.path.join(folder.name, "position")

    def client(self):
        connection = Connection(self.server.endpoint)
        self.addCleanup(connection.close)
        features = struct.pack(">4H", 0x08, 0x0B, 0x06, 0x12)
        binary.ask(connection, binary.request(0x1F, b"test", features), binary.request(0x89, b"default"))
        return connection

    def meta(self, connection, key):
        """(deleted, flags, expiry, revision, cas)"""
        reply = binary.ask(connection, binary.request(GET_META, b"\0" + key, vbucket=vbucket_of(key)))[0]
        return reply.status, struct.unpack(">IIIQ", reply.extras)[0:4] if reply.extras else None, reply.cas

    def finish_source(self, producer, connection):
        """Ends the streams' connection, and answers the one that counts documents."""
        producer.accept().serve_to_end()
        connection.serve_to_end()

    def test_documents_come_with_their_metadata(self):
        producer = Producer(self, seqnos=(3, 1), items=1)
        copy = Copying(self, producer, self.server)
        connection = producer.accept()
        requests = connection.open_streams(2)
        self.assertEqual([requests[0].end, requests[1].end], [3, 1])
        self.assertEqual(connection.open_flags, 1 | 4)
        connection.send(
            marker(0, 0, 3, 2),
            mutation(0, 2, b"key", b"value", revision=5, flags=7, expiry=4102444800),
            deletion(0, 3, b"gone"),
            stream_end(0),
            marker(1, 0, 1, 2),
            deletion(1, 1, b"expired", opcode=streams.EXPIRATION),
            stream_end(1),
        )
        self.finish_source(producer, connection)
        code, out, err = copy.end()
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("1 documents stored, 2 deleted, 0 left alone", out)
        self.assertIn("1 documents at the source, 1 at the target", out)
        client = self.client()
        self.assertEqual(self.meta(client, b"key"), (0, (0, 7, 4102444800, 5), streams.CAS))

    def test_what_is_newer_at_the_target_stays(self):
        for words in ((), ()):  # the second time, everything is there
            producer = Producer(self, seqnos=(1,), items=1)
            copy = Copying(self, producer, self.server, *words)
            connection = producer.accept()
            connection.open_streams(1)
            connection.send(marker(0, 0, 1, 2), mutation(0, 1, b"key", b"value", revision=5), stream_end(0))
            self.finish_source(producer, connection)
            code, out, _ = copy.end()
            self.assertEqual(code, 0)
        self.assertIn("0 documents stored, 0 deleted, 1 left alone", out)

    def test_numbers_that_differ_are_told(self):
        producer = Producer(self, seqnos=(1,), items=2)
        copy = Copying(self, producer, self.server)
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 0, 1, 2), mutation(0, 1, b"key", b"value"), stream_end(0))
        self.finish_source(producer, connection)
        code, out, err = copy.end()
        self.assertEqual(code, 1)
        self.assertIn("2 documents at the source, 1 at the target", out)
        self.assertIn("differ", err)

    def test_collections_are_found_by_their_names(self):
        there = dict(streams.PLAIN_MANIFEST, scopes=[
            streams.PLAIN_MANIFEST["scopes"][0],
            {"name": "shop", "uid": "20", "collections": [{"name": "orders", "uid": "21"}]},
        ])  # fmt: skip
        client = self.client()
        reply = binary.ask(client, binary.request(SET_MANIFEST, value=json.dumps(there).encode()))[0]
        self.assertEqual(reply.status, 0)
        producer = Producer(self, seqnos=(1,), items=1)
        copy = Copying(self, producer, self.server, "shop.orders")
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 0, 1, 2), mutation(0, 1, b"o1", b"value", collection=9), stream_end(0))
        connection.serve_to_end()
        self.assertEqual(copy.end()[0], 0)
        reply = binary.ask(client, binary.request("get", b"\x21o1", vbucket=vbucket_of(b"o1")))[0]
        self.assertEqual((reply.status, reply.value), (0, b"value"))

    def test_a_collection_that_is_not_there_ends_it(self):
        producer = Producer(self, seqnos=(1,))
        copy = Copying(self, producer, self.server)
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 0, 1, 2), mutation(0, 1, b"o1", b"value", collection=9))
        code, _, err = copy.end()
        self.assertEqual(code, 3)
        self.assertIn("shop.orders", err)

    def test_an_interrupted_copy_goes_on(self):
        producer = Producer(self, seqnos=(5,), items=1)
        copy = Copying(self, producer, self.server, "--position", self.position)
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 0, 5, 2), mutation(0, 3, b"key", b"value"))
        client = self.client()
        poll(lambda: self.meta(client, b"key")[0] == 0, "the document to be there")
        copy.process.send_signal(signal.SIGINT)
        code, _, err = copy.end()
        self.assertEqual(code, 1)
        self.assertIn("interrupted", err)
        copy = Copying(self, producer, self.server, "--position", self.position)
        connection = producer.accept()
        request = connection.open_streams(1)[0]
        self.assertEqual(request[3:8], (3, 5, 0xFEED, 0, 5))
        connection.send(marker(0, 3, 5, 2), deletion(0, 5, b"other"), stream_end(0))
        self.finish_source(producer, connection)
        self.assertEqual(copy.end()[0], 0)

    def test_who_cannot_be_reached_is_named(self):
        code, _, err = program.run("copy", "--to", "127.0.0.1:1", "--server", self.server.address)
        self.assertEqual(code, 3)
        self.assertTrue(err.startswith(b"bobbin: to: "), err)
        code, _, err = program.run("copy", "--server", self.server.address)
        self.assertEqual((code, err), (2, b"bobbin: --to ADDRESS is missing\n"))


def vbucket_of(key):
    return (zlib.crc32(key) >> 16 & 0x7FFF) & (VBUCKETS - 1)


if __name__ == "__main__":
    unittest.main()
