"""The limits: connections, descriptors, idle time, stalled readers, memory. Each is counted in the statistics."""

import base64
import http.client
import re
import select
import time
import unittest

from lib import binary
from lib.connection import Connection
from lib.server import KIND, PATIENCE_S, SANITIZED, Server, poll

BOBBIN_ONLY = unittest.skipIf(KIND == "memcached", "a limit of Bobbin's own")


def stat(connection, name):
    return int(connection.stats()[name])


def metric(server, name):
    """Of a server whose administrator has the password "secret": the other protocols tell nobody else."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=PATIENCE_S)
    login = base64.b64encode(b"Administrator:secret").decode()
    connection.request("GET", "/metrics", headers={"Authorization": f"Basic {login}"})
    text = connection.getresponse().read().decode()
    connection.close()
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.MULTILINE).group(1))


class Connections(unittest.TestCase):
    def fill(self, server, most):
        """Opens connections until accepting is paused; returns those that are served, and those that wait."""
        first = Connection(server.endpoint)
        self.addCleanup(first.close)
        self.assertEqual(first.ask(b"mn\r\n"), b"MN\r\n")
        others = []
        for _ in range(most):
            try:
                others.append(Connection(server.endpoint, patience_s=1))
            except TimeoutError:
                break  # memcached shrinks the queue of its listener
            self.addCleanup(others[-1].close)
            others[-1].send(b"mn\r\n")
        poll(lambda: first.stats()["accepting_conns"] == "0", "a limit to be met")
        for connection in others:
            connection.socket.settimeout(PATIENCE_S)

        def answered():
            return select.select([connection.socket for connection in others], [], [], 0)[0]

        # Whoever was accepted is answered; nobody else is accepted before a connection closes.
        accepted = stat(first, "curr_connections") - 1
        if KIND == "memcached":  # which counts its listeners, too
            poll(lambda: len(answered()) > 3, "some to be served")
            time.sleep(1)
        else:
            poll(lambda: len(answered()) == accepted, "every accepted connection to be served")
        ready = answered()
        served = [connection for connection in others if connection.socket in ready]
        for connection in served:
            self.assertEqual(connection.line(), b"MN\r\n")
        return [first, *served], [connection for connection in others if connection.socket not in ready]

    def check_pause_and_resume(self, server, most):
        served, waiting = self.fill(server, most)
        self.assertGreater(len(served), 3)
        self.assertGreater(len(waiting), 0, "no limit was met")
        for connection in served:
            self.assertEqual(connection.ask(b"mn\r\n"), b"MN\r\n")
        self.assertEqual(served[0].stats()["accepting_conns"], "0")
        self.assertGreaterEqual(stat(served[0], "listen_disabled_num"), 1)
        # A paused listener must not spin: while it is paused the server uses next to no processor time.
        before, start = server.cpu_seconds(), time.monotonic()
        poll(lambda: time.monotonic() - start > 1, "a second to pass")
        self.assertLess(server.cpu_seconds() - before, 0.5)
        for connection in served[1:]:
            connection.close()
        # Each place that is free again goes to one that waits.
        while waiting:
            ready = select.select([connection.socket for connection in waiting], [], [], PATIENCE_S)[0]
            self.assertTrue(ready, "none of those that wait is served")
            for connection in [connection for connection in waiting if connection.socket in ready]:
                self.assertEqual(connection.line(), b"MN\r\n")
                connection.close()
                waiting.remove(connection)
        poll(lambda: served[0].stats()["accepting_conns"] == "1", "accepting to be on")

    def test_at_the_limit_accepting_pauses_and_resumes(self):
        for threads in (1, 2):
            with Server(threads=threads, max_connections=20) as server:
                self.check_pause_and_resume(server, 40)

    def test_without_file_descriptors_accepting_pauses_and_resumes(self):
        if KIND == "memcached":
            self.skipTest("memcached raises its own limit of descriptors")
        for threads in (1, 2):
            with Server(threads=threads, nofile=64) as server:
                self.check_pause_and_resume(server, 100)

    def test_curr_connections_counts(self):
        with Server() as server, Connection(server.endpoint) as one:
            before = stat(one, "curr_connections")
            others = [Connection(server.endpoint) for _ in range(10)]
            for each in others:
                each.ask(b"mn\r\n")
            self.assertEqual(stat(one, "curr_connections"), before + 10)
            for each in others:
                each.close()
            poll(lambda: stat(one, "curr_connections") == before, "the count to fall")


class Time(unittest.TestCase):
    def test_idle_connections_are_closed(self):
        with Server(idle_timeout=1) as server:
            idle = [Connection(server.endpoint) for _ in range(5)]
            poll(lambda: all(connection.is_closed() for connection in idle), "the idle connections to be closed")
            with Connection(server.endpoint) as busy:
                self.assertGreaterEqual(stat(busy, "idle_kicks"), 5)
            for connection in idle:
                connection.close()

    def test_without_an_idle_timeout_connections_stay(self):
        with Server() as server, Connection(server.endpoint) as connection, Connection(server.endpoint) as busy:
            connection.ask(b"mn\r\n")
            start = time.monotonic()
            poll(lambda: busy.ask(b"mn\r\n") and time.monotonic() - start > 1.5, "time to pass")
            self.assertFalse(connection.is_closed())
            self.assertEqual(busy.stats().get("idle_kicks", "0"), "0")

    @BOBBIN_ONLY
    def test_a_reader_that_does_not_read_is_closed(self):
        with Server(stall_timeout=1) as server, Connection(server.endpoint) as other:
            other.ask(b"set large 0 0 1000000\r\n" + b"v" * 1_000_000 + b"\r\n")
            stalled = Connection(server.endpoint, receive_buffer=4096)
            stalled.send_until_blocked(b"get large\r\n" * 100, quiet_s=0.1)
            poll(lambda: stat(other, "stalled_kicks") == 1, "the stalled connection to be closed")
            poll(lambda: stat(other, "conn_unsent_bytes") == 0, "its bytes to be given back")
            stalled.read_to_end()
            stalled.close()

    @BOBBIN_ONLY
    def test_a_slow_reader_is_not_closed(self):
        with Server(stall_timeout=4) as server, Connection(server.endpoint) as other:
            other.ask(b"set large 0 0 1000000\r\n" + b"v" * 1_000_000 + b"\r\n")
            with Connection(server.endpoint, receive_buffer=65536) as slow:
                count = 8
                slow.send(b"get large\r\n" * count)
                size = count * len(b"VALUE large 0 1000000\r\n" + b"v" * 1_000_000 + b"\r\nEND\r\n")
                start, received = time.monotonic(), 0
                while received < size:
                    received += len(slow.read(min(size - received, 200_000)))
                    # Slower than the timeout over all, and never as long as it without reading.
                    due = start + 6 * received / size
                    poll(lambda: time.monotonic() >= due, "its turn")
                self.assertEqual(stat(other, "stalled_kicks"), 0)


class Bytes(unittest.TestCase):
    @BOBBIN_ONLY
    def test_more_unread_bytes_than_allowed_close_the_connection(self):
        with Server(max_unread="64K") as server, Connection(server.endpoint) as other:
            with Connection(server.endpoint) as endless:
                endless.send_until_blocked(b"get " + b"k" * 4_000_000)
                endless.read_to_end()
            poll(lambda: stat(other, "unread_kicks") == 1, "it to be counted")

    @BOBBIN_ONLY
    def test_unsent_bytes_are_bounded_and_counted(self):
        with Server(max_unsent="1M") as server, Connection(server.endpoint) as other:
            other.ask(b"set value 0 0 1000\r\n" + b"v" * 1000 + b"\r\n")
            with Connection(server.endpoint, receive_buffer=4096) as lazy:
                lazy.send_until_blocked(b"get value\r\n" * 200_000, quiet_s=0.5)
                unsent = poll(lambda: stat(other, "conn_unsent_bytes"), "bytes to wait")
                # A reply already begun may pass the mark.
                self.assertLessEqual(unsent, 2 << 20)
            poll(lambda: stat(other, "conn_unsent_bytes") == 0, "its bytes to be given back")

    @BOBBIN_ONLY
    def test_who_has_not_logged_in_is_owed_little(self):
        """Each waiting reply costs memory, and nobody knows who asks."""
        count = 50
        with Server(admin_password="secret", http=True, memory="64M") as server:
            strangers = [Connection(server.endpoint, receive_buffer=4096) for _ in range(count)]
            for stranger in strangers:
                self.addCleanup(stranger.close)
                stranger.send(binary.request(0x1F, b"stranger"))
                # The error map is some 6 KB for 26 bytes.
                stranger.send_until_blocked(binary.request(0xFE, value=b"\0\2") * 5000, quiet_s=0.05)
            unsent = poll(lambda: metric(server, "bobbin_unsent_bytes"), "replies to wait")
            self.assertLessEqual(unsent, count * (32 << 10))

    @BOBBIN_ONLY
    def test_who_does_not_log_in_cannot_stay(self):
        with Server(admin_password="secret", http=True, login_timeout=1) as server:
            user = Connection(server.endpoint)
            self.addCleanup(user.close)
            login = binary.request("sasl_auth", b"PLAIN", b"\0Administrator\0secret")
            self.assertTrue(user.ask(login, b"Authenticated"), "and is not heard of for a while")
            strangers = [Connection(server.endpoint) for _ in range(5)]
            # Of HTTP it is the request that has to come; between two of them a connection may wait.
            slow = Connection(("127.0.0.1", server.http))
            slow.send(b"GET /livez HTTP/1.1\r\n")
            waiting = Connection(("127.0.0.1", server.http))
            self.assertTrue(waiting.ask(b"GET /livez HTTP/1.1\r\n\r\n", b"ok\n").startswith(b"HTTP/1.1 200 "))
            for connection in (*strangers, slow, waiting):
                self.addCleanup(connection.close)
            poll(lambda: all(each.is_closed() for each in (*strangers, slow)), "the others to be closed")
            self.assertEqual(binary.ask(user, binary.request("noop"))[0].status, 0)
            self.assertTrue(waiting.ask(b"GET /livez HTTP/1.1\r\n\r\n", b"ok\n").startswith(b"HTTP/1.1 200 "))
            self.assertEqual(metric(server, 'bobbin_connections_closed_total{reason="overdue"}'), 5)

    def test_memory_stays_within_its_limit_under_endless_sets(self):
        with Server(memory="64M") as server, Connection(server.endpoint) as connection:
            value = b"v" * 10_000
            for start in range(0, 20_000, 1000):
                batch = (b"set key-%d 0 0 10000 noreply\r\n%s\r\n" % (start + at, value) for at in range(1000))
                connection.send(b"".join(batch))
            self.assertEqual(connection.ask(b"mn\r\n"), b"MN\r\n")
            self.assertGreater(stat(connection, "evictions"), 1000)
            self.assertLessEqual(stat(connection, "bytes"), 64 << 20)
            if not SANITIZED:
                self.assertLess(server.memory_kib("VmHWM"), (64 + 48) * 1024)

    def test_without_evictions_a_full_cache_says_so(self):
        with Server(memory="64M", disable_evictions=True) as server, Connection(server.endpoint) as connection:
            value = b"v" * 10_000
            for number in range(20_000):
                reply = connection.ask(b"set key-%d 0 0 10000\r\n%s\r\n" % (number, value))
                if reply != b"STORED\r\n":
                    break
            self.assertEqual(reply, b"SERVER_ERROR out of memory storing object\r\n")
            self.assertGreater(number, 3000)
            self.assertEqual(connection.ask(b"get key-0\r\n", b"END\r\n")[:5], b"VALUE")
            self.assertEqual(stat(connection, "evictions"), 0)


if __name__ == "__main__":
    unittest.main()
