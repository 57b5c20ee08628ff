"""The intended differences between Bobbin and memcached 1.6.18, each with its reason.

The comparison asks this list about every batch whose replies differ. What no entry excuses is a failure.
"""

import re
from collections import namedtuple
from itertools import zip_longest

from lib.binary import STATUS

# excuses(requests, theirs, ours) -> bool: `requests` are the batch's bytes as sent to memcached, `theirs` and
# `ours` the normalised replies (differential/replies.py) of memcached and Bobbin.
Difference = namedtuple("Difference", "name reason excuses")

LINE_TOO_LONG = b"CLIENT_ERROR line too long\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"


def _first(theirs, ours):
    """The first replies that differ; None where one side has no more."""
    return next(pair for pair in zip_longest(theirs, ours) if pair[0] != pair[1])


def _status(reply):
    return getattr(reply, "status", None)


def _is_prefix(theirs, ours):
    return len(theirs) < len(ours) and ours[: len(theirs)] == theirs


def _skips_too_much(_requests, theirs, ours):
    """One side's replies stop before or at a request whose body is skipped; the other's begin with the same ones and go on."""
    return (_is_prefix(theirs, ours) or _is_prefix(ours, theirs)) and any(
        _status(reply) in (STATUS["unknown"], STATUS["too_large"]) for reply in ours
    )


def _refuses_wrong_lengths(_requests, theirs, ours):
    """Bobbin says 04 and closes where memcached closes without a word, waits, or does as if nothing were."""
    return bool(ours) and _status(ours[-1]) == STATUS["invalid"] and ours[-1] not in theirs


def _knows_verbosity(_requests, theirs, ours):
    return any(getattr(reply, "opcode", None) == 0x1B for reply in ours + theirs)


def _unknown_whatever_its_lengths(_requests, theirs, ours):
    their, our = _first(theirs, ours)
    return _status(our) == STATUS["unknown"] and _status(their) == STATUS["invalid"]


def _line_too_long(requests, theirs, ours):
    return LINE_TOO_LONG in ours and any(len(line) > 2048 for line in requests.split(b"\n"))


def _longest_opaque(requests, theirs, ours):
    their, _our = _first(theirs, ours)
    exactly_32 = re.search(rb" O[^ \n]{32}[ \r\n]", requests)
    return their == b"CLIENT_ERROR opaque token too long\r\n" and exactly_32 is not None


def _newer_meta_flag(requests, theirs, ours):
    """x on md, E anywhere, N on ms (append to what is not there): 1.6.18 does not know them."""
    their, _our = _first(theirs, ours)
    newer = re.search(rb"m[gsad] [^\n]* [xE]|ms [^\n]* N\d", requests)
    refused = isinstance(their, bytes) and (their.startswith(b"CLIENT_ERROR invalid") or their.startswith(b"NS"))
    return refused and newer is not None


def _number_beyond_32_bits(requests, theirs, ours):
    """Client flags or a length that memcached cuts to 32 bits and Bobbin refuses."""
    _their, our = _first(theirs, ours)
    large = any(int(digits) >= 2**31 - 2 for digits in re.findall(rb"\d{10,20}", requests))
    return our == BAD_FORMAT and large


def _loses_replies_before_a_bad_key(requests, theirs, ours):
    return BAD_FORMAT in ours and re.search(rb"[^ \n]{251}", requests) is not None


def _ttl_of_created_number(requests, theirs, ours):
    their, our = _first(theirs, ours)
    creates = re.search(rb"ma [^\n]* N\d", requests) is not None
    ttl = re.compile(rb" t-?\d+")
    return creates and isinstance(their, bytes) and isinstance(our, bytes) and ttl.sub(b"", their) == ttl.sub(b"", our)


def _debug_of_an_item(_requests, theirs, ours):
    their, our = _first(theirs, ours)
    both = isinstance(their, bytes) and isinstance(our, bytes) and their.startswith(b"ME ")
    facts = re.compile(rb"^ME \S+ |exp=-?\d+")
    return both and facts.sub(b"", their) == facts.sub(b"", our)


_STORE_LINE = re.compile(
    rb"(?:(?:set|add|replace|append|prepend|cas)[ \t]+\S+[ \t]+\S+[ \t]+\S+|ms[ \t]+\S+)[ \t]+\+?(\d+)[^\n]*\n"
)


def _unfinished(requests):
    """True if some request announces more bytes than follow it, or is no frame of the binary protocol."""
    for line in _STORE_LINE.finditer(requests):
        if int(line.group(1)) + 2 > len(requests) - line.end():
            return True
    at = 0 if requests.startswith(b"\x80") else len(requests)
    while at < len(requests):
        if requests[at] != 0x80 or at + 24 > len(requests):
            return True
        body = int.from_bytes(requests[at + 8 : at + 12], "big")
        if at + 24 + body > len(requests):
            return True
        at += 24 + body
    return False


def _loses_replies_before_an_unfinished_request(requests, theirs, ours):
    return _is_prefix(theirs, ours) and _unfinished(requests)


def _creates_in_spite_of_its_error(requests, theirs, ours):
    return re.search(rb"m[ga] [^\n]* O[^ \r\n]{33}[^\n]* N\d|m[ga] [^\n]* N\d[^\n]* O[^ \r\n]{33}", requests) is not None


def _strict_base64(requests, theirs, ours):
    _their, our = _first(theirs, ours)
    return isinstance(our, bytes) and our.startswith(b"CLIENT_ERROR") and b" b" in requests


