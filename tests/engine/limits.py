"""What happens at the limits: of memory, of what may wait for the disk, of readers; and what the statistics say of it."""

import os
import threading

from harness import EVICT, RESTART, scaled

from lib.connection import Connection
from lib.server import SANITIZED, poll

MIB = 1 << 20


def _size_of(folder):
    """The lengths of all files; what RocksDB has allocated for a log ahead of its end would be more."""
    return sum(os.stat(os.path.join(path, name)).st_size for path, _, names in os.walk(folder) for name in names)


def statistics_of_files(e):
    stored = scaled(1000)
    for number in range(stored):
        e.put(f"k{number}", os.urandom(4096))
    yield RESTART
    e.host.warm()
    stats = e.connection.stats()
    if not e.survived:
        return e.check("ep_db_file_size" not in stats, "a cache tells of files")
    data, files = int(stats["ep_db_data_size"]), int(stats["ep_db_file_size"])
    e.check(data >= stored * 4096, f"ep_db_data_size {data} of {stored * 4096} stored bytes")
    e.check(files >= data, f"ep_db_file_size {files} is less than ep_db_data_size {data}")
    used = _size_of(e.host.data)
    e.check(0.7 * used <= files <= 1.3 * used, f"ep_db_file_size {files}, files {used}")
    warmup = e.connection.stats(b"warmup")
    e.equal(warmup["ep_warmup_state"], "complete", "stats warmup")
    e.equal(warmup["ep_warmup_vbuckets"], warmup["ep_warmup_vbuckets_done"], "vbuckets")
    e.equal(warmup["ep_warmup_estimated_key_count"], str(stored), "estimate")
    e.equal(warmup["ep_warmup_key_count"], str(stored), "keys")
    e.equal(stats["curr_items"], str(stored), "items")
    e.equal((stats["unsaved_bytes"], stats["ep_queue_size"], stats["disk_state"]), ("0", "0", "writable"), "disk")
    return None


def statistics_reset(e):
    for number in range(50):
        e.put(f"k{number}", "v" * 100)
    yield EVICT
    for number in range(10):
        e.value(f"k{number}")
    e.host.saved()  # until then the items count keys twice that were overwritten unseen
    before = e.connection.stats()
    e.t("stats reset", "RESET")
    after = e.connection.stats()
    for name in ("curr_items", "unsaved_bytes", "ep_num_non_resident", "items_on_disk_only"):
        e.equal(after.get(name), before.get(name), f"{name} after stats reset")
    for name in ("cmd_get", "get_hits", "cmd_set", "evictions"):
        e.equal(after[name], "0", f"{name} after stats reset")
    for number in range(50):
        e.is_value(f"k{number}", "v" * 100)
    e.put("k0", "new")
    yield RESTART
    e.gone_or("k0", "new")
    e.gone_or("k49", "v" * 100)
    e.equal(e.stat("curr_items"), int(before["curr_items"]) if e.survived else 0, "items")


def warmup_with_traffic(e):
    """Work goes on from the first moment after the start, and nothing that is loaded later undoes it."""
    count = scaled(20000)
    batch = b"".join(b"ms %s 60 q\r\n%060d\r\n" % (e.key(number), number) for number in range(count))
    e.equal(e.ask(batch), b"", "stores")
    e.host.saved()
    yield RESTART
    requests, expected = [], []
    for number in range(0, count, 7):
        key = e.key(number)
        old = b"%060d" % number
        kind = number % 5
        if kind == 0:
            requests.append(b"set %s 0 0 3\r\nnew\r\n" % key)
            expected.append(b"STORED\r\n")
        elif kind == 1:
            requests.append(b"delete %s\r\n" % key)
            expected.append(e.kept(b"DELETED\r\n", b"NOT_FOUND\r\n"))
        elif kind == 2:
            requests.append(b"append %s 0 0 1\r\nx\r\n" % key)
            expected.append(e.kept(b"STORED\r\n", b"NOT_STORED\r\n"))
        elif kind == 3:
            requests.append(b"add %s 0 0 3\r\nnew\r\n" % key)
            expected.append(e.kept(b"NOT_STORED\r\n", b"STORED\r\n"))
        else:
            requests.append(b"get %s-no %s\r\n" % (key, key))
            expected.append(e.kept(b"VALUE %s 0 60\r\n%s\r\n" % (key, old), b"") + b"END\r\n")
    e.equal(e.ask(b"".join(requests)), b"".join(expected), "answers while warming up")
    e.host.warm()
    after = {0: b"new", 1: None, 2: b"old+x", 3: b"old", 4: b"old"}
    if not e.survived:
        after = {0: b"new", 1: None, 2: None, 3: b"new", 4: None}
    reply = e.ask(b"".join(b"mg %s v q\r\n" % e.key(number) for number in range(0, count, 7)))
    expected = []
    for number in range(0, count, 7):
        value, old = after[number % 5], b"%060d" % number
        if value is not None:
            value = value.replace(b"old+x", old + b"x").replace(b"old", old)
            expected.append(b"VA %d\r\n%s\r\n" % (len(value), value))
    e.equal(reply, b"".join(expected), "documents after the warmup")
    deleted = len([number for number in range(0, count, 7) if number % 5 == 1])
    e.host.saved()
    e.equal(e.stat("curr_items"), count - deleted if e.survived else len(expected), "items")


