"""What the server does when its disk fails: it says which file, loses nothing silently, refuses what it cannot
keep, and goes on reading."""

import os
import random
import re
import shutil
import signal
import struct
import tempfile
import unittest

import mounts
from lib import binary
from lib.server import poll
from program import Program

HAS_MOUNTS = mounts.private_namespace()
UNWRITABLE = b"SERVER_ERROR disk write failed, read-only\r\n"
NON_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
TEMPORARY_FAILURE = 0x86
BOTH = (("--eviction", "value"), ("--eviction", "full"))
DURABLE = ("--durability", "disk")


def value_of(number, size):
    """Not to be compressed: disks are to get full."""
    head = b"value-%d-" % number
    return head + random.Random(number).randbytes(size - len(head))


def set_request(number, size):
    return b"set key-%d 0 0 %d\r\n%s\r\n" % (number, size, value_of(number, size))


class FaultCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-faults-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(self.folder, "data")

    def start(self, *options, **more):
        program = Program(self.data, *options, **more)
        self.addCleanup(lambda: program.code is None and program.kill())
        return program

    def running(self, *options, **more):
        program = self.start(*options, **more)
        self.assertIsNotNone(program.endpoint, program.errors)
        return program

    def refused(self, code, *names, **more):
        """It does not start: the exit code, and what its error names."""
        options = more.pop("options", ())
        program = self.start(*options, **more)
        self.assertEqual(program.wait(), code, program.errors)
        for name in names:
            self.assertIn(name, program.errors)
        self.assertLess(len(program.errors.splitlines()), 4, program.errors)

    def fill(self, program, count, size):
        with program.connect() as client:
            for number in range(count):
                self.assertEqual(client.ask(set_request(number, size)), b"STORED\r\n")

    def get(self, client, number):
        """The value, None, or the error."""
        line = client.ask(b"mg key-%d v\r\n" % number)
        return client.read(int(line.split()[1]) + 2)[:-2] if line.startswith(b"VA ") else line

    def check(self, program, count, size):
        with program.connect() as client:
            for number in range(count):
                self.assertEqual(self.get(client, number), value_of(number, size), f"key-{number}")

    def check_read_only(self, program, number=0, size=100, file=""):
        """Reads go on, and every dialect says that nothing can be written."""
        with program.connect() as client:
            self.assertEqual(self.get(client, number), value_of(number, size))
            name = b"key-%d" % number
            for request in (b"set %s 0 0 1\r\nx\r\n", b"add new-%s 0 0 1\r\nx\r\n", b"delete %s\r\n", b"touch %s 1\r\n",
                            b"ms %s 1\r\nx\r\n", b"md %s\r\n", b"append %s 0 0 1\r\nx\r\n", b"incr n%s 1\r\n"):  # fmt: skip
                reply = client.ask(request % name)
                self.assertIn(reply, (UNWRITABLE, b"NOT_FOUND\r\n") if b"incr" in request else (UNWRITABLE,), request)
            self.assertEqual(client.ask(b"flush_all\r\n"), UNWRITABLE)
            found = client.stats()
            self.assertEqual((found["disk_state"], found["ep_data_write_failed"]), ("read-only", "1"))
            self.assertIn(file or self.data, found["disk_failure"])
            self.assertEqual(self.get(client, number), value_of(number, size))
        with program.connect() as client:
            replies = binary.ask(client, binary.store("set", name, b"x"), binary.request("delete", name),
                                 binary.request("get", name))  # fmt: skip
            self.assertEqual([reply.status for reply in replies], [TEMPORARY_FAILURE, TEMPORARY_FAILURE, 0])

    def shard_files(self, ending):
        found = []
        for shard in sorted(os.listdir(self.data)):
            folder = os.path.join(self.data, shard)
            if os.path.isdir(folder):
                found += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if ending in name]
        return [path for path in found if os.path.getsize(path) > 0]

    def flip(self, path, share=0.5):
        with open(path, "r+b") as file:
            at = int(os.path.getsize(path) * share)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x10]))


