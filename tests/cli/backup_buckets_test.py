"""bobbin backup, restore and check of a server that has other buckets than the default one."""

import base64
import glob
import http.client
import json
import os
import shutil
import tempfile
import threading
import unittest
import urllib.parse

import program
from lib import binary
from lib.connection import Connection
from lib.server import SANITIZED, Server

_HELLO, _SELECT_BUCKET = 0x1F, 0x89
ROUNDS = 3 if SANITIZED else 6


class Buckets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-buckets-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(self.folder, "data")
        self.backups = os.path.join(self.folder, "backups")
        self.restored = os.path.join(self.folder, "restored")

    def start(self, data=None, **options):
        server = Server(kind="bobbin", memory="1G", http=True, data=data or self.data, **options)
        self.addCleanup(server.stop)
        return server

    def ask(self, server, method, path, login=None, **form):
        connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=60)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        connection.request(method, path, urllib.parse.urlencode(form) or None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def create(self, server, name, **form):
        form = {"name": name, "ramQuotaMB": 100, **form}
        self.assertEqual(self.ask(server, "POST", "/pools/default/buckets", **form)[0], 202)

    def items(self, server, **more):
        buckets = json.loads(self.ask(server, "GET", "/pools/default/buckets", **more)[1])
        return {bucket["name"]: bucket["basicStats"]["itemCount"] for bucket in buckets}

    def fill(self, server, bucket, count):
        with Connection(server.tcp) as client:
            requests = [binary.request(_HELLO, b"test", b"\0\x08"), binary.request(_SELECT_BUCKET, bucket)]
            requests += [binary.store("set", b"key%d" % i, b"%d" % i) for i in range(count)]
            for answer in binary.ask(client, *requests):
                self.assertEqual(answer.status, 0)

    def run_json(self, *words, code=0):
        ended, out, err = program.run(*words, "--json")
        self.assertEqual((ended, err), (code, b""), out)
        return json.loads(out)

    def backup(self, *words):
        return self.run_json("backup", "--data", self.data, "--to", self.backups, *words)

    def documents(self, told):
        return {bucket["name"]: bucket["documents"] for bucket in told["buckets"]}

    def test_all_buckets_and_users_come_back(self):
        server = self.start()
        self.create(server, "b")
        self.create(server, "cache", bucketType="ephemeral")
        self.assertEqual(self.ask(server, "POST", "/pools/default/buckets/b/scopes", name="s")[0], 200)
        self.fill(server, b"default", 10)
        self.fill(server, b"b", 200)
        self.fill(server, b"cache", 5)
        admin = ("admin", "secret")
        path = "/settings/rbac/users/local/admin"
        self.assertEqual(self.ask(server, "PUT", path, password=admin[1], roles="admin")[0], 200)
        would = self.backup("--dry-run")
        self.assertEqual(self.documents(would), {"default": 10, "b": 200})
        self.assertFalse(os.path.exists(self.backups))
        made = self.backup("--verify")
        self.assertEqual(self.documents(made), {"default": 10, "b": 200})
        self.assertEqual(made["documents"], 210)
        second = self.backup()
        self.assertLess(second["new_bytes"], made["new_bytes"])
        server.stop()
        # The same by the command alone.
        self.assertEqual(self.documents(self.backup("--verify")), {"default": 10, "b": 200})
        listed = self.run_json("backup", "--list", "--to", self.backups)
        self.assertEqual([self.documents(backup) for backup in listed], [{"default": 10, "b": 200}] * 3)
        code, out, _ = program.run("backup", "--list", "--verify", "--to", self.backups)
        self.assertEqual((code, out.count(b"about 210 documents (default 10, b 200)")), (0, 3), out)

        words = ("restore", "--from", self.backups, "--to", self.restored)
        self.assertEqual(self.documents(self.run_json(*words, "--dry-run")), {"default": 10, "b": 200})
        self.assertFalse(os.path.exists(self.restored))
        code, out, err = program.run(*words)
        self.assertEqual((code, err), (0, b""))
        self.assertIn(b"restored: 210 documents\n  bucket b: 200 documents\n", out)
        checked = self.run_json("check", self.restored)
        self.assertEqual([(bucket["name"], bucket["documents"]) for bucket in checked["buckets"]], [("b", 200)])
        self.assertEqual(checked["findings"], [])
        server = self.start(data=self.restored)
        self.assertEqual(self.ask(server, "GET", "/pools/default/buckets")[0], 401)
        self.assertEqual(self.items(server, login=admin), {"default": 10, "b": 200, "cache": 0})
        self.assertIn('"name":"s"', self.ask(server, "GET", "/pools/default/buckets/b/scopes", login=admin)[1])

    def test_buckets_come_and_go_meanwhile(self):
        server = self.start()
        self.create(server, "stays")
        self.fill(server, b"stays", 100)
        ended = threading.Event()
        failures = []

        def come_and_go():
            number = 0
            while not ended.is_set():
                name = f"b{number % 3}"
                number += 1
                try:
                    self.create(server, name)
                    self.fill(server, name.encode(), 50)
                    status, text = self.ask(server, "DELETE", f"/pools/default/buckets/{name}")
                    self.assertEqual(status, 200, text)
                except Exception as error:  # told by the test's own thread
                    failures.append(error)
                    return

        others = threading.Thread(target=come_and_go)
        others.start()
        try:
            for number in range(1, ROUNDS + 1):
                made = self.backup("--verify")
                self.assertEqual(made["number"], number)
                self.assertEqual(self.documents(made)["stays"], 100)
        finally:
            ended.set()
            others.join()
        self.assertEqual(failures, [])
        server.stop()
        for number in range(1, ROUNDS + 1):
            words = ("restore", "--from", self.backups, "--to", self.restored, "--backup", str(number))
            self.assertEqual(self.documents(self.run_json(*words))["stays"], 100)
            self.assertEqual(self.run_json("check", self.restored)["findings"], [])
            shutil.rmtree(self.restored)

    def test_damage_in_another_bucket_is_found(self):
        server = self.start()
        self.create(server, "b")
        self.fill(server, b"b", 100)
        self.backup()
        server.stop()
        tables = glob.glob(os.path.join(self.data, "buckets", "*", "shard-*", "*.sst"))
        self.assertTrue(tables)
        for path in tables:
            with open(path, "r+b") as file:
                file.seek(20)
                file.write(b"\xff\x00\xff")
        report = self.run_json("check", self.data, code=4)
        self.assertTrue(all("/buckets/" in finding["where"] for finding in report["findings"]))
        shutil.rmtree(os.path.join(self.data, "buckets"))
        code, out, _ = program.run("check", self.data)
        self.assertEqual(code, 4)
        self.assertIn(b": bucket b is missing: restore it from a backup\n", out)
        code, _, err = program.run("serve", "--data", self.data, "--memory", "1G", "--port", "0")
        self.assertEqual(code, 4)
        self.assertIn(b": bucket b is missing: restore it from a backup", err)


if __name__ == "__main__":
    unittest.main()
