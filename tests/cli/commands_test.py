"""The client subcommands against a running server. BOBBIN_TEST_SERVER=memcached runs them against that."""

import json
import os
import pty
import socket
import subprocess
import unittest

import program
from lib.connection import Connection
from lib.server import BINARY, Server


class CommandCase(unittest.TestCase):
    UNIX = False

    @classmethod
    def setUpClass(cls):
        cls.server = Server(unix=cls.UNIX)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        with Connection(self.server.endpoint) as connection:
            self.assertEqual(connection.ask(b"flush_all\r\n"), b"OK\r\n")

    @property
    def address(self):
        return self.server.unix or self.server.address

    def bobbin(self, *words, stdin=b""):
        return program.run(*words, stdin=stdin, BOBBIN_SERVER=self.address)

    def assert_ok(self, result, output=b""):
        self.assertEqual(result, (0, output, b""))

    def raw(self, request, end=b"\r\n"):
        with Connection(self.server.endpoint) as connection:
            return connection.ask(request, end)


class KeyCommands(CommandCase):
    def test_what_was_set_is_got(self):
        self.assert_ok(self.bobbin("set", "hello", "world"))
        self.assert_ok(self.bobbin("get", "hello"), b"world")
        self.assertEqual(self.raw(b"get hello\r\n", b"END\r\n"), b"VALUE hello 0 5\r\nworld\r\nEND\r\n")

    def test_a_missing_key_is_named_and_the_others_are_printed(self):
        self.bobbin("set", "a", "1")
        self.bobbin("set", "c", "3")
        self.assertEqual(self.bobbin("get", "a", "b", "c"), (1, b"13", b"bobbin: b: not found\n"))

    def test_hundreds_of_keys_come_in_order(self):
        keys = [f"key-{i}" for i in range(300)]
        for key in keys[:5] + keys[-5:]:
            self.bobbin("set", key, key + ";")
        code, out, err = self.bobbin("get", *keys)
        self.assertEqual(code, 1)
        self.assertEqual(out.decode().split(";")[:-1], keys[:5] + keys[-5:])
        self.assertEqual(len(err.splitlines()), 290)

    def test_any_bytes_are_a_value(self):
        value = bytes(range(256)) * 300 + b"\r\nEN\r\n"
        self.assert_ok(self.bobbin("set", "binary", stdin=value))
        self.assert_ok(self.bobbin("get", "binary"), value)
        self.assert_ok(self.bobbin("set", "binary", "-", stdin=b""))
        self.assert_ok(self.bobbin("get", "binary"), b"")

    def test_a_value_as_large_as_allowed(self):
        value = os.urandom(1024) * 1000
        self.assert_ok(self.bobbin("set", "large", stdin=value))
        self.assert_ok(self.bobbin("get", "large"), value)

    def test_a_value_that_is_too_large_is_refused_with_the_servers_words(self):
        code, _, err = self.bobbin("set", "large", stdin=b"x" * (3 << 20))
        self.assertEqual(code, 3)
        self.assertIn(b"too large", err)

    def test_any_bytes_are_a_key(self):
        for key in (b"a key", b"line\r\nbreak", b"\x01\x7f", "grüße".encode(), b"\xff\xfe", b"k" * 250):
            self.assert_ok(self.bobbin("set", key, b"value of " + key))
            self.assert_ok(self.bobbin("get", key), b"value of " + key)
            self.assert_ok(self.bobbin("del", key))
            self.assertEqual(self.bobbin("get", key)[0], 1)

    def test_a_base64_key_is_the_key_itself(self):
        self.bobbin("set", "a key", "value")
        self.assertRegex(self.raw(b"mg YSBrZXk= b v\r\n", b"value\r\n"), rb"^VA 5( b)?\r\nvalue\r\n$")

    def test_keys_that_cannot_be_sent(self):
        self.assertEqual(self.bobbin("get", "")[0], 2)
        code, _, err = self.bobbin("set", "k" * 251, "v")
        self.assertEqual((code, err), (2, b"bobbin: a key has at most 250 bytes, this one has 251\n"))

    def test_values_that_look_like_flags(self):
        self.assert_ok(self.bobbin("set", "key", "--", "--add"))
        self.assert_ok(self.bobbin("get", "key"), b"--add")

    def test_flags_and_ttl_reach_the_server(self):
        self.assert_ok(self.bobbin("set", "key", "v", "--flags", "4294967295", "--ttl", "100s"))
        reply = self.raw(b"mg key f t\r\n").split()
        self.assertEqual(reply[:2], [b"HD", b"f4294967295"])
        self.assertIn(int(reply[2][1:]), range(80, 101))

    def test_a_ttl_above_a_month_is_still_relative(self):
        self.assert_ok(self.bobbin("set", "key", "v", "--ttl", "60d"))
        left = int(self.raw(b"mg key t\r\n").split()[1][1:])
        self.assertIn(left, range(60 * 86400 - 60, 60 * 86400 + 1))

    def test_conditions(self):
        self.assertEqual(self.bobbin("set", "key", "1", "--replace"), (1, b"", b"bobbin: key: not found\n"))
        self.assertEqual(self.bobbin("set", "key", "1", "--append"), (1, b"", b"bobbin: key: not found\n"))
        self.assert_ok(self.bobbin("set", "key", "b", "--add"))
        self.assertEqual(self.bobbin("set", "key", "2", "--add"), (1, b"", b"bobbin: key: exists already\n"))
        self.assert_ok(self.bobbin("set", "key", "c", "--append"))
        self.assert_ok(self.bobbin("set", "key", "a", "--prepend"))
        self.assert_ok(self.bobbin("get", "key"), b"abc")
        self.assert_ok(self.bobbin("set", "key", "z", "--replace"))
        self.assert_ok(self.bobbin("get", "key"), b"z")

    def test_wrong_options_are_told_before_anything_is_sent(self):
        for words in (["--ttl", "soon"], ["--ttl", "1500ms"], ["--flags", "-1"], ["--add", "--replace"],
                      ["--timeout", "x"], ["--ad"], ["more", "words"]):
            code, out, err = self.bobbin("set", "key", "v", *words)
            self.assertEqual((code, out), (2, b""), words)
            self.assertTrue(err.startswith(b"bobbin: "), err)
        self.assertEqual(self.bobbin("get", "key")[0], 1)

    def test_deleting(self):
        self.bobbin("set", "a", "1")
        self.bobbin("set", "b", "2")
        self.assertEqual(self.bobbin("del", "a", "nothing", "b"), (1, b"", b"bobbin: nothing: not found\n"))
        self.assertEqual(self.bobbin("get", "a", "b")[0], 1)

    def test_a_terminal_gets_line_breaks(self):
        self.bobbin("set", "a", "1")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with subprocess.Popen([BINARY, "get", "a", "a"], stdout=theirs,
                              env=program.environment(BOBBIN_SERVER=self.address)) as reader:
            self.assertEqual(reader.wait(), 0)
        os.close(theirs)
        self.assertEqual(os.read(ours, 100), b"1\r\n1\r\n")