def writers_wait(e):
    """Writers that are faster than the disk: all is stored, without errors, and what is unsaved is bounded."""
    turns, batch = scaled(12), 50
    unsaved, failures = [], []

    def write(writer):
        with Connection(e.host.server.endpoint) as connection:
            for turn in range(turns):
                sets = b"".join(
                    b"set %s-%d 0 0 4000\r\n%s\r\n" % (e.key(writer), number, b"%04d" % turn * 1000)
                    for number in range(batch)
                )
                reply = e.ask(sets, connection)
                if reply != b"STORED\r\n" * batch:
                    failures.append(reply.replace(b"STORED\r\n", b"")[:200])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        unsaved.append(int(e.connection.stats().get("unsaved_bytes", 0)))
    e.equal(failures, [], "refused")
    # Each connection may add what one read brought (32 KiB, and a value) before it waits.
    limit = int(e.connection.stats().get("unsaved_limit_bytes", 0)) + 4 * (64 << 10)
    e.check(max(unsaved) <= limit or not e.survived, f"unsaved_bytes was {max(unsaved)}, the limit {limit}")
    yield RESTART
    value = b"%04d" % (turns - 1) * 1000
    for writer in range(4):
        for number in (0, 17, batch - 1):
            found = e.ask(b"get %s-%d\r\n" % (e.key(writer), number))
            e.equal(found.count(value), e.kept(1, 0), f"{writer}-{number}")


