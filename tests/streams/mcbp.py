"""Frames of Couchbase's protocol over a Unix socket, and the requests that the driver needs."""

import select
import socket
import struct
import zlib
from collections import namedtuple

from lib.server import PATIENCE_S

_HEADER = struct.Struct(">BBHBBHIIQ")
HEADER_BYTES = _HEADER.size
HELLO, SELECT_BUCKET, NOOP = 0x1F, 0x89, 0x0A
GET, SET, DELETE, TOUCH, GET_META = 0x00, 0x01, 0x04, 0x1C, 0xA0
ALL_SEQNOS, SET_MANIFEST = 0x48, 0xB9
OPEN, CLOSE_STREAM, STREAM_REQUEST, FAILOVER_LOG = 0x50, 0x52, 0x53, 0x96
STREAM_END, MARKER, MUTATION, DELETION, EXPIRATION = 0x55, 0x56, 0x57, 0x58, 0x59
BUFFER_ACK, CONTROL, SYSTEM_EVENT, SEQNO_ADVANCED, OSO = 0x5D, 0x5E, 0x5F, 0x64, 0x65
OK, NOT_FOUND, ROLLBACK, UNKNOWN_COLLECTION = 0x00, 0x01, 0x23, 0x88
# xattr, mutation_seqno, xerror, select_bucket, json, alt_request, collections
_FEATURES = struct.pack(">7H", 0x06, 0x04, 0x07, 0x08, 0x0B, 0x10, 0x12)

Frame = namedtuple("Frame", "magic opcode datatype status opaque cas extras key value size")


class Closed(Exception):
    """The server has gone, or has closed the connection."""


def vbucket_of(key):
    return (zlib.crc32(key) >> 16) & 0x3FF


def request(opcode, key=b"", value=b"", extras=b"", *, vbucket=0, opaque=0, cas=0, datatype=0):
    size = len(extras) + len(key) + len(value)
    head = _HEADER.pack(0x80, opcode, len(key), len(extras), datatype, vbucket, size, opaque, cas)
    return head + extras + key + value


class Mcbp:
    """One connection that has agreed on everything. Every wait is bounded."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.kept = []
        self._unread = bytearray()
        self._at = 0
        try:
            self.socket.connect(path)
        except OSError as error:
            raise Closed from error
        self.ask(request(HELLO, b"streams", _FEATURES))
        self.ask(request(SELECT_BUCKET, b"default"))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Closed from error

    def _need(self, size):
        while len(self._unread) - self._at < size:
            if self._at > 1 << 20:
                del self._unread[: self._at]
                self._at = 0
            try:
                data = self.socket.recv(1 << 18)
            except TimeoutError:
                raise AssertionError(f"nothing came for {PATIENCE_S} s") from None
            except OSError as error:
                raise Closed from error
            if not data:
                raise Closed
            self._unread += data

    def frame(self):
        """The next one, whatever it is."""
        self._need(HEADER_BYTES)
        magic, opcode, key, extras, datatype, status, body, opaque, cas = _HEADER.unpack_from(self._unread, self._at)
        framing = 0
        if magic in (0x08, 0x18):
            framing, key = key >> 8, key & 0xFF
        assert magic in (0x08, 0x18, 0x80, 0x81), f"no frame begins here: {magic:#x}"
        self._need(HEADER_BYTES + body)
        begin = self._at + HEADER_BYTES + framing
        end = self._at + HEADER_BYTES + body
        self._at = end
        rest = bytes(self._unread[begin:end])
        return Frame(
            magic, opcode, datatype, status, opaque, cas, rest[:extras], rest[extras : extras + key],
            rest[extras + key :], HEADER_BYTES + body,
        )  # fmt: skip

    def reply(self):
        """The next reply; what streams send before it is kept."""
        while True:
            frame = self.frame()
            if frame.magic in (0x81, 0x18):
                return frame
            self.kept.append(frame)

    def is_quiet(self, seconds):
        """Whether nothing has come, and nothing comes for so long."""
        if self.kept or len(self._unread) > self._at:
            return False
        return not select.select([self.socket], [], [], seconds)[0]

    def message(self):
        return self.kept.pop(0) if self.kept else self.frame()

    def ask(self, data):
        self.send(data)
        return self.reply()

    def ask_all(self, requests):
        """The replies to many, in their order."""
        self.send(b"".join(requests))
        return [self.reply() for _ in requests]

    def high_seqnos(self):
        value = self.ask(request(ALL_SEQNOS)).value
        return dict(struct.iter_unpack(">HQ", value))

    def failover_log(self, vbucket):
        """Pairs of uuid and seqno, newest first."""
        return list(struct.iter_unpack(">QQ", self.ask(request(FAILOVER_LOG, vbucket=vbucket)).value))

    def close(self):
        self.socket.close()


def collection_key(collection, name):
    """As it is sent: the collection's number, in LEB128, in front."""
    prefix = bytearray()
    while collection > 0x7F:
        prefix.append(0x80 | collection & 0x7F)
        collection >>= 7
    prefix.append(collection)
    return bytes(prefix) + name


def collection_of(key):
    number, shift = 0, 0
    for byte in key:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7
    raise AssertionError(f"no collection: {key!r}")
