"""Requests that wait for the disk: their order, what they count, and what happens to them when something ends."""

import re
import select
import struct
import threading

from harness import EVICT, RESTART, scaled

from lib import binary
from lib.connection import Connection
from lib.server import poll


def _hundred(e):
    """100 keys of four kinds, in turn; yields to evict."""
    for number in range(100):
        if number % 4 != 1:
            e.put(f"k{number}", "v%d" % number + "x" * 40, number, -1 if number % 4 == 2 else 0)
        if number % 8 == 3:
            e.t("delete {k%d}" % number, "DELETED")
    yield EVICT
    for number in range(0, 100, 12):
        e.put(f"k{number}", "v%d" % number + "x" * 40, number)


def _expected(number):
    there = number % 4 == 0 or number % 8 == 7
    return "v%d" % number + "x" * 40 if there else None


def multi_get(e):
    yield from _hundred(e)

    def ask(verb):
        keys = b" ".join(e.key(f"k{number}") for number in range(100))
        reply = re.sub(rb"\.*multi-get:", b"", e.ask(verb + keys + b"\r\n"))
        expected = b""
        for number in range(100):
            value = _expected(number)
            if value and e.there:
                expected += b"VALUE k%d %d %d%s\r\n%s\r\n" % (
                    number, number, len(value), b" CAS" if verb.endswith(b"s ") else b"", value.encode(),
                )  # fmt: skip
        if verb in (b"gets ", b"gats 0 "):
            reply = re.sub(rb"(VALUE k\d+ \d+ \d+) \d+\r\n", rb"\1 CAS\r\n", reply)
            expected = re.sub(rb"(VALUE k\d+ \d+ \d+)( CAS)?\r\n", rb"\1 CAS\r\n", expected)
        e.equal(reply, expected + b"END\r\n", verb)

    e.there = True
    ask(b"get ")
    yield EVICT
    ask(b"gets ")
    yield EVICT
    ask(b"gat 0 ")
    yield EVICT
    ask(b"gats 0 ")
    yield RESTART
    e.there = e.survived
    ask(b"get ")
    ask(b"gats 0 ")
    ask(b"gets ")


def multi_get_meta(e):
    yield from _hundred(e)

    def ask(there):
        lines = "\n".join("mg {k%d} q v k O%d" % (number, number) for number in range(100))
        expected = []
        for number in range(100):
            if _expected(number) and there:
                expected.append(f"VA {len(_expected(number))} kk{number} O{number}\n{_expected(number)}")
        e.t(lines, "\n".join(expected))

    ask(True)
    yield RESTART
    ask(e.survived)


def multi_get_binary(e):
    yield from _hundred(e)

    def ask(there):
        keys = [e.key(f"k{number}") for number in range(100)]
        found = e.b(*(binary.request("getkq", key, opaque=number) for number, key in enumerate(keys)))
        expected = [
            (number, keys[number], _expected(number).encode(), struct.pack(">I", number))
            for number in range(100)
            if _expected(number) and there
        ]
        e.equal([(each.opaque, each.key, each.value, each.extras) for each in found], expected, "getkq")

    ask(True)
    yield EVICT
    ask(True)
    yield RESTART
    ask(e.survived)


def uploads_in_pieces(e):
    keys = ("text", "meta", "binary")
    for key in keys:
        e.put(key, "0" * 50)
    e.put("replaced", "0" * 50)
    yield EVICT

    def by_bytes(data, key=None):
        with Connection(e.host.server.endpoint) as connection:
            for number in range(len(data)):
                connection.send(data[number : number + 1])
            if data.startswith(b"\x80"):
                return binary.ask(connection)
            return e.ask(b"", connection)

    tail = b"abc" * 10
    e.equal(by_bytes(b"append %s 0 0 30\r\n%s\r\n" % (e.key("text"), tail)), b"STORED\r\n", "append")
    e.equal(by_bytes(b"ms %s 30 MP k Oo\r\n%s\r\n" % (e.key("meta"), tail)), b"HD k%s Oo\r\n" % e.key("meta"), "ms")
    found = by_bytes(binary.request("append", e.key("binary"), tail, opaque=7))
    e.equal([(each.status, each.opaque) for each in found], [(0, 7)], "binary append")
    e.equal(by_bytes(b"replace %s 0 0 30\r\n%s\r\n" % (e.key("replaced"), tail)), b"STORED\r\n", "replace")
    e.equal(by_bytes(b"append %s 0 0 30\r\n%s\r\n" % (e.key("none"), tail)), b"NOT_STORED\r\n", "append to nothing")
    yield RESTART
    e.gone_or("text", "0" * 50 + "abc" * 10)
    e.gone_or("meta", "abc" * 10 + "0" * 50)
    e.gone_or("binary", "0" * 50 + "abc" * 10)
    e.gone_or("replaced", "abc" * 10)
    e.equal(by_bytes(b"append %s 0 0 1\r\nz\r\n" % e.key("text")), e.kept(b"STORED\r\n", b"NOT_STORED\r\n"), "append")
    e.equal(by_bytes(b"add %s 0 0 1\r\nz\r\n" % e.key("meta")), e.kept(b"NOT_STORED\r\n", b"STORED\r\n"), "add")


