"""Cassandra becomes unavailable and comes back, in a container that these tests stop, pause, and start."""

import hashlib
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from cassandra.cluster import Session
from lookbook.prediction import id_maker
from lookbook.settings import Settings
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, open_cluster

from tests.support.forwarder import forwarder
from tests.support.load import kill_under_load, liveness, one_key_at_once
from tests.support.places import BAG, CONTAINER
from tests.support.requirements import lacking
from tests.support.running import Service, docker, free_port, until

pytestmark = pytest.mark.cassandra


@pytest.fixture
def container() -> str:
    """Name of the container behind the port; skips if the Cassandra is not in such a container."""
    if subprocess.run(["docker", "inspect", CONTAINER], capture_output=True).returncode:
        lacking(f"no container {CONTAINER}: start one with `make cassandra`")
    return CONTAINER


def check_refused(service: Service) -> None:
    """An image is refused within two seconds, with a 503 that says when to retry."""
    began = time.monotonic()
    response = service.send(BAG.read_bytes())
    assert time.monotonic() - began < 2
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def refused_undecoded(service: Service) -> bool:
    """Whether an image is refused without being decoded."""
    before = decoded(service)
    check_refused(service)
    return decoded(service) == before


def decoded(service: Service) -> str:
    """The line of /metrics that counts decoded images."""
    lines = requests.get(f"{service.url}/metrics", timeout=5).text.splitlines()
    return next(line for line in lines if line.startswith("lookbook_decode_seconds_count"))


def check_outage(
    service: Service, begin: Callable[[], object], end: Callable[[], object], available: Callable[[], bool]
) -> None:
    """While the store is unavailable nothing is acknowledged; afterward, the service recovers by itself."""
    stored = service.send(BAG.read_bytes()).json()["id"]
    begin()
    try:
        for _ in range(3):
            check_refused(service)
        assert requests.get(f"{service.url}/readyz", timeout=5).status_code == 200
        until(lambda: "lookbook_store_up 0.0" in requests.get(f"{service.url}/metrics", timeout=5).text, 5)
        assert requests.get(f"{service.url}/livez", timeout=5).status_code == 200
        until(lambda: refused_undecoded(service), 5)
    finally:
        end()
    until(available, 90)
    until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)
    until(lambda: "lookbook_store_up 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text, 5)
    assert stored in service.all_ids()


def is_available(settings: Settings) -> bool:
    """Whether a new client can log in and read."""
    try:
        with open_cluster(settings) as cluster:
            cluster.connect(settings.cassandra_keyspace).execute("SELECT key FROM idempotency_keys LIMIT 1")
    except DRIVER_ERRORS:
        return False
    return True


def test_stopped(
    serve: Callable[..., Service], on_cassandra: dict[str, object], cassandra: Settings, container: str
) -> None:
    service = serve(**on_cassandra).ready()
    check_outage(
        service,
        lambda: docker("stop", container),
        lambda: docker("start", container),
        lambda: is_available(cassandra),
    )


def test_paused(
    serve: Callable[..., Service], on_cassandra: dict[str, object], cassandra: Settings, container: str
) -> None:
    service = serve(**on_cassandra).ready()
    check_outage(
        service,
        lambda: docker("pause", container),
        lambda: docker("unpause", container),
        lambda: is_available(cassandra),
    )


def test_one_key_many_at_once_on_a_paused_store(
    serve: Callable[..., Service], on_cassandra: dict[str, object], cassandra: Settings, container: str
) -> None:
    service = serve(**on_cassandra).ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    docker("pause", container)
    try:
        with ThreadPoolExecutor(12) as pool:
            responses = list(pool.map(lambda _: service.send(BAG.read_bytes(), **{"Idempotency-Key": "k"}), range(12)))
    finally:
        docker("unpause", container)
    assert {response.status_code for response in responses} == {503}
    assert max(response.elapsed.total_seconds() for response in responses) < 2
    until(lambda: is_available(cassandra), 30)
    until(lambda: service.send(BAG.read_bytes(), **{"Idempotency-Key": "k"}).status_code in (200, 201), 10)


def test_write_timeout(serve: Callable[..., Service], on_cassandra: dict[str, object], container: str) -> None:
    service = serve(**on_cassandra).ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    docker("exec", container, "nodetool", "settimeout", "write", "0")
    try:
        check_refused(service)
        assert "WriteTimeout" in service.log.read_text() or "timed out waiting for replica" in service.log.read_text()
    finally:
        docker("exec", container, "nodetool", "settimeout", "write", "2000")
    until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)


