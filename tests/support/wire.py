"""HTTP on a bare socket."""

import socket


def read_response(sock: socket.socket) -> bytes:
    """The head and the body of one response that has a Content-Length."""
    with sock.makefile("rb") as file:
        lines = list(iter(file.readline, b"\r\n"))
        lengths = [int(line.split()[1]) for line in lines if line.lower().startswith(b"content-length:")]
        return b"".join([*lines, b"\r\n", file.read(sum(lengths))])
