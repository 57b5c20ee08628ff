"""A server of change streams that does what a test says: the producer's side of kv_engine's docs/dcp, by hand."""

import json
import socket
import struct
from collections import namedtuple

from lib.server import PATIENCE_S

_HEADER = struct.Struct(">BBHBBHIIQ")
HELLO, SELECT_BUCKET, ALL_SEQNOS, FAILOVER_LOG, STAT = 0x1F, 0x89, 0x48, 0x96, 0x10
MANIFEST, COLLECTION_ID, SCOPE_ID = 0xBA, 0xBB, 0xBC
OPEN, STREAM_REQUEST, STREAM_END, MARKER, MUTATION, DELETION = 0x50, 0x53, 0x55, 0x56, 0x57, 0x58
EXPIRATION, NOOP, BUFFER_ACK, CONTROL, SYSTEM_EVENT, SEQNO_ADVANCED = 0x59, 0x5C, 0x5D, 0x5E, 0x5F, 0x64
ROLLBACK = 0x23
CAS = 1764255600123456789

Frame = namedtuple("Frame", "magic opcode datatype vbucket opaque cas extras key value")
StreamRequest = namedtuple("StreamRequest", "vbucket opaque flags start end uuid snapshot_start snapshot_end filter")
PLAIN_MANIFEST = {
    "uid": "2",
    "scopes": [
        {"name": "_default", "uid": "0", "collections": [{"name": "_default", "uid": "0"}]},
        {"name": "shop", "uid": "8", "collections": [{"name": "orders", "uid": "9"}]},
    ],
}


def frame(opcode, extras=b"", key=b"", value=b"", *, vbucket=0, opaque=0, cas=0, datatype=0, magic=0x80):
    size = len(extras) + len(key) + len(value)
    return (
        _HEADER.pack(magic, opcode, len(key), len(extras), datatype, vbucket, size, opaque, cas) + extras + key + value
    )


def marker(vbucket, start, end, flags=1):
    return frame(MARKER, struct.pack(">QQI", start, end, flags), vbucket=vbucket, opaque=vbucket)


def mutation(vbucket, seqno, key, value, *, collection=0, datatype=0, revision=1, flags=0, expiry=0):
    extras = struct.pack(">QQIIIHB", seqno, revision, flags, expiry, 0, 0, 0)
    key = bytes([collection]) + key
    return frame(MUTATION, extras, key, value, vbucket=vbucket, opaque=vbucket, cas=CAS, datatype=datatype)


def deletion(vbucket, seqno, key, *, opcode=DELETION):
    extras = struct.pack(">QQI", seqno, 2, 0) + (b"\0" if opcode == DELETION else b"")
    return frame(opcode, extras, b"\0" + key, vbucket=vbucket, opaque=vbucket, cas=CAS)


def stream_end(vbucket, reason=0):
    return frame(STREAM_END, struct.pack(">I", reason), vbucket=vbucket, opaque=vbucket)


class Producer:
    """Listens on loopback; accept() gives the next connection."""

    def __init__(self, test, seqnos=(0, 0), uuid=0xFEED, manifest=None, items=0):
        self.items = items
        self.seqnos = list(seqnos)
        self.uuid = uuid
        self.manifest = manifest or PLAIN_MANIFEST
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE_S)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        test.addCleanup(self.listener.close)
        self.test = test

    def accept(self):
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE_S)
        self.test.addCleanup(connection.close)
        return ProducerConnection(self, connection)


class ProducerConnection:
    """Answers what comes before the streams by itself."""

    def __init__(self, producer, connection):
        self.producer = producer
        self.socket = connection
        self.controls = {}
        self.open_flags = None
        self.acknowledged = 0
        self.noops = 0

    def close(self):
        self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError("the client closed the connection")
            data += more
        return data

    def _reply(self, request, extras=b"", value=b"", status=0):
        self.send(frame(request.opcode, extras, b"", value, vbucket=status, opaque=request.opaque, magic=0x81))

    def receive(self):
        """The next frame, whatever it is."""
        magic, opcode, key, extras, datatype, vbucket, body, opaque, cas = _HEADER.unpack(self._read(_HEADER.size))
        rest = self._read(body)
        return Frame(
            magic, opcode, datatype, vbucket, opaque, cas, rest[:extras], rest[extras : extras + key],
            rest[extras + key :],
        )  # fmt: skip

    def step(self):
        """Takes one frame and answers it; returns a stream request, or nothing."""
        request = self.receive()
        if request.magic == 0x81:
            self.noops += request.opcode == NOOP
        elif request.opcode == HELLO:
            self._reply(request, value=request.value)
        elif request.opcode == MANIFEST:
            self._reply(request, value=json.dumps(self.producer.manifest).encode())
        elif request.opcode == COLLECTION_ID:
            self._reply(request, extras=struct.pack(">QI", 2, 9))
        elif request.opcode == SCOPE_ID:
            self._reply(request, extras=struct.pack(">QI", 2, 8))
        elif request.opcode == ALL_SEQNOS:
            self._reply(request, value=b"".join(struct.pack(">HQ", *pair) for pair in enumerate(self.producer.seqnos)))
        elif request.opcode == FAILOVER_LOG:
            self._reply(request, value=struct.pack(">QQ", self.producer.uuid, 0))
        elif request.opcode == STAT:
            items = str(self.producer.items).encode()
            self.send(frame(STAT, b"", b"curr_items", items, opaque=request.opaque, magic=0x81))
            self._reply(request)
        elif request.opcode == CONTROL:
            self.controls[request.key.decode()] = request.value.decode()
            self._reply(request)
        elif request.opcode == OPEN:
            self.open_flags = struct.unpack(">I", request.extras[4:])[0]
            self._reply(request)
        elif request.opcode == BUFFER_ACK:
            self.acknowledged += struct.unpack(">I", request.extras)[0]
        elif request.opcode == STREAM_REQUEST:
            flags, _, *numbers = struct.unpack(">IIQQQQQ", request.extras)
            return StreamRequest(request.vbucket, request.opaque, flags, *numbers, request.value)
        else:
            self._reply(request)
        return None

    def serve_to_end(self):
        """Answers until the client closes the connection."""
        try:
            while True:
                self.step()
        except (EOFError, OSError):
            pass

    def stream_requests(self, count):
        """The next ones, by vbucket."""
        found = {}
        while len(found) < count:
            request = self.step()
            if request:
                found[request.vbucket] = request
        return found

    def accept_stream(self, request, log=None):
        entries = log or [(self.producer.uuid, 0)]
        value = b"".join(struct.pack(">QQ", *entry) for entry in entries)
        self.send(frame(STREAM_REQUEST, value=value, opaque=request.opaque, magic=0x81))

    def refuse_stream(self, request, status, value=b""):
        self.send(frame(STREAM_REQUEST, value=value, vbucket=status, opaque=request.opaque, magic=0x81))

    def roll_back(self, request, seqno):
        self.refuse_stream(request, ROLLBACK, struct.pack(">Q", seqno))

    def open_streams(self, count):
        requests = self.stream_requests(count)
        for request in requests.values():
            self.accept_stream(request)
        return requests
