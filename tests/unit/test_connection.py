"""TLS, and errors that the driver has no class for; tests/server/test_faults.py tests everything else."""

import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lookbook.settings import Settings
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, open_cluster
from lookbook.store.cassandra.connection import Connection

from tests.support.requirements import lacking
from tests.support.running import ENCRYPTED, docker, free_port, until

pytestmark = pytest.mark.cassandra

QUICK = "-Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a Cassandra that accepts only TLS, with the certificate that verifies it."""
    port = free_port()
    name = f"lookbook-tls-{port}"
    options = ("--publish", f"127.0.0.1:{port}:9042", "--env", "MAX_HEAP_SIZE=256M", "--env", f"JVM_EXTRA_OPTS={QUICK}")
    try:
        docker(
            "run", "--detach", "--rm", "--name", name, *options, "--entrypoint", "sh", "cassandra:5.0", "-c", ENCRYPTED
        )
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(f"no Docker with the image cassandra:5.0: {error}")
    try:
        ca_file = tmp_path_factory.mktemp("tls") / "ca.crt"
        until(lambda: "Starting listening for CQL clients" in docker("logs", name), 120)
        ca_file.write_text(docker("exec", name, "cat", "/tmp/ca.crt"))
        yield Settings(cassandra_port=port, cassandra_ca_file=str(ca_file))
    finally:
        docker("rm", "--force", "--volumes", name)


def release_version(settings: Settings) -> str:
    with open_cluster(settings) as cluster:
        ((version,),) = cluster.connect().execute("SELECT release_version FROM system.local")
        return str(version)


def test_a_ring_with_tls_is_verified(encrypted: Settings) -> None:
    assert release_version(encrypted).startswith("5.")


def test_a_certificate_of_another_authority_is_refused(encrypted: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(ssl.DER_cert_to_PEM_cert(ssl.create_default_context().get_ca_certs(binary_form=True)[0]))
    with pytest.raises(DRIVER_ERRORS):
        release_version(replace(encrypted, cassandra_ca_file=str(other)))


def test_a_connection_without_tls_fails(encrypted: Settings) -> None:
    with pytest.raises(DRIVER_ERRORS):
        release_version(replace(encrypted, cassandra_ca_file=""))


def test_a_server_error_without_a_class_is_reported(cassandra: Settings) -> None:
    connection = Connection(lambda: open_cluster(cassandra), {"probe": "SELEKT 1"}, {}, lambda _: None)
    until(lambda: "SELEKT" in str(connection.status().failure), 10)
    assert not connection.status().reached
    connection.close()
