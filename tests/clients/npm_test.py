"""Clients from npm, unmodified, each run by node's own test runner against a server started here."""

import os
import subprocess
import tempfile
import threading
import unittest

from lib.certificates import Authority
from lib.forwarder import Forwarder
from lib.server import Server, poll

_HERE = os.path.dirname(os.path.abspath(__file__))


class NpmClients(unittest.TestCase):
    def run_script(self, script, *, threads, variables=None, **options):
        with Server(threads=threads, **options) as server:
            self.run_node(
                script, BOBBIN_ADDRESS=server.address, BOBBIN_HTTP=f"127.0.0.1:{server.http}",
                BOBBIN_TLS_ADDRESS=f"127.0.0.1:{server.tls}", BOBBIN_HTTPS=f"127.0.0.1:{server.https}",
                BOBBIN_THREADS=str(threads), **(variables or {}),
            )  # fmt: skip

    def run_node(self, script, **environment):
        done = subprocess.run(
            ["node", "--test", os.path.join(_HERE, script)],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
        )  # fmt: skip
        output = done.stdout.decode(errors="replace")
        self.assertEqual(done.returncode, 0, output)
        self.assertRegex(output, r"(?m)^# pass [1-9]")

    def test_memjs_one_thread(self):
        self.run_script("memjs_test.js", threads=1)

    def test_memjs_two_threads(self):
        self.run_script("memjs_test.js", threads=2)

    def test_memjs_with_a_login(self):
        with tempfile.TemporaryDirectory(prefix="bobbin-memjs-") as folder:
            seed = os.path.join(folder, "users.toml")
            with open(seed, "w", encoding="utf-8") as file:
                for name, roles in (("app", '["data_reader[default]", "data_writer[default]", "data_monitoring[default]"]'),
                                    ("reader", '["data_reader[default]"]')):  # fmt: skip
                    file.write(f'[[users]]\nid = "{name}"\npassword = "secret"\nroles = {roles}\n')
            self.run_script("memjs_sasl_test.js", threads=1, seed=seed)

    def test_memcached_one_thread(self):
        self.run_script("memcached_test.js", threads=1)

    def test_memcached_two_threads(self):
        self.run_script("memcached_test.js", threads=2)

    def run_couchbase(self, script, *, threads):
        with tempfile.TemporaryDirectory(prefix="bobbin-sdk-") as folder:
            data = os.path.join(folder, "data")
            self.run_script(script, threads=threads, http=True, dev=True, memory="1G", data=data)

    def test_couchbase_one_thread(self):
        self.run_couchbase("couchbase_test.js", threads=1)

    def test_couchbase_two_threads(self):
        self.run_couchbase("couchbase_test.js", threads=2)

    def test_couchbase_everything_else(self):
        self.run_couchbase("couchbase_whole_test.js", threads=2)

    def test_couchbase_tls(self):
        with tempfile.TemporaryDirectory(prefix="bobbin-sdk-") as folder:
            authority = Authority(folder)
            own = authority.issue("server")
            client = authority.issue("Administrator")
            variables = {
                "BOBBIN_CA": authority.certificate,
                "BOBBIN_STRANGER": Authority(folder, "stranger").certificate,
                "BOBBIN_CERT": client.certificate,
                "BOBBIN_KEY": client.key,
            }
            self.run_script(
                "couchbase_tls_test.js", threads=2, variables=variables, http=True, dev=True, memory="1G",
                data=os.path.join(folder, "data"), tls_cert=own.certificate, tls_key=own.key,
                tls_client_ca=authority.certificate,
            )  # fmt: skip

    def test_couchbase_management(self):
        self.run_couchbase("couchbase_management_test.js", threads=2)

    def run_through_forwarders(self, network, place):
        """`place` makes options of the ports of the data and of HTTP, as they are reached from outside."""
        data, management = Forwarder(), Forwarder()
        self.addCleanup(data.close)
        self.addCleanup(management.close)
        with Server(threads=1, http=True, dev=True, **place(data.port, management.port)) as server:
            data.target, management.target = server.tcp, ("127.0.0.1", server.http)
            self.run_node("couchbase_tunnel_test.js", BOBBIN_ADDRESS=f"127.0.0.1:{data.port}", BOBBIN_NETWORK=network)
        self.assertGreater(data.connections, 0)
        return management.connections

    def test_couchbase_through_a_mapped_port(self):
        self.run_through_forwarders("", lambda data, _: {"advertise": f"127.0.0.1:{data}"})

    def test_couchbase_at_an_alternate_address(self):
        # Nobody is at the address that it has for itself (RFC 5737).
        def place(data, management):
            return {"advertise": "192.0.2.1:11210", "external": f"127.0.0.1:{data}", "external_http_port": management}

        for network in ("?network=external", ""):
            self.assertGreater(self.run_through_forwarders(network, place), 0)

    def test_couchbase_reconnects_after_a_restart(self):
        forwarder = Forwarder()
        self.addCleanup(forwarder.close)
        with tempfile.TemporaryDirectory(prefix="bobbin-sdk-") as folder:
            ask, done = (os.path.join(folder, name) for name in ("ask", "done"))
            options = {
                "threads": 1, "http": True, "dev": True, "memory": "1G", "data": os.path.join(folder, "data"),
                "advertise": f"127.0.0.1:{forwarder.port}",
            }  # fmt: skip
            servers = [Server(**options)]
            forwarder.target = servers[0].tcp

            def start_again():
                try:
                    poll(lambda: os.path.exists(ask), "the client to ask for a restart")
                    servers[0].stop()
                    servers.append(Server(**options))
                    forwarder.target = servers[1].tcp
                finally:
                    with open(done, "w", encoding="utf-8"):
                        pass

            other = threading.Thread(target=start_again)
            other.start()
            try:
                address = f"127.0.0.1:{forwarder.port}"
                self.run_node("couchbase_restart_test.js", BOBBIN_ADDRESS=address, BOBBIN_ASK=ask, BOBBIN_DONE=done)
            finally:
                other.join()
                for server in servers:
                    server.stop()
        self.assertEqual(len(servers), 2)

    def test_couchbase_at_an_alternate_address_by_tls(self):
        data, management = Forwarder(), Forwarder()
        self.addCleanup(data.close)
        self.addCleanup(management.close)
        with tempfile.TemporaryDirectory(prefix="bobbin-sdk-") as folder:
            authority = Authority(folder)
            own = authority.issue("server")
            # The plain ports there are nobody's: port 9 is that for what is thrown away.
            with Server(
                threads=1, http=True, dev=True, tls_cert=own.certificate, tls_key=own.key,
                advertise="192.0.2.1:11210", external="127.0.0.1:9",
                external_tls_port=data.port, external_tls_http_port=management.port,
            ) as server:  # fmt: skip
                data.target, management.target = ("127.0.0.1", server.tls), ("127.0.0.1", server.https)
                self.run_node(
                    "couchbase_tunnel_test.js", BOBBIN_ADDRESS=f"127.0.0.1:{data.port}",
                    BOBBIN_NETWORK="?network=external", BOBBIN_CA=authority.certificate,
                )  # fmt: skip
        self.assertGreater(data.connections, 0)
        self.assertGreater(management.connections, 0)

    def test_couchbase_reads_what_was_seeded(self):
        with tempfile.TemporaryDirectory(prefix="bobbin-sdk-") as folder:
            seed = os.path.join(folder, "seed")
            airlines = os.path.join(seed, "travel", "inventory", "airline")
            os.makedirs(airlines)
            for path, text in (
                (os.path.join(seed, "seed.toml"),
                 '[[users]]\nid = "app"\npassword = "secret"\nroles = ["data_reader[travel]"]\n'),
                (os.path.join(airlines, "airline_10.json"), '{"name": "40-Mile Air", "fleet": [1, 2.5, null]}\n'),
                (os.path.join(airlines, "more.jsonl"), '{"key": "line/1", "value": {"n": 1}}\n'),
            ):  # fmt: skip
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            data = os.path.join(folder, "data")
            self.run_script("couchbase_seed_test.js", threads=1, http=True, memory="1G", data=data, seed=seed)

    def test_couchbase_scans(self):
        self.run_couchbase("couchbase_scan_test.js", threads=2)


if __name__ == "__main__":
    unittest.main()
