"""The meta commands over raw sockets: one exchange a line, as doc/protocol.txt describes them."""

import re
import unittest

from lib.connection import Connection
from lib.server import Server


class Meta:
    """What every combination of transport and threads must do. Mixed into the test cases below."""

    THREADS = 1
    UNIX = False

    @classmethod
    def setUpClass(cls):
        cls.server = Server(threads=cls.THREADS, unix=cls.UNIX)
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        self.connection = Connection(self.server.unix if self.UNIX else self.server.tcp)
        self.addCleanup(self.connection.close)
        self.expect(b"flush_all\r\n", b"OK\r\n")

    def expect(self, request, reply):
        """The request must be answered with exactly this and nothing more: mn's answer follows at once."""
        self.assertEqual(self.connection.ask(request + b"mn\r\n", b"MN\r\n"), reply + b"MN\r\n", request)

    def test_noop(self):
        self.expect(b"", b"")

    def test_get(self):
        self.expect(b"mg key v\r\n", b"EN\r\n")
        self.expect(b"ms key 5 F7 T100\r\nvalue\r\n", b"HD\r\n")
        self.expect(b"mg key\r\n", b"HD\r\n")
        self.expect(b"mg key v\r\n", b"VA 5\r\nvalue\r\n")
        self.expect(b"mg key k s f v Oabc\r\n", b"VA 5 kkey s5 f7 Oabc\r\nvalue\r\n")
        self.expect(b"mg absent v q\r\nmg key v q\r\n", b"VA 5\r\nvalue\r\n")

    def test_hit_access_and_ttl(self):
        self.expect(b"ms key 1 T0\r\n1\r\n", b"HD\r\n")
        self.expect(b"mg key h t\r\n", b"HD h0 t-1\r\n")
        self.expect(b"mg key h\r\n", b"HD h1\r\n")
        self.expect(b"mg key T-1\r\n", b"HD\r\n")
        self.expect(b"mg key\r\n", b"EN\r\n")

    def test_set_modes(self):
        self.expect(b"ms key 1 MR\r\n1\r\n", b"NS\r\n")
        self.expect(b"ms key 1 MA\r\n1\r\n", b"NS\r\n")
        self.expect(b"ms key 1 ME\r\n1\r\n", b"HD\r\n")
        self.expect(b"ms key 1 ME\r\n2\r\n", b"NS\r\n")
        self.expect(b"ms key 1 MA\r\n3\r\n", b"HD\r\n")
        self.expect(b"ms key 1 MP\r\n0\r\n", b"HD\r\n")
        self.expect(b"mg key v\r\n", b"VA 3\r\n013\r\n")
        self.expect(b"ms key 1 MR\r\n9\r\n", b"HD\r\n")
        self.expect(b"ms key 1 q Oquiet\r\n8\r\n", b"")
        self.expect(b"mg key v\r\n", b"VA 1\r\n8\r\n")

    def test_cas(self):
        reply = self.connection.ask(b"ms key 1 c\r\n1\r\n")
        cas = re.fullmatch(rb"HD c(\d+)\r\n", reply).group(1)
        self.expect(b"mg key c\r\n", b"HD c%s\r\n" % cas)
        self.expect(b"ms key 1 C123456789\r\n2\r\n", b"EX\r\n")
        self.expect(b"md key C123456789\r\n", b"EX\r\n")
        self.expect(b"ms key 1 C%s\r\n3\r\n" % cas, b"HD\r\n")
        self.expect(b"mg key v\r\n", b"VA 1\r\n3\r\n")
        self.expect(b"ms absent 1 C1\r\n3\r\n", b"NF\r\n")

    def test_delete(self):
        self.expect(b"md key\r\n", b"NF\r\n")
        self.expect(b"md key q\r\n", b"NF\r\n")
        self.expect(b"ms key 1\r\n1\r\nmd key k Oabc\r\n", b"HD\r\nHD kkey Oabc\r\n")
        self.expect(b"mg key\r\n", b"EN\r\n")

    def test_invalidation_has_one_winner(self):
        self.expect(b"ms key 5\r\nstale\r\n", b"HD\r\n")
        self.expect(b"md key I T30\r\n", b"HD\r\n")
        self.expect(b"mg key v\r\n", b"VA 5 X W\r\nstale\r\n")
        self.expect(b"mg key v\r\n", b"VA 5 Z X\r\nstale\r\n")
        self.expect(b"ms key 5\r\nfresh\r\n", b"HD\r\n")
        self.expect(b"mg key v\r\n", b"VA 5\r\nfresh\r\n")

    def test_vivify_and_recache(self):
        self.expect(b"mg key v N30\r\n", b"VA 0 W\r\n\r\n")
        self.expect(b"mg key v N30\r\n", b"VA 0 Z\r\n\r\n")
        self.expect(b"ms soon 1 T20\r\n1\r\n", b"HD\r\n")
        self.expect(b"mg soon v R30\r\n", b"VA 1 W\r\n1\r\n")
        self.expect(b"mg soon v R30\r\n", b"VA 1 Z\r\n1\r\n")

    def test_arithmetic(self):
        self.expect(b"ma key\r\n", b"NF\r\n")
        self.expect(b"ma key N0 J10 v\r\n", b"VA 2\r\n10\r\n")
        self.expect(b"ma key v\r\n", b"VA 2\r\n11\r\n")
        self.expect(b"ma key D5 v t\r\n", b"VA 2 t-1\r\n16\r\n")
        self.expect(b"ma key MD D2 v\r\n", b"VA 2\r\n14\r\n")
        self.expect(b"ma key q\r\n", b"")
        self.expect(b"ms word 4\r\ntext\r\n", b"HD\r\n")
        self.expect(b"ma word\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")

    def test_base64_keys(self):
        self.expect(b"ms YSBiDQo= 1 b\r\n1\r\n", b"HD\r\n")
        self.expect(b"mg YSBiDQo= b v k\r\n", b"VA 1 kYSBiDQo= b\r\n1\r\n")
        self.expect(b"ms a2V5 1 b\r\n2\r\n", b"HD\r\n")
        self.expect(b"mg key v\r\n", b"VA 1\r\n2\r\n")

    def test_debug(self):
        self.expect(b"me absent\r\n", b"EN\r\n")
        self.expect(b"ms key 1 T0\r\n1\r\n", b"HD\r\n")
        self.assertRegex(
            self.connection.ask(b"me key\r\n"), rb"^ME key exp=-1 la=\d+ cas=\d+ fetch=no cls=\d+ size=\d+\r\n$"
        )

    def test_errors(self):
        self.expect(b"mg\r\n", b"ERROR\r\n")
        self.expect(b"mg key !\r\n", b"CLIENT_ERROR invalid flag\r\n")
        self.expect(b"mg key v v\r\n", b"CLIENT_ERROR duplicate flag\r\n")

    def test_a_quiet_pipeline(self):
        stores = b"".join(b"ms key-%d 2 q\r\n%02d\r\n" % (number, number) for number in range(100))
        self.expect(stores, b"")
        gets = b"".join(b"mg key-%d v q k\r\n" % number for number in range(150))
        found = b"".join(b"VA 2 kkey-%d\r\n%02d\r\n" % (number, number) for number in range(100))
        self.expect(gets, found)


class TcpOneThread(Meta, unittest.TestCase):
    pass


class TcpTwoThreads(Meta, unittest.TestCase):
    THREADS = 2


class UnixOneThread(Meta, unittest.TestCase):
    UNIX = True


if __name__ == "__main__":
    unittest.main()
