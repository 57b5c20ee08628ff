"""Every command on every kind of key: in memory, evicted, unknown, and the same right after a restart."""

import re
import struct

from harness import EVICT, RESTART

from lib import binary

# Name, request on key K, and for a document "10" and for no document: the answer and the value afterwards. `quiet`
# is the same request without an answer.
TEXT = {
    "set": ("set {K} 0 0 2\n77", ("STORED", "77"), ("STORED", "77"), "set {K} 0 0 2 noreply\n77"),
    "add": ("add {K} 0 0 2\n77", ("NOT_STORED", "10"), ("STORED", "77"), "add {K} 0 0 2 noreply\n77"),
    "replace": ("replace {K} 0 0 2\n77", ("STORED", "77"), ("NOT_STORED", None), "replace {K} 0 0 2 noreply\n77"),
    "append": ("append {K} 0 0 2\n77", ("STORED", "1077"), ("NOT_STORED", None), "append {K} 0 0 2 noreply\n77"),
    "prepend": ("prepend {K} 0 0 2\n77", ("STORED", "7710"), ("NOT_STORED", None), "prepend {K} 0 0 2 noreply\n77"),
    "cas": ("cas {K} 0 0 2 3\n77", ("EXISTS", "10"), ("NOT_FOUND", None), "cas {K} 0 0 2 3 noreply\n77"),
    "incr": ("incr {K} 5", ("15", "15"), ("NOT_FOUND", None), "incr {K} 5 noreply"),
    "decr": ("decr {K} 5", ("5", "5 "), ("NOT_FOUND", None), "decr {K} 5 noreply"),
    "touch": ("touch {K} 0", ("TOUCHED", "10"), ("NOT_FOUND", None), "touch {K} 0 noreply"),
    "gat": ("gat 0 {K}", ("VALUE K 0 2\n10\nEND", "10"), ("END", None), None),
    "get": ("get {K}", ("VALUE K 0 2\n10\nEND", "10"), ("END", None), None),
    "delete": ("delete {K}", ("DELETED", None), ("NOT_FOUND", None), "delete {K} noreply"),
}

META = {
    "ms": ("ms {K} 2\n77", ("HD", "77"), ("HD", "77"), "ms {K} 2 q\n77"),
    "ms-add": ("ms {K} 2 ME\n77", ("NS", "10"), ("HD", "77"), None),
    "ms-replace": ("ms {K} 2 MR\n77", ("HD", "77"), ("NS", None), None),
    "ms-append": ("ms {K} 2 MA\n77", ("HD", "1077"), ("NS", None), None),
    "ms-append-vivify": ("ms {K} 2 MA N0\n77", ("HD", "1077"), ("HD", "77"), "ms {K} 2 MA N0 q\n77"),
    "ms-prepend": ("ms {K} 2 MP\n77", ("HD", "7710"), ("NS", None), None),
    "ms-cas": ("ms {K} 2 C3\n77", ("EX", "10"), ("NF", None), None),
    "mg": ("mg {K} v f s k", ("VA 2 f0 s2 kK\n10", "10"), ("EN kK", None), None),
    "mg-no-value": ("mg {K} s f t", ("HD s2 f0 t-1", "10"), ("EN", None), None),
    "mg-touch": ("mg {K} v T0 t", ("VA 2 t-1\n10", "10"), ("EN", None), None),
    "mg-vivify": ("mg {K} v N0", ("VA 2\n10", "10"), ("VA 0 W\n", ""), None),
    "mg-recache": ("mg {K} v R30", ("VA 2\n10", "10"), ("EN", None), None),
    "mg-no-bump": ("mg {K} v u", ("VA 2\n10", "10"), ("EN", None), None),
    "mg-quiet": ("mg {K} v q k", ("VA 2 kK\n10", "10"), ("", None), None),
    "md": ("md {K}", ("HD", None), ("NF", None), "md {K} q"),
    "md-drop-value": ("md {K} x", ("HD", ""), ("NF", None), "md {K} x q"),
    "md-cas": ("md {K} C3", ("EX", "10"), ("NF", None), None),
    "ma": ("ma {K} v D5", ("VA 2\n15", "15"), ("NF", None), "ma {K} D5 q"),
    "ma-down": ("ma {K} v MD D5", ("VA 1\n5", "5 "), ("NF", None), None),
    "ma-vivify": ("ma {K} v N0 J70 D5", ("VA 2\n15", "15"), ("VA 2\n70", "70"), None),
}


def _lines(e, command, key, there, connection=None):
    request, on_document, on_nothing, _ = command
    answer, _ = on_document if there else on_nothing
    e.t(request.replace("{K}", "{%s}" % key), re.sub(r"(?<=VALUE )K|(?<=k)K", key, answer))