def large_upload_waits(e):
    """The end of a large value lands in the document; its append then waits for the disk."""
    size = 300_000
    for key in ("text", "binary", "bad"):
        e.put(key, "h" * 100)
    yield EVICT
    body = b"t" * size
    e.equal(e.ask(b"append %s 0 0 %d\r\n%s\r\n" % (e.key("text"), size, body)), b"STORED\r\n", "append")
    found = e.b(binary.request("prepend", e.key("binary"), body), binary.request("get", e.key("binary")))
    e.equal([each.status for each in found], [0, 0], "prepend, get")
    e.check(found[1].value == body + b"h" * 100, "what binary prepend made")
    reply = e.ask(b"append %s 0 0 %d\r\n%sxx\r\nget %s\r\n" % (e.key("bad"), size, body, e.key("none")))
    e.check(reply.startswith(b"CLIENT_ERROR bad data chunk\r\n"), reply[:100])
    yield RESTART
    e.gone_or("text", "h" * 100 + "t" * size)
    e.gone_or("bad", "h" * 100)


def pipeline_order(e):
    for number in range(40):
        e.put(f"e{number}", "10" + " " * 30)
        e.put(f"n{number}", "10")
    yield EVICT
    lines, expected = [], []

    def request(line, answer):
        lines.append(line)
        if answer is not None:
            expected.append(answer)

    for number in range(40):
        request("mn", "MN")
        request("set {r%d} 0 0 1\nr" % number, "STORED")
        request("get {r%d} {e%d} {none}" % (number, number), "VALUE r%d 0 1\nr\nVALUE e%d 0 32\n10%s\nEND" % (number, number, " " * 30))
        request("append {e%d} 0 0 1 noreply\nz" % number, None)
        request("incr {n%d} 1" % number, "11")
        request("mg {none%d} v q" % number, None)
        request("mg {e%d} s k q O%d" % (number, number), "HD s33 ke%d O%d" % (number, number))
        request("add {n%d} 0 0 1\nx" % number, "NOT_STORED")
        request("version", "VERSION")
        request("delete {e%d}" % number, "DELETED")
        request("nonsense", "ERROR")
        request("touch {e%d} 0" % number, "NOT_FOUND")
    with Connection(e.host.server.endpoint) as connection:
        connection.send(e.bytes("\n".join(lines)) + b"quit\r\n")
        reply = connection.read_to_end()
    reply = re.sub(rb"\.*" + re.escape(e.name.encode()) + b":", b"", reply)
    reply = re.sub(r"VERSION \S+", "VERSION", reply.decode().replace("\r\n", "\n"))
    e.equal(reply.split("\n"), "\n".join(expected).split("\n") + [""], "the replies")
    yield RESTART
    for number in range(40):
        e.is_value(f"e{number}", None)
        e.gone_or(f"n{number}", "11")


