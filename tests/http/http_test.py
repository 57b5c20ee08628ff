"""Management over HTTP against the running server: what it keeps, and how it ends."""

import base64
import http.client
import json
import os
import signal
import socket
import struct
import tempfile
import unittest
import urllib.parse
import zlib

from lib.server import Server, poll

_ADMIN = ("admin", "secret!")


class Client:
    """One kept connection to the HTTP server; `login` is (user, password) or None."""

    def __init__(self, server, login=None):
        self._connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
        self._headers = {}
        if login:
            self._headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()

    def close(self):
        self._connection.close()

    def ask(self, method, path, **form):
        headers = dict(self._headers)
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, urllib.parse.urlencode(form) or None, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def json(self, path):
        status, text = self.ask("GET", path)
        if status != 200:
            raise AssertionError(f"{path}: {status} {text}")
        return json.loads(text)


def mcbp(connection, opcode, key=b"", value=b"", extras=b"", vbucket=0):
    """Sends one request, and returns the status and value of its answer."""
    body = extras + key + value
    connection.sendall(struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, vbucket, len(body), 0, 0) + body)
    head = _receive(connection, 24)
    extras_len, status, length = head[4], *struct.unpack(">HI", head[6:12])
    return status, _receive(connection, length)[extras_len:]


def _receive(connection, size):
    data = b""
    while len(data) < size:
        some = connection.recv(size - len(data))
        if not some:
            raise ConnectionError("the server has closed")
        data += some
    return data


HELLO, SET, GET, SELECT = 0x1F, 0x01, 0x00, 0x89
SELECT_BUCKET, DUPLEX, CONFIG_CHANGES, BRIEF_CONFIG_CHANGES = 0x08, 0x0C, 0x0D, 0x1F  # features of HELLO
SASL_AUTH = 0x21


class HttpTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-http-")
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")

    def server(self):
        return Server(http=True, data=self.data, memory="1G")

    def client(self, server, login=None):
        client = Client(server, login)
        self.addCleanup(client.close)
        return client

    def login(self, server, bucket):
        """A connection of Couchbase's protocol that has logged in and selected a bucket."""
        connection = socket.create_connection(server.tcp, timeout=20)
        self.addCleanup(connection.close)
        self.assertEqual(mcbp(connection, HELLO, b"test")[0], 0)
        plain = b"\0" + _ADMIN[0].encode() + b"\0" + _ADMIN[1].encode()
        self.assertEqual(mcbp(connection, SASL_AUTH, b"PLAIN", plain)[0], 0)
        self.assertEqual(mcbp(connection, SELECT, bucket)[0], 0)
        return connection

    def items(self, client, bucket):
        return client.json(f"/pools/default/buckets/{bucket}")["basicStats"]["itemCount"]

    def anonymous(self, server, bucket):
        """The same where nobody has to log in."""
        connection = socket.create_connection(server.tcp, timeout=20)
        self.addCleanup(connection.close)
        self.assertEqual(mcbp(connection, HELLO, b"test")[0], 0)
        self.assertEqual(mcbp(connection, SELECT, bucket)[0], 0)
        return connection

    def test_what_was_made_is_there_after_kill_and_after_a_restart(self):
        with self.server() as server:
            self.assertEqual(self.client(server).ask("PUT", "/settings/rbac/users/local/admin", password=_ADMIN[1],
                                                roles="admin")[0], 200)  # fmt: skip
            self.assertEqual(self.client(server).ask("GET", "/pools")[0], 401)
            client = self.client(server, _ADMIN)
            self.assertEqual(client.ask("POST", "/pools/default/buckets", name="b", ramQuotaMB=100,
                                        durabilityMinLevel="persistToMajority")[0], 202)  # fmt: skip
            documents = self.login(server, b"b")
            # Answered when it is on disk, as the bucket demands.
            self.assertEqual(mcbp(documents, SET, b"k", b"v", bytes(8))[0], 0)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            server.discard()
        for _ in range(2):
            with self.server() as server:
                client = self.client(server, _ADMIN)
                self.assertEqual([bucket["name"] for bucket in client.json("/pools/default/buckets")],
                                 ["default", "b"])  # fmt: skip
                self.assertEqual(mcbp(self.login(server, b"b"), GET, b"k"), (0, b"v"))
                self.assertEqual(mcbp(self.login(server, b"default"), GET, b"k")[0], 1)

    def test_a_bucket_keeps_its_number_of_vbuckets(self):
        with self.server() as server:
            made = self.client(server).ask("POST", "/pools/default/buckets", name="b", ramQuotaMB=100, numVBuckets=8)
            self.assertEqual(made[0], 202)
            documents = self.anonymous(server, b"b")
            for number in range(100):
                key = b"k%d" % number
                vbucket = (zlib.crc32(key) >> 16) & 7
                self.assertEqual(mcbp(documents, SET, key, b"v", bytes(8), vbucket=vbucket)[0], 0)
        for _ in range(2):
            with self.server() as server:
                bucket = self.client(server).json("/pools/default/buckets/b")
                self.assertEqual(bucket["numVBuckets"], 8)
                self.assertEqual(len(bucket["vBucketServerMap"]["vBucketMap"]), 8)
                self.assertEqual(len(self.client(server).json("/pools/default/b/b")["vBucketServerMap"]["vBucketMap"]), 8)
                documents = self.anonymous(server, b"b")
                self.assertEqual(mcbp(documents, GET, b"k7", vbucket=(zlib.crc32(b"k7") >> 16) & 7), (0, b"v"))
                self.assertEqual(mcbp(documents, GET, b"k7", vbucket=8)[0], 7)
                client = self.client(server)
                poll(lambda client=client: self.items(client, "b") == 100, "all documents")

    def test_a_bucket_goes_while_it_is_in_use(self):
        with self.server() as server:
            client = self.client(server)
            client.ask("PUT", "/settings/rbac/users/local/admin", password=_ADMIN[1], roles="admin")
            client = self.client(server, _ADMIN)
            self.assertEqual(client.ask("POST", "/pools/default/buckets", name="b", ramQuotaMB=100)[0], 202)
            guests = [self.login(server, b"b") for _ in range(5)]
            for guest in guests[:3]:
                self.assertEqual(mcbp(guest, SET, b"k", b"v" * 1000, bytes(8))[0], 0)
            # One is in the middle of a value.
            guests[4].sendall(struct.pack(">BBHBBHIIQ", 0x80, SET, 1, 8, 0, 0, 100_009, 0, 0) + bytes(8) + b"k" + b"x")
            other = self.login(server, b"default")
            folder = os.path.join(self.data, "buckets")
            self.assertEqual(len(os.listdir(folder)), 1)
            self.assertEqual(client.ask("DELETE", "/pools/default/buckets/b")[0], 200)
            self.assertEqual(os.listdir(folder), [])
            for guest in guests:
                with self.assertRaises(ConnectionError):
                    mcbp(guest, GET, b"k")
            self.assertEqual(mcbp(other, GET, b"k")[0], 1, "who works on another bucket stays")
            self.assertEqual(client.ask("GET", "/pools/default/buckets/b")[0], 404)

    def watcher(self, server, *features):
        """A connection that has agreed on these features, and works on the bucket default."""
        connection = socket.create_connection(server.tcp, timeout=20)
        self.addCleanup(connection.close)
        asked = b"".join(struct.pack(">H", feature) for feature in (SELECT_BUCKET, *features))
        self.assertEqual(mcbp(connection, HELLO, b"test", asked), (0, asked))
        self.assertEqual(mcbp(connection, SELECT, b"default")[0], 0)
        return connection

    def notification(self, connection):
        """(epoch, revision, bucket, configuration) of what the server sends of its own accord."""
        head = _receive(connection, 24)
        magic, opcode, key_length, extras_length, _, _, length = struct.unpack(">BBHBBHI", head[:12])
        self.assertEqual((magic, opcode, extras_length), (0x82, 0x01, 16))
        body = _receive(connection, length)
        key, value = body[16 : 16 + key_length], body[16 + key_length :]
        return *struct.unpack(">QQ", body[:16]), key, value

    def test_who_has_agreed_on_it_is_told_of_another_configuration(self):
        with self.server() as server:
            client = self.client(server)
            full = self.watcher(server, DUPLEX, CONFIG_CHANGES)
            brief = self.watcher(server, DUPLEX, BRIEF_CONFIG_CHANGES)
            other = self.watcher(server)
            port = server.tcp[1]
            for number in (1, 2):
                path = "/pools/default/buckets/default/scopes"
                self.assertEqual(client.ask("POST", path, name=f"s{number}")[0], 200)
                epoch, revision, bucket, text = self.notification(full)
                self.assertEqual((epoch, revision, bucket), (1, 1 + number, b"default"))
                config = json.loads(text)
                self.assertEqual((config["rev"], config["revEpoch"]), (revision, epoch))
                self.assertEqual(config["collectionsManifestUid"], str(number))
                self.assertEqual(config["nodesExt"][0]["services"]["kv"], port)
                self.assertEqual(self.notification(brief), (1, 1 + number, b"default", b""))
            # It may be answered, whole or in pieces, and nobody waits for that.
            answer = struct.pack(">BBHBBHIIQ", 0x83, 0x01, 0, 0, 0, 0, 5, 0, 0) + b"fine."
            for piece in (answer, answer[:1], answer[1:7], answer[7:25], answer[25:]):
                full.sendall(piece)
            for connection in (full, brief, other):
                self.assertEqual(mcbp(connection, GET, b"nothing")[0], 1)
            # Others have no business with such frames.
            other.sendall(answer)
            self.assertEqual(other.recv(1), b"")

    def test_it_is_ready_until_it_drains(self):
        with self.server() as server:
            client = self.client(server)
            self.assertEqual(client.ask("GET", "/readyz"), (200, "ok\n"))
            self.assertEqual(client.ask("GET", "/livez"), (200, "ok\n"))
            # Who never reads its reply keeps the drain waiting.
            with socket.create_connection(server.tcp, timeout=20) as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.sendall(b"set k 0 0 1000000\r\n" + bytes(1_000_000) + b"\r\n")
                self.assertEqual(slow.recv(8), b"STORED\r\n")
                slow.sendall(b"get k\r\n" * 20)
                self.assertEqual(slow.recv(5), b"VALUE")
                server.terminate()
                status, why = poll(lambda: self.not_ready(client), "the drain to begin")
                self.assertEqual(status, 503)
                self.assertIn("no further connection", why)
            server.wait_for_exit()

    @staticmethod
    def not_ready(client):
        answer = client.ask("GET", "/readyz")
        return None if answer[0] == 200 else answer

    def test_more_clients_than_it_takes_wait_and_are_served(self):
        with self.server() as server:
            clients = [socket.create_connection(("127.0.0.1", server.http), timeout=20) for _ in range(300)]
            for client in clients[:100]:
                client.close()
            for client in clients[100:]:
                client.sendall(b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
            for client in clients[100:]:
                self.assertTrue(_receive(client, 15).startswith(b"HTTP/1.1 200 OK"))
                client.close()


if __name__ == "__main__":
    unittest.main()
