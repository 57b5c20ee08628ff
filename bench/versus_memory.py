"""The measurements of bench/versus that need no generator: memory an item, memory an idle connection, start."""

import time

from versus_servers import Failed, Server

ITEMS = 5_000_000
BATCH = 1_000
IDLE_CONNECTIONS = 10_000
ITEMS_MEMORY_MIB = 2048


def _read_exactly(connection, wanted):
    pieces = []
    while wanted > 0:
        piece = connection.recv(min(wanted, 1 << 20))
        if not piece:
            raise Failed("the server closed the connection")
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def fill(server, items):
    """Sets `items` keys of 16 bytes to values of 32, a pipelined batch at a time, and checks every answer."""
    value = b"v" * 32
    with server.connect() as connection:
        for begin in range(0, items, BATCH):
            keys = range(begin, min(begin + BATCH, items))
            connection.sendall(b"".join(b"set key:%012d 0 0 32\r\n%s\r\n" % (key, value) for key in keys))
            expected = b"STORED\r\n" * len(keys)
            if _read_exactly(connection, len(expected)) != expected:
                raise Failed("a set was not answered with STORED")


def settled(server):
    """Waits until a table that is being resized is done, and the resident size has stopped changing."""
    before = server.resident_bytes()
    for _ in range(60):
        time.sleep(0.5)
        now = server.resident_bytes()
        stats = server.stats()
        busy = stats.get("hash_is_expanding", "0") != "0" or stats.get("unsaved_bytes", "0") != "0"
        if not busy and abs(now - before) < 1 << 16:
            return now
        before = now
    raise Failed("the resident size does not settle")


def bytes_per_item(programs, contestant):
    durability = contestant.durability
    with Server(programs, contestant.kind, memory_mib=ITEMS_MEMORY_MIB, durability=durability) as server:
        empty = settled(server)
        fill(server, ITEMS)
        full = settled(server)
        stats = server.stats()
        if int(stats["curr_items"]) != ITEMS or int(stats["evictions"]) != 0:
            raise Failed(f"{stats['curr_items']} items and {stats['evictions']} evictions instead of {ITEMS} and 0")
    return {"bytes_per_item": (full - empty) / ITEMS, "empty_bytes": empty, "full_bytes": full}


def bytes_per_connection(programs, contestant):
    """Each connection asks once before it is idle: buffers that a server keeps afterwards count."""
    with Server(programs, contestant.kind, connections=IDLE_CONNECTIONS + 2_000) as server:
        empty = settled(server)
        connections = []
        try:
            for _ in range(IDLE_CONNECTIONS):
                connection = server.connect()
                connections.append(connection)
                connection.sendall(b"version\r\n")
                if not connection.recv(64).startswith(b"VERSION"):
                    raise Failed(f"connection {len(connections)} got no answer")
            full = settled(server)
            open_now = int(server.stats()["curr_connections"])
            if open_now < IDLE_CONNECTIONS:
                raise Failed(f"only {open_now} connections are open")
        finally:
            for connection in connections:
                connection.close()
    return {"bytes_per_connection": (full - empty) / IDLE_CONNECTIONS, "empty_bytes": empty, "full_bytes": full}


def start_ms(programs, contestant):
    """From just before the process is made to its first answer."""
    with Server(programs, contestant.kind) as server:
        return {"start_ms": server.start_ms}


SPECIAL = {"items": bytes_per_item, "idle": bytes_per_connection, "start": start_ms}
