"""A raw connection to a server: bytes out, bytes in, every wait bounded."""

import fcntl
import select
import socket
import struct
import termios
import time

from lib.server import PATIENCE_S, poll


class Connection:
    """A stream socket to an endpoint of lib.server.Server. Any wait above `patience_s` fails the test."""

    def __init__(self, endpoint, patience_s=PATIENCE_S, receive_buffer=None):
        family = socket.AF_UNIX if isinstance(endpoint, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.patience_s = patience_s
        self.socket.settimeout(patience_s)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(endpoint)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = bytearray()

    def send(self, data):
        self.socket.sendall(data)

    def wait_until_arrived(self):
        """Waits until everything sent lies in the other side's receive buffer, or was read from it."""

        def unacknowledged():
            return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4))[0]

        poll(lambda: unacknowledged() == 0, "what was sent to arrive")

    def send_until_blocked(self, data, quiet_s=1.0):
        """Sends what the other side takes; returns the bytes it took when it took nothing for quiet_s."""
        view = memoryview(data)
        sent = 0
        while sent < len(view):
            if not select.select([], [self.socket], [], quiet_s)[1]:
                break
            try:
                sent += self.socket.send(view[sent : sent + 65536])
            except ConnectionError:
                break
        return sent

    def finish(self):
        """Nothing more will be sent; replies can still be read."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side was faster

    def _more(self):
        try:
            data = self.socket.recv(262144)
        except ConnectionError:
            data = b""
        self._read += data
        return bool(data)

    def read(self, size):
        """Exactly size bytes, or fewer if the connection was closed before."""
        while len(self._read) < size and self._more():
            pass
        return self._take(min(size, len(self._read)))

    def read_until(self, end):
        """Everything up to and including `end`, or up to the close of the connection."""
        start = 0
        while True:
            at = self._read.find(end, start)
            if at >= 0:
                return self._take(at + len(end))
            start = max(0, len(self._read) - len(end) + 1)
            if not self._more():
                return self._take(len(self._read))

    def line(self):
        return self.read_until(b"\r\n")

    def read_to_end(self):
        """Everything until the other side closes (a reset counts as a close)."""
        while self._more():
            pass
        return self._take(len(self._read))

    def is_closed(self):
        """Whether the other side has closed and nothing is left to read. Does not wait."""
        if self._read:
            return False
        if not select.select([self.socket], [], [], 0)[0]:
            return False
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            return True
        self._read += data
        return not data

    def taken(self):
        """What has been received and not yet returned. Does not wait."""
        return self._take(len(self._read))

    def _take(self, size):
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def ask(self, request, end=b"\r\n"):
        """Sends, and reads until `end`."""
        self.send(request)
        return self.read_until(end)

    def stats(self, group=b""):
        """The statistics as a dictionary of strings."""
        lines = self.ask(b"stats" + (b" " + group if group else b"") + b"\r\n", b"END\r\n").split(b"\r\n")
        pairs = (line.split(b" ", 2) for line in lines if line.startswith(b"STAT "))
        return {pair[1].decode(): pair[2].decode() for pair in pairs}

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN (TCP)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exchange(endpoint, pieces, end_after=None, patience_s=PATIENCE_S):
    """Sends the pieces while reading replies, ends its side, and returns all that came until the close.

    Ends its side as soon as everything is sent; or, with `end_after`, when the replies end with those bytes
    (or nothing has come for a second). Never deadlocks on a server that stops reading until its replies are
    read.
    """
    if isinstance(pieces, bytes):
        pieces = [pieces]
    replies = bytearray()
    deadline = time.monotonic() + patience_s
    with Connection(endpoint, patience_s) as connection:
        peer = connection.socket
        peer.setblocking(False)
        pending = [memoryview(piece) for piece in pieces if piece]
        pending.reverse()
        finished = False
        while True:
            readable, writable, _ = select.select([peer], [peer] if pending else [], [], 1)
            if time.monotonic() > deadline:
                raise AssertionError(f"no close after {patience_s} s; {len(replies)} bytes came")
            if readable:
                try:
                    data = peer.recv(262144)
                except ConnectionError:
                    break
                if not data:
                    break
                replies += data
                deadline = time.monotonic() + patience_s
            if writable:
                _send_some(peer, pending)
            quiet = not readable and not writable
            if not pending and not finished and (end_after is None or quiet or replies.endswith(end_after)):
                connection.finish()
                finished = True
    return bytes(replies)


def _send_some(peer, pending):
    """Sends once from the last of the pending pieces; forgets them all if the other side has closed."""
    try:
        sent = peer.send(pending[-1])
    except ConnectionError:
        pending.clear()
        return
    piece = pending.pop()
    if sent < len(piece):
        pending.append(piece[sent:])
