"""What bench/versus measures: the scenarios, who takes part in each, and the marks they are held against."""

import dataclasses
import json
import subprocess
import time

from versus_servers import KINDS, Failed, Server, on_cores


@dataclasses.dataclass(frozen=True)
class Mark:
    """`metric` of `of`, against `against`'s in the same run, or against a figure when that is None."""

    metric: str
    against: str | None
    at_least: float | None = None
    at_most: float | None = None
    of: str = "bobbin"


@dataclasses.dataclass(frozen=True)
class Contestant:
    name: str
    kind: str
    threads: int = 1
    durability: str | None = None  # as Server's
    asks: tuple = ()  # further options of the generator


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    metric: str  # what is compared; METRICS has its unit
    contestants: tuple
    marks: tuple = ()
    # Load, as the generator's options:
    protocol: str = "text"  # redis always gets its own
    connections: int = 50
    in_flight: int = 1
    generator_threads: int = 1
    ratio: str = "0:1"  # sets to gets
    keys: int = 10_000
    value_bytes: int = 100
    multi_get: int = 1
    pinned: bool = True
    tls: bool = False
    seconds: float | None = None  # None: as many as were asked for
    # Or a measurement of its own, in versus_memory.py:
    special: str | None = None
    rounds: int | None = None  # None: as many as were asked for

    @property
    def keeps_data(self):
        return any(contestant.durability for contestant in self.contestants)

    @property
    def only_gets(self):
        return self.ratio.startswith("0:")


METRICS = {  # name: (unit, larger is better)
    "requests_per_s": ("requests/s", True),
    "keys_per_s": ("keys/s", True),
    "bytes_in_per_s": ("bytes/s", True),
    "p50": ("µs", False),
    "p99": ("µs", False),
    "bytes_per_item": ("bytes/item", False),
    "bytes_per_connection": ("bytes/connection", False),
    "start_ms": ("ms", False),
    "ratio": ("times", False),
    "items_per_s": ("items/s", True),
}

_ALL = tuple(Contestant(kind, kind) for kind in KINDS)
_STORES = tuple(Contestant(kind, kind) for kind in KINDS if kind != "ceiling")
_CACHES = tuple(Contestant(kind, kind) for kind in ("bobbin", "memcached"))
_THREADS = tuple(Contestant(f"{kind}-{n}", kind, n) for kind in ("bobbin", "memcached") for n in (1, 2))
_DATA = Contestant("bobbin-data", "bobbin", durability="memory")
_DURABLE = Contestant("bobbin-durable", "bobbin", durability="disk")
_REDIS_EVERYSEC = Contestant("redis-everysec", "redis", durability="memory")
_REDIS_ALWAYS = Contestant("redis-always", "redis", durability="disk")
_NO_SLOWER = (Mark("requests_per_s", "bobbin-1", at_least=1.0, of="bobbin-2"),)


def _rate(against, at_least, metric="requests_per_s"):
    return Mark(metric, against, at_least=at_least)


