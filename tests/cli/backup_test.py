"""bobbin backup and bobbin restore: of a server under load, of a directory alone, and what they refuse."""

import glob
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import program
from lib.connection import Connection
from lib.server import BINARY, SANITIZED, Server, poll

ROUNDS = 3
KEYS = 300 if SANITIZED else 2000


def read_all(server, keys):
    """key -> (flags, value, cas) of what is there."""
    found = {}
    with Connection(server.tcp) as client:
        for key in keys:
            client.send(b"gets " + key + b"\r\n")
            line = client.line()
            if line.startswith(b"VALUE"):
                _, _, flags, size, cas = line.split()
                found[key] = (int(flags), client.read(int(size) + 2)[:-2], int(cas))
                line = client.line()
            assert line == b"END\r\n", line
    return found


class Writer(threading.Thread):
    """Overwrites and deletes its keys until it is told to end. `model` has what was acknowledged."""

    def __init__(self, server, name):
        super().__init__()
        self.server = server
        self.name_bytes = name.encode()
        self.keys = [b"%s%d" % (self.name_bytes, i) for i in range(50)]
        self.model = {}
        self.stopping = threading.Event()
        self.writes = 0

    def run(self):
        with Connection(self.server.tcp) as client:
            while not self.stopping.is_set():
                key = self.keys[self.writes % len(self.keys)]
                value = b"%d" % self.writes
                if self.writes % 7 == 3:
                    client.ask(b"delete " + key + b"\r\n")
                    self.model.pop(key, None)
                else:
                    client.ask(b"set %s 3 0 %d\r\n%s\r\n" % (key, len(value), value))
                    self.model[key] = self.writes
                self.writes += 1


