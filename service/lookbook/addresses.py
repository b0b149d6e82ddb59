"""The address that a server listens on. Tests: tests/server/test_addresses.py."""

import errno
import socket

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def bind(address: str) -> socket.socket:
    """A TCP socket that is bound to <host>:<port>. Raises OSError.

    Without a host, and with [::], it takes IPv6 and IPv4, or only IPv4 if the system has no IPv6.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host not in ("", "::"):
        return _bind(host, int(port))
    try:
        return _bind("::", int(port))
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
        return _bind("0.0.0.0", int(port))  # noqa: S104 - what was asked for


def _bind(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Names such as localhost may have addresses of both kinds.
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
