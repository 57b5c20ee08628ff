"""The model must notice what goes wrong, or the kills prove nothing."""

import math
import time
import unittest

from model import ABSENT, Key, Operation, State, Violation, check_order


def document(text, expiry=0):
    return State(text, 0, expiry)


class ModelTest(unittest.TestCase):
    def setUp(self):
        self.key = Key(b"k", "doc")

    def write(self, start, state, cas=None):
        operation = Operation("set" if state.value else "delete", self.key, b"", state)
        operation.start = start
        self.key.changed(state, operation, False)
        if cas:
            self.key.note_cas(cas, True)

    def send(self, start, kind, argument=None):
        operation = Operation(kind, self.key, b"", argument)
        operation.start = start
        self.key.pending.append(operation)

    def test_what_was_acknowledged_must_be_there(self):
        self.write(1, document(b"one"))
        self.write(2, document(b"two"))
        self.key.crash(time.monotonic())
        for lost in (document(b"one"), ABSENT, document(b"three")):
            with self.assertRaises(Violation):
                self.key.observe(lost, None)
        self.assertEqual(self.key.observe(document(b"two"), 7)[0], [(2, math.inf)])

    def test_what_was_deleted_must_not_come_back(self):
        self.write(1, document(b"one"))
        self.write(2, ABSENT)
        self.key.crash(time.monotonic())
        with self.assertRaises(Violation):
            self.key.observe(document(b"one"), 7)

    def test_what_was_not_acknowledged_may_be_there(self):
        self.write(1, document(b"one"))
        self.send(2, "append", b"two")
        self.send(3, "set", document(b"three"))
        for fine in (b"one", b"onetwo", b"three"):
            self.key.crash(time.monotonic())
            self.key.observe(document(fine), None)
            self.key.history = [self.key.now._replace(state=document(b"one"))]
            self.send(2, "append", b"two")
            self.send(3, "set", document(b"three"))
        self.key.crash(time.monotonic())
        with self.assertRaises(Violation):
            self.key.observe(document(b"threetwo"), None)

    def test_unsaved_changes_may_be_lost_but_not_those_before(self):
        self.write(1, document(b"one"))
        self.write(2, document(b"two"))
        known_until = time.monotonic()
        self.write(3, document(b"three"))
        self.key.crash(known_until)
        candidates = list(self.key.candidates)
        _, oldest_lost = self.key.observe(document(b"two"), None)
        self.assertGreater(oldest_lost, known_until)
        self.key.candidates = candidates
        with self.assertRaises(Violation):
            self.key.observe(document(b"one"), None)

    def test_a_number_keeps_its_length(self):
        def after(kind, before, by):
            return Operation(kind, self.key, b"", by).apply(document(before), False)[0].value

        self.assertEqual(after("decr", b"1000000", 9), b"999991 ")
        self.assertEqual(after("incr", b"999991 ", 3), b"999994 ")
        self.assertEqual(after("incr", b"999991 ", 9), b"1000000")
        self.assertEqual(after("incr", b"99", 1), b"100")

    def test_a_cas_must_rise(self):
        self.write(1, document(b"one"), 10)
        with self.assertRaises(Violation):
            self.write(2, document(b"two"), 10)
        self.key.floor_cas = 20
        with self.assertRaises(Violation):
            self.write(3, document(b"three"), 15)
        with self.assertRaises(Violation):
            self.key.crash(time.monotonic())
            self.key.observe(document(b"one"), 11)

    def test_an_expired_document_must_not_come_back(self):
        self.write(1, document(b"one", time.time() - 60))
        self.key.crash(time.monotonic())
        with self.assertRaises(Violation):
            self.key.observe(document(b"one", time.time()), 7)

    def test_later_changes_without_earlier_ones(self):
        check_order(1, {b"a": [(1, 5), (9, math.inf)], b"b": [(6, 12)]})
        with self.assertRaises(Violation):
            check_order(1, {b"a": [(1, 5)], b"b": [(6, 12)]})


if __name__ == "__main__":
    unittest.main()