class InjectedFaults(FaultCase):
    def failing(self, fault, durability):
        program = self.running("--durability", durability, later_faults=fault)
        self.fill(program, 20, 100)
        with program.connect() as observer:
            poll(lambda: observer.stats()["unsaved_bytes"] == "0", "all to be on disk")
            program.inject()
            with program.connect() as client:
                reply = client.ask(b"set key-0 0 0 3\r\nnew\r\n")
                # The reply that says STORED never comes when it cannot be true.
                self.assertEqual(reply, b"" if durability == "disk" else b"STORED\r\n")
            poll(lambda: observer.stats()["disk_state"] == "read-only", "the failure")
        return program

    def test_a_write_or_a_sync_fails(self):
        for fault in ("sync:io:0:.log", "write:io:0:.log", "write:no_space:0:.log"):
            for durability in ("disk", "memory"):
                with self.subTest(fault=fault, durability=durability):
                    self.data = os.path.join(self.folder, f"data-{fault}-{durability}".replace(":", "_"))
                    program = self.failing(fault, durability)
                    self.assertRegex(program.errors, r"data-\S*/shard-\d/\d+\.log: ")
                    # Of the other shard, and of this one.
                    self.check_read_only_of_failed_shard(program)
                    self.assertEqual(program.end(), 5, program.errors)
                    self.assertIn("not everything is on disk: " + self.data, program.errors)
                    again = self.running()
                    with again.connect() as client:
                        self.assertIn(self.get(client, 0), (b"new", value_of(0, 100)))
                        for number in range(1, 20):
                            self.assertEqual(self.get(client, number), value_of(number, 100))
                        self.assertEqual(client.ask(b"set key-0 0 0 1\r\nx\r\n"), b"STORED\r\n")
                    self.assertEqual(again.end(), 0)

    def check_read_only_of_failed_shard(self, program):
        with program.connect() as client:
            self.assertEqual(self.get(client, 0), b"new")
            self.assertEqual(client.ask(b"set key-0 0 0 1\r\nx\r\n"), UNWRITABLE)
            self.assertEqual(client.ask(b"delete key-0\r\n"), UNWRITABLE)
            self.assertEqual(client.ask(b"flush_all\r\n"), UNWRITABLE)
            self.assertIn(".log", client.stats()["disk_failure"])
        with program.connect() as client:
            replies = binary.ask(client, binary.store("set", b"key-0", b"x"), binary.request("get", b"key-0"))
            self.assertEqual([reply.status for reply in replies], [TEMPORARY_FAILURE, 0])

    def test_a_refusal_waits_for_what_it_goes_by(self):
        """What a client was told of another one's change holds after a loss of power."""
        note = os.path.join(self.folder, "note")
        os.environ["BOBBIN_POWER_NOTE"] = note
        self.addCleanup(os.environ.pop, "BOBBIN_POWER_NOTE")
        # One loop: what it has answered to a later request, it would have answered before.
        options = (*DURABLE, "--threads", "1")
        held = {"later_faults": "sync:hold:0:.log"}
        for loses_power in (False, True):
            program = self.running(*options, **held)
            with program.connect() as writer, program.connect() as refused, program.connect() as other:
                self.assertEqual(writer.ask(b"set old 0 0 1\r\n1\r\n"), b"STORED\r\n")
                before = int(other.stats()["cmd_set"])
                program.inject()
                writer.send(b"set new 0 0 1\r\nx\r\ndelete old\r\n")
                poll(lambda: other.ask(b"mg new v\r\n", b"\r\n").startswith(b"VA"), "the set")
                self.assertEqual(other.read(3), b"x\r\n")
                poll(lambda: other.ask(b"mg old\r\n") == b"EN\r\n", "the delete")
                refused.send(b"add new 0 0 1\r\ny\r\n" + b"incr new 1\r\ndelete old\r\ntouch old 9\r\n")
                poll(lambda: int(other.stats()["cmd_set"]) == before + 2, "the add")
                other.stats()
                if not loses_power:
                    program.heal()
                    self.assertEqual(writer.read(17), b"STORED\r\nDELETED\r\n")
                    expected = b"NOT_STORED\r\n" + NON_NUMERIC + b"NOT_FOUND\r\nNOT_FOUND\r\n"
                    self.assertEqual(refused.read(len(expected)), expected)
                    # A read does not wait, nor does what goes by something that is on disk.
                    self.assertEqual(refused.ask(b"add new 0 0 1\r\ny\r\n"), b"NOT_STORED\r\n")
                    self.assertEqual(program.end(), 0)
                    shutil.rmtree(self.data)
                    continue
                program.process.send_signal(signal.SIGUSR2)
                program.wait()
                self.assertEqual((writer.read_to_end(), refused.read_to_end()), (b"", b""))
            again = self.running(*options, is_faulty=True)
            with again.connect() as client:
                self.assertEqual(client.ask(b"mg new\r\n"), b"EN\r\n")
                self.assertEqual(client.ask(b"mg old\r\n"), b"HD\r\n")

    def test_what_cannot_be_read(self):
        program = self.running("--eviction", "full", "--memory", "16M")
        self.fill(program, 300, 60000)
        self.assertEqual(program.end(), 0)
        program = self.running("--eviction", "full", "--memory", "16M", later_faults="read:io:0:shard-")
        with program.connect() as client:
            poll(lambda: client.stats()["ep_warmup_state"] == "complete", "the warmup")
            program.inject()
            found = [self.get(client, number) for number in range(300)]
            right = [found[number] == value_of(number, 60000) for number in range(300)]
            self.assertGreater(sum(right), 20)
            failed = {found[number] for number in range(300) if not right[number]}
            self.assertEqual(failed, {b"SERVER_ERROR disk read failed\r\n"})
            # What needs no read goes on.
            self.assertEqual(client.ask(b"set fresh 0 0 1\r\nx\r\n"), b"STORED\r\n")
            self.assertEqual(client.ask(b"get fresh\r\n", b"END\r\n"), b"VALUE fresh 0 1\r\nx\r\nEND\r\n")
        with program.connect() as client:
            unreadable = right.index(False)
            replies = binary.ask(client, binary.request("get", b"key-%d" % unreadable))
            self.assertEqual(replies[0].status, TEMPORARY_FAILURE)
        self.assertRegex(program.errors, r"data/shard-\d/\d+\.(sst|blob)")
        program.end()
        again = self.running("--eviction", "full", "--memory", "16M")
        self.check(again, 300, 60000)

    def test_a_sync_that_fails_at_the_start(self):
        self.fill_and_end(20)
        for fault in ("sync:io:0:shard-", "write:no_space:0:shard-", "write:io:0:shard-"):
            with self.subTest(fault=fault):
                program = self.start(faults=fault)
                if program.endpoint is None:
                    self.assertEqual(program.wait(), 5, program.errors)
                    self.assertIn("/shard-", program.errors)
                else:
                    self.check_read_only(program)
                    program.kill()
                again = self.running()
                self.check(again, 20, 100)
                again.kill()

    def fill_and_end(self, count, size=100):
        program = self.running(*DURABLE)
        self.fill(program, count, size)
        self.assertEqual(program.end(), 0)


