"""What documents are made of, and that all of it comes back: from eviction, and after a restart."""

import base64
import hashlib
import os
import re

from harness import EVICT, RESTART

from lib import binary

LARGEST_FLAGS = 2**32 - 1
MANY_CAS = 2**60


def flags(e):
    values = {"none": 0, "one": 1, "most": LARGEST_FLAGS}
    for key, number in values.items():
        e.put(key, "v", number)
        e.put("late-" + key, "v", number)
    yield EVICT
    for key, number in values.items():
        e.equal(e.item(key)[0], number, "flags read back from the disk")
    yield RESTART
    for key, number in values.items():
        for name in (key, "late-" + key):
            e.t("mg {%s} f" % name, e.kept(f"HD f{number}", "EN"))
            e.equal(e.item(name) and e.item(name)[0], number if e.survived else None, f"flags of {name}")


def binary_flags(e):
    e.b(binary.store("set", e.key("k"), b"v", 0xDEADBEEF))
    yield EVICT
    e.equal(e.b(binary.request("get", e.key("k")))[0].extras, b"\xde\xad\xbe\xef", "flags")
    yield RESTART
    found = e.b(binary.request("get", e.key("k")))[0]
    e.equal((found.status, found.extras), (0, b"\xde\xad\xbe\xef") if e.survived else (1, b""), "flags")


def values(e):
    every_byte = bytes(range(256))
    stored = {
        "one": b"1",
        "line": b"VALUE a 0 1\r\nEND\r\n",
        "zeros": bytes(1000),
        "bytes": every_byte,
        "page": every_byte * 16,
        "above-copy": every_byte * 80,
    }
    for key, value in stored.items():
        e.put(key, value)
    e.put("empty", b"")
    yield EVICT
    for key, value in stored.items():
        e.equal(e.item(key)[2], value, key)
    e.is_value("empty", "")
    yield RESTART
    e.gone_or("empty", "")
    for key, value in stored.items():
        e.gone_or(key, value.decode("latin-1"))


def keys(e):
    longest = b"k" * (250 - len("keys:"))
    names = [b"keys:" + longest, b"keys:" + "schlüssel".encode(), b"keys:\x01\xff"]
    encoded = base64.b64encode(b"keys:with space\r\n\0")
    for name in names:
        e.equal(e.ask(b"set %s 0 0 1000\r\n%s\r\n" % (name, b"v" * 1000)), b"STORED\r\n", name)
    e.equal(e.ask(b"ms %s 1000 b\r\n%s\r\n" % (encoded, b"b" * 1000)), b"HD\r\n", "key in base64")
    yield EVICT
    for name in names:
        e.equal(e.ask(b"mg %s v k\r\n" % name), b"VA 1000 k%s\r\n%s\r\n" % (name, b"v" * 1000), name)
    e.equal(e.ask(b"mg %s v b k\r\n" % encoded), b"VA 1000 k%s b\r\n%s\r\n" % (encoded, b"b" * 1000), "base64")
    yield RESTART
    for name in names:
        e.equal(e.ask(b"mg %s s\r\n" % name), e.kept(b"HD s1000\r\n", b"EN\r\n"), name)
    e.equal(e.ask(b"mg %s s b\r\n" % encoded), e.kept(b"HD s1000\r\n", b"EN\r\n"), "key in base64")


