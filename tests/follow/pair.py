"""A server and one that follows it, for the tests of what that is."""

import base64
import os
import shutil
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request
import zlib

import content
from lib.connection import Connection
from lib.server import Server, poll


def post(server, path, form):
    """The status of a call of management."""
    call = urllib.request.Request(f"http://127.0.0.1:{server.http}{path}", data=form.encode(), method="POST")
    try:
        with urllib.request.urlopen(call, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def is_ready(server):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/readyz", timeout=20) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


class FollowTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bobbin-follow-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.servers = {}
        self.addCleanup(self.end_all)

    def end_all(self):
        for server in self.servers.values():
            server.stop()

    def start(self, name, **options):
        options.setdefault("flush_linger", "20ms")
        server = Server(data=os.path.join(self.folder, name), http=True, listen="127.0.0.1", **options)
        self.servers[name] = server
        return server

    def stop(self, name):
        self.servers.pop(name).stop()

    def kill(self, name):
        server = self.servers.pop(name)
        server.process.kill()
        server.process.wait()
        server.discard()

    def pair(self):
        """A source, and a server that follows it. The source has its port again after a restart."""
        source = self.start("source")
        self.source_port = source.tcp[1]
        return source, self.follow(source)

    def follow(self, source, name="follower", **options):
        return self.start(name, follow=source.address, **options)

    def restart_source(self, **options):
        with_port = dict(data=os.path.join(self.folder, "source"), listen=f"127.0.0.1:{self.source_port}")
        server = Server(http=True, flush_linger="20ms", **with_port, **options)
        self.servers["source"] = server
        return server

    def fill(self, server, first, count, size=100):
        with Connection(server.endpoint) as client:
            for number in range(first, first + count):
                client.send(b"set key%d %d 0 %d noreply\r\n%s\r\n" % (number, number, size, b"%d" % (number % 10) * size))
            self.assertEqual(client.ask(b"mn\r\n"), b"MN\r\n")

    def stats(self, server, bucket="default"):
        return content.follow_stats(server.endpoint, bucket)

    def assert_same(self, source, follower, bucket="default"):
        content.assert_same(source.endpoint, follower.endpoint, bucket)

    def trouble(self, follower, bucket="default"):
        return poll(lambda: self.stats(follower, bucket)["follow_trouble"], "trouble")

    def put_user(self, server, name, roles):
        """The first one needs no login; the others are made by `boss`."""
        call = urllib.request.Request(
            f"http://127.0.0.1:{server.http}/settings/rbac/users/local/{name}",
            data=urllib.parse.urlencode({"password": "rightone", "roles": roles}).encode(),
            headers={"Authorization": "Basic " + base64.b64encode(b"boss:rightone").decode()},
            method="PUT",
        )
        with urllib.request.urlopen(call, timeout=20) as answer:
            self.assertEqual(answer.status, 200)


def vbucket_of(key):
    """Couchbase's rule."""
    return (zlib.crc32(key) >> 16) & 0x7FFF & (content.VBUCKETS - 1)