def _quiet(e, command, key, there):
    # q of md and ma hides what succeeds; noreply, and q where any outcome is expected, hide all.
    missed = not there and command[3].startswith(("md", "ma"))
    e.t(command[3].replace("{K}", "{%s}" % key), "NF" if missed else "")


def _after(command, there):
    return command[1 if there else 2][1]


def line_command(command):
    """A scenario of a text or meta command."""

    def run(e):
        for key in ("evicted", "evicted-quiet", "later", "later-quiet"):
            e.put(key, "10")
        yield EVICT
        e.put("resident", "10")
        e.put("resident-quiet", "10")
        states = {"resident": True, "evicted": True, "unknown": False}
        for key, there in states.items():
            _lines(e, command, key, there)
            if command[3]:
                _quiet(e, command, key + "-quiet", there)
        for key, there in states.items():
            e.is_value(key, _after(command, there))
            if command[3]:
                e.is_value(key + "-quiet", _after(command, there))
        yield RESTART
        _lines(e, command, "later", e.survived)
        _lines(e, command, "never", False)
        if command[3]:
            _quiet(e, command, "later-quiet", e.survived)
            e.is_value("later-quiet", _after(command, e.survived))
        for key, there in states.items():
            e.gone_or(key, _after(command, there))
        e.is_value("later", _after(command, e.survived))
        e.is_value("never", _after(command, False))

    return run


_NO_EXPIRY = b"\0" * 4


def _number(value):
    return struct.pack(">Q", value)


# Opcode, request on a key, and for a document "10" and for none: status, value in the answer, value afterwards.
BINARY = {
    "set": (lambda op, k: binary.store(op, k, b"77"), ("ok", b"", "77"), ("ok", b"", "77")),
    "add": (lambda op, k: binary.store(op, k, b"77"), ("exists", None, "10"), ("ok", b"", "77")),
    "replace": (lambda op, k: binary.store(op, k, b"77"), ("ok", b"", "77"), ("not_found", None, None)),
    "append": (lambda op, k: binary.request(op, k, b"77"), ("ok", b"", "1077"), ("not_stored", None, None)),
    "prepend": (lambda op, k: binary.request(op, k, b"77"), ("ok", b"", "7710"), ("not_stored", None, None)),
    "increment": (lambda op, k: binary.count(op, k, 5, 70), ("ok", _number(15), "15"), ("ok", _number(70), "70")),
    "decrement": (lambda op, k: binary.count(op, k, 5, 70), ("ok", _number(5), "5 "), ("ok", _number(70), "70")),
    "delete": (lambda op, k: binary.request(op, k), ("ok", b"", None), ("not_found", None, None)),
    "get": (lambda op, k: binary.request(op, k), ("ok", b"10", "10"), ("not_found", None, None)),
    "getk": (lambda op, k: binary.request(op, k), ("ok", b"10", "10"), ("not_found", None, None)),
    "gat": (lambda op, k: binary.request(op, k, b"", _NO_EXPIRY), ("ok", b"10", "10"), ("not_found", None, None)),
    "gatk": (lambda op, k: binary.request(op, k, b"", _NO_EXPIRY), ("ok", b"10", "10"), ("not_found", None, None)),
    "touch": (lambda op, k: binary.request(op, k, b"", _NO_EXPIRY), ("ok", b"", "10"), ("not_found", None, None)),
}


def _frame(e, name, quiet, key, there):
    make, on_document, on_nothing = BINARY[name]
    status, value, _ = on_document if there else on_nothing
    reads = name.startswith("g")
    found = e.b(make(name + "q" if quiet else name, e.key(key)))
    expected = [(binary.STATUS[status], value)]
    if quiet and (status == "ok") != reads:
        expected = []  # quiet retrievals tell hits only, the others errors only
    e.equal([(each.status, None if each.status else each.value) for each in found], expected, f"{name} on {key}")


def binary_command(name):
    """A scenario of a binary command, loud and quiet."""

    def run(e):
        quiet_too = (False, True) if name != "touch" else (False,)
        for key in ("evicted", "later"):
            for quiet in quiet_too:
                e.put(f"{key}-{quiet}", "10")
        yield EVICT
        states = {"resident": True, "evicted": True, "unknown": False}
        for quiet in quiet_too:
            e.put(f"resident-{quiet}", "10")
            for key, there in states.items():
                _frame(e, name, quiet, f"{key}-{quiet}", there)
        after = {True: BINARY[name][1][2], False: BINARY[name][2][2]}
        yield RESTART
        for quiet in quiet_too:
            _frame(e, name, quiet, f"later-{quiet}", e.survived)
            _frame(e, name, quiet, f"never-{quiet}", False)
            for key, there in states.items():
                e.gone_or(f"{key}-{quiet}", after[there])
            e.is_value(f"later-{quiet}", after[e.survived])
            e.is_value(f"never-{quiet}", after[False])

    return run
