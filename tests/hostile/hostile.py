"""What the hostile tests share: a server, and a bystander that must not notice anything."""

import unittest

from lib.connection import Connection, exchange
from lib.server import SANITIZED, Server

MEBIBYTE = 1 << 20


class Hostile(unittest.TestCase):
    """One server for the class; a bystander connection must be answered before and after every test."""

    OPTIONS = {"threads": 1}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(**cls.OPTIONS)
        cls.addClassCleanup(cls.server.stop)
        cls.bystander = Connection(cls.server.endpoint)
        cls.addClassCleanup(cls.bystander.close)

    def setUp(self):
        self.bystander_is_served()
        self.addCleanup(self.bystander_is_served)

    def bystander_is_served(self):
        self.assertEqual(self.bystander.ask(b"set bystander 0 0 2\r\nok\r\n"), b"STORED\r\n")
        self.assertEqual(self.bystander.ask(b"get bystander\r\n", b"END\r\n"), b"VALUE bystander 0 2\r\nok\r\nEND\r\n")

    def connect(self, **options):
        connection = Connection(self.server.endpoint, **options)
        self.addCleanup(connection.close)
        return connection

    def exchange(self, data):
        return exchange(self.server.endpoint, data)

    def grows_at_most(self, mebibytes, action):
        """Runs the action; the server's memory must not have risen by more, not even for a moment."""
        before = self.server.memory_kib()
        self.server.forget_memory_peak()
        action()
        if not SANITIZED:
            self.assertLess(self.server.memory_kib("VmHWM") - before, mebibytes * 1024)
