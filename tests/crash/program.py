"""A server on a data directory, for tests of what it does when something is wrong with that."""

import os
import re
import signal
import subprocess
import tempfile

from lib.connection import Connection
from lib.server import BINARY, PATIENCE_S, poll

FAULTY = os.environ.get("BOBBIN_FAULTY_SERVER", "build/release/faulty_server")


class Program:
    """One life of the server. It may fail to start: `code` is its exit code then, and None while it runs."""

    def __init__(self, data, *options, faults="", later_faults="", is_faulty=False):
        binary = FAULTY if faults or later_faults or is_faulty else BINARY
        command = [binary] if binary == FAULTY else [binary, "serve"]
        command += ["--port", "0", "--listen", "127.0.0.1", "--threads", "2", "--data", data, *options]
        environment = dict(os.environ, BOBBIN_FAULTS=faults, BOBBIN_FAULTS_ON_SIGNAL=later_faults)
        self._err = tempfile.NamedTemporaryFile(prefix="bobbin-faults-")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._err, env=environment
        )
        self.greeting = ""
        while " | nc " not in self.greeting:
            line = self.process.stdout.readline().decode()
            if not line:
                self.process.wait(PATIENCE_S)
                break
            self.greeting += line
        found = re.search(r"(?m)^listening on 127\.0\.0\.1:(\d+)$", self.greeting)
        self.endpoint = ("127.0.0.1", int(found.group(1))) if found else None

    @property
    def code(self):
        return self.process.poll()

    @property
    def errors(self):
        with open(self._err.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def connect(self):
        return Connection(self.endpoint)

    def inject(self):
        """The later faults are there when this returns."""
        self._signal_faults("faults: injected")

    def heal(self):
        """They are gone, after inject()."""
        self._signal_faults("faults: healed")

    def _signal_faults(self, answer):
        self.process.send_signal(signal.SIGURG)
        poll(lambda: answer in self.errors, answer)

    def end(self):
        """Asks it to end; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self):
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return code
