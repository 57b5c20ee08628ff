"""bobbin bench against a running server, whose own statistics say whether it counted right."""

import json
import os
import pty
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

import program
from lib.certificates import Authority
from lib.connection import Connection
from lib.server import BINARY, PATIENCE_S, Server, poll

PROTOCOLS = ("text", "meta", "binary")
FIELDS = {
    "protocol", "connections", "in_flight", "threads", "value_bytes", "keys", "multi_get", "seconds", "requests",
    "requests_per_s", "keys_per_s", "bytes_in", "bytes_in_per_s", "hits", "misses", "errors", "latency_us",
    "get_latency_us", "set_latency_us",
}  # fmt: skip


class BenchCase(unittest.TestCase):
    OPTIONS = {}

    def setUp(self):
        self.server = Server(**self.OPTIONS)
        self.addCleanup(self.server.stop)

    def bench(self, *words, address=None):
        """Runs to the end of a number of requests; returns the JSON object. Everything that is sent counts."""
        code, out, err = program.run(
            "bench", "--json", "--warmup", "0", "--server", address or self.server.address, *words
        )
        self.assertEqual((code, err), (0, b""), out)
        result = json.loads(out)
        self.assertLessEqual(FIELDS, result.keys())
        self.assertEqual(result["errors"], 0, result)
        return result

    def stats(self):
        with Connection(self.server.endpoint) as connection:
            return {name: int(text) for name, text in connection.stats().items() if text.isdigit()}