def binary_pipeline_order(e):
    for number in range(40):
        e.put(f"e{number}", "10" + " " * 30)
        e.put(f"n{number}", "10")
    yield EVICT
    frames, expected = [], []

    def request(opcode, frame, *answer):
        frames.append(frame(len(frames)))
        if answer:
            expected.append((binary.OPCODES[opcode], len(frames) - 1, binary.STATUS[answer[0]]))

    for number in range(40):
        evicted, count, none = e.key(f"e{number}"), e.key(f"n{number}"), e.key("none")
        request("getq", lambda o: binary.request("getq", none, opaque=o))
        request("getkq", lambda o: binary.request("getkq", evicted, opaque=o), "ok")
        request("appendq", lambda o: binary.request("appendq", evicted, b"z", opaque=o))
        request("appendq", lambda o: binary.request("appendq", none, b"z", opaque=o), "not_stored")
        request("noop", lambda o: binary.request("noop", opaque=o), "ok")
        request("addq", lambda o: binary.store("addq", count, b"z", opaque=o), "exists")
        request("incrementq", lambda o: binary.count("incrementq", count, 1, opaque=o))
        request("gat", lambda o: binary.request("gat", count, b"", b"\0" * 4, opaque=o), "ok")
        request("deleteq", lambda o: binary.request("deleteq", evicted, opaque=o))
        request("delete", lambda o: binary.request("delete", evicted, opaque=o), "not_found")
    found = e.b(*frames)
    e.equal([(each.opcode, each.opaque, each.status) for each in found], expected, "the replies")
    yield RESTART
    for number in range(40):
        e.is_value(f"e{number}", None)
        e.gone_or(f"n{number}", "11")


def noreply_pipeline(e):
    for number in range(20):
        e.put(f"k{number}", "v" * 30)
    yield EVICT
    request = b""
    for turn in range(5):
        for number in range(20):
            request += b"append %s 0 0 1 noreply\r\n%d\r\n" % (e.key(f"k{number}"), turn)
    e.equal(e.ask(request), b"", "replies to noreply")
    for number in range(20):
        e.is_value(f"k{number}", "v" * 30 + "01234")
    yield RESTART
    for number in range(20):
        e.gone_or(f"k{number}", "v" * 30 + "01234")


def herd(e):
    """Many ask for one evicted document at once."""
    value = b"herd" * 50_000
    e.put("k", value)
    yield EVICT
    reads = e.stat("ep_bg_fetched") if e.survived else 0
    connections = [e.another() for _ in range(50)]
    for connection in connections:
        connection.send(b"get %s\r\n" % e.key("k"))
    for connection in connections:
        e.equal(len(connection.read_until(b"END\r\n")), len(b"VALUE  0 200000\r\n\r\nEND\r\n") + 80 + len(value), "reply")
    if e.survived:
        e.check(e.stat("ep_bg_fetched") - reads <= 5, "one read does not serve those who wait for it")
    yield RESTART
    e.gone_or("k", value.decode())


def counted_once(e):
    """A request that ran again counts, and is logged, once."""
    names = [f"k{number}" for number in range(14)]
    for name in names:
        e.put(name, "10" + " " * 18)
    yield EVICT
    watcher = e.another()
    e.equal(watcher.ask(b"watch fetchers mutations deletions\r\n"), b"OK\r\n", "watch")
    interesting = (
        "cmd_get cmd_set cmd_touch cmd_meta get_hits get_misses delete_hits delete_misses incr_hits decr_hits touch_hits "
        "touch_misses cas_hits cas_badval cas_misses incr_misses decr_misses store_no_memory"
    ).split()
    before = e.connection.stats()
    requests = (
        "get {k0}", "mg {k1} v", "gat 0 {k2}", "touch {k3} 0", "incr {k4} 1", "ma {k5} D1", "append {k6} 0 0 1\nx",
        "ms {k7} 1 MA\nx", "delete {k8}", "md {k9}", "add {k10} 0 0 1\nx", "ms {k11} 1 C1\nx", "get {no} {k12}", "me {k13}",
    )  # fmt: skip
    for request in requests:
        e.connection.ask(e.bytes(request), b"\r\n")
        e.connection.ask(b"version\r\n", b"VERSION ")
        e.connection.line()
    after = e.connection.stats()
    grown = {name: int(after[name]) - int(before[name]) for name in interesting}
    expected = {
        "cmd_get": 5, "cmd_set": 4, "cmd_touch": 2, "cmd_meta": 6, "get_hits": 4, "get_misses": 1, "delete_hits": 2,
        "incr_hits": 2, "touch_hits": 2, "cas_badval": 1,
    }  # fmt: skip
    expected = {name: expected.get(name, 0) for name in interesting}
    e.equal(grown, expected, "what the commands counted")
    lines = []
    while len(lines) < 11 or select.select([watcher.socket], [], [], 0.05)[0]:
        lines.append(watcher.read_until(b"\n"))
    mine = [re.search(rb"type=(\S+) key=\.*%s(?:%%3A|:)(\S+)" % e.name.encode(), line) for line in lines]
    mine = sorted(found.group(2) for found in mine if found)
    e.equal(mine, sorted(set(mine)), "log lines")
    yield RESTART
    if e.survived:
        before = e.connection.stats()
        e.value("k0")
        e.t("mg {k1} v")
        after = e.connection.stats()
        grown = {name: int(after[name]) - int(before[name]) for name in ("cmd_get", "get_hits", "cmd_meta")}
        e.equal(grown, {"cmd_get": 2, "get_hits": 2, "cmd_meta": 3}, "counted after the restart")


