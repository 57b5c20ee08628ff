"""The tests' own server control: it must notice what goes wrong, or the other tests prove nothing."""

import signal
import time
import unittest

from lib import binary
from lib.connection import Connection, exchange
from lib.server import Server, poll


class ServerTest(unittest.TestCase):
    def test_starts_answers_and_ends_cleanly(self):
        with Server(unix=True) as server:
            with Connection(server.endpoint) as connection:
                self.assertTrue(connection.ask(b"version\r\n").startswith(b"VERSION "))
                self.assertIn("curr_connections", connection.stats())
            self.assertGreater(server.memory_kib(), 500)

    def test_a_server_that_was_killed_fails_the_test(self):
        server = Server()
        server.process.send_signal(signal.SIGKILL)
        with self.assertRaises(AssertionError):
            server.wait_for_exit()

    def test_a_server_that_cannot_start_fails_the_test(self):
        with self.assertRaises(AssertionError):
            Server(threads="none")

    def test_polling_is_bounded(self):
        before = time.monotonic()
        with self.assertRaises(AssertionError):
            poll(lambda: False, "nothing", patience_s=0.05)
        self.assertLess(time.monotonic() - before, 10)

    def test_exchange_returns_everything_up_to_the_close(self):
        with Server() as server:
            self.assertEqual(exchange(server.endpoint, b"mn\r\n" * 1000), b"MN\r\n" * 1000)

    def test_binary_frames(self):
        with Server() as server, Connection(server.endpoint) as connection:
            found = binary.ask(connection, binary.store("set", b"k", b"v", 7, opaque=9), binary.request("getk", b"k"))
            self.assertEqual([(each.opcode, each.status, each.opaque) for each in found], [(1, 0, 9), (12, 0, 0)])
            self.assertEqual((found[1].extras, found[1].key, found[1].value), (b"\0\0\0\7", b"k", b"v"))


if __name__ == "__main__":
    unittest.main()