class CountsAreTheServers(BenchCase):
    def test_gets(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                before = self.stats()
                result = self.bench("--protocol", protocol, "--keys", "500", "--requests", "3001",
                                    "--connections", "7", "--in-flight", "3")
                after = self.stats()
                self.assertEqual(result["protocol"], protocol)
                self.assertEqual((result["requests"], result["hits"], result["misses"]), (3001, 3001, 0))
                self.assertEqual(after["cmd_get"] - before["cmd_get"], 3001)
                self.assertEqual(after["get_hits"] - before["get_hits"], 3001)
                self.assertEqual(after["cmd_set"] - before["cmd_set"], 500)
                self.assertEqual(after["curr_items"], 500)
                self.assertEqual(result["set_latency_us"]["max"], 0)
                self.assertEqual(result["latency_us"], result["get_latency_us"])

    def test_a_ratio(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                before = self.stats()
                result = self.bench("--protocol", protocol, "--ratio", "1:3", "--keys", "100", "--requests", "4000",
                                    "--in-flight", "8", "--threads", "2", "--value-size", "1-2000")
                after = self.stats()
                self.assertEqual((result["gets"], result["sets"], result["hits"]), (3000, 1000, 3000))
                self.assertEqual(after["cmd_get"] - before["cmd_get"], 3000)
                self.assertEqual(after["cmd_set"] - before["cmd_set"], 100 + 1000)
                self.assertGreater(result["set_latency_us"]["p50"], 0)

    def test_gets_of_several_keys_of_which_some_are_missing(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                self.bench("--keys", "300", "--requests", "1")
                before = self.stats()
                result = self.bench("--protocol", protocol, "--no-fill", "--keys", "400", "--key-size", "16",
                                    "--multi-get", "20", "--requests", "500", "--in-flight", "4")
                after = self.stats()
                self.assertEqual((result["requests"], result["multi_get"]), (500, 20))
                self.assertEqual(result["hits"] + result["misses"], 500 * 20)
                self.assertEqual(after["cmd_get"] - before["cmd_get"], 500 * 20)
                self.assertEqual(after["get_hits"] - before["get_hits"], result["hits"])
                self.assertEqual(after["get_misses"] - before["get_misses"], result["misses"])
                self.assertEqual(after["cmd_set"], before["cmd_set"])
                self.assertGreater(result["misses"], 0)

    def test_the_bytes_of_the_answers(self):
        for protocol, each in (("text", len("VALUE key-000000000007 0 1000\r\n\r\nEND\r\n") + 1000),
                               ("meta", len("VA 1000\r\n\r\n") + 1000),
                               ("binary", 24 + 4 + 1000)):  # fmt: skip
            result = self.bench("--protocol", protocol, "--keys", "10", "--value-size", "1000", "--requests", "50")
            self.assertEqual(result["bytes_in"], 50 * each, protocol)

    def test_a_warm_up_is_not_counted(self):
        code, out, _ = program.run("bench", "--json", "--warmup", "50ms", "--requests", "100", "--keys", "10",
                                   "--server", self.server.address)
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out)["requests"], 100)
        self.assertGreaterEqual(self.stats()["cmd_get"], 100)

    def test_by_time(self):
        result = self.bench("--duration", "200ms", "--keys", "10")
        self.assertEqual(self.stats()["cmd_get"], result["requests"])
        self.assertGreater(result["requests"], 0)

    def test_a_rate(self):
        result = self.bench("--rate", "2000", "--requests", "300", "--keys", "10")
        self.assertEqual((result["requests"], self.stats()["cmd_get"]), (300, 300))
        self.assertLess(result["requests_per_s"], 2100)


class Keys(BenchCase):
    def asked_for(self, *words):
        """How often each of 50 keys was asked for, by the server's live log of reads."""
        with Connection(self.server.endpoint) as log:
            self.assertEqual(log.ask(b"watch fetchers\r\n"), b"OK\r\n")
            # One at a time: the log must not have to skip anything.
            result = self.bench("--keys", "50", "--key-size", "8", "--connections", "1", "--requests", "2000", *words)
            self.assertEqual(result["hits"], 2000)
            counts = {}
            for _ in range(2000):
                key = log.read_until(b"\n").split(b" key=")[1].split()[0]
                counts[key] = counts.get(key, 0) + 1
        return counts

    def test_the_same_seed_asks_for_the_same_keys(self):
        first = self.asked_for("--seed", "17")
        self.assertEqual(first, self.asked_for("--seed", "17"))
        self.assertNotEqual(first, self.asked_for("--seed", "18"))
        self.assertEqual(len(first), 50)

    def test_zipf_prefers_the_first(self):
        counts = self.asked_for("--seed", "17", "--distribution", "zipf:1.1")
        self.assertEqual(max(counts, key=counts.get), b"key-0000")
        self.assertGreater(counts[b"key-0000"], 2000 / 50 * 4)


class LargeValues(BenchCase):
    OPTIONS = {"max_item_size": "4M"}

    def test_are_counted_in_every_protocol(self):
        for protocol in PROTOCOLS:
            result = self.bench("--protocol", protocol, "--value-size", "1M-3M", "--keys", "5", "--requests", "40",
                                "--connections", "4", "--in-flight", "3", "--ratio", "1:3")
            self.assertEqual((result["hits"], result["sets"]), (30, 10), protocol)

    def test_several_in_one_get(self):
        result = self.bench("--value-size", "1M", "--keys", "8", "--multi-get", "6", "--requests", "20")
        self.assertEqual(result["hits"], 120)
        self.assertGreater(result["bytes_in"], 120 << 20)


class Errors(BenchCase):
    def run_bench(self, *words):
        return program.run("bench", "--warmup", "0", "--server", self.server.address, *words)

    def test_values_of_another_size_are_errors(self):
        self.bench("--keys", "10", "--value-size", "50", "--requests", "1")
        for protocol in PROTOCOLS:
            code, out, _ = self.run_bench("--protocol", protocol, "--keys", "10", "--value-size", "51",
                                          "--no-fill", "--requests", "30", "--json")
            result = json.loads(out)
            self.assertEqual((code, result["hits"], result["errors"]), (3, 30, 30), protocol)
            self.assertEqual(result["errors_by_kind"]["wrong_size"], 30)

    def test_keys_that_cannot_be_stored_end_it(self):
        for protocol in PROTOCOLS:
            code, out, err = self.run_bench("--protocol", protocol, "--value-size", "2M", "--keys", "3", "--quiet")
            self.assertEqual((code, out), (3, b""), protocol)
            self.assertRegex(err, rb"^bobbin: \S+: 3 keys could not be stored: .*[Tt]oo large")

    def test_sets_that_are_refused_are_counted(self):
        code, out, _ = self.run_bench("--value-size", "2M", "--keys", "3", "--no-fill", "--ratio", "1:0",
                                      "--requests", "5", "--connections", "2", "--quiet")
        self.assertEqual(code, 3)
        self.assertIn(b"errors 5\n  refused: 5\n  the server said: \"SERVER_ERROR object too large", out)

    def test_no_server(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            code, out, err = program.run("bench", "--quiet", "--server", address)
        self.assertEqual((code, out), (3, b""))
        self.assertEqual(err, f"bobbin: {address}: Connection refused\n".encode())

    def test_wrong_flags(self):
        code, out, err = program.run("bench", "--ratio", "1")
        self.assertEqual((code, out), (2, b""))
        self.assertTrue(err.startswith(b"bobbin: --ratio: "), err)


class Peer:
    """Accepts connections and gives each to `serve`, in a thread of its own."""

    def __init__(self, test, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.serve = serve
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()
        test.addCleanup(self.stop)

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(PATIENCE_S)
                self.serve(peer)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


class ServersThatMisbehave(unittest.TestCase):
    def errors(self, serve, *words):
        peer = Peer(self, serve)
        code, out, _ = program.run("bench", "--json", "--warmup", "0", "--no-fill", "--connections", "1", "--in-flight",
                                   "4", "--requests", "20", "--server", peer.address, *words)
        self.assertEqual(code, 3)
        result = json.loads(out)
        return result["requests"], {kind: n for kind, n in result["errors_by_kind"].items() if n}

    def test_a_closed_connection(self):
        def serve(peer):
            peer.recv(1)

        self.assertEqual(self.errors(serve), (0, {"disconnected": 4}))

    def test_nonsense(self):
        def serve(peer):
            peer.recv(1000)
            peer.sendall(b"END\r\nHTTP/1.1 400 Bad Request\r\n")
            while peer.recv(1000):
                pass

        answered, kinds = self.errors(serve)
        self.assertEqual((answered, list(kinds)), (1, ["malformed"]))

    def test_an_answer_that_nobody_asked_for(self):
        def serve(peer):
            peer.recv(1000)
            peer.sendall(b"END\r\n" * 21)
            while peer.recv(1000):
                pass

        self.assertEqual(list(self.errors(serve)[1]), ["malformed"])

    def test_silence(self):
        def serve(peer):
            while peer.recv(1000):
                pass

        self.assertEqual(self.errors(serve, "--timeout", "100ms"), (0, {"timed_out": 4}))


class ForPeople(BenchCase):
    def test_the_table(self):
        code, out, err = program.run("bench", "--ratio", "1:1", "--requests", "100", "--keys", "10", "--warmup", "0",
                                     "--seed", "4711", "--server", self.server.address)
        self.assertEqual((code, err), (0, b""))
        text = out.decode()
        self.assertTrue(text.startswith(f"text to {self.server.address}: 50 connections, 1 request in flight"), text)
        self.assertIn("seed 4711\n", text)
        for row in ("gets              50 ", "sets              50 ", "all              100 "):
            self.assertIn("\n" + row, text)
        self.assertIn("\nhits 50, misses 0 (100.0 % hits), errors 0\n", text)

    def started_on_a_terminal(self, *words):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen([BINARY, "bench", "--duration", "1h", "--warmup", "0", "--keys", "10", *words],
                                   stdout=subprocess.PIPE, stderr=theirs,
                                   env=program.environment(BOBBIN_SERVER=self.server.address))
        os.close(theirs)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        guard = threading.Timer(PATIENCE_S, process.kill)
        guard.start()
        self.addCleanup(guard.cancel)
        self.addCleanup(process.kill)
        return process, ours

    def test_a_terminal_sees_progress_and_ctrl_c_ends_it_with_the_results(self):
        process, terminal = self.started_on_a_terminal()
        shown = b""
        while b" requests/s, p99 " not in shown:
            shown += os.read(terminal, 1000)
        process.send_signal(2)
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertIn(b", errors 0\n", out)

    def test_quiet_shows_none(self):
        process, terminal = self.started_on_a_terminal("--quiet")
        poll(lambda: self.stats()["cmd_get"] > 0, "requests")
        process.send_signal(15)
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertTrue(out.lstrip().startswith(b"requests"), out)
        with self.assertRaises(OSError):  # the other end of a terminal is gone, and nothing was written to it
            os.read(terminal, 1000)


class OverAUnixSocket(BenchCase):
    OPTIONS = {"unix": True}

    def test_it_works(self):
        result = self.bench("--requests", "200", "--keys", "20", "--in-flight", "4", address=self.server.unix)
        self.assertEqual(self.stats()["get_hits"], result["hits"])


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
class OverTls(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-bench-")
        self.addCleanup(folder.cleanup)
        self.authority = Authority(folder.name)
        own = self.authority.issue("server")
        self.server = Server(tls_cert=own.certificate, tls_key=own.key)
        self.addCleanup(self.server.stop)
        self.address = f"127.0.0.1:{self.server.tls}"

    def test_every_protocol(self):
        for protocol in (*PROTOCOLS, "mcbp"):
            with self.subTest(protocol):
                code, out, err = program.run(
                    *("bench", "--json", "--tls", "--cafile", self.authority.certificate, "--server", self.address),
                    *("--protocol", protocol, "--warmup", "0", "--requests", "3000", "--keys", "500"),
                    *("--ratio", "1:2", "--connections", "7", "--in-flight", "5", "--value-size", "1-70000"),
                )
                self.assertEqual((code, err), (0, b""), out)
                result = json.loads(out)
                self.assertTrue(result["tls"])
                self.assertEqual((result["gets"], result["sets"], result["hits"]), (2000, 1000, 2000))
                self.assertEqual(result["errors"], 0, result)

    def test_it_takes_no_server_that_nobody_vouches_for_unless_told_to(self):
        words = ("bench", "--tls", "--server", self.address, "--requests", "10", "--warmup", "0", "--quiet")
        code, _, err = program.run(*words)
        self.assertEqual(code, 3)
        self.assertIn(f"bobbin: {self.address}: no TLS handshake: ".encode(), err)
        self.assertIn(b"certificate", err)
        code, _, err = program.run(*words, "--insecure")
        self.assertEqual((code, err), (0, b""))

    def test_a_port_without_tls(self):
        code, _, err = program.run("bench", "--tls", "--insecure", "--quiet", "--server", self.server.address)
        self.assertEqual(code, 3)
        self.assertIn(b"no TLS handshake", err)


class AgainstRedis(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "socket")
        process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", folder.name],
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        poll(lambda: os.path.exists(self.path), "redis-server to listen")

    def ask(self, line):
        with Connection(self.path) as connection:
            size = int(connection.ask(line)[1:])
            return connection.read(size).decode()

    def test_counts_are_redis_own(self):
        for multi_get in (1, 10):
            with Connection(self.path) as connection:
                self.assertEqual(connection.ask(b"FLUSHALL\r\n"), b"+OK\r\n")
                self.assertEqual(connection.ask(b"CONFIG RESETSTAT\r\n"), b"+OK\r\n")
            code, out, err = program.run("bench", "--json", "--protocol", "redis", "--server", self.path, "--warmup", "0",
                                         "--requests", "1000", "--ratio", "1:4", "--in-flight", "4", "--keys", "200",
                                         "--value-size", "1-100K", "--multi-get", str(multi_get))
            self.assertEqual((code, err), (0, b""), out)
            result = json.loads(out)
            self.assertEqual((result["sets"], result["hits"], result["misses"]), (200, 800 * multi_get, 0))
            stats = dict(line.split(":") for line in self.ask(b"INFO stats\r\n").splitlines() if ":" in line)
            self.assertEqual(int(stats["keyspace_hits"]), 800 * multi_get)
            self.assertEqual(int(stats["keyspace_misses"]), 0)


if __name__ == "__main__":
    unittest.main()