SCENARIOS = (
    Scenario(
        "gets-50x1",
        "gets, 50 connections, 1 in flight",
        "requests_per_s",
        _ALL,
        (_rate("memcached", 1.05), _rate("ceiling", 0.93), Mark("p99", "memcached", at_most=0.75)),
    ),
    Scenario(
        "gets-50x16",
        "gets, 50 connections, 16 in flight",
        "requests_per_s",
        _ALL,
        (_rate("memcached", 1.4),),
        in_flight=16,
    ),
    Scenario("gets-500x1", "gets, 500 connections, 1 in flight", "requests_per_s", _ALL, connections=500),
    Scenario("sets-50x1", "sets, 50 connections, 1 in flight", "requests_per_s", _ALL, ratio="1:0"),
    Scenario(
        "sets-50x16",
        "sets, 50 connections, 16 in flight",
        "requests_per_s",
        _ALL,
        (_rate("memcached", 1.4),),
        ratio="1:0",
        in_flight=16,
    ),
    Scenario(
        "multiget-100",
        "one get of 100 keys, 50 connections",
        "keys_per_s",
        _ALL,
        (_rate("memcached", 1.4, "keys_per_s"),),
        multi_get=100,
    ),
    Scenario(
        "gets-1mib",
        "gets of 1-MiB values, 8 connections",
        "bytes_in_per_s",
        _ALL,
        (_rate("memcached", 1.0, "bytes_in_per_s"),),
        connections=8,
        keys=64,
        value_bytes=1 << 20,
    ),
    Scenario(
        "meta-50x16",
        "meta gets, 50 connections, 16 in flight",
        "requests_per_s",
        _CACHES,
        protocol="meta",
        in_flight=16,
    ),
    Scenario(
        "binary-50x16",
        "binary gets, 50 connections, 16 in flight",
        "requests_per_s",
        _CACHES,
        protocol="binary",
        in_flight=16,
    ),
    Scenario(
        "mcbp-lookup-50x16",
        "MCBP, 1-KiB documents, 50 connections, 16 in flight: lookups of 3 paths over gets",
        "requests_per_s",
        (Contestant("bobbin-gets", "bobbin"), Contestant("bobbin-lookups", "bobbin", asks=("--paths", "3"))),
        (Mark("requests_per_s", "bobbin-gets", at_least=0.4, of="bobbin-lookups"),),
        protocol="mcbp",
        value_bytes=1024,
        in_flight=16,
    ),
    Scenario(
        "tls-gets-50x16",
        "TLS gets, 50 connections, 16 in flight",
        "requests_per_s",
        _CACHES,
        (_rate("memcached", 1.2),),
        in_flight=16,
        tls=True,
    ),
    Scenario(
        "threads-50x1",
        "2 server threads over 1: gets, 50 connections, 1 in flight",
        "requests_per_s",
        _THREADS,
        _NO_SLOWER,
        pinned=False,
        generator_threads=2,
    ),
    Scenario(
        "threads-50x16",
        "2 server threads over 1: gets, 50 connections, 16 in flight",
        "requests_per_s",
        _THREADS,
        _NO_SLOWER,
        pinned=False,
        in_flight=16,
        generator_threads=2,
    ),
    # A generator of one thread has a core to itself at most and is soon what limits: what a second server thread
    # costs shows then, and not what it is worth.
    Scenario(
        "threads-one-50x1",
        "the same from a generator of one thread, 1 in flight",
        "requests_per_s",
        _THREADS,
        pinned=False,
    ),
    Scenario(
        "threads-one-50x16",
        "the same from a generator of one thread, 16 in flight",
        "requests_per_s",
        _THREADS,
        pinned=False,
        in_flight=16,
    ),
    Scenario(
        "memory-items",
        "5 million items, 16-byte keys, 32-byte values",
        "bytes_per_item",
        _CACHES,
        (Mark("bytes_per_item", "memcached", at_most=1.0),),
        special="items",
        rounds=1,
    ),
    Scenario(
        "memory-idle",
        "10,000 idle connections",
        "bytes_per_connection",
        _CACHES,
        (Mark("bytes_per_connection", None, at_most=4096),),
        special="idle",
        rounds=1,
    ),
    Scenario(
        "start",
        "start to first answer",
        "start_ms",
        _STORES,
        (Mark("start_ms", None, at_most=20),),
        special="start",
        rounds=11,
    ),
    # With data that survives. Flushing takes threads of its own, so nothing is pinned.
    Scenario(
        "data-sets-50x1",
        "kept on disk, acknowledged from memory: sets, 50 connections, 1 in flight",
        "requests_per_s",
        (Contestant("bobbin", "bobbin"), _DATA),
        (Mark("requests_per_s", "bobbin", at_least=0.8, of="bobbin-data"),),
        ratio="1:0",
        pinned=False,
    ),
    Scenario(
        "data-sets-50x16",
        "the same for a minute, 16 in flight, 100,000 keys",
        "requests_per_s",
        (_DATA, _REDIS_EVERYSEC),
        (Mark("requests_per_s", "redis-everysec", at_least=0.6, of="bobbin-data"),),
        ratio="1:0",
        in_flight=16,
        keys=100_000,
        pinned=False,
        seconds=60,
        rounds=1,
    ),
    Scenario(
        "durable-sets-50x1",
        "acknowledged when on disk: sets, 50 connections, 1 in flight",
        "requests_per_s",
        (_DURABLE, _REDIS_ALWAYS),
        (Mark("requests_per_s", "redis-always", at_least=1.0, of="bobbin-durable"),),
        ratio="1:0",
        pinned=False,
    ),
    Scenario(
        "durable-sets-50x16",
        "acknowledged when on disk: sets, 50 connections, 16 in flight",
        "requests_per_s",
        (_DURABLE, _REDIS_ALWAYS),
        (Mark("requests_per_s", "redis-always", at_least=0.5, of="bobbin-durable"),),
        ratio="1:0",
        in_flight=16,
        pinned=False,
    ),
    Scenario(
        "data-gets-flushing",
        "gets at 10,000 a second while another client writes as fast as it can, p99 over that without the writer",
        "ratio",
        (_DATA,),
        (Mark("ratio", None, at_most=1.5, of="bobbin-data"),),
        special="gets-flushing",
    ),
    Scenario(
        "data-warmup",
        "5 million items of 16 and 32 bytes: into memory after a restart",
        "items_per_s",
        (_DATA, Contestant("redis-rdb", "redis")),
        (Mark("items_per_s", "redis-rdb", at_least=2.0, of="bobbin-data"),),
        special="warmup",
        rounds=1,
    ),
    Scenario(
        "data-random-gets",
        "random gets on a bucket ten times its memory, over what RocksDB alone gives from as many threads",
        "ratio",
        (_DATA,),
        (Mark("ratio", None, at_least=0.8, of="bobbin-data"),),
        special="random-gets",
        rounds=1,
    ),
    Scenario(
        "data-first-answer",
        "1 million items: start to the first read's answer after a clean end",
        "start_ms",
        (_DATA,),
        (Mark("start_ms", None, at_most=100, of="bobbin-data"),),
        special="first-answer",
        rounds=3,
    ),
    Scenario(
        "data-first-answer-killed",
        "1 million items: the same after kill -9",
        "start_ms",
        (_DATA,),
        (Mark("start_ms", None, at_most=1500, of="bobbin-data"),),
        special="first-answer-killed",
        rounds=3,
    ),
    Scenario(
        "data-memory-items",
        "5 million items kept on disk and in memory, 16-byte keys, 32-byte values",
        "bytes_per_item",
        (_DATA, Contestant("memcached", "memcached")),
        (Mark("bytes_per_item", "memcached", at_most=1.1, of="bobbin-data"),),
        special="items",
        rounds=1,
    ),
    Scenario(
        "data-space",
        "1 million items of 100 bytes written 10 times: disk space over keys and values",
        "ratio",
        (_DATA,),
        (Mark("ratio", None, at_most=2.0, of="bobbin-data"),),
        special="space",
        rounds=1,
    ),
)


