"""Malformed and lying input: each gets the protocol's error or a closed connection, and others notice nothing."""

import struct
import unittest

from hostile import MEBIBYTE, Hostile

from lib import binary
from lib.connection import Connection, exchange
from lib.server import KIND, Server

# Numbers around every width, each to be sent in every numeric field.
EDGES = [
    b"-1", b"-0", b"+1", b"x", b"1x", b"0x1", b"2147483647", b"2147483648", b"-2147483648", b"-2147483649",
    b"4294967295", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808",
    b"18446744073709551615", b"18446744073709551616", b"9" * 100,
]  # fmt: skip


class Text(Hostile):
    def test_edge_numbers_in_every_field_of_a_store(self):
        for position in range(4):
            for edge in EDGES:
                words = [b"cas", b"key", b"0", b"0", b"1", b"1"]
                words[2 + position] = edge
                data = self.exchange(b" ".join(words) + b"\r\n1\r\nmn\r\n")
                self.assertRegex(data, rb"^(CLIENT_ERROR|SERVER_ERROR|ERROR|NOT_FOUND)[^\r]*\r\n", edge)

    def test_edge_numbers_for_the_other_commands(self):
        for edge in EDGES:
            for line in (b"incr key %s", b"decr key %s", b"touch key %s", b"gat %s key", b"verbosity %s"):
                data = self.exchange(line % edge + b"\r\nmn\r\n")
                self.assertRegex(data, rb"^(CLIENT_ERROR [^\r]+|ERROR|NOT_FOUND|END|OK)\r\nMN\r\n$", line % edge)

    def test_arithmetic_at_64_bits(self):
        data = self.exchange(
            b"set n 0 0 20\r\n18446744073709551614\r\nincr n 1\r\nincr n 1\r\nincr n 18446744073709551615\r\n"
            b"decr n 18446744073709551615\r\nincr n 18446744073709551616\r\nincr n -1\r\n"
        )
        self.assertEqual(
            data,
            b"STORED\r\n18446744073709551615\r\n0\r\n18446744073709551615\r\n0\r\n"
            + b"CLIENT_ERROR invalid numeric delta argument\r\n" * 2,
        )

    def test_length_longer_than_the_data(self):
        self.assertEqual(self.exchange(b"set key 0 0 10\r\nshort\r\n"), b"")

    def test_length_shorter_than_the_data(self):
        data = self.exchange(b"set short 0 0 2\r\nlonger\r\nget short\r\n")
        self.assertIn(b"CLIENT_ERROR bad data chunk\r\n", data)
        self.assertTrue(data.endswith(b"END\r\n"))
        self.assertNotIn(b"VALUE", data)

    def test_too_large_a_value_is_swallowed(self):
        def send():
            for _ in range(10):
                value = b"v" * (3 * MEBIBYTE)
                request = b"set big 0 0 %d\r\n%s\r\nmn\r\n" % (len(value), value)
                data = exchange(self.server.endpoint, request, b"MN\r\n")
                self.assertEqual(data, b"SERVER_ERROR object too large for cache\r\nMN\r\n")

        self.grows_at_most(3, send)

    def test_keys_that_are_too_long(self):
        for size in (251, 1000, 2000):
            key = b"k" * size
            for line in (b"get %s\r\n", b"delete %s\r\n", b"incr %s 1\r\n", b"touch %s 1\r\n"):
                self.assertEqual(
                    self.exchange(line % key + b"mn\r\n"), b"CLIENT_ERROR bad command line format\r\nMN\r\n", line
                )

    def test_a_line_that_does_not_end(self):
        def send():
            connection = self.connect()
            connection.send_until_blocked(b"x" * (16 * MEBIBYTE))
            connection.finish()
            self.assertRegex(connection.read_to_end(), rb"^((ERROR|CLIENT_ERROR|SERVER_ERROR)[^\r]*\r\n)?$")

        self.grows_at_most(4, send)

    def test_a_get_line_that_does_not_end(self):
        def send():
            connection = self.connect()
            connection.send_until_blocked(b"get " + b"key " * (4 * MEBIBYTE))
            connection.finish()
            connection.read_to_end()

        self.grows_at_most(24, send)

    def test_get_of_100_000_keys(self):
        self.exchange(b"set key-7 0 0 1\r\n7\r\n")
        line = b"get " + b" ".join(b"key-%d" % number for number in range(100_000)) + b"\r\n"
        data = self.exchange([line])
        # memcached refuses lines beyond its buffer; serving them whole is right too.
        if not data.startswith((b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")) and data:
            self.assertEqual(data, b"VALUE key-7 0 1\r\n7\r\nEND\r\n")

    def test_control_bytes(self):
        for byte in range(256):
            data = self.exchange(bytes([byte]) * 3 + b"\r\nmn\r\n")
            self.assertLess(len(data), 200)

    def test_binary_after_text(self):
        data = self.exchange(b"mn\r\n" + binary.request("noop") + b"\r\nmn\r\n")
        self.assertTrue(data.startswith(b"MN\r\n"))
        self.assertNotIn(bytes([binary.RESPONSE]), data)


class Meta(Hostile):
    def test_edge_numbers_in_every_flag(self):
        commands = [b"mg key v T%s", b"mg key v N%s", b"mg key v R%s", b"md key q T%s I", b"md key C%s"]
        commands += [b"ma key N0 J%s", b"ma key D%s", b"ma key T%s", b"ma key N%s"]
        stores = [b"ms key %s", b"ms key 1 T%s", b"ms key 1 F%s", b"ms key 1 C%s"]
        for edge in EDGES + [b""]:
            for line in commands:
                data = self.exchange(line % edge + b"\r\nmn\r\n")
                self.assertRegex(data, rb"^((CLIENT_ERROR [^\r]+|[A-Z]{2}[^\r]*)\r\n(\d* *\r\n)?)?MN\r\n$", line % edge)
            for line in stores:
                data = self.exchange(line % edge + b"\r\n1\r\n")
                self.assertRegex(data, rb"^(CLIENT_ERROR|SERVER_ERROR|HD|EX|NF|NS|ERROR)|^$", line % edge)

    def test_many_flags(self):
        data = self.exchange(b"mg key" + b" v" * 500 + b"\r\nmn\r\n")
        self.assertTrue(data.endswith(b"MN\r\n") or data.startswith((b"CLIENT_ERROR", b"ERROR")), data)

    def test_long_opaque(self):
        for size in (31, 32, 33, 300):
            data = self.exchange(b"mg absent k O" + b"o" * size + b"\r\nmn\r\n")
            self.assertRegex(data, rb"^(EN[^\r]*|CLIENT_ERROR [^\r]+)\r\nMN\r\n$")

    def test_bad_base64(self):
        for key in (b"=", b"====", b"a", b"ab=c", b"\xff\xff", b"A" * 250, b"A" * 400):
            data = self.exchange(b"mg " + key + b" b v\r\nmn\r\n")
            self.assertRegex(data, rb"^(EN|CLIENT_ERROR [^\r]+)\r\nMN\r\n$", key)


class Binary(Hostile):
    def send(self, *frames):
        found, rest = binary.responses(self.exchange(b"".join(frames) + binary.request("noop", opaque=99)))
        self.assertEqual(rest, b"")
        return found

    def test_truncated_headers_and_bodies(self):
        whole = binary.store("set", b"key", b"value")
        for size in range(len(whole)):
            self.assertEqual(self.exchange(whole[:size]), b"")

    def test_body_shorter_than_extras_and_key(self):
        for body in (0, 1, 7, 8, 10):
            for verb in ("set", "add", "append", "get", "increment", "touch", "delete"):
                frame = binary.request(verb, b"key", b"", b"\0" * 8, body_length=body)
                data = self.exchange(frame)
                found, _ = binary.responses(data)
                if found:
                    self.assertNotEqual(found[0].status, 0, (verb, body))

    def test_bodies_of_every_width(self):
        def send():
            for body in (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFE0):
                for verb in ("set", "append", "get", "getq", "noop", "sasl_auth", "stat", 0x50):
                    connection = self.connect()
                    connection.send(binary.request(verb, b"key", b"x" * 1000, b"\0" * 8, body_length=body))
                    connection.finish()
                    found, _ = binary.responses(connection.read_to_end())
                    for each in found[:1]:
                        self.assertNotEqual(each.status, 0, (verb, body))

        self.grows_at_most(4, send)

    def test_wrong_extras_lengths(self):
        for verb, right in (("set", 8), ("get", 0), ("increment", 20), ("touch", 4), ("append", 0), ("delete", 0)):
            for size in {0, 1, 4, 8, 20, 21, 255} - {right}:
                data = self.exchange(binary.request(verb, b"key", b"", b"\0" * size, opaque=7))
                found, _ = binary.responses(data)
                if found:
                    self.assertEqual((found[0].status, found[0].opaque), (binary.STATUS["invalid"], 7), (verb, size))

    def test_key_lengths(self):
        for size in (0, 251, 65535):
            for verb in ("get", "set", "delete", "append"):
                extras = b"\0" * 8 if verb == "set" else b""
                found, _ = binary.responses(self.exchange(binary.request(verb, b"k" * size, b"", extras)))
                if found:
                    self.assertNotEqual(found[0].status, 0, (verb, size))

    def test_every_opcode_and_datatype_without_a_body(self):
        for opcode in range(256):
            found, rest = binary.responses(self.exchange(binary.request(opcode, datatype=opcode, opaque=opcode)))
            self.assertEqual(rest, b"")
            for each in found:
                self.assertEqual(each.opaque, opcode)

    def test_unknown_opcodes_are_answered_and_skipped(self):
        found = self.send(binary.request(0x70, b"key", b"value", b"extras", opaque=5))
        self.assertEqual((found[0].status, found[0].opaque), (binary.STATUS["unknown"], 5))
        if KIND == "bobbin":  # memcached 1.6.18 skips too much
            self.assertEqual([each.opaque for each in found], [5, 99])

    def test_text_after_binary(self):
        data = self.exchange(binary.request("noop", opaque=3) + b"get key\r\n" * 10)
        found, rest = binary.responses(data)
        self.assertEqual(found[0].opaque, 3)
        self.assertNotIn(b"END", rest)

    def test_arithmetic_at_64_bits(self):
        largest = 2**64 - 1
        found = self.send(
            binary.request("delete", b"n"),
            binary.count("increment", b"n", 1, largest),
            binary.count("increment", b"n", 2),
            binary.count("decrement", b"n", largest),
            binary.count("increment", b"absent", 1, 0, 0xFFFFFFFF),
        )
        values = [struct.unpack(">Q", each.value)[0] for each in found[1:4]]
        self.assertEqual(values, [largest, 1, 0])
        self.assertEqual(found[4].status, binary.STATUS["not_found"])


class PastVulnerabilities(Hostile):
    """The shapes that once broke memcached."""

    def test_cve_2011_4971_body_length_that_is_negative(self):
        for verb in ("set", "add", "replace", "append", "prepend", "setq"):
            self.exchange(binary.request(verb, b"key", b"", b"\0" * 8, body_length=0xFFFFFFFF))

    def test_cve_2013_7239_a_second_sasl_attempt(self):
        frame = binary.request("sasl_auth", b"PLAIN", b"\0user\0wrong")
        found, _ = binary.responses(self.exchange(frame * 2))
        for each in found:
            self.assertNotEqual(each.status, 0)

    def test_cve_2016_8704_append_with_a_body_shorter_than_its_key(self):
        self.exchange(b"set key 0 0 1\r\n1\r\n")
        for verb in ("append", "prepend", "appendq", "prependq"):
            self.exchange(binary.request(verb, b"", b"", key_length=0xFA, body_length=0) + b"A" * 1024)

    def test_cve_2016_8705_set_with_a_body_shorter_than_its_key(self):
        for verb in ("set", "setq", "add", "addq", "replace", "replaceq"):
            self.exchange(binary.request(verb, b"", b"", key_length=0xFA, extras_length=8, body_length=0) + b"A" * 1024)

    def test_cve_2016_8706_sasl_with_a_body_shorter_than_its_key(self):
        self.exchange(binary.request("sasl_auth", key_length=0x2A, body_length=0) + b"A" * 1024)

    def test_cve_2018_1000115_udp_is_not_served(self):
        with open(f"/proc/{self.server.process.pid}/net/udp", encoding="ascii") as table:
            ports = [line.split()[1].split(":")[1] for line in table.readlines()[1:]]
        self.assertNotIn(f"{self.server.tcp[1]:04X}", ports)

    def test_cve_2018_1000127_one_item_in_a_great_many_replies(self):
        self.exchange(b"set key 0 0 1\r\n1\r\n")
        line = b"get " + b" ".join([b"key"] * 400) + b"\r\n"
        data = self.exchange(line * 250)
        self.assertEqual(data.count(b"VALUE key 0 1\r\n1\r\n"), 100_000)

    def test_cve_2019_11596_administrative_commands_without_arguments(self):
        for line in (b"lru", b"lru mode", b"lru temp_ttl", b"slabs", b"slabs reassign", b"slabs automove", b"watch x"):
            self.assertRegex(self.exchange(line + b"\r\n"), rb"^(ERROR|CLIENT_ERROR)", line)
        others = (b"lru_crawler", b"cache_memlimit", b"verbosity", b"stats detail", b"stats cachedump", b"flush_all x")
        for line in others:
            self.assertLess(len(self.exchange(line + b"\r\n")), 500, line)

    def test_cve_2019_15026_unix_sockets_in_stats_conns(self):
        with Server(unix=True) as server, Connection(server.unix) as one, Connection(server.unix) as other:
            self.assertEqual(one.ask(b"mn\r\n"), b"MN\r\n")
            self.assertRegex(other.ask(b"stats conns\r\n", b"END\r\n"), rb"addr unix\b")

    def test_cve_2020_10931_extras_longer_than_expected(self):
        for verb in ("set", "touch", "gat", "increment", "flush", "noop", "verbosity"):
            data = self.exchange(binary.request(verb, b"k", b"", b"E" * 255))
            for each in binary.responses(data)[0][:1]:
                self.assertNotEqual(each.status, 0, verb)

    def test_cve_2020_22570_malformed_meta_commands(self):
        lines = [b"mg", b"ms", b"md", b"ma", b"me", b"m", b"mg ", b"ms key", b"ms key x", b"ms  2", b"mg b b", b"mx k"]
        for line in lines:
            self.assertRegex(self.exchange(line + b"\r\n"), rb"^(ERROR|CLIENT_ERROR)[^\r]*\r\n", line)

    def test_cve_2023_46852_many_spaces_in_a_multiget(self):
        data = self.exchange(b"get" + b" " * 1500 + b"k" * 10 + b" " * 300 + b"\r\nmn\r\n")
        self.assertTrue(data.endswith(b"MN\r\n") or data.startswith((b"ERROR", b"CLIENT_ERROR")), data)

    def test_cve_2023_46853_lines_that_end_with_a_bare_newline(self):
        self.assertEqual(self.exchange(b"get key1 key2 key3\nmn\nmg absent v\n"), b"END\r\nMN\r\nEN\r\n")


if __name__ == "__main__":
    unittest.main()
