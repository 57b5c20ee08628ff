"""A server that follows another: the same content, over restarts of both, and nothing else that it takes."""

import os
import shutil
import struct
import threading
import unittest
import urllib.request

import content
from lib import binary, streams
from lib.connection import Connection
from lib.server import Server, poll
from pair import FollowTest, is_ready, post, vbucket_of

SUBDOC_UPSERT, DELETE = 0xC8, 0x04
NOT_SUPPORTED = 0x83
REFUSED = b"SERVER_ERROR this server follows another\r\n"


def with_opaque(frame, opaque):
    """The streams' module uses the vbucket as opaque; a server that follows chooses its own."""
    vbucket = struct.unpack(">H", frame[6:8])[0]
    return frame[:12] + struct.pack(">I", opaque.get(vbucket, 0)) + frame[16:] if frame[1] != 0xFF else frame


class ContentTest(FollowTest):
    def change_everything(self, source):
        self.assertEqual(post(source, "/pools/default/buckets/default/scopes", "name=shop"), 200)
        self.assertEqual(post(source, "/pools/default/buckets/default/scopes/shop/collections", "name=orders"), 200)
        self.assertEqual(
            post(source, "/pools/default/buckets/default/scopes/shop/collections", "name=brief&maxTTL=3600"), 200
        )
        with Connection(source.endpoint) as client:
            for number in range(50):
                client.ask(b"set d%d 7 0 3\r\nabc\r\n" % number)
                client.ask(b"set t%d 0 5000 20\r\n%s\r\n" % (number, b"x" * 20))
                client.ask(b"append d%d 0 0 1\r\nd\r\n" % number)
                client.ask(b"set n%d 0 0 1\r\n5\r\n" % number)
                client.ask(b"incr n%d 7\r\n" % number)
                if number % 3 == 0:
                    client.ask(b"delete d%d\r\n" % number)
                if number % 5 == 0:
                    client.ask(b"touch t%d 9000\r\n" % number)
            client.ask(b"set gone 0 -1 1\r\nx\r\n")
            client.ask(b"get gone\r\n", b"END\r\n")
            client.ask(b"set large 1 0 500000\r\n" + b"L" * 500000 + b"\r\n")
            client.ask(b"set empty 1 0 0\r\n\r\n")
            client.ask(b"md d1 I T30\r\n")
        with content.Streams(source.endpoint) as client:
            for number, collection in ((1, b"\x08"), (2, b"\x09")):
                for place in range(30):
                    name = b"c%d" % (number * 100 + place)
                    client.ask(
                        0x01, key=collection + name, value=b'{"a":[1,2,%d]}' % place, vbucket=vbucket_of(name),
                        extras=struct.pack(">II", 3, 0), may_fail=True,
                    )  # fmt: skip
            for name in (b"with", b"without"):
                # A system attribute, which outlives the document, and one of a user.
                vbucket = vbucket_of(name)
                for path in (b"_sync", b"mine"):
                    self.assertEqual(self.set_attribute(client, vbucket, name, path), 0)
            client.ask(DELETE, key=b"\0without", vbucket=vbucket_of(b"without"))

    def set_attribute(self, client, vbucket, name, path):
        extras = struct.pack(">HB", len(path), 0x04 | 0x01) + b"\x01"
        return client.ask(
            SUBDOC_UPSERT, extras=extras, key=b"\0" + name, value=path + b'{"n":1}', vbucket=vbucket, may_fail=True
        ).vbucket

    def test_a_copy_has_what_its_source_had_and_what_comes(self):
        source = self.start("source")
        self.change_everything(source)
        follower = self.follow(source)
        self.assert_same(source, follower)
        poll(lambda: is_ready(follower), "the follower to be ready")
        self.fill(source, 0, 500)
        self.change_everything_again(source)
        self.assert_same(source, follower)
        stats = self.stats(follower)
        self.assertEqual(stats["follow_state"], "streaming")
        self.assertEqual(stats["follow_trouble"], "")
        self.assertEqual(stats["follow_cleared_vbuckets"], "0")
        with Connection(follower.endpoint) as client:
            self.assertEqual(client.ask(b"get key7\r\n", b"END\r\n").split(b"\r\n")[1], b"7" * 100)
            self.assertEqual(client.ask(b"get d3\r\n", b"END\r\n"), b"END\r\n")
        self.assert_same_after_restart(source)

    def change_everything_again(self, source):
        call = urllib.request.Request(
            f"http://127.0.0.1:{source.http}/pools/default/buckets/default/scopes/shop/collections/orders",
            method="DELETE",
        )
        with urllib.request.urlopen(call, timeout=20) as answer:
            self.assertEqual(answer.status, 200)
        with Connection(source.endpoint) as client:
            for number in range(0, 50, 7):
                client.ask(b"delete t%d\r\n" % number)

    def assert_same_after_restart(self, source):
        self.stop("follower")
        follower = self.follow(source)
        self.assert_same(source, follower)
        self.assertEqual(self.stats(follower)["follow_full_copies"], "0")

    def test_a_flush_of_the_source_comes_too(self):
        source, follower = self.pair()
        self.fill(source, 0, 200)
        self.assert_same(source, follower)
        with Connection(source.endpoint) as client:
            self.assertEqual(client.ask(b"flush_all\r\n"), b"OK\r\n")
            client.ask(b"set after 0 0 1\r\n1\r\n")
        self.assert_same(source, follower)
        with Connection(follower.endpoint) as client:
            self.assertEqual(client.ask(b"get key3\r\n", b"END\r\n"), b"END\r\n")
            self.assertIn(b"VALUE after", client.ask(b"get after\r\n", b"END\r\n"))

    def test_what_does_not_fit_into_memory_comes_all_the_same(self):
        source = self.start("source", memory="96M", max_item_size="2M")
        follower = self.follow(source, memory="32M", max_item_size="2M")
        self.fill(source, 0, 600, size=100_000)
        self.assert_same(source, follower)

    def test_a_chain_of_followers(self):
        source, follower = self.pair()
        last = self.follow(follower, "last")
        self.fill(source, 0, 300)
        self.assert_same(source, follower)
        self.assert_same(follower, last)


