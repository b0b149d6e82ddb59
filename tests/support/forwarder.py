"""A connection that can be cut."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_connection, create_server, socket

from tests.support.places import CASSANDRA_PORT


class Forwarder:
    """Forwards connections to another port of 127.0.0.1."""

    def __init__(self, host: str, port: int, target: int) -> None:
        self._target = target
        self._listener = create_server((host, port))
        self._flows = threading.Event()
        self._flows.set()
        self._ends: list[socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Silently drop everything from now on, as a network policy does."""
        self._flows.clear()

    def restore(self) -> None:
        self._flows.set()

    def close(self) -> None:
        """Close every connection, and refuse new ones."""
        self._listener.shutdown(2)
        self._listener.close()
        for end in self._ends:
            try:
                end.shutdown(2)
            except OSError:
                continue  # closed already

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = create_connection(("127.0.0.1", self._target))
            self._ends += (near, far)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source: socket, target: socket) -> None:
        try:
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        except OSError:
            pass  # the other end has been closed
        for end in (source, target):
            end.close()


@contextmanager
def forwarder(host: str, port: int, target: int = CASSANDRA_PORT) -> Iterator[Forwarder]:
    """Forward from this address until the context ends; by default, to the tests' Cassandra."""
    running = Forwarder(host, port, target)
    try:
        yield running
    finally:
        running.close()
