"""The servers that bench/versus compares: how each is started, asked, measured and ended."""

import contextlib
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

KINDS = ("bobbin", "memcached", "redis", "ceiling")
START_PATIENCE_S = 20
MIB = 1 << 20


class Failed(Exception):
    """A server or the generator could not be run."""


class Programs:
    """Where the programs are. `missing(kinds)` tells what is not there, before anything is measured."""

    def __init__(self, build, bobbin=None, memcached=None, redis=None):
        self.bobbin = bobbin or os.path.join(build, "bobbin")
        self.ceiling = os.path.join(build, "bench", "ceiling")
        self.disk_gets = os.path.join(build, "bench", "disk_gets")
        self.memcached = memcached or shutil.which("memcached") or "/usr/bin/memcached"
        self.redis = redis or shutil.which("redis-server") or "/usr/bin/redis-server"

    def missing(self, kinds):
        paths = {kind: getattr(self, kind) for kind in {*kinds, "bobbin"}}
        return [f"{kind} ({path})" for kind, path in sorted(paths.items()) if not os.access(path, os.X_OK)]

    def versions(self, kinds):
        asked = {"bobbin": "--version", "memcached": "--version", "redis": "--version"}
        found = {}
        for kind in kinds:
            if kind in asked:
                command = [getattr(self, kind), asked[kind]]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                found[kind] = re.sub(r" sha=.*", "", done.stdout.strip())
        return found


@contextlib.contextmanager
def on_cores(cores):
    """What is started inside runs on these cores only (taskset's effect); None: wherever the kernel likes.

    The affinity is inherited, so nothing runs between fork and exec: that would make a start slower.
    """
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_descriptor_limit(wanted):
    """For this process and all it starts. Returns what it got."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, OSError):
            wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def data_folder():
    """On a disk, not in memory: BOBBIN_BENCH_FOLDER, or where temporary files survive a reboot."""
    return tempfile.TemporaryDirectory(prefix="bobbin-versus-", dir=os.environ.get("BOBBIN_BENCH_FOLDER", "/var/tmp"))


def folder_bytes(folder):
    """What the files take on disk."""
    return sum(os.stat(os.path.join(at, name)).st_blocks * 512 for at, _, names in os.walk(folder) for name in names)


def certify(folder):
    """Paths of a certificate for 127.0.0.1 that vouches for itself, and of its key: on P-256, as is usual."""
    certificate, key = (os.path.join(folder, name) for name in ("certificate.pem", "key.pem"))
    command = ["openssl", "req", "-x509", "-days", "2", "-subj", "/CN=versus", "-nodes", "-newkey", "ec"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-addext", "subjectAltName=IP:127.0.0.1"]
    done = subprocess.run([*command, "-keyout", key, "-out", certificate], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"openssl has made no certificate: {done.stderr.strip()}")
    return certificate, key


class Server:
    """One server process on loopback, until the end of the `with` block."""

    def __init__(
        self,
        programs,
        kind,
        *,
        threads=1,
        cores=None,
        value_bytes=100,
        memory_mib=1024,
        connections=1024,
        durability=None,
        folder=None,
        tls=False,
    ):
        """`durability`: None keeps nothing, "memory" and "disk" say when a write is acknowledged. `folder`
        holds the data then, and stays; None makes one that goes with the server. With `tls`, of bobbin and
        memcached, `address` speaks TLS, with the certificate in the file `certificate`."""
        self.kind = kind
        self.port = free_port()
        self.certificate = None
        self._tls_port = free_port() if tls and kind == "bobbin" else self.port
        self._output = tempfile.TemporaryFile()
        self._own_folder = self._certificates = None
        if durability and not folder:
            self._own_folder = data_folder()
            folder = self._own_folder.name
        command = self._command(programs, threads, value_bytes, memory_mib, connections)
        command += self._storage(durability, folder)
        if tls:
            self._certificates = tempfile.TemporaryDirectory(prefix="bobbin-versus-")
            command += self._tls(*certify(self._certificates.name))
        with on_cores(cores):
            self.started_at = time.perf_counter()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
            )
        try:
            self._wait_for_answer()
        except BaseException:
            self._end()
            raise
        self.start_ms = (time.perf_counter() - self.started_at) * 1000

    def _command(self, programs, threads, value_bytes, memory_mib, connections):
        port = str(self.port)
        large = value_bytes + 1024 > MIB
        if self.kind == "bobbin":
            command = [programs.bobbin, "serve", "--listen", "127.0.0.1", "--port", port]
            command += ["--threads", str(threads), "--memory", f"{memory_mib}M"]
            command += ["--max-connections", str(connections)]
            return command + (["--max-item-size", "2M"] if large else [])
        if self.kind == "memcached":
            command = [programs.memcached, "-l", "127.0.0.1", "-p", port, "-U", "0"]
            command += ["-t", str(threads), "-m", str(memory_mib), "-c", str(connections)]
            return command + (["-I", "2m"] if large else []) + (["-u", "root"] if os.geteuid() == 0 else [])
        if self.kind == "redis":
            command = [programs.redis, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"]
            return command + ["--io-threads", str(threads), "--maxclients", str(connections), "--dir", "/tmp"]
        return [programs.ceiling, "--port", port, "--value-size", str(value_bytes)]

    def _storage(self, durability, folder):
        if durability is None:
            return []
        if self.kind == "redis":
            fsync = "always" if durability == "disk" else "everysec"
            return ["--appendonly", "yes", "--appendfsync", fsync, "--dir", folder]
        return ["--data", folder, "--durability", durability]

    def _tls(self, certificate, key):
        self.certificate = certificate
        if self.kind == "memcached":
            return ["-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}"]
        return ["--tls-cert", certificate, "--tls-key", key, "--tls-port", str(self._tls_port)]

    def kill(self):
        """As a crash would end it."""
        self._process.kill()
        self._process.wait()

    def _wait_for_answer(self):
        request, answer = (b"PING\r\n", b"+PONG") if self.kind == "redis" else (b"version\r\n", b"VERSION")
        deadline = time.monotonic() + START_PATIENCE_S
        while True:
            if self._process.poll() is not None:
                self._output.seek(0)
                said = self._output.read().decode(errors="replace").strip()
                raise Failed(f"{self.kind} has ended with code {self._process.returncode}: {said[-2000:]}")
            try:
                with self.connect(1) as probe:
                    probe.sendall(request)
                    if probe.recv(64).startswith(answer):
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise Failed(f"{self.kind} has not answered for {START_PATIENCE_S} s")
            time.sleep(0.0002)

    @property
    def address(self):
        return f"127.0.0.1:{self._tls_port}"

    def connect(self, timeout=START_PATIENCE_S):
        """To a listener that speaks TLS where that is the only one."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout)
        if not self.certificate or self._tls_port != self.port:
            return plain
        try:
            return ssl.create_default_context(cafile=self.certificate).wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise

    def stats(self):
        """memcached's statistics, as a dictionary of strings."""
        with self.connect() as asked, asked.makefile("rb") as lines:
            asked.sendall(b"stats\r\n")
            found = {}
            while (line := lines.readline().decode()).startswith("STAT "):
                _, name, value = line.rstrip("\r\n").split(" ", 2)
                found[name] = value
            return found

    def resident_bytes(self):
        with open(f"/proc/{self._process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", status.read(), re.MULTILINE).group(1)) * 1024

    def cpu_seconds(self):
        """User and system time of the process so far."""
        with open(f"/proc/{self._process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _end(self):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._output.close()
        for folder in (self._own_folder, self._certificates):
            if folder:
                folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()
