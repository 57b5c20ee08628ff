"""bobbin check: what it says of a directory, and what it ends with."""

import glob
import json
import os
import subprocess
import tempfile
import unittest

import program
from lib.connection import Connection
from lib.server import Server


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-check-")
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")

    def fill(self, kill=False):
        with Server(data=self.data, durability="disk") as server:
            with Connection(server.tcp) as client:
                for i in range(200):
                    value = b"v" * (5000 if i % 50 == 0 else i + 1)
                    self.assertEqual(client.ask(b"set key%d 0 0 %d\r\n%s\r\n" % (i, len(value), value)), b"STORED\r\n")
                self.assertEqual(client.ask(b"delete key7\r\n"), b"DELETED\r\n")
            code, out, err = program.run("check", self.data)
            self.assertEqual((code, out), (5, b""))
            self.assertIn(f"process {server.process.pid}".encode(), err)
            if kill:
                server.process.kill()
                server.process.wait()

    def test_a_directory_with_nothing_wrong(self):
        for kill in (False, True):
            self.fill(kill)
            code, out, err = program.run("check", self.data)
            self.assertEqual((code, err), (0, b""), out)
            self.assertIn(b"all is well", out)
            self.assertIn(b"199 documents", out)
            self.assertIn(b"not clean" if kill else b"the last end was clean", out)
            code, out, _ = program.run("check", "--json", self.data)
            report = json.loads(out)
            self.assertEqual((code, report["documents"], report["findings"]), (0, 199, []))
            self.assertEqual(report["clean_end"], not kill)

    def test_damage_is_named(self):
        self.fill()
        table = max(glob.glob(os.path.join(self.data, "shard-1", "*.sst")), key=os.path.getsize)
        with open(table, "r+b") as file:
            file.seek(20)
            byte = file.read(1)
            file.seek(20)
            file.write(bytes([byte[0] ^ 1]))
        code, out, _ = program.run("check", self.data)
        self.assertEqual(code, 4)
        self.assertIn(table.encode(), out)
        self.assertIn(b"bobbin restore", out)
        code, out, _ = program.run("check", "-j", self.data)
        self.assertEqual(code, 4)
        self.assertEqual(json.loads(out)["findings"][0]["where"], table)

    def test_what_is_no_directory(self):
        code, out, err = program.run("check", self.data)
        self.assertEqual((code, out), (2, b""))
        self.assertIn(b"this is no data directory", err)
        self.assertEqual(program.run("check")[0], 2)
        self.assertEqual(program.run("check", "--what", self.data)[0], 2)


if __name__ == "__main__":
    unittest.main()