def _noise(seed, size):
    block = b"".join(hashlib.sha256(b"%d %d" % (seed, number)).digest() for number in range(2048))
    return (block * (size // len(block) + 1))[:size]


def large(e):
    stored = {f"large-{number}": _noise(number, (1 << 20) - number) for number in range(5)}
    for key, value in stored.items():
        e.put(key, value)
    yield EVICT
    for key, value in stored.items():
        e.check(e.item(key)[2] == value, f"{key} came back from the disk changed")
    e.t("append {large-4} 0 0 2\nab", "STORED")
    yield RESTART
    for key, value in stored.items():
        expected = value + b"ab" if key == "large-4" else value
        found = e.item(key)
        e.check(found and found[2] == expected if e.survived else found is None, f"{key} after the restart")


def huge(e):
    size = 20 << 20
    stored = [os.urandom(size) for _ in range(2)]
    for number in range(2):
        e.put(f"huge-{number}", stored[number])
    for number in range(2):
        found = e.item(f"huge-{number}")
        if e.survived or found:  # a cache has no room for all
            e.check(found[2] == stored[number], f"huge-{number} changed")
    e.check(e.t("delete {huge-1}") == "DELETED" or not e.survived, "delete")
    yield RESTART
    for number in range(2):
        found = e.item(f"huge-{number}")
        there = e.survived and number != 1
        e.check(found and found[2] == stored[number] if there else found is None, f"huge-{number}")


def cas_stays(e):
    names = [f"k{number}" for number in range(20)]
    for name in names:
        e.put(name, "v")
    before = {name: e.cas(name) for name in names}
    yield EVICT
    for name in names[:10]:
        e.equal(e.cas(name), before[name], "CAS read back from the disk")
    e.t("cas {k0} 0 0 1 %d\nw" % before["k0"], "STORED")
    e.t("cas {k0} 0 0 1 %d\nx" % before["k0"], "EXISTS")
    e.t("cas {k19} 0 0 1 %d\nw" % before["k19"], "STORED")
    yield RESTART
    for name in names[1:19]:
        e.equal(e.item(name) and e.cas(name), before[name] if e.survived else None, "CAS after the restart")
    e.t("cas {k19} 0 0 1 %d\nx" % before["k19"], e.kept("EXISTS", "NOT_FOUND"))
    e.t("cas {k18} 0 0 1 %d\nx" % before["k18"], e.kept("STORED", "NOT_FOUND"))
    e.t("ms {k17} 1 C%d\ny" % before["k17"], e.kept("HD", "NF"))
    found = e.b(binary.store("set", e.key("k16"), b"z", cas=before["k16"]))[0]
    e.equal(found.status, e.kept(0, 1), "binary set with the CAS of before the restart")


def cas_rises(e):
    seen = {}

    def write(name, how):
        e.t(how.replace("K", "{%s}" % name))
        cas = e.cas(name)
        e.check(cas > seen.get(name, 0), f"CAS of {name} fell from {seen.get(name)} to {cas} with {how!r}")
        seen[name] = cas

    for number in range(30):
        for how in ("set K 0 0 1\n1", "append K 0 0 1\n1", "incr K 1"):
            write(f"k{number}", how)
    yield RESTART
    for number in range(30):
        if number % 3 == 0:
            e.t("delete {k%d}" % number)
        for how in ("set K 0 0 1\n1", "append K 0 0 1\n1", "incr K 1"):
            write(f"k{number}", how)
    yield EVICT
    for number in range(30):
        write(f"k{number}", "append K 0 0 1\n1")
    yield RESTART
    for number in range(30):
        write(f"k{number}", "set K 0 0 1\n1")


def cas_explicit(e):
    e.t("ms {k} 1 E%d\nv" % MANY_CAS, "HD")
    e.t("ms {small} 1 E17\nv", "HD")
    yield EVICT
    e.equal((e.cas("k"), e.cas("small")), (MANY_CAS, 17), "explicit CAS from the disk")
    e.t("md {small} I E18", "HD")
    e.t("mg {small} c", "HD c18 X W")
    yield RESTART
    if e.survived:
        e.equal((e.cas("k"), e.cas("small")), (MANY_CAS, 18), "explicit CAS after the restart")
    e.t("ms {k} 1 c\nw")
    e.check(e.cas("k") > 0, "a CAS")


def stale(e):
    for key in ("evicted", "later", "won"):
        e.put(key, "v" * 30)
    e.t("md {later} I T300", "HD")
    e.t("md {won} I T300", "HD")
    yield EVICT
    e.t("md {evicted} I T300", "HD")
    e.t("mg {evicted} s", "HD s30 X W")
    e.t("mg {evicted} s", "HD s30 Z X")
    e.t("mg {won} v", "VA 30 X W\n" + "v" * 30)
    yield RESTART
    e.t("mg {later} s", e.kept("HD s30 X W", "EN"))
    e.t("mg {later} s", e.kept("HD s30 Z X", "EN"))
    won = e.t("mg {won} s", None if e.survived else "EN")
    e.check(won in ("HD s30 X W", "HD s30 Z X", "EN"), f"who won may be forgotten, not that it is stale: {won}")
    e.t("ms {later} 1\nn", "HD")
    e.t("mg {later} v", "VA 1\nn")


def vivified(e):
    e.t("mg {k} v N300 t", "VA 0 t300 W\n")
    again = re.fullmatch(r"VA 0 t(\d+) Z\n", e.t("mg {k} v t N300"))
    e.check(again and 0 < int(again[1]) <= 300, "the time that was given first, less what has passed")
    yield EVICT
    e.t("mg {k} s N300", "HD s0 Z")
    yield RESTART
    e.check(e.t("mg {k} s N300 k") in ("HD s0 kk Z", "HD s0 kk W"), "an empty document, or a new one")
    e.t("ms {k} 1\nv", "HD")
    e.t("mg {k} v N300", "VA 1\nv")


def recached(e):
    e.put("k", "v" * 30, 0, 300)
    e.put("evicted", "v" * 30, 0, 300)
    yield EVICT
    e.t("mg {evicted} v R400", "VA 30 W\n" + "v" * 30)
    e.t("mg {evicted} s R400", "HD s30 Z")
    yield RESTART
    e.t("mg {k} v R200", e.kept("VA 30\n" + "v" * 30, "EN"))
    e.t("mg {k} v R400", e.kept("VA 30 W\n" + "v" * 30, "EN"))
    e.t("mg {k} s R400", e.kept("HD s30 Z", "EN"))


def metadata_needs_no_value(e):
    for key in ("mg", "touch", "me", "delete"):
        e.put(key, "v" * 5000, 7)
    yield EVICT
    blocked = e.stat("ep_bg_fetched") if e.survived else 0
    e.t("mg {mg} s f t", "HD s5000 f7 t-1")
    e.t("touch {touch} 500", "TOUCHED")
    e.check(e.t("me {me}").startswith("ME me "), "me")
    e.t("delete {delete}", "DELETED")
    if e.survived and not e.variant.full:
        e.equal(e.stat("ep_bg_fetched") - blocked <= 1, True, "reads (a touch publishes a copy)")
    yield RESTART
    e.t("mg {mg} s f t", e.kept("HD s5000 f7 t-1", "EN"))
    e.check(e.t("me {me}").startswith(e.kept("ME me ", "EN")), "me")
    e.gone_or("touch", "v" * 5000)
    e.is_value("delete", None)
