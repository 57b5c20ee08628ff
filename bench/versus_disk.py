"""The measurements of bench/versus that are about data on disk, and no plain load."""

import json
import os
import re
import socket
import statistics
import subprocess
import time

import versus_memory
from versus_servers import Failed, Server, data_folder, folder_bytes

WARMUP_MEMORY_MIB = 2048
FIRST_ANSWER_ITEMS = 1_000_000
SPACE_ITEMS = 1_000_000
SPACE_ROUNDS = 10
SPACE_ITEM_BYTES = 16 + 100
READER_RATE = 10_000
READER_SECONDS = 3


def _generator(programs, server, *words, wait=True):
    command = [programs.bobbin, "bench", "--server", server.address, "--json", "--quiet", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return _result(process) if wait else process


def _result(process):
    out, errors = process.communicate(timeout=600)
    if process.returncode != 0:
        raise Failed(f"the generator ended with {process.returncode}: {errors[-500:]}")
    result = json.loads(out)
    if result["errors"]:
        raise Failed(f"{result['errors']} errors")
    return result


def _p99_of_reader(programs, server):
    words = ("--keys", "10000", "--rate", str(READER_RATE), "--duration", f"{READER_SECONDS}s")
    return _generator(programs, server, *words)["latency_us"]["p99"]


def gets_while_flushing(programs, contestant):
    """The writer's own load on the loops is there in both: first into a cache's memory, then into a log that
    is flushed. So what differs is the flushing."""
    p99 = {}
    for name, durability in (("cache", None), ("data", contestant.durability)):
        with Server(programs, contestant.kind, durability=durability) as server:
            _generator(programs, server, "--keys", "10000", "--duration", "100ms")
            if durability:
                p99["quiet"] = _p99_of_reader(programs, server)
            words = ("--ratio", "1:0", "--keys", "100000", "--key-size", "24", "--connections", "4", "--in-flight", "4")
            writer = _generator(programs, server, *words, "--duration", f"{READER_SECONDS + 3}s", wait=False)
            time.sleep(1.5)
            p99[name] = _p99_of_reader(programs, server)
            _result(writer)
    return {"ratio": p99["data"] / p99["cache"], "p99_us": p99}


def _wait_until_saved(server):
    deadline = time.monotonic() + 120
    while server.stats()["unsaved_bytes"] != "0":
        if time.monotonic() > deadline:
            raise Failed("what was stored does not get to disk")
        time.sleep(0.05)


def _warmup_stats(server):
    with server.connect() as asked, asked.makefile("rb") as lines:
        asked.sendall(b"stats warmup\r\n")
        found = {}
        while (line := lines.readline().decode()).startswith("STAT "):
            _, name, value = line.split()
            found[name] = value
        return found


def _warm_bobbin(programs, contestant, folder):
    options = {"memory_mib": WARMUP_MEMORY_MIB, "durability": contestant.durability, "folder": folder}
    with Server(programs, contestant.kind, **options) as server:
        versus_memory.fill(server, versus_memory.ITEMS)
    with Server(programs, contestant.kind, **options) as server:
        while (stats := _warmup_stats(server))["ep_warmup_thread"] != "complete":
            time.sleep(0.01)
        if int(stats["ep_warmup_value_count"]) != versus_memory.ITEMS:
            raise Failed(f"{stats['ep_warmup_value_count']} values were loaded")
        return int(stats["ep_warmup_time"]) / 1e6


# Redis loads before it answers; its log says how long that took.
def _warm_redis(programs, folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    log = os.path.join(folder, "log")
    command = [programs.redis, "--port", port, "--dir", folder, "--save", "", "--logfile", log]

    def start():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", int(port)), 120)
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith(b"+PONG"):
                    return process, connection
            except OSError:
                pass
            if process.poll() is not None:
                raise Failed("redis has ended")
            time.sleep(0.01)

    process, connection = start()
    with connection:
        for begin in range(0, versus_memory.ITEMS, 1000):
            keys = range(begin, begin + 1000)
            connection.sendall(b"".join(b"SET key:%012d %s\r\n" % (key, b"v" * 32) for key in keys))
            left = 5 * len(keys)
            while left > 0:
                left -= len(connection.recv(left))
        connection.sendall(b"SAVE\r\n")
        if not connection.recv(64).startswith(b"+OK"):
            raise Failed("redis did not save")
    process.terminate()
    process.wait()
    os.unlink(log)
    process, connection = start()
    connection.close()
    process.terminate()
    process.wait()
    with open(log, encoding="utf-8") as lines:
        loaded = [line for line in lines if "DB loaded from" in line]
    return float(loaded[-1].rsplit(":", 1)[1].split()[0])


def warmup(programs, contestant):
    with data_folder() as folder:
        redis = contestant.kind == "redis"
        seconds = _warm_redis(programs, folder) if redis else _warm_bobbin(programs, contestant, folder)
    return {"items_per_s": versus_memory.ITEMS / seconds, "seconds": seconds}


def _first_read(programs, contestant, kill):
    with data_folder() as folder:
        options = {"durability": contestant.durability, "folder": folder}
        with Server(programs, contestant.kind, **options) as server:
            versus_memory.fill(server, FIRST_ANSWER_ITEMS)
            _wait_until_saved(server)
            if kill:
                server.kill()
        with Server(programs, contestant.kind, **options) as server:
            with server.connect() as connection:
                connection.sendall(b"get key:%012d\r\n" % (FIRST_ANSWER_ITEMS - 1))
                answer = connection.recv(128)
            took = (time.perf_counter() - server.started_at) * 1000
            if not answer.startswith(b"VALUE"):
                raise Failed(f"the first read was answered with {answer!r}")
    return {"start_ms": took}


def first_answer(programs, contestant):
    return _first_read(programs, contestant, kill=False)


def first_answer_killed(programs, contestant):
    return _first_read(programs, contestant, kill=True)


def space(programs, contestant):
    """As the files are when nothing is written any more, compactions included."""
    with data_folder() as folder:
        with Server(programs, contestant.kind, durability=contestant.durability, folder=folder) as server:
            for _ in range(SPACE_ROUNDS):
                words = ("--ratio", "1:0", "--keys", str(SPACE_ITEMS), "--in-flight", "16", "--warmup", "0")
                _generator(programs, server, *words, "--requests", str(SPACE_ITEMS))
                _wait_until_saved(server)
            sizes = []
            for _ in range(20):
                time.sleep(0.5)
                sizes.append(folder_bytes(folder))
            items = int(server.stats()["curr_items"])
    return {"ratio": statistics.median(sizes[-5:]) / (items * SPACE_ITEM_BYTES), "bytes": sizes[-1], "items": items}


def random_gets(programs, _contestant):
    with data_folder() as folder:
        command = [programs.disk_gets, f"dir={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise Failed(f"disk_gets ended with {done.returncode}: {done.stderr[-500:]}")
    found = re.fullmatch(r"RocksDB (\d+), Bobbin (\d+) thousand gets/s: ([\d.]+);.*", done.stdout.strip())
    return {"ratio": float(found[3]), "rocksdb_k_per_s": int(found[1]), "bobbin_k_per_s": int(found[2])}


SPECIAL = {
    "gets-flushing": gets_while_flushing,
    "warmup": warmup,
    "first-answer": first_answer,
    "first-answer-killed": first_answer_killed,
    "space": space,
    "random-gets": random_gets,
}