class PassedOnTest(FollowTest):
    """What a server that follows another tells those that follow it, where its source says little."""

    VBUCKET = 3

    def begin(self, high_seqno):
        """A source of the test's, one that follows it, and the source's end of their connection."""
        seqnos = [0] * content.VBUCKETS
        seqnos[self.VBUCKET] = high_seqno
        producer = streams.Producer(self, seqnos=seqnos)
        follower = self.start("follower", follow=producer.address, follow_buckets="default")
        connection = producer.accept()
        requests = connection.stream_requests(content.VBUCKETS)
        for request in requests.values():
            connection.accept_stream(request)
        self.opaque = {self.VBUCKET: requests[self.VBUCKET].opaque}
        threading.Thread(target=connection.serve_to_end, daemon=True).start()
        return follower, connection

    def send(self, connection, *frames):
        connection.send(*(with_opaque(frame, self.opaque) for frame in frames))

    def test_a_seqno_without_a_change(self):
        follower, connection = self.begin(5)
        last = self.follow(follower, "last")
        poll(lambda: self.stats(last)["follow_streams"] == str(content.VBUCKETS), "the streams of the last one")
        advanced = streams.frame(streams.SEQNO_ADVANCED, struct.pack(">Q", 5), vbucket=self.VBUCKET)
        self.send(connection, streams.marker(self.VBUCKET, 1, 5), advanced)
        poll(lambda: content.seqnos(last.endpoint)[self.VBUCKET] == 5, "the seqno at the end of the chain")

    def test_a_snapshot_that_has_come_in_part(self):
        follower, connection = self.begin(9)
        name = next(b"k%d" % number for number in range(100000) if vbucket_of(b"k%d" % number) == self.VBUCKET)
        self.send(connection, streams.marker(self.VBUCKET, 1, 9), streams.mutation(self.VBUCKET, 4, name, b"v"))
        poll(lambda: content.seqnos(follower.endpoint)[self.VBUCKET] == 4, "the change")
        with content.Streams(follower.endpoint) as client:
            self.assertEqual(client.first_marker(self.VBUCKET), (0, 9))


