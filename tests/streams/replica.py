"""What a consumer of change streams rebuilds of a bucket, and the rules that every message is held against."""

import struct
from collections import Counter, namedtuple

import mcbp

Document = namedtuple("Document", "value flags expiry seqno cas revision")
# `changes`: key to (seqno, cas, whether it is there) of one snapshot, of all up to `end` behind `after`.
Snapshot = namedtuple("Snapshot", "after end changes")

_MUTATION = struct.Struct(">QQIII")
_REMOVAL = struct.Struct(">QQ")


class Violation(Exception):
    """A stream has said what it may not say."""


class VBucket:
    def __init__(self, number):
        self.number = number
        self.documents = {}
        self.uuid = 0
        self.seqno = 0
        self.snapshot_start = 0
        self.snapshot_end = 0
        self.undo = []  # (seqno, key, what was there), oldest first, since undo_from
        self.undo_from = 0
        self.open = None  # the snapshot under way
        self.whole = []  # snapshots that were complete and not yet checked
        self.is_streaming = False

    # --- what it asks for ---

    def stream_request(self):
        start, end = self.snapshot_start, self.snapshot_end
        if self.seqno == end:
            start = self.seqno
        fields = struct.pack(">IIQQQQQ", 0, 0, self.seqno, (1 << 64) - 1, self.uuid, min(start, self.seqno), end)
        return mcbp.request(mcbp.STREAM_REQUEST, extras=fields, vbucket=self.number, opaque=self.number)

    def granted(self, log):
        self.uuid = struct.unpack_from(">Q", log)[0]
        self.is_streaming = True
        self.open = None
        # Who has nothing of a snapshot, or all of it, is between two.
        if self.seqno <= self.snapshot_start or self.seqno == self.snapshot_end:
            self.snapshot_start = self.snapshot_end = self.seqno

    def roll_back(self, seqno):
        """Takes back what came after `seqno`; where that is not known any more, all."""
        if seqno > self.seqno:
            raise Violation(f"vbucket {self.number} at {self.seqno} is to roll back to {seqno}")
        if seqno < self.undo_from:
            seqno = 0
        if seqno == 0:
            self.documents.clear()
            self.undo.clear()
            self.undo_from = self.uuid = 0
        while self.undo and self.undo[-1][0] > seqno:
            _, key, before = self.undo.pop()
            if before is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = before
        self.seqno = self.snapshot_start = self.snapshot_end = seqno
        self.open = None

    # --- what it is sent ---

    def marker(self, frame):
        if len(frame.extras) != 20:
            raise Violation(f"a marker of {len(frame.extras)} bytes")
        start, end, _ = struct.unpack(">QQI", frame.extras)
        if self.open is not None:
            raise Violation(f"vbucket {self.number}: a snapshot to {end} before {self.seqno} has reached {self.open.end}")
        if end <= self.seqno or start > self.seqno + 1 and start > end:
            raise Violation(f"vbucket {self.number} at {self.seqno}: a snapshot {start}-{end}")
        if end < self.snapshot_end:
            raise Violation(f"vbucket {self.number}: of the snapshot to {self.snapshot_end} it had a part, and gets {end}")
        self.snapshot_start, self.snapshot_end = start, end
        self.open = Snapshot(self.seqno, end, {})
        self._forget_old()

    def change(self, seqno, key, cas, document):
        if self.open is None or seqno > self.open.end:
            raise Violation(f"vbucket {self.number}: {key!r} at {seqno} is outside of its snapshot")
        if seqno <= self.seqno:
            raise Violation(f"vbucket {self.number}: {key!r} at {seqno} comes behind {self.seqno}")
        if key in self.open.changes:
            raise Violation(f"vbucket {self.number}: {key!r} comes twice in a snapshot, {self.open.changes[key]}, {seqno}")
        self.open.changes[key] = (seqno, cas, document is not None)
        self.undo.append((seqno, key, self.documents.get(key)))
        if document is None:
            self.documents.pop(key, None)
        else:
            self.documents[key] = document
        self.reach(seqno)

    def drop(self, collection):
        """A collection is gone, with all that is in it."""
        gone = [key for key in self.documents if mcbp.collection_of(key) == collection]
        for key in gone:
            del self.documents[key]
        # It cannot be taken back: what was there is not kept.
        self.undo.clear()
        self.undo_from = self.seqno

    def reach(self, seqno):
        self.seqno = seqno
        if self.open is not None and seqno == self.open.end:
            self.whole.append(self.open)
            self.open = None

    def _forget_old(self):
        if len(self.undo) > 20_000:
            self.undo_from = self.undo[10_000][0]
            del self.undo[:10_001]