def clients_go_away(e):
    """Connections that are reset while they wait for the disk."""
    for number in range(60):
        e.put(f"k{number}", "v" * 2000)
    yield EVICT
    for number in range(60):
        connection = Connection(e.host.server.endpoint)
        connection.send(b"append %s 0 0 1\r\nx\r\nget %s\r\n" % (e.key(f"k{number}"), e.key(f"k{59 - number}")))
        connection.wait_until_arrived()
        connection.reset()
    poll(lambda: e.stat("curr_connections") <= 2, "the connections to end")
    for number in range(60):
        e.check(e.value(f"k{number}").rstrip("x") == "v" * 2000, "a document changed")
    yield RESTART
    for number in range(60):
        e.check((e.value(f"k{number}") or "").rstrip("x") == e.kept("v" * 2000, ""), "a document changed")


def half_an_upload(e):
    """The server ends while values are arriving: they were not acknowledged, and are not stored."""
    e.put("k", "old")
    e.put("evicted", "old" * 30)
    yield EVICT
    for key in ("k", "evicted"):
        connection = e.another()
        connection.send(b"set %s 0 0 100000\r\n%s" % (e.key(key), b"n" * 50000))
        connection.wait_until_arrived()
    e.host.saved()
    yield RESTART
    e.gone_or("k", "old")
    e.gone_or("evicted", "old" * 30)


def drain(e):
    """SIGTERM while requests wait for the disk: what has arrived is answered, and what was answered is kept."""
    count = scaled(40)
    for number in range(count):
        e.put(f"k{number}", "v" * 3000)
    yield EVICT
    connections = [e.another() for _ in range(count)]
    for connection in connections:  # one that nobody has accepted yet has not arrived
        e.equal(connection.ask(b"mn\r\n"), b"MN\r\n", "mn")
    for number, connection in enumerate(connections):
        key = e.key(f"k{number}")
        connection.send(b"append %s 0 0 1\r\nx\r\nset %s 0 0 1\r\ns\r\nincr %s 1\r\n" % (key, key + b"-new", e.key("no")))
    for connection in connections:
        connection.wait_until_arrived()
    e.host.terminate()
    for connection in connections:
        reply = connection.read_to_end()
        whole = b"STORED\r\nSTORED\r\nNOT_FOUND\r\n"
        e.equal(reply, whole, "replies of a server that ends")
    yield RESTART
    for number in range(count):
        e.gone_or(f"k{number}", "v" * 3000 + "x")
        found = e.ask(b"get %s-new\r\n" % e.key(f"k{number}"))
        e.check((b"\r\ns\r\n" in found) == e.survived, "what the ending server acknowledged")


def same_key_from_many(e):
    """Appends to one evicted document from many connections: none is lost, none is made twice."""
    writers, turns = 8, scaled(25)
    e.put("k", "-" * 40)
    yield EVICT
    failures = []

    def write(letter):
        with Connection(e.host.server.endpoint) as connection:
            for _ in range(turns):
                reply = connection.ask(b"append %s 0 0 1\r\n%s\r\n" % (e.key("k"), letter))
                if reply != b"STORED\r\n":
                    failures.append(reply)

    threads = [threading.Thread(target=write, args=(bytes([97 + number]),)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    e.equal(failures, [], "appends")
    expected = {chr(97 + number): turns for number in range(writers)}
    found = e.value("k")[40:]
    e.equal({letter: found.count(letter) for letter in expected}, expected, "letters")
    yield RESTART
    e.gone_or("k", "-" * 40 + found)
