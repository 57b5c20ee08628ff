"""Everything that a server has, as its change streams tell it, so that two servers can be compared."""

import struct
from collections import namedtuple

from lib import streams
from lib.connection import Connection
from lib.server import poll

HEADER = struct.Struct(">BBHBBHIIQ")
VBUCKETS = 1024
_PRODUCER, _XATTRS, _DELETE_TIMES, _DELETED_USER_XATTRS = 0x01, 0x04, 0x20, 0x100
_TO_LATEST = 0x04
_FEATURES = (0x06, 0x08, 0x0B, 0x12)  # xattr, select_bucket, json, collections

Document = namedtuple("Document", "seqno cas revision flags expiry datatype value")
Removal = namedtuple("Removal", "seqno cas revision expired datatype value")
Event = namedtuple("Event", "kind name value")
_COLLECTION_DROPPED = 1


class Streams:
    """A connection that speaks Couchbase's protocol, with collections, and a bucket selected."""

    def __init__(self, endpoint, bucket="default"):
        self.connection = Connection(endpoint)
        self.ask(streams.HELLO, key=b"content", value=b"".join(struct.pack(">H", number) for number in _FEATURES))
        self.ask(streams.SELECT_BUCKET, key=bucket.encode())

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def frame(self):
        header = self.connection.read(HEADER.size)
        if len(header) < HEADER.size:
            raise AssertionError("the server closed the connection")
        magic, opcode, key, extras, datatype, vbucket, body, opaque, cas = HEADER.unpack(header)
        rest = self.connection.read(body)
        return streams.Frame(
            magic, opcode, datatype, vbucket, opaque, cas, rest[:extras], rest[extras : extras + key],
            rest[extras + key :],
        )  # fmt: skip

    def ask(self, opcode, may_fail=False, **parts):
        """Sends a request, and returns its reply."""
        self.connection.send(streams.frame(opcode, **parts))
        reply = self.frame()
        assert reply.opcode == opcode, reply
        assert may_fail or reply.vbucket == 0, f"opcode {opcode:#x}: status {reply.vbucket:#x} {reply.value!r}"
        return reply

    def seqnos(self):
        """By vbucket."""
        value = self.ask(streams.ALL_SEQNOS).value
        return dict(struct.unpack_from(">HQ", value, at) for at in range(0, len(value), 10))

    def stats(self, group):
        """The statistics as a dictionary of strings."""
        found = {}
        reply = self.ask(streams.STAT, key=group)
        while reply.key:
            found[reply.key.decode()] = reply.value.decode()
            reply = self.frame()
        return found

    def first_marker(self, vbucket):
        """Of a stream from the beginning: start and end of its first snapshot."""
        self.ask(streams.OPEN, key=b"first marker", extras=struct.pack(">II", 0, _PRODUCER))
        extras = struct.pack(">IIQQQQQ", 0, 0, 0, (1 << 64) - 1, 0, 0, 0)
        self.ask(streams.STREAM_REQUEST, extras=extras, vbucket=vbucket)
        return struct.unpack_from(">QQ", self.frame().extras)

    def history(self, vbucket):
        """The failover log, the newest first."""
        value = self.ask(streams.FAILOVER_LOG, vbucket=vbucket).value
        return [struct.unpack_from(">QQ", value, at) for at in range(0, len(value), 16)]


def seqnos(endpoint, bucket="default"):
    with Streams(endpoint, bucket) as client:
        return client.seqnos()


def content(endpoint, bucket="default"):
    """By vbucket: what became of each key, and the events of collections, by their seqnos."""
    found = {}
    with Streams(endpoint, bucket) as client:
        ends = {vbucket: seqno for vbucket, seqno in client.seqnos().items() if seqno}
        flags = _PRODUCER | _XATTRS | _DELETE_TIMES | _DELETED_USER_XATTRS
        client.ask(streams.OPEN, key=b"content %d" % id(client), extras=struct.pack(">II", 0, flags))
        client.ask(streams.CONTROL, key=b"enable_expiry_opcode", value=b"true")
        client.ask(streams.CONTROL, key=b"bobbin_collection_changes", value=b"true")
        for vbucket in ends:
            extras = struct.pack(">IIQQQQQ", _TO_LATEST, 0, 0, (1 << 64) - 1, 0, 0, 0)
            client.connection.send(streams.frame(streams.STREAM_REQUEST, extras, vbucket=vbucket, opaque=vbucket))
        left = set(ends)
        while left:
            frame = client.frame()
            if frame.magic == 0x81:
                assert frame.vbucket == 0, frame
            elif frame.opcode == streams.STREAM_END:
                assert struct.unpack(">I", frame.extras)[0] == 0, frame
                left.discard(frame.vbucket)
            else:
                _note(found.setdefault(frame.vbucket, {}), frame)
    return found


def _note(place, frame):
    if frame.opcode == streams.MUTATION:
        seqno, revision, flags, expiry = struct.unpack_from(">QQII", frame.extras)
        place[frame.key] = Document(seqno, frame.cas, revision, flags, expiry, frame.datatype, frame.value)
    elif frame.opcode in (streams.DELETION, streams.EXPIRATION):
        seqno, revision = struct.unpack_from(">QQ", frame.extras)
        expired = frame.opcode == streams.EXPIRATION
        place[frame.key] = Removal(seqno, frame.cas, revision, expired, frame.datatype, frame.value)
    elif frame.opcode == streams.SYSTEM_EVENT:
        seqno, kind, _ = struct.unpack(">QIB", frame.extras)
        if kind == _COLLECTION_DROPPED:
            _forget(place, frame.value[12:16])
        place[seqno] = Event(kind, frame.key, frame.value)


def _forget(place, collection):
    """What was in a collection that is dropped, and that it was made, goes at some time: later here than there."""
    (number,) = struct.unpack(">I", collection)
    prefix = b""
    while number >= 0x80:
        prefix += bytes([number & 0x7F | 0x80])
        number >>= 7
    prefix += bytes([number])
    for key in list(place):
        is_event = isinstance(key, int) and place[key].value[12:16] == collection
        if is_event or (isinstance(key, bytes) and key.startswith(prefix)):
            del place[key]


def differences(one, other):
    """A few words for each; none where both have the same."""
    found = []
    for vbucket in sorted(set(one) | set(other)):
        here, there = one.get(vbucket, {}), other.get(vbucket, {})
        for key in set(here) | set(there):
            if here.get(key) != there.get(key):
                found.append(f"vbucket {vbucket}, {key!r}: {here.get(key)} and {there.get(key)}")
    return found


def follow_stats(endpoint, bucket="default"):
    with Streams(endpoint, bucket) as client:
        return client.stats(b"follow")


def wait_until_same_seqnos(source, follower, patience_s=60, bucket="default"):
    """The follower has what the source has, where more may expire meanwhile, and follows it."""

    def is_there():
        try:
            stats = follow_stats(follower, bucket)
            is_open = stats["follow_streams"] == str(VBUCKETS)
            return is_open and seqnos(follower, bucket) == seqnos(source, bucket)
        except (OSError, AssertionError, KeyError):
            return False

    try:
        poll(is_there, "the follower to catch up", patience_s)
    except AssertionError as error:
        with Connection(follower) as client:
            raise AssertionError(f"{error}; default bucket: {client.stats(b'follow')}") from None


def assert_same(source, follower, bucket="default"):
    wait_until_same_seqnos(source, follower, bucket=bucket)
    wrong = differences(content(source, bucket), content(follower, bucket))
    assert not wrong, f"{len(wrong)} differences: {wrong[:5]}"
