"""How documents come and go: overwritten, deleted, expired, flushed, counted."""

import threading
import time

from harness import EVICT, RESTART, scaled

from lib.connection import Connection
from lib.server import poll


def delete_then_set(e):
    for key in ("deleted", "again", "evicted", "evicted-again"):
        e.put(key, "old", 3)
    e.t("delete {deleted}", "DELETED")
    e.t("delete {again}", "DELETED")
    e.put("again", "new", 4)
    yield EVICT
    e.t("delete {evicted}", "DELETED")
    e.t("delete {evicted}", "NOT_FOUND")
    e.t("delete {evicted-again}", "DELETED")
    e.t("add {evicted-again} 5 0 3\nnew", "STORED")
    e.is_value("deleted", None)
    yield EVICT
    e.is_value("evicted", None)
    yield RESTART
    for key in ("deleted", "evicted"):
        e.is_value(key, None)
        e.t("replace {%s} 0 0 1\nx" % key, "NOT_STORED")
        e.t("add {%s} 0 0 1\nx" % key, "STORED")
    e.gone_or("again", "new")
    e.gone_or("evicted-again", "new")


def overwrite_evicted(e):
    for number in range(10):
        e.put(f"k{number}", "old" * 100)
    yield EVICT
    for number in range(10):
        e.put(f"k{number}", f"new{number}")
    yield EVICT
    for number in range(5):
        e.is_value(f"k{number}", f"new{number}")
    yield RESTART
    for number in range(10):
        e.gone_or(f"k{number}", f"new{number}")


def append_again_and_again(e):
    e.put("k", "0")
    for number in range(1, 4):
        yield EVICT
        e.t("append {k} 0 0 1\n%d" % number, "STORED")
    yield RESTART
    e.gone_or("k", "0123")
    e.t("prepend {k} 0 0 1\n<", e.kept("STORED", "NOT_STORED"))
    yield RESTART
    e.is_value("k", None if not e.survived else "<0123")


def counters(e):
    largest = 2**64 - 1
    e.put("wraps", str(largest - 1))
    e.put("stops", "3")
    yield EVICT
    e.t("incr {wraps} 1", str(largest))
    e.t("decr {stops} 5", "0")
    yield RESTART
    e.t("incr {wraps} 1", e.kept("0", "NOT_FOUND"))
    e.t("decr {stops} 1", e.kept("0", "NOT_FOUND"))
    e.put("text", "abc")
    yield RESTART
    refusal = "CLIENT_ERROR cannot increment or decrement non-numeric value"
    e.t("incr {text} 1", e.kept(refusal, "NOT_FOUND"))


def expiry_while_down(e):
    e.put("evicted", "v" * 100, 0, 4)
    yield EVICT
    e.put("short", "v", 0, 2)
    e.put("long", "v", 0, 1000)
    e.host.down_until = time.time() + 3 if e.survived else 0
    yield RESTART
    for key in ("short", "evicted"):
        poll(lambda key=key: e.value(key) is None, f"{key} to expire")
        e.t("touch {%s} 100" % key, "NOT_FOUND")
        e.t("incr {%s} 1" % key, "NOT_FOUND")
        e.t("append {%s} 0 0 1\nx" % key, "NOT_STORED")
        e.t("me {%s}" % key, "EN")
        e.t("delete {%s}" % key, "NOT_FOUND")
        e.t("add {%s} 0 0 3\nnew" % key, "STORED")
        e.is_value(key, "new")
    e.gone_or("long", "v")


def ttl(e):
    def left(name, at_most):
        reply = e.t("mg {%s} t" % name)
        if not e.survived and e.host.restarts:
            return e.equal(reply, "EN")
        e.check(reply.startswith("HD t"), reply)
        e.check(at_most - 100 <= int(reply[4:]) <= at_most, f"{name}: {reply}")

    e.put("set", "v", 0, 1000)
    for name in ("touched", "got", "taken"):
        e.put(name, "v", 0, 1000)
    e.put("absolute", "v", 0, int(time.time()) + 5000)
    yield EVICT
    left("set", 1000)
    e.t("touch {touched} 2000", "TOUCHED")
    e.t("gat 3000 {got}", "VALUE got 0 1\nv\nEND")
    e.t("mg {taken} T0", "HD")
    yield RESTART
    left("set", 1000)
    left("absolute", 5000)
    left("touched", 2000)
    left("got", 3000)
    e.t("mg {taken} t", e.kept("HD t-1", "EN"))


def expiry_of_evicted(e):
    e.put("soon", "v" * 100, 0, 1)
    e.put("past", "v" * 100)
    e.put("before", "v" * 100, 0, -1)
    e.is_value("before", None)
    yield EVICT
    e.t("touch {past} -1", "TOUCHED")
    for key in ("soon", "past"):
        poll(lambda key=key: e.value(key) is None, f"{key} to expire")
    yield RESTART
    for key in ("soon", "past", "before"):
        e.is_value(key, None)


