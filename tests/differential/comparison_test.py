"""The comparison itself: memcached equals memcached, and what differs is found, shrunk, excused by the list."""

import random
import unittest

from comparison import Comparison, describe
from differences import DIFFERENCES, Difference
from replies import CasTokens, normal
from requests import Generator

from lib import binary
from lib.server import Server

SEED = 20240229
ITEM_LIMIT = 1048576
# An over-long value is rare: the round with the first one is looked for, not waited for.
LARGE_ROUND_LIMIT = 2000


def first_round_with_a_large_value():
    for number in range(LARGE_ROUND_LIMIT):
        generator = Generator(random.Random(f"{SEED}/{number}"), b"r00000", ITEM_LIMIT)
        for _ in range(2):
            for request in generator.batch().requests:
                if any(isinstance(piece, bytes) and len(piece) > ITEM_LIMIT for piece in request):
                    return number
    raise AssertionError("no large value")


class ComparisonTest(unittest.TestCase):
    def test_memcached_equals_memcached(self):
        with Server("memcached") as one, Server("memcached") as other:
            comparison = Comparison(one, other, SEED, ITEM_LIMIT)
            mismatches = comparison.run(seconds=3)
        self.assertEqual([describe(mismatch) for mismatch in mismatches], [])
        self.assertGreater(comparison.batches_sent, 50)

    def test_a_changed_limit_is_found_and_shrunk_to_the_request_that_shows_it(self):
        number = first_round_with_a_large_value()
        with Server("memcached") as one, Server("memcached", max_item_size="2M") as other:
            mismatch = Comparison(one, other, SEED, ITEM_LIMIT).run(seconds=60, only_round=number)[0]
        self.assertIn(b"SERVER_ERROR object too large for cache\r\n", mismatch.theirs)
        self.assertLessEqual(sum(len(batch.requests) for batch in mismatch.batches), 3)

    def test_an_entry_of_the_list_excuses_what_it_describes(self):
        number = first_round_with_a_large_value()
        larger = Difference("larger", "for this test", lambda requests, theirs, ours: len(requests) > ITEM_LIMIT)
        with Server("memcached") as one, Server("memcached", max_item_size="2M") as other:
            comparison = Comparison(one, other, SEED, ITEM_LIMIT, differences=[larger])
            self.assertEqual(comparison.run(seconds=60, only_round=number), [])
        self.assertEqual(dict(comparison.excused), {"larger": 1})

    def test_the_same_seed_makes_the_same_requests(self):
        one, other = (Generator(random.Random("7/1"), b"r00001", ITEM_LIMIT) for _ in range(2))
        self.assertEqual([one.batch() for _ in range(50)], [other.batch() for _ in range(50)])

    def test_every_intended_difference_has_a_name_and_a_reason(self):
        self.assertEqual(len({each.name for each in DIFFERENCES}), len(DIFFERENCES))
        for each in DIFFERENCES:
            self.assertGreater(len(each.reason), 20, each.name)


class NormalTest(unittest.TestCase):
    def test_cas_values_become_the_order_of_their_appearance(self):
        tokens = CasTokens()
        reply = b"VALUE k 0 1 77\r\nx\r\nVALUE l 0 1 5\r\ny\r\nEND\r\nHD c77 t99\r\n"
        self.assertEqual(
            normal("text", reply, tokens),
            [b"VALUE k 0 1 cas1\r\n", b"x\r\n", b"VALUE l 0 1 cas2\r\n", b"y\r\n", b"END\r\n", b"HD cas1 t100\r\n"],
        )
        self.assertEqual(tokens.values, [77, 5])

    def test_values_are_not_read_as_lines(self):
        reply = b"VALUE k 0 13\r\nVERSION 1\r\nHD\r\nEND\r\n"
        self.assertEqual(normal("text", reply, CasTokens())[1], b"VERSION 1\r\nHD\r\n")

    def test_frames_that_are_not_whole_are_kept(self):
        frame = binary.request("noop", magic=binary.RESPONSE)
        self.assertEqual(len(normal("binary", frame + b"\x81\x00", CasTokens())), 2)
        self.assertEqual(normal("binary", b"ERROR\r\n", CasTokens()), [b"ERROR\r\n"])


if __name__ == "__main__":
    unittest.main()
