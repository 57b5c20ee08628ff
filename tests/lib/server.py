"""Starts the server under test, and ends it, for tests that talk to it over a socket.

The server is `bobbin`, unless BOBBIN_TEST_SERVER=memcached asks for Debian's memcached: what a test
expects of the protocol can so be checked against the original.
"""

import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time

from lib.ports import free_port

KIND = os.environ.get("BOBBIN_TEST_SERVER", "bobbin")
BINARY = os.environ.get("BOBBIN_BINARY", "build/release/bobbin")
MEMCACHED = os.environ.get("MEMCACHED_BINARY", "/usr/bin/memcached")
# Sanitizers make processes slower and much larger: tests scale their counts and skip memory limits.
SANITIZED = os.environ.get("BOBBIN_SANITIZE", "") != ""
PATIENCE_S = 60 if SANITIZED else 20

_CRASH = re.compile(r"Sanitizer|runtime error:|[Aa]ssertion|terminate called|stack smashing")


def poll(condition, what, patience_s=PATIENCE_S):
    """Waits until condition() is true and returns what it returned; fails after patience_s seconds."""
    deadline = time.monotonic() + patience_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting after {patience_s} s for {what}")
        time.sleep(0.01)


class Server:
    """One server process on loopback. `tcp` and `unix` are its endpoints: (host, port) and a path, or None; `http`
    is the port of its HTTP server, with the option http=True; with tls_cert, `tls` and `https` are those for TLS.

    Options have the names of bobbin's flags (threads, memory, max_item_size, idle_timeout ...); those
    that memcached has too are translated for it, the rest is left out. Sizes are strings such as "64M",
    timeouts numbers of seconds.
    `nofile` limits the process's file descriptors.
    """

    def __init__(self, kind=None, *, unix=False, nofile=None, http=False, **options):
        self.kind = kind or KIND
        self.http = None
        if http:
            self.http = options["http_port"] = free_port()
        self.tls = self.https = None
        if "tls_cert" in options:
            self.tls = options["tls_port"] = free_port()
            self.https = options["tls_http_port"] = free_port()
        self.tcp = None
        self.unix = None
        options.setdefault("threads", 1)
        options.setdefault("memory", "64M")
        self._folder = tempfile.TemporaryDirectory(prefix="bobbin-test-")
        self._out_path = os.path.join(self._folder.name, "stdout")
        self._err_path = os.path.join(self._folder.name, "stderr")
        environment = dict(os.environ)
        if self.kind == "bobbin":
            command = self._bobbin_command(options, unix)
        else:
            environment["MEMCACHED_PORT_FILENAME"] = os.path.join(self._folder.name, "port")
            command = self._memcached_command(options, unix)

        def limit():
            if nofile is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        with open(self._out_path, "wb") as out, open(self._err_path, "wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, preexec_fn=limit
            )
        try:
            poll(self._started, f"{command} to listen")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            output = self.output()
            self._folder.cleanup()
            raise AssertionError(f"{command} did not start: {output}") from None

    def _bobbin_command(self, options, unix):
        self._unix_path = os.path.join(self._folder.name, "socket") if unix else None
        command = [BINARY, "serve", "--port", str(free_port())]
        if unix:
            command += ["--unix-socket", self._unix_path]
        for name, value in options.items():
            command.append("--" + name.replace("_", "-"))
            if value is not True:
                command.append(f"{value}s" if name.endswith("_timeout") else str(value))
        return command

    def _memcached_command(self, options, unix):
        self._unix_path = os.path.join(self._folder.name, "socket") if unix else None
        command = [MEMCACHED, "-u", "root", "-U", "0", "-t", str(options["threads"])]
        command += ["-m", options["memory"].rstrip("M"), "-o", "no_maxconns_fast"]
        # memcached listens either on TCP or on a Unix socket.
        command += ["-s", self._unix_path] if unix else ["-l", "127.0.0.1", "-p", "-1"]
        if "max_item_size" in options:
            command += ["-I", options["max_item_size"].lower()]
        if "max_connections" in options:
            command += ["-c", str(options["max_connections"])]
        if "idle_timeout" in options:
            command += ["-o", f"idle_timeout={options['idle_timeout']}"]
        if "disable_evictions" in options:
            command += ["-M"]
        return command

    def _started(self):
        if self.process.poll() is not None:
            raise AssertionError("it has ended")
        if self.kind == "bobbin":
            with open(self._out_path, encoding="utf-8", errors="replace") as out:
                lines = out.read()
            tcp = re.search(r"^listening on 127\.0\.0\.1:(\d+)\n", lines, re.MULTILINE)
            if not tcp:
                return False
            self.tcp = ("127.0.0.1", int(tcp.group(1)))
        elif not self._unix_path:
            try:
                with open(os.path.join(self._folder.name, "port"), encoding="utf-8") as ports:
                    tcp = re.search(r"TCP INET: (\d+)\n", ports.read())
            except FileNotFoundError:
                return False
            if not tcp:
                return False
            self.tcp = ("127.0.0.1", int(tcp.group(1)))
        if self._unix_path:
            if not os.path.exists(self._unix_path):
                return False
            self.unix = self._unix_path
        return all(_answers(endpoint) for endpoint in (self.tcp, self.unix) if endpoint)

    @property
    def endpoint(self):
        """TCP if the server has it, otherwise its Unix socket."""
        return self.tcp or self.unix

    @property
    def address(self):
        """host:port, as clients want it."""
        return f"{self.tcp[0]}:{self.tcp[1]}"

    def memory_kib(self, field="VmRSS"):
        """A line of /proc/PID/status, in KiB: VmRSS (now) or VmHWM (the highest so far)."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.MULTILINE).group(1))

    def forget_memory_peak(self):
        """VmHWM starts again from VmRSS."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as refs:
            refs.write("5")

    def cpu_seconds(self):
        """User and system time the process has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def output(self):
        texts = []
        for path in (self._out_path, self._err_path):
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        return "".join(texts)

    def terminate(self):
        """Asks it to end, and does not wait."""
        self.process.send_signal(signal.SIGTERM)

    def wait_for_exit(self):
        """Waits for the end that terminate() asked for. It must be a clean one, in bounded time."""
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end {PATIENCE_S} s after SIGTERM: {self.output()}") from None
        output = self.output()
        self._folder.cleanup()
        if code != 0 or _CRASH.search(output):
            raise AssertionError(f"ended with code {code}: {output[-4000:]}")

    def discard(self):
        """Forgets a server that the test itself has killed. What it said must not be that it crashed."""
        output = self.output()
        self._folder.cleanup()
        if _CRASH.search(output):
            raise AssertionError(f"had crashed: {output[-4000:]}")

    def stop(self):
        """Ends the server, which must still be alive and must end cleanly."""
        if self.process.returncode is None:
            self.terminate()
            self.wait_for_exit()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _answers(endpoint):
    family = socket.AF_UNIX if isinstance(endpoint, str) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(endpoint)
            probe.sendall(b"version\r\n")
            # A server that has users wants a login first, and is there all the same.
            return probe.recv(64).startswith((b"VERSION ", b"CLIENT_ERROR unauthenticated"))
        except OSError:
            return False
