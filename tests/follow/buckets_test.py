"""A server that follows another one's buckets: all of them, also those that come and go."""

import json
import struct
import unittest
import urllib.error
import urllib.parse
import urllib.request

import content
from lib import streams
from lib.server import poll
from pair import FollowTest, is_ready, post, vbucket_of

BUCKETS = "/pools/default/buckets"
SET = 0x01


def call(server, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{server.http}{path}", method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def metrics(server, name):
    """By bucket."""
    lines = (line.split(" ") for line in call(server, "/metrics").splitlines() if line.startswith(name + "{"))
    return {labels.split('"')[1]: float(number) for labels, number in lines}


class BucketsTest(FollowTest):
    def start(self, name, **options):
        options.setdefault("memory", "1G")
        return super().start(name, **options)

    def make_bucket(self, server, name, **settings):
        form = dict(name=name, ramQuotaMB=100, bucketType="membase")
        form.update(settings)
        self.assertEqual(post(server, BUCKETS, urllib.parse.urlencode(form)), 202)

    def put(self, server, bucket, first, count, size=50):
        """Changes in another bucket than the default one."""
        with content.Streams(server.endpoint, bucket) as client:
            for number in range(first, first + count):
                key = b"k%d" % number
                client.connection.send(
                    streams.frame(
                        SET, struct.pack(">II", number, 0), b"\0" + key, b"%d" % (number % 10) * size,
                        vbucket=vbucket_of(key),
                    )  # fmt: skip
                )
            for _ in range(count):
                self.assertEqual(client.frame().vbucket, 0)

    def has(self, server, bucket):
        return any(one["name"] == bucket for one in json.loads(call(server, BUCKETS)))

    def settings(self, server, bucket):
        return json.loads(call(server, f"{BUCKETS}/{bucket}"))

    def differ(self, follower, bucket):
        return self.stats(follower, bucket)["follow_settings_differ"]

    def wait_for(self, server, bucket):
        poll(lambda: self.has(server, bucket), f"bucket {bucket}")


class EveryBucketTest(BucketsTest):
    def test_all_that_are_there_and_those_that_come(self):
        source = self.start("source")
        self.make_bucket(source, "b", evictionPolicy="fullEviction", maxTTL=7000, conflictResolutionType="lww",
                         compressionMode="active", ramQuotaMB=150)  # fmt: skip
        self.assertEqual(post(source, f"{BUCKETS}/b/scopes", "name=shop"), 200)
        self.fill(source, 0, 100)
        self.put(source, "b", 0, 300)
        follower = self.follow(source)
        self.wait_for(follower, "b")
        self.assert_same(source, follower)
        self.assert_same(source, follower, "b")
        poll(lambda: is_ready(follower), "the follower to be ready")
        for path in ("evictionPolicy", "maxTTL", "conflictResolutionType", "compressionMode", "bucketType"):
            here, there = (json.loads(call(server, f"{BUCKETS}/b"))[path] for server in (follower, source))
            self.assertEqual(here, there, path)
        self.make_bucket(source, "later")
        self.put(source, "later", 0, 100)
        self.wait_for(follower, "later")
        self.assert_same(source, follower, "later")
        stats = self.stats(follower, "later")
        self.assertEqual((stats["follow_buckets"], stats["follow_buckets_streaming"]), ("3", "3"))
        self.assertEqual(stats["follow_buckets_ready"], "yes")
        self.assertEqual(stats["follow_mutations"], "100")
        self.assertEqual(metrics(follower, "bobbin_follow_connected"), {"default": 1, "b": 1, "later": 1})
        self.assertEqual(metrics(follower, "bobbin_follow_lag_seqnos"), {"default": 0, "b": 0, "later": 0})
        with content.Streams(follower.endpoint, "b") as client:
            reply = client.ask(SET, True, extras=struct.pack(">II", 0, 0), key=b"\0k", value=b"v", vbucket=vbucket_of(b"k"))
            self.assertEqual(reply.vbucket, 0x83)

    def test_memory_of_a_copy_is_the_followers_own(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        follower = self.follow(source)
        self.wait_for(follower, "b")
        self.assertEqual(post(follower, f"{BUCKETS}/b", "ramQuotaMB=200"), 200)
        for form in ("ramQuotaMB=300&maxTTL=7", "maxTTL=7", ""):
            self.assertEqual(post(follower, f"{BUCKETS}/b", form), 409, form)
        self.assertEqual((self.settings(follower, "b")["quota"]["rawRAM"], self.settings(follower, "b")["maxTTL"]), (200 << 20, 0))
        # Also when the source's changes.
        self.assertEqual(post(source, f"{BUCKETS}/b", "ramQuotaMB=150"), 200)
        poll(lambda: "150 MiB there and 200 MiB here" in self.differ(follower, "b"), "what differs")
        self.assertEqual(self.settings(follower, "b")["quota"]["rawRAM"], 200 << 20)

    def test_configurations_tell_of_collections_that_came(self):
        source = self.start("source")
        follower = self.follow(source)
        self.assert_same(source, follower)
        with urllib.request.urlopen(f"http://127.0.0.1:{follower.http}/pools/default/bs/default", timeout=60) as stream:
            self.assertIn(b'"collectionsManifestUid":"0"', self.next_configuration(stream))
            self.assertEqual(post(source, f"{BUCKETS}/default/scopes", "name=shop"), 200)
            self.assertIn(b'"collectionsManifestUid":"1"', self.next_configuration(stream))

    def next_configuration(self, stream):
        line = stream.readline()
        while line == b"\n":
            line = stream.readline()
        return line

    def test_restarts_copy_nothing_twice(self):
        source = self.start("source")
        self.source_port = source.tcp[1]
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 300)
        follower = self.follow(source)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        self.stop("follower")
        self.put(source, "b", 300, 20)
        follower = self.follow(source)
        self.assert_same(source, follower, "b")
        stats = self.stats(follower, "b")
        self.assertEqual(stats["follow_full_copies"], "0", stats)
        self.assertLessEqual(int(stats["follow_mutations"]), 20, stats)

    def test_kills_of_both_leave_all_buckets_the_same(self):
        source = self.start("source", durability="disk")
        self.source_port = source.tcp[1]
        self.make_bucket(source, "b", durabilityMinLevel="persistToMajority")
        follower = self.follow(source)
        for round_ in range(3):
            self.put(source, "b", round_ * 1000, 700)
            self.fill(source, round_ * 1000, 300)
            self.kill("follower")
            follower = self.follow(source)
            self.kill("source")
            source = self.restart_source(memory="1G", durability="disk")
            self.put(source, "b", round_ * 1000 + 700, 50)
        self.wait_for(follower, "b")
        self.assert_same(source, follower)
        self.assert_same(source, follower, "b")

    def test_started_without_the_option_all_take_changes(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 100)
        follower = self.follow(source)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        self.stop("follower")
        self.stop("source")
        promoted = self.start("follower")
        self.put(promoted, "b", 100, 50)
        with content.Streams(promoted.endpoint, "b") as client:
            self.assertGreater(len(client.history(0)), 1, "a branch of its own")
        returned = self.follow(promoted, "source")
        self.assert_same(promoted, returned, "b")
        self.assertEqual(self.stats(returned, "b")["follow_full_copies"], "0")


class SettingsTest(BucketsTest):
    TOLD = ("maxTTL", "compressionMode", "replicaNumber", "durabilityMinLevel", "controllers", "quota")

    def told(self, server, bucket):
        found = self.settings(server, bucket)
        found["quota"] = found["quota"]["rawRAM"]
        return {name: found[name] for name in self.TOLD}

    def test_what_changes_at_the_source_changes_here(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        follower = self.follow(source)
        self.wait_for(follower, "b")
        form = "maxTTL=7&compressionMode=active&replicaNumber=2&durabilityMinLevel=persistToMajority&flushEnabled=1&ramQuotaMB=150"
        self.assertEqual(post(source, f"{BUCKETS}/b", form), 200)
        self.assertEqual(post(source, f"{BUCKETS}/default", "maxTTL=9"), 200)
        poll(lambda: self.told(follower, "b") == self.told(source, "b"), "the settings of b")
        self.assertEqual(self.told(follower, "b")["quota"], 150 << 20)
        self.assertIn("flush", self.told(follower, "b")["controllers"])
        poll(lambda: self.settings(follower, "default")["maxTTL"] == 9, "the settings of the default bucket")
        self.assertEqual(self.differ(follower, "b"), "")
        self.assertIn("maxTTL 0 to 7", follower.output())
        # They are kept.
        self.stop("follower")
        self.stop("source")
        promoted = self.start("follower")
        self.assertEqual(self.told(promoted, "b")["maxTTL"], 7)
        self.assertEqual(self.settings(promoted, "default")["maxTTL"], 9)

    def test_what_cannot_change_is_told_once(self):
        alone = self.start("follower")
        self.make_bucket(alone, "b", evictionPolicy="fullEviction")
        self.stop("follower")
        source = self.start("source")
        self.make_bucket(source, "b")
        follower = self.follow(source)
        trouble = "evictionPolicy is valueOnly there and fullEviction here, and cannot change"
        poll(lambda: trouble in self.differ(follower, "b"), "what differs")
        self.assertEqual(post(source, f"{BUCKETS}/b", "maxTTL=7"), 200)
        poll(lambda: self.settings(follower, "b")["maxTTL"] == 7, "the settings")
        self.assertIn(trouble, self.differ(follower, "b"))
        self.assertEqual(follower.output().count(trouble), 1)
        self.put(source, "b", 0, 20)
        self.assert_same(source, follower, "b")

    def test_a_login_that_may_not_ask_changes_nothing(self):
        source = self.start("source")
        self.make_bucket(source, "b", maxTTL=7)
        self.put_user(source, "boss", "admin")
        self.put_user(source, "ann", "data_dcp_reader[*]")
        follower = self.follow(source, follow_user="ann", follow_password="rightone")
        self.wait_for(follower, "b")
        self.assertEqual(self.settings(follower, "b")["maxTTL"], 0)
        self.assertEqual(self.differ(follower, "b"), "")


class VanishedTest(BucketsTest):
    def expected(self, follower):
        return metrics(follower, "bobbin_follow_expected").get("b")

    def remove(self, server):
        try:
            call(server, f"{BUCKETS}/b", "DELETE")
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def see_it_removed(self, **options):
        source = self.start("source")
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 100)
        follower = self.follow(source, **options)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        self.assertEqual(self.remove(follower), 409, "it would be made again")
        self.assertEqual(self.remove(source), 200)
        poll(lambda: self.expected(follower) == 0, "the follower to miss it")
        with content.Streams(follower.endpoint, "b"):
            self.assertEqual(self.remove(follower), 200)
        self.assertFalse(self.has(follower, "b"))
        self.assertEqual(self.remove(follower), 404)
        self.assertIsNone(self.expected(follower))
        self.assertIn("bucket b of", follower.output())
        # The next one of this name is another.
        self.make_bucket(source, "b")
        self.put(source, "b", 5000, 30)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        poll(lambda: is_ready(follower), "the follower to be ready")
        return follower

    def test_one_that_the_source_has_no_more_can_be_removed(self):
        follower = self.see_it_removed()
        self.assertEqual(self.stats(follower)["follow_state"], "streaming")
        # Of all buckets the default one stays.
        with self.assertRaises(urllib.error.HTTPError) as refused:
            call(follower, f"{BUCKETS}/default", "DELETE")
        self.assertEqual(refused.exception.code, 400)
        self.assertEqual(self.stats(follower)["follow_state"], "streaming")

    def test_also_where_it_was_named(self):
        self.see_it_removed(follow_buckets="b")

    def test_a_bucket_that_the_source_removes_stays(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 100)
        follower = self.follow(source)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        before = content.content(follower.endpoint, "b")
        history = self.history(source, "b")
        call(source, f"{BUCKETS}/b", "DELETE")
        poll(lambda: self.expected(follower) == 0, "the follower to miss it")
        poll(lambda: "no such bucket" in self.stats(follower, "b")["follow_trouble"], "the reason")
        self.assertTrue(is_ready(follower))
        self.assertEqual(content.differences(before, content.content(follower.endpoint, "b")), [])
        self.fill(source, 0, 50)
        self.assert_same(source, follower)
        # Another of the same name is another.
        self.make_bucket(source, "b")
        self.assertNotEqual(self.history(source, "b"), history)
        self.put(source, "b", 5000, 10)
        poll(lambda: "would lose them" in self.stats(follower, "b")["follow_trouble"], "the reason")
        self.assertEqual(content.differences(before, content.content(follower.endpoint, "b")), [])
        # Who wants that one removes the old one.
        self.stop("follower")
        alone = self.start("follower")
        call(alone, f"{BUCKETS}/b", "DELETE")
        self.stop("follower")
        follower = self.follow(source)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")

    def history(self, server, bucket):
        with content.Streams(server.endpoint, bucket) as client:
            return client.history(0)

    def test_one_that_was_empty_is_copied_when_it_comes_again(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        follower = self.follow(source)
        self.wait_for(follower, "b")
        call(source, f"{BUCKETS}/b", "DELETE")
        poll(lambda: self.expected(follower) == 0, "the follower to miss it")
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 10)
        self.assert_same(source, follower, "b")
        self.assertEqual(self.expected(follower), 1)


class ChoiceTest(BucketsTest):
    def test_only_those_that_are_named(self):
        source = self.start("source")
        self.make_bucket(source, "other")
        self.fill(source, 0, 50)
        follower = self.follow(source, follow_buckets="b")
        poll(lambda: "no such bucket" in follower.output(), "the log")
        self.assertFalse(is_ready(follower))
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 50)
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        poll(lambda: is_ready(follower), "the follower to be ready")
        self.assertEqual(self.stats(follower)["follow_state"], "off")
        self.assertEqual(sum(content.seqnos(follower.endpoint).values()), 0)
        self.assertFalse(self.has(follower, "other"))
        self.assertEqual(post(follower, BUCKETS, "name=mine&ramQuotaMB=100&bucketType=membase"), 409)

    def test_a_bucket_that_nobody_used_is_no_strangers(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 50)
        self.fill(source, 0, 50)
        # A kill lets vbuckets go on behind what they had reserved: once, and from there.
        for _ in range(2):
            follower = self.follow(source, follow_buckets="b")
            self.wait_for(follower, "b")
            self.assert_same(source, follower, "b")
            self.kill("follower")
        follower = self.follow(source)
        self.assert_same(source, follower)
        self.assert_same(source, follower, "b")

    def test_a_cache_is_not_waited_for(self):
        source = self.start("source")
        self.make_bucket(source, "cache", bucketType="ephemeral")
        self.fill(source, 0, 50)
        follower = self.follow(source)
        self.assert_same(source, follower)
        poll(lambda: "keeps no history" in follower.output(), "the log")
        poll(lambda: is_ready(follower), "the follower to be ready")
        self.assertFalse(self.has(follower, "cache"))

    def test_there_is_no_memory_for_one(self):
        source = self.start("source")
        self.make_bucket(source, "b", ramQuotaMB=300)
        self.make_bucket(source, "c", ramQuotaMB=300)
        self.put(source, "b", 0, 20)
        follower = self.follow(source, memory="200M")
        poll(lambda: "cannot be made here: RAM quota" in follower.output(), "the log")
        self.wait_for(follower, "b")
        self.assert_same(source, follower, "b")
        self.assertFalse(is_ready(follower))
        self.stop("follower")
        follower = self.follow(source)
        self.wait_for(follower, "c")
        poll(lambda: is_ready(follower), "the follower to be ready")

    def test_a_login_for_one_bucket_and_none(self):
        source = self.start("source")
        self.make_bucket(source, "b")
        self.put(source, "b", 0, 20)
        self.fill(source, 0, 20)
        self.put_user(source, "boss", "admin")
        self.put_user(source, "ann", "data_dcp_reader[b]")
        follower = self.follow(source, follow_user="ann", follow_password="rightone")
        self.wait_for(follower, "b")
        poll(lambda: is_ready(follower), "the follower to be ready")
        self.assertEqual(len([place for place in content.content(follower.endpoint, "b").values() if place]), 20)
        self.assertIn("no such bucket, or none that it lets", self.stats(follower)["follow_trouble"])
        self.stop("follower")
        follower = self.follow(source, "stranger")
        poll(lambda: "into no bucket" in self.stats(follower)["follow_buckets_trouble"], "the reason")
        self.assertIn("wants a login", self.trouble(follower))
        self.assertFalse(is_ready(follower))
        self.assertEqual(sum(content.seqnos(follower.endpoint).values()), 0)


if __name__ == "__main__":
    unittest.main()