def generator_command(program, scenario, contestant, server, seconds, warmup):
    protocol = "redis" if contestant.kind == "redis" else scenario.protocol
    return [
        *(program, "bench", "--server", server.address, "--protocol", protocol),
        *(("--tls", "--cafile", server.certificate) if scenario.tls else ()),
        *("--connections", str(scenario.connections), "--in-flight", str(scenario.in_flight)),
        *("--threads", str(scenario.generator_threads)),
        *("--ratio", scenario.ratio, "--keys", str(scenario.keys), "--value-size", str(scenario.value_bytes)),
        *("--multi-get", str(scenario.multi_get)),
        *contestant.asks,
        *("--duration", f"{seconds * 1000:.0f}ms", "--warmup", f"{warmup * 1000:.0f}ms", "--json"),
    ]


def refusal(scenario, result):
    """Why these figures must not be used, or None."""
    if result["errors"] != 0:
        return f"{result['errors']} errors"
    if scenario.only_gets and result["misses"] != 0:
        return f"{result['misses']} misses"
    if result["requests"] == 0:
        return "no request was answered"
    return None


class LoadRunner:
    """Starts a server, lets the generator loose on it, ends it, and returns what the generator says."""

    def __init__(self, programs, *, seconds, warmup, server_core, generator_core):
        self._programs = programs
        self._seconds = seconds
        self._warmup = warmup
        self._server_cores = {server_core}
        self._generator_cores = {generator_core}

    def run(self, scenario, contestant):
        with Server(
            self._programs,
            contestant.kind,
            threads=contestant.threads,
            cores=self._server_cores if scenario.pinned else None,
            value_bytes=scenario.value_bytes,
            connections=max(1024, 2 * scenario.connections),
            durability=contestant.durability,
            tls=scenario.tls,
        ) as server:
            seconds = scenario.seconds or self._seconds
            command = generator_command(
                self._programs.bobbin, scenario, contestant, server, seconds, self._warmup
            )
            started, cpu = time.monotonic(), server.cpu_seconds()
            with on_cores(self._generator_cores if scenario.pinned else None):
                generator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                out, errors = generator.communicate(timeout=60 + 4 * (seconds + self._warmup))
            except BaseException:
                generator.kill()
                generator.wait()
                raise
            if generator.returncode != 0:
                said = (errors.strip() or out.strip())[-2000:]
                raise Failed(f"the generator ended with {generator.returncode}: {said}")
            result = json.loads(out)
            # Above one core means several threads; well below it: the generator was the slower of the two.
            result["server_busy"] = round((server.cpu_seconds() - cpu) / (time.monotonic() - started), 3)
        reason = refusal(scenario, result)
        if reason:
            raise Failed(f"figures refused: {reason}")
        result["p50"] = result["latency_us"]["p50"]
        result["p99"] = result["latency_us"]["p99"]
        return result
