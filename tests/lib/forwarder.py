"""Forwards TCP connections from a port of its own to another: a tunnel, or the mapped port of a container."""

import socket
import threading


class Forwarder:
    """Listens at 127.0.0.1:`port` until close(). `connections` counts those that it has forwarded."""

    def __init__(self, target=None):
        self.target = target  # (host, port); may be set until the first connection comes
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        self._closed = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with self._lock:
            self._closed = True
            sockets = [self._listener, *self._sockets]
        for each in sockets:
            # Wakes who waits in it, which closing alone does not.
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()  # nobody is there now, as its client sees for itself
                continue
            with self._lock:
                if self._closed:
                    client.close()
                    server.close()
                    return
                self._sockets += [client, server]
                self.connections += 1
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # closed, by either side
