"""Random requests, well-formed and broken, from a seeded generator over a small key space.

A request is a tuple of pieces: bytes, or a Cas that stands for a token the server itself has handed out.
A batch is what one connection sends. Keys of a round share a prefix of PREFIX_LENGTH bytes.
"""

import base64
import struct
from collections import namedtuple

from lib import binary

PREFIX_LENGTH = 6

# `index` counts the CAS values seen so far (modulo their number); `text` chooses digits or 8 bytes.
Cas = namedtuple("Cas", "index text")
# `kind` is "text" (with meta) or "binary": how the replies are to be read.
Batch = namedtuple("Batch", "kind requests")

# Between 2^63 and 2^64 memcached 1.6.18 looks for a minus sign beyond the end of the number, so that its
# answer depends on what lies there: arithmetic in that range is tested in tests/hostile instead.
# Values around every width a parser might use, and things that are no numbers at all.
EDGES = [
    b"0", b"-1", b"1", b"+1", b" 1", b"01", b"1x", b"x", b"", b"0x10", b"1.5", b"127", b"32768", b"65536",
    b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"4294967295", b"4294967296", b"-4294967296",
    b"4611686018427387904", b"18446744073709551616", b"99999999999999999999999",
]  # fmt: skip
# What may stand where an exptime does: memcached cuts it to 32 bits, and whether that made the item expire shows
# only in later batches.
SMALL_EDGES = [edge for edge in EDGES if len(edge) < 10 or edge in (b"2147483647", b"99999999999999999999999")]
# Nothing that expires while a round runs: forever, long, already over, and both sides of the 30 days.
EXPIRIES = [b"0"] * 6 + [b"100", b"1000", b"-1", b"2592000", b"2592001", b"2000000000"]
STORES = ["set", "set", "set", "add", "replace", "append", "prepend", "cas"]
# An integer that no server hands out as a CAS value.
FOREIGN_CAS = 0x7EDCBA9876543210


def prefix_of_round(number):
    return b"r%05d" % (number % 100000)


