"""The chart's Cassandra, and a service that stores into it, in pods with only IPv6 and with both."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.support.chart import cassandra_settings
from tests.support.namespaces import IPV4, IPV6, Namespace, container_namespace
from tests.support.places import BAG
from tests.support.requirements import lacking
from tests.support.running import Service, docker, until

IMAGE = "cassandra:5.0"
PORT = 8080


@pytest.fixture(params=[(IPV6,), (IPV6, IPV4)], ids=["IPv6", "both"])
def pod(request: pytest.FixtureRequest) -> Iterator[tuple[Namespace, str]]:
    """A network, and its address on which Cassandra listens."""
    network, node = (f"lookbook-{uuid.uuid4().hex[:8]}" for _ in range(2))
    address = request.param[-1]
    try:
        start = ("run", "--detach", "--rm", "--entrypoint=sh")
        alone = (
            "--network=none",
            "--sysctl=net.ipv6.conf.all.disable_ipv6=0",
            "--hostname=pod",
            f"--add-host=pod:{address}",
        )
        docker(*start, f"--name={network}", *alone, IMAGE, "-c", "sleep infinity")
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(f"no Docker with the image {IMAGE}: {error}")
    try:
        with container_namespace(network, *request.param) as namespace:
            script, given = cassandra_settings()
            own = {**{name: value or address for name, value in given.items()}, "CASSANDRA_SEEDS": address}
            environment = [f"--env={name}={value}" for name, value in {**own, "MAX_HEAP_SIZE": "256M"}.items()]
            run = f"mkdir /conf\n{script}\ncp -r /conf/. /etc/cassandra\nexec docker-entrypoint.sh cassandra -f"
            docker(*start, f"--name={node}", f"--network=container:{network}", *environment, IMAGE, "-ec", run)
            until(lambda: "Starting listening for CQL clients" in docker("logs", node), 120)
            yield namespace, address
    finally:
        docker("rm", "--force", "--volumes", node, network)


def test_a_prediction_is_stored(serve: Callable[..., Service], pod: tuple[Namespace, str]) -> None:
    namespace, address = pod
    login = {"cassandra_contact_points": address, "cassandra_username": "cassandra", "cassandra_password": "cassandra"}

    def lookbook(*arguments: object, variables: Mapping[str, str] = {}) -> str:
        command = [*namespace.prefix, sys.executable, "-m", "lookbook", *map(str, arguments)]
        environment = {**os.environ, **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=90).stdout

    lookbook("schema", variables={f"LOOKBOOK_{name}".upper(): value for name, value in login.items()})
    service = serve(namespace.prefix, bind=f"[::]:{PORT}", store="cassandra", **login)
    until(lambda: namespace.answers(f"http://[::1]:{PORT}/readyz"))
    url = ("--url", f"http://[{IPV6}]:{PORT}")
    label = lookbook("classify", BAG, *url).split()[-2]
    assert label in lookbook("history", *url)
    assert service.stop() == 0