def _nul_in_line(requests, _theirs, _ours):
    return b"\0" in requests and not requests.startswith(b"\x80")


def _touches_what_it_creates(requests, _theirs, _ours):
    flags = [set(word[:1] for word in line.split()[2:]) for line in re.findall(rb"m[ga] [^\n]*", requests)]
    return any({b"N", b"T"} <= each for each in flags)


def _key_as_it_was_sent(requests, theirs, ours):
    if re.search(rb"m[ga] [^\n]* N\d", requests) and re.search(rb"m[ga] [^\n]* k\b[^\n]* b\b", requests):
        return True
    their, our = _first(theirs, ours)
    key = re.compile(rb" k\S+( b\b)?")
    both = isinstance(their, bytes) and isinstance(our, bytes)
    return both and their != key.sub(b"", their) and key.sub(b"", their) == key.sub(b"", our)


def _ttl_of_the_expired(_requests, theirs, ours):
    their, our = _first(theirs, ours)
    if not isinstance(their, bytes) or not isinstance(our, bytes):
        return False
    return re.sub(rb" t4290000000\b", b" t0", their) == our


def _minus_zero(requests, _theirs, _ours):
    return re.search(rb"-0\b", requests) is not None


def _says_hello(_requests, theirs, ours):
    return any(getattr(reply, "opcode", None) == 0x1F for reply in theirs + ours)


DIFFERENCES = [
    Difference(
        "hello",
        "Bobbin knows HELLO, with which Couchbase's clients begin; after it the binary protocol is Couchbase's",
        _says_hello,
    ),
    Difference(
        "unknown-opcode-with-body",
        "memcached skips the extras and key of an unknown binary command twice, and with them requests that "
        "follow; Bobbin skips the body once and answers what follows",
        _skips_too_much,
    ),
    Difference(
        "wrong-binary-lengths",
        "a binary request whose lengths do not fit its opcode always gets 'invalid arguments' before the "
        "connection closes; memcached closes some silently and overlooks surplus extras or values of others",
        _refuses_wrong_lengths,
    ),
    Difference("verbosity", "memcached 1.6.18 lacks the binary VERBOSITY of its own protocol", _knows_verbosity),
    Difference(
        "unknown-whatever-its-lengths",
        "an unknown command (SASL among them, without users) is called that whatever its lengths; memcached looks "
        "at the lengths first",
        _unknown_whatever_its_lengths,
    ),
    Difference(
        "line-too-long",
        "a line of more than 2048 bytes that is no retrieval is refused whether it arrives in one piece or not; "
        "memcached parses it if it lies in one read, so its answer depends on the network",
        _line_too_long,
    ),
    Difference(
        "opaque-of-32-bytes",
        "the protocol document allows 32 bytes of opaque; memcached 1.6.18 takes 31",
        _longest_opaque,
    ),
    Difference("newer-meta-flags", "flags that memcached learned after 1.6.18", _newer_meta_flag),
    Difference(
        "beyond-32-bits",
        "memcached cuts client flags and lengths to 32 bits, so that 4294967297 becomes 1; Bobbin refuses them",
        _number_beyond_32_bits,
    ),
    Difference(
        "replies-before-a-bad-key",
        "when a get names a key of more than 250 bytes, memcached drops the replies of the requests before it in "
        "the same read as well",
        _loses_replies_before_a_bad_key,
    ),
    Difference(
        "ttl-of-a-created-number",
        "ma with N gives the item that it creates the lifetime N, as documented; 1.6.18 lets it live for ever",
        _ttl_of_created_number,
    ),
    Difference("minus-zero", "-0 is no unsigned number; to memcached's strtoul it is one", _minus_zero),
    Difference(
        "debug-of-an-item",
        "me tells the seconds that are left, 1.6.18 tells them negative and in 32 bits; the key is shown as it was "
        "asked for, not as it was stored",
        _debug_of_an_item,
    ),
    Difference(
        "replies-before-an-unfinished-request",
        "what was answered is sent although the value of the last request does not come before the client ends; "
        "memcached sends it after the value, and so never",
        _loses_replies_before_an_unfinished_request,
    ),
    Difference(
        "creates-in-spite-of-its-error",
        "an mg that is refused for its opaque creates nothing; in memcached the item is there already",
        _creates_in_spite_of_its_error,
    ),
    Difference(
        "strict-base64",
        "base64 with characters or padding that the encoding does not have is refused; memcached skips them",
        _strict_base64,
    ),
    Difference(
        "nul-in-line",
        "NUL is an ordinary byte of a line; in memcached it ends the line or the word",
        _nul_in_line,
    ),
    Difference(
        "touches-what-it-creates",
        "mg and ma with N and T: N is the lifetime of an item that is created, T the new one of an item that is there; "
        "in 1.6.18 whichever comes last is both",
        _touches_what_it_creates,
    ),
    Difference(
        "key-as-it-was-sent",
        "k returns the key as it was sent; 1.6.18 as it was stored, base64 or not, and decoded by what creates it",
        _key_as_it_was_sent,
    ),
    Difference(
        "ttl-of-the-expired",
        "an item whose time is over has 0 seconds left; in memcached the number wraps",
        _ttl_of_the_expired,
    ),
]


def excuse(requests, theirs, ours, differences=None):
    """The first entry that excuses the difference, or None."""
    for difference in DIFFERENCES if differences is None else differences:
        if difference.excuses(requests, theirs, ours):
            return difference
    return None
