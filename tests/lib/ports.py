"""Ports for servers under test, which nobody else takes while a test runs."""

import fcntl
import os
import random
import socket
import tempfile

# Below those that the kernel hands out, to whoever connects and to whoever listens on port 0: one of these could be
# taken between two lives of a server, or before its first.
_PORTS = range(20000, 32000)
_taken = set()
_register = None


def free_port():
    """One that nothing listens on; this process keeps it until it ends, other tests that run meanwhile get others."""
    global _register
    if _register is None:
        path = os.path.join(tempfile.gettempdir(), f"bobbin-test-ports-{os.getuid()}")
        _register = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _taken and _reserve(port):
            _taken.add(port)
            return port
    raise AssertionError(f"no free port among {_PORTS}")


def _reserve(port):
    try:
        # The byte at this offset of the register stands for the port. The lock goes with the process.
        fcntl.lockf(_register, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
            return True
        except OSError:
            fcntl.lockf(_register, fcntl.LOCK_UN, 1, port)
            return False
