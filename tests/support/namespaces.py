"""Network namespaces: machines with only IPv6, only IPv4, or both; and a kernel without IPv6."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.requirements import lacking
from tests.support.running import docker

IPV6, IPV4 = "fd00::1", "10.9.8.7"
_GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).status)"
# A seccomp filter that forbids IPv6 sockets, as on a kernel that was started with ipv6.disable=1; see seccomp(2).
WITHOUT_IPV6 = """
import ctypes, errno, os, platform, socket, struct, sys

SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
rules = [
    (LOAD, 0, 0, NUMBER), (EQUAL, 0, 3, SOCKET),
    (LOAD, 0, 0, FIRST_ARGUMENT), (EQUAL, 0, 1, socket.AF_INET6), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Namespace:
    """A network of its own; `prefix` runs a command in it."""

    def __init__(self, name: str) -> None:
        self.prefix = ("ip", "netns", "exec", name)

    def answers(self, url: str) -> bool:
        """Whether a GET from inside the namespace is answered with 200."""
        command = [*self.prefix, sys.executable, "-c", _GET, url]
        return subprocess.run(command, capture_output=True, text=True).stdout == "200\n"


@contextmanager
def namespace(*addresses: str) -> Iterator[Namespace]:
    """A namespace with these addresses and the loopback addresses of their kinds, and with no other kind."""
    name = f"lookbook-test-{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        lacking("network namespaces need iproute2 and permission: run as root")
    try:
        _ip(name, "link", "set", "lo", "up")
        if IPV4 not in addresses:
            _ip(name, "address", "delete", "127.0.0.1/8", "dev", "lo")
        if IPV6 not in addresses:
            disable = ["sysctl", "--quiet", "--write", "net.ipv6.conf.all.disable_ipv6=1"]
            subprocess.run(["ip", "netns", "exec", name, *disable], check=True)
        for address in addresses:
            _ip(name, "address", "add", address, "dev", "lo")
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@contextmanager
def container_namespace(container: str, *addresses: str) -> Iterator[Namespace]:
    """The namespace of a container without a network, with these addresses; IPv4's loopback address stays."""
    name = f"lookbook-test-{uuid.uuid4().hex[:8]}"
    pid = docker("inspect", "--format={{.State.Pid}}", container).strip()
    if subprocess.run(["ip", "netns", "attach", name, pid], capture_output=True).returncode:
        lacking("network namespaces need iproute2 and permission: run as root")
    try:
        for address in addresses:
            _ip(name, "address", "add", address, "dev", "lo")
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _ip(name: str, *arguments: str) -> None:
    subprocess.run(["ip", "-netns", name, *arguments], check=True)