def flush_now(e):
    for number in range(50):
        e.put(f"k{number}", "old" * 50)
    yield EVICT
    e.put("resident", "old")
    e.t("flush_all", "OK")
    e.equal(e.stat("curr_items"), 0, "items after the flush")
    for key in ("k0", "k1", "resident"):
        e.is_value(key, None)
    e.t("append {k2} 0 0 1\nx", "NOT_STORED")
    e.put("k3", "new")
    e.t("add {k4} 0 0 3\nnew", "STORED")
    yield RESTART
    e.equal(e.stat("curr_items"), e.kept(2, 0), "items after the restart")
    for number in (0, 1, 2, 5, 49):
        e.is_value(f"k{number}", None)
    for key in ("k3", "k4"):
        e.gone_or(key, "new")
    yield RESTART
    e.gone_or("k3", "new")
    e.is_value("k0", None)


def flush_and_end(e):
    for number in range(50):
        e.put(f"k{number}", "old")
    e.host.saved()
    e.t("flush_all noreply", "")
    yield RESTART
    e.equal(e.stat("curr_items"), 0, "items")
    for number in range(50):
        e.is_value(f"k{number}", None)
        e.t("add {k%d} 0 0 1\nn" % number, "STORED")
    e.equal(e.stat("curr_items"), 50, "items")


def flush_delayed(e):
    e.put("old", "v")
    e.t("flush_all 1", "OK")
    poll(lambda: e.value("old") is None, "the flush")
    e.put("new", "v")
    e.t("flush_all 1000", "OK")
    e.t("flush_all 4", "OK")
    comes_at = time.time() + 4
    # Where replies wait for the disk, the moment is there with its reply.
    e.host.saves = not e.variant.durable
    if e.survived and not e.variant.durable:
        poll(lambda: e.stat("unsaved_oldest_us") == 0, "the moment to reach the disk")
    yield RESTART
    e.is_value("old", None)
    if time.time() < comes_at - 1:
        e.gone_or("new", "v")
    poll(lambda: e.value("new") is None, "the flush after the restart")
    e.put("down", "v")
    e.t("flush_all 1", "OK")
    if e.survived and not e.variant.durable:
        poll(lambda: e.stat("unsaved_oldest_us") == 0, "the moment to reach the disk")
    e.host.saves = not e.variant.durable
    e.host.down_until = time.time() + 2 if e.survived else 0
    yield RESTART
    e.is_value("down", None)
    e.put("after", "v")
    yield RESTART
    e.gone_or("after", "v")


def flush_with_traffic(e):
    stop = threading.Event()
    failures = []

    def write(writer):
        with Connection(e.host.server.endpoint) as connection:
            number = 0
            while not stop.is_set():
                key = e.key(f"{writer}-{number % 200}")
                reply = connection.ask(b"set %s 0 0 100\r\n%s\r\n" % (key, b"v" * 100))
                if reply != b"STORED\r\n":
                    failures.append(reply)
                number += 1

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(scaled(20)):
        e.t("flush_all", "OK")
    stop.set()
    for writer in writers:
        writer.join()
    e.equal(failures, [], "what writers were answered")
    expected = {f"{writer}-{number}" for writer in range(3) for number in range(200)}
    there = {key for key in expected if e.value(key) is not None}
    e.equal(e.stat("curr_items"), len(there), "items counted and found")
    e.put("last", "v")
    yield RESTART
    found = {key for key in expected if e.value(key) is not None}
    e.equal(found, there if e.survived else set(), "documents after the restart")
    e.gone_or("last", "v")
    e.equal(e.stat("curr_items"), e.kept(len(there) + 1, 0), "items")


def item_count(e):
    def counted(number, what):
        e.host.saved()
        e.equal(e.stat("curr_items"), number, what)

    items = 0
    for number in range(200):
        e.put(f"k{number}", "v" * 50)
    items += 200
    counted(items, "stored")
    yield EVICT
    e.host.saved()
    items = e.stat("curr_items")  # with what drove them out
    for number in range(0, 100, 2):
        e.put(f"k{number}", "blind")
    counted(items, "overwritten, without a look at what was there")
    for number in range(100, 150):
        e.t("delete {k%d}" % number, "DELETED")
    for number in range(1000, 1020):
        e.t("delete {k%d}" % number, "NOT_FOUND")
        e.t("set {k%d} 0 0 1\nv" % number, "STORED")
    items += 20 - 50
    counted(items, "deleted and added")
    for number in range(100, 110):
        e.put(f"k{number}", "again")
    items += 10
    counted(items, "set again")
    yield RESTART
    if not e.survived:
        items = 0
    counted(items, "after the restart")
    e.host.warm()
    counted(items, "after the warmup")
    for number in range(0, 300):
        e.put(f"k{number}", "last")
    items += 140 if e.survived else 300
    counted(items, "set once more")
    for number in range(0, 300):
        e.t("delete {k%d}" % number, "DELETED")
    items -= 300
    counted(items, "deleted")
    yield RESTART
    counted(e.kept(items, 0), "in the end")


def item_count_of_expired(e):
    for number in range(100):
        e.put(f"k{number}", "v", 0, 1 if number % 2 else 1000)
    for number in range(1, 100, 2):
        poll(lambda number=number: e.value(f"k{number}") is None, "the expiry")
    e.equal(e.stat("curr_items"), 50, "items without those that were found expired")
    for number in range(100, 120):
        e.put(f"k{number}", "v", 0, 2)
    e.host.down_until = time.time() + 3 if e.survived else 0
    yield RESTART
    poll(lambda: e.value("k101") is None, "the expiry while down")
    for number in range(120):
        e.value(f"k{number}")
    e.equal(e.stat("curr_items"), e.kept(50, 0), "items after a look at every key")
