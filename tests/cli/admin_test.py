"""bobbin serve --admin: the administrator that a first start makes, and who is let in without one."""

import base64
import http.client
import json
import os
import re
import tempfile
import unittest

import program
from lib import binary
from lib.connection import Connection
from lib.server import Server


_MANIFEST = {
    "uid": "1",
    "scopes": [{"name": "_default", "uid": "0", "collections": [{"name": "_default", "uid": "0"}]}],
}


class Administrators(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-admin-")
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")

    def start(self, **options):
        server = Server(kind="bobbin", http=True, **{"data": self.data, "memory": "256M", **options})
        self.addCleanup(server.stop)
        return server

    def status(self, server, name=None, password=None):
        """What a call is answered that only an administrator may make."""
        connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
        headers = {}
        if name:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        connection.request("GET", "/settings/rbac/users", headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def made_up(self, server):
        said = re.findall(r"^administrator (\S+) has the password ([0-9a-f]{24}),", server.output(), re.MULTILINE)
        return said[0] if said else None

    def test_the_first_start_makes_the_one_that_it_is_told(self):
        server = self.start(admin_password="correct horse")
        self.assertEqual(self.status(server, "Administrator", "correct horse"), 200)
        self.assertEqual(self.status(server), 401)
        self.assertNotIn("correct horse", server.output())
        server.stop()
        again = self.start(admin="other", admin_password="battery staple")
        self.assertEqual(self.status(again, "Administrator", "correct horse"), 200, "a later start changes nothing")
        self.assertEqual(self.status(again, "other", "battery staple"), 401)
        again.stop()
        with open(os.path.join(self.data, "audit.log"), encoding="utf-8") as lines:
            made = [line for line in map(json.loads, lines) if line.get("action") == "create user"]
        self.assertEqual([(line["object"], line["ok"]) for line in made], [("Administrator", True)])

    def test_a_password_that_is_made_up_is_shown_once(self):
        server = self.start(admin="root")
        name, password = self.made_up(server)
        self.assertEqual(name, "root")
        self.assertEqual(self.status(server, name, password), 200)
        server.stop()
        again = self.start(admin="root")
        self.assertIsNone(self.made_up(again))
        self.assertEqual(self.status(again, name, password), 200)

    def test_a_cache_has_another_at_each_start(self):
        passwords = set()
        for _ in range(2):
            with Server(kind="bobbin", http=True, admin="root", memory="64M") as server:
                name, password = self.made_up(server)
                self.assertEqual(self.status(server, name, password), 200)
                self.assertEqual(self.status(server), 401)
                passwords.add(password)
        self.assertEqual(len(passwords), 2)

    def test_what_is_done_by_the_other_protocol_is_written_down_too(self):
        with open(os.path.join(self.data + ".toml"), "w", encoding="utf-8") as seed:
            seed.write('[[users]]\nid = "app"\npassword = "secret"\nroles = ["data_reader[*]"]\n')
        server = self.start(admin="root", admin_password="secret", seed=self.data + ".toml")
        asked = []
        for user in (b"root", b"app"):
            with Connection(server.tcp) as client:
                asked += [
                    answer.status
                    for answer in binary.ask(
                        client,
                        binary.request(0x1F, b"admin_test"),
                        binary.request("sasl_auth", b"PLAIN", b"\0" + user + b"\0secret"),
                        binary.request(0xB9, value=json.dumps(_MANIFEST).encode()),
                        binary.request(0x3D, extras=b"\0\0\0\4", vbucket=5),
                        binary.request(0x3F, vbucket=5),
                        binary.request(0xB3, extras=bytes(24)),
                        binary.request("flush"),
                    )
                ]
        self.assertEqual(asked, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0x24, 0x24, 0x24, 0x24, 0x24])
        server.stop()
        with open(os.path.join(self.data, "audit.log"), encoding="utf-8") as lines:
            done = [line for line in map(json.loads, lines) if line["event"] == "admin" and line["user"] != ""]
        self.assertEqual(
            [(line["user"], line["action"], line["object"], line["ok"]) for line in done],
            [
                ("root", "replace manifest", "default", True),
                ("root", "set vbucket", "default/5", True),
                ("root", "delete vbucket", "default/5", True),
                ("root", "compact", "default/0", True),
                ("root", "flush bucket", "default", True),
                ("app", "collections_set_manifest", "default", False),
                ("app", "set_vbucket", "default", False),
                ("app", "del_vbucket", "default", False),
                ("app", "compact_db", "default", False),
                ("app", "flush", "default", False),
            ],
        )

    def check(self, *words, **variables):
        code, out, err = program.run("serve", "--check", "--data", self.data, "--port", "0", *words, **variables)
        return code, (out + err).decode()

    def test_others_are_let_in_where_there_is_one(self):
        public = ("--listen", "0.0.0.0")
        code, said = self.check(*public)
        self.assertEqual(code, 2)
        self.assertIn("there are no users", said)
        self.assertEqual(self.check(*public, "--admin", "root")[0], 0)
        self.assertEqual(self.check(*public, BOBBIN_ADMIN_PASSWORD="secret")[0], 0)

    def test_others_are_not_let_in_when_the_last_user_has_gone(self):
        self.assertEqual(program.run("user", "add", "a", "-r", "admin", "-d", self.data, stdin=b"secret\n")[0], 0)
        self.assertEqual(self.check("--listen", "0.0.0.0")[0], 0)
        self.assertEqual(program.run("user", "remove", "a", "--data", self.data)[0], 0)
        code, said = self.check("--listen", "0.0.0.0")
        self.assertEqual(code, 2)
        self.assertIn("there are no users", said)

    def test_what_makes_no_sense_is_refused(self):
        for words in (("--dev", "--admin", "root"), ("--admin", ""), ("--admin-password", "")):
            code, said = self.check(*words)
            self.assertEqual(code, 2, words)
            self.assertIn("--admin", said)


if __name__ == "__main__":
    unittest.main()