class Replica:
    """The streams of some vbuckets."""

    def __init__(self, numbers):
        self.vbuckets = {number: VBucket(number) for number in numbers}
        self.counts = Counter()
        self.dropped = set()

    def follow(self, connection, numbers=None):
        """Asks for all streams from where this is, and rolls back where it is told to."""
        wanted = list(numbers or self.vbuckets)
        for attempt in range(4):
            replies = connection.ask_all([self.vbuckets[number].stream_request() for number in wanted])
            again = []
            for number, reply in zip(wanted, replies):
                vbucket = self.vbuckets[number]
                if reply.status == mcbp.ROLLBACK:
                    to = struct.unpack(">Q", reply.value)[0]
                    self.counts["rollbacks to 0" if to == 0 else "rollbacks"] += 1
                    vbucket.roll_back(to)
                    again.append(number)
                elif reply.status != mcbp.OK:
                    raise Violation(f"vbucket {number} is refused: status {reply.status:#x}, try {attempt}")
                else:
                    vbucket.granted(reply.value)
            if not again:
                return
            wanted = again
        raise Violation(f"vbuckets {wanted} are asked to roll back again and again")

    def take(self, frame):
        """One message of a stream."""
        vbucket = self.vbuckets.get(frame.status)
        if vbucket is None or not vbucket.is_streaming:
            raise Violation(f"message {frame.opcode:#x} of vbucket {frame.status}, which has no stream")
        self.counts["messages"] += 1
        if frame.opcode == mcbp.MUTATION:
            seqno, revision, flags, expiry, _ = _MUTATION.unpack_from(frame.extras)
            document = Document(frame.value, flags, expiry, seqno, frame.cas, revision)
            vbucket.change(seqno, frame.key, frame.cas, document)
        elif frame.opcode in (mcbp.DELETION, mcbp.EXPIRATION):
            seqno, _ = _REMOVAL.unpack_from(frame.extras)
            self.counts["expirations" if frame.opcode == mcbp.EXPIRATION else "deletions"] += 1
            vbucket.change(seqno, frame.key, frame.cas, None)
        elif frame.opcode == mcbp.MARKER:
            flags = frame.extras[19]
            self.counts["snapshots of disk" if flags & 2 else "snapshots of memory"] += 1
            vbucket.marker(frame)
        elif frame.opcode == mcbp.SEQNO_ADVANCED:
            seqno = struct.unpack(">Q", frame.extras)[0]
            if vbucket.open is None or not vbucket.seqno < seqno <= vbucket.open.end:
                raise Violation(f"vbucket {vbucket.number} at {vbucket.seqno} is moved to {seqno}")
            vbucket.reach(seqno)
        elif frame.opcode == mcbp.SYSTEM_EVENT:
            self._event(vbucket, frame)
        elif frame.opcode == mcbp.STREAM_END:
            self.counts[f"ends for reason {struct.unpack('>I', frame.extras)[0]}"] += 1
            vbucket.is_streaming = False
            return vbucket.number
        else:
            raise Violation(f"an unknown message, {frame.opcode:#x}")
        return None

    def _event(self, vbucket, frame):
        seqno, event, _ = struct.unpack(">QIB", frame.extras)
        if vbucket.open is None or not vbucket.seqno < seqno <= vbucket.open.end:
            raise Violation(f"vbucket {vbucket.number} at {vbucket.seqno}: an event at {seqno}")
        self.counts["events"] += 1
        vbucket.reach(seqno)
        if event == 1:
            _, _, collection = struct.unpack(">QII", frame.value)
            self.dropped.add(collection)
            vbucket.drop(collection)

    def ended(self):
        """The connection is gone."""
        for vbucket in self.vbuckets.values():
            vbucket.is_streaming = False
