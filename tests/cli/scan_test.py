"""`bobbin scan` against a running server with a disk."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

import program
from lib.connection import Connection
from lib.server import BINARY, Server


class Scan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-scan-")
        cls.addClassCleanup(folder.cleanup)
        cls.server = Server(data=os.path.join(folder.name, "data"), threads=2, memory="128M")
        cls.addClassCleanup(cls.server.stop)
        cls.keys = [f"key-{i:03}" for i in range(300)]
        with Connection(cls.server.endpoint) as connection:
            for key in cls.keys:
                value = f"value of {key}"
                request = f"set {key} 5 0 {len(value)}\r\n{value}\r\n"
                assert connection.ask(request.encode()) == b"STORED\r\n"

    def scan(self, *words):
        return program.run("scan", "--server", self.server.address, *words)

    def lines(self, *words):
        code, out, err = self.scan(*words)
        self.assertEqual((code, err), (0, b""))
        return sorted(out.decode().splitlines())

    def test_keys_of_all_vbuckets(self):
        self.assertEqual(self.lines(), self.keys)
        self.assertEqual(self.lines("_default._default", "--connections", "1"), self.keys)

    def test_parts(self):
        self.assertEqual(self.lines("--prefix", "key-01"), self.keys[10:20])
        self.assertEqual(self.lines("--from", "key-290"), self.keys[290:])
        self.assertEqual(self.lines("--to", "key-003"), self.keys[:3])
        self.assertEqual(self.lines("--from", "key-003", "--to", "key-005"), self.keys[3:5])
        self.assertEqual(self.lines("--prefix", "none"), [])

    def test_values_and_json(self):
        self.assertEqual(self.lines("-v", "--prefix", "key-007"), ['key-007\t"value of key-007"'])
        (line,) = self.lines("--values", "--json", "--prefix", "key-007")
        told = json.loads(line)
        self.assertEqual((told["key"], told["value"], told["flags"]), ("key-007", "value of key-007", 5))

    def test_limit_and_sample(self):
        self.assertEqual(len(self.lines("--limit", "7")), 7)
        some = self.lines("--sample", "50", "--seed", "3", "--connections", "1")
        self.assertTrue(0 < len(some) <= 50)
        self.assertLess(set(some), set(self.keys))
        self.assertEqual(self.lines("--sample", "50", "--seed", "3", "--connections", "1"), some)

    def test_what_is_wrong_is_told(self):
        self.assertEqual(self.scan("nowhere")[0], 2)
        self.assertEqual(self.scan("--prefix", "a", "--from", "b")[0], 2)
        self.assertEqual(self.scan("--limit", "x")[0], 2)
        code, _, err = self.scan("_default.none")
        self.assertEqual((code, err), (3, b'bobbin: collection "_default.none": no such collection\n'))
        code, _, err = self.scan("--bucket", "none")
        self.assertEqual((code, err), (3, b'bobbin: bucket "none": not found\n'))

    def test_a_cache_is_told_apart(self):
        with Server() as cache:
            code, _, err = program.run("scan", "--server", cache.address)
        self.assertEqual((code, err), (3, b"bobbin: only buckets on disk can be scanned\n"))

    def test_a_reader_that_goes_ends_it_quietly(self):
        with subprocess.Popen(
            [BINARY, "scan", "--server", self.server.address, "--values", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=program.environment(),
        ) as process:  # fmt: skip
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(), -signal.SIGPIPE)


if __name__ == "__main__":
    unittest.main()