@unittest.skipUnless(HAS_MOUNTS, "this user may not mount: no small file system")
class RealFileSystems(FaultCase):
    def setUp(self):
        super().setUp()
        self.mounted = os.path.join(self.folder, "mounted")
        os.mkdir(self.mounted)
        self.assertTrue(mounts.mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", self.mounted))
        self.addCleanup(mounts.unmount, self.mounted)
        self.data = os.path.join(self.mounted, "data")

    def fill_the_disk(self, program, size=60000):
        """Returns how many keys were acknowledged."""
        acknowledged = 0
        with program.connect() as client:
            while True:
                reply = client.ask(set_request(acknowledged, size))
                if reply != b"STORED\r\n":
                    self.assertIn(reply, (UNWRITABLE, b""))
                    return acknowledged
                acknowledged += 1
                self.assertLess(acknowledged, 2000)

    def test_a_full_disk(self):
        for options in BOTH:
            with self.subTest(options=options):
                self.data = os.path.join(self.mounted, options[1])
                program = self.running(*DURABLE, *options, "--memory", "64M", "--disk-shards", "1")
                count = self.fill_the_disk(program)
                self.assertIn("No space left on device", program.errors)
                self.assertRegex(program.errors, self.data + r"/shard-0/\S+")
                self.check_read_only(program, 1, 60000)
                self.assertEqual(program.end(), 5, program.errors)
                self.restart_when_full(count, options)
                shutil.rmtree(self.data)
                self.assertTrue(mounts.mount("-o", "remount,size=24m", self.mounted))

    def restart_when_full(self, count, options):
        filler = os.path.join(self.mounted, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096) == 4096:
                    pass
            except OSError:
                pass
        again = self.running(*DURABLE, *options, "--memory", "64M")
        self.assertIn("No space left on device", again.errors)
        self.assertIn("read-only", again.errors)
        self.check(again, count, 60000)
        self.check_read_only(again, 1, 60000)
        self.assertEqual(again.end(), 5, again.errors)
        os.remove(filler)
        # The file system has to have room for what is written when a log is replayed.
        self.assertTrue(mounts.mount("-o", "remount,size=64m", self.mounted))
        again = self.running(*DURABLE, *options, "--memory", "64M")
        self.check(again, count, 60000)
        with again.connect() as client:
            self.assertEqual(client.ask(b"set key-0 0 0 1\r\nx\r\n"), b"STORED\r\n")
        self.assertEqual(again.end(), 0, again.errors)

    def test_a_read_only_directory(self):
        for end in ("kill", "end"):
            with self.subTest(end=end):
                program = self.running(*DURABLE)
                self.fill(program, 20, 100)
                getattr(program, end)()
                self.assertTrue(mounts.mount("-o", "remount,ro", self.mounted))
                again = self.running(*DURABLE)
                self.assertIn("Read-only file system", again.errors)
                self.check(again, 20, 100)
                self.check_read_only(again)
                self.assertEqual(again.end(), 5, again.errors)
                self.assertTrue(mounts.mount("-o", "remount,rw", self.mounted))
                again = self.running(*DURABLE)
                self.check(again, 20, 100)
                self.assertEqual(again.end(), 0)

    def test_a_new_directory_where_nothing_can_be_written(self):
        self.assertTrue(mounts.mount("-o", "remount,ro", self.mounted))
        self.refused(5, self.data, "Read-only file system")


class OtherDirectories(FaultCase):
    def test_two_servers(self):
        program = self.running(*DURABLE)
        self.fill(program, 5, 100)
        self.refused(5, os.path.join(self.data, "lock"), str(program.process.pid))
        self.check(program, 5, 100)
        self.assertEqual(program.kill(), -9)
        self.check(self.running(), 5, 100)

    def test_a_newer_version(self):
        self.assertEqual(self.running().end(), 0)
        path = os.path.join(self.data, "layout")
        with open(path, encoding="ascii") as file:
            text = file.read()
        with open(path, "w", encoding="ascii") as file:
            file.write(re.sub(r"format \d+", "format 99", text))
        self.refused(2, path, "newer Bobbin", "99")

    def test_a_setting_that_contradicts_the_directory(self):
        self.assertEqual(self.running("--disk-shards", "3").end(), 0)
        self.refused(2, os.path.join(self.data, "layout"), "3 shards", options=("--disk-shards", "2"))

    def test_a_path_that_is_a_file(self):
        with open(self.data, "w", encoding="ascii") as file:
            file.write("no folder")
        self.refused(5, self.data)


class LessMemoryThanDocuments(FaultCase):
    def test_a_restart_with_a_smaller_quota(self):
        program = self.running("--memory", "128M")
        self.fill(program, 400, 60000)
        self.assertEqual(program.end(), 0)
        for options in BOTH:
            for end in ("kill", "end"):
                with self.subTest(options=options, end=end):
                    again = self.running("--memory", "16M", "--disk-memory", "8M", *options)
                    self.check(again, 400, 60000)
                    with again.connect() as client:
                        poll(lambda: client.stats()["ep_warmup_state"] == "complete", "the warmup")
                        self.assertEqual(client.stats()["curr_items"], "400")
                        self.assertEqual(client.ask(b"delete key-399\r\n"), b"DELETED\r\n")
                        self.assertEqual(client.ask(set_request(399, 60000)), b"STORED\r\n")
                    getattr(again, end)() if end == "end" else self.saved_and_killed(again)

    def saved_and_killed(self, program):
        with program.connect() as client:
            poll(lambda: client.stats()["unsaved_bytes"] == "0", "all to be on disk")
        program.kill()

    def test_more_keys_than_memory_for_them(self):
        program = self.running("--memory", "64M")
        count = 30000
        with program.connect() as client:
            for start in range(0, count, 1000):
                client.send(b"".join(b"ms %s 2 q\r\nxy\r\n" % self.long_key(i) for i in range(start, start + 1000)))
            self.assertEqual(client.ask(b"mn\r\n"), b"MN\r\n")
        self.assertEqual(program.end(), 0)
        again = self.running("--memory", "16M", "--disk-memory", "8M")
        with again.connect() as client:
            poll(lambda: client.stats()["ep_warmup_state"] == "complete", "the warmup")
            self.assertEqual(client.stats()["curr_items"], str(count))
            for number in range(0, count, 100):
                self.assertEqual(client.ask(b"mg %s v\r\n" % self.long_key(number)), b"VA 2\r\n")
                self.assertEqual(client.line(), b"xy\r\n")
            self.assertEqual(client.ask(b"set new 0 0 1\r\nx\r\n"), b"SERVER_ERROR out of memory storing object\r\n")
            # Deletes go on, and make room.
            for number in range(count):
                client.send(b"md %s q\r\n" % self.long_key(number))
            self.assertEqual(client.ask(b"mn\r\n"), b"MN\r\n")
            self.assertEqual(client.ask(b"set new 0 0 1\r\nx\r\n"), b"STORED\r\n")
        self.assertEqual(again.end(), 0)

    def long_key(self, number):
        return (b"key-%d-" % number).ljust(200, b"k")


class Damage(FaultCase):
    def setUp(self):
        super().setUp()
        program = self.running(*DURABLE)
        self.fill(program, 400, 100)
        with program.connect() as client:
            for number in range(400, 440):
                self.assertEqual(client.ask(set_request(number, 6000)), b"STORED\r\n")
        self.first = program

    def test_a_flipped_bit_in_what_describes_the_directory(self):
        self.assertEqual(self.first.end(), 0)
        paths = [os.path.join(self.data, "layout"), self.shard_files("CURRENT")[0], self.shard_files("MANIFEST")[0]]
        for path in paths:
            for share in (0.1, 0.5, 0.9):
                with self.subTest(path=path, share=share):
                    self.flip(path, share)
                    self.refused(4, path)
                    self.flip(path, share)
        again = self.running()
        self.check(again, 400, 100)

    def test_a_flipped_bit_in_a_log(self):
        self.first.kill()
        path = self.shard_files(".log")[0]
        for share in (0.01, 0.5):
            self.flip(path, share)
            self.refused(4, path)
            self.flip(path, share)
        self.check(self.running(), 400, 100)

    def test_a_torn_last_record(self):
        self.first.kill()
        for path in self.shard_files(".log"):
            with open(path, "ab") as file:
                # A record's header that announces more than there is.
                file.write(struct.pack("<IHB", 0x12345678, 1000, 1) + b"half of it")
        again = self.running()
        self.check(again, 400, 100)
        self.assertEqual(again.end(), 0)

    def test_a_flipped_bit_in_documents(self):
        self.assertEqual(self.first.end(), 0)
        whole = os.path.join(self.folder, "whole")
        os.rename(self.data, whole)
        # A server writes files anew when it starts: each damage gets a copy.
        for ending in (".sst", ".blob"):
            for number in range(4):
                for share in (0.02, 0.4, 0.7, 0.97):
                    for options in BOTH:
                        shutil.rmtree(self.data, ignore_errors=True)
                        shutil.copytree(whole, self.data)
                        paths = self.shard_files(ending)
                        if number < len(paths):
                            with self.subTest(path=paths[number], share=share, options=options):
                                self.flip(paths[number], share)
                                self.damaged(paths[number], options)

    def damaged(self, path, options):
        """It does not start, or it says which documents it cannot read; never a wrong value or a silent miss."""
        program = self.start(*options)
        if program.endpoint is None:
            self.assertEqual(program.wait(), 4, program.errors)
            self.assertIn(path, program.errors)
            return
        with program.connect() as client:
            errors = 0
            for number in range(440):
                found = self.get(client, number)
                if found != value_of(number, 100 if number < 400 else 6000):
                    self.assertEqual(found, b"SERVER_ERROR disk read failed\r\n", f"key-{number}")
                    errors += 1
        if errors > 0:
            self.assertIn(path, program.errors)
        program.kill()


if __name__ == "__main__":
    unittest.main()
