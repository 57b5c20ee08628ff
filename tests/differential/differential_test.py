"""Bobbin and Debian's memcached get the same random requests and must give the same replies.

BOBBIN_DIFF_SEED chooses the seed, or "random" a new one each time (printed): the fixed default keeps accidents
of memcached out of a run that must be repeatable. BOBBIN_DIFF_SECONDS says how long it runs, BOBBIN_DIFF_ROUND runs one round of a seed alone and prints every exchange.
"""

import os
import random
import unittest

from comparison import Comparison, describe

from lib.server import Server

SEED = os.environ.get("BOBBIN_DIFF_SEED") or "20261124"
SEED = random.SystemRandom().randrange(2**32) if SEED == "random" else int(SEED)
SECONDS = float(os.environ.get("BOBBIN_DIFF_SECONDS") or 20)
ROUND = os.environ.get("BOBBIN_DIFF_ROUND")
# memcached's default; with a smaller one it is not stable.
ITEM_LIMIT = 1048576


class DifferentialTest(unittest.TestCase):
    def test_the_same_requests_get_the_same_replies(self):
        print(f"BOBBIN_DIFF_SEED={SEED}", flush=True)
        with Server("memcached") as memcached, Server() as bobbin:
            comparison = Comparison(memcached, bobbin, SEED, ITEM_LIMIT, verbose=ROUND is not None)
            mismatches = comparison.run(SECONDS, only_round=int(ROUND) if ROUND else None)
        print(
            f"{comparison.batches_sent} batches, excused: {dict(comparison.excused)}, "
            f"not seen again when repeated: {comparison.unrepeatable}",
            flush=True,
        )
        if mismatches:
            self.fail("\n" + "\n".join(describe(mismatch) for mismatch in mismatches))
        # memcached against itself comes to about one in ten thousand batches.
        self.assertLessEqual(comparison.unrepeatable, 3 + comparison.batches_sent / 1000)


if __name__ == "__main__":
    unittest.main()