class KeyCommandsOverAUnixSocket(KeyCommands):
    UNIX = True


class Stat(CommandCase):
    def test_for_people(self):
        self.bobbin("set", "a", "1")
        code, out, err = self.bobbin("stat")
        self.assertEqual((code, err), (0, b""))
        stats = {line.split()[0]: line.split()[1] for line in out.decode().splitlines()}
        self.assertEqual(stats["curr_items"], "1")
        self.assertEqual(stats["pid"], str(self.server.process.pid))
        self.assertRegex(out.decode(), r"(?m)^limit_maxbytes +67108864  \(64\.0 MiB\)$")

    def test_as_json(self):
        self.bobbin("set", "a", "1")
        code, out, err = self.bobbin("stat", "--json")
        self.assertEqual((code, err), (0, b""))
        stats = json.loads(out)
        self.assertEqual(stats["curr_items"], 1)
        self.assertEqual(stats["limit_maxbytes"], 64 << 20)
        self.assertIsInstance(stats["version"], str)

    def test_groups(self):
        stats = json.loads(self.bobbin("stat", "settings", "--json")[1])
        self.assertEqual(stats["maxbytes"], 64 << 20)
        code, _, err = self.bobbin("stat", "no\r\nflush_all")
        self.assertEqual(code, 2, err)

    def test_reset(self):
        self.bobbin("get", "nothing")
        self.assert_ok(self.bobbin("stat", "reset"))
        self.assertEqual(json.loads(self.bobbin("stat", "--json")[1])["get_misses"], 0)


class Connecting(unittest.TestCase):
    def test_a_server_that_is_not_there_is_named(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            for words in (["get", "a"], ["set", "a", "1"], ["del", "a"], ["stat"], ["log"]):
                code, _, err = program.run(*words, "--server", address)
                self.assertEqual(code, 3)
                self.assertIn(address.encode(), err)

    def test_a_server_that_does_not_answer_is_given_up(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            code, _, err = program.run("get", "a", "--server", address, "--timeout", "50ms")
            self.assertEqual(code, 3)
            self.assertIn(b"no answer within 50 ms", err)

    def test_the_flag_wins_over_the_variable(self):
        _, _, err = program.run("get", "a", "--server", "127.0.0.1:1", BOBBIN_SERVER="127.0.0.1:2")
        self.assertIn(b"127.0.0.1:1: ", err)

    def test_an_address_that_is_none(self):
        code, _, err = program.run("get", "a", "--server", "host:port")
        self.assertEqual(code, 3)
        self.assertIn(b'"host:port"', err)


class Program(unittest.TestCase):
    def test_help_and_version(self):
        for word in ("--help", "-h", "help"):
            code, out, err = program.run(word)
            self.assertEqual((code, err), (0, b""))
            for command in (b"serve", b"get", b"set", b"del", b"stat", b"log", b"bench"):
                self.assertIn(b"\n  " + command, out)
        self.assertRegex(program.run("--version")[1], rb"^bobbin \d+\.\d+\.\d+\n$")

    def test_every_command_explains_itself(self):
        for command in ("serve", "get", "set", "del", "stat", "log", "bench"):
            code, out, err = program.run(command, "--help")
            self.assertEqual((code, err), (0, b""))
            self.assertTrue(out.startswith(b"Usage: bobbin " + command.encode()), out)
            self.assertIn(b"\nExamples:\n", out)
            self.assertEqual(program.run("help", command)[1], out)

    def test_an_unknown_command(self):
        self.assertEqual(
            program.run("sevre"),
            (2, b"", b"bobbin: unknown command sevre, did you mean serve? (bobbin --help lists them)\n"),
        )
        self.assertEqual(program.run()[0], 2)


if __name__ == "__main__":
    unittest.main()
