"""bobbin user: what it keeps, shows and refuses, and where it takes a password from."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import tempfile
import termios
import time
import unittest

import program
from lib.server import BINARY, PATIENCE_S, Server


class Users(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-user-")
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")
        self.file = os.path.join(self.data, "users.json")

    def user(self, *words, **more):
        return program.run("user", "--data", self.data, "--iterations", "10", *words, **more)

    def add(self, name, *roles, password=b"secret\n"):
        words = [word for role in roles for word in ("--role", role)]
        code, out, err = self.user("add", name, *words, stdin=password)
        self.assertEqual((code, err), (0, b""), err)
        return out

    def listed(self):
        code, out, err = program.run("user", "list", "--json", "--data", self.data)
        self.assertEqual((code, err), (0, b""))
        return json.loads(out)

    def kept(self, name):
        with open(self.file, encoding="utf-8") as file:
            return next(user for user in json.load(file)["users"] if user["name"] == name)

    def test_users_come_are_shown_and_go(self):
        said = self.add("app", "data_reader[shop]", "data_writer[shop:orders]")
        self.assertEqual(said, b"app is a user now: data_reader[shop], data_writer[shop:orders]\n")
        self.add("admin", "admin")
        users = self.listed()
        self.assertEqual([user["name"] for user in users], ["admin", "app"])
        self.assertEqual(users[1]["roles"], ["data_reader[shop]", "data_writer[shop:orders]"])
        code, out, _ = self.user("list")
        self.assertEqual((code, out), (0, b"admin  admin\napp    data_reader[shop], data_writer[shop:orders]\n"))
        self.assertEqual(self.user("remove", "app")[0], 0)
        self.assertEqual([user["name"] for user in self.listed()], ["admin"])
        self.assertEqual(self.user("remove", "admin")[0], 0)
        self.assertEqual(self.user("list")[:2], (0, b"there are no users\n"))

    def test_what_is_kept_is_for_the_owner_alone_and_no_password(self):
        self.add("app", "admin", password=b"correct horse\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.data).st_mode), 0o700)
        for name in os.listdir(self.data):
            with open(os.path.join(self.data, name), "rb") as file:
                self.assertNotIn(b"correct horse", file.read(), name)

    def test_a_new_password_has_new_keys(self):
        self.add("app", "admin", password=b"one\n")
        before = self.kept("app")["keys"]
        self.assertEqual(set(before), {"SCRAM-SHA1", "SCRAM-SHA256", "SCRAM-SHA512"})
        self.assertEqual(before["SCRAM-SHA512"]["iterations"], 10)
        code, _, err = self.user("passwd", "app", stdin=b"two\n")
        self.assertEqual((code, err), (0, b""))
        after = self.kept("app")["keys"]
        for mechanism, keys in before.items():
            self.assertNotEqual(keys["salt"], after[mechanism]["salt"])
            self.assertNotEqual(keys["stored_key"], after[mechanism]["stored_key"])
        self.assertEqual(self.listed()[0]["roles"], ["admin"])

    def test_the_password_of_the_environment_wins(self):
        code, _, _ = self.user("add", "app", "-r", "admin", stdin=b"", BOBBIN_PASSWORD="secret")
        self.assertEqual(code, 0)
        code, _, err = self.user("add", "other", "-r", "admin", stdin=b"fine\n", BOBBIN_PASSWORD="")
        self.assertEqual(code, 2)
        self.assertIn(b"a password has 1 to 512 bytes", err)

    def test_no_password_no_user(self):
        for stdin in (b"", b"\n", b"\xff\n", b"x" * 513 + b"\n"):
            code, out, err = self.user("add", "app", "-r", "admin", stdin=stdin)
            self.assertEqual((code, out), (2, b""), stdin)
            self.assertIn(b"password", err)
        self.assertFalse(os.path.exists(self.file))

    def test_it_is_never_an_argument(self):
        self.assertEqual(self.user("add", "app", "secret", "-r", "admin")[0], 2)
        self.assertEqual(self.user("add", "app", "--password", "secret", "-r", "admin")[0], 2)
        self.assertFalse(os.path.exists(self.file))

    def test_what_is_refused(self):
        self.add("app", "admin")
        for code, words, message in (
            (1, ("add", "app", "-r", "admin"), b"there is a user app"),
            (1, ("remove", "other"), b'there is no user "other"'),
            (1, ("passwd", "other"), b"there is no user other"),
            (2, ("add", "a b", "-r", "admin"), b"the name of a user"),
            (2, ("add", "other"), b"a user without a role may do nothing"),
            (2, ("add", "other", "-r", "king"), b'role "king": there is no such role'),
            (2, ("add", "other", "-r", "data_reader"), b"it needs a bucket"),
            (2, ("add",), b"needs the user's name"),
            (2, ("list", "app"), b"takes no name"),
            (2, ("rename", "app"), b"add, list, remove and passwd"),
            (2, ("passwd", "app", "-r", "admin"), b"--role is for bobbin user add"),
            (2, ("remove", "app", "--json"), b"--json is for bobbin user list"),
            (2, ("remove", "app", "--iterations", "0"), b"--iterations"),
        ):
            done = self.user(*words, stdin=b"secret\n")
            self.assertEqual((done[0], done[1]), (code, b""), words)
            self.assertIn(message, done[2], words)
        self.assertEqual([user["name"] for user in self.listed()], ["app"])

    def test_folders_that_are_no_data_directory(self):
        self.assertEqual(self.user("list")[0], 2)
        self.assertEqual(self.user("remove", "app")[0], 2)
        os.mkdir(self.data)
        with open(os.path.join(self.data, "letter.txt"), "w", encoding="utf-8"):
            pass
        code, _, err = self.user("add", "app", "-r", "admin", stdin=b"secret\n")
        self.assertEqual(code, 2)
        self.assertIn(b"this is no data directory", err)
        self.assertEqual(os.listdir(self.data), ["letter.txt"])

    def test_damage_is_told_and_not_repaired_by_forgetting(self):
        self.add("app", "admin")
        with open(self.file, "r+b") as file:
            text = file.read().replace(b"admin", b"bdmin")
            file.seek(0)
            file.write(text)
        for words in (("list",), ("add", "other", "-r", "admin"), ("remove", "app"), ("passwd", "app")):
            code, _, err = self.user(*words, stdin=b"secret\n")
            self.assertEqual(code, 4, words)
            self.assertIn(self.file.encode() + b": damaged", err)
        with open(self.file, "rb") as file:
            self.assertEqual(file.read(), text)

    def test_a_server_begins_in_a_directory_that_has_users_and_keeps_them(self):
        self.add("app", "admin")
        with Server(data=self.data) as server:
            code, out, err = self.user("add", "other", "-r", "admin", stdin=b"secret\n")
            self.assertEqual((code, out), (5, b""))
            self.assertIn(f"process {server.process.pid}".encode(), err)
            self.assertIn(b"over HTTP", err)
            self.assertIn(b"stop it first", err)
            self.assertEqual([user["name"] for user in self.listed()], ["app"])
        self.add("other", "ro_admin")
        self.assertEqual(program.run("check", self.data)[0], 0)
        with Server(data=self.data):
            self.assertEqual([user["name"] for user in self.listed()], ["app", "other"])

    def test_changes_are_in_the_audit_log(self):
        self.add("app", "admin")
        self.user("passwd", "app", stdin=b"other\n")
        self.user("remove", "app")
        path = os.path.join(self.data, "audit.log")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as log:
            events = [json.loads(line) for line in log]
        self.assertEqual([event["action"] for event in events], ["add user", "change password", "remove user"])
        self.assertEqual({event["object"] for event in events}, {"app"})
        self.assertEqual({event["peer"] for event in events}, {"command line"})

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_files_that_root_makes_are_the_directory_owners(self):
        os.mkdir(self.data)
        os.chown(self.data, 12345, 23456)
        self.add("app", "admin")
        for name in ("users.json", "audit.log"):
            status = os.stat(os.path.join(self.data, name))
            self.assertEqual((status.st_uid, status.st_gid), (12345, 23456), name)


class Prompt(unittest.TestCase):
    """The program at a terminal."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-user-")
        self.addCleanup(folder.cleanup)
        self.data = os.path.join(folder.name, "data")
        self.terminal, self.program_side = pty.openpty()
        self.addCleanup(os.close, self.terminal)
        self.addCleanup(os.close, self.program_side)
        self.process = subprocess.Popen(
            [BINARY, "user", "add", "app", "-r", "admin", "--data", self.data, "--iterations", "10"],
            stdin=self.program_side,
            stdout=self.program_side,
            stderr=self.program_side,
            env=program.environment(),
            preexec_fn=os.setsid,
        )
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.seen = b""

    def expect(self, text):
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, f"still waiting for {text}, saw {self.seen}")
            self.seen += os.read(self.terminal, 4096)

    def echoes(self):
        return bool(termios.tcgetattr(self.program_side)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.terminal, text)

    def test_asks_twice_and_shows_nothing(self):
        self.expect(b"New password: ")
        self.assertFalse(self.echoes())
        self.type(b"correct horse\n")
        self.expect(b"The same again: ")
        self.type(b"correct horse\n")
        self.expect(b"app is a user now")
        self.assertEqual(self.process.wait(PATIENCE_S), 0)
        self.assertNotIn(b"correct", self.seen)
        self.assertTrue(self.echoes())

    def test_two_different_ones_are_refused(self):
        self.expect(b"New password: ")
        self.type(b"one\n")
        self.expect(b"The same again: ")
        self.type(b"two\n")
        self.expect(b"two different passwords")
        self.assertEqual(self.process.wait(PATIENCE_S), 2)
        self.assertFalse(os.path.exists(os.path.join(self.data, "users.json")))

    def test_an_interrupt_leaves_the_terminal_as_it_was(self):
        self.expect(b"New password: ")
        self.assertFalse(self.echoes())
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.process.wait(PATIENCE_S), -signal.SIGINT)
        self.assertTrue(self.echoes())


if __name__ == "__main__":
    unittest.main()