class Backup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-backup-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(self.folder, "data")
        self.backups = os.path.join(self.folder, "backups")
        self.restored = os.path.join(self.folder, "restored")

    def run_json(self, *words):
        code, out, err = program.run(*words, "--json")
        self.assertEqual((code, err), (0, b""), out)
        return json.loads(out)

    def backup(self, *words):
        return self.run_json("backup", "--data", self.data, "--to", self.backups, *words)

    def fill(self, server, text, count=KEYS):
        with Connection(server.tcp) as client:
            for i in range(count):
                value = text % i * (400 if i % 100 == 0 else 1)
                client.send(b"set key%d %d 0 %d\r\n%s\r\n" % (i, i, len(value), value))
                self.assertEqual(client.line(), b"STORED\r\n")

    def test_a_server_under_load(self):
        keys = [b"key%d" % i for i in range(KEYS)]
        expected = []
        with Server(data=self.data, threads=2) as server:
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.data, "control")).st_mode), 0o600)
            writers = [Writer(server, name) for name in ("a", "b")]
            for writer in writers:
                writer.start()
            marks = []
            for number in range(1, ROUNDS + 1):
                self.fill(server, b"value-%d-%%d" % number)
                marks.append([dict(writer.model) for writer in writers])
                expected.append(read_all(server, keys))
                made = self.backup("--verify")
                self.assertEqual(made["number"], number)
            for writer in writers:
                writer.stopping.set()
                writer.join()
                self.assertGreater(writer.writes, 0)
            final = read_all(server, keys + writers[0].keys + writers[1].keys)
            last = self.backup()
            self.assertEqual(self.backup()["new_files"] < last["files"], True)
        for number in range(1, ROUNDS + 1):
            self.restore(number)
            with Server(data=self.restored) as server:
                self.assertEqual(read_all(server, keys), expected[number - 1])
                # What the writers wrote before the backup is there, or something newer is.
                for writer, mark in zip(writers, marks[number - 1]):
                    found = read_all(server, writer.keys)
                    for key, (flags, value, _) in found.items():
                        self.assertEqual(flags, 3)
                        self.assertGreaterEqual(int(value), mark.get(key, 0))
        self.restore(ROUNDS + 1)
        everything = keys + writers[0].keys + writers[1].keys
        with Server(data=self.restored) as server:
            self.assertEqual(read_all(server, everything), final)
            self.fill(server, b"after-%d", 10)
        with Server(data=self.restored) as server:
            again = read_all(server, everything)
            self.assertEqual({key: again[key] for key in everything[10:] if key in again},
                             {key: final[key] for key in everything[10:] if key in final})
            self.assertGreater(again[keys[0]][2], final[keys[0]][2])
        self.assertEqual(program.run("check", self.restored)[0], 0)

    def restore(self, number):
        shutil.rmtree(self.restored, ignore_errors=True)
        made = self.run_json("restore", "--from", self.backups, "--to", self.restored, "--backup", str(number))
        self.assertEqual(made["number"], number)
        self.assertEqual(program.run("check", self.restored)[0], 0)

    def test_a_directory_that_no_server_has(self):
        with Server(data=self.data, durability="disk") as server:
            self.fill(server, b"v%d", 100)
            server.process.kill()
            server.process.wait()
        dry = self.backup("--dry-run")
        self.assertFalse(os.path.exists(self.backups))
        made = self.backup("--verify")
        self.assertEqual((made["new_bytes"], made["files"]), (dry["new_bytes"], dry["files"]))
        code, out, _ = program.run("restore", "--from", self.backups, "--dry-run")
        self.assertEqual((code, os.path.exists(self.restored)), (0, False), out)
        self.restore(1)
        with Server(data=self.restored) as server:
            self.assertEqual(len(read_all(server, [b"key%d" % i for i in range(100)])), 100)
        code, out, _ = program.run("backup", "--list", "--verify", "--to", self.backups)
        self.assertEqual((code, out.count(b"\n")), (0, 1))

    def moment(self, server, keys):
        """A time as --until takes it, and what is there then."""
        found = read_all(server, keys)
        now = time.time_ns()
        return f"{now // 10**9}.{now % 10**9:09}", found

    def test_a_moment_between_two_backups(self):
        keys = [b"key%d" % i for i in range(100)]
        moments = []
        with Server(data=self.data, durability="disk") as server:
            self.fill(server, b"first-%d", 60)
            self.backup()
            self.fill(server, b"second-%d", 80)
            moments.append(self.moment(server, keys))
            with Connection(server.tcp) as client:
                self.assertEqual(client.ask(b"delete key7\r\n"), b"DELETED\r\n")
            moments.append(self.moment(server, keys))
            self.fill(server, b"third-%d", 100)
            server.process.kill()
            server.process.wait()
        with Server(data=self.data, durability="disk") as server:
            moments.append(self.moment(server, keys))
            with Connection(server.tcp) as client:
                self.assertEqual(client.ask(b"flush_all\r\n"), b"OK\r\n")
            moments.append(self.moment(server, keys))
            self.fill(server, b"fourth-%d", 10)
            code, _, err = program.run("restore", "--from", self.backups, "--dry-run", "--until", moments[0][0])
            self.assertEqual((code, b"make another one first" in err), (2, True), err)
            self.backup("--verify")
            _, listed, _ = program.run("backup", "--list", "--to", self.backups)
            self.assertEqual(listed.count(b"all that was done since"), 1, listed)
        for until, expected in moments:
            shutil.rmtree(self.restored, ignore_errors=True)
            words = ("restore", "--from", self.backups, "--to", self.restored, "--until", until)
            foretold = self.run_json(*words, "--dry-run")
            self.assertFalse(os.path.exists(self.restored))
            made = self.run_json(*words)
            self.assertEqual((made["number"], made["commits"]), (1, foretold["commits"]))
            self.assertEqual(program.run("check", self.restored)[0], 0)
            with Server(data=self.restored) as server:
                self.assertEqual(read_all(server, keys), expected)
        for words, complaint in (
            (("--until", "yesterday"), b"is no moment"),
            (("--until", "2001-01-01T00:00:00Z"), b"no older backup"),
            (("--until", moments[0][0], "--backup", "1"), b"leave out --backup"),
        ):
            code, _, err = program.run("restore", "--from", self.backups, "--to", self.restored + "2", *words)
            self.assertEqual((code, complaint in err), (2, True), err)
        self.assertFalse(os.path.exists(self.restored + "2"))

    def test_a_moment_that_nobody_kept(self):
        with Server(data=self.data, durability="disk", history="0") as server:
            self.fill(server, b"first-%d", 10)
            self.backup()
            self.fill(server, b"second-%d", 10)
            until, _ = self.moment(server, [])
            self.fill(server, b"third-%d", 10)
        self.backup()
        code, _, err = program.run("restore", "--from", self.backups, "--to", self.restored, "--until", until)
        self.assertEqual((code, b"between backup 1 and backup 2" in err), (2, True), err)
        self.assertFalse(os.path.exists(self.restored))

    def test_what_is_refused(self):
        with Server(data=self.data) as server:
            self.fill(server, b"v%d", 100)
            self.backup()
            code, _, err = program.run("backup", "--data", self.data, "--to", self.data)
            self.assertEqual((code, b"not empty" in err or b"folder of backups" in err), (2, True), err)
            code, _, err = program.run("restore", "--from", self.backups, "--to", self.data)
            self.assertEqual((code, b"is not empty" in err), (2, True), err)
        self.restore(1)
        code, _, err = program.run("backup", "--data", self.restored, "--to", self.backups)
        self.assertEqual((code, b"another data directory" in err), (2, True), err)
        code, _, err = program.run("restore", "--from", self.backups, "--to", self.restored + "2", "--backup", "9")
        self.assertEqual((code, b"no backup 9" in err), (2, True), err)
        table = max(glob.glob(os.path.join(self.backups, "files", "*")), key=os.path.getsize)
        with open(table, "r+b") as file:
            file.seek(30)
            file.write(b"\xff\xfe\xfd")
        code, _, err = program.run("restore", "--from", self.backups, "--to", self.restored + "2")
        self.assertEqual((code, table.encode() in err), (4, True), err)
        self.assertFalse(os.path.exists(self.restored + "2"))
        self.assertEqual(program.run("backup", "--list", "--verify", "--to", self.backups)[0], 4)
        self.assertEqual(program.run("backup", "--data", self.data)[0], 2)
        code, _, err = program.run("backup", "--data", self.restored + "2", "--to", self.restored + "3")
        self.assertEqual(code, 2, err)

    def test_the_control_socket_alone(self):
        with Server(data=self.data) as server:
            with Connection(os.path.join(self.data, "control")) as client:
                self.assertEqual(client.ask(b"flush_all\n", b"\n"), b"error config unknown command\n")
                client.send(b"backup - " + os.fsencode(self.backups) + b"\n")
                line = b"progress"
                while line.startswith((b"progress", b"bucket ")):
                    line = client.read_until(b"\n")
                self.assertTrue(line.startswith(b"done 1 "), line)
            self.assertEqual(server.process.poll(), None)
        self.assertFalse(os.path.exists(os.path.join(self.data, "control")))

    def kill_in_the_middle(self, number):
        """Kills a server as it makes backup `number`; false where that was through before."""
        begun = os.path.join(self.backups, f"backup-{number}")
        with Server(data=self.data) as server:
            self.fill(server, b"other-%d", KEYS)
            command = [BINARY, "backup", "--data", self.data, "--to", self.backups]
            client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            poll(lambda: os.path.exists(begun), "the backup to begin")
            server.process.send_signal(signal.SIGSTOP)
            in_the_middle = not os.path.exists(os.path.join(begun, "contents"))
            server.process.send_signal(signal.SIGKILL if in_the_middle else signal.SIGCONT)
            _, err = client.communicate()
            if in_the_middle:
                self.assertEqual((client.returncode, b"closed" in err or b"reset" in err), (5, True), err)
                server.process.wait()
        return in_the_middle

    def test_a_server_killed_as_it_makes_one(self):
        number = 1
        while not self.kill_in_the_middle(number):
            number += 1
        whole = number - 1
        self.assertEqual(program.run("check", self.data)[0], 0)
        code, out, err = program.run("backup", "--list", "--verify", "--to", self.backups)
        self.assertEqual((code, b"not whole" in out + err or b"is whole" in err), (0 if whole else 2, True), err)
        code, _, err = program.run("restore", "--from", self.backups, "--to", self.restored, "--backup", str(number))
        named = b"backup %d is not whole" % number in err
        self.assertEqual((code, named, os.path.exists(self.restored)), (2, True, False), err)
        # Once by a server, once more in a directory that none has.
        with Server(data=self.data) as server:
            made = self.backup("--verify")
            found = read_all(server, [b"key%d" % i for i in range(KEYS)])
        self.assertEqual(made["number"], number + 1)
        self.assertFalse(os.path.exists(os.path.join(self.backups, f"backup-{number}")))
        self.restore(number + 1)
        with Server(data=self.restored) as server:
            self.assertEqual(read_all(server, list(found)), found)
        self.assertEqual(self.backup("--verify")["number"], number + 2)

    def test_a_server_that_hangs(self):
        os.mkdir(self.data)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.join(self.data, "control"))
            listening.listen()
            heard = []

            def answer():
                client, _ = listening.accept()
                with client:
                    heard.append(client.recv(1000))
                    client.sendall(b"progress copy 1 2\n")
                    heard.append(client.recv(1000))

            hanging = threading.Thread(target=answer)
            hanging.start()
            words = ("backup", "--data", self.data, "--to", self.backups, "--timeout", "200ms")
            code, _, err = program.run(*words)
            hanging.join()
        self.assertEqual((code, b"said nothing for 200ms" in err), (5, True), err)
        self.assertEqual(heard, [b"backup - %s\n" % os.fsencode(self.backups), b""])
        self.assertEqual(program.run(*words[:-1], "soon")[0], 2)


if __name__ == "__main__":
    unittest.main()
