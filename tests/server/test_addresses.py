"""The service and model-init on machines with only IPv6, only IPv4, and both."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from lookbook.addresses import bind

from tests.support import model_init
from tests.support.namespaces import IPV4, IPV6, WITHOUT_IPV6, Namespace, namespace
from tests.support.places import MLP
from tests.support.requirements import lacking
from tests.support.running import Service, free_port, until

PORT = 8080
# The addresses of the machine, and the hosts by which a server on it must be reached.
MACHINES = {
    "IPv6": ((IPV6,), (f"[{IPV6}]", "[::1]")),
    "IPv4": ((IPV4,), (IPV4, "127.0.0.1")),
    "both": ((IPV6, IPV4), (f"[{IPV6}]", "[::1]", IPV4, "127.0.0.1")),
}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[Namespace, tuple[str, ...]]]:
    own, hosts = MACHINES[request.param]
    with namespace(*own) as found:
        yield found, hosts


@pytest.fixture
def without_ipv6() -> tuple[str, ...]:
    """A prefix that runs a command as on a kernel without IPv6."""
    prefix = (sys.executable, "-c", WITHOUT_IPV6)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        lacking("hiding IPv6 needs a kernel with seccomp")
    return prefix


@pytest.mark.parametrize("host", ["", "[::]"], ids=["no host", "all hosts"])
def test_the_service_is_reached_by_every_address(
    serve: Callable[..., Service], machine: tuple[Namespace, tuple[str, ...]], host: str
) -> None:
    found, hosts = machine
    service = serve(found.prefix, bind=f"{host}:{PORT}")
    until(lambda: all(found.answers(f"http://{host}:{PORT}/livez") for host in hosts))
    assert service.stop() == 0


@pytest.mark.parametrize("prefix", ["", "without_ipv6"], ids=["IPv6", "no IPv6"])
def test_ipv4_is_as_usual_with_and_without_ipv6_in_the_kernel(
    serve: Callable[..., Service], request: pytest.FixtureRequest, prefix: str
) -> None:
    port = free_port()
    service = serve(request.getfixturevalue(prefix) if prefix else (), bind=f"[::]:{port}")
    until(lambda: answers(f"http://127.0.0.1:{port}/livez"))
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(b"hello\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
    assert "rejected a request from 127.0.0.1:" in service.log.read_text()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_a_name_with_addresses_of_both_kinds_is_of_ipv4() -> None:
    with bind("localhost:0") as sock:
        assert sock.family == socket.AF_INET


def test_an_address_that_the_machine_does_not_have_is_refused() -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        bind("[2001:db8::1]:0")


@contextmanager
def models(machine: Namespace, volume: Path) -> Iterator[None]:
    """Serves a volume at model-init's default address."""
    command = [*machine.prefix, *model_init.COMMAND, "serve", "--volume", str(volume)]
    with subprocess.Popen(command, env=model_init.ENVIRONMENT) as server:
        yield
        server.terminate()
        assert server.wait(30) == 0


def test_models_are_served_and_pulled_by_every_address(
    machine: tuple[Namespace, tuple[str, ...]], tmp_path: Path
) -> None:
    found, hosts = machine
    assert model_init.run("publish", MLP, "--volume", tmp_path).returncode == 0
    with models(found, tmp_path):
        for host in hosts:
            bundle = ["--source", f"http://{host}:{PORT}", "--name", "fashion-mnist-mlp", "--version", "2.2.0"]
            command = [*found.prefix, *model_init.COMMAND, "pull", *bundle, "--into", str(tmp_path / f"into-{host}")]
            subprocess.run(command, env=model_init.ENVIRONMENT, check=True, timeout=60)
