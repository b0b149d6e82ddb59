"""Standard error that never blocks. Otherwise the service would stop when nobody reads its log from a pipe.

Tests: tests/server/test_log.py.
"""

import errno
import io
import os
import socket
import stat
import sys
import threading
from collections.abc import Callable
from functools import partial

_MAX_WAITING_BYTES = 1024 * 1024


def install() -> None:
    """Let this process, and those that it forks, write to standard error without ever waiting."""
    sys.stderr.flush()
    sys.stderr = Stderr(2)


class Stderr(io.TextIOBase):
    """Keeps what the reader has not taken yet; drops lines, and counts them, when that becomes too much."""

    def __init__(self, descriptor: int) -> None:
        self.dropped = 0
        self._fails = False
        self._descriptor = descriptor
        self._send = _sender(descriptor)
        self._begin()
        # The parent process writes what is waiting in its own copy.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._waiting = bytearray()

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._waiting:
                self._send_waiting()
            if len(self._waiting) + len(data) > _MAX_WAITING_BYTES:
                self.dropped += data.count(b"\n")
            elif self._waiting:
                self._waiting += data
            else:
                self._waiting += data[self._sent(data) :]
        return len(text)

    def flush(self) -> None:
        if self._waiting:
            with self._lock:
                self._send_waiting()

    def take_dropped(self) -> int:
        """The number of lines dropped since the last call, once there is room for a line that says so; until then 0."""
        with self._lock:
            if self._waiting or self._fails:
                return 0
            dropped, self.dropped = self.dropped, 0
            return dropped

    def _send_waiting(self) -> None:
        while self._waiting and (sent := self._sent(bytes(self._waiting[:65536]))):
            del self._waiting[:sent]

    def _sent(self, data: bytes) -> int:
        """How much of `data` has been sent."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            return 0
        except OSError:  # the reader has gone, or the disk is full
            self._fails = True
            self.dropped += data.count(b"\n")
            return len(data)
        self._fails = False
        return sent


def _sender(descriptor: int) -> Callable[[bytes], int]:
    """A function that sends at once what can be sent, and returns how much; it raises OSError as os.write()."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        sock = socket.socket(fileno=os.dup(descriptor))
        return lambda data: sock.send(data, socket.MSG_DONTWAIT)
    if not stat.S_ISREG(mode):
        try:
            # Opened again, because O_NONBLOCK would otherwise hold for other processes that share the pipe, too.
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:  # the pipe belongs to another user
            return partial(_write_at_once, descriptor)
        os.dup2(own, descriptor)  # for libraries that write behind Python's back
        os.close(own)
    return partial(os.write, descriptor)


def _write_at_once(descriptor: int, data: bytes) -> int:
    try:
        return os.pwritev(descriptor, [data], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return os.write(descriptor, data)  # before Linux 6.5