def changed_password(session: Session, role: str, password: str) -> bool:
    """Whether the password could be changed; Cassandra allows it once in five seconds."""
    try:
        session.execute(f"ALTER ROLE {role} WITH PASSWORD = '{password}'")
    except DRIVER_ERRORS:
        return False
    return True


def test_wrong_password(
    serve: Callable[..., Service], on_cassandra: dict[str, object], cassandra_session: Session
) -> None:
    role = f"role_{uuid.uuid4().hex[:12]}"
    cassandra_session.execute(f"CREATE ROLE {role} WITH PASSWORD = 'right' AND LOGIN = true")
    cassandra_session.execute(f"GRANT ALL ON KEYSPACE {on_cassandra['cassandra_keyspace']} TO {role}")
    try:
        service = serve(**{**on_cassandra, "cassandra_username": role, "cassandra_password": "wrong"})
        service.until_alive()
        check_refused(service)
        response = requests.get(f"{service.url}/readyz", timeout=5)
        assert response.status_code == 503
        until(lambda: "credentials" in requests.get(f"{service.url}/readyz", timeout=5).json()["store"], 5)
        until(lambda: changed_password(cassandra_session, role, "wrong"))
        until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)
        service.ready()
    finally:
        cassandra_session.execute(f"DROP ROLE {role}")


def test_back_at_another_address(
    serve: Callable[..., Service], on_cassandra: dict[str, object], tmp_path: Path
) -> None:
    """As with a pod that moves, the name stays, its address changes, and the old address stops responding."""
    hosts = tmp_path / "hosts"
    # A mount namespace in which a name changes its address for one process only.
    unshared = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
    hosts.write_text("127.0.0.2 cassandra.test\n")
    if subprocess.run([*unshared, "true"], capture_output=True).returncode:
        lacking("changing the address of a name needs permission to mount: run as root")
    port = free_port()
    with forwarder("127.0.0.2", port):
        service = serve(
            prefix=unshared, **{**on_cassandra, "cassandra_contact_points": "cassandra.test", "cassandra_port": port}
        ).ready()
        assert service.send(BAG.read_bytes()).status_code == 201
    check_refused(service)
    with forwarder("127.0.0.3", port):
        hosts.write_text("127.0.0.3 cassandra.test\n")
        until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)


def test_a_request_outlasts_a_short_gap(serve: Callable[..., Service], on_cassandra: dict[str, object]) -> None:
    """Every connection is lost, and no new one is accepted for half a second."""
    port = free_port()
    with forwarder("127.0.0.1", port):
        service = serve(**{**on_cassandra, "cassandra_port": port}).ready()
        assert service.send(BAG.read_bytes()).status_code == 201
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(service.send, BAG.read_bytes()) for _ in range(4)]
        time.sleep(0.5)
        assert not any(request.done() for request in sent)
        with forwarder("127.0.0.1", port):
            assert [request.result().status_code for request in sent] == [201] * 4


def test_livez_answers_while_a_hundred_wait_for_a_paused_store(
    serve: Callable[..., Service], on_cassandra: dict[str, object], cassandra: Settings, container: str
) -> None:
    service = serve(**on_cassandra).ready()
    docker("pause", container)
    try:
        with liveness(service) as seconds, ThreadPoolExecutor(100) as pool:
            codes = list(pool.map(lambda _: service.send(BAG.read_bytes()).status_code, range(300)))
    finally:
        docker("unpause", container)
    assert set(codes) == {503}
    assert max(seconds) < 0.1
    until(lambda: is_available(cassandra), 30)
    until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)


def test_killed_workers_lose_nothing(serve: Callable[..., Service], on_cassandra: dict[str, object]) -> None:
    kill_under_load(serve(workers=2, **on_cassandra).ready())


def test_one_key_twenty_at_once_is_one_prediction(
    serve: Callable[..., Service], on_cassandra: dict[str, object]
) -> None:
    one_key_at_once(serve(workers=2, **on_cassandra).ready())


def test_a_first_writer_killed_between_its_two_writes_changes_nothing(
    serve: Callable[..., Service], on_cassandra: dict[str, object], cassandra: Settings
) -> None:
    store = CassandraStore(cassandra, lambda _: None)
    until(lambda: store.status().reached)
    id = id_maker()()
    store.claim("the-key", hashlib.sha256(BAG.read_bytes()).digest(), id)
    store.close()
    service = serve(workers=2, **on_cassandra).ready()
    one_key_at_once(service)
    assert service.all_ids() == {str(id)}
