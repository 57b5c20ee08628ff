"""bobbin serve --seed: what it makes before the first client, and what a second start leaves alone."""

import base64
import http.client
import json
import os
import subprocess
import tempfile
import unittest

import program
from lib.connection import Connection
from lib.ports import free_port
from lib.server import BINARY, Server, poll

_TOML = """
[[buckets]]
name = "travel"
ramQuotaMB = 128
flushEnabled = true
collections = ["inventory.airline", { name = "inventory.session", maxTTL = 60 }]
"""


class Seeds(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-seed-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.seed = os.path.join(folder.name, "seed")
        self.data = os.path.join(folder.name, "data")

    def write(self, name, text):
        path = os.path.join(self.seed, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, **options):
        options = {"memory": "1G", "data": self.data, "seed": self.seed, "http": True, **options}
        server = Server(kind="bobbin", **{key: value for key, value in options.items() if value is not None})
        self.addCleanup(server.stop)
        return server

    def ask(self, server, path, method="GET", login=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
        headers = {}
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def get(self, server, key):
        with Connection(server.tcp) as client:
            client.send(b"get " + key + b"\r\nquit\r\n")
            return client.read_to_end()

    def items(self, server, **more):
        """The number of documents of each bucket."""
        buckets = json.loads(self.ask(server, "/pools/default/buckets", **more)[1])
        return {bucket["name"]: bucket["basicStats"]["itemCount"] for bucket in buckets}

    def collections(self, server, bucket):
        manifest = json.loads(self.ask(server, f"/pools/default/buckets/{bucket}/scopes")[1])
        return {
            f"{scope['name']}.{collection['name']}": collection.get("maxTTL", 0)
            for scope in manifest["scopes"]
            for collection in scope["collections"]
        }

    def test_documents_come_from_tables(self):
        config = os.path.join(self.folder, "bobbin.toml")
        more = self.write("../more.jsonl", '{"key": "a", "value": 1}\n{"key": "b", "value": 2}\n')
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""
[[documents]]
key = "hello"
value = '{{"from": "a table"}}'

[[documents]]
bucket = "travel"
collection = "inventory.airline"
file = "{more}"
""")
        for _ in range(2):
            server = self.start(seed=None, config=config)
            poll(lambda server=server: self.ask(server, "/readyz")[0] == 200, "it to be ready")
            self.assertIn(b'\r\n{"from": "a table"}\r\n', self.get(server, b"hello"))
            self.assertEqual(self.items(server), {"default": 1, "travel": 2})
            self.assertIn("inventory.airline", self.collections(server, "travel"))
            server.stop()

    def test_everything_is_there_when_it_is_ready_and_a_second_start_changes_nothing(self):
        self.write("seed.toml", _TOML)
        self.write("travel/inventory/airline/airline_10.json", '{"name": "40-Mile Air"}\n')
        self.write("default/_default/_default/greeting.json", '"hello"')
        self.write("default/_default/_default/more.jsonl", '{"key": "a b", "value": 1}\n{"key": "c", "value": [2]}\n')
        server = self.start()
        self.assertEqual(self.ask(server, "/readyz")[0], 200)
        self.assertEqual(self.items(server), {"default": 3, "travel": 1})
        self.assertEqual(
            self.collections(server, "travel"),
            {"_default._default": 0, "inventory.airline": 0, "inventory.session": 60},
        )
        self.assertEqual(self.get(server, b"greeting"), b'VALUE greeting 33554438 7\r\n"hello"\r\nEND\r\n')
        with Connection(server.tcp) as client:
            client.ask(b"delete greeting\r\n")
            client.ask(b"set c 0 0 1\r\n9\r\n")
        self.assertEqual(self.ask(server, "/pools/default/buckets/travel", "DELETE")[0], 200)
        server.stop()
        server = self.start()
        self.assertEqual(self.items(server), {"default": 2})
        server.stop()
        # Another seed: what is not there is made, what is there stays.
        self.write("default/_default/_default/new.json", "1")
        server = self.start()
        self.assertEqual(self.items(server), {"default": 4, "travel": 1})
        self.assertEqual(self.get(server, b"c"), b"VALUE c 0 1\r\n9\r\nEND\r\n")

    def test_users_come_from_it(self):
        self.write("seed.toml", '[[users]]\nid = "admin"\npasswordVariable = "SEED_TEST"\nroles = "admin"\n')
        os.environ["SEED_TEST"] = "secret"
        self.addCleanup(os.environ.pop, "SEED_TEST", None)
        server = self.start()
        self.assertEqual(self.ask(server, "/pools/default/buckets")[0], 401)
        self.assertEqual(self.items(server, login=("admin", "secret")), {"default": 0})
        server.stop()
        os.environ["SEED_TEST"] = "another"
        server = self.start()
        self.assertEqual(self.ask(server, "/whoami", login=("admin", "another"))[0], 401)
        self.assertEqual(self.ask(server, "/whoami", login=("admin", "secret"))[0], 200)
        with open(os.path.join(self.data, "audit.log"), encoding="utf-8") as file:
            actions = [json.loads(line) for line in file if '"admin"' in line]
        self.assertEqual([(line["action"], line["object"]) for line in actions if "action" in line],
                         [("create user", "admin")])

    def test_a_cache_begins_with_it_each_time(self):
        self.write("seed.toml", _TOML)
        self.write("travel/inventory/airline/a.json", "1")
        for _ in range(2):
            server = self.start(data=None)
            self.assertEqual(self.items(server), {"default": 0, "travel": 1})
            server.stop()

    def test_what_is_only_in_memory_is_made_again(self):
        self.write("seed.toml", '[[buckets]]\nname = "cache"\nbucketType = "ephemeral"\n')
        self.write("cache/s/c/a.json", "1")
        for _ in range(2):
            server = self.start(dev=True)
            self.assertEqual(self.items(server), {"default": 0, "cache": 1})
            server.stop()

    def test_an_end_in_the_middle_is_made_whole_by_the_next_start(self):
        count = 50_000
        while True:
            with open(self.write("big/s/c/all.jsonl", ""), "w", encoding="ascii") as file:
                for i in range(count):
                    file.write(f'{{"key":"k{i}","value":{{"n":{i},"text":"{i:0100}"}}}}\n')
            if self.kill_while_it_seeds():
                break
            count *= 2  # it was done before we could
        server = self.start(dev=True)
        self.assertEqual(self.items(server)["big"], count)
        server.stop()
        self.assertTrue(os.path.exists(os.path.join(self.data, "seeded")))

    def kill_while_it_seeds(self):
        port = free_port()
        process = subprocess.Popen(
            [BINARY, "serve", "--port", "0", "--http-port", str(port), "--memory", "1G", "--data", self.data,
             "--seed", self.seed],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=program.environment(),
        )  # fmt: skip

        def answered():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status
            except OSError:
                return None
            finally:
                connection.close()

        status = poll(answered, "its HTTP to answer")
        process.kill()
        process.wait()
        return status == 503 and not os.path.exists(os.path.join(self.data, "seeded"))

    def test_what_is_wrong_is_named_and_nothing_is_made(self):
        self.write("travel/inventory/airline/good.json", "1")
        path = self.write("travel/inventory/airline/more.jsonl", '{"key": "a", "value": 1}\n{"key": "b", "value": }\n')
        for words in (["--check"], ["--port", "0"]):
            code, _, err = program.run("serve", "--memory", "1G", "--data", self.data, "--seed", self.seed, *words)
            self.assertEqual(code, 2)
            self.assertIn(f"{path}:2: this is no JSON\n", err.decode())
        self.assertFalse(os.path.exists(self.data))

    def test_what_does_not_fit_is_named(self):
        self.write("seed.toml", '[[buckets]]\nname = "a"\nramQuotaMB = 900\n')
        code, _, err = program.run(
            "serve", "--memory", "1G", "--data", self.data, "--seed", self.seed, "--port", "0"
        )
        self.assertEqual(code, 2)
        self.assertIn(f"{self.seed}/seed.toml:1: bucket a: RAM quota", err.decode())


if __name__ == "__main__":
    unittest.main()
