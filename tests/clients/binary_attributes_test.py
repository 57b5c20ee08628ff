"""Attributes that are no JSON, and the flags that clients send with them: over sockets, and through a restart."""

import os
import struct
import tempfile
import unittest

from lib import binary
from lib.connection import Connection
from lib.server import Server

HELLO, SELECT_BUCKET, GET, MULTI_LOOKUP, MULTI_MUTATION = 0x1F, 0x89, 0x00, 0xD0, 0xD1
SUBDOC_GET, UPSERT, DELETE, REPLACE_BODY = 0xC5, 0xC8, 0xC9, 0xD3
XATTR, XERROR, JSON, BINARY_XATTR = 0x06, 0x07, 0x0B, 0x21
PARENTS, ATTRIBUTE, BYTES = 0x01, 0x04, 0x20
MAKE = 0x01
OK, INVALID, NOT_SUPPORTED, PARTLY = 0x00, 0x04, 0x83, 0xCC
NO_PATH, WRONG_FLAGS, NOT_BINARY = 0xC0, 0xCE, 0xD8

STAGED = bytes(range(256)) + b"\0\xff"
ENCODED = b'"cb-content-base64-encoded:'


class Client(Connection):
    def __init__(self, server, *features):
        super().__init__(server.endpoint)
        asked = b"".join(struct.pack(">H", feature) for feature in features)
        self.granted = binary.ask(self, binary.request(HELLO, b"test", asked))[0].value
        assert binary.ask(self, binary.request(SELECT_BUCKET, b"default"))[0].status == OK

    def look_up(self, *specs):
        """Statuses and values of `(path, flags)`, each."""
        value = b"".join(struct.pack(">BBH", SUBDOC_GET, flags, len(path)) + path for path, flags in specs)
        reply = binary.ask(self, binary.request(MULTI_LOOKUP, b"k", value))[0]
        if reply.status not in (OK, PARTLY):
            return reply.status
        rest, found = reply.value, []
        while rest:
            status, size = struct.unpack(">HI", rest[:6])
            found.append((status, rest[6 : 6 + size]))
            rest = rest[6 + size :]
        return found

    def change(self, extras, *specs):
        """The status of a change of `(opcode, path, flags, value)`, all of it or nothing."""
        value = b"".join(
            struct.pack(">BBHI", opcode, flags, len(path), len(new)) + path + new for opcode, path, flags, new in specs
        )
        return binary.ask(self, binary.request(MULTI_MUTATION, b"k", value, extras))[0].status

    def document(self):
        """Flags, value and datatype."""
        reply = binary.ask(self, binary.request(GET, b"k"))[0]
        return struct.unpack(">I", reply.extras)[0], reply.value, reply.datatype


def flags_of(number, document_flags=b""):
    return struct.pack(">II", 0, number) + document_flags


class BinaryAttributes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-attributes-")
        self.addCleanup(folder.cleanup)
        self.options = {"threads": 1, "memory": "64M", "data": os.path.join(folder.name, "data"), "durability": "disk"}

    def stage(self, server):
        client = Client(server, XATTR, XERROR, JSON, BINARY_XATTR)
        self.assertEqual(client.granted[-2:], struct.pack(">H", BINARY_XATTR))
        staged = (
            (UPSERT, b"txn.id", ATTRIBUTE | PARENTS, b'"1"'),
            (UPSERT, b"txn.op.bin", ATTRIBUTE | PARENTS | BYTES, STAGED),
        )
        self.assertEqual(client.change(flags_of(7, bytes([MAKE])), *staged, (UPSERT, b"a", 0, b"1")), OK)
        client.close()

    def expect_staged(self, client):
        self.assertEqual(client.document(), (7, b'{"a":1}', 1))
        found = client.look_up((b"txn.op.bin", ATTRIBUTE | BYTES), (b"txn.op.bin", ATTRIBUTE), (b"txn", ATTRIBUTE))
        self.assertEqual(found[0], (OK, STAGED))
        self.assertEqual((found[1][0], found[1][1][: len(ENCODED)]), (OK, ENCODED), "as it is kept")
        self.assertIn(found[1][1], found[2][1], "part of a whole attribute, it is the string")
        self.assertEqual(client.look_up((b"txn.id", ATTRIBUTE | BYTES)), [(NOT_BINARY, b"")])

    def test_they_are_there_after_a_restart_and_become_the_body(self):
        with Server(**self.options) as server:
            self.stage(server)
            with Client(server, XATTR, XERROR, JSON, BINARY_XATTR) as client:
                self.expect_staged(client)
            server.terminate()
            server.wait_for_exit()
        with Server(**self.options) as server, Client(server, XATTR, XERROR, JSON, BINARY_XATTR) as client:
            self.expect_staged(client)
            commit = ((REPLACE_BODY, b"txn.op.bin", ATTRIBUTE | BYTES, b""), (DELETE, b"txn", ATTRIBUTE, b""))
            self.assertEqual(client.change(flags_of(0xCAFE), *commit), OK)
            self.assertEqual(client.document(), (0xCAFE, STAGED, 0))
            self.assertEqual(client.look_up((b"$XTOC", ATTRIBUTE)), [(OK, b"[]")])

    def test_who_has_not_agreed_on_attributes_is_refused(self):
        with Server(**self.options) as server:
            self.stage(server)
            with Client(server, XERROR, BINARY_XATTR) as client:
                self.assertEqual(client.look_up((b"txn.op.bin", ATTRIBUTE | BYTES)), NOT_SUPPORTED)
                self.assertEqual(client.change(b"", (UPSERT, b"b", ATTRIBUTE | BYTES, b"\xff")), NOT_SUPPORTED)
            # As upstream: the feature says that the server takes them, and is not asked for again.
            with Client(server, XATTR, XERROR, JSON) as client:
                self.assertEqual(client.granted.find(struct.pack(">H", BINARY_XATTR)), -1)
                self.expect_staged(client)

    def test_forms_that_are_none(self):
        with Server(**self.options) as server:
            self.stage(server)
            with Client(server, XATTR, XERROR, JSON, BINARY_XATTR) as client:
                one = (UPSERT, b"a", 0, b"2")
                for size in (2, 3, 6, 7, 10, 11, 12, 13, 255):
                    self.assertEqual(client.change(bytes(size), one), INVALID, size)
                self.assertEqual(client.look_up((b"a", ATTRIBUTE | BYTES))[0][0], NO_PATH)
                self.assertEqual(client.look_up((b"a", BYTES)), WRONG_FLAGS, "the body has no bytes")
                self.expect_staged(client)


if __name__ == "__main__":
    unittest.main()
