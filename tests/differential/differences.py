"""The intended differences between Bobbin and memcached 1.6.18, each with its reason.

The comparison asks this list about every batch whose replies differ. What no entry excuses is a failure.
"""

from collections import namedtuple

from lib.binary import STATUS

# excuses(requests, theirs, ours) -> bool: `requests` are the batch's bytes as sent to memcached, `theirs` and
# `ours` the normalised replies (differential/replies.py) of memcached and Bobbin.
Difference = namedtuple("Difference", "name reason excuses")


def _skips_too_much(requests, theirs, ours):
    """memcached's replies stop after "unknown command", Bobbin's begin with the same ones and go on."""
    stopped_at_unknown = bool(theirs) and getattr(theirs[-1], "status", None) == STATUS["unknown"]
    return stopped_at_unknown and ours[: len(theirs)] == theirs


DIFFERENCES = [
    Difference(
        "unknown-opcode-with-body",
        "memcached skips the extras and key of an unknown binary command twice, and with them requests that "
        "follow; Bobbin skips the body once and answers what follows",
        _skips_too_much,
    ),
]


def excuse(requests, theirs, ours, differences=None):
    """The first entry that excuses the difference, or None."""
    for difference in DIFFERENCES if differences is None else differences:
        if difference.excuses(requests, theirs, ours):
            return difference
    return None
