"""bobbin watch, against a server of change streams that does what the test says."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest

import program
from lib import streams
from lib.server import BINARY, PATIENCE_S, poll
from lib.streams import Producer, deletion, frame, marker, mutation, stream_end


class Watching:
    """A running `bobbin watch`, ended with the test."""

    def __init__(self, test, producer, *words):
        self.process = subprocess.Popen(
            [BINARY, "watch", "--server", producer.address, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program.environment(),
        )
        # A read that would wait for ever ends when the process does.
        self.guard = threading.Timer(PATIENCE_S, self.process.kill)
        self.guard.start()
        test.addCleanup(self.finish)

    def finish(self):
        self.guard.cancel()
        self.process.kill()
        if not self.process.stdout.closed:
            self.process.communicate()

    def line(self):
        return self.process.stdout.readline().decode().rstrip("\n")

    def event(self):
        line = self.line()
        return json.loads(line) if line else None

    def end(self):
        """Waits for it; (exit code, the rest of the output, standard error)."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), err.decode()


class WatchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self.addCleanup(folder.cleanup)
        self.position = os.path.join(folder.name, "position")

    def saved(self):
        """vbucket -> [uuid, seqno, start, end]; empty before there is a file."""
        try:
            with open(self.position, encoding="utf-8") as file:
                return json.load(file)["vbuckets"]
        except FileNotFoundError:
            return {}

    def wait_saved(self, vbucket, position):
        poll(lambda: self.saved().get(vbucket) == position, f"{position} of vbucket {vbucket} to be saved")

    def test_from_now_shows_what_changes(self):
        producer = Producer(self, seqnos=(7, 0))
        watch = Watching(self, producer, "--json")
        connection = producer.accept()
        requests = connection.open_streams(2)
        self.assertEqual(requests[0][3:], (7, 2**64 - 1, 0xFEED, 7, 7, b""))
        self.assertEqual(requests[1][3:], (0, 2**64 - 1, 0, 0, 0, b""))
        connection.send(
            marker(0, 8, 10),
            mutation(0, 8, b"key", b"value", flags=3, expiry=9),
            mutation(0, 9, b"doc", b'{"a":\n1}', datatype=1, collection=9),
            deletion(0, 10, b"key"),
            marker(1, 1, 1),
            deletion(1, 1, b"old", opcode=streams.EXPIRATION),
        )
        first = watch.event()
        self.assertEqual(
            first,
            {
                "event": "set", "time": "2025-11-27T15:00:00.123Z", "scope": "_default", "collection": "_default",
                "key": "key", "vbucket": 0, "seqno": 8, "revision": 1, "cas": str(streams.CAS), "flags": 3,
                "expiry": 9, "value": "value",
            },
        )  # fmt: skip
        second = watch.event()
        self.assertEqual((second["scope"], second["collection"], second["value"]), ("shop", "orders", {"a": 1}))
        self.assertEqual([watch.event()["event"] for _ in range(2)], ["delete", "expire"])

    def test_an_interrupt_ends_it(self):
        producer = Producer(self)
        watch = Watching(self, producer)
        connection = producer.accept()
        connection.open_streams(2)
        connection.send(marker(0, 1, 1), mutation(0, 1, b"key", b"value"))
        self.assertEqual(watch.line(), "2025-11-27T15:00:00.123Z  set    key  value")
        watch.process.send_signal(signal.SIGINT)
        self.assertEqual(watch.end(), (0, "", ""))

    def test_filters_are_the_servers_but_for_the_prefix(self):
        for words, wanted in (
            (["shop.orders"], {"collections": ["9"]}),
            (["shop"], {"scope": "8"}),
        ):
            with self.subTest(words=words):
                producer = Producer(self)
                watch = Watching(self, producer, "--prefix", "user:", "--keys-only", *words)
                connection = producer.accept()
                requests = connection.open_streams(2)
                self.assertEqual(json.loads(requests[0].filter), wanted)
                self.assertEqual(connection.open_flags, 1 | 8)
                connection.send(marker(0, 1, 2), mutation(0, 1, b"other", b""), mutation(0, 2, b"user:1", b""))
                self.assertIn("user:1", watch.line())
                watch.finish()

    def test_a_limit_ends_it(self):
        producer = Producer(self)
        watch = Watching(self, producer, "--limit", "2", "--json")
        connection = producer.accept()
        connection.open_streams(2)
        connection.send(marker(0, 1, 3), *(mutation(0, n, b"key%d" % n, b"v") for n in (1, 2, 3)))
        code, out, _ = watch.end()
        self.assertEqual(code, 0)
        self.assertEqual([json.loads(line)["seqno"] for line in out.splitlines()], [1, 2])

    def test_until_now_ends_with_what_was_there(self):
        producer = Producer(self, seqnos=(2, 0, 1))
        watch = Watching(self, producer, "--from-start", "--until-now", "--json")
        connection = producer.accept()
        requests = connection.open_streams(2)
        self.assertEqual(sorted(requests), [0, 2])  # nothing of the one in between
        self.assertEqual([requests[0].end, requests[2].end], [2, 1])
        connection.send(marker(0, 0, 2, 2), mutation(0, 2, b"a", b"v"), stream_end(0))
        connection.send(marker(2, 0, 1, 2), mutation(2, 1, b"b", b"v"), stream_end(2))
        code, out, _ = watch.end()
        self.assertEqual(code, 0)
        self.assertEqual([json.loads(line)["key"] for line in out.splitlines()], ["a", "b"])

    def test_until_now_of_an_empty_bucket_ends_at_once(self):
        producer = Producer(self)
        watch = Watching(self, producer, "--until-now", "--from-start")
        producer.accept().serve_to_end()
        self.assertEqual(watch.end(), (0, "", ""))

    def test_a_position_survives_being_killed(self):
        producer = Producer(self, seqnos=(0,))
        words = ("--position", self.position, "--json", "--from-start")
        watch = Watching(self, producer, *words)
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 1, 10), *(mutation(0, n, b"key%d" % n, b"v") for n in (1, 2, 3)))
        self.assertEqual([watch.event()["seqno"] for _ in range(3)], [1, 2, 3])
        self.wait_saved("0", ["feed", 3, 1, 10])
        watch.process.kill()
        connection.close()
        # From there, though from now on was asked for.
        watch = Watching(self, producer, "--position", self.position, "--json")
        connection = producer.accept()
        request = connection.open_streams(1)[0]
        self.assertEqual(request[3:], (3, 2**64 - 1, 0xFEED, 1, 10, b""))
        connection.send(marker(0, 4, 10), mutation(0, 10, b"key10", b"v"))
        self.assertEqual(watch.event()["seqno"], 10)
        self.wait_saved("0", ["feed", 10, 10, 10])

    def test_a_position_of_another_watch_is_refused(self):
        producer = Producer(self, seqnos=(5,))
        watch = Watching(self, producer, "--position", self.position)
        producer.accept().open_streams(1)
        self.wait_saved("0", ["feed", 5, 5, 5])
        watch.finish()
        code, _, err = program.run("watch", "shop", "--position", self.position, "--server", producer.address)
        self.assertEqual(code, 3)
        self.assertIn(b"position of another watch", err)

    def test_a_broken_connection_is_made_again(self):
        producer = Producer(self, seqnos=(0,))
        watch = Watching(self, producer, "--json")
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 1, 2), mutation(0, 1, b"key", b"v"))
        self.assertEqual(watch.event()["seqno"], 1)
        producer.seqnos = [100]  # where it is now does not matter any more
        connection.close()
        connection = producer.accept()
        request = connection.open_streams(1)[0]
        self.assertEqual((request.start, request.snapshot_start, request.snapshot_end), (1, 1, 2))
        connection.send(marker(0, 2, 2), mutation(0, 2, b"key", b"v"))
        self.assertEqual(watch.event()["seqno"], 2)

    def test_a_stream_that_ends_for_a_while_is_asked_for_again(self):
        producer = Producer(self, seqnos=(0,))
        watch = Watching(self, producer, "--json")
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 1, 1), mutation(0, 1, b"key", b"v"), stream_end(0, 4))
        self.assertEqual(watch.event()["seqno"], 1)
        self.assertEqual(connection.stream_requests(1)[0].start, 1)

    def test_a_dropped_collection_ends_it(self):
        producer = Producer(self, seqnos=(0,))
        watch = Watching(self, producer, "shop.orders")
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(stream_end(0, 7))
        code, out, err = watch.end()
        self.assertEqual((code, out), (0, ""))
        self.assertIn("dropped", err)

    def test_a_rollback_is_told_and_followed(self):
        producer = Producer(self, seqnos=(9,))
        watch = Watching(self, producer, "--json")
        connection = producer.accept()
        request = connection.stream_requests(1)[0]
        connection.roll_back(request, 5)
        self.assertEqual(watch.event(), {"event": "rollback", "vbucket": 0, "seqno": 5})
        request = connection.stream_requests(1)[0]
        self.assertEqual(request[3:], (5, 2**64 - 1, 0xFEED, 5, 5, b""))
        connection.roll_back(request, 5)  # not before where it is: then it has nothing
        self.assertEqual(watch.event()["seqno"], 0)
        request = connection.stream_requests(1)[0]
        self.assertEqual(request[3:], (0, 2**64 - 1, 0, 0, 0, b""))

    def test_a_refused_stream_ends_it(self):
        producer = Producer(self, seqnos=(0,))
        watch = Watching(self, producer)
        connection = producer.accept()
        connection.refuse_stream(connection.stream_requests(1)[0], 0x24)
        code, _, err = watch.end()
        self.assertEqual(code, 3)
        self.assertIn("no access", err)

    def test_who_stops_reading_ends_it_and_the_position_stays_behind(self):
        producer = Producer(self, seqnos=(0,))
        watch = Watching(self, producer, "--position", self.position, "--json")
        connection = producer.accept()
        connection.open_streams(1)
        connection.send(marker(0, 1, 5), mutation(0, 1, b"key", b"v"))
        self.assertEqual(watch.event()["seqno"], 1)
        self.wait_saved("0", ["feed", 1, 1, 5])
        watch.process.stdout.close()
        connection.send(mutation(0, 2, b"key", b"v"))
        self.assertEqual(watch.process.wait(PATIENCE_S), 0)
        self.assertEqual(self.saved()["0"], ["feed", 1, 1, 5])

    def test_what_was_dealt_with_is_acknowledged_and_noops_are_answered(self):
        producer = Producer(self, seqnos=(0,))
        watch = Watching(self, producer, "--limit", "41")
        connection = producer.accept()
        connection.open_streams(1)
        self.assertEqual(connection.controls["enable_noop"], "true")
        buffer = int(connection.controls["connection_buffer_size"])
        value = b"v" * (buffer // 100)
        sent = [marker(0, 1, 40)] + [mutation(0, n, b"key", value) for n in range(1, 41)]
        connection.send(*sent, frame(streams.NOOP))
        while not connection.noops:
            connection.step()
        self.assertGreaterEqual(connection.acknowledged, buffer // 5)
        self.assertLessEqual(connection.acknowledged, sum(map(len, sent)))
        connection.send(mutation(0, 41, b"key", b"v"))
        self.assertEqual(watch.end()[0], 0)

    def test_frames_that_lie_end_the_connection(self):
        for lie in (
            frame(streams.MUTATION, b"short", b"\0key"),
            frame(streams.MARKER, b"\3", value=b"v" * 36),
            frame(streams.MUTATION, magic=0x77),
            frame(0x00, b"", b"key"),
            b"\x80\x57\xff\xff\xff" + frame(streams.MUTATION)[5:],
        ):
            with self.subTest(lie=lie):
                producer = Producer(self, seqnos=(0,))
                watch = Watching(self, producer, "--give-up", "1ms")
                connection = producer.accept()
                connection.open_streams(1)
                producer.listener.close()
                connection.send(lie)
                code, _, err = watch.end()
                self.assertEqual(code, 3)
                self.assertIn("that cannot be read", err)

    def test_wrong_flags_are_told(self):
        for words in (["--limit", "0"], ["--value-bytes", "x"], ["--give-up", "x"], ["a", "b"]):
            code, out, _ = program.run("watch", *words)
            self.assertEqual((code, out), (2, b""), words)


if __name__ == "__main__":
    unittest.main()
