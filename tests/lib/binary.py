"""Frames of memcached's binary protocol (wiki page BinaryProtocolRevamped)."""

import struct
from collections import namedtuple

REQUEST, RESPONSE = 0x80, 0x81
OPCODES = {
    name: number
    for number, name in enumerate(
        "get set add replace delete increment decrement quit flush getq noop version getk getkq append prepend "
        "stat setq addq replaceq deleteq incrementq decrementq quitq flushq appendq prependq verbosity "
        "touch gat gatq".split()
    )
}
OPCODES["gatk"], OPCODES["gatkq"] = 0x23, 0x24
OPCODES["sasl_list_mechs"], OPCODES["sasl_auth"], OPCODES["sasl_step"] = 0x20, 0x21, 0x22
STATUS = {
    "ok": 0, "not_found": 1, "exists": 2, "too_large": 3, "invalid": 4, "not_stored": 5, "not_a_number": 6,
    "unknown": 0x81, "out_of_memory": 0x82,
}  # fmt: skip

_HEADER = struct.Struct(">BBHBBHIIQ")
Response = namedtuple("Response", "magic opcode status datatype opaque cas extras key value")


def request(
    opcode, key=b"", value=b"", extras=b"", *, cas=0, opaque=0, vbucket=0, datatype=0, magic=REQUEST,
    key_length=None, extras_length=None, body_length=None,
):  # fmt: skip
    """One request. Lengths are those of the parts unless the caller lies about them."""
    number = OPCODES[opcode] if isinstance(opcode, str) else opcode
    header = _HEADER.pack(
        magic,
        number,
        len(key) if key_length is None else key_length,
        len(extras) if extras_length is None else extras_length,
        datatype,
        vbucket,
        len(extras) + len(key) + len(value) if body_length is None else body_length,
        opaque,
        cas,
    )
    return header + extras + key + value


def store(opcode, key, value, flags=0, expiry=0, **more):
    return request(opcode, key, value, struct.pack(">II", flags, expiry), **more)


def count(opcode, key, delta=1, initial=0, expiry=0, **more):
    return request(opcode, key, b"", struct.pack(">QQI", delta, initial, expiry), **more)


def responses(data):
    """Cuts data into responses; returns them and the bytes that are left over."""
    found = []
    while len(data) >= _HEADER.size:
        magic, opcode, key_length, extras_length, datatype, status, body, opaque, cas = _HEADER.unpack_from(data)
        if magic != RESPONSE or len(data) < _HEADER.size + body:
            break
        rest = data[_HEADER.size : _HEADER.size + body]
        key_end = extras_length + key_length
        found.append(
            Response(
                magic, opcode, status, datatype, opaque, cas, rest[:extras_length], rest[extras_length:key_end],
                rest[key_end:],
            )
        )  # fmt: skip
        data = data[_HEADER.size + body :]
    return found, data


def ask(connection, *requests):
    """Sends requests and a noop over a lib.connection.Connection; returns what came before the noop's answer."""
    marker = 0xB0BB1E00
    connection.send(b"".join(requests) + request("noop", opaque=marker))
    found = []
    while True:
        header = connection.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise AssertionError(f"closed instead of answering; before that came {found}")
        body = connection.read(_HEADER.unpack(header)[6])
        parsed, rest = responses(header + body)
        if not parsed or rest:
            raise AssertionError(f"not a response: {header!r}")
        if parsed[0].opcode == OPCODES["noop"] and parsed[0].opaque == marker:
            return found
        found += parsed