class Generator:
    """Makes the batches of one round. `rng` is a seeded random.Random and the only source of chance."""

    def __init__(self, rng, prefix, item_limit):
        self.rng = rng
        self.prefix = prefix
        self.item_limit = item_limit
        # memcached changes a number in place, or not, depending on whether a reply with it waits to be sent, and
        # that shows (padding, stale and fetched marks). So numbers have keys of their own, never blank, never
        # appended to, and a batch either reads them or does arithmetic on them.
        self.text_keys = [prefix + suffix for suffix in (b"a", b"b", b"c")]
        self.number_keys = [prefix + suffix for suffix in (b"n", b"m")]
        # memcached forgets an earlier flush when a delayed one is announced: a round has one kind only.
        self.delayed_flushes = rng.random() < 0.5

    def batch(self):
        self.arithmetic = self.chance(0.4)
        self.keys = self.text_keys if self.arithmetic else self.text_keys + self.number_keys
        kind = self.rng.choice(["text", "meta", "both", "binary"])
        length = self.rng.choice([1, 2, 3, 5, 8, 20])
        if kind == "binary":
            return Batch("binary", self.binary_requests(length))
        makers = {"text": [self.text_request], "meta": [self.meta_request]}
        choice = makers.get(kind, [self.text_request, self.meta_request])
        return Batch("text", [self.rng.choice(choice)() for _ in range(length)])

    def pick(self, *choices):
        return self.rng.choice(choices)

    def chance(self, probability):
        return self.rng.random() < probability

    def key(self):
        if self.chance(0.97):
            return self.rng.choice(self.keys)
        return self.pick(
            self.prefix + b"k" * (250 - PREFIX_LENGTH), self.prefix + b"k" * (251 - PREFIX_LENGTH),
            self.prefix + b"k" * 300, self.prefix + b"\x01\x7f", self.prefix + b"\xc3\xbc",
        )  # fmt: skip

    def number_key(self):
        if self.arithmetic and self.chance(0.97):
            return self.rng.choice(self.number_keys)
        return self.pick(b"k" * 251, self.prefix + b"absent")

    def text_key(self):
        return self.rng.choice(self.text_keys)

    def value(self, key):
        numbers = [b"0", b"1", b"41", b"1099511627776", b"18446744073709551616", b"99  ", b"-5", b"text"]
        if key not in self.text_keys:
            return self.rng.choice(numbers)
        return self.pick(
            *numbers, b"", b"\r\n", b"a\r\nget x", bytes(range(256)), b"v" * self.rng.randrange(600), b"w" * 3000
        )

    def store_key(self, adds_to):
        """Any key for what replaces a value, a text key for what adds to one."""
        return self.text_key() if adds_to else self.key()

    def number(self):
        return self.rng.choice(EDGES) if self.chance(0.2) else b"%d" % self.rng.randrange(1000)

    def opaque(self):
        return b"O" + self.pick(b"1", b"abc", b"x" * 30, b"")

    # Text

    def text_request(self):
        maker = self.rng.choice(
            [self.text_get] * 4 + [self.text_store] * 6 + [self.text_arithmetic] * 2
            + [self.text_delete, self.text_touch, self.text_other]
        )  # fmt: skip
        return maker()

    def text_get(self):
        verb = self.pick(b"get", b"get", b"gets", b"gets", b"gat", b"gats")
        words = [verb, self.rng.choice(EXPIRIES)] if verb.startswith(b"gat") else [verb]
        # With one of several keys too long, memcached has fetched and touched some of the others, depending on the
        # rest; Bobbin none.
        keys = [self.key() for _ in range(self.pick(1, 1, 2, 3, 9, 30))]
        if len(keys) == 1:
            return self.line(words + keys)
        return self.line(words + [key for key in keys if len(key) <= 250], flaws=(0, 1, 2, 5, 6, 7))

    def text_store(self):
        verb = self.rng.choice(STORES).encode()
        key = self.store_key(verb in (b"append", b"prepend"))
        value = self.value(key)
        if self.chance(0.003):
            value = b"L" * (self.item_limit + self.pick(1, 100, 5000))
        flags = self.pick(b"0", b"0", b"5", b"2147483647")
        words = [verb, key, flags, self.rng.choice(EXPIRIES), b"%d" % len(value)]
        if verb == b"cas":
            words.append(self.pick(b"0", b"%d" % FOREIGN_CAS, *[Cas(self.rng.randrange(1000), True)] * 6))
        if self.chance(0.15):
            words.append(b"noreply")
        end = b"\r\n" if self.chance(0.97) else self.pick(b"\n", b"", b"\r", b"xx", b"x\r\n", b"\r\n\r\n")
        if key in self.number_keys:
            return self.line(words, breakable=False) + (value + b"\r\n",)
        return self.line(words) + (value + end,)

    def text_arithmetic(self):
        delta = self.rng.choice(EDGES) if self.chance(0.3) else b"%d" % self.rng.randrange(100)
        words = [self.pick(b"incr", b"decr"), self.number_key(), delta]
        return self.line(words + self.maybe_noreply())

    def text_delete(self):
        words = [b"delete", self.key()]
        if self.chance(0.1):
            words.append(self.pick(b"0", b"1", b"x"))
        return self.line(words + self.maybe_noreply())

    def text_touch(self):
        return self.line([b"touch", self.key(), self.rng.choice(EXPIRIES)] + self.maybe_noreply())

    def text_other(self):
        if self.chance(0.15):
            words = [b"flush_all"]
            if self.delayed_flushes:
                words.append(b"10000")
            return self.line(words + self.maybe_noreply(), breakable=False)
        return self.line(
            self.pick(
                [b"version"], [b"verbosity", b"0"], [b"verbosity"], [b"mn"], [b"nonsense"], [b""], [b"quit"],
                [b"GET", self.key()], [b"flush_all", b"x"], [b"get"], [b"set"],
            ),
        )  # fmt: skip

    def maybe_noreply(self):
        return [b"noreply"] if self.chance(0.15) else []

    def line(self, words, breakable=True, flaws=range(9)):
        """Joins words to a line, one in ten with something wrong: one of the flaws, by their numbers below."""
        end, separator = b"\r\n", b" "
        if breakable and self.chance(0.1):
            words = list(words)
            at = self.rng.randrange(len(words))
            flaw = self.rng.choice(flaws)
            if flaw == 0 and not any(isinstance(word, (Cas, tuple)) for word in words):
                del words[at]
            elif flaw == 1:
                words.insert(at, words[at])
            elif flaw == 2:
                words.append(self.pick(b"extra", b"noreply", b"0", b"noreply noreply"))
            elif flaw == 3:
                words[at] = (self.prefix if at == 1 else b"") + self.rng.choice(SMALL_EDGES)
            elif flaw == 4:
                words[at] = self.prefix + b"k" * self.pick(243, 244, 245, 1000)
            elif flaw == 5:
                separator = self.pick(b"  ", b"\t", b"     ")
            elif flaw == 6:
                end = self.pick(b"\n", b"\r\r\n", b" \r\n", b"\r\n\r\n", b"\0\r\n")
            elif flaw == 7:
                words[0] = self.pick(b" ", b"x") + words[0] if isinstance(words[0], bytes) else b"x"
            else:
                words = words[:2] + [self.rng.choice(SMALL_EDGES) if self.chance(0.5) else word for word in words[2:]]
        pieces = []
        for position, word in enumerate(words):
            pieces += ([separator] if position else []) + [word]
        return tuple(pieces) + (end,)

    # Meta

    def meta_request(self):
        maker = self.rng.choice(
            [self.meta_get] * 5 + [self.meta_set] * 6 + [self.meta_delete] * 2 + [self.meta_arithmetic] * 3
            + [self.meta_noop, self.meta_debug]
        )  # fmt: skip
        return maker()

    def meta_flags(self, allowed, most=5):
        """Some of the allowed flags, rarely one twice, one unknown, or a token where none belongs."""
        flags = []
        for _ in range(self.rng.randrange(most + 1)):
            flag = self.rng.choice(allowed)
            flags.append(flag() if callable(flag) else flag)
        if not self.chance(0.1):
            distinct = {}
            for flag in flags:
                distinct.setdefault(flag[:1] if isinstance(flag, bytes) else flag, flag)
            flags = list(distinct.values())
        if self.chance(0.05):
            odd = (b"!", b"zz", b"S", b"T", b"Tx", b"T-1", b"F", b"Fx", b"v9", b"k1", b"M", b"MZ", b"N")
            flags.append(self.rng.choice(odd))
        # With N and T, 1.6.18 takes the last for both; what follows from that shows only in later batches.
        if any(flag[:1] == b"N" for flag in flags):
            flags = [flag for flag in flags if flag[:1] != b"T"]
        return flags

    def expiry_flag(self, letter):
        return letter + self.rng.choice(EXPIRIES)

    def meta_get(self):
        def recache():
            return self.pick(b"R30", b"R500", b"R5000")

        allowed = [
            b"c", b"f", b"h", b"k", b"l", b"q", b"s", b"t", b"v", b"v", b"u", self.opaque,
            lambda: self.expiry_flag(b"T"), lambda: self.pick(b"N100", b"N0", b"N1000"),
            recache,
        ]  # fmt: skip
        key = self.key()
        if key in self.number_keys:
            # These tell whether memcached changed a number in place.
            allowed = [flag for flag in allowed if flag not in (b"s", b"h", b"l", recache)]
        return self.meta_line([b"mg", key] + self.meta_flags(allowed, 8))

    def cas_flag(self):
        return self.pick(b"C0", b"C%d" % FOREIGN_CAS, *[(b"C", Cas(self.rng.randrange(1000), True))] * 4)

    def meta_set(self):
        allowed = [
            b"c", b"k", b"q", b"I", b"I", self.opaque, lambda: self.expiry_flag(b"T"),
            lambda: b"F" + self.pick(b"0", b"5", b"4294967295", b"4294967296", b"-1"), self.cas_flag,
            lambda: b"M" + self.pick(b"S", b"A", b"P", b"R", b"E", b"s", b"append", b"r", b"e"),
            lambda: self.pick(b"N100", b"N0"),
        ]  # fmt: skip
        key = self.text_key()
        value = self.value(key)
        length = b"%d" % len(value) if self.chance(0.95) else self.number()
        end = b"\r\n" if self.chance(0.97) else self.pick(b"\n", b"", b"xx")
        return self.meta_line([b"ms", key, length] + self.meta_flags(allowed, 6)) + (value + end,)

    def meta_delete(self):
        allowed = [b"k", b"q", b"I", self.opaque, lambda: self.expiry_flag(b"T"), self.cas_flag]
        return self.meta_line([b"md", self.text_key()] + self.meta_flags(allowed))

    def meta_arithmetic(self):
        allowed = [
            b"q", b"t", b"c", b"v", b"v", b"k", self.opaque, b"N0", self.cas_flag,
            lambda: b"J" + self.number(), lambda: b"D" + self.number(),
            lambda: b"M" + self.pick(b"I", b"D", b"+", b"-", b"incr", b"decr", b"i", b"d", b"X"),
        ]  # fmt: skip
        # When the number gets longer, memcached gives T to the item that it has just replaced.
        flags = [flag for flag in self.meta_flags(allowed, 6) if flag != b"T-1"]
        return self.meta_line([b"ma", self.number_key()] + flags)

    def meta_noop(self):
        return self.meta_line([b"mn"])

    def meta_debug(self):
        return self.meta_line([b"me", self.text_key()])

    def meta_line(self, words):
        if len(words) > 1 and words[0] != b"ma" and self.chance(0.05):
            # Base64 keys, good and bad.
            whole = base64.b64encode(self.prefix + self.pick(b"", b"1", b"12", b"\0\r\n"))
            long = base64.b64encode(self.prefix * 31)
            words[1] = self.pick(whole, whole, whole[:-1], whole + b"=", b"=", self.prefix + b"!", long)
            words.append(b"b")
        joined = self.line(words)
        result = []
        for piece in joined:
            result += piece if isinstance(piece, tuple) and not isinstance(piece, Cas) else [piece]
        return tuple(result)

    # Binary

    def binary_requests(self, most):
        """Up to so many; an unknown command is the last, because memcached skips too much behind it."""
        requests = []
        self.unknown = False
        while len(requests) < most and not self.unknown:
            requests.append(self.binary_request())
        return requests

    def binary_request(self):
        verb = self.rng.choice(sorted(set(binary.OPCODES) - {"stat", "flush", "flushq"}))
        if self.chance(0.05):
            verb = self.pick("flush", "flushq")
        self.unknown = verb in ("sasl_auth", "sasl_step")
        parts = {"opaque": self.rng.randrange(2**32)}
        key, value, extras = self.binary_shape(verb)
        if self.chance(0.1):
            key, value, extras, verb = self.binary_flaw(parts, key, value, extras, verb)
        cas = self.pick(*[0] * 12, FOREIGN_CAS, *[Cas(self.rng.randrange(1000), False)] * 4)
        if isinstance(cas, int):
            return (binary.request(verb, key, value, extras, cas=cas, **parts),)
        whole = binary.request(verb, key, value, extras, **parts)
        return (whole[:16], cas, whole[24:])

    def binary_shape(self, verb):
        plain = verb.rstrip("q") if verb != "getq" else "get"
        expiry = self.pick(0, 0, 0, 100, 1000, 2592000, 2592001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
        key = self.store_key(plain in ("append", "prepend"))
        if plain in ("set", "add", "replace"):
            return key, self.value(key), struct.pack(">II", self.pick(0, 5, 0xFFFFFFFF), expiry)
        if plain in ("append", "prepend"):
            return key, self.value(key), b""
        if plain in ("increment", "decrement"):
            numbers = [0, 1, 7, 2**31, 2**40]
            return self.number_key(), b"", struct.pack(">QQI", self.pick(*numbers), self.pick(*numbers), expiry)
        if plain in ("touch", "gat", "gatk"):
            return key, b"", struct.pack(">I", expiry)
        if plain == "flush":
            return b"", b"", struct.pack(">I", 10000) if self.delayed_flushes else b""
        if plain == "verbosity":
            return b"", b"", b""  # with extras, memcached would lose what follows
        if plain in ("noop", "version", "quit", "sasl_list_mechs"):
            return b"", b"", b""
        return key, b"", b""

    def binary_flaw(self, parts, key, value, extras, verb):
        flaw = self.rng.randrange(9)
        if verb in ("flush", "flushq") or key in self.number_keys:
            return key, value, extras, verb
        if flaw == 0:
            extras = self.pick(b"", b"\0", b"\0" * 4, b"\0" * 8, b"\0" * 20, b"\0" * 21, b"\0" * 255)
        elif flaw == 1:
            key = self.pick(b"", *(self.prefix + b"k" * size for size in (244, 245, 1000)))
        elif flaw == 2:
            value = self.pick(b"", b"unexpected")
        elif flaw == 3:
            self.unknown = True
            verb = self.pick(0x1F, 0x25, 0x30, 0x40, 0x7F, 0x80, 0xC0, 0xFF)
        elif flaw == 4:
            parts["magic"] = self.pick(0x00, 0x7F, 0x81, 0xFF)
        elif flaw == 5:
            parts["datatype"] = self.pick(1, 5, 255)
        elif flaw == 6:
            parts["vbucket"] = self.pick(1, 1023, 65535)
        elif flaw == 7:
            parts["body_length"] = self.pick(0, 1, len(extras) + len(key) - 1 if key else 0, 2**31, 2**32 - 1)
        else:
            length = self.pick("key_length", "extras_length")
            parts[length] = self.pick(0, 1, 4, 8, 20, 255)
        return key, value, extras, verb
