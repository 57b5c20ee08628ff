"""How requests arrive must not matter: byte by byte, in one write, a million at once, or cut off in the middle."""

import threading
import unittest

from hostile import Hostile

from lib import binary
from lib.connection import Connection
from lib.server import KIND, SANITIZED, Server, poll

PIPELINE = 1_000_000  # fewer fit into the kernel's buffers
CHURN = 200 if SANITIZED else 2_000
ANNOUNCED = 500 if SANITIZED else 10_000

TEXT = b"".join(
    [
        b"set a 1 0 5\r\nhello\r\n", b"get a\r\n", b"get a b c\r\n", b"add a 0 0 1\r\nx\r\n",
        b"append a 0 0 2\r\n\r\n\r\n", b"get a\r\n", b"set n 0 0 1\r\n9\r\n", b"incr n 1\r\n", b"decr n 100\r\n",
        b"touch a 100\r\n", b"nonsense\r\n",
        b"set a 0 0 x\r\n", b"set bad 0 0 2\r\nlonger\r\n", b"delete a noreply\r\n", b"get a\r\n", b"mn\r\n",
        b"ms m 2 c0 F5\r\n", b"ms m 4 T100 F5\r\nmeta\r\n", b"mg m v f s k Oabc\r\n", b"ma c N0 J5 v\r\n",
        b"md m q\r\n",
        b"mg m v q\r\n", b"mg bTE= b k\r\n", b"me absent\r\n",
        b"set big 0 0 5000\r\n" + b"B" * 5000 + b"\r\n",
        b"get big\r\n", b"get " + b"k" * 251 + b"\r\n", b"\r\n", b"flush_all\r\n", b"get big\r\n", b"mn\r\n",
    ]
)  # fmt: skip
BINARY = b"".join(
    [
        binary.store("set", b"a", b"hello", 1, opaque=1), binary.request("get", b"a", opaque=2),
        binary.request("getkq", b"absent", opaque=3), binary.request("getkq", b"a", opaque=4),
        binary.store("addq", b"a", b"x", opaque=5), binary.count("increment", b"n", 1, 7, opaque=6),
        binary.request("append", b"a", b"more", opaque=7), binary.request(0x70, opaque=8),
        binary.store("set", b"big", b"B" * 5000, opaque=9), binary.request("getk", b"big", opaque=10),
        binary.request("touch", b"a", b"", b"\0\0\0\x64", opaque=11), binary.request("deleteq", b"a", opaque=12),
        binary.request("get", b"a", opaque=13), binary.request("flush", opaque=14), binary.request("noop", opaque=15),
    ]
)  # fmt: skip


def without_cas(data):
    found, rest = binary.responses(data)
    return [frame._replace(cas=0) for frame in found], rest