class RefusalTest(FollowTest):
    def test_changes_are_refused_in_every_protocol(self):
        source, follower = self.pair()
        self.fill(source, 0, 10)
        self.assert_same(source, follower)
        with Connection(follower.endpoint) as client:
            for request in (
                b"set k 0 0 3\r\nabc\r\n", b"cas key1 0 0 3 5\r\nabc\r\n", b"delete key1\r\n", b"incr key1 1\r\n",
                b"touch key1 5\r\n", b"gat 5 key1\r\n", b"flush_all\r\n", b"ms k 3\r\nabc\r\n", b"md key1\r\n",
                b"ma key1\r\n", b"mg key1 T5\r\n", b"mg new N5\r\n",
            ):  # fmt: skip
                self.assertEqual(client.ask(request), REFUSED, request)
            self.assertEqual(client.ask(b"set k 0 0 3 noreply\r\nabc\r\nmn\r\n"), b"MN\r\n")
            self.assertIn(b"VALUE key1", client.ask(b"get key1\r\n", b"END\r\n"))
        with Connection(follower.endpoint) as client:
            replies = binary.ask(client, binary.store("set", b"k", b"v"), binary.request("delete", b"key1"))
            self.assertEqual([reply.status for reply in replies], [NOT_SUPPORTED] * 2)
        with content.Streams(follower.endpoint) as client:
            extras = struct.pack(">II", 0, 0)
            reply = client.ask(0x01, key=b"\0k", value=b"v", extras=extras, vbucket=vbucket_of(b"k"), may_fail=True)
            self.assertEqual(reply.vbucket, NOT_SUPPORTED)
            self.assertIn(b"follows another", reply.value)
        self.assertEqual(post(follower, "/pools/default/buckets/default/scopes", "name=shop"), 409)
        self.assert_same(source, follower)


class RestartTest(FollowTest):
    def test_a_start_alone_that_changes_nothing(self):
        source, follower = self.pair()
        self.fill(source, 0, 1000)
        self.assert_same(source, follower)
        self.stop("follower")
        self.start("follower")
        self.stop("follower")
        self.fill(source, 1000, 50)
        follower = self.follow(source)
        self.assert_same(source, follower)
        stats = self.stats(follower)
        self.assertEqual(stats["follow_cleared_vbuckets"], "0", stats)
        self.assertEqual(stats["follow_mutations"], "50", stats)

    def test_the_follower_goes_on_where_it_was(self):
        source, follower = self.pair()
        self.fill(source, 0, 1000)
        self.assert_same(source, follower)
        self.stop("follower")
        self.fill(source, 1000, 10)
        follower = self.follow(source)
        self.assert_same(source, follower)
        stats = self.stats(follower)
        self.assertEqual(stats["follow_full_copies"], "0", stats)
        self.assertEqual(stats["follow_rollbacks"], "0", stats)
        self.assertLessEqual(int(stats["follow_mutations"]), 10, stats)

    def test_a_restart_of_the_source_costs_nothing(self):
        source, follower = self.pair()
        self.fill(source, 0, 1000)
        self.assert_same(source, follower)
        before = self.stats(follower)
        self.stop("source")
        source = self.restart_source()
        self.fill(source, 1000, 10)
        self.assert_same(source, follower)
        after = self.stats(follower)
        self.assertEqual(after["follow_full_copies"], before["follow_full_copies"], after)
        self.assertEqual(int(after["follow_mutations"]) - int(before["follow_mutations"]), 10, after)

    def test_a_source_that_lost_its_last_writes(self):
        source = self.start("source", flush_linger="60s", durability="memory")
        self.source_port = source.tcp[1]
        follower = self.follow(source)
        self.fill(source, 0, 500)
        # To look closer would bring it to disk.
        content.wait_until_same_seqnos(source.endpoint, follower.endpoint)
        self.kill("source")
        source = self.restart_source()
        self.fill(source, 5000, 50)
        self.assert_same(source, follower)
        self.assertGreater(int(self.stats(follower)["follow_cleared_vbuckets"]), 0)

    def test_a_follower_that_was_killed(self):
        source, follower = self.pair()
        self.fill(source, 0, 500)
        self.assert_same(source, follower)
        self.kill("follower")
        self.fill(source, 500, 500)
        follower = self.follow(source)
        self.assert_same(source, follower)

    def test_started_without_the_option_it_takes_changes(self):
        source, follower = self.pair()
        self.fill(source, 0, 300)
        self.assert_same(source, follower)
        before = content.content(source.endpoint)
        self.stop("follower")
        self.stop("source")
        promoted = self.start("follower")
        self.assertEqual(content.differences(before, content.content(promoted.endpoint)), [])
        self.fill(promoted, 300, 100)
        with content.Streams(promoted.endpoint) as client:
            self.assertGreater(len(client.history(0)), 1, "a branch of its own")
        # The old source may come back as a copy of the new one.
        returned = self.follow(promoted, "source")
        self.assert_same(promoted, returned)
        self.assertEqual(self.stats(returned)["follow_full_copies"], "0")


