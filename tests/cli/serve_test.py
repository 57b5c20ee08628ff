"""bobbin serve as a process: configuration, what it prints, how it starts and ends."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import program
from lib.connection import Connection
from lib.server import BINARY, PATIENCE_S


class ServeCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bobbin-serve-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, text, name="f.toml"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class Check(ServeCase):
    def check(self, text, *words, **variables):
        return program.run("serve", "--check", "--config", self.write(text), *words, **variables)

    def test_a_valid_configuration(self):
        self.assertEqual(self.check('port = 4711\nmemory = "1GiB"\n'), (0, b"configuration is valid\n", b""))
        self.assertEqual(program.run("serve", "--check"), (0, b"configuration is valid\n", b""))

    def test_the_wrong_line_is_named(self):
        code, out, err = self.check('# first\nport = 1\n\nmemory = "64Q"\n')
        self.assertEqual((code, out), (2, b""))
        path = os.path.join(self.folder, "f.toml")
        self.assertEqual(err.decode(), f'{path}:4: memory: "64Q" is not a size (examples: 512M, 4GiB)\n')

    def test_wrong_flags_and_variables_are_named(self):
        code, _, err = self.check("", "--port", "x", BOBBIN_MEMORY="y")
        self.assertEqual(code, 2)
        self.assertEqual(
            err.decode(),
            'environment variable BOBBIN_MEMORY: "y" is not a size (examples: 512M, 4GiB)\n'
            '--port: "x" is not a port (a number from 0 to 65535)\n',
        )

    def test_an_unknown_flag(self):
        code, _, err = program.run("serve", "--prot", "1")
        self.assertEqual((code, err), (2, b"unknown flag --prot, did you mean --port?\n"))


class Running(ServeCase):
    def start(self, *words, **variables):
        """Starts `bobbin serve` and reads what it prints, up to the line that tries it over nc."""
        process = subprocess.Popen(
            [os.path.abspath(BINARY), "serve", *words],
            cwd=self.folder,  # where bobbin-data is made if the words name no other place
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=program.environment(**variables),
        )
        guard = threading.Timer(PATIENCE_S, process.kill)
        guard.start()

        def finish():
            guard.cancel()
            process.kill()
            process.communicate()

        self.addCleanup(finish)
        lines = []
        while not lines or " | nc " not in lines[-1]:
            line = process.stdout.readline().decode()
            if not line:
                self.fail(f"ended: {process.stderr.read().decode()}")
            lines.append(line)
        return process, "".join(lines)

    def port_of(self, greeting):
        return int(re.search(r"(?m)^listening on 127\.0\.0\.1:(\d+)$", greeting).group(1))

    def test_it_listens_where_it_says_and_drains_on_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process, greeting = self.start("--port", "0")
            with Connection(("127.0.0.1", self.port_of(greeting))) as client:
                self.assertEqual(client.ask(b"set a 0 0 1\r\n1\r\n"), b"STORED\r\n")
                process.send_signal(number)
                self.assertEqual(client.read_to_end(), b"")
            _, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual(process.returncode, 0, err)

    def test_what_was_stored_is_there_again_however_it_ended(self):
        self.start_and_end("--data", "d", send=b"set a 7 0 3\r\nabc\r\n", number=signal.SIGTERM)
        self.start_and_end("--data", "d", "--durability", "disk", send=b"set b 0 0 1\r\nb\r\n", number=signal.SIGKILL)
        process, greeting = self.start("--port", "0", "--data", "d")
        self.assertIn("\ndata in d, a write is acknowledged when it is in memory\n", greeting)
        with Connection(("127.0.0.1", self.port_of(greeting))) as client:
            client.send(b"get a b\r\nquit\r\n")
            self.assertEqual(client.read_to_end(), b"VALUE a 7 3\r\nabc\r\nVALUE b 0 1\r\nb\r\nEND\r\n")
        code, _, err = program.run("serve", "--port", "0", "--data", os.path.join(self.folder, "d"))
        self.assertEqual(code, 5)
        self.assertIn(str(process.pid).encode(), err)

    def start_and_end(self, *words, send, number):
        process, greeting = self.start("--port", "0", *words)
        with Connection(("127.0.0.1", self.port_of(greeting))) as client:
            self.assertEqual(client.ask(send), b"STORED\r\n")
            process.send_signal(number)
            process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 0 if number == signal.SIGTERM else -number)

    def test_what_it_says_to_try_works(self):
        process, greeting = self.start("--port", "0")
        commands = [line.strip() for line in greeting.splitlines() if line.startswith("  ")]
        self.assertEqual(len(commands), 2)
        folder = os.path.dirname(os.path.abspath(BINARY))
        environment = program.environment(PATH=folder + ":" + os.environ["PATH"])
        done = subprocess.run(["/bin/sh", "-c", commands[0]], capture_output=True, env=environment, check=False,
                              timeout=PATIENCE_S)
        self.assertEqual((done.returncode, done.stdout), (0, b"world"), done.stderr)
        request = re.search(r"printf '(.*)' \| nc 127\.0\.0\.1 (\d+)$", commands[1])
        self.assertEqual(int(request.group(2)), self.port_of(greeting))
        with Connection(("127.0.0.1", self.port_of(greeting))) as client:
            client.send(request.group(1).replace("\\r\\n", "\r\n").encode())
            self.assertEqual(client.read_to_end(), b"STORED\r\nVALUE hello 0 5\r\nworld\r\nEND\r\n")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_a_unix_socket_alone(self):
        path = os.path.join(self.folder, "socket")
        process, greeting = self.start("--listen", "none", "--unix-socket", path, "--unix-mode", "0600")
        self.assertIn(f"listening on unix:{path}\n", greeting)
        self.assertNotIn("127.0.0.1", greeting)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with Connection(path) as client:
            self.assertTrue(client.ask(b"version\r\n").startswith(b"VERSION "))
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertFalse(os.path.exists(path))

    def test_file_environment_and_flags_together(self):
        path = self.write('memory = "8M"\nmax_item_size = "2K"\nthreads = 1\n')
        process, greeting = self.start("--port", "0", "--threads", "2", BOBBIN_CONFIG=path, BOBBIN_MEMORY="16M")
        with Connection(("127.0.0.1", self.port_of(greeting))) as client:
            settings = client.stats(b"settings")
            self.assertEqual(settings["maxbytes"], str(16 << 20))
            self.assertEqual(settings["item_size_max"], "2048")
            self.assertEqual(settings["num_threads"], "2")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_the_pid_file(self):
        path = os.path.join(self.folder, "pid")
        # It is complete when the greeting is printed.
        process, _ = self.start("--port", "0", "--pid-file", path)
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), f"{process.pid}\n")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertFalse(os.path.exists(path))

    def test_an_address_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            code, out, err = program.run("serve", "--listen", address)
            self.assertEqual((code, out), (1, b""))
            self.assertIn(address.encode(), err)

    def test_a_public_address_is_refused_unless_forced(self):
        code, _, err = program.run("serve", "--listen", "0.0.0.0", "--port", "0")
        self.assertEqual(code, 2)
        self.assertTrue(err.startswith(b"--listen: refusing to listen on 0.0.0.0:0"), err)
        self.assertIn(b"--force-public", err)


if __name__ == "__main__":
    unittest.main()
