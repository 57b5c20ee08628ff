"""Sends the same batches to two servers, compares the replies, and shrinks what differs."""

import random
import struct
import time
from collections import Counter, namedtuple
from itertools import zip_longest

from differences import excuse
from replies import CasTokens, normal
from requests import FOREIGN_CAS, Batch, Cas, Generator, prefix_of_round

from lib.connection import exchange

BATCHES_PER_ROUND = 12
# More than one socket read of the servers: the end of the connection must not overtake the data.
LARGE = 8192

Mismatch = namedtuple("Mismatch", "seed round batches requests theirs ours")


class Pair:
    """Two servers with the CAS values seen from each. `theirs` is the model, `ours` the one on trial."""

    def __init__(self, theirs, ours):
        self._servers = (theirs, ours)
        self._tokens = (CasTokens(), CasTokens())

    def send(self, batch):
        """Returns (bytes sent to the model, its normalised replies, normalised replies of the other)."""
        known = min(len(tokens.values) for tokens in self._tokens)
        sent, replies = [], []
        for server, tokens in zip(self._servers, self._tokens):
            data = b"".join(_bytes(piece, tokens, known) for request in batch.requests for piece in request)
            reply = _exchange(server.endpoint, batch.kind, data)
            sent.append(data)
            replies.append(normal(batch.kind, reply, tokens))
        return sent[0], replies[0], replies[1]


def _bytes(piece, tokens, known):
    if not isinstance(piece, Cas):
        return piece
    value = tokens.values[piece.index % known] if known else FOREIGN_CAS
    # As many digits on both sides, so that a wrong length swallows as much.
    return b"%020d" % value if piece.text else struct.pack(">Q", value)


def _exchange(endpoint, kind, data):
    if len(data) < LARGE or kind == "binary":
        return exchange(endpoint, data)
    fence = b"mn\r\n"
    return exchange(endpoint, data + fence, end_after=b"MN\r\n")


class Comparison:
    """Rounds of random batches. Each round has its own keys and its own seed, so it can be run alone."""

    def __init__(self, theirs, ours, seed, item_limit, differences=None, verbose=False):
        self.pair_of = (theirs, ours)
        self.seed = seed
        self.item_limit = item_limit
        self.differences = differences
        self.verbose = verbose
        self.excused = Counter()
        self.batches_sent = 0
        self.unrepeatable = 0
        self._fresh_round = 50000

    def run(self, seconds, most_mismatches=5, only_round=None):
        """Runs rounds for the given time; returns the mismatches found, shrunk."""
        mismatches = []
        deadline = time.monotonic() + seconds
        number = only_round or 0
        while time.monotonic() < deadline and len(mismatches) < most_mismatches:
            mismatch = self.round(number)
            shrunk = mismatch and self.shrink(mismatch)
            if shrunk:
                mismatches.append(shrunk)
            elif mismatch:
                self.unrepeatable += 1
            if only_round is not None:
                break
            number += 1
        return mismatches

    def round(self, number):
        """One round; it ends with the first mismatch, excused or not, since the contents may differ from there."""
        pair = Pair(*self.pair_of)
        batches = []
        for batch in self._batches(number, prefix_of_round(number)):
            batches.append(batch)
            sent, theirs, ours = pair.send(batch)
            self.batches_sent += 1
            if self.verbose:
                print(f"{batch.kind}: {sent!r}\n  model {theirs!r}\n  ours  {ours!r}", flush=True)
            if theirs != ours:
                difference = excuse(sent, theirs, ours, self.differences)
                if difference:
                    self.excused[difference.name] += 1
                    return None
                return Mismatch(self.seed, number, batches, sent, theirs, ours)
        return None

    def _batches(self, number, prefix):
        generator = Generator(random.Random(f"{self.seed}/{number}"), prefix, self.item_limit)
        return [generator.batch() for _ in range(BATCHES_PER_ROUND)]

    def shrink(self, mismatch):
        """Leaves requests out as long as the last batch still differs, unexcused.

        Returns None if the round, sent once more with fresh keys, does not differ: memcached's answer then
        depended on something that was not in the requests.
        """
        shortest = self._replay(mismatch, set())
        if not shortest:
            return None
        left_out = set()
        places = [(at, place) for at, batch in enumerate(mismatch.batches) for place in range(len(batch.requests))]
        for place in places:
            shorter = self._replay(mismatch, left_out | {place})
            if shorter:
                left_out.add(place)
                shortest = shorter
        return shortest

    def _replay(self, mismatch, left_out):
        """The mismatching batches with fresh keys and without the requests at `left_out`: does the last differ?"""
        self._fresh_round += 1
        pair = Pair(*self.pair_of)
        replayed = []
        batches = self._batches(mismatch.round, prefix_of_round(self._fresh_round))[: len(mismatch.batches)]
        for at, batch in enumerate(batches):
            requests = [each for place, each in enumerate(batch.requests) if (at, place) not in left_out]
            if requests:
                replayed.append(Batch(batch.kind, requests))
                sent, theirs, ours = pair.send(replayed[-1])
                if theirs != ours and at < len(batches) - 1:
                    return None  # another difference, with which a round would have ended
            elif at == len(batches) - 1:
                return None
        if theirs == ours or excuse(sent, theirs, ours, self.differences):
            return None
        return mismatch._replace(batches=replayed, requests=sent, theirs=theirs, ours=ours)


def describe(mismatch):
    """What a person needs to see, and how to see it again."""
    lines = [f"BOBBIN_DIFF_SEED={mismatch.seed} BOBBIN_DIFF_ROUND={mismatch.round} runs the whole round again"]
    for batch in mismatch.batches[:-1]:
        lines.append(f"  before: {batch.requests!r}")
    lines.append(f"  sent:      {mismatch.requests!r}")
    pairs = list(zip_longest(mismatch.theirs, mismatch.ours))
    at = next(at for at, (theirs, ours) in enumerate(pairs) if theirs != ours)
    lines.append(f"  {at} replies are equal; then come")
    lines.append(f"  memcached: {mismatch.theirs[at : at + 3]!r}")
    lines.append(f"  bobbin:    {mismatch.ours[at : at + 3]!r}")
    return "\n".join(line if len(line) < 1500 else line[:1500] + "..." for line in lines)