class ReadyTest(FollowTest):
    def alone(self):
        """The follower started again, while its source is away."""
        self.stop("source")
        return self.start("follower", follow=f"127.0.0.1:{self.source_port}")

    def test_nothing_was_copied_before_a_restart(self):
        source = self.start("source")
        self.source_port = source.tcp[1]
        self.stop("source")
        for _ in range(2):
            follower = self.start("follower", follow=f"127.0.0.1:{self.source_port}")
            self.assertFalse(is_ready(follower))
            self.stop("follower")

    def test_a_whole_copy_is_ready_without_its_source(self):
        for count in (0, 50):
            source, follower = self.pair() if count == 0 else (self.restart_source(), self.servers["follower"])
            self.fill(source, 0, count)
            self.assert_same(source, follower)
            poll(lambda: os.path.exists(os.path.join(self.folder, "follower", "copied")), "the mark")
            self.stop("follower")
            self.assertTrue(is_ready(self.alone()), count)


class TroubleTest(FollowTest):
    def test_a_source_without_disk(self):
        cache = Server(listen="127.0.0.1")
        self.servers["cache"] = cache
        self.assertIn("is a cache", self.trouble(self.follow(cache)))

    def test_nobody_listens(self):
        source = self.start("source")
        self.source_port = source.tcp[1]
        self.stop("source")
        follower = self.start("follower", follow=f"127.0.0.1:{self.source_port}")
        self.assertIn("refused", self.trouble(follower))
        self.assertFalse(is_ready(follower))
        source = self.restart_source()
        self.fill(source, 0, 10)
        self.assert_same(source, follower)
        self.assertEqual(self.stats(follower)["follow_trouble"], "")

    def test_another_number_of_vbuckets(self):
        producer = streams.Producer(self, seqnos=(0, 0))
        follower = self.start("follower", follow=producer.address, follow_buckets="default")
        producer.accept().serve_to_end()
        self.assertIn("2 vbuckets, and this server 1024", self.trouble(follower))

    def test_documents_that_the_source_never_had(self):
        own = self.start("own")
        self.fill(own, 0, 100)
        before = content.content(own.endpoint)
        self.stop("own")
        source = self.start("source")
        self.fill(source, 200, 2000)
        follower = self.follow(source, "own")
        self.assertIn("would lose them", self.trouble(follower))
        self.stop("own")
        own = self.start("own")
        self.assertEqual(content.differences(before, content.content(own.endpoint)), [])

    def test_a_source_that_breaks_the_rules(self):
        seqnos = [5] * content.VBUCKETS
        name = next(b"k%d" % number for number in range(100000) if vbucket_of(b"k%d" % number) == 3)
        good = streams.mutation(3, 1, name, b"v")
        for what, frames in (
            ("not open", [streams.marker(4000, 1, 5)]),
            ("out of order", [streams.marker(3, 1, 5), good, streams.mutation(3, 1, name, b"w")]),
            ("out of order", [streams.marker(3, 1, 5), streams.mutation(3, 6, name, b"w")]),
            ("ends before", [streams.marker(3, 5, 1)]),
            ("nothing that can be", [streams.marker(3, 1, 5), streams.mutation(3, 1, b"other", b"w")]),
            ("nothing that can be", [streams.marker(3, 1, 5), streams.mutation(3, 1, name, b"w", datatype=2)]),
            ("nothing that can be", [streams.marker(3, 1, 5), streams.mutation(3, 1, name, b"\0\0\1\0w", datatype=4)]),
            ("not told of", [streams.marker(3, 1, 5), streams.mutation(3, 1, name, b"w", collection=77)]),
            ("cannot be read", [streams.frame(streams.MUTATION, b"short", b"\0k", b"v", vbucket=3)]),
            ("no message", [b"\x80" + b"\xff" * 23]),
        ):
            with self.subTest(what):
                producer = streams.Producer(self, seqnos=seqnos)
                follower = self.start("hostile", follow=producer.address, follow_buckets="default")
                connection = producer.accept()
                requests = connection.stream_requests(content.VBUCKETS)
                for request in requests.values():
                    connection.accept_stream(request)
                opaque = {request.vbucket: request.opaque for request in requests.values()}
                connection.send(*(with_opaque(frame, opaque) for frame in frames))
                self.assertIn(what, self.trouble(follower))
                self.stop("hostile")
                shutil.rmtree(os.path.join(self.folder, "hostile"))

    def test_a_wrong_password(self):
        source = self.start("source")
        self.put_user(source, "boss", "admin")
        self.put_user(source, "ann", "data_dcp_reader[default]")
        secret = os.path.join(self.folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("wrongone\n")
        login = dict(follow_user="ann", follow_password_file=secret)
        follower = self.follow(source, **login)
        self.assertIn("wrong user or password", self.trouble(follower))
        self.stop("follower")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("rightone\n")
        follower = self.follow(source, **login)
        poll(lambda: self.stats(follower)["follow_state"] == "streaming", "the login")


if __name__ == "__main__":
    unittest.main()
