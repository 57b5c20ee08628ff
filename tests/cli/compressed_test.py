"""Values that are kept compressed, as the programs that read a bucket show them: as what they are."""

import json
import os
import struct
import tempfile
import unittest
import urllib.parse
import urllib.request
import zlib

import program
from lib import binary
from lib.connection import Connection
from lib.server import PATIENCE_S, Server

SNAPPY = 0x02
VALUE = b'{"a":"' + b"x" * 300 + b'"}'


def deflated():
    """VALUE in Snappy's format: its length, {"a":"x as it is, 299 times the byte before, "} as it is."""
    whole = struct.pack("<BB", len(VALUE) & 0x7F | 0x80, len(VALUE) >> 7)
    whole += bytes([6 << 2]) + b'{"a":"x'
    for count in (64, 64, 64, 64, 43):
        whole += struct.pack("<BH", count - 1 << 2 | 2, 1)
    return whole + bytes([1 << 2]) + b'"}'


class CompressedTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self.addCleanup(self.folder.cleanup)
        self.source = self.serve("source")
        self.assertEqual(self.configure(self.source, compressionMode="passive"), 200)
        vbucket = zlib.crc32(b"k") >> 16 & 1023
        with Connection(self.source.endpoint) as client:
            answers = binary.ask(
                client,
                binary.request(0x1F, b"test", struct.pack(">3H", 0x08, 0x0A, 0x0B)),
                binary.request(0x89, b"default"),
                binary.store("set", b"k", deflated(), vbucket=vbucket, datatype=SNAPPY),
                binary.request("get", b"k", vbucket=vbucket),
            )
        self.assertEqual([answer.status for answer in answers], [0] * 4)
        self.assertEqual(answers[3].value, deflated(), "it is not kept compressed")
        self.assertLess(len(deflated()), len(VALUE))

    def serve(self, name):
        server = Server(dev=True, http=True, data=os.path.join(self.folder.name, name))
        self.addCleanup(server.stop)
        return server

    def configure(self, server, **form):
        url = f"http://127.0.0.1:{server.http}/pools/default/buckets/default"
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=PATIENCE_S) as answer:
            return answer.status

    def run_program(self, command, *words):
        code, out, err = program.run(command, "--server", self.source.address, *words)
        self.assertEqual((code, err), (0, b""), out)
        return out

    def test_watch(self):
        out = self.run_program("watch", "--from-start", "--until-now", "--json")
        self.assertEqual([json.loads(line)["value"] for line in out.splitlines()], [json.loads(VALUE)])

    def test_scan(self):
        out = self.run_program("scan", "--values", "--json")
        self.assertEqual([json.loads(line)["value"] for line in out.splitlines()], [json.loads(VALUE)])

    def test_get(self):
        self.assertEqual(self.run_program("get", "k").rstrip(b"\n"), VALUE)

    def test_copy(self):
        target = self.serve("target")
        self.run_program("copy", "--to", target.address)
        with Connection(target.endpoint) as client:
            self.assertEqual(client.ask(b"get k\r\n", b"END\r\n"), b"VALUE k 0 308\r\n" + VALUE + b"\r\nEND\r\n")

    def test_the_feed_of_http(self):
        url = f"http://127.0.0.1:{self.source.http}/buckets/default/changes?from=start"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as events:
            for line in events:
                if line.startswith(b"data: ") and b'"k"' in line:
                    self.assertEqual(json.loads(line[6:])["value"], json.loads(VALUE))
                    return
        self.fail("the feed has ended")


if __name__ == "__main__":
    unittest.main()