class Delivery(Hostile):
    def byte_by_byte(self, data):
        connection = self.connect()
        received = []
        reader = threading.Thread(target=lambda: received.append(connection.read_to_end()))
        reader.start()
        for at in range(len(data)):
            connection.send(data[at : at + 1])
        connection.finish()
        reader.join()
        return received[0]

    def test_text_and_meta_byte_by_byte(self):
        whole = self.exchange(TEXT)
        self.assertTrue(whole.endswith(b"MN\r\n"))
        self.assertEqual(self.byte_by_byte(TEXT), whole)

    def test_binary_byte_by_byte(self):
        whole = without_cas(self.exchange(BINARY))
        self.assertEqual(whole[0][-1].opaque, 15)
        self.assertEqual(without_cas(self.byte_by_byte(BINARY)), whole)

    def test_text_in_two_parts_cut_at_every_byte(self):
        whole = self.exchange(TEXT)
        for at in range(1, 600):
            connection = self.connect()
            connection.send(TEXT[:at])
            connection.send(TEXT[at:])
            connection.finish()
            self.assertEqual(connection.read_to_end(), whole, at)
            connection.close()

    def unread_pipeline(self, request, reply_size, count_replies):
        """Sends a million requests and reads nothing until the server takes no more; then reads everything."""
        self.exchange(b"set key 0 0 100\r\n" + b"v" * 100 + b"\r\n")
        connection = self.connect(receive_buffer=65536)
        replies = []

        def send():
            data = request * PIPELINE
            sent = connection.send_until_blocked(data)
            self.assertLess(sent, len(data), "the server took everything although nobody read")
            self.bystander_is_served()
            rest = threading.Thread(target=lambda: (connection.send(data[sent:]), connection.finish()))
            rest.start()
            total = 0
            while data_read := connection.read(reply_size * 1000):
                total += count_replies(data_read)
            rest.join()
            replies.append(total)

        self.grows_at_most(16, send)
        self.assertEqual(replies, [PIPELINE])

    def test_a_million_text_requests_whose_replies_nobody_reads(self):
        reply = b"VALUE key 0 100\r\n" + b"v" * 100 + b"\r\nEND\r\n"
        self.unread_pipeline(b"get key\r\n", len(reply), lambda data: data.count(b"END\r\n"))

    def test_a_million_binary_requests_whose_replies_nobody_reads(self):
        size = 24 + 4 + 100
        self.unread_pipeline(binary.request("get", b"key"), size, lambda data: len(data) // size)

    def test_replies_of_large_values_nobody_reads(self):
        self.exchange(b"set large 0 0 1000000\r\n" + b"v" * 1_000_000 + b"\r\n")
        connection = self.connect(receive_buffer=65536)

        def send():
            connection.send_until_blocked(b"get large\r\n" * 1000)
            self.bystander_is_served()

        self.grows_at_most(16, send)

    def test_statistics_nobody_reads(self):
        frame = binary.request("stat")
        for request in (b"stats\r\n", b"stats settings\r\nstats conns\r\n", frame, frame + binary.request("stat", b"settings")):
            connection = self.connect(receive_buffer=65536)

            def send():
                data = request * (PIPELINE * 16 // len(request))
                self.assertLess(connection.send_until_blocked(data, quiet_s=0.5), len(data))
                self.bystander_is_served()

            self.grows_at_most(16, send)


class Disruption(Hostile):
    def test_a_reset_in_the_middle_of_a_large_get(self):
        value = b"v" * 1_000_000
        self.exchange(b"set large 0 0 1000000\r\n" + value + b"\r\n")
        before = int(self.bystander.stats()["curr_connections"])
        for _ in range(50):
            connection = Connection(self.server.endpoint)
            connection.send(b"get large\r\n" * 4)
            connection.read(5000)
            connection.reset()
        poll(lambda: int(self.bystander.stats()["curr_connections"]) <= before, "the connections to be gone")
        data = self.exchange(b"get large\r\n")
        self.assertEqual(data, b"VALUE large 0 1000000\r\n" + value + b"\r\nEND\r\n")

    def test_a_reset_in_the_middle_of_a_large_set(self):
        before = int(self.bystander.stats()["curr_connections"])
        for _ in range(50):
            connection = Connection(self.server.endpoint)
            connection.send(b"set partial 0 0 1000000\r\n" + b"v" * 300_000)
            connection.reset()
        poll(lambda: int(self.bystander.stats()["curr_connections"]) <= before, "the connections to be gone")
        self.assertEqual(self.exchange(b"get partial\r\n"), b"END\r\n")

    def test_connection_churn(self):
        before = self.bystander.stats()
        for number in range(CHURN):
            connection = Connection(self.server.endpoint)
            if number % 3 == 0:
                self.assertEqual(connection.ask(b"mn\r\n"), b"MN\r\n")
            if number % 3 == 1:
                connection.reset()
            connection.close()
        current = int(before["curr_connections"])
        poll(lambda: int(self.bystander.stats()["curr_connections"]) <= current, "the connections to be gone")
        total = int(self.bystander.stats()["total_connections"]) - int(before["total_connections"])
        self.assertLessEqual(total, CHURN)
        self.assertGreaterEqual(total, CHURN * 2 // 3)


class AnnouncedData(unittest.TestCase):
    @unittest.skipIf(KIND == "memcached", "memcached sets the whole item aside at once, and runs out of memory")
    def test_ten_thousand_announced_values_that_are_never_sent(self):
        with Server(memory="64M", max_connections=ANNOUNCED + 100) as server:
            connections = []
            with Connection(server.endpoint) as bystander:
                for number in range(ANNOUNCED):
                    connections.append(Connection(server.endpoint))
                    connections[-1].send(b"set key-%d 0 0 1000000\r\n" % number)
                self.assertEqual(bystander.ask(b"set small 0 0 2\r\nok\r\n"), b"STORED\r\n")
                # Every connection has been read from when the last one was: one loop serves them in turn.
                poll(lambda: int(bystander.stats()["curr_connections"]) > ANNOUNCED, "the connections")
                if not SANITIZED:
                    # The item memory, plus a few KiB for each connection.
                    self.assertLess(server.memory_kib("VmHWM"), (64 + 32 + ANNOUNCED * 8 // 1024) * 1024)
                for connection in connections:
                    connection.close()
                poll(lambda: int(bystander.stats()["curr_connections"]) < 20, "the connections to be gone")
                self.assertEqual(bystander.ask(b"set small 0 0 2\r\nok\r\n"), b"STORED\r\n")


class Shutdown(unittest.TestCase):
    def test_sigterm_answers_what_has_arrived(self):
        count = 2000
        for number in range(10):
            server = Server(threads=1 + number % 2)
            connections = [Connection(server.endpoint) for _ in range(8)]
            for connection in connections:
                self.assertEqual(connection.ask(b"mn\r\n"), b"MN\r\n")
                connection.send(b"get absent\r\n" * count)
            for connection in connections:
                connection.wait_until_arrived()
            server.terminate()
            replies = [connection.read_to_end() for connection in connections]
            server.wait_for_exit()
            for connection in connections:
                connection.close()
            if KIND == "bobbin":
                self.assertEqual([len(reply) for reply in replies], [count * len(b"END\r\n")] * 8)

    def test_sigterm_with_a_reader_that_does_not_read_ends_all_the_same(self):
        server = Server()
        with Connection(server.endpoint, receive_buffer=4096) as connection:
            connection.ask(b"set large 0 0 1000000\r\n" + b"v" * 1_000_000 + b"\r\n")
            connection.send_until_blocked(b"get large\r\n" * 100)
            server.terminate()
            server.wait_for_exit()

    @unittest.skipIf(KIND == "memcached", "memcached does not drain")
    def test_sigterm_with_peers_that_keep_sending(self):
        server = Server(threads=2)
        stop = threading.Event()

        def keep_asking(connection):
            try:
                while not stop.is_set() and connection.ask(b"get absent\r\n" * 50, b"END\r\n"):
                    pass
            except OSError:
                pass

        connections = [Connection(server.endpoint) for _ in range(4)]
        askers = [threading.Thread(target=keep_asking, args=[connection]) for connection in connections]
        for asker in askers:
            asker.start()
        server.terminate()
        try:
            server.wait_for_exit()
        finally:
            stop.set()
            for asker, connection in zip(askers, connections):
                asker.join()
                connection.close()

    def test_sigterm_with_idle_connections_and_half_a_request(self):
        server = Server(threads=2)
        idle = [Connection(server.endpoint) for _ in range(20)]
        for number, connection in enumerate(idle):
            connection.send((b"", b"get ke", b"set key 0 0 100\r\nabc", b"\x80\x00")[number % 4])
        server.terminate()
        server.wait_for_exit()
        for connection in idle:
            connection.close()


if __name__ == "__main__":
    unittest.main()
