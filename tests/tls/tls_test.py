"""The server with TLS: clients of each protocol, certificates and their reload, and what is refused."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

from lib.certificates import Authority
from lib.ports import free_port
from lib.server import BINARY, Server, poll

_ADMIN = ("admin", "secret!")
HELLO, GET, SASL_LIST, SASL_AUTH, CONFIG = 0x1F, 0x00, 0x20, 0x21, 0xB5


def receive(connection, size):
    data = b""
    while len(data) < size:
        some = connection.recv(size - len(data))
        if not some:
            raise ConnectionError("the server has closed")
        data += some
    return data


def mcbp(connection, opcode, key=b"", value=b""):
    """Sends one request, and returns the status and value of its answer."""
    body = key + value
    connection.sendall(struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), 0, 0, 0, len(body), 0, 0) + body)
    head = receive(connection, 24)
    extras, status, length = head[4], *struct.unpack(">HI", head[6:12])
    return status, receive(connection, length)[extras:]


class TlsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-tls-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.authority = Authority(self.folder)
        self.own = self.authority.issue("server")

    def server(self, **options):
        """In front of a cache, unless there is `data`."""
        server = Server(http=True, tls_cert=self.own.certificate, tls_key=self.own.key, **options)
        self.addCleanup(server.stop)
        return server

    def context(self, certificate=None, authority=None):
        context = ssl.create_default_context(cafile=(authority or self.authority).certificate)
        if certificate:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context

    def connect(self, server, context=None):
        plain = socket.create_connection(("127.0.0.1", server.tls), timeout=20)
        try:
            connection = (context or self.context()).wrap_socket(plain, server_hostname="localhost")
        except Exception:
            plain.close()
            raise
        self.addCleanup(connection.close)
        return connection

    def get(self, server, path, login=None, context=None):
        """The status and the body, over HTTPS."""
        connection = http.client.HTTPSConnection(
            "localhost", server.https, timeout=20, context=context or self.context()
        )
        headers = {}
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def with_users(self, *users):
        """A data directory with these users, whose password is the admin's."""
        data = os.path.join(self.folder, "data")
        for name, role in users:
            subprocess.run(
                [BINARY, "user", "add", name, "--data", data, "--role", role, "--iterations", "10"],
                input=_ADMIN[1].encode() + b"\n", check=True, stdout=subprocess.DEVNULL, timeout=60,
            )  # fmt: skip
        return data

    def test_text_protocol(self):
        server = self.server()
        connection = self.connect(server)
        connection.sendall(b"set k 0 0 5\r\nhello\r\nget k\r\n")
        answers = b"STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n"
        self.assertEqual(receive(connection, len(answers)), answers)
        value = os.urandom(700_000)
        connection.sendall(b"set large 0 0 700000\r\n" + value + b"\r\nget large\r\n")
        self.assertEqual(receive(connection, 8), b"STORED\r\n")
        head = b"VALUE large 0 700000\r\n"
        self.assertEqual(receive(connection, len(head) + len(value)), head + value)

    def test_versions(self):
        server = self.server()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            self.assertEqual(self.connect(server, context).version(), version.name.replace("_", "."))

    def test_plain_and_tls_do_not_mix(self):
        server = self.server()
        with socket.create_connection(("127.0.0.1", server.tls), timeout=20) as plain:
            plain.sendall(b"version\r\n")
            self.assertEqual(plain.recv(100), b"")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            plain = socket.create_connection(server.tcp, timeout=20)
            with plain:
                self.context().wrap_socket(plain, server_hostname="localhost")

    def test_mcbp_config_names_both_ways(self):
        server = self.server()
        connection = self.connect(server)
        self.assertEqual(mcbp(connection, HELLO, b"test")[0], 0)
        self.assertTrue(mcbp(connection, SASL_LIST)[1].startswith(b"PLAIN SCRAM"))
        status, text = mcbp(connection, CONFIG)
        self.assertEqual(status, 0)
        services = json.loads(text)["nodesExt"][0]["services"]
        self.assertEqual(
            services, {"kv": server.tcp[1], "mgmt": server.http, "kvSSL": server.tls, "mgmtSSL": server.https}
        )

    def test_http(self):
        server = self.server()
        status, body = self.get(server, "/pools/default/nodeServices")
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["nodesExt"][0]["services"]["mgmtSSL"], server.https)
        self.assertIn("bobbin_tls_handshakes_total 0", self.get(server, "/metrics")[1])
        self.connect(server).sendall(b"version\r\n")
        poll(lambda: "bobbin_tls_handshakes_total 1" in self.get(server, "/metrics")[1], "the handshake")

    def test_reload(self):
        server = self.server()
        before = self.connect(server)
        next_ = self.authority.issue("next")

        def name(connection):
            return dict(part[0] for part in connection.getpeercert()["subject"])["commonName"]

        self.assertEqual(name(before), "server")
        # A key that is no key: the error names the file, and everything goes on.
        good = self.own.key + ".good"
        shutil.copy(self.own.key, good)
        with open(self.own.key, "w", encoding="ascii") as key:
            key.write("no key\n")
        server.process.send_signal(signal.SIGHUP)
        poll(lambda: "the certificate in use stays" in server.output(), "the error")
        self.assertIn(self.own.key, server.output())
        self.assertEqual(name(self.connect(server)), "server")
        # And one that is right, for each front.
        shutil.copy(next_.certificate, self.own.certificate)
        shutil.copy(next_.key, self.own.key)
        server.process.send_signal(signal.SIGHUP)
        poll(lambda: "read again" in server.output(), "the reload")
        self.assertEqual(name(self.connect(server)), "next")
        https = socket.create_connection(("127.0.0.1", server.https), timeout=20)
        with https, self.context().wrap_socket(https, server_hostname="localhost") as connection:
            self.assertEqual(name(connection), "next")
        before.sendall(b"get k\r\n")
        self.assertEqual(receive(before, 5), b"END\r\n")

    def test_certificates_of_users(self):
        data = self.with_users(("admin", "admin"), ("app", "data_reader[default]"))
        server = self.server(data=data, memory="128M", tls_client_ca=self.authority.certificate)
        app = self.context(self.authority.issue("app"))
        connection = self.connect(server, app)
        connection.sendall(b"get k\r\n")
        self.assertEqual(receive(connection, 5), b"END\r\n")
        connection = self.connect(server, app)
        self.assertEqual(mcbp(connection, GET, b"k")[0], 1)
        self.assertEqual(self.get(server, "/pools/default/buckets/default", context=app)[0], 200)
        # Without a certificate, or with the name of nobody, it is as ever: log in first.
        for context in (self.context(), self.context(self.authority.issue("nobody"))):
            connection = self.connect(server, context)
            self.assertEqual(mcbp(connection, GET, b"k")[0], 0x20)
            plain = b"\0app\0" + _ADMIN[1].encode()
            self.assertEqual(mcbp(connection, SASL_AUTH, b"PLAIN", plain)[0], 0)
            self.assertEqual(mcbp(connection, GET, b"k")[0], 1)
            self.assertEqual(self.get(server, "/pools/default", context=context)[0], 401)
            self.assertEqual(self.get(server, "/pools/default", _ADMIN, context)[0], 200)
        server.terminate()
        server.process.wait(20)
        with open(os.path.join(data, "audit.log"), encoding="utf-8") as log:
            self.assertIn('"mechanism":"certificate"', log.read())

    def test_certificates_required(self):
        server = self.server(tls_client_ca=self.authority.certificate, tls_client_certificates="required")
        known = self.connect(server, self.context(self.authority.issue("app")))
        known.sendall(b"get k\r\n")
        self.assertEqual(receive(known, 5), b"END\r\n")
        stranger = Authority(self.folder, "elsewhere").issue("app", "stranger")
        for context in (self.context(), self.context(stranger)):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                connection = self.connect(server, context)
                connection.sendall(b"get k\r\n")
                receive(connection, 5)
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                self.get(server, "/livez", context=context)

    def test_drains(self):
        server = self.server()
        idle = self.connect(server)
        idle.sendall(b"get k\r\n")
        self.assertEqual(receive(idle, 5), b"END\r\n")
        server.terminate()
        self.assertEqual(idle.recv(1), b"", "ended as TLS ends")
        idle.close()
        self.assertEqual(server.process.wait(20), 0)

    def start_badly(self, *words):
        done = subprocess.run(
            [BINARY, "serve", "--port", "0", "--memory", "64M", "--tls-port", str(free_port()), *words],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr.decode()

    def test_what_does_not_start(self):
        own = ("--tls-cert", self.own.certificate, "--tls-key", self.own.key)
        code, error = self.start_badly("--tls-cert", "/no/such/file", "--tls-key", self.own.key)
        self.assertEqual(code, 2)
        self.assertIn("/no/such/file: No such file or directory", error)
        code, error = self.start_badly(*own, "--listen", "0.0.0.0")
        self.assertEqual(code, 2)
        self.assertIn("refusing to listen on 0.0.0.0", error)


if __name__ == "__main__":
    unittest.main()
