"""pymemcache, unmodified, over TCP and Unix socket, with one and two server threads."""

import threading
import unittest

from pymemcache import serde
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError, MemcacheUnknownCommandError

from lib.server import Server, poll


class Commands:
    """What every combination of transport and threads must do. Mixed into the test cases below."""

    THREADS = 1
    UNIX = False

    @classmethod
    def setUpClass(cls):
        cls.server = Server(threads=cls.THREADS, unix=cls.UNIX)
        cls.addClassCleanup(cls.server.stop)
        cls.endpoint = cls.server.unix if cls.UNIX else cls.server.tcp

    def setUp(self):
        self.client = self.connect()
        self.client.flush_all(noreply=False)

    def connect(self, kind=Client, **options):
        client = kind(self.endpoint, connect_timeout=20, timeout=20, **options)
        self.addCleanup(client.close)
        return client

    def test_set_and_get(self):
        self.assertTrue(self.client.set("key", b"value", noreply=False))
        self.assertEqual(self.client.get("key"), b"value")
        self.assertIsNone(self.client.get("other"))
        self.assertEqual(self.client.get("other", default=b"none"), b"none")

    def test_an_empty_value(self):
        self.client.set("key", b"", noreply=False)
        self.assertEqual(self.client.get("key"), b"")

    def test_flags_come_back(self):
        client = self.connect(serde=serde.pickle_serde)
        for value in (b"bytes", "text", 42, {"a": [1, 2.5, None]}):
            client.set("key", value, noreply=False)
            self.assertEqual(client.get("key"), value)

    def test_noreply_keeps_the_connection_in_step(self):
        for number in range(100):
            self.client.set(f"key{number}", b"%d" % number, noreply=True)
        self.client.delete("key1", noreply=True)
        self.client.add("key2", b"not this", noreply=True)
        self.client.incr("key3", 10, noreply=True)
        self.client.touch("key4", 100, noreply=True)
        self.assertEqual(self.client.get("key99"), b"99")
        self.assertIsNone(self.client.get("key1"))
        self.assertEqual(self.client.get("key2"), b"2")
        self.assertEqual(self.client.get("key3"), b"13")

    def test_add_and_replace(self):
        self.assertFalse(self.client.replace("key", b"1", noreply=False))
        self.assertTrue(self.client.add("key", b"2", noreply=False))
        self.assertFalse(self.client.add("key", b"3", noreply=False))
        self.assertTrue(self.client.replace("key", b"4", noreply=False))
        self.assertEqual(self.client.get("key"), b"4")

    def test_append_and_prepend(self):
        self.assertFalse(self.client.append("key", b"1", noreply=False))
        self.assertFalse(self.client.prepend("key", b"1", noreply=False))
        self.client.set("key", b"b", noreply=False)
        self.assertTrue(self.client.append("key", b"c", noreply=False))
        self.assertTrue(self.client.prepend("key", b"a", noreply=False))
        self.assertEqual(self.client.get("key"), b"abc")

    def test_cas(self):
        self.assertIsNone(self.client.cas("key", b"1", b"123", noreply=False))
        self.client.set("key", b"1", noreply=False)
        value, token = self.client.gets("key")
        self.assertEqual(value, b"1")
        self.assertTrue(self.client.cas("key", b"2", token, noreply=False))
        self.assertFalse(self.client.cas("key", b"3", token, noreply=False))
        self.assertEqual(self.client.get("key"), b"2")
        self.assertEqual(self.client.gets("other"), (None, None))

    def test_incr_and_decr(self):
        self.assertIsNone(self.client.incr("key", 1, noreply=False))
        self.client.set("key", b"9", noreply=False)
        self.assertEqual(self.client.incr("key", 1, noreply=False), 10)
        self.assertEqual(self.client.decr("key", 3, noreply=False), 7)
        self.assertEqual(self.client.decr("key", 30, noreply=False), 0)
        self.client.set("key", b"18446744073709551615", noreply=False)
        self.assertEqual(self.client.incr("key", 2, noreply=False), 1)
        self.client.set("key", b"text", noreply=False)
        with self.assertRaises(MemcacheClientError):
            self.client.incr("key", 1, noreply=False)

    def test_delete_and_touch(self):
        self.assertFalse(self.client.delete("key", noreply=False))
        self.assertFalse(self.client.touch("key", 100, noreply=False))
        self.client.set("key", b"1", noreply=False)
        self.assertTrue(self.client.touch("key", 100, noreply=False))
        self.assertTrue(self.client.delete("key", noreply=False))
        self.assertIsNone(self.client.get("key"))

    def test_many(self):
        values = {f"key{number}": b"%d" % number * number for number in range(500)}
        self.assertEqual(self.client.set_many(values, noreply=False), [])
        self.assertEqual(self.client.get_many([*values, "absent"]), values)
        self.assertEqual(len(self.client.gets_many(list(values))), 500)
        self.assertTrue(self.client.delete_many(list(values)[:250], noreply=False))
        self.assertEqual(len(self.client.get_many(list(values))), 250)

    def test_negative_expiry_is_already_expired(self):
        self.client.set("key", b"1", expire=-1, noreply=False)
        self.assertIsNone(self.client.get("key"))

    def test_expiry(self):
        self.client.set("key", b"1", expire=1, noreply=False)
        self.client.set("touched", b"1", noreply=False)
        self.client.touch("touched", 1, noreply=False)
        self.client.set("later", b"1", expire=1000, noreply=False)
        poll(lambda: self.client.get_many(["key", "touched", "later"]) == {"later": b"1"}, "the keys to expire")

    def test_flush_all_at_once_and_with_delay(self):
        self.client.set("key", b"1", noreply=False)
        self.assertTrue(self.client.flush_all(delay=1000, noreply=False))
        self.assertEqual(self.client.get("key"), b"1")
        self.assertTrue(self.client.flush_all(delay=1, noreply=False))
        poll(lambda: self.client.get("key") is None, "the delayed flush")
        self.client.set("key", b"2", noreply=False)
        self.assertTrue(self.client.flush_all(delay=0, noreply=False))
        self.assertIsNone(self.client.get("key"))

    def test_large_values(self):
        for size in (2047, 2048, 4096, 32768, 65537, 500_000, 1_000_000):
            value = bytes(range(256)) * (size // 256 + 1)
            self.assertTrue(self.client.set("key", value[:size], noreply=False))
            self.assertEqual(self.client.get("key"), value[:size])
        with self.assertRaises(MemcacheServerError):
            self.client.set("key", b"x" * 1_100_000, noreply=False)
        self.client.set("key", b"still here", noreply=False)
        self.assertEqual(self.client.get("key"), b"still here")

    def test_values_that_look_like_the_protocol(self):
        for value in (b"\r\n", b"END\r\n", b"VALUE key 0 1\r\nx\r\nEND\r\n", b"\0\x80\x81\xff", b"set a 0 0 1\r\n"):
            self.client.set("key", value, noreply=False)
            self.assertEqual(self.client.get("key"), value)

    def test_key_of_the_longest_length(self):
        key = "k" * 250
        self.client.set(key, b"1", noreply=False)
        self.assertEqual(self.client.get(key), b"1")

    def test_unicode_keys(self):
        client = self.connect(allow_unicode_keys=True)
        client.set("schlüssel-键", b"1", noreply=False)
        self.assertEqual(client.get("schlüssel-键"), b"1")

    def test_version_stats_and_an_unknown_command(self):
        self.assertRegex(self.client.version(), rb"^\d+\.\d+")
        stats = self.client.stats()
        self.assertEqual(stats[b"threads"], self.THREADS)
        self.assertIn(b"get_hits", stats)
        self.assertIn(b"maxbytes", self.client.stats("settings"))
        with self.assertRaises(MemcacheUnknownCommandError):
            self.client._fetch_cmd(b"nonsense", ["key"], False)

    def test_statistics_count_what_went_in(self):
        before = self.client.stats()
        self.client.set("key", b"1", noreply=False)
        self.client.get_many(["key", "absent", "absent2"])
        after = self.client.stats()
        rise = {name: after[name] - before[name] for name in (b"cmd_set", b"cmd_get", b"get_hits", b"get_misses")}
        self.assertEqual(rise, {b"cmd_set": 1, b"cmd_get": 3, b"get_hits": 1, b"get_misses": 2})

    def test_quit_and_reconnect(self):
        self.client.set("key", b"1", noreply=False)
        self.client.quit()
        self.assertEqual(self.client.get("key"), b"1")

    def test_pooled_client_from_several_threads(self):
        client = self.connect(PooledClient, max_pool_size=4)
        failures = []

        def work(name):
            for number in range(200):
                client.set(f"{name}-{number}", b"%d" % number, noreply=False)
                if client.get(f"{name}-{number}") != b"%d" % number:
                    failures.append((name, number))

        workers = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual(failures, [])

    def test_hash_client_over_two_servers(self):
        with Server(threads=self.THREADS, unix=self.UNIX) as second:
            client = HashClient([self.endpoint, second.unix if self.UNIX else second.tcp], timeout=20)
            self.addCleanup(client.close)
            values = {f"key{number}": b"%d" % number for number in range(200)}
            self.assertEqual(client.set_many(values, noreply=False), [])
            self.assertEqual(client.get_many(list(values)), values)
            shares = [len(self.client.get_many(list(values)))]
            direct = Client(second.unix if self.UNIX else second.tcp)
            self.addCleanup(direct.close)
            shares.append(len(direct.get_many(list(values))))
            self.assertEqual(sum(shares), 200)
            self.assertGreater(min(shares), 0)
            self.assertTrue(client.delete_many(list(values), noreply=False))


class TcpOneThread(Commands, unittest.TestCase):
    pass


class TcpTwoThreads(Commands, unittest.TestCase):
    THREADS = 2


class UnixOneThread(Commands, unittest.TestCase):
    UNIX = True


class UnixTwoThreads(Commands, unittest.TestCase):
    UNIX = True
    THREADS = 2


if __name__ == "__main__":
    unittest.main()
