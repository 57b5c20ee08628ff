"""Makes the replies of two servers comparable: what must differ is replaced by what it stands for."""

import re

from lib import binary

_VALUE = re.compile(rb"^(VALUE [^ ]+ \d+ )(\d+)( \d+)?$")
_META_VALUE = re.compile(rb"^VA (\d+)")
_SIZE = re.compile(rb"^(VALUE [^ ]+ \d+ |VA )\d+")
_META_LINE = re.compile(rb"^(HD|EN|NS|EX|NF|VA) ")
# Above 30 days a lifetime is a time.
RELATIVE_LIMIT = 60 * 60 * 24 * 30
_DEBUG_FIELD = re.compile(rb"\b(la|cls|size|cas)=\S+")


class CasTokens:
    """The CAS values of one server, numbered as they were first seen."""

    def __init__(self):
        self._numbers = {}
        self.values = []

    def name(self, value):
        """A value's number; 0 stays 0."""
        if value == 0:
            return 0
        if value not in self._numbers:
            self.values.append(value)
            self._numbers[value] = len(self.values)
        return self._numbers[value]

    def hide(self, value):
        """The value without CAS values of requests that became part of it: those have 20 digits."""
        return re.sub(rb"\d{20}", lambda found: b"c" * 20 if int(found.group()) in self._numbers else found.group(), value)


def normal(kind, reply, tokens):
    """The reply as a list of comparable items: lines, values and frames. Adds to `tokens`."""
    return _normal_binary(reply, tokens) if kind == "binary" else _normal_text(reply, tokens)


def _normal_text(reply, tokens):
    items = []
    at = 0
    while at < len(reply):
        end = reply.find(b"\r\n", at)
        if end < 0:
            items.append(reply[at:])
            break
        line = reply[at:end]
        at = end + 2
        size = None
        value = _VALUE.match(line)
        if value:
            size = int(value.group(2))
            if value.group(3):
                line = value.group(1) + value.group(2) + b" cas%d" % tokens.name(int(value.group(3)))
        elif _META_LINE.match(line):
            meta_value = _META_VALUE.match(line)
            size = int(meta_value.group(1)) if meta_value else None
            line = b" ".join(_meta_flag(word, tokens) for word in line.split(b" "))
        elif line.startswith(b"ME "):
            line = _DEBUG_FIELD.sub(rb"\1=*", line)
            line = re.sub(rb"exp=(-?\d+)", lambda found: b"exp=" + _coarse(found.group(1)), line)
        elif line.startswith(b"VERSION "):
            line = b"VERSION *"
        if size is not None:
            data = _unpadded(tokens.hide(reply[at : at + size]))
            line = _SIZE.sub(lambda found: found.group(1) + b"%d" % len(data), line)
            items += [line + b"\r\n", data + reply[at + size : at + size + 2]]
            at += size + 2
        else:
            items.append(line + b"\r\n")
    return items


def _unpadded(value):
    """A number without the blanks that memcached leaves behind it, or not, depending on its state."""
    return value.rstrip(b" ") if re.fullmatch(rb"\d+ +", value) else value


def _meta_flag(word, tokens):
    if re.fullmatch(rb"c\d+", word):
        return b"cas%d" % tokens.name(int(word[1:]))
    if re.fullmatch(rb"t-?\d+", word):
        return b"t" + _coarse(word[1:])
    if re.fullmatch(rb"l\d+", word):
        return b"l" + _coarse(word[1:])
    return word


def _coarse(seconds):
    """Seconds to the nearest hundred: the two servers were not asked at the same moment.

    What is left until a time in the far future passes by every number, so that is told apart from others only.
    """
    number = int(seconds)
    unit = 100 if number <= RELATIVE_LIMIT else 10_000_000
    return seconds if number == -1 else b"%d" % (round(number / unit) * unit)


def _normal_binary(reply, tokens):
    frames, rest = binary.responses(reply)
    items = []
    for frame in frames:
        if frame.opcode == binary.OPCODES["version"] and frame.status == 0:
            frame = frame._replace(value=b"*")
        frame = frame._replace(value=_unpadded(tokens.hide(frame.value)))
        items.append(frame._replace(cas=f"cas{tokens.name(frame.cas)}"))
    return items + ([rest] if rest else [])