def pipelines_wait_for_room(e):
    """A pipeline with many more bytes than memory: each of its requests may have to wait for room."""
    size, count = 60_000, scaled(400)
    request = b"".join(
        b"set %s 0 0 %d\r\n%s\r\n" % (e.key(number), size, b"%06d" % number * (size // 6)) for number in range(count)
    )
    e.equal(e.ask(request), b"STORED\r\n" * count, "replies")
    yield RESTART
    for number in (0, count // 2, count - 1):
        if e.survived:
            e.equal(e.item(number)[2], b"%06d" % number * (size // 6), f"document {number}")


def small_pipelines_wait_for_room(e):
    """The same with requests of which many arrive in one read."""
    size, count = 3000, scaled(8000)
    request = b"".join(b"ms %s %d q\r\n%s\r\n" % (e.key(number), size, b"v" * size) for number in range(count))
    e.equal(e.ask(request), b"", "refusals")
    if e.survived:
        e.equal(e.stat("curr_items"), count, "items")
    yield RESTART
    e.equal(e.stat("curr_items"), e.kept(count, 0), "items after the restart")


def out_of_memory(e):
    """With value eviction keys stay in memory: when they fill it, stores are refused, everything else works."""
    refused, count, batch = 0, 0, 500
    while not refused and count < 400_000:
        request = b"".join(b"ms %s-%d 1 q\r\nv\r\n" % (b"k" * 150, number) for number in range(count, count + batch))
        replies = e.ask(request)
        refused = len(replies.splitlines())
        e.equal(replies, b"SERVER_ERROR out of memory storing object\r\n" * refused, "refusals")
        count += batch
    e.check(refused, "memory never filled up")
    first = b"k" * 150 + b"-0"
    e.equal(e.ask(b"get %s\r\n" % first), b"VALUE %s 0 1\r\nv\r\nEND\r\n" % first, "get without memory")
    for number in range(1000):
        e.equal(e.ask(b"delete %s-%d\r\n" % (b"k" * 150, number)), b"DELETED\r\n", "delete without memory")
    e.host.saved()
    poll(lambda: e.ask(b"set %s-new 0 0 1\r\nv\r\n" % (b"k" * 150)) == b"STORED\r\n", "room for a document")
    items = e.stat("curr_items")
    yield RESTART
    e.host.warm()
    e.equal(e.stat("curr_items"), items, "items after a restart with full memory")
    first = b"k" * 150 + b"-1000"
    e.equal(e.ask(b"get %s\r\n" % first), b"VALUE %s 0 1\r\nv\r\nEND\r\n" % first, "get after the restart")
    e.equal(e.ask(b"get %s-5\r\n" % (b"k" * 150)), b"END\r\n", "get of a deleted key")
    e.equal(e.ask(b"delete %s\r\n" % first), b"DELETED\r\n", "delete after the restart")


def out_of_memory_full(e):
    """With full eviction keys leave memory as well, and nothing is refused."""
    count = scaled(60_000)
    for start in range(0, count, 2000):
        names = range(start, start + 2000)
        request = b"".join(b"ms %s-%d 1 q\r\nv\r\n" % (b"k" * 150, number) for number in names)
        e.equal(e.ask(request), b"", "refusals")
    count = start + 2000
    e.equal(e.stat("curr_items"), count, "items")
    yield RESTART
    e.equal(e.stat("curr_items"), count, "items after the restart")
    for number in range(0, count, count // 50):
        found = e.ask(b"get %s-%d\r\n" % (b"k" * 150, number))
        e.equal(found, b"VALUE %s-%d 0 1\r\nv\r\nEND\r\n" % (b"k" * 150, number), "a key that had left memory")


def slow_reader(e):
    """A client that does not take large evicted values holds little memory."""
    values, size = 15, MIB - 100
    for number in range(values):
        e.put(f"k{number}", os.urandom(size))
    yield EVICT
    e.host.server.forget_memory_peak()
    before = e.host.server.memory_kib()
    line = b"get " + b" ".join(e.key(f"k{number}") for number in range(values)) + b"\r\n"
    connections = [e.another(receive_buffer=4096) for _ in range(2)]
    for connection in connections:
        connection.send(line)
    poll(lambda: e.stat("conn_unsent_bytes") > 0 and e.stat("unsent_pauses") >= 2, "replies that nobody takes")
    e.put("other", "works")
    grown = (e.host.server.memory_kib("VmHWM") - before) // 1024
    e.check(grown < 60 or SANITIZED, f"{grown} MiB more for clients that do not read")
    for connection in connections:
        reply = connection.read_until(b"END\r\n")
        found = reply.count(b"VALUE ")
        e.check(found == values if e.survived else found <= values, f"{found} values")
    yield RESTART
    e.gone_or("other", "works")


def connection_limit(e):
    """At the limit of connections further ones wait, also while those that are there wait for the disk."""
    for number in range(20):
        e.put(f"k{number}", "v" * 5000)
    yield EVICT
    connections = [e.another() for _ in range(40)]
    for number, connection in enumerate(connections):
        connection.send(b"get %s\r\nquit\r\n" % e.key(f"k{number % 20}"))
    for connection in connections:
        e.check(connection.read_to_end().endswith(b"v\r\nEND\r\n"), "an answer")
        connection.close()
    yield RESTART
    connections = [e.another() for _ in range(40)]
    for number, connection in enumerate(connections):
        connection.send(b"get %s\r\nquit\r\n" % e.key(f"k{number % 20}"))
    for connection in connections:
        e.check(connection.read_to_end().endswith(e.kept(b"v\r\nEND\r\n", b"END\r\n")), "an answer")
        connection.close()


def acknowledged_is_kept(e):
    """--durability disk: what was acknowledged when the server is killed is there. Nothing is waited for."""
    acknowledged = [0] * 4
    started = threading.Event()

    def write(writer):
        with Connection(e.host.server.endpoint) as connection:
            for number in range(1, 100_000):
                key = e.key(f"{writer}-{number}")
                try:
                    reply = connection.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, 100, b"v" * 100))
                except OSError:
                    return
                if reply != b"STORED\r\n":
                    return
                acknowledged[writer] = number
                if number == 20:
                    started.set()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    started.wait()
    cas = int(e.connection.ask(b"ms %s 1 c\r\nv\r\n" % e.key("cas")).split(b" c")[1])
    e.host.saves = False
    yield RESTART
    for writer in writers:
        writer.join()
    for writer, last in enumerate(acknowledged):
        for number in range(1, last + 1):
            e.equal(e.value(f"{writer}-{number}"), "v" * 100, f"write {number} of {last} by {writer}")
    e.equal(e.cas("cas"), cas, "CAS")
    e.put("cas", "w")
    e.check(e.cas("cas") > cas, "CAS fell")


def killed_in_the_middle(e):
    """Acknowledged from memory, killed at any moment: of each key an early or a late value, never another, and CAS and
    what is written afterwards is above all that was seen."""
    seen = {}
    for turn in range(30):
        for number in range(20):
            reply = e.connection.ask(b"ms %s 7 c\r\nturn-%02d\r\n" % (e.key(f"k{number}"), turn))
            seen[number] = int(reply.split(b" c")[1])
    e.host.saves = False
    yield RESTART
    for number in range(20):
        value = e.value(f"k{number}")
        e.check(value is None or value.startswith("turn-"), f"value {value}")
        reply = e.connection.ask(b"ms %s 1 c\r\nw\r\n" % e.key(f"k{number}"))
        e.check(int(reply.split(b" c")[1]) > seen[number], "a CAS was given out twice")


def warmup_within_memory(e):
    """Large values are not loaded beyond the memory there is."""
    values = 50
    for number in range(values):
        e.put(f"k{number}", os.urandom(MIB))
    yield RESTART
    e.host.warm()
    stats = e.connection.stats()
    used, quota = int(stats["bytes_used"]), int(stats["limit_maxbytes"])
    # The allocator takes a quarter more, and each shard may be in the middle of a value.
    e.check(used <= quota, f"{used} bytes used of {quota} after the warmup")
    e.equal(int(stats["curr_items"]), e.kept(values, 0), "items")
    for number in (0, 25, 49):
        e.equal(len(e.value(f"k{number}") or ""), e.kept(MIB, 0), "length")
