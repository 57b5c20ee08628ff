"""The replica finds what a stream may not say, and rolls back to what it had."""

import struct
import unittest

import mcbp
from rebuild_driver import History
from replica import Replica, Violation


def frame(opcode, extras=b"", key=b"", value=b"", cas=1):
    return mcbp.Frame(0x80, opcode, 0, 0, 0, cas, extras, key, value, 24)


def marker(start, end, flags=1):
    return frame(mcbp.MARKER, struct.pack(">QQI", start, end, flags))


def mutation(seqno, key=b"\0k", cas=1):
    return frame(mcbp.MUTATION, struct.pack(">QQIIIHB", seqno, 1, 0, 0, 0, 0, 0), key, b"v%d" % seqno, cas)


def deletion(seqno, key=b"\0k"):
    return frame(mcbp.DELETION, struct.pack(">QQIB", seqno, 1, 0, 0), key)


class ReplicaTest(unittest.TestCase):
    def setUp(self):
        self.replica = Replica([0])
        self.vbucket = self.replica.vbuckets[0]
        self.vbucket.granted(struct.pack(">QQ", 7, 0))

    def take(self, *frames):
        for one in frames:
            self.replica.take(one)

    def violates(self, *frames):
        with self.assertRaises(Violation):
            self.take(*frames)

    def test_order_duplicates_and_bounds(self):
        self.take(marker(0, 5), mutation(2), mutation(3, b"\0l"))
        self.violates(mutation(3, b"\0m"))
        self.violates(mutation(4, b"\0l"))
        self.violates(mutation(6, b"\0m"))
        self.violates(marker(6, 9))
        self.take(deletion(5, b"\0m"), marker(6, 6), deletion(6))
        self.assertEqual(set(self.vbucket.documents), {b"\0l"})
        self.violates(mutation(7))

    def test_goes_back(self):
        self.take(marker(0, 2), mutation(1), mutation(2, b"\0l"), marker(3, 4), mutation(3), deletion(4, b"\0l"))
        self.vbucket.roll_back(2)
        self.assertEqual({key: doc.value for key, doc in self.vbucket.documents.items()}, {b"\0k": b"v1", b"\0l": b"v2"})
        with self.assertRaises(Violation):
            self.vbucket.roll_back(3)
        self.vbucket.roll_back(0)
        self.assertEqual(self.vbucket.documents, {})

    def test_a_part_of_a_snapshot_is_completed(self):
        self.take(marker(0, 9), mutation(4))
        self.vbucket.granted(struct.pack(">QQ", 7, 0))
        self.violates(marker(5, 8))
        self.take(marker(5, 9))

    def test_gaps(self):
        history = History()
        history.note(0, 1, b"\0k", 1)
        history.note(0, 3, b"\0l", 1)
        self.take(marker(0, 3), mutation(1), mutation(3, b"\0l"))
        self.assertEqual(history.check(0, self.vbucket.whole.pop()), 2)
        history.note(0, 4, b"\0k", 1)
        history.note(0, 5, b"\0l", 1)
        self.take(marker(4, 5), mutation(5, b"\0l"))
        with self.assertRaises(Violation):
            history.check(0, self.vbucket.whole.pop())
        self.take(marker(6, 6), mutation(6, b"\0k", cas=2))
        history.note(0, 6, b"\0k", 1)
        with self.assertRaises(Violation):
            history.check(0, self.vbucket.whole.pop())


if __name__ == "__main__":
    unittest.main()
