"""bobbin log: the live log as a person sees it. BOBBIN_TEST_SERVER=memcached runs it against that."""

import signal
import socket
import subprocess
import threading
import unittest

import program
from lib.connection import Connection
from lib.server import BINARY, KIND, PATIENCE_S, Server


class Log:
    """A running `bobbin log`, ended with the test."""

    def __init__(self, test, address, *words):
        self.process = subprocess.Popen(
            [BINARY, "log", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program.environment(BOBBIN_SERVER=address, TZ="UTC"),
        )
        # A read that would wait for ever ends when the process does.
        self.guard = threading.Timer(PATIENCE_S, self.process.kill)
        self.guard.start()
        test.addCleanup(self.finish)

    def finish(self):
        self.guard.cancel()
        self.process.kill()
        self.process.communicate()

    def line(self):
        return self.process.stdout.readline().decode()


class AgainstAServer(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)

    def act_until_seen(self, log, act, what):
        """The log may start to listen after the first tries: acts again until a line has `what`."""
        seen = threading.Event()

        def keep_acting():
            while not seen.wait(0.05):
                act()

        actor = threading.Thread(target=keep_acting)
        actor.start()
        try:
            while True:
                line = log.line()
                self.assertTrue(line, f"the log ended without {what!r}")
                if what in line:
                    return line
        finally:
            seen.set()
            actor.join()

    def test_reads_and_stores_for_people(self):
        log = Log(self, self.server.address, "fetchers", "mutations")
        with Connection(self.server.endpoint) as client:
            line = self.act_until_seen(log, lambda: client.ask(b"ms YSBi 3 b T60\r\nabc\r\n"), "stored")
            self.assertRegex(line, r'^\d\d:\d\d:\d\d\.\d+  (?:set|ms) +"a b" +stored, 3 bytes, ttl 60 s\n$')
            line = self.act_until_seen(log, lambda: client.ask(b"get none\r\n"), "not_found")
            self.assertRegex(line, r"  get      \S+ +not_found\n$")

    def test_raw_lines(self):
        log = Log(self, self.server.address, "--raw", "mutations")
        with Connection(self.server.endpoint) as client:
            line = self.act_until_seen(log, lambda: client.ask(b"set k 0 0 3\r\nabc\r\n"), "stored")
            self.assertRegex(line, r"^ts=\d+\.\d+ gid=\d+ type=item_store key=k status=stored cmd=set ttl=0 ")

    def test_connections(self):
        log = Log(self, self.server.address, "connevents")

        def connect():
            Connection(self.server.endpoint).close()

        self.assertRegex(self.act_until_seen(log, connect, "connect"), r"  connect  127\.0\.0\.1:\d+ ")
        self.assertRegex(self.act_until_seen(log, connect, "close"), r"  close    127\.0\.0\.1:\d+ ")

    @unittest.skipIf(KIND == "memcached", "memcached 1.6.18 has no group for deletions")
    def test_without_groups_it_shows_all(self):
        log = Log(self, self.server.address)
        with Connection(self.server.endpoint) as client:

            def set_and_delete():
                client.ask(b"set gone 0 0 3\r\nabc\r\n")
                client.ask(b"delete gone\r\n")

            self.assertRegex(self.act_until_seen(log, set_and_delete, "delete "), r"  delete   gone +deleted, ")

    def test_ctrl_c_ends_it_quietly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            log = Log(self, self.server.address, "mutations")
            with Connection(self.server.endpoint) as client:
                self.act_until_seen(log, lambda: client.ask(b"set k 0 0 1\r\na\r\n"), "stored")
            log.process.send_signal(number)
            _, err = log.process.communicate(timeout=PATIENCE_S)
            self.assertEqual((log.process.returncode, err), (0, b""))

    def test_an_unknown_group_is_refused(self):
        code, out, err = program.run("log", "nonsense", BOBBIN_SERVER=self.server.address)
        self.assertEqual((code, out), (3, b""))
        self.assertIn(b"cannot watch nonsense: the server answered", err)

    def test_the_end_of_the_server_is_told(self):
        log = Log(self, self.server.address, "mutations")
        with Connection(self.server.endpoint) as client:
            self.act_until_seen(log, lambda: client.ask(b"set k 0 0 1\r\na\r\n"), "stored")
        self.server.stop()
        _, err = log.process.communicate(timeout=PATIENCE_S)
        self.assertEqual(log.process.returncode, 3)
        self.assertIn(b"closed the connection", err)


class AgainstAScript(unittest.TestCase):
    """What a real server says only under load."""

    def test_skipped_events_are_shown(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            log = Log(self, f"127.0.0.1:{listener.getsockname()[1]}", "evictions")
            peer, _ = listener.accept()
            with peer:
                request = b""
                while not request.endswith(b"\n"):
                    request += peer.recv(100)
                self.assertEqual(request, b"watch evictions\r\n")
                peer.sendall(b"OK\r\nskipped=1234\nts=1700000000.000042 gid=9 type=eviction key=old fetch=no ttl=-1 "
                             b"la=7 clsid=1 size=5\n")
                self.assertEqual(log.line(), "... 1234 events skipped: they came faster than they were read\n")
                self.assertEqual(
                    log.line(),
                    "22:13:20.000042  evict    old                      fetched no, last access 7 s ago, 5 bytes\n",
                )


if __name__ == "__main__":
    unittest.main()
