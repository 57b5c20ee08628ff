"""What went in is what the statistics count: exactly, over all three protocols and all threads."""

import os
import random
import unittest

from model import BinaryCommands, MetaCommands, Model, TextCommands

from lib import binary
from lib.connection import Connection
from lib.server import KIND, SANITIZED, Server

SEED = int(os.environ.get("BOBBIN_STATISTICS_SEED") or random.SystemRandom().randrange(2**32))
COMMANDS = 1_000 if SANITIZED else 6_000
# Every count of commands and of documents; what no command has done must be 0.
COUNTED = (
    "cmd_get cmd_set cmd_touch cmd_flush cmd_meta get_hits get_misses get_expired delete_hits delete_misses incr_hits "
    "incr_misses decr_hits decr_misses cas_hits cas_misses cas_badval touch_hits touch_misses curr_items total_items bytes "
    "evictions evicted_unfetched expired_unfetched reclaimed store_too_large store_no_memory auth_cmds auth_errors "
    "rejected_connections"
).split()


@unittest.skipIf(KIND == "memcached", "memcached counts gat and what N creates otherwise")
class StatisticsTest(unittest.TestCase):
    def check(self, connection, model):
        stats = connection.stats()
        expected = {name: str(model.totals().get(name, 0)) for name in COUNTED}
        self.assertEqual({name: stats.get(name) for name in COUNTED}, expected)

    def test_random_commands_of_all_protocols(self):
        print(f"BOBBIN_STATISTICS_SEED={SEED}", flush=True)
        rng, model = random.Random(SEED), Model()
        keys = [b"key-%d" % number for number in range(30)]
        with Server(threads=2) as server, Connection(server.endpoint) as watcher:
            speakers = []
            for commands in (TextCommands, MetaCommands, BinaryCommands) * 2:  # two of each: on both threads
                speakers.append((commands(rng, model, keys), Connection(server.endpoint)))
                self.addCleanup(speakers[-1][1].close)
            for number in range(COMMANDS):
                commands, connection = rng.choice(speakers)
                request, reply = commands.any()
                self.assertEqual(self.answered(commands, connection, request), reply, request)
                if not isinstance(commands, BinaryCommands):
                    model.counts["cmd_meta"] += 1  # the mn behind it
                if number % 200 == 0:
                    self.check(watcher, model)
            self.check(watcher, model)
            for group in (b"items", b"slabs", b"sizes", b"conns", b"settings"):
                self.assertTrue(watcher.stats(group), group)
            self.assertEqual(watcher.ask(b"stats reset\r\n"), b"RESET\r\n")
            model.counts.clear()
            self.check(watcher, model)

    def answered(self, commands, connection, request):
        if isinstance(commands, BinaryCommands):
            answers = binary.ask(connection, request)
            return [(each.opcode, each.status, each.key, None if each.status else each.value) for each in answers]
        connection.send(request + b"mn\r\n")
        reply = b""
        while not reply.endswith(b"MN\r\n"):
            reply += connection.line()
        return reply[: -len(b"MN\r\n")]

    def test_connections_and_bytes(self):
        with Server() as server, Connection(server.endpoint) as connection:
            before = connection.stats()
            line = b"get " + b"k" * 200 + b"\r\n"
            with Connection(server.endpoint) as other:
                for _ in range(100):
                    self.assertEqual(other.ask(line), b"END\r\n")
                after = connection.stats()
            grown = {name: int(after[name]) - int(before[name]) for name in after if after[name].isdigit()}
            self.assertEqual(grown["total_connections"], 1)
            self.assertEqual(grown["curr_connections"], 1)
            self.assertEqual(grown["bytes_read"], 100 * len(line) + len(b"stats\r\n"))
            report = sum(len(f"STAT {name} {value}\r\n") for name, value in before.items()) + len(b"END\r\n")
            self.assertEqual(grown["bytes_written"], 100 * len(b"END\r\n") + report)

    def test_each_name_is_told_once(self):
        with Server(idle_timeout=30) as server, Connection(server.endpoint) as connection:
            connection.ask(b"set k 0 0 1\r\n1\r\n")
            for group in (b"", b" settings", b" items", b" slabs", b" sizes", b" conns"):
                lines = connection.ask(b"stats" + group + b"\r\n", b"END\r\n").split(b"\r\n")
                names = [line.split(b" ")[1] for line in lines if line.startswith(b"STAT ")]
                self.assertEqual(sorted(names), sorted(set(names)), group)
            self.assertEqual(connection.stats(b"settings")["idle_timeout"], "30")

    def test_limits_that_were_met(self):
        with Server(memory="8M", max_item_size="1M") as server, Connection(server.endpoint) as connection:
            connection.ask(b"set k 0 0 1048577\r\n" + b"v" * 1048577 + b"\r\n")
            for number in range(30):
                self.assertEqual(connection.ask(b"set k%d 0 0 1000000\r\n" % number + b"v" * 1_000_000 + b"\r\n"), b"STORED\r\n")
            stats = {name: int(value) for name, value in connection.stats().items() if value.isdigit()}
            self.assertEqual(stats["store_too_large"], 1)
            self.assertEqual(stats["total_items"], 30)
            self.assertEqual(stats["evictions"] + stats["curr_items"], 30)
            self.assertEqual(stats["evicted_unfetched"], stats["evictions"])
            self.assertEqual(stats["limit_maxbytes"], 8 << 20)
            self.assertLessEqual(stats["bytes_used"], 8 << 20)

    def test_memory_comes_back_when_everything_is_deleted(self):
        with Server() as server, Connection(server.endpoint) as connection:
            before = int(connection.stats()["bytes_used"])
            for number in range(2000):
                connection.ask(b"set k%d 0 0 1000\r\n" % number + b"v" * 1000 + b"\r\n")
            for number in range(2000):
                connection.ask(b"delete k%d\r\n" % number)
            stats = connection.stats()
            self.assertEqual((stats["curr_items"], stats["bytes"]), ("0", "0"))
            # Tables keep a first segment for each vbucket.
            self.assertLessEqual(int(stats["bytes_used"]) - int(stats["hash_bytes"]), before)


if __name__ == "__main__":
    unittest.main()
