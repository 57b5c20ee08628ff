"""Commands of Couchbase's protocol whose answers wait for the disk, and what is left of deleted documents, against a
server with a data directory that is started again."""

import json
import os
import socket
import ssl
import struct
import tempfile
import unittest

from lib import binary
from lib.certificates import Authority
from lib.connection import Connection
from lib.server import Server

GET_META, SET_VBUCKET, IFCONFIG, COMPACT = 0xA0, 0x3D, 0xAF, 0xB3
SET_MANIFEST, GET_MANIFEST = 0xB9, 0xBA
SUBDOC_GET, SUBDOC_MULTI_MUTATION = 0xC5, 0xD1
DICT_UPSERT, XATTR, ADD_DELETED, ACCESS_DELETED = 0xC8, 4, 0x0E, 0x04
OK, NOT_SUPPORTED, SUCCESS_DELETED = 0, 0x83, 0xCD

MANIFEST = {
    "uid": "1",
    "scopes": [
        {
            "name": "_default",
            "uid": "0",
            "collections": [{"name": "_default", "uid": "0"}, {"name": "c", "uid": "8"}],
        }
    ],
}


def vbucket_of(key):
    """Couchbase's rule for 1024 vbuckets."""
    crc = 0xFFFFFFFF
    for byte in key:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return (((crc ^ 0xFFFFFFFF) >> 16) & 0x7FFF) % 1024


class Operations(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="bobbin-operations-")
        self.addCleanup(self._folder.cleanup)

    def serve(self):
        return Server(dev=True, memory="256M", data=os.path.join(self._folder.name, "data"))

    def connect(self, server, endpoint=None):
        connection = Connection(endpoint or server.tcp)
        self.addCleanup(connection.close)
        features = struct.pack(">5H", 0x06, 0x07, 0x0B, 0x04, 0x03)
        self.one(connection, 0x1F, b"operations", features)
        return connection

    def one(self, connection, opcode, key=b"", value=b"", extras=b"", **more):
        answers = binary.ask(connection, binary.request(opcode, key, value, extras, **more))
        self.assertEqual(len(answers), 1)
        return answers[0]

    def test_a_manifest_is_kept(self):
        with self.serve() as server:
            connection = self.connect(server)
            sent = json.dumps(MANIFEST).encode()
            # The replies keep their order, though the first waits for another thread.
            answers = binary.ask(
                connection, binary.request(SET_MANIFEST, value=sent), binary.request(GET_MANIFEST)
            )
            self.assertEqual([answer.status for answer in answers], [OK, OK])
            self.assertEqual(json.loads(answers[1].value)["uid"], "1")
            self.assertNotEqual(self.one(connection, SET_MANIFEST, value=b"{}").status, OK)
        with self.serve() as server:
            kept = json.loads(self.one(self.connect(server), GET_MANIFEST).value)
            self.assertEqual([c["name"] for c in kept["scopes"][0]["collections"]], ["_default", "c"])

    def test_files_are_compacted_while_others_go_on(self):
        with self.serve() as server:
            connection, other = self.connect(server), self.connect(server)
            for number in range(200):
                key = b"key%d" % number
                self.assertEqual(
                    binary.ask(
                        other, binary.store("set", key, b"x" * 1000, vbucket=vbucket_of(key))
                    )[0].status,
                    OK,
                )
            connection.send(binary.request(COMPACT, extras=b"\0" * 24))
            self.assertEqual(self.one(other, "get", b"key1", vbucket=vbucket_of(b"key1")).status, OK)
            self.assertEqual(binary.ask(connection)[0].status, OK)
            wishes = struct.pack(">QQB7x", 0, 0, 1)
            self.assertEqual(self.one(connection, COMPACT, extras=wishes).status, NOT_SUPPORTED)

    def test_attributes_of_deleted_documents_are_kept(self):
        key, path, value = b"gone", b"_staged", b'{"a":[1]}'
        vbucket = vbucket_of(key)
        spec = struct.pack(">BBHI", DICT_UPSERT, XATTR, len(path), len(value)) + path + value
        look = struct.pack(">HBB", len(path), XATTR, ACCESS_DELETED)
        with self.serve() as server:
            connection = self.connect(server)
            made = self.one(
                connection, SUBDOC_MULTI_MUTATION, key, spec, bytes([ADD_DELETED]), vbucket=vbucket
            )
            self.assertEqual(made.status, SUCCESS_DELETED)
        for _ in range(2):
            with self.serve() as server:
                connection = self.connect(server)
                found = self.one(connection, SUBDOC_GET, key, path, look, vbucket=vbucket)
                self.assertEqual((found.status, found.value, found.cas), (SUCCESS_DELETED, value, made.cas))
                meta = self.one(connection, GET_META, key, vbucket=vbucket)
                self.assertEqual(struct.unpack(">I", meta.extras[:4])[0], 1)
                self.assertNotEqual(self.one(connection, "get", key, vbucket=vbucket).status, OK)

    def test_interfaces_are_listed(self):
        with self.serve() as server:
            listed = json.loads(self.one(self.connect(server), IFCONFIG, b"list").value)
            self.assertIn(server.tcp, [(one["host"], one["port"]) for one in listed])
            self.assertEqual({one["type"] for one in listed}, {"mcbp"})
            self.assertLessEqual({one["family"] for one in listed}, {"inet", "inet6"})

    def test_interfaces_come_and_go(self):
        authority = Authority(self._folder.name)
        own = authority.issue("server")
        with self.serve() as server:
            admin = self.connect(server)

            def define(**more):
                value = json.dumps({"family": "inet", "host": "127.0.0.1", **more}).encode()
                answer = self.one(admin, IFCONFIG, b"define", value)
                self.assertEqual(answer.status, OK, answer.value)
                return json.loads(answer.value)["ports"][0]

            plain, sealed = define(tag="more"), define(tls=True)
            self.assertEqual(self.one(self.connect(server, ("127.0.0.1", plain["port"])), 0x0A).status, OK)
            with socket.create_connection(("127.0.0.1", sealed["port"])) as early:
                self.assertEqual(early.recv(1), b"", "there is no certificate yet")
            files = {"private key": own.key, "certificate chain": own.certificate}
            self.assertEqual(self.one(admin, IFCONFIG, b"tls", json.dumps(files).encode()).status, OK)
            context = ssl.create_default_context(cafile=authority.certificate)
            with socket.create_connection(("127.0.0.1", sealed["port"])) as raw:
                with context.wrap_socket(raw, server_hostname="localhost") as secure:
                    secure.sendall(b"version\r\n")
                    self.assertTrue(secure.recv(100).startswith(b"VERSION"))
            self.assertEqual(self.one(admin, IFCONFIG, b"delete", plain["uuid"].encode()).status, OK)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", plain["port"])).close()
            uuids = [one["uuid"] for one in json.loads(self.one(admin, IFCONFIG, b"list").value)]
            self.assertIn(sealed["uuid"], uuids)
            self.assertNotIn(plain["uuid"], uuids)


if __name__ == "__main__":
    unittest.main()
